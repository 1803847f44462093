"""A container by the name that Docker or Podman has for it, for a person who asks.

Not on any door's path: an engine that creates a container answers nobody about it, and
here nobody waits longer than a few seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.clock import Process
from ocinet.base.value import Value
from ocinet.watcher.docker_api import Client

if TYPE_CHECKING:
    from ocinet.watcher.observed import ObservedContainer

_TIMEOUT_S = 3.0


class Named(Value):
    """A container that an engine knows by a name.

    Attributes:
        engine: docker or podman.
        id: whole.
        name: the engine's.
        process: its first one; None if it does not run.
        exposed: its ports, its image's among them, as `80/tcp`.
    """

    engine: str
    id: str
    name: str
    process: Process | None
    exposed: tuple[str, ...]


def find_named(text: str, socket: str, timeout_s: float = _TIMEOUT_S) -> Named | None:
    """Return whom an engine means by a name, an id or an id's start; None: nobody.

    Args:
        text: legal as a container's name.
        socket: the engine's.
        timeout_s: that one answer may take.

    Raises:
        SystemFailure: the engine does not answer, or several ids begin so.
    """
    client = Client(socket, timeout_s)
    try:
        client.greet()
        observed = client.inspect(text)
        if observed is None:
            return None
        process, exposed = _process(observed, client), client.exposed(observed.id)
        return Named(client.kind, observed.id, observed.name, process, exposed)
    finally:
        client.forget()


def _process(observed: ObservedContainer, client: Client) -> Process | None:
    """Return a container's first process, if it runs."""
    process = Process.of(observed.pid) if observed.running and observed.pid else None
    # Its number may have become another one's since the engine looked.
    again = client.inspect(observed.id) if process else None
    return process if again and again.pid == observed.pid and again.running else None

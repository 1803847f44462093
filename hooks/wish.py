"""What a container asks for, as far as it is its user who asks.

Engines merge what an image carries, Docker its labels and podman its manifest's
annotations, into what the container's user gave. A key that the image carries
with that very value counts for nothing here, whichever door it came through.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.engine.publish import parse_publish
from ocinet.engine.request import PREFIX, needs_trust, parse_annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ocinet.engine.model.request import Publish, Request

_BINDINGS = "the engine's published ports"


class Wish(Value):
    """What is left of a container's keys.

    Attributes:
        keys: ours that are honoured.
        dropped: names of ours that the image carries with that value.
        carried: what the image carries; None if it can't be told.
    """

    keys: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    carried: frozenset[tuple[str, str]] | None

    def request(self, trusts: Callable[[], bool]) -> Request | None:
        """Return what is asked for, or None if nothing is.

        Args:
            trusts: tells whether the operator trusts keys of unknown origin.

        Raises:
            RequestError: a key is not legal, or asks for what an image must not
                be able to ask for, while it may be the image's.
        """
        request = parse_annotations(dict(self.keys))
        asks = needs_trust(request) if request and self.carried is None else ()
        if asks and not trusts():
            why = f"{' and '.join(asks)} may be the image's wish: what it carries can't be read"
            raise RequestError("", why, "set trust_annotations = true in ocinet.toml")
        return request


def sort_out(pairs: Iterable[tuple[str, str]], carried: frozenset[tuple[str, str]] | None) -> Wish:
    """Part a container's own keys from its image's.

    Args:
        pairs: annotations or labels; keys of others are skipped.
        carried: every pair that the image carries; None if it can't be told.
    """
    ours = [(key, text) for key, text in pairs if key.startswith(PREFIX)]
    images = carried or frozenset()
    return Wish(
        tuple(pair for pair in ours if pair not in images),
        tuple(key for key, text in ours if (key, text) in images),
        carried,
    )


def parse_bindings(
    bindings: Mapping[str, Any] | None, exposed: Iterable[str] = ()
) -> tuple[Publish, ...]:
    """Read the published ports that an engine keeps for a container.

    Args:
        bindings: `HostConfig.PortBindings` of the Docker API:
            {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}.
        exposed: `Config.ExposedPorts`, where all of them are to be published
            (`docker run -P`): ["80/tcp"].

    Raises:
        RequestError: one of them can't be published as it is asked for.
    """
    items = []
    for port, hosts in (bindings or {}).items():
        for host in hosts or [{}]:
            items.append(_spell(port, host.get("HostIp") or "", host.get("HostPort") or ""))
    items += [port for port in exposed if not (bindings or {}).get(port)]
    return parse_publish(",".join(items), _BINDINGS) if items else ()


def _spell(port: str, address: str, host_port: str) -> str:
    """Spell one binding as Docker's `-p` does."""
    shown = f"[{address}]" if ":" in address else address
    host_port = "" if host_port == "0" else host_port
    if shown:
        return f"{shown}:{host_port}:{port}"
    return f"{host_port}:{port}" if host_port else port


def with_publishes(request: Request, publishes: tuple[Publish, ...]) -> Request:
    """Return a request that publishes these ports, too.

    Only with a network of ours: Docker takes ports for nothing beside `host`.
    """
    if request.mode != "bridge":
        return request
    return request.replace(publish=tuple(dict.fromkeys((*request.publish, *publishes))))

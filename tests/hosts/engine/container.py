"""A container of podman's or dockerd's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hosts.lab.namespace import Namespace
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.command import Result
    from hosts.engine.dockerd import Docker
    from hosts.engine.podman import Podman


IMAGE = "busybox"


@dataclass(frozen=True)
class EngineContainer:
    """A container of an engine.

    Attributes:
        id: the engine's full id.
        engine: which one made it.
    """

    id: str
    engine: Podman | Docker

    @cached_property
    def pid(self) -> int:
        """Id of the container's first process."""
        shown = self.engine("inspect", "--format", "{{.State.Pid}}", self.id).stdout
        return int(shown)

    @cached_property
    def namespace(self) -> Namespace:
        """The container's sandbox, to look, listen and connect in."""
        return self.engine.lab.enter(self.id[:12], self.pid)

    @property
    def current(self) -> EngineContainer:
        """The container as it is since its latest start: with that one's process."""
        return EngineContainer(self.id, self.engine)

    def address(self, ifname: str = "eth0", *, timeout_s: float = 10) -> str:
        """Wait until it has an address, as a watcher gives it some time after its start.

        Returns:
            The first one, without its prefix length.
        """
        found: list[str] = []

        def has_address() -> bool:
            if ifname in self.namespace.links():
                found[:] = self.namespace.addresses(ifname)
            return bool(found)

        wait_until(has_address, f"{ifname} of {self.id[:12]}", timeout_s=timeout_s)
        return found[0].partition("/")[0]

    def exec(self, *argv: str, check: bool = True) -> Result:
        """Run a command inside, with the container's files."""
        return self.engine("exec", self.id, *argv, check=check)

    def remove(self) -> None:
        """Stop it at once and remove it."""
        self.engine.remove(self.id)

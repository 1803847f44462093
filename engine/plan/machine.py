"""What steps work on: a host, by the seams that are between it and them."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.link import Link, Pair
    from ocinet.engine.model.observed import Recorded
    from ocinet.engine.plan import seams

    class Owners(Protocol):
        """Whose the ports in the firewall are; see `engine.port_owners`."""

        def has_other(self, ports: tuple[PortRule, ...]) -> bool:
            """Tell whether another record than that of these very ports has one of them."""

        def unowned(self, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
            """Return those of the ports that no record has, wherever they lead there."""

        def close_unowned(self, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
            """Take those out of the firewall that nobody has, and return them."""


class Host(Value):
    """All that can be done on a host, by what it is done to."""

    links: seams.Links
    insides: seams.Insides
    bridges: seams.Bridges
    sysctls: seams.Sysctls
    names: seams.Names
    firewall: seams.Firewall
    forward_accepts: seams.ForwardAccepts


class Machine:
    """A host in the course of one operation, and the sandbox if there is one.

    Args:
        host: that the steps change.
        recorded: returns the networks and ports of all records, and the guards.
        guards: where it is noted what is guarded.
        owners: whose the ports in the firewall are.
        sandbox: None where a plan needs none, as in detach.

    Attributes:
        pairs: that were made, by the names of their host ends.
        warnings: what could not be done but is not needed.
    """

    def __init__(
        self,
        host: Host,
        recorded: Callable[[], Recorded],
        guards: Guards,
        owners: Owners,
        sandbox: seams.Sandbox | None = None,
    ) -> None:
        self.links = host.links
        self.insides = host.insides
        self.bridges = host.bridges
        self.sysctls = host.sysctls
        self.names = host.names
        self.firewall = host.firewall
        self.forward_accepts = host.forward_accepts
        self.recorded = recorded
        self.owners = owners
        self.pairs: dict[str, Pair] = {}
        self.warnings: list[str] = []
        self._sandbox = sandbox

    @property
    def sandbox(self) -> seams.Sandbox:
        """The sandbox that is worked in."""
        if self._sandbox is None:
            raise RuntimeError("this plan has a step inside a sandbox, but there is none")
        return self._sandbox

"""What steps work on: a host, by the seams that are between it and them."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.base.clock import Process
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.link import Link, Pair
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.observed import Recorded
    from ocinet.engine.plan import seams

    class Guards(Protocol):
        """Where it is noted what is not forwarded, though we switched forwarding on."""

        def all(self) -> tuple[ForwardGuard, ...]:
            """Return the families that are guarded."""

        def put(self, guards: tuple[ForwardGuard, ...]) -> None:
            """Note which families are guarded, and no others."""

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
    bridge_filters: seams.Filters
    shaping: Callable[[], seams.Shaping]  # few have any use for it, as for the next three
    lan: Callable[[], seams.Lan]
    marks: Callable[[], seams.Marks]
    name_server: Callable[[], seams.NameServer]  # one for the operation
    names_elsewhere: Callable[[], seams.NamesElsewhere]  # for who has many hosts
    sysctls: seams.Sysctls
    names: seams.Names
    firewall: seams.Firewall
    elements: seams.Elements
    forward_accepts: seams.ForwardAccepts
    routing_rules: seams.RoutingRules
    uplinks: seams.Uplinks
    name_files: Callable[[Process], seams.NameFiles | None]  # None of who has the host's files


class Machine:
    """A host in the course of one operation, and the sandbox if there is one.

    Args:
        host: that the steps change.
        recorded: returns the networks and ports of all records, and the guards.
        guards: where it is noted what is guarded.
        owners: whose the ports in the firewall are.
        sandbox: None where a plan needs none, as in detach.
        far: a second one, where two are linked.

    Attributes:
        pairs: that were made, by the names of their host ends.
        children: indexes of interfaces that the host has no end of and that were made, by name.
        warnings: what could not be done but is not needed.
        unnamed: whether a container's files could not name it yet.
        unserved: the networks whose name server could not be told of it.
        contested: names that two containers of a network want, as its server was told of one.
    """

    def __init__(
        self,
        host: Host,
        recorded: Callable[[], Recorded],
        guards: Guards,
        owners: Owners,
        sandbox: seams.Sandbox | None = None,
        far: seams.Sandbox | None = None,
    ) -> None:
        self.links = host.links
        self.insides = host.insides
        self.bridges = host.bridges
        self.bridge_filters = host.bridge_filters
        self._shaping, self._marks, self._lan = host.shaping, host.marks, host.lan
        self._name_server, self._names_elsewhere = host.name_server, host.names_elsewhere
        self.sysctls = host.sysctls
        self.names = host.names
        self.firewall = host.firewall
        self.elements = host.elements
        self.forward_accepts = host.forward_accepts
        self.routing_rules = host.routing_rules
        self.uplinks = host.uplinks
        self.name_files = host.name_files
        self.recorded = recorded
        self.guards = guards
        self.owners = owners
        self.pairs: dict[str, Pair] = {}
        self.children: dict[str, int] = {}
        self.warnings: list[str] = []
        self.unnamed = False
        self.unserved: list[str] = []
        self.contested: list[tuple[str, Contested]] = []
        self._sandbox = sandbox
        self._far = far

    def take_contested(self) -> tuple[tuple[str, Contested], ...]:
        """Return what names were found to be wanted by two since this was asked last."""
        contested, self.contested = tuple(self.contested), []
        return contested

    def host_ends(self, record: Attachment) -> tuple[Link, ...]:
        """Return those of the host's ends of a container that are there."""
        named = (end.host_ifname for end in record.endpoints if end.host_ifname)
        links = map(self.links.link, named)
        return tuple(link for link in links if link)

    @property
    def shaping(self) -> seams.Shaping:
        """Limits of how fast containers send and are sent to."""
        return self._shaping()

    @property
    def lan(self) -> seams.Lan:
        """Links that share another one."""
        return self._lan()

    @property
    def marks(self) -> seams.Marks:
        """What is in sandboxes and no interface takes along."""
        return self._marks()

    @property
    def name_server(self) -> seams.NameServer:
        """What answers to the names of containers."""
        return self._name_server()

    @property
    def names_elsewhere(self) -> seams.NamesElsewhere:
        """Names of containers on other hosts."""
        return self._names_elsewhere()

    def shapes(self, record: Attachment) -> tuple[tuple[str, Bandwidth | None], ...]:
        """Return the limits at those host ends of a container that are to have some."""
        names = (end.host_ifname for end in record.endpoints if end.bandwidth)
        return tuple((name, self.shaping.present(name)) for name in names)

    def absent(self, record: Attachment) -> tuple[Address, ...]:
        """Return the addresses that what a container sends leaves with, and the host has not."""
        wanted = [address for end in record.endpoints for address in end.egress]
        if not wanted:
            return ()
        here = {interface.address for interface in self.links.addresses(0)}
        return tuple(address for address in dict.fromkeys(wanted) if address not in here)

    def with_indexes(self, record: Attachment) -> Attachment:
        """Return a record that knows the indexes of the links that were made."""
        return record.replace(
            endpoints=tuple(
                endpoint.replace(host_ifindex=self.pairs[endpoint.host_ifname].host_ifindex)
                if endpoint.host_ifname in self.pairs
                else endpoint.replace(ifindex=self.children[endpoint.ifname])
                if endpoint.ifname in self.children
                else endpoint
                for endpoint in record.endpoints
            )
        )

    @property
    def sandbox(self) -> seams.Sandbox:
        """The sandbox that is worked in."""
        if self._sandbox is None:
            raise RuntimeError("this plan has a step inside a sandbox, but there is none")
        return self._sandbox

    @property
    def far(self) -> seams.Sandbox:
        """The second sandbox, where two are worked in."""
        if self._far is None:
            raise RuntimeError("this plan links two sandboxes, but there is one")
        return self._far

"""What steps, and who looks at the host for a plan, ask of the machine: the seams.

Each is owned here, by its user, and has at most eight methods. The rooms `kernel` and
`firewall` have the real ones, `tests/fakes` those that are in memory; both pass the
same tests (`tests/contract`). For type checkers: nobody imports this at run time.

What each raises, and what counts as success, is said here, once for both; of what has to
do with tables of nftables', in `firewall_seams`, of what is inside of sandboxes, in
`inside_seams`, and with names, in `name_seams`: all are named here with the others.
"""

from __future__ import annotations

from ocinet.engine.plan.firewall_seams import Elements, Firewall, ForwardAccepts, Uplinks
from ocinet.engine.plan.inside_seams import Insides, Marks, Sandbox
from ocinet.engine.plan.lan_seams import Lan
from ocinet.engine.plan.name_seams import NameFiles, Names, NamesElsewhere, NameServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ocinet.base.address import Address, Interface, Subnet
    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.bridge_filters import BridgeFilters
    from ocinet.engine.model.link import Link, Pair, Veth
    from ocinet.engine.model.routing import RoutingRule, WayOut
else:
    Protocol = object  # `typing` brings `os` along, and costs more than all the wiring

__all__ = (
    "Bridges", "Elements", "Filters", "Firewall", "ForwardAccepts", "Insides", "Lan", "Links",
    "Marks", "NameFiles", "NameServer", "Names", "NamesElsewhere", "RoutingRules", "Sandbox",
    "Shaping", "Sysctls", "Uplinks",
)  # fmt: skip


class Links(Protocol):
    """The host's links and their addresses. What is ours bears our link group."""

    def link(self, ifname: str) -> Link | None:
        """Return the link of that name, or None."""

    def links(self) -> tuple[Link, ...]:
        """Return our links, half-deleted ones as well."""

    def ports(self, bridge: Link) -> tuple[Link, ...]:
        """Return the ports of a bridge."""

    def addresses(self, ifindex: int) -> tuple[Interface, ...]:
        """Return the addresses of a link, or with 0 of all of them."""

    def connected(self, family: int) -> tuple[tuple[int, Subnet], ...]:
        """Return the subnets that links which are up have addresses in, with their indexes.

        Link-local ones are left out, and those of a family, 4 or 6, that is not asked for.
        """

    def add_veth(self, veth: Veth, sandbox: Sandbox) -> Pair:
        """Make a pair: an up port of its bridge here, a down interface in the sandbox.

        Its guard is there before the port is up. Where the kernel has no such filters, the
        pair tells why it is unguarded.

        Raises:
            KernelError: it could not be made, and nothing is left of it: EEXIST where
                either end's name is taken, ENODEV without the bridge, EXFULL where
                that has as many ports as Linux allows.
            SystemFailure: the sandbox was closed.
        """

    def delete_links(self, ifnames: tuple[str, ...]) -> None:
        """Delete links of ours, by name; what is not there is fine.

        Raises:
            SystemFailure: a link is not ours, and was left alone, or could not be
                deleted; the others have been deleted.
        """

    def set_port(
        self,
        ifname: str,
        *,
        bridge: str = "",
        hairpin: bool = False,
        mtu: int = 0,
        isolated: bool = False,
        lacks: tuple[str, ...] = (),
    ) -> None:
        """Change a link as a bridge port.

        Args:
            ifname: the link's.
            bridge: that it is set up as a port of, leaving another one; "": as it is.
            hairpin: let it send frames back to where they came from; else that is as it is,
                and not so where the port is a new one.
            mtu: bytes that it gets with its bridge; 0: it keeps what it has.
            isolated: let it carry nothing to others that are; else as with `hairpin`.
            lacks: what it is to be given, as `Link.lacks` has it, or `isolated off`.

        Raises:
            KernelError: one of the two is not there (ENODEV), the other is no bridge, or it
                is no port.
        """


class Bridges(Protocol):
    """Bridges of the host, and what their making has to know of its routes."""

    def make_bridge(
        self, ifname: str, mac: str, mtu: int, addresses: tuple[Interface, ...]
    ) -> bool:
        """Make a bridge of ours, or finish one: set up, with this MTU and these addresses at least.

        Of one that is set up already, the MAC is left as it is. One of ours that has the MAC
        under another name gets its own back, if nothing has that.

        Returns:
            Whether anything was changed.

        Raises:
            ConflictError: a link of that name is not ours, or no bridge.
            KernelError: it was refused; a bridge that was just made is gone again.
        """

    def remove_bridge(self, ifname: str) -> bool:
        """Remove a bridge of ours that has no ports.

        Returns:
            False if it is not there, has ports or is not ours.
        """

    def uplink(self) -> str:
        """Return the link of the IPv4 default route, of several the one with the least metric.

        "" without one.
        """

    def uplink_mtu(self) -> int:
        """Return the MTU of the link that the default route goes through; 1500 without one."""

    def advertised_uplinks(self) -> tuple[str, ...]:
        """Return the links whose IPv6 default route a router advertised, by name, sorted."""

    def others(self) -> tuple[str, ...]:
        """Return the bridges of the host that are not ours, by name, sorted."""

    def occupied_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets that the host has for itself, sorted.

        Those of its addresses, and of the routes that the kernel or a router made for
        them; and all of tables but main, which rules look up before it.
        """

    def routed_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets that the main table sends elsewhere, or nowhere, sorted."""


class Filters(Protocol):
    """Filters of bridges and their ports, which no change of nftables' tables removes."""

    def present(self, device: str) -> BridgeFilters:
        """Return those of ours that a link has; b"" where there is none, or no such link."""

    def guards(self, ports: tuple[Link, ...]) -> dict[str, bytes]:
        """Return the program of ours at each of these ports, by name; b"" for none."""

    def put(self, device: str, filters: BridgeFilters) -> bool:
        """Have a link bear these filters of ours; those of others stay.

        Returns:
            False if it does already.

        Raises:
            KernelError: the link is not there (ENODEV), or it was refused, as by a kernel
                that has no such filters.
        """

    def remove(self, device: str) -> None:
        """Remove ours from a bridge, and what they hung on if nobody else's do.

        Not there is fine.
        """

    def port_names(self, bridge: Link) -> list[str]:
        """Return the names of a bridge's ports, in no order; none if it has gone."""

    def dropped(self, device: str) -> int:
        """Return how many packets a link's filters have dropped; 0 of no such link."""

    def unmarked(self) -> tuple[str, ...]:
        """Return what has packets reach a bridge without the mark of our table.

        Flowtables, as `flowtable inet home fast`, for they lead past all chains; and `table
        inet ocinet`, where it is one that marks nothing.
        """


class Shaping(Protocol):
    """Limits of how fast containers send and are sent to, at their host ends."""

    def present(self, host_ifname: str) -> Bandwidth | None:
        """Return the limits of ours at a host end, those alone that are whole; None: none."""

    def put(self, host_ifname: str, bandwidth: Bandwidth | None, alias: str = "") -> bool:
        """Have a host end have these limits of ours, and no others of ours.

        Args:
            host_ifname: the host's end.
            bandwidth: None: it has none any more, also where the link is not there.
            alias: of the link that is made for what the container sends.

        Returns:
            Whether anything was changed.

        Raises:
            KernelError: the link is not there (ENODEV), or it was refused, as by a kernel that
                has no such thing.
        """


class RoutingRules(Protocol):
    """The rules by which the host chooses a routing table, and the addresses they are about."""

    def rules(self) -> tuple[RoutingRule, ...]:
        """Return the rules that mind a source or a mark, in the kernel's order."""

    def add(self, rule: RoutingRule) -> bool:
        """Add a rule behind those of its priority; False if it is there.

        Raises:
            KernelError: it was refused.
        """

    def remove(self, rule: RoutingRule) -> None:
        """Delete a rule; not there is fine."""

    def has(self, rule: RoutingRule) -> bool:
        """Tell whether a rule is there, also one that minds neither source nor mark."""

    def blackholes(self) -> tuple[RoutingRule, ...]:
        """Return those by which what came in by a link goes nowhere."""

    def addresses(self) -> tuple[tuple[str, Interface], ...]:
        """Return all addresses of the host, each with its link's name."""

    def ways_out(self, families: tuple[int, ...]) -> tuple[WayOut, ...]:
        """Return the ways to the outside whose routes say which address packets bear."""

    def leads(self, addresses: tuple[Address, ...]) -> tuple[str, ...]:
        """Return by which link the host sends to each: "lo" to itself, "" nowhere."""


class Sysctls(Protocol):
    """The host's kernel parameters, by their path below /proc/sys."""

    def read(self, key: str) -> str | None:
        """Return a value, or None if this kernel, or namespace, has none such."""

    def write(self, key: str, value: str) -> bool:
        """Set a value.

        Returns:
            False if it was so already.

        Raises:
            SystemFailure: there is none such, or it may not be written.
        """

"""The host as it was seen before a plan was made."""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.value import Value
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.link import Link
from ocinet.engine.model.network import NetworkRules
from ocinet.engine.model.passage import ForwardDrop, Passage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.lan import HostSide
    from ocinet.engine.model.routing import Leaving, RoutingRule, WayOut

    # What our table has to hold: networks, ports, guards, and who may talk to whom, as
    # elements, which are `ruleset`'s: no value knows of them.
    Recorded = tuple[
        tuple[NetworkRules, ...], tuple[PortRule, ...], tuple[ForwardGuard, ...], tuple[Any, ...]
    ]


class FirewallState(Value):
    """What there is before a plan is made.

    Attributes:
        table: whether our table is there.
        generation: the number of the last change of any table of nftables'; 0 where the
            kernel does not say.
        uplinks: what the second table is made of (`ruleset.uplinks.fingerprint`); "" where
            there is none.
        changed: whether a chain, rule or set of our table is known to be otherwise than it
            was made; looked at only where others have changed something.
    """

    table: bool = False
    generation: int = 0
    uplinks: str = ""
    changed: bool = False


class DeviceState(Value):
    """A network's bridge as it was seen.

    Attributes:
        link: None if there is no such link.
        addresses: what it bears.
        in_the_way: subnets that others of the host's links have, or where the bridge is
            not there yet also routes that would win, which overlap the network's.
        mtu: bytes, that an interface on it should have: its own, else what
            the network or the uplink says.
        route_localnet: the value of that sysctl, "" if it was not read.
        drops: chains of others that drop what should pass of its packets.
        apart: chains of others that drop what an adopted bridge carries from one
            container to the other.
        judged: whether these were looked for; else it is known that there are none.
        passage: what was looked for then.
        unrouted: of a bridge of ours that is up, the addresses that it bears, but whose subnets
            the kernel's own routes do not lead to it.
        shim: of a network on the LAN, whose link is its parent, the host's own interface.
    """

    device: str
    link: Link | None
    addresses: tuple[Interface, ...]
    mtu: int
    route_localnet: str = ""
    drops: tuple[ForwardDrop, ...] = ()
    apart: tuple[ForwardDrop, ...] = ()
    judged: bool = False
    passage: Passage | None = None
    in_the_way: tuple[Subnet, ...] = ()
    unrouted: tuple[Interface, ...] = ()
    shim: HostSide | None = None


class SourceRouting(Value):
    """How the host routes by source, as it was seen.

    Attributes:
        rules: those that have a source, and those of ours, in the kernel's order.
        addresses: all of the host's, with the names of their links; () where nobody
            routes by source.
        strict: links that bear one of them and refuse what their own routes would not
            answer to (rp_filter=1).
        ways: out, that say more than masquerading knows.
        masqueraded: subnets that are, of all networks that ask for no address of their
            own; () where there are no such ways.
        unmasked: networks' subnets, each with a destination for which packets from there
            keep the container's own; () where none of this is said.
        leaving: with which addresses packets of containers leave; () where nobody routes by
            source.
        inside: subnets of all networks; likewise.
    """

    rules: tuple[RoutingRule, ...] = ()
    addresses: tuple[tuple[str, Interface], ...] = ()
    strict: tuple[str, ...] = ()
    ways: tuple[WayOut, ...] = ()
    masqueraded: tuple[Subnet, ...] = ()
    unmasked: tuple[tuple[Subnet, Subnet], ...] = ()
    leaving: tuple[Leaving, ...] = ()
    inside: tuple[Subnet, ...] = ()


class Observed(Value):
    """The host as it was seen before a plan.

    Attributes:
        devices: of the networks in question.
        firewall: our table.
        recorded: where our table is missing, the networks and ports of all records, and
            what is guarded.
        ip_forward: the value of that sysctl; likewise `ipv6_forward`, "" if not read.
        ra_uplinks: links that live by router advertisements, if IPv6 forwarding
            has to be turned on, each with its accept_ra.
        uplink_mtu: bytes; 0 where nobody looked, or there is no uplink.
        routing: how the host routes by source.
        absent: addresses that packets of these networks are to leave with, and the host
            has not got.
        guards: that are on record, where somebody else has turned forwarding on.
    """

    devices: tuple[DeviceState, ...]
    firewall: FirewallState
    recorded: Recorded = ((), (), (), ())
    ip_forward: str = ""
    ipv6_forward: str = ""
    ra_uplinks: tuple[tuple[str, str], ...] = ()
    uplink_mtu: int = 0
    routing: SourceRouting = SourceRouting()
    absent: tuple[Address, ...] = ()
    guards: tuple[ForwardGuard, ...] = ()

    def device(self, name: str) -> DeviceState:
        """Return the state of one bridge that was looked at."""
        return next(state for state in self.devices if state.device == name)

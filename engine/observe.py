"""Looking at the host before a plan is made. Reads only."""

from __future__ import annotations

from ocinet.engine.model.forwarding import FORWARD_IPV4, FORWARD_IPV6, FORWARDED
from ocinet.engine.model.network import rules_of
from ocinet.engine.model.observed import DeviceState, Observed, SourceRouting
from ocinet.engine.model.passage import Passage
from ocinet.engine.storage import recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.address import Address, Subnet
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.passage import ForwardDrop
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records
    from ocinet.ipam.pool import Pool

    Recorded = tuple[tuple[NetworkRules, ...], tuple[PortRule, ...]]


def observe(
    machine: Machine, networks: tuple[Network, ...], recorded: Callable[[], Recorded]
) -> Observed:
    """Return what a plan for these networks has to know.

    Args:
        machine: that is looked at.
        networks: each once.
        recorded: returns the networks and ports of all records; asked only where
            our table is missing.
    """
    firewall = machine.firewall.observe()
    dropped = bool(firewall.forward_drop)
    devices = tuple(_device(machine, network, dropped=dropped) for network in networks)
    fresh = any(not device.link for device in devices)
    ipv6_forward = ""
    ra_uplinks: tuple[tuple[str, str], ...] = ()
    if any(6 in network.families for network in networks):
        ipv6_forward = machine.sysctls.read(FORWARD_IPV6) or ""
        if ipv6_forward == "0":
            ra_uplinks = _ra_uplinks(machine)
    return Observed(
        devices=devices,
        firewall=firewall,
        recorded=((), ()) if firewall.table else recorded(),
        ip_forward=machine.sysctls.read(FORWARD_IPV4) or "",
        ipv6_forward=ipv6_forward,
        foreign_drop=machine.firewall.observe_foreign() if fresh else (),
        ra_uplinks=ra_uplinks,
        routing=_source_routing(machine, records),
        absent=_absent(machine, networks),
        guards=records.guards.all() if by_others else (),
    )


def _absent(machine: Machine, networks: tuple[Network, ...]) -> tuple[Address, ...]:
    """Return the addresses that packets are to leave with, and that nobody answers to here."""
    wanted = tuple(address for network in networks for address in network.egress)
    if not wanted:
        return ()
    here = {interface.address for interface in machine.links.addresses(0)}
    return tuple(address for address in wanted if address not in here)


def _source_routing(machine: Machine, records: Records) -> SourceRouting:
    """Return what the host's routes say of sources: on most, nothing that has to be followed.

    Of the host, whatever networks are in question: what follows it is one for all.
    """
    rules = machine.routing_rules.rules()
    ways = tuple(way for way in machine.routing_rules.ways_out((4, 6)) if way.says_more)
    masqueraded = _masqueraded(records) if ways else ()
    sources = [rule.source for rule in rules if rule.source]
    if not sources:
        return SourceRouting(rules, ways=ways, masqueraded=masqueraded)
    addresses = machine.routing_rules.addresses()
    from_there = {
        ifname
        for ifname, interface in addresses
        if interface.address.family == 4 and any(interface.address in net for net in sources)
    }
    # The kernel takes the greater of the two (ip-sysctl, rp_filter).
    for_all = machine.sysctls.read(_rp_filter("all")) or "0"
    strict = tuple(
        ifname
        for ifname in sorted(from_there)
        if max(for_all, machine.sysctls.read(_rp_filter(ifname)) or "0") == "1"
    )
    return SourceRouting(rules, addresses, strict, ways, masqueraded)


def _masqueraded(records: Records) -> tuple[Subnet, ...]:
    """Return the subnets whose packets are, with an address that nobody has asked for."""
    return tuple(
        subnet
        for network in records.networks.readable()
        if (rules := rules_of(network)).masquerade
        for subnet in rules.subnets
        if all(address.family != subnet.family for address in rules.egress)
    )


def is_still_so(machine: Machine, observed: Observed) -> bool:
    """Tell, from a few sysctls, whether nothing has been undone since it was observed.

    A network's bridge, forwarding and the way from 127.0.0.1 are undone by a failed
    attach that made them, if no record tells of anyone who uses them. So are accept
    rules in the tables of others: where they may be needed, the answer is no. Our
    own table is made again by whoever finds it missing.
    """
    if observed.firewall.forward_drop:
        return False
    return all(
        machine.sysctls.read(key) == value
        for key, value in (
            (FORWARD_IPV4, observed.ip_forward),
            (FORWARD_IPV6, observed.ipv6_forward),
            *((_route_localnet(state.device), state.route_localnet) for state in observed.devices),
        )
        if value
    )


def _route_localnet(device: str) -> str:
    return f"net/ipv4/conf/{device}/route_localnet"


def _device(machine: Machine, network: Network, *, dropped: bool) -> DeviceState:
    name = network.device
    link = machine.links.link(name)
    mtu = network.mtu or (link.mtu if link else machine.bridges.uplink_mtu())
    # Read in any case, for `is_still_so`: it goes with the bridge.
    localnet = machine.sysctls.read(_route_localnet(name)) if link else None
    return DeviceState(
        device=name,
        link=link,
        addresses=machine.links.addresses(link.ifindex) if link else (),
        mtu=mtu,
        route_localnet=localnet or "",
        forward_accepted=dropped and machine.forward_accepts.is_accepted(name),
    )


def _ra_uplinks(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Return the links whose default route a router advertised, unless they keep it."""
    accept_ra = (
        (ifname, machine.sysctls.read(f"net/ipv6/conf/{ifname}/accept_ra") or "")
        for ifname in machine.bridges.advertised_uplinks()
    )
    return tuple((ifname, value) for ifname, value in accept_ra if value == "1")

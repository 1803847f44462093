"""How the host routes by source, looked at; and followed, where a container comes or goes by it."""

from __future__ import annotations

from ocinet.engine.model.network import rules_of
from ocinet.engine.model.observed import SourceRouting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Address, Subnet
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.routing import Leaving
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def source_routing(machine: Machine, records: Records) -> SourceRouting:
    """Return what the host's routes say of sources: on most, nothing that has to be followed.

    Of the host, whatever networks are in question: what follows it is one for all.
    """
    rules = machine.routing_rules.rules()
    ways = tuple(way for way in machine.routing_rules.ways_out((4, 6)) if way.says_more)
    masqueraded = _masqueraded(records) if ways else ()
    sources = [rule.source for rule in rules if rule.source]
    if not sources:
        unmasked = _unmasked(records) if ways else ()
        return SourceRouting(rules, ways=ways, masqueraded=masqueraded, unmasked=unmasked)
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
    leaving, inside = _leaving(machine, records)
    unmasked = _unmasked(records)
    return SourceRouting(rules, addresses, strict, ways, masqueraded, unmasked, leaving, inside)


def follow_uplinks(
    operation: Operation, machine: Machine, records: Records, endpoints: Iterable[Endpoint]
) -> tuple[Address, ...]:
    """Have packets of containers leave by the uplinks of their addresses, as it is by now.

    Under the lock by which all share what is made, so that of two who come or go at once the
    later one leaves what is so for both.

    Args:
        operation: by whose locks it goes.
        machine: with the rules, and what our table holds.
        records: of the networks.
        endpoints: that have come, or gone; nothing is looked at where none of them has an
            address of its own to leave with.

    Returns:
        The host's addresses that have an uplink of their own, which is followed.

    Raises:
        OcinetError: it can't be done.
    """
    if not any(endpoint.egress for endpoint in endpoints):
        return ()
    with operation.locks.shared():
        routing = source_routing(machine, records)
        there = machine.firewall.observe().uplinks
        if not (routing.addresses or there):
            return ()
        from ocinet.engine.plan.uplinks import plan_following

        wanted, step = plan_following(routing, there)
        if step:
            step.apply(machine)
    return tuple(address for reply in wanted.marks for address in reply.addresses)


def _leaving(machine: Machine, records: Records) -> tuple[tuple[Leaving, ...], tuple[Subnet, ...]]:
    """Return with which addresses packets leave, and where they go as ever.

    Of containers our table tells it, so that nobody reads a thousand records for it.
    """
    from ocinet.engine.plan.egress import alone, leaving_of_network

    networks = records.networks.readable()
    found = [way for network in networks for way in leaving_of_network(rules_of(network))]
    found += [alone(own, address) for own, address in machine.elements.sources()]
    if not found:
        return (), ()
    return tuple(found), tuple(pool.subnet for network in networks for pool in network.pools)


def _masqueraded(records: Records) -> tuple[Subnet, ...]:
    """Return the subnets whose packets are, with an address that nobody has asked for."""
    return tuple(
        subnet
        for network in records.networks.readable()
        if (rules := rules_of(network)).masquerade
        for subnet in rules.subnets
        if all(address.family != subnet.family for address in rules.egress)
    )


def _unmasked(records: Records) -> tuple[tuple[Subnet, Subnet], ...]:
    """Return the destinations for which a network's packets keep the container's own address.

    Each with the network's subnet: what is said of one network says nothing of another.
    """
    return tuple(
        dict.fromkeys(
            (pool.subnet, far)
            for network in records.networks.readable()
            for far in network.unmasked
            for pool in network.pools
            if pool.subnet.family == far.family
        )
    )


def _rp_filter(ifname: str) -> str:
    return f"net/ipv4/conf/{ifname}/rp_filter"

"""Looking at the host before a plan is made. Reads only."""

from __future__ import annotations

from ocinet.engine.model.observed import DeviceState, Observed
from ocinet.engine.plan.networks import FORWARD_IPV4, FORWARD_IPV6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.network import Network, NetworkRules
    from ocinet.engine.plan.machine import Machine

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

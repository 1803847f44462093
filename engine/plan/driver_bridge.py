"""The driver `bridge`: a bridge of the host, and for each container a pair with one end on it.

See `driver.Driver` for what each function promises. What few attaches come by is elsewhere:
definitions in `new_network`, what is otherwise by now in `bridge_flaws`.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Interface
from ocinet.base.errors import ConflictError, NotFoundError
from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.link import Veth
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import DeviceState
from ocinet.engine.plan.endpoint import guard_of, host_mac
from ocinet.engine.plan.own_steps import Explain
from ocinet.engine.plan.port_steps import AddVeth
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.engine.model.access import Access
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.request import EndpointRequest
    from ocinet.engine.plan.flaw import Connected, Flaw, Left
    from ocinet.engine.plan.new_network import NetworkOptions, Surroundings


def define(name: str, options: NetworkOptions, around: Surroundings) -> Network:
    """Return a new network: on a bridge of ours, or on one that is adopted."""
    from ocinet.engine.plan.new_network import define as define_bridged

    return define_bridged(name, options, around)


def check(access: Access | None, wish: EndpointRequest, network: Network) -> None:
    """Refuse nothing: what is checked of every network is all that there is."""


def ready(network: Network, state: DeviceState) -> list[Step]:
    """Return the steps that make the bridge; none if it is there, and whole."""
    if state.link and state.link.kind != "bridge":
        raise ConflictError(
            "",
            f"{network.device} is a {state.link.kind or 'physical'} link, "
            f"no bridge, so network {network.name} can't use it",
            f"rename that link, or: ocinet network rm {network.name}",
        )
    if not network.managed:
        if not state.link or not state.link.up:
            down = "down" if state.link else "not there"
            raise NotFoundError(
                "",
                f"the bridge {network.device} of network {network.name} is {down}",
                f"ip link set {network.device} up",
            )
        return [Explain(explain_vlan(network.device))] if state.link.without_vlan else []
    _check_in_nobodys_way(network, state)
    steps: list[Step] = []
    addresses = gateways(network)
    # Whatever is missing of it: with its address goes the gateway of all its containers.
    link = state.link
    whole = link and link.up and not link.without_arp and link.mtu == state.mtu
    if link and link.spans:
        steps.append(Explain(explain_spanning(network.device)))
    if not whole or state.unrouted or not set(addresses) <= set(state.addresses):
        from ocinet.engine.plan.shared_steps import MakeBridge

        steps.append(MakeBridge(network.device, bridge_mac(network), state.mtu, addresses))
    return steps


def connect(endpoint: Endpoint, network: Network, alias: str, netns: str) -> Step:
    """Return the step that makes a pair, one end a port of the bridge."""
    veth = Veth(
        host_ifname=endpoint.host_ifname,
        ifname=endpoint.ifname,
        mac=endpoint.mac,
        # An adopted bridge may have grown by when it is made anew, and is not to shrink by it.
        mtu=endpoint.mtu if network.managed else 0,
        bridge=endpoint.device,
        alias=alias,
        host_mac=host_mac(endpoint.host_ifname),
        guard=guard_of(endpoint, network),
        isolated=not network.siblings,
    )
    return AddVeth(veth, netns)


def lost(endpoint: Endpoint, left: Left) -> str:
    """Return why a pair has to be made anew, its host end being gone."""
    from ocinet.engine.plan.bridge_flaws import why_lost

    return why_lost(endpoint, left)


def flaws(connected: Connected, links: Mapping[str, Link], left: Left) -> list[Flaw]:
    """Return what of a host end is otherwise: its bridge, its guard, its bandwidth."""
    from ocinet.engine.plan.bridge_flaws import flaws_of_port

    return flaws_of_port(connected, links, left)


def bridge_mac(network: Network) -> str:
    """Return a managed bridge's MAC, which ports that come and go don't change."""
    digest = blake2s(f"{network.name}\0{network.created}".encode(), digest_size=4).digest()
    return f"02:62:{digest.hex(':')}"


def gateways(network: Network) -> tuple[Interface, ...]:
    """Return the addresses that a managed network's bridge bears."""
    return tuple(
        Interface(pool.gateway, pool.subnet.prefixlen) for pool in network.pools if pool.gateway
    )


def explain_spanning(device: str) -> str:
    """Return what a spanning tree on a bridge of ours costs; who has it on may have loops."""
    return (
        f"{device} has a spanning tree, which ours do not: what comes to it is not reached for"
        f" 30 s: ip link set {device} type bridge stp_state 0"
    )


def explain_vlan(device: str) -> str:
    """Return why a new port of an adopted bridge carries nothing, and what helps."""
    return (
        f"{device} filters VLANs and gives new ports none, so nothing passes: "
        f"ip link set {device} type bridge vlan_default_pvid VLAN"
    )


def _check_in_nobodys_way(network: Network, state: DeviceState) -> None:
    """Refuse a network whose subnet the host uses otherwise by now, as an uplink's."""
    for other in state.in_the_way:
        mine = next(pool.subnet for pool in network.pools if pool.subnet.overlaps(other))
        raise ConflictError(
            "",
            f"{mine} of network {network.name} overlaps {other}, which the host has at "
            "another link, or routes there, since the network was defined",
            f"ocinet network rm {network.name} && ocinet network create {network.name}",
        )

"""The driver `macvlan`: a container on the LAN itself, by a MAC of its own on a link of the host's.

See `driver.Driver` for what each function promises. The interface is in the container alone:
the host has no end of it, so nothing of it is looked at, guarded, limited or counted there, and
nothing is published: whoever is on the LAN reaches the container as any other machine.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.lan import Child, HostSide
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import DeviceState
from ocinet.engine.plan.driver_bridge import bridge_mac
from ocinet.engine.plan.lan_steps import AddChild, MakeShim, alone
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.engine.model.access import Access
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.request import EndpointRequest
    from ocinet.engine.plan.flaw import Connected, Flaw, Left
    from ocinet.engine.plan.new_network import NetworkOptions, Surroundings

MODES = ("bridge", "private", "vepa", "passthru")  # the first is the default, as with docker
PASSTHRU = "passthru"


def define(name: str, options: NetworkOptions, around: Surroundings) -> Network:
    """Return a new network on a link of the host's."""
    from ocinet.engine.plan.new_lan import define_lan

    return define_lan(name, options, around, MODES)


def check(access: Access | None, wish: EndpointRequest, network: Network) -> None:
    """Refuse what the host could not hold, for none of the container's packets pass it."""
    where = f"network {network.name} is on the LAN by {network.parent}"
    if wish.bandwidth:
        raise RequestError("", f"{where}, past the host's queues: no bandwidth is limited there",
                           "limit it in the container, or on the switch")  # fmt: skip
    # Of a network that keeps its containers apart a container has one unsaid, which holds there.
    if access and not access.allow is access.expose is access.egress is None:
        raise RequestError("", f"{where}, past the host's firewall: who may talk to whom (--egress,"
                           " --allow, --expose) is not held there",
                           f"use networks of the driver bridge alone: {network.name} is none"
                           )  # fmt: skip
    if wish.mac and network.mode == PASSTHRU:
        raise RequestError("", f"{where} with mode={PASSTHRU}, where its MAC is that of the link",
                           "leave the MAC out")  # fmt: skip


def ready(network: Network, state: DeviceState) -> list[Step]:
    """Return the step that makes the host's own interface, if there is to be one."""
    link = state.link
    if link is None or not link.up:
        how = "down" if link else "not there"
        raise NotFoundError(
            "",
            f"{network.parent}, by which network {network.name} is on the LAN, is {how}",
            f"ip link set {network.parent} up" if link else "see: ip link",
        )
    if network.mtu > link.mtu:  # what shares it can't send more than it (macvlan_change_mtu)
        why = f"{network.parent} has an MTU of {link.mtu} by now, and network {network.name} one of"
        raise ConflictError("", f"{why} {network.mtu}", f"ip link set {network.parent} mtu"
                            f" {network.mtu}, or define the network anew")  # fmt: skip
    if not network.host_access or _is_whole(network, state.shim):
        return []
    child = Child(
        network.device, network.parent, network.driver, network.mode, bridge_mac(network), state.mtu
    )
    return [MakeShim(network.device, child, network.host_access)]


def _is_whole(network: Network, shim: HostSide | None) -> bool:
    return bool(
        shim and shim.link.up and set(map(alone, network.host_access)) <= set(shim.addresses)
    )


def connect(endpoint: Endpoint, network: Network, alias: str, netns: str) -> Step:
    """Return the step that makes the interface."""
    del alias  # a link in a sandbox has none that the host would see
    mac = "" if network.mode == PASSTHRU else endpoint.mac
    child = Child(endpoint.ifname, network.parent, network.driver, network.mode, mac, endpoint.mtu)
    if not network.host_access:
        return AddChild(child, netns, endpoint.mac)
    addresses = tuple(interface.address for interface in endpoint.addresses)
    return AddChild(child, netns, endpoint.mac, network.device, addresses)


def lost(endpoint: Endpoint, left: Left) -> str:
    """Return that the interface is gone from the sandbox; nothing of it is anywhere else.

    One that has another MAC is there: that is put right as any other's. Where no index is on
    record, one of its name is it.
    """
    inside, ifname, ifindex = left.inside, endpoint.ifname, endpoint.ifindex
    if inside is None:
        return ""
    for link in inside:
        if ifindex and link.ifindex == ifindex:
            renamed = f"in the sandbox, {ifname} is called {link.ifname} by now"
            return "" if link.ifname == ifname else renamed
    if any(link.ifname == ifname and (not ifindex or link.mac == endpoint.mac) for link in inside):
        return ""
    return f"in the sandbox, {ifname} is gone, or is another one"


def flaws(connected: Connected, links: Mapping[str, Link], left: Left) -> list[Flaw]:
    """Return nothing: what is in the sandbox is compared for every driver alike."""
    del connected, links, left
    return []

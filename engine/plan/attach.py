"""From what is wanted and what was observed to the steps that wire a sandbox.

Nothing here reads the kernel, a file, the clock or the environment: the same
arguments give the same plan, and plans are compared with `==`.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.link import ALIAS_MAX, Inside, Veth
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import Observed
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.endpoint import derive_mac, host_mac
from ocinet.engine.plan.networks import or_explain, plan_networks
from ocinet.engine.plan.ports import targets_of
from ocinet.engine.plan.shared_steps import LOOPBACK_ROUTED, RouteLoopback
from ocinet.engine.plan.steps import (
    AddVeth,
    ConfigureInside,
    ForgetFlows,
    NameSandbox,
    RaiseLoopback,
    SetHairpin,
    Step,
)


class Wanted(Value):
    """What an attach is to bring about.

    Attributes:
        container: its process names the sandbox.
        netns: how `ip -n` reaches the sandbox: a name or a path.
        name_sandbox: whether `netns` is a name to make.
        networks: of the endpoints, each once.
        endpoints: to make.
        ports: to open.
        reached: endpoints that the ports lead to, also those that are there already.
    """

    container: Container
    netns: str
    name_sandbox: bool
    networks: tuple[Network, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortRule, ...] = ()
    reached: tuple[Endpoint, ...] = ()


def plan_attach(wanted: Wanted, observed: Observed, settings: Settings) -> tuple[Step, ...]:
    """Return the steps that wire a sandbox.

    Raises:
        NotFoundError: an adopted bridge is not there.
        ConflictError: a link that is no bridge has a bridge's name.
    """
    steps: list[Step] = []
    if wanted.name_sandbox and wanted.container.process:
        steps.append(NameSandbox(wanted.netns, wanted.container.process))
    steps += plan_networks(wanted.networks, wanted.ports, observed, settings)
    if wanted.networks or wanted.ports:
        # After the table, never before it: its raw prerouting chain is what keeps
        # others from the host's 127.0.0.1 services while this is on.
        steps += or_explain(_plan_loopback(wanted, observed), settings)
    for endpoint in wanted.endpoints:
        steps += _plan_endpoint(endpoint, wanted)
    if not wanted.endpoints and not wanted.ports:
        steps.append(RaiseLoopback(wanted.netns))
    steps += [SetHairpin(endpoint.host_ifname) for endpoint in wanted.reached]
    # Last, when the ports lead here: a flow goes on to where it was first sent for as long
    # as packets keep coming.
    udp = tuple(port for port in wanted.ports if port.protocol == "udp")
    return (*steps, ForgetFlows(udp)) if udp else tuple(steps)


def _plan_loopback(wanted: Wanted, observed: Observed) -> list[Step]:
    by_loopback = targets_of(
        port
        for port in wanted.ports
        if port.address.family == 4 and (port.host_address is None or port.host_address.is_loopback)
    )
    devices = {
        endpoint.device
        for endpoint in wanted.reached
        if any(interface.address in by_loopback for interface in endpoint.addresses)
    }
    return [
        RouteLoopback(state.device, LOOPBACK_ROUTED)
        for state in observed.devices
        if state.device in devices and state.route_localnet in ("", "0")
    ]


def _plan_endpoint(endpoint: Endpoint, wanted: Wanted) -> list[Step]:
    alias = f"ocinet:{wanted.container.id}/{endpoint.ifname}"[:ALIAS_MAX]
    veth = Veth(
        host_ifname=endpoint.host_ifname,
        ifname=endpoint.ifname,
        mac=endpoint.mac,
        mtu=endpoint.mtu,
        bridge=endpoint.device,
        alias=alias,
        host_mac=host_mac(endpoint.host_ifname),
    )
    inside = Inside(
        ifname=endpoint.ifname,
        addresses=endpoint.addresses,
        routes=endpoint.routes,
        ipv6=any(interface.address.family == 6 for interface in endpoint.addresses),
        announce=_may_be_known_otherwise(endpoint, wanted),
    )
    return [
        AddVeth(veth, wanted.netns),
        ConfigureInside(inside, wanted.netns, endpoint.host_ifname),
    ]


def _may_be_known_otherwise(endpoint: Endpoint, wanted: Wanted) -> bool:
    """Tell whether somebody may know an endpoint's address by another MAC, or port.

    Not on our own bridge, if the MAC goes with the address. An announcement goes to
    every port of it: with a thousand of them, that takes longer than all else.
    """
    network = next(network for network in wanted.networks if network.name == endpoint.network)
    usual = [derive_mac(interface.address) for interface in endpoint.addresses]
    return not network.managed or usual != [endpoint.mac]

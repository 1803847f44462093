"""From what is wanted and what was observed to the steps that wire a sandbox.

Nothing here reads the kernel, a file, the clock or the environment: the same
arguments give the same plan, and plans are compared with `==`.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Address, Interface
from ocinet.base.value import Value
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.forwarding import LOOPBACK_ROUTED
from ocinet.engine.model.link import ALIAS_MAX, FIRST_SOURCE_TABLE, Inside, SourceWay
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import Observed
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.driver import driver_of
from ocinet.engine.plan.endpoint import derive_mac
from ocinet.engine.plan.networks import or_explain, plan_networks
from ocinet.engine.plan.own_steps import ConfigureInside, NameSandbox, RaiseLoopback
from ocinet.engine.plan.port_steps import SetHairpin
from ocinet.engine.plan.ports import targets_of
from ocinet.engine.plan.removal_steps import ForgetFlows
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.request import Route


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
        beside: endpoints that are there already.
    """

    container: Container
    netns: str
    name_sandbox: bool
    networks: tuple[Network, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortRule, ...] = ()
    reached: tuple[Endpoint, ...] = ()
    beside: tuple[Endpoint, ...] = ()


def plan_attach(wanted: Wanted, observed: Observed, settings: Settings) -> tuple[Step, ...]:
    """Return the steps that wire a sandbox.

    Raises:
        NotFoundError: an adopted bridge is not there.
        ConflictError: a link that is no bridge has a bridge's name.
    """
    steps: list[Step] = []
    if wanted.name_sandbox and wanted.container.process:
        steps.append(NameSandbox(wanted.netns, wanted.container.process))
    if any(endpoint.egress for endpoint in wanted.endpoints):
        from ocinet.engine.plan.egress import with_leaving

        observed = observed.replace(routing=with_leaving(observed.routing, wanted.endpoints))
    steps += plan_networks(wanted.networks, wanted.ports, observed, settings)
    if wanted.networks or wanted.ports:
        # After the table, never before it: its raw prerouting chain is what keeps
        # others from the host's 127.0.0.1 services while this is on.
        loopback = plan_loopback(wanted.ports, wanted.reached, observed)
        steps += or_explain(loopback, settings)
    for endpoint in wanted.endpoints:
        steps += plan_endpoint(endpoint, wanted)
    if wanted.endpoints:
        steps += plan_by_source(wanted)
        steps += plan_refusing(wanted)
    if not wanted.endpoints and not wanted.ports:
        steps.append(RaiseLoopback(wanted.netns))
    steps += [SetHairpin(endpoint.host_ifname) for endpoint in wanted.reached]
    # Last, when the ports lead here: a flow goes on to where it was first sent for as long
    # as packets keep coming.
    udp = tuple(port for port in wanted.ports if port.protocol == "udp")
    return (*steps, ForgetFlows(udp)) if udp else tuple(steps)


def plan_loopback(
    ports: tuple[PortRule, ...], reached: tuple[Endpoint, ...], observed: Observed
) -> list[Step]:
    """Return the steps that let ports be reached at 127.0.0.1, on bridges where they can't be.

    Args:
        ports: of one container, or of many.
        reached: endpoints that they lead to.
        observed: of their devices.
    """
    by_loopback = targets_of(
        port
        for port in ports
        if port.address.family == 4 and (port.host_address is None or port.host_address.is_loopback)
    )
    devices = {
        endpoint.device
        for endpoint in reached
        if any(interface.address in by_loopback for interface in endpoint.addresses)
    }
    # Any other value is a yes already, and somebody else's to take back.
    unrouted = [
        state.device
        for state in observed.devices
        if state.device in devices and state.route_localnet in ("", "0")
    ]
    if not unrouted:
        return []
    from ocinet.engine.plan.shared_steps import RouteLoopback  # for the first on a bridge

    return [RouteLoopback(device, LOOPBACK_ROUTED) for device in unrouted]


def plan_endpoint(endpoint: Endpoint, wanted: Wanted) -> tuple[Step, ...]:
    """Return the steps that make an endpoint: its pair, then what is inside, then the rest."""
    network = network_of(endpoint, wanted.networks)
    inside = inside_of(endpoint, announce=_may_be_known_otherwise(endpoint, wanted))
    steps: tuple[Step, ...] = (
        driver_of(network.driver).connect(
            endpoint, network, alias_of(wanted.container, endpoint), wanted.netns
        ),
        ConfigureInside(inside, wanted.netns, endpoint.host_ifname),
    )
    if endpoint.sysctls:
        from ocinet.engine.plan.sysctl_steps import SetInside

        steps += (SetInside(endpoint.sysctls, wanted.netns),)
    if endpoint.egress:
        from ocinet.engine.plan.access_steps import ChangeAccess
        from ocinet.engine.plan.egress import source_elements

        steps += (ChangeAccess((), source_elements(endpoint)),)
    if endpoint.bandwidth:
        steps += plan_shape(endpoint, None, wanted.container)
    return steps


def plan_shape(
    endpoint: Endpoint, before: Bandwidth | None, container: Container
) -> tuple[Step, ...]:
    """Return the step that gives an endpoint its bandwidth, in place of what it had."""
    from ocinet.engine.plan.shaping_steps import Shape  # for the few that have one

    alias = alias_of(container, endpoint)
    return (Shape(endpoint.host_ifname, endpoint.bandwidth, before, alias),)


def alias_of(container: Container, endpoint: Endpoint) -> str:
    """Return the alias of an endpoint's links of the host: whose they are."""
    return f"ocinet:{container.id}/{endpoint.ifname}"[:ALIAS_MAX]


def network_of(endpoint: Endpoint, networks: tuple[Network, ...]) -> Network:
    """Return an endpoint's network, of some."""
    return next(network for network in networks if network.name == endpoint.network)


def plan_by_source(wanted: Wanted) -> tuple[Step, ...]:
    """Return the step that has a container on several networks answer by each of them.

    Of those that are there already, and were the only one, the default route tells the
    gateway; others have got their ways.
    """
    ways = source_ways((*wanted.beside, *wanted.endpoints), wanted.networks)
    if not ways:
        return ()
    from ocinet.engine.plan.source_steps import RouteBySource

    return (RouteBySource(ways, wanted.netns),)


def plan_refusing(wanted: Wanted) -> tuple[Step, ...]:
    """Return the steps that have a sandbox refuse what it is asked to, whatever it sends it from.

    Behind those of `plan_by_source`: what was refused before has to be in new tables, too.
    """
    before = _refusing(wanted.beside)
    new = tuple(route for route in _refusing(wanted.endpoints) if route not in before)
    if not (before or new):
        return ()
    from ocinet.engine.plan.refusal_steps import Refuse

    ways = source_ways((*wanted.beside, *wanted.endpoints), wanted.networks)
    tables = tuple(dict.fromkeys((way.address.address.family, way.table) for way in ways))
    again = (Refuse(before, wanted.netns, tables, stays=True),) if before and tables else ()
    return (*again, Refuse(new, wanted.netns, tables)) if new else again


def _refusing(endpoints: tuple[Endpoint, ...]) -> tuple[Route, ...]:
    return tuple(dict.fromkeys(route for end in endpoints for route in end.refusing))


def source_ways(
    endpoints: tuple[Endpoint, ...], networks: tuple[Network, ...]
) -> tuple[SourceWay, ...]:
    """Return how what a sandbox sends from its addresses is routed; () where it has one way.

    A network that has not got the default route of one of its families is a second way,
    whoever that route is by; so is one that has a second such route, of another metric.

    Args:
        endpoints: all of its endpoints.
        networks: of those whose gateway no default route tells.
    """
    ways = [
        (endpoint, SourceWay(endpoint.ifname, interface, gateway, _table_of(endpoint.ifname)))
        for endpoint in endpoints
        for interface in endpoint.addresses
        if (gateway := gateway_of(endpoint, interface, networks))
    ]
    first: dict[int, Endpoint] = {}
    several = {
        way.address.address.family
        for endpoint, way in ways
        if not has_default(endpoint, way.address.address.family)
        or first.setdefault(way.address.address.family, endpoint) is not endpoint
    }
    return tuple(way for _, way in ways if way.address.address.family in several)


def _table_of(ifname: str) -> int:
    """Return the table of an interface: by its name, for the others come and go."""
    number = ifname.removeprefix("eth")
    if number.isdigit() and len(number) < 3:
        return FIRST_SOURCE_TABLE + int(number)
    digest = blake2s(ifname.encode(), digest_size=2).digest()
    return FIRST_SOURCE_TABLE + 100 + int.from_bytes(digest, "big")


def has_default(endpoint: Endpoint, family: int) -> bool:
    """Tell whether an endpoint has a default route of a family."""
    return any(
        not route.destination.prefixlen and route.destination.family == family
        for route in endpoint.routes
    )


def gateway_of(
    endpoint: Endpoint, interface: Interface, networks: tuple[Network, ...]
) -> Address | None:
    """Return by which gateway what is sent from an address gets out; None if it can't."""
    for route in endpoint.routes:
        if not route.destination.prefixlen and route.destination.family == interface.address.family:
            return route.gateway
    network = next((network for network in networks if network.name == endpoint.network), None)
    if network is None or network.internal:
        return None
    pools = (pool for pool in network.pools if interface.address in pool.subnet)
    return next((pool.gateway for pool in pools), None)


def inside_of(endpoint: Endpoint, *, announce: bool) -> Inside:
    """Return what an endpoint's interface is to have in the sandbox."""
    return Inside(
        ifname=endpoint.ifname,
        addresses=endpoint.addresses,
        routes=tuple(route for route in endpoint.routes if route.kind == "unicast"),
        ipv6=any(interface.address.family == 6 for interface in endpoint.addresses),
        announce=announce,
    )


def _may_be_known_otherwise(endpoint: Endpoint, wanted: Wanted) -> bool:
    """Tell whether somebody may know an endpoint's address by another MAC, or port.

    Not on our own bridge, if the MAC goes with the address. An announcement goes to
    every port of it: with a thousand of them, that takes longer than all else.
    """
    network = network_of(endpoint, wanted.networks)
    usual = [derive_mac(interface.address) for interface in endpoint.addresses]
    return not network.managed or usual != [endpoint.mac]

"""From what is wanted and what was observed to the steps between: pure functions.

Nothing here reads the kernel, a file, the clock or the environment: the same
arguments give the same plan, and plans are compared with `==`.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.base.value import Value
from ocinet.engine.firewall.table import explain_forward_drop
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.endpoint import Endpoint, PortRule, targets_of
from ocinet.engine.model.link import Inside, Veth
from ocinet.engine.model.network import Network, rules_of
from ocinet.engine.model.observed import Observed
from ocinet.engine.model.request import EndpointRequest, Publish, Request, Route
from ocinet.engine.model.settings import Settings
from ocinet.engine.shared_steps import (
    LOOPBACK_ROUTED,
    AcceptForward,
    EnterNetwork,
    MakeBridge,
    MakeTable,
    RouteLoopback,
    SetSysctl,
)
from ocinet.engine.steps import (
    AddVeth,
    CloseFirewall,
    ConfigureInside,
    DeleteLinks,
    Explain,
    ForgetFlows,
    NameSandbox,
    OpenFirewall,
    RaiseLoopback,
    SetHairpin,
    Step,
    UnnameSandbox,
)

ALIAS_MAX = 255  # IFALIASZ, less the NUL
_LEAST_MTU_IPV6 = 1280  # RFC 8200 section 5
_ANYWHERE = {4: Subnet(4, 0, 0), 6: Subnet(6, 0, 0)}
FORWARD_IPV4 = "net/ipv4/ip_forward"
FORWARD_IPV6 = "net/ipv6/conf/all/forwarding"


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


def assign_ifnames(
    requests: tuple[EndpointRequest, ...], used: tuple[str, ...]
) -> tuple[EndpointRequest, ...]:
    """Give each request without an interface name the first free of eth0, eth1, ….

    Raises:
        ConflictError: a name that is asked for is used in the sandbox already.
    """
    taken = set(used)
    for request in requests:
        if request.ifname and request.ifname in taken:
            raise ConflictError(
                "",
                f"the interface {request.ifname} is there already",
                "ask for another one with ifname=",
            )
        taken.add(request.ifname)
    named = []
    for request in requests:
        number = 0
        while not request.ifname and f"eth{number}" in taken:
            number += 1
        ifname = request.ifname or f"eth{number}"
        taken.add(ifname)
        named.append(request.replace(ifname=ifname))
    return tuple(named)


def host_ifname(container_id: str, ifname: str, sandbox: str) -> str:
    """Return the name of a host end: unique per attach, 15 characters.

    The sandbox is part of it: a dead sandbox keeps its host end's name taken
    for 16 to 40 ms, and a restart must not want the same one.
    """
    text = f"{container_id}\0{ifname}\0{sandbox}".encode()
    return f"oc{blake2s(text, digest_size=7).hexdigest()[:13]}"


def host_mac(host_ifname: str) -> str:
    """Return a host end's MAC: one so high that an adopted bridge keeps its own.

    A bridge without a MAC that was set takes the lowest of its ports'
    (net/bridge/br_stp_if.c, br_stp_recalculate_bridge_id): a container that
    starts must not change the address that the host is known under.
    """
    digits = host_ifname[-10:]
    return ":".join(("fe", *(digits[at : at + 2] for at in range(0, 10, 2))))


def derive_mac(address: Address) -> str:
    """Return a locally administered MAC that goes with an address.

    The address that comes again brings the same MAC, so the neighbours' ARP
    caches stay right whatever container has it.
    """
    if address.family == 4:
        return f"02:6f:{address.packed.hex(':')}"
    return f"02:66:{blake2s(address.packed, digest_size=4).digest().hex(':')}"


def bridge_mac(network: Network) -> str:
    """Return a managed bridge's MAC, which ports that come and go don't change."""
    digest = blake2s(f"{network.name}\0{network.created}".encode(), digest_size=4).digest()
    return f"02:62:{digest.hex(':')}"


def check_request(request: Request, networks: tuple[Network, ...]) -> None:
    """Refuse what these networks can't give, before anything is changed.

    Raises:
        RequestError: a static address, gateway or publish does not fit.
    """
    for wish, network in zip(request.endpoints, networks, strict=True):
        where = f"network {network.name}"
        for address in wish.addresses:
            if not any(address in pool.subnet for pool in network.pools):
                subnets = ", ".join(str(pool.subnet) for pool in network.pools)
                raise RequestError("", f"{address} is not in {where}", f"its subnets are {subnets}")
        if wish.gateway and wish.gateway.family not in network.families:
            raise RequestError(
                "", f"the gateway {wish.gateway} is of a family that {where} has not"
            )
        if wish.mtu and 6 in network.families and wish.mtu < _LEAST_MTU_IPV6:
            raise RequestError(
                "",
                f"an MTU of {wish.mtu} is too small for IPv6 on {where}",
                f"use {_LEAST_MTU_IPV6} or more",
            )
    if request.publish and networks and all(network.internal for network in networks):
        raise RequestError(
            "",
            f"the network {networks[0].name} is internal: no port can be published",
            "use a network that is not --internal",
        )


class Grant(Value):
    """What an endpoint is given besides what it wishes.

    Attributes:
        container_id: whose it is.
        sandbox: as DEV:INODE.
        addresses: that were allocated.
        mtu: of the bridge, where the wish has none.
        mac: of a reservation, or "".
        default_for: families that it has the default route of.
    """

    container_id: str
    sandbox: str
    addresses: tuple[Address, ...]
    mtu: int
    mac: str = ""
    default_for: tuple[int, ...] = ()


def make_endpoint(wish: EndpointRequest, network: Network, grant: Grant) -> Endpoint:
    """Return the endpoint that a wish comes to, once it has its interface name and addresses."""
    interfaces = []
    for address in grant.addresses:
        pool = next(pool for pool in network.pools if address in pool.subnet)
        interfaces.append(Interface(address, pool.subnet.prefixlen))
    routes = []
    for family in grant.default_for:
        gateway = _gateway(wish, network, family)
        if gateway and any(address.family == family for address in grant.addresses):
            routes.append(Route(_ANYWHERE[family], gateway))
    return Endpoint(
        network=network.name,
        device=network.device,
        ifname=wish.ifname,
        host_ifname=host_ifname(grant.container_id, wish.ifname, grant.sandbox),
        mac=wish.mac or grant.mac or derive_mac(grant.addresses[0]),
        mtu=wish.mtu or grant.mtu,
        addresses=tuple(interfaces),
        routes=(*routes, *wish.routes),
    )


def _gateway(wish: EndpointRequest, network: Network, family: int) -> Address | None:
    if wish.gateway and wish.gateway.family == family:
        return wish.gateway
    if network.internal:
        return None
    gateways = [pool.gateway for pool in network.pools if pool.gateway]
    return next((one for one in gateways if one.family == family), None)


def make_ports(
    publishes: tuple[Publish, ...], endpoints: tuple[Endpoint, ...], internal: tuple[str, ...]
) -> tuple[PortRule, ...]:
    """Return the rules that lead host ports to a container's addresses.

    A publish without a host address leads to its IPv4 address, and to its IPv6
    one if it has that. The first endpoint of the family is meant.

    Args:
        publishes: with their host ports chosen.
        endpoints: all of the container's.
        internal: names of internal networks, which nothing leads into.

    Raises:
        RequestError: the container has no address of the host address's family.
    """
    first = _first_addresses(endpoints, internal)
    both = tuple(sorted(first))
    rules = []
    for wish in publishes:
        host_address = wish.host_address
        families = (host_address.family,) if host_address else both
        if not families or families[0] not in first:
            raise _unreachable(wish, families)
        # 0.0.0.0 and [::] mean every address, of that one family.
        if host_address and not host_address.value:
            host_address = None
        for family in families:
            rules.append(
                PortRule(
                    wish.protocol, host_address, wish.host_port, first[family], wish.container_port
                )
            )
    return tuple(rules)


def _first_addresses(
    endpoints: tuple[Endpoint, ...], internal: tuple[str, ...]
) -> dict[int, Address]:
    first: dict[int, Address] = {}
    for endpoint in endpoints:
        if endpoint.network not in internal:
            for interface in endpoint.addresses:
                first.setdefault(interface.address.family, interface.address)
    return first


def check_ports(
    publishes: tuple[Publish, ...], endpoints: tuple[Endpoint, ...], internal: tuple[str, ...]
) -> None:
    """Refuse what `make_ports` would, before host ports are chosen.

    Raises:
        RequestError: the container has no address of a host address's family.
    """
    make_ports(
        tuple({one.host_address: one for one in reversed(publishes)}.values()), endpoints, internal
    )


def _unreachable(wish: Publish, families: tuple[int, ...]) -> RequestError:
    missing = f"IPv{families[0]} address" if families else "address"
    return RequestError(
        "",
        f"port {wish.host_port or wish.container_port} can't be published: "
        f"the container has no {missing} that can be reached",
        "use a network with that family that is not internal",
    )


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
        steps += _sysctls(_plan_loopback(wanted, observed), settings)
    for endpoint in wanted.endpoints:
        steps += _plan_endpoint(endpoint, wanted)
    if not wanted.endpoints and not wanted.ports:
        steps.append(RaiseLoopback(wanted.netns))
    steps += [SetHairpin(endpoint.host_ifname) for endpoint in wanted.reached]
    udp = tuple(port for port in wanted.ports if port.protocol == "udp")
    return (*steps, ForgetFlows(udp)) if udp else tuple(steps)


def plan_networks(
    networks: tuple[Network, ...],
    ports: tuple[PortRule, ...],
    observed: Observed,
    settings: Settings,
) -> tuple[Step, ...]:
    """Return the steps that make networks ready: all that their containers share.

    Args:
        networks: each once.
        ports: to open on the way.
        observed: of these networks' devices.
        settings: the operator's.

    Raises:
        NotFoundError: an adopted bridge is not there.
        ConflictError: a link that is no bridge has a bridge's name.
    """
    steps = _plan_devices(networks, observed)
    if networks or ports:
        steps += _sysctls(_plan_forwarding(networks, ports, observed), settings)
        steps += _plan_firewall(networks, ports, observed, settings)
    return tuple(steps)


def _plan_devices(networks: tuple[Network, ...], observed: Observed) -> list[Step]:
    steps: list[Step] = []
    for network in networks:
        state = observed.device(network.device)
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
            continue
        addresses = tuple(
            Interface(pool.gateway, pool.subnet.prefixlen) for pool in network.pools if pool.gateway
        )
        if not state.link or not state.link.up or not set(addresses) <= set(state.addresses):
            steps.append(MakeBridge(network.device, bridge_mac(network), state.mtu, addresses))
    return steps


def _sysctls(steps: list[Step], settings: Settings) -> list[Step]:
    """Return the steps, or where we must not write sysctls, what to do by hand."""
    if settings.manage_sysctls:
        return steps
    return [
        Explain(f"{command} is needed, and manage_sysctls is off")
        for step in steps
        for command in step.describe()
    ]


def _plan_forwarding(
    networks: tuple[Network, ...], ports: tuple[PortRule, ...], observed: Observed
) -> list[Step]:
    steps: list[Step] = []
    routed = [one for one in networks if one.managed and not one.internal]
    families = {family for one in routed for family in one.families}
    families |= {target.family for target in targets_of(ports)}
    if 4 in families and observed.ip_forward == "0":
        steps.append(SetSysctl(FORWARD_IPV4, "1", "0"))
    if 6 in families and observed.ipv6_forward == "0":
        # Forwarding makes the kernel ignore router advertisements, and with
        # them the host's own default route, unless accept_ra is 2.
        steps += [
            SetSysctl(f"net/ipv6/conf/{ifname}/accept_ra", "2", accept_ra)
            for ifname, accept_ra in observed.ra_uplinks
        ]
        steps.append(SetSysctl(FORWARD_IPV6, "1", "0"))
    return steps


def _plan_firewall(
    networks: tuple[Network, ...],
    ports: tuple[PortRule, ...],
    observed: Observed,
    settings: Settings,
) -> list[Step]:
    firewall = observed.firewall
    steps: list[Step] = [] if firewall.table else [MakeTable(*observed.recorded)]
    known = []
    for network in networks:
        state = observed.device(network.device)
        if state.link:
            known.append(rules_of(network))  # enter it all the same: a flush is mended so
        else:
            steps.append(EnterNetwork(network.device, rules_of(network)))
        foreign = tuple(one for one in observed.foreign_drop if one not in firewall.forward_drop)
        if firewall.forward_drop and not state.forward_accepted:
            if settings.forward_accept:
                accept = AcceptForward(network.device, network.managed, firewall.docker_user)
                steps.append(accept)
            else:
                foreign += firewall.forward_drop
        if foreign:
            steps.append(Explain(explain_forward_drop(foreign, network.device)))
    if known or ports:
        steps.append(OpenFirewall(tuple(known), ports))
    return steps


def _plan_loopback(wanted: Wanted, observed: Observed) -> list[Step]:
    by_loopback = targets_of(
        port
        for port in wanted.ports
        if port.address.family == 4 and (port.host_address is None or port.host_address.is_loopback)
    )
    devices = {
        endpoint.device
        for endpoint in wanted.reached
        if any(one.address in by_loopback for one in endpoint.addresses)
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
        ipv6=any(one.address.family == 6 for one in endpoint.addresses),
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
    network = next(one for one in wanted.networks if one.name == endpoint.network)
    usual = [derive_mac(one.address) for one in endpoint.addresses]
    return not network.managed or usual != [endpoint.mac]


def close_ports(ports: tuple[PortRule, ...]) -> tuple[Step, ...]:
    """Return the steps that take published ports back."""
    if not ports:
        return ()
    udp = tuple(port for port in ports if port.protocol == "udp")
    return (CloseFirewall(ports), ForgetFlows(udp)) if udp else (CloseFirewall(ports),)


def plan_detach(attachment: Attachment, ports: tuple[PortRule, ...]) -> tuple[Step, ...]:
    """Return the steps that take down what a record tells of.

    Args:
        attachment: the record; nothing else is needed, no sandbox and no bundle.
        ports: those of the record that the container still holds.
    """
    steps = list(close_ports(ports))
    if attachment.endpoints:
        steps.append(DeleteLinks(tuple(one.host_ifname for one in attachment.endpoints)))
    of_members = (member.process for member in attachment.members)
    processes = tuple(one for one in (attachment.container.process, *of_members) if one)
    if attachment.netns_name and processes:
        steps.append(UnnameSandbox(attachment.netns_name, processes))
    return tuple(steps)

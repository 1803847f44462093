"""From a wish and what it was given to the endpoint that it comes to."""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import ConflictError, RequestError
from ocinet.base.value import Value
from ocinet.engine.model.endpoint import Endpoint, InsideSysctl
from ocinet.engine.model.link import is_link_local
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import EndpointRequest, Request, Route, metric_of
from ocinet.engine.ruleset.port_guard import guard_program

_LEAST_MTU_IPV6 = 1280  # RFC 8200 section 5
_LOOPBACK = (Subnet(4, 127 << 24, 8), Subnet(6, 1, 128))
_ANYWHERE = {4: Subnet(4, 0, 0), 6: Subnet(6, 0, 0)}


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

    >>> derive_mac(Address.parse("10.9.0.5"))
    '02:6f:0a:09:00:05'
    """
    if address.family == 4:
        return f"02:6f:{address.packed.hex(':')}"
    return f"02:66:{blake2s(address.packed, digest_size=4).digest().hex(':')}"


def guard_of(endpoint: Endpoint, network: Network) -> bytes:
    """Return the program that guards an endpoint's host end; b"" on a network without."""
    if not network.guard:
        return b""
    addresses = tuple(interface.address for interface in endpoint.addresses)
    return guard_program(endpoint.mac, addresses)


def check_request(request: Request, networks: tuple[Network, ...]) -> None:
    """Refuse what these networks can't give, before anything is changed.

    Raises:
        ConflictError: one of them takes no new containers.
        RequestError: a static address, gateway, route or publish does not fit.
    """
    for wish, network in zip(request.endpoints, networks, strict=True):
        where = f"network {network.name}"
        if network.closed:
            raise ConflictError("", f"{where} takes no new containers: {network.closed}",
                                f"ocinet network inspect {network.name}")  # fmt: skip
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
        _check_ways(wish, network)
        if wish.egress:
            from ocinet.engine.plan.egress import check_egress  # for the few that ask

            check_egress(network, wish.egress)
    if request.publish and networks and all(network.internal for network in networks):
        raise RequestError(
            "",
            f"the network {networks[0].name} is internal: no port can be published",
            "use a network that is not --internal",
        )


def _check_ways(wish: EndpointRequest, network: Network) -> None:
    """Refuse routes that lead to nobody: through what is not on the link, or is no host there."""
    subnets = [pool.subnet for pool in network.pools]
    near = subnets + [route.destination for route in wish.routes if route.is_on_link]
    for route in wish.routes:
        if any(route.destination.overlaps(own) for own in _LOOPBACK):
            raise RequestError("", f"{route.destination} is the container's own, by lo")
        if route.kind != "unicast" and route.destination in subnets:
            raise RequestError("", f"{route.destination} is network {network.name} itself",
                               "what is on a network can't refuse it all")  # fmt: skip
    for gateway in filter(None, (wish.gateway, *(route.gateway for route in wish.routes))):
        why = ""
        if gateway in wish.addresses:
            why = "is the container's own address"
        elif not any(gateway in subnet for subnet in near) and not is_link_local(gateway):
            known = ", ".join(map(str, subnets))
            why = f"is not on network {network.name} ({known})"
        elif any(_is_no_host(gateway, subnet) for subnet in subnets):
            why = f"is no host's address on network {network.name}"
        if why:
            alone = Subnet(gateway.family, gateway.value, 32 if gateway.family == 4 else 128)
            hint = f"if it is on the link all the same: routes={alone}" if "not on" in why else ""
            raise RequestError("", f"the gateway {gateway} {why}", hint)


def _is_no_host(address: Address, subnet: Subnet) -> bool:
    ends = (subnet.first, subnet.last) if subnet.family == 4 else (subnet.first,)
    return subnet.size > 2 and address in ends


def check_mtu(wish: EndpointRequest, network: Network, mtu: int) -> None:
    """Refuse an MTU that does not fit its bridge.

    A bridge whose owner set none has the least of its ports' (net/bridge/br_if.c,
    br_mtu_auto_adjust): one container would lower it for all, and with less than 1280 bytes
    take the bridge's own addresses of IPv6.

    Args:
        wish: for an endpoint.
        network: that it is on.
        mtu: of the network's bridge.

    Raises:
        RequestError: it is larger than the bridge's, or smaller and the bridge is adopted.
    """
    if wish.mtu > mtu:
        raise RequestError(
            "",
            f"an MTU of {wish.mtu} is larger than that of {network.parent or network.device},"
            f" which is {mtu}",
            f"use {mtu} or less" if network.managed else "leave it out",
        )
    if 0 < wish.mtu < mtu and not (network.managed or network.is_lan):
        raise RequestError(
            "",
            f"an MTU of {wish.mtu} would be that of all on {network.device}, which has {mtu}",
            "leave it out: what is on somebody else's bridge has the bridge's",
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
        sysctls: that it asks for, with what the sandbox has.
    """

    container_id: str
    sandbox: str
    addresses: tuple[Address, ...]
    mtu: int
    mac: str = ""
    default_for: tuple[int, ...] = ()
    sysctls: tuple[InsideSysctl, ...] = ()


def make_endpoint(wish: EndpointRequest, network: Network, grant: Grant) -> Endpoint:
    """Return the endpoint that a wish comes to, once it has its interface name and addresses."""
    interfaces = []
    for address in grant.addresses:
        pool = next(pool for pool in network.pools if address in pool.subnet)
        alone = 32 if address.family == 4 else 128
        interfaces.append(Interface(address, alone if network.apart else pool.subnet.prefixlen))
    routes = []
    for family in grant.default_for:
        gateway = _gateway(wish, network, family)
        if gateway and any(address.family == family for address in grant.addresses):
            routes.append(Route(_ANYWHERE[family], gateway, metric_of(family, wish.metric)))
    if network.apart:  # no sibling is on the link: the way to each is by the host
        routes += [
            Route(pool.subnet, pool.gateway)
            for pool in network.pools
            if any(address.family == pool.subnet.family for address in grant.addresses)
        ]
    return Endpoint(
        network=network.name,
        device=network.device,
        ifname=wish.ifname,
        host_ifname=(
            "" if network.is_lan else host_ifname(grant.container_id, wish.ifname, grant.sandbox)
        ),
        mac=wish.mac or grant.mac or derive_mac(grant.addresses[0]),
        mtu=wish.mtu or grant.mtu,
        addresses=tuple(interfaces),
        sysctls=grant.sysctls,
        egress=wish.egress,
        bandwidth=wish.bandwidth.over(None) if wish.bandwidth else None,
        routes=(*routes, *_without(network.routes, wish.routes), *wish.routes),
    )


def _without(routes: tuple[Route, ...], own: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return a network's routes but for those that a container has others in place of."""
    places = {(route.destination, route.metric) for route in own}
    return tuple(route for route in routes if (route.destination, route.metric) not in places)


def _gateway(wish: EndpointRequest, network: Network, family: int) -> Address | None:
    if wish.gateway and wish.gateway.family == family:
        return wish.gateway
    if network.internal:
        return None
    gateways = [pool.gateway for pool in network.pools if pool.gateway]
    return next((gateway for gateway in gateways if gateway.family == family), None)

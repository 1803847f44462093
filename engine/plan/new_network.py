"""From a person's wishes and the surroundings to a new network: pure."""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.base.names import check_ifname, check_network
from ocinet.base.value import Value
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import DEFAULT_NETWORK, EndpointRequest, Request, Route
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.dns_options import check_dns
from ocinet.engine.plan.egress import check_egress, check_unmasked
from ocinet.engine.plan.endpoint import check_request
from ocinet.engine.plan.free_subnet import Taken, check_free, check_subnets, free_subnet
from ocinet.ipam.pool import Pool, Range

DEFAULT_DEVICE = "ocinet0"
_HALVED_SIZE = 8  # half of less could be the gateway alone
_SMALLEST_MTU = {4: 68, 6: 1280}  # RFC 791, RFC 8200
_LARGEST_MTU = 65535
_LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")


class NetworkOptions(Value):
    """What a person may wish of a new network.

    Attributes:
        subnets: of either family, several of one are fine; none means automatic.
        gateways: at most one per subnet; the others' is their first address.
        ranges: where free addresses come from; each within one subnet. A subnet
            without one gives all of it, or of an adopted bridge's the upper half.
        internal: no way out.
        ipv6: an automatic IPv6 subnet too, if none is given.
        device: the bridge's name; "" means one made of the network's name.
        unmanaged: adopt the device as it is.
        mtu: bytes; 0 means the uplink's.
        masquerade: None means yes, but on an adopted bridge, where it is not for us.
        egress: what packets that leave bear; none: what masquerading chooses.
        labels: for people and filters.
        guard: whether its containers can send as themselves alone.
        host: whether they reach the host's own services.
        dns: whether they find each other by name.
        dns_servers: whom their name server asks for all other names.
        siblings: whether they reach each other.
        default_route: whether they get one by it unasked.
        metric: of that route; 0: the kernel's.
        routes: that each of them gets besides.
        unmasked: destinations for which packets leave with the containers' own addresses.
        joined: links by which those destinations reach them.
        driver: how its containers get onto it.
        parent: the link of the host by which they are on the LAN.
        mode: of the driver; "" means its first.
        host_access: whether the host reaches its own containers there.
        host_addresses: by which it does; at most one of a family.
    """

    subnets: tuple[Subnet, ...] = ()
    gateways: tuple[Address, ...] = ()
    ranges: tuple[Range, ...] = ()
    internal: bool = False
    ipv6: bool = False
    device: str = ""
    unmanaged: bool = False
    mtu: int = 0
    masquerade: bool | None = None
    egress: tuple[Address, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    guard: bool = True
    host: bool = True
    dns: bool = True
    dns_servers: tuple[Address, ...] = ()
    siblings: bool = True
    default_route: bool = True
    metric: int = 0
    routes: tuple[Route, ...] = ()
    unmasked: tuple[Subnet, ...] = ()
    joined: tuple[str, ...] = ()
    driver: str = "bridge"
    parent: str = ""
    mode: str = ""
    host_access: bool = False
    host_addresses: tuple[Address, ...] = ()


class Device(Value):
    """A link of the host that has the name that a network's bridge, or parent, would have.

    Attributes:
        kind: as the kernel says, "bridge" for one.
        ours: whether ocinet made it.
        addresses: with their prefix lengths.
        why_not: of one that is to be a parent, see `model.lan.Parent`; likewise `hint`.
        mtu: bytes, of one that is to be a parent; 0: not known.
    """

    kind: str
    ours: bool = False
    addresses: tuple[Interface, ...] = ()
    why_not: str = ""
    hint: str = ""
    mtu: int = 0


class Surroundings(Value):
    """What a new network must get along with.

    Attributes:
        networks: all others.
        occupied: subnets that the host has for itself.
        routed: that its main table sends elsewhere, or nowhere.
        device: what has the bridge's name already, if anything; or the parent.
        uplink: the link of the default route, or "".
        pools: where automatic subnets come from.
        ipv6: whether automatic means IPv6 too.
    """

    networks: tuple[Network, ...] = ()
    occupied: tuple[Subnet, ...] = ()
    routed: tuple[Subnet, ...] = ()
    device: Device | None = None
    uplink: str = ""
    pools: tuple[Subnet, ...] = Settings.pools
    ipv6: bool = False


def device_of(name: str) -> str:
    """Return the bridge's name of a network that asks for none."""
    if name == DEFAULT_NETWORK:
        return DEFAULT_DEVICE
    # A hash, for names have up to 63 characters, and links 15.
    return f"ocbr-{blake2s(name.encode(), digest_size=4).hexdigest()}"


def define(name: str, options: NetworkOptions, surroundings: Surroundings) -> Network:
    """Decide what a new network is like; changes nothing.

    Raises:
        RequestError: a wish is malformed or impossible.
        ConflictError: name, subnet or device are another one's, which is named.
        ExhaustedError: the pools have no free subnet left.
    """
    check_network(name)
    check_new(name, surroundings)
    if options.parent or options.host_access:
        flag = "-o parent" if options.parent else "--host-access"
        raise RequestError(flag, "that is for containers on the LAN itself, past any bridge",
                           "say -d macvlan")  # fmt: skip
    device = _device(name, options, surroundings)
    if options.unmanaged:
        subnets, gateways = _adopt(device, options, surroundings)
    else:
        subnets = _subnets(name, options, surroundings)
        gateways = choose_gateways(subnets, options.gateways)
    ranges = sort_ranges(subnets, options.ranges)
    if options.unmanaged:
        ranges = {subnet: given or upper_half(subnet) for subnet, given in ranges.items()}
    pools = tuple(Pool(subnet, gateways.get(subnet), ranges[subnet]) for subnet in subnets)
    check_mtu(options, pools)
    if options.unmanaged and options.masquerade:
        raise RequestError("", f"what leaves {device} is its owner's to masquerade, not ocinet's",
                           "leave that option out")  # fmt: skip
    network = Network(
        name=name,
        device=device,
        pools=pools,
        managed=not options.unmanaged,
        internal=options.internal,
        masquerade=not options.unmanaged and options.masquerade is not False,
        mtu=options.mtu,
        labels=options.labels,
        egress=options.egress,
        guard=options.guard,
        host=options.host,
        siblings=options.siblings,
        default_route=options.default_route,
        metric=options.metric,
        routes=options.routes,
        dns=options.dns,
        dns_servers=options.dns_servers,
        unmasked=options.unmasked,
        joined=options.joined,
    )
    check_unmasked(network)
    bears = surroundings.device.addresses if surroundings.device else ()
    check_dns(network, bears, surroundings.networks)
    check_egress(network, options.egress)
    if options.routes:
        check_request(
            Request("bridge", endpoints=(EndpointRequest(name, routes=options.routes),)), (network,)
        )
    return network


def check_new(name: str, surroundings: Surroundings) -> None:
    """Refuse the name of a network that is there.

    Raises:
        ConflictError: there is one.
    """
    if any(other.name == name for other in surroundings.networks):
        raise ConflictError("", f"there is a network {name} already",
                            "choose another name, or say --ignore")  # fmt: skip


def _device(name: str, options: NetworkOptions, surroundings: Surroundings) -> str:
    """Return the name of the bridge, which no other network and no stranger has."""
    device = check_ifname(options.device or device_of(name))
    for other in surroundings.networks:
        if other.device == device:
            raise ConflictError("", f"the bridge {device} is network {other.name}'s")
    there = surroundings.device
    if options.unmanaged:
        if not options.device:
            raise RequestError("", "--unmanaged needs to know the bridge", "say --bridge DEVICE")
        if there is None:
            raise NotFoundError("", f"there is no bridge {device} to adopt",
                                "leave --unmanaged out to have it made")  # fmt: skip
        if there.kind != "bridge":
            raise RequestError("", f"{device} is no bridge but {there.kind or 'a plain link'}")
    elif there is not None and not (there.ours and there.kind == "bridge"):
        raise ConflictError("", f"there is a link {device} that ocinet did not make",
                            "say --unmanaged to adopt a bridge as it is")  # fmt: skip
    return device


def _subnets(name: str, options: NetworkOptions, surroundings: Surroundings) -> tuple[Subnet, ...]:
    """Return the subnets of a managed network: given, automatic, or both."""
    subnets, pools = list(options.subnets), surroundings.pools
    taken = Taken(name, surroundings.networks, surroundings.occupied, surroundings.routed)
    check_subnets(subnets, surroundings.networks)
    for subnet in subnets:
        check_free(subnet, taken)
    if not subnets:
        subnets.append(free_subnet(4, pools, taken))
        if surroundings.ipv6 or options.ipv6:
            subnets.append(free_subnet(6, pools, taken))
    elif options.ipv6 and not any(subnet.family == 6 for subnet in subnets):
        subnets.append(free_subnet(6, pools, taken))
    return tuple(subnets)


def choose_gateways(
    subnets: tuple[Subnet, ...], given: tuple[Address, ...]
) -> dict[Subnet, Address | None]:
    """Return each subnet's gateway: the given one, or its first usable address."""
    gateways: dict[Subnet, Address | None] = {}
    for gateway in given:
        subnet = next((subnet for subnet in subnets if gateway in subnet), None)
        if subnet is None:
            known = ", ".join(map(str, subnets))
            raise RequestError("", f"the gateway {gateway} is not in {known}")
        if subnet in gateways:
            raise RequestError("", f"{subnet} has two gateways: {gateways[subnet]} and {gateway}")
        _check_host_address(gateway, subnet)
        gateways[subnet] = gateway
    for subnet in subnets:
        pair = subnet.size == 2  # RFC 3021, RFC 6164: both addresses are hosts
        gateways.setdefault(subnet, subnet.first if pair else subnet.first + 1)
    return gateways


def _check_host_address(address: Address, subnet: Subnet) -> None:
    if subnet.size > 2 and address == subnet.first:
        raise RequestError("", f"{address} is the network address of {subnet}")
    if subnet.size > 2 and subnet.family == 4 and address == subnet.last:
        raise RequestError("", f"{address} is the broadcast address of {subnet}")


def sort_ranges(
    subnets: tuple[Subnet, ...], given: tuple[Range, ...]
) -> dict[Subnet, tuple[Range, ...]]:
    """Sort the ranges by the subnet that each lies in."""
    ranges: dict[Subnet, tuple[Range, ...]] = dict.fromkeys(subnets, ())
    for part in given:
        first, last = part.first, part.last
        if first.family != last.family or first.value > last.value:
            raise RequestError("", f"the range {first}-{last} runs backwards")
        around = next((subnet for subnet in subnets if first in subnet and last in subnet), None)
        if around is None:
            known = ", ".join(map(str, subnets))
            raise RequestError("", f"the range {first}-{last} is not in {known}")
        ranges[around] += (part,)
    return ranges


def upper_half(subnet: Subnet) -> tuple[Range, ...]:
    """Return what is given out of an adopted bridge's subnet where no range is wished.

    Whoever runs the bridge gives out from the bottom: Docker always takes the
    lowest free address (libnetwork's allocator; tried), and a MAC of its own for
    the host part in IPv6, which begins with 02. As a bridge has 1023 ports at
    most, it stays in the lower half of a /21 and of all that is wider.
    """
    if subnet.size < _HALVED_SIZE:
        return ()
    return (Range(subnet.first + subnet.size // 2, subnet.last),)


def _adopt(
    device: str, options: NetworkOptions, surroundings: Surroundings
) -> tuple[tuple[Subnet, ...], dict[Subnet, Address | None]]:
    """Return subnets and gateways of a bridge that is somebody else's.

    Its addresses tell both. Where it has none, the subnet must be given, and
    there is no gateway unless that is given too.
    """
    own = _own_addresses(options, surroundings)
    for subnet in options.subnets:
        for address in own:
            if subnet.overlaps(address.subnet) and subnet != address.subnet:
                raise RequestError("", f"{device} has {address.subnet}, not {subnet}",
                                   f"leave --subnet out and say --ip-range {subnet}")  # fmt: skip
    subnets = options.subnets or tuple(dict.fromkeys(address.subnet for address in own))
    if not subnets:
        raise RequestError("", f"{device} has no address to read a subnet from", "say --subnet")
    check_subnets(subnets, surroundings.networks)
    gateways: dict[Subnet, Address | None] = {}
    for subnet in subnets:
        given = tuple(gateway for gateway in options.gateways if gateway in subnet)
        bears = [address.address for address in own if address.subnet == subnet]
        if given:
            gateways.update(choose_gateways((subnet,), given))
        else:
            gateways[subnet] = bears[0] if bears else None
    choose_gateways(subnets, options.gateways)  # refuses those that are in none of the subnets
    return subnets, gateways


def _own_addresses(options: NetworkOptions, surroundings: Surroundings) -> tuple[Interface, ...]:
    """Return the addresses of the adopted bridge that containers may be beside."""
    there = surroundings.device.addresses if surroundings.device else ()
    link_local = [Subnet.parse(text) for text in _LINK_LOCAL]
    usable = [bears for bears in there if not any(bears.address in local for local in link_local)]
    first = [bears for bears in usable if bears.address.family == 4]
    if first and not (options.ipv6 or surroundings.ipv6 or options.subnets):
        return tuple(first)
    return tuple(usable)


def check_mtu(options: NetworkOptions, pools: tuple[Pool, ...]) -> None:
    """Refuse an MTU that one of the families can't do with, or no link has.

    Raises:
        RequestError: it is out of bounds; they are named.
    """
    mtu = options.mtu
    if mtu and options.unmanaged:
        raise RequestError("", f"{options.device} has an MTU, which is its owner's to set",
                           "leave that option out")  # fmt: skip
    smallest = max(_SMALLEST_MTU[pool.subnet.family] for pool in pools)
    if mtu and not smallest <= mtu <= _LARGEST_MTU:
        raise RequestError("", f"{mtu} is no MTU", f"use {smallest} to {_LARGEST_MTU} bytes")

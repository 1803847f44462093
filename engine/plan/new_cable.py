"""From a person's wishes to the definition of a link between two containers: pure."""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import ConflictError, RequestError
from ocinet.base.names import check_ifname, check_network
from ocinet.base.value import Value
from ocinet.engine.model.cable import Cable, CableEnd
from ocinet.engine.model.request import Route
from ocinet.engine.plan.endpoint import derive_mac
from ocinet.engine.plan.free_subnet import Taken, check_subnets, first_within, free_subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.link import InsideLink
    from ocinet.engine.model.network import Network

_PREFIXLEN = {4: 31, 6: 127}  # RFC 3021, RFC 6164
_AROUND = {4: 24, 6: 64}  # as networks have, so that all links together take one such
_NAME_MAX = 63
DEFAULT_MTU = 1500
_LEAST_MTU = {4: 68, 6: 1280}  # RFC 791, RFC 8200
_LARGEST_MTU = 65535


class CableOptions(Value):
    """What is wished of a link; whatever is left out is chosen.

    Attributes:
        containers: the two ends, by name or whole id.
        name: "" means one made of theirs.
        subnets: one of a family at most.
        addresses: of the ends: the end's number, an address, and a prefix length or None.
        ifnames: of the ends; "" is the first `linkN` that is free.
        mtu: bytes; 0 means 1500.
        routes: the end's number, and what it reaches through the link.
        ipv6: whether it has IPv6 as well where no address says so.
    """

    containers: tuple[str, str]
    name: str = ""
    subnets: tuple[Subnet, ...] = ()
    addresses: tuple[tuple[int, Address, int | None], ...] = ()
    ifnames: tuple[str, str] = ("", "")
    mtu: int = 0
    routes: tuple[tuple[int, Subnet], ...] = ()
    ipv6: bool = False


class CableSurroundings(Value):
    """What a new link must get along with.

    Attributes:
        networks: all that are defined.
        cables: likewise.
        occupied: subnets that the host has for itself.
        routed: that it sends elsewhere.
        pools: where a subnet is chosen from.
        inside: what there is in the two sandboxes; () of one that is not there yet.
    """

    networks: tuple[Network, ...]
    cables: tuple[Cable, ...]
    occupied: tuple[Subnet, ...]
    routed: tuple[Subnet, ...]
    pools: tuple[Subnet, ...]
    inside: tuple[tuple[InsideLink, ...], tuple[InsideLink, ...]] = ((), ())


def define_cable(options: CableOptions, surroundings: CableSurroundings) -> Cable:
    """Decide what a new link is like; changes nothing.

    Raises:
        RequestError: a wish is malformed or impossible.
        ConflictError: its name, an interface's, or a subnet is another one's, which is named.
        ExhaustedError: the pools have no free subnet left.
    """
    one, other = options.containers
    if one == other:
        raise RequestError("", f"{one} can't be linked with itself", "name two containers")
    name = _name(options, surroundings)
    pairs = _pairs(options, surroundings)
    ends = []
    for number in (0, 1):
        own = tuple(pair[number] for pair in pairs)
        end = CableEnd(
            container=options.containers[number],
            ifname=_ifname(options, surroundings, number),
            mac=_mac(own[0]),
            addresses=own,
        )
        ends.append(end)
    mtu = _mtu(options, pairs)
    for number, destination in options.routes:
        ends[number] = _with_route(ends[number], ends[1 - number], destination)
    return Cable(name, (ends[0], ends[1]), mtu)


def _name(options: CableOptions, surroundings: CableSurroundings) -> str:
    taken = {cable.name for cable in surroundings.cables}
    if options.name:
        check_network(options.name)
        if options.name in taken:
            why = f"there is a link {options.name} already"
            raise ConflictError("", why, f"ocinet link rm {options.name}, or choose another name")
        return options.name
    made = "-".join(text[:24] for text in options.containers).lower().replace("+", "-")
    candidates = (made if number == 1 else f"{made}-{number}" for number in range(1, 1000))
    found = next(name for name in candidates if name not in taken)
    return check_network(found[:_NAME_MAX])


def _pairs(
    options: CableOptions, surroundings: CableSurroundings
) -> list[tuple[Interface, Interface]]:
    """Return the addresses of both ends, one pair of each family."""
    given = [_given_pair(options, family) for family in (4, 6)]
    pairs = [pair for pair in given if pair]
    for pair in pairs:
        _check_clear(pair[0].subnet, surroundings)
    families = {pair[0].address.family for pair in pairs}
    wanted = {4} if not families else set()
    wanted |= {6} if options.ipv6 else set()
    for family in sorted(wanted - families):
        subnet = _choose(family, surroundings)
        pairs.append(_of_subnet(subnet))
    return sorted(pairs, key=lambda pair: pair[0].address.family)


def _given_pair(options: CableOptions, family: int) -> tuple[Interface, Interface] | None:
    """Return what the wishes say of a family; None if they say nothing."""
    subnets = [subnet for subnet in options.subnets if subnet.family == family]
    if len(subnets) > 1:
        raise RequestError("", f"{subnets[0]} and {subnets[1]} are of one family",
                           "give one subnet of each")  # fmt: skip
    subnet = subnets[0] if subnets else None
    own: dict[int, Address] = {}
    for number, address, prefixlen in options.addresses:
        if address.family != family:
            continue
        end = options.containers[number]
        if number in own:
            raise RequestError("", f"{end} is given {own[number]} and {address}", "give it one")
        own[number] = address
        if prefixlen is not None:
            said = Interface(address, prefixlen).subnet
            if subnet not in (None, said):
                raise RequestError("", f"{address}/{prefixlen} is not in {subnet}",
                                   "give both ends one subnet")  # fmt: skip
            subnet = said
    if subnet is None:
        if not own:
            return None
        subnet = _around(tuple(own.values()), family)
    return _of_subnet(subnet, own)


def _around(addresses: tuple[Address, ...], family: int) -> Subnet:
    """Return the point-to-point subnet that addresses without a prefix length are of."""
    for prefixlen in (_PREFIXLEN[family], _PREFIXLEN[family] - 1):
        subnet = Interface(addresses[0], prefixlen).subnet
        edges = (subnet.first, subnet.last) if prefixlen != _PREFIXLEN[family] else ()
        if all(address in subnet and address not in edges for address in addresses):
            return subnet
    spelled = " and ".join(map(str, addresses))
    raise RequestError("", f"{spelled} are in no subnet of two addresses",
                       f"say how large it is, as in {addresses[0]}/{_AROUND[family]}")  # fmt: skip


def _of_subnet(
    subnet: Subnet, own: dict[int, Address] | None = None
) -> tuple[Interface, Interface]:
    """Return the addresses of both ends in a subnet, given ones where they are given."""
    own = dict(own or {})
    check_subnets((subnet,), ())
    whole = subnet.prefixlen == _PREFIXLEN[subnet.family]
    unusable = () if whole else (subnet.first, subnet.last)
    for address in own.values():
        if address not in subnet or address in unusable:
            raise RequestError("", f"{address} is no address of an end in {subnet}")
    if len(set(own.values())) < len(own):
        raise RequestError("", f"both ends are given {own[0]}", "give them two addresses")
    free = [subnet.first + offset for offset in range(min(subnet.size, 4))]
    free = [address for address in free if address not in (*unusable, *own.values())]
    for number in (0, 1):
        if number not in own:
            own[number] = free.pop(0)
    return Interface(own[0], subnet.prefixlen), Interface(own[1], subnet.prefixlen)


def _check_clear(subnet: Subnet, surroundings: CableSurroundings) -> None:
    """Refuse a subnet that a network, another link, or something inside has.

    Raises:
        ConflictError: it names whose.
    """
    check_subnets((subnet,), surroundings.networks)
    for cable in surroundings.cables:
        for other in cable.subnets:
            if subnet.overlaps(other):
                raise ConflictError("", f"{subnet} overlaps {other} of the link {cable.name}")
    for other in _inside(surroundings):
        if subnet.overlaps(other):
            raise ConflictError("", f"{subnet} overlaps {other}, which one of the two has a"
                                " route to already", "leave --subnet and --ip out")  # fmt: skip


def _inside(surroundings: CableSurroundings) -> list[Subnet]:
    """Return what the two reach by now otherwise than by a default route."""
    return [
        route.destination
        for links in surroundings.inside
        for link in links
        for route in link.routes
        if route.destination.prefixlen and not route.destination.first.is_link_local
    ]


def _choose(family: int, surroundings: CableSurroundings) -> Subnet:
    """Return a free subnet, beside other links' if there is room."""
    cables = [subnet for cable in surroundings.cables for subnet in cable.subnets]
    networks = [pool.subnet for network in surroundings.networks for pool in network.pools]
    inside = _inside(surroundings)
    blockers = [*cables, *networks, *inside, *surroundings.occupied, *surroundings.routed]
    for subnet in cables:
        if subnet.family == family and _is_chosen(subnet, surroundings.pools):
            around = Interface(subnet.first, _AROUND[family]).subnet
            found = first_within(around, _PREFIXLEN[family], blockers)
            if found:
                return found
    taken = Taken("", surroundings.networks, (*surroundings.occupied, *cables, *inside),
                  surroundings.routed)  # fmt: skip
    return Subnet(family, free_subnet(family, surroundings.pools, taken).value, _PREFIXLEN[family])


def _is_chosen(subnet: Subnet, pools: Iterable[Subnet]) -> bool:
    """Tell whether a link's subnet is as we choose them."""
    is_small = subnet.prefixlen == _PREFIXLEN[subnet.family]
    return is_small and any(subnet.overlaps(pool) for pool in pools)


def _ifname(options: CableOptions, surroundings: CableSurroundings, number: int) -> str:
    """Return the name of an end's interface, which nothing in its container has.

    Raises:
        ConflictError: it is taken; says by what.
    """
    container = options.containers[number]
    others = {
        end.ifname: cable.name
        for cable in surroundings.cables
        for end in cable.ends
        if end.container == container
    }
    there = {link.ifname for link in surroundings.inside[number]}
    wished = options.ifnames[number]
    if not wished:
        names = (f"link{place}" for place in range(len(others) + len(there) + 1))
        return next(name for name in names if name not in others and name not in there)
    check_ifname(wished)
    if wished in others:
        why = f"{wished} in {container} is the link {others[wished]}'s"
        raise ConflictError("", why, "choose another --ifname")
    if wished in there:
        raise ConflictError("", f"{container} has an interface {wished} already",
                            "choose another --ifname")  # fmt: skip
    return wished


def _mac(interface: Interface) -> str:
    """Return an end's MAC, which goes with its address, and with none of a bridge's ports.

    >>> _mac(Interface.parse("10.72.0.0/31")).startswith("02:6c:")
    True
    """
    digest = blake2s(derive_mac(interface.address).encode(), digest_size=4).digest()
    return f"02:6c:{digest.hex(':')}"


def _mtu(options: CableOptions, pairs: list[tuple[Interface, Interface]]) -> int:
    if not options.mtu:
        return DEFAULT_MTU
    least = max(_LEAST_MTU[pair[0].address.family] for pair in pairs)
    if not least <= options.mtu <= _LARGEST_MTU:
        raise RequestError("", f"{options.mtu} is no MTU of this link",
                           f"use {least} to {_LARGEST_MTU} bytes")  # fmt: skip
    return options.mtu


def _with_route(end: CableEnd, other: CableEnd, destination: Subnet) -> CableEnd:
    """Return an end with one more route, by the other end's address.

    Raises:
        RequestError: that has none of the family, or there is such a route.
    """
    gateway = other.address(destination.family)
    if gateway is None:
        why = f"{destination} can't be reached through a link without IPv{destination.family}"
        raise RequestError("", why, "give it a --subnet of that family")
    if any(route.destination == destination for route in end.routes):
        raise RequestError("", f"{end.container} is given {destination} twice", "say it once")
    return end.replace(routes=(*end.routes, Route(destination, gateway)))

"""Which subnet a new network may have, and which it gets if it asks for none: pure.

What is in its way is of two kinds. A subnet that the host has an address in can't be
shared. One that it routes elsewhere can: of two routes in one table the longer prefix
wins, so a bridge within a VPN's 10.0.0.0/8 is reached, and hides no more of the VPN
than its own /24. Docker (since 28) and podman look at no such route at all; here they are
kept clear of as long as there is anything else.
"""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.errors import ConflictError, ExhaustedError, RequestError
from ocinet.base.value import Value
from ocinet.engine.model.network import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_AUTOMATIC_PREFIXLEN = {4: 24, 6: 64}
_LONGEST_PREFIXLEN = {4: 31, 6: 127}
_UNUSABLE = ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/96", "fe80::/10", "ff00::/8")
_DEFAULT_PREFIXLEN = 1  # a default route, whole or in two halves as VPNs set it
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")  # RFC 1918, RFC 4193


class Taken(Value):
    """What a new network's subnet must get along with.

    Attributes:
        name: of the new network, for hints.
        networks: all that are defined.
        occupied: subnets that the host has for itself.
        routed: that its main table sends elsewhere, or nowhere.
    """

    name: str
    networks: tuple[Network, ...] = ()
    occupied: tuple[Subnet, ...] = ()
    routed: tuple[Subnet, ...] = ()


def check_subnets(subnets: Sequence[Subnet], networks: tuple[Network, ...]) -> None:
    """Refuse subnets that no container can use, and those of other networks.

    Raises:
        RequestError: one is malformed, or two of them overlap.
        ConflictError: one overlaps another network's, which is named.
    """
    for index, subnet in enumerate(subnets):
        if not 1 <= subnet.prefixlen <= _LONGEST_PREFIXLEN[subnet.family]:
            longest = _LONGEST_PREFIXLEN[subnet.family]
            raise RequestError("", f"{subnet} is no subnet for containers",
                               f"use a prefix length of 1 to {longest}")  # fmt: skip
        for unusable in map(Subnet.parse, _UNUSABLE):
            if subnet.overlaps(unusable):
                raise RequestError("", f"{subnet} overlaps {unusable}, which no container can use")
        for other in subnets[:index]:
            if subnet.overlaps(other):
                raise RequestError("", f"{subnet} overlaps {other}, which is given too")
        for network in networks:
            for pool in network.pools:
                if subnet.overlaps(pool.subnet):
                    raise ConflictError("", f"{subnet} overlaps {pool.subnet} of {network.name}")


def check_free(subnet: Subnet, taken: Taken) -> None:
    """Refuse a subnet whose packets would not all come to its bridge.

    Raises:
        ConflictError: it overlaps what the host has, or a route that is as specific or
            more; names that, and a subnet that is free.
    """
    for other in _but_default(taken.occupied):
        if subnet.overlaps(other) and not _is_base(other, subnet):
            raise ConflictError("", f"{subnet} overlaps {other}, which the host uses",
                                _advice(subnet.family, taken))  # fmt: skip
    for other in taken.routed:
        if subnet.overlaps(other) and other.prefixlen >= subnet.prefixlen:
            raise ConflictError("", f"{subnet} overlaps {other}, which the host routes elsewhere",
                                _advice(subnet.family, taken))  # fmt: skip


def _is_base(other: Subnet, subnet: Subnet) -> bool:
    """Tell an address that stands alone, and is no container's: a subnet's first one.

    As overlays have it, by which a host is known for all that is behind it.
    """
    return other.size == 1 and other.first == subnet.first and subnet.size > 2


def route_around(subnet: Subnet, routed: Iterable[Subnet]) -> Subnet | None:
    """Return the narrowest route that a subnet lies within, or None; no default route."""
    around = [other for other in _but_default(routed) if subnet.overlaps(other)]
    return max(around, key=lambda other: other.prefixlen, default=None)


def free_subnet(family: int, pools: Iterable[Subnet], taken: Taken) -> Subnet:
    """Return the first automatic subnet of the pools that is in nobody's way.

    Where each of them lies within a route of the host's, one within the widest such
    route: what is most like a default route, and least like a place that is in use.

    Raises:
        ExhaustedError: there is none; names one outside the pools.
    """
    mine = [pool for pool in pools if pool.family == family]
    found = _first_free(family, mine, taken)
    if found:
        return found
    raise ExhaustedError(
        "",
        f"no free /{_AUTOMATIC_PREFIXLEN[family]} is left in {', '.join(map(str, mine))}",
        _advice(family, taken, "set pools in ocinet.toml"),
    )


def _first_free(family: int, pools: list[Subnet], taken: Taken) -> Subnet | None:
    prefixlen = _AUTOMATIC_PREFIXLEN[family]
    fixed = [pool.subnet for network in taken.networks for pool in network.pools]
    fixed += _but_default(taken.occupied)
    widths = {other.prefixlen for other in taken.routed if other.family == family}
    passed_over = sorted({_DEFAULT_PREFIXLEN, *(width for width in widths if width < prefixlen)})
    for longest in passed_over:
        routed = [other for other in taken.routed if other.prefixlen > longest]
        for pool in pools:
            found = first_within(pool, prefixlen, [*fixed, *routed])
            if found:
                return found
    return None


def first_within(pool: Subnet, prefixlen: int, blockers: Sequence[Subnet]) -> Subnet | None:
    """Return the first subnet of that size in a pool that overlaps none of these, or None."""
    start = pool.value
    while start <= pool.last.value:
        candidate = Subnet(pool.family, start, prefixlen)
        blocker = next((subnet for subnet in blockers if candidate.overlaps(subnet)), None)
        if blocker is None:
            return candidate
        # Past the whole of what is in the way, not one step: an IPv6 pool is large.
        past = max(blocker.last.value, candidate.last.value) + 1
        start = -(-past // candidate.size) * candidate.size
    return None


def _advice(family: int, taken: Taken, otherwise: str = "leave --subnet out") -> str:
    private = [subnet for subnet in map(Subnet.parse, _PRIVATE) if subnet.family == family]
    free = _first_free(family, private, taken)
    how = f"ocinet network create --subnet {free} {taken.name}" if free else "see: ip route"
    return f"{how}; or {otherwise}"


def _but_default(subnets: Iterable[Subnet]) -> list[Subnet]:
    return [subnet for subnet in subnets if subnet.prefixlen > _DEFAULT_PREFIXLEN]

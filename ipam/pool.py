"""A pool: one subnet of a network, what of it may be given out, and in which order.

Pure, no files. Addresses are plain numbers in here: a pool may span 2**64 of them,
so nothing may list it, and a number costs a tenth of an `Address` where a whole
range is gone through.
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError, RequestError
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_HOST_BITS = {4: 32, 6: 128}


class Range(Value):
    """Addresses from `first` to `last`, both included."""

    first: Address
    last: Address


class Pool(Value):
    """One subnet of a network.

    Attributes:
        subnet: /1 to /31, or /1 to /127 for IPv6.
        gateway: never given out; None on a network without one.
        ranges: where free addresses are taken from; empty means all of the
            subnet. Static addresses may lie outside of them.
    """

    subnet: Subnet
    gateway: Address | None = None
    ranges: tuple[Range, ...] = ()


class Usage(Value):
    """How much of a pool is in use.

    Attributes:
        pool: the pool.
        size: how many addresses its subnet spans.
        allocatable: how many may be given out: those of its ranges, without
            gateway, network and broadcast address.
        held: how many addresses of the subnet are held, ranges or not.
        reserved: how many are reserved, held or not.
    """

    pool: Pool
    size: int
    allocatable: int
    held: int
    reserved: int


def bounds(subnet: Subnet) -> tuple[int, int]:
    """Return the lowest and the highest address that a container may bear.

    IPv4 loses its network and its broadcast address (RFC 1122 section 3.2.1.3),
    IPv6 the subnet-router anycast address (RFC 4291 section 2.6.1). Of a /31 or
    /127 both may be used (RFC 3021, RFC 6164).

    Raises:
        RequestError: the subnet is a single address.
    """
    low, high = subnet.value, subnet.value + subnet.size - 1
    if subnet.size == 1:
        raise RequestError("", f"{subnet} is a single address: it has none to give",
                           f"use /{_HOST_BITS[subnet.family] - 1} or a wider prefix")  # fmt: skip
    if subnet.size == 2:
        return low, high
    return low + 1, high - (subnet.family == 4)


def spans(pool: Pool) -> list[tuple[int, int]]:
    """Return the pool's ranges, in its order, cut to what may be used of its subnet.

    Raises:
        RequestError: the subnet is a single address.
    """
    low, high = bounds(pool.subnet)
    if not pool.ranges:
        return [(low, high)]
    cut = [(max(low, part.first.value), min(high, part.last.value)) for part in pool.ranges]
    return [(first, last) for first, last in cut if first <= last]


def gateways(pools: tuple[Pool, ...], family: int) -> set[int]:
    """Return the gateways of all pools of one family: one may lie in another's range."""
    return {pool.gateway.value for pool in pools if pool.gateway and pool.gateway.family == family}


def next_fit(pool: Pool, last: Address | None) -> Iterator[int]:
    """Yield every address of the pool's ranges, from behind `last`, wrapping around.

    An address freed a moment ago thus comes up again as late as possible.

    Args:
        pool: what to go through; its gateway is yielded like any other.
        last: the one that was given last; None, or outside of all ranges, means
            begin at the start.
    """
    # What comes back at once may still be meant for its last holder: flows that go on, and where a
    # MAC was asked for, neighbours' ARP entries.
    turns = spans(pool)
    for turn, (low, high) in enumerate(turns):
        if last and low <= last.value <= high:
            turns = [(last.value + 1, high), *turns[turn + 1 :], *turns[:turn], (low, last.value)]
            break
    for low, high in turns:
        yield from range(low, high + 1)


def allocatable(pool: Pool, excluded: Collection[int]) -> int:
    """Count the addresses of the pool's ranges that are not excluded."""
    from bisect import bisect_left, bisect_right  # for counts, not for attaches

    count = 0
    end = -1
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans(pool)):
        low = max(low, end + 1)
        if low <= high:
            count += high - low + 1
            end = high
            merged.append((low, high))
    ordered = sorted(excluded)
    return count - sum(bisect_right(ordered, high) - bisect_left(ordered, low)
                       for low, high in merged)  # fmt: skip


def check_static(pools: tuple[Pool, ...], address: Address) -> None:
    """Tell whether a container may ask for this address by number.

    It may lie outside of the pools' ranges: that is where to put static ones.

    Raises:
        RequestError: it is in no subnet of the pools, or is the network, the
            broadcast or a gateway's address.
    """
    home = next((pool.subnet for pool in pools if address in pool.subnet), None)
    if home is None:
        subnets = ", ".join(str(pool.subnet) for pool in pools)
        raise RequestError("", f"{address} is not in {subnets or 'any subnet: there is none'}")
    low, high = bounds(home)
    if address.value in gateways(pools, address.family):
        raise ConflictError("", f"{address} is the network's gateway")
    if not low <= address.value <= high:
        kind = "broadcast" if address.value > high else "network"
        if address.family == 6:
            kind = "subnet-router anycast"
        raise RequestError("", f"{address} is the {kind} address of {home}")

"""Which part of a pool is free: pure.

One share of each family, from the first pool of that family which has room, first fit: what is
given lies close together, and leaves room for who wants more. Hosts that join at the same time
begin at different ones of the first free, so that they seldom want the same.
"""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.errors import ExhaustedError, RequestError
from ocinet.cluster.decode import LONGEST_SHARE, MOST_BITS, check_length
from ocinet.cluster.model import Cluster, Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_BITS = {4: 32, 6: 128}
_APART = 16  # of the first free ones, among which those who race choose


def free(pool: Pool, length: int, taken: Iterable[Subnet]) -> Iterator[Subnet]:
    """Go through the free shares of a pool, the lowest first.

    Args:
        pool: what they are cut from.
        length: their prefix length.
        taken: shares of any size.
    """
    family, size = pool.prefix.family, 1 << (_BITS[pool.prefix.family] - length)
    spans = sorted((share.value, share.value + share.size) for share in taken
                   if share.overlaps(pool.prefix))  # fmt: skip
    end = pool.prefix.value + pool.prefix.size
    at, place = pool.prefix.value, 0
    while at + size <= end:
        while place < len(spans) and spans[place][1] <= at:
            place += 1
        if place < len(spans) and spans[place][0] < at + size:
            at = -(-spans[place][1] // size) * size  # up to the next multiple
            continue
        yield Subnet(family, at, length)
        at += size


def choose(
    cluster: Cluster,
    taken: tuple[Subnet, ...],
    lengths: Mapping[int, int],
    wanted: tuple[Subnet, ...],
    turn: int,
) -> tuple[Subnet, ...]:
    """Return a free share of each family of a cluster's.

    Args:
        cluster: whose pools are cut.
        taken: what others have.
        lengths: prefix lengths that were asked for, by family; else the pool's.
        wanted: had before; chosen again where they are free.
        turn: which of the first free ones; another number for each who races, and each try.

    Raises:
        ExhaustedError: no pool of a family has room.
        RequestError: a length can't be had of any pool, or is of a family without one.
    """
    strange = next((family for family in lengths if family not in cluster.families), 0)
    if strange:
        raise RequestError("", f"the cluster has no pool of IPv{strange}", "leave that length out")
    return tuple(
        _former(cluster, family, lengths, taken, wanted)
        or _first(cluster, family, lengths.get(family), taken, turn)
        for family in cluster.families
    )


def smallest(cluster: Cluster) -> dict[int, int]:
    """Return the longest prefix lengths of shares, by family: room for the host alone."""
    lengths: dict[int, int] = {}
    for pool in cluster.pools:
        family = pool.prefix.family
        longest = min(LONGEST_SHARE[family], pool.prefix.prefixlen + MOST_BITS)
        lengths[family] = min(longest, lengths.get(family, longest))
    return lengths


def pool_of(cluster: Cluster, prefix: Subnet) -> Pool | None:
    """Return the pool that a share was cut from, or None."""
    for pool in cluster.pools:
        if pool.prefix.overlaps(prefix) and pool.prefix.prefixlen <= prefix.prefixlen:
            return pool
    return None


def _former(
    cluster: Cluster,
    family: int,
    lengths: Mapping[int, int],
    taken: tuple[Subnet, ...],
    wanted: tuple[Subnet, ...],
) -> Subnet | None:
    for share in wanted:
        pool = pool_of(cluster, share)
        if (
            share.family == family
            and pool is not None
            and share.prefixlen == lengths.get(family, share.prefixlen)
            and not any(share.overlaps(other) for other in taken)
        ):
            return share
    return None


def _first(
    cluster: Cluster, family: int, length: int | None, taken: tuple[Subnet, ...], turn: int
) -> Subnet:
    pools = [pool for pool in cluster.pools if pool.prefix.family == family]
    for pool in pools:
        wanted = pool.share_length if length is None else length
        try:
            check_length(pool, wanted)
        except RequestError:
            if pool is pools[-1] and len(pools) == 1:
                raise
            continue  # another pool may be large enough
        found = [share for share, _ in zip(free(pool, wanted, taken), range(_APART), strict=False)]
        if found:
            return found[turn % len(found)]
    names = " and ".join(str(pool.prefix) for pool in pools)
    size = f"/{length if length is not None else pools[0].share_length}"
    raise ExhaustedError("", f"no {size} is left of {names}",
                         "ocinet cluster status shows who has what, and ocinet cluster forget HOST"
                         " gives back what a dead one had")  # fmt: skip

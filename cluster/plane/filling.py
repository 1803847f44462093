"""Tables compared with what they are to hold, and made so: what the data planes have in common."""

from __future__ import annotations

from ocinet.base.errors import failures
from ocinet.cluster.plane.desired import Tables, Way
from ocinet.cluster.plane.plane import Changes
from ocinet.cluster.plane.reconcile import Difference, Place, acts, difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Subnet
    from ocinet.base.errors import OcinetError
    from ocinet.cluster.model import Cluster
    from ocinet.cluster.plane.kernel import Kernel

_LOOPBACK = 1  # the index of `lo` in every namespace


def compare_device(kernel: Kernel, place: Place, wished: Tables, cluster: Cluster) -> Difference:
    """Compare what a device of the cluster's own holds; whatever else is on it is foreign.

    So are routes to the cluster's pools by other links, if they were made by a data plane: those
    of a former backend, or of a device that had another name.

    Args:
        kernel: where.
        place: the device.
        wished: what is to be there.
        cluster: whose.

    Raises:
        KernelError: the kernel would not say.
    """
    there = kernel.tables(place.ifindex)
    by_it = frozenset(way for way, ours in kernel.ways(place.ifindex) if ours)
    elsewhere = frozenset(way for way in _of_pools(kernel, cluster) if way.ifindex != place.ifindex)
    there = there.replace(ways=there.ways | elsewhere)
    return difference(wished, there, by_it | elsewhere)


def compare_routes(kernel: Kernel, wished: Tables, cluster: Cluster) -> Difference:
    """Compare the routes and the addresses of a cluster that has no device.

    Its routes are known by their protocol and the pools; its addresses are on `lo`, alone in
    their subnets, and of the pools.
    """
    ways = _of_pools(kernel, cluster)
    addresses = frozenset(
        interface
        for at, interface in kernel.addresses(_LOOPBACK)
        if at == _LOOPBACK and interface.subnet.size == 1
        and _within(interface.subnet, cluster)
    )  # fmt: skip
    return difference(wished, Tables(addresses, ways=ways), ways)


def make_so(kernel: Kernel, place: Place, found: Difference, *before: Changes) -> Changes:
    """Do what is to be done, in as few requests as may be, past what fails.

    Args:
        kernel: where.
        place: where the tables are.
        found: what is not so.
        before: what was done before.

    Returns:
        All that was done.

    Raises:
        OcinetError: what failed; everything else is done.
    """
    done, errors = kernel.do(acts(found, place))
    failures("cannot reach all other hosts", errors)
    return joined(*before, done)


def take_away(kernel: Kernel, cluster: Cluster) -> tuple[Changes, list[OcinetError]]:
    """Take the cluster's routes and addresses away that lie on no device of its own."""
    place = Place("the host", 0, _LOOPBACK)
    return kernel.do(acts(compare_routes(kernel, Tables(), cluster), place))


def joined(*changes: Changes) -> Changes:
    """Return in one what was done in several acts."""
    return Changes(
        tuple(line for part in changes for line in part.made),
        tuple(line for part in changes for line in part.removed),
        tuple(line for part in changes for line in part.unreached),
    )


def _of_pools(kernel: Kernel, cluster: Cluster) -> frozenset[Way]:
    return frozenset(way for way, _ours in kernel.ways() if _within(way.prefix, cluster))


def _within(subnet: Subnet, cluster: Cluster) -> bool:
    pools: Iterable[Subnet] = (pool.prefix for pool in cluster.pools)
    return any(pool.overlaps(subnet) and pool.size >= subnet.size for pool in pools)

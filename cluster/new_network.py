"""What a network on this host's share is made with: its subnet, MTU, and the way in from others.

All of it is known here: etcd is not asked.
"""

from __future__ import annotations

from contextlib import contextmanager

from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError
from ocinet.cluster.kept import JOINED, Keeping
from ocinet.cluster.plane.planes import plane_of
from ocinet.cluster.share_networks import subnets_for
from ocinet.engine.plan.new_network import NetworkOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.base.paths import Paths

_LOCK_S = 20.0


def check_apart(paths: Paths, options: NetworkOptions) -> None:
    """Refuse a network of this host's alone whose addresses are of the pool of its cluster.

    Raises:
        ConflictError: names the pool: of it, other hosts have the rest.
        OcinetError: what is kept can't be read.
    """
    kept = Keeping(paths).find()
    for pool in kept.cluster.pools if kept else ():
        for subnet in options.subnets:
            if kept and subnet.overlaps(pool.prefix):
                name = kept.cluster.name
                why = f"{subnet} is of the pool {pool.prefix} of cluster {name}"
                raise ConflictError("", why, "say another --subnet; or, for one on this host's"
                                             f" share, --cluster {name}")  # fmt: skip


@contextmanager
def with_cluster(paths: Paths, name: str, options: NetworkOptions) -> Iterator[NetworkOptions]:
    """Say what is wished of a new network, and what its cluster makes of it.

    It is to be made within the block: meanwhile this host does not leave the cluster.

    Args:
        paths: of the installation.
        name: of the cluster.
        options: what is wished beside that; subnets have to be parts of this host's share.

    Raises:
        NotFoundError: this host is not in that cluster.
        ConflictError: it is leaving it.
        RequestError: a subnet is no part of its share.
        BusyError: it joins, leaves, or makes ways for too long.
        OcinetError: the underlay can't be asked.
    """
    keeping = Keeping(paths)
    with keeping.lock(Deadline(_LOCK_S)):
        kept = keeping.get(name)
        if kept.state != JOINED:
            raise ConflictError("", f"this host is leaving cluster {name}",
                                f"ocinet cluster leave {name} finishes that")  # fmt: skip
        plane = plane_of(kept.cluster, paths)
        mine = kept.mine
        yield options.replace(
            subnets=subnets_for(mine, options.subnets),
            mtu=options.mtu or plane.mtu(mine),
            unmasked=options.unmasked + tuple(pool.prefix for pool in kept.cluster.pools),
            joined=options.joined + plane.links(mine),
        )

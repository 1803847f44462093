"""What a network on this host's share is made with: its subnet, MTU, and the way in from others.

All of it is known here: etcd is not asked.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.cluster.kept import JOINED, Keeping
from ocinet.cluster.plane.planes import plane_of
from ocinet.cluster.share_networks import subnets_for
from ocinet.engine.plan.new_network import NetworkOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths


def with_cluster(paths: Paths, name: str, options: NetworkOptions) -> NetworkOptions:
    """Return what is wished of a new network, and what its cluster makes of it.

    Args:
        paths: of the installation.
        name: of the cluster.
        options: what is wished beside that; subnets have to be parts of this host's share.

    Raises:
        NotFoundError: this host is not in that cluster.
        ConflictError: it is leaving it.
        RequestError: a subnet is no part of its share.
        OcinetError: the underlay can't be asked.
    """
    kept = Keeping(paths).get(name)
    if kept.state != JOINED:
        raise ConflictError("", f"this host is leaving cluster {name}",
                            f"ocinet cluster leave {name} finishes that")  # fmt: skip
    plane = plane_of(kept.cluster, paths)
    mine = kept.mine
    return options.replace(
        subnets=subnets_for(mine, options.subnets),
        mtu=options.mtu or plane.mtu(mine),
        unmasked=options.unmasked + tuple(pool.prefix for pool in kept.cluster.pools),
        joined=options.joined + plane.links(mine),
    )

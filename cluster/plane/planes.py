"""Which data plane a cluster has: one module for each backend, loaded if it is wanted."""

from __future__ import annotations

from importlib import import_module

from ocinet.base.errors import RequestError
from ocinet.base.paths import Paths
from ocinet.cluster.model import Cluster
from ocinet.cluster.plane.plane import DataPlane

# A class each, that is made with the cluster and the paths.
_PLANES = {
    "vxlan": ("vxlan", "Vxlan"),
    "routes": ("routes", "Routes"),
    "wireguard": ("wireguard", "WireGuard"),
}


def plane_of(cluster: Cluster, paths: Paths) -> DataPlane:
    """Return the data plane of a cluster, untouched as yet.

    Raises:
        RequestError: this version has none of that kind.
    """
    module, name = _PLANES.get(cluster.backend, ("", ""))
    if not module:
        raise RequestError("", f"this version of ocinet has no data plane {cluster.backend}",
                           "install the version that the other hosts have")  # fmt: skip
    plane: DataPlane = getattr(import_module(f"ocinet.cluster.plane.{module}"), name)(
        cluster, paths
    )
    return plane

"""The way to other hosts by plain routes, where all are on one link."""

from __future__ import annotations

from ocinet.base.errors import failures
from ocinet.cluster.plane.believed import believed
from ocinet.cluster.plane.closing import routes_text
from ocinet.cluster.plane.desired import Tables, device_of, route_tables
from ocinet.cluster.plane.filling import compare_routes, joined, make_so, take_away
from ocinet.cluster.plane.kernel import Kernel
from ocinet.cluster.plane.plane import Changes
from ocinet.cluster.plane.reconcile import Place, told
from ocinet.cluster.plane.table import ClosingTable
from ocinet.cluster.plane.underlay import room, underlay_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.cluster.model import Cluster, Mine, Peer
    from ocinet.cluster.plane.believed import Unreached

_LOOPBACK = 1


class Routes:
    """See `plane.DataPlane`, whose methods these are.

    Packets go as they are, so nobody but the link itself keeps one host from speaking for
    another: all who are on it are believed.

    Args:
        cluster: whose.
        paths: of the installation.
    """

    def __init__(self, cluster: Cluster, paths: Paths) -> None:
        self._cluster = cluster
        self._closing = ClosingTable(f"ocinet-{device_of(cluster)}", paths)

    def apply(self, mine: Mine, peers: tuple[Peer, ...]) -> Changes:
        """Make it so: closed to all others first."""
        with Kernel() as kernel:
            peers, doubted = believed(mine, peers)
            place, tables, unreached = self._wished(kernel, mine, peers)
            left = Changes(unreached=tuple(map(str, (*doubted, *unreached))))
            closed = self._closing.put(self._text(place, mine, peers))
            found = compare_routes(kernel, tables, self._cluster)
            return make_so(kernel, place, found, closed, left)

    def look(self, mine: Mine, peers: tuple[Peer, ...]) -> tuple[str, ...]:
        """Return what is not so, and who can't be reached."""
        peers, doubted = believed(mine, peers)
        with Kernel() as kernel:
            place, tables, unreached = self._wished(kernel, mine, peers)
            flaws = told(compare_routes(kernel, tables, self._cluster), place)
        closing = self._closing.flaws(self._text(place, mine, peers))
        return (*flaws, *closing, *map(str, (*doubted, *unreached)))

    def remove(self) -> Changes:
        """Take all of it away."""
        with Kernel() as kernel:
            routes, errors = take_away(kernel, self._cluster)
        closing = self._closing.remove()
        failures("cannot take away the way to other hosts", errors)
        return joined(routes, closing)

    def mtu(self, mine: Mine) -> int:
        """Return how large a container's packet may be, in bytes: as on the link."""
        with Kernel() as kernel:
            return room(kernel, mine)

    def links(self, mine: Mine) -> tuple[str, ...]:
        """Return the link that bears the underlay address."""
        with Kernel() as kernel:
            return (underlay_link(kernel, mine).ifname,)

    def public_key(self) -> None:
        """Return None: nothing is encrypted."""
        return

    def _wished(
        self, kernel: Kernel, mine: Mine, peers: tuple[Peer, ...]
    ) -> tuple[Place, Tables, tuple[Unreached, ...]]:
        link = underlay_link(kernel, mine)
        place = Place(link.ifname, link.ifindex, _LOOPBACK, onlink=False)
        tables, unreached = route_tables(mine, peers, link.ifindex, kernel.on_link(link.ifindex))
        return place, tables, unreached

    def _text(self, place: Place, mine: Mine, peers: tuple[Peer, ...]) -> str:
        return routes_text(self._closing.name, place.ifname, mine, peers)

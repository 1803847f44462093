"""The way to other hosts by VXLAN: a device that learns nothing, and three entries a peer."""

from __future__ import annotations

from ocinet.base.errors import failures
from ocinet.cluster.plane.believed import believed
from ocinet.cluster.plane.closing import vxlan_text
from ocinet.cluster.plane.desired import device_of, underlay_of, vxlan_tables
from ocinet.cluster.plane.device import device_flaws, ensure_device, remove_device
from ocinet.cluster.plane.filling import compare_device, joined, make_so, take_away
from ocinet.cluster.plane.kernel import Kernel
from ocinet.cluster.plane.messages import Device
from ocinet.cluster.plane.plane import Changes
from ocinet.cluster.plane.reconcile import Place, told
from ocinet.cluster.plane.table import ClosingTable
from ocinet.cluster.plane.underlay import room, underlay_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.cluster.model import Cluster, Mine, Peer

_KIND = "vxlan"


class Vxlan:
    """See `plane.DataPlane`, whose methods these are.

    Args:
        cluster: whose.
        paths: of the installation.
    """

    def __init__(self, cluster: Cluster, paths: Paths) -> None:
        self._cluster = cluster
        self._ifname = device_of(cluster)
        self._closing = ClosingTable(f"ocinet-{self._ifname}", paths)

    def apply(self, mine: Mine, peers: tuple[Peer, ...]) -> Changes:
        """Make it so: closed to all others first, for a device that is up takes in anything."""
        with Kernel() as kernel:
            peers, doubted = believed(mine, peers)
            tables, unreached = vxlan_tables(mine, peers)
            left = Changes(unreached=tuple(map(str, (*doubted, *unreached))))
            wished = self._wished(kernel, mine)
            closed = self._closing.put(self._text(kernel, mine, peers))
            device, made = ensure_device(kernel, wished, ipv6=6 in mine.cluster.families)
            place = _place(device)
            found = compare_device(kernel, place, tables, self._cluster)
            return make_so(kernel, place, found, closed, made, left)

    def look(self, mine: Mine, peers: tuple[Peer, ...]) -> tuple[str, ...]:
        """Return what is not so, and who can't be reached."""
        peers, doubted = believed(mine, peers)
        tables, unreached = vxlan_tables(mine, peers)
        with Kernel() as kernel:
            there = kernel.device(self._ifname)
            flaws = device_flaws(there, self._wished(kernel, mine))
            text = self._text(kernel, mine, peers)
            if there is not None and there.kind == _KIND:
                place = _place(there)
                flaws += told(compare_device(kernel, place, tables, self._cluster), place)
        return (
            *flaws,
            *self._closing.flaws(text),
            *map(str, (*doubted, *unreached)),
        )

    def remove(self) -> Changes:
        """Take all of it away: the device first, and then what kept it closed."""
        with Kernel() as kernel:
            device = remove_device(kernel, self._ifname, _KIND)
            routes, errors = take_away(kernel, self._cluster)
        closing = self._closing.remove()
        failures("cannot take away the way to other hosts", errors)
        return joined(device, routes, closing)

    def mtu(self, mine: Mine) -> int:
        """Return how large a container's packet may be, in bytes."""
        with Kernel() as kernel:
            return room(kernel, mine)

    def links(self, mine: Mine) -> tuple[str, ...]:  # noqa: ARG002  by other planes it is the host's
        """Return the name of the device."""
        return (self._ifname,)

    def public_key(self) -> None:
        """Return None: nothing is encrypted."""
        return

    def _wished(self, kernel: Kernel, mine: Mine) -> Device:
        return Device(
            ifname=self._ifname,
            kind=_KIND,
            mac=mine.host.mac,
            mtu=room(kernel, mine),
            vni=mine.cluster.vni,
            port=mine.cluster.port,
            local=underlay_of(mine),
        )

    def _text(self, kernel: Kernel, mine: Mine, peers: tuple[Peer, ...]) -> str:
        link = underlay_link(kernel, mine).ifindex
        return vxlan_text(self._closing.name, self._ifname, link, mine, peers)


def _place(device: Device) -> Place:
    return Place(device.ifname, device.ifindex, device.ifindex)

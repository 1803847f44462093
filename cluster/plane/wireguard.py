"""The way to other hosts by WireGuard: nobody can read it, nor speak for another.

Its key is the only thing that a plane keeps: `STATE/cluster/NAME.key`. Where it is lost the host
gets another one, and tells the others.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from secrets import token_bytes

from ocinet.base.errors import OcinetError, SystemFailure, failures
from ocinet.base.files import Directory
from ocinet.cluster.plane.believed import believed
from ocinet.cluster.plane.closing import tunnel_text
from ocinet.cluster.plane.curve import clamped, public_of
from ocinet.cluster.plane.desired import device_of, tunnel_tables
from ocinet.cluster.plane.device import device_flaws, ensure_device, remove_device
from ocinet.cluster.plane.filling import compare_device, joined, make_so, take_away
from ocinet.cluster.plane.kernel import Kernel
from ocinet.cluster.plane.messages import Device
from ocinet.cluster.plane.plane import Changes
from ocinet.cluster.plane.reconcile import Place, told
from ocinet.cluster.plane.table import ClosingTable
from ocinet.cluster.plane.tunnel import WireGuardSocket, settings, tunnel_wished
from ocinet.cluster.plane.underlay import room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.cluster.model import Cluster, Mine, Peer

_KIND = "wireguard"


class WireGuard:
    """See `plane.DataPlane`, whose methods these are.

    Args:
        cluster: whose.
        paths: of the installation.
    """

    def __init__(self, cluster: Cluster, paths: Paths) -> None:
        self._cluster = cluster
        self._ifname = device_of(cluster)
        self._closing = ClosingTable(f"ocinet-{self._ifname}", paths)
        self._keys = f"{paths.state}/cluster"

    def apply(self, mine: Mine, peers: tuple[Peer, ...]) -> Changes:
        """Make it so: who may send what first, then the routes by which this host sends."""
        peers, doubted = believed(mine, peers)
        with WireGuardSocket() as wireguard, Kernel() as kernel:
            closed = self._closing.put(self._text(mine, peers))
            wished = self._wished(kernel, mine)
            device, made = ensure_device(kernel, wished, ipv6=6 in mine.cluster.families)
            keyed, errors = self._tell(wireguard, mine, peers)
            left = Changes(unreached=tuple(map(str, doubted)))
            place = Place(device.ifname, device.ifindex, device.ifindex)
            found = compare_device(kernel, place, tunnel_tables(mine, peers), self._cluster)
            changes = make_so(kernel, place, found, closed, made, keyed, left)
        failures("cannot reach all other hosts", errors)
        return changes

    def _tell(
        self, wireguard: WireGuardSocket, mine: Mine, peers: tuple[Peer, ...]
    ) -> tuple[Changes, list[OcinetError]]:
        private = self._private()
        wished, left = tunnel_wished(mine, peers, private)
        made: list[str] = []
        errors: list[OcinetError] = []
        for what, setting in settings(wished, wireguard.tunnel(self._ifname), private):
            try:
                wireguard.set(self._ifname, what, setting)
            except OcinetError as error:
                errors.append(error)
            else:
                made.append(f"{what} on {self._ifname}")
        return Changes(tuple(made), unreached=tuple(map(str, left))), errors

    def look(self, mine: Mine, peers: tuple[Peer, ...]) -> tuple[str, ...]:
        """Return what is not so, and who can't be reached."""
        peers, doubted = believed(mine, peers)
        private = self._private()
        wished, left = tunnel_wished(mine, peers, private)
        with Kernel() as kernel:
            there = kernel.device(self._ifname)
            flaws = device_flaws(there, self._wished(kernel, mine))
            if there is not None and there.kind == _KIND:
                place = Place(there.ifname, there.ifindex, there.ifindex)
                tables = tunnel_tables(mine, peers)
                flaws += told(compare_device(kernel, place, tables, self._cluster), place)
                with WireGuardSocket() as wireguard:
                    now = wireguard.tunnel(self._ifname)
                flaws += tuple(
                    f"{what} is not set" for what, _how in settings(wished, now, private)
                )
        closing = self._closing.flaws(self._text(mine, peers))
        return (*flaws, *closing, *map(str, (*doubted, *left)))

    def remove(self) -> Changes:
        """Take all of it away but the key: who joins again is known by it."""
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

    def public_key(self) -> str:
        """Return this host's key, which is made and kept if there is none.

        Raises:
            SystemFailure: the kernel has no WireGuard, or the key can't be kept.
        """
        with WireGuardSocket():
            return b64encode(public_of(self._private())).decode()

    def _private(self) -> bytes:
        name = f"{self._cluster.name}.key"
        with Directory(self._keys, durable=True) as directory:
            fresh = b64encode(clamped(token_bytes(32))).decode()
            data = directory.read(name)
            if data is None:
                directory.create(name, f"{fresh}\n")  # another one may have been first
                data = directory.read(name) or b""
        try:
            return clamped(b64decode(data.strip(), validate=True))
        except ValueError as error:
            raise SystemFailure("cannot read this host's key", f"{self._keys}/{name}: {error}",
                                f"rm {self._keys}/{name}, and join again") from error  # fmt: skip

    def _wished(self, kernel: Kernel, mine: Mine) -> Device:
        return Device(ifname=self._ifname, kind=_KIND, mac="", mtu=room(kernel, mine))

    def _text(self, mine: Mine, peers: tuple[Peer, ...]) -> str:
        return tunnel_text(self._closing.name, self._ifname, mine, peers)

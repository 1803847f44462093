"""Which of what peers say of themselves is believed: pure.

It comes from etcd, where a host that was broken into, or whoever has its password, can write. What
one peer says must not take the way to another, nor to this host, nor to anything outside
the pools; and what can't be is left out by itself, so that it costs nobody else his way.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.cluster.model import Mine, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Address, Subnet

_HEX = frozenset("0123456789abcdef")
_KIND, _LOCAL_UNICAST = 0x03, 0x02  # of a MAC's first byte: group bit, and locally administered


class Unreached(Value):
    """A peer that this host has no way to, or not to all that it says it has.

    Attributes:
        peer: its name, and how its id begins.
        why: the reason, and what to do.
    """

    peer: str
    why: str

    def __str__(self) -> str:
        """Render it for people."""
        return f"{self.peer}: {self.why}"


def named(peer: Peer) -> str:
    """Return how a peer is called for people."""
    return f"{peer.host.name or '?'} ({peer.host.id[:8]})"


def believed(mine: Mine, peers: Iterable[Peer]) -> tuple[tuple[Peer, ...], tuple[Unreached, ...]]:
    """Return the peers with those shares that can be theirs, and what is left out, with why.

    Of two that want the same, the one has it that comes first.
    """
    found, left = [], []
    taken = _Taken(mine)
    for peer in peers:
        why = taken.why_no_peer(peer)
        if why:
            left.append(Unreached(named(peer), why))
            continue
        shares = []
        for share in peer.shares:
            why = taken.why_no_share(share, peer)
            if why:
                left.append(Unreached(named(peer), why))
            else:
                shares.append(share)
        found.append(peer.replace(shares=tuple(shares)))
    return tuple(found), tuple(left)


class _Taken:
    """What is somebody's already."""

    def __init__(self, mine: Mine) -> None:
        self._pools = tuple(pool.prefix for pool in mine.cluster.pools)
        own = f"{mine.host.name or 'this host'}"
        self._macs = {mine.host.mac: own}
        self._own = frozenset(mine.host.underlay)
        # By family and length: one look-up for each length that there is, not one for each share.
        self._shares: dict[tuple[int, int], dict[int, str]] = {}
        for share in mine.shares:
            self._take(share, own)

    def why_no_peer(self, peer: Peer) -> str:
        mac = peer.host.mac
        if not _is_own_mac(mac):
            return f"it says that its MAC is {mac[:20]!r}, which no data plane has"
        if mac in self._macs:
            return f"its MAC {mac} is that of {self._macs[mac]}: one of them is a clone"
        own: list[Address] = [at for at in peer.host.underlay if at in self._own]
        if own:
            return f"its underlay address {own[0]} is this host's"
        self._macs[mac] = named(peer)
        return ""

    def why_no_share(self, share: Subnet, peer: Peer) -> str:
        if not any(share.first in pool and share.last in pool for pool in self._pools):
            return f"{share} is in no pool of the cluster"
        holder = self._holder(share)
        if holder:
            return f"{share} is {holder}'s, in whole or in part"
        self._take(share, named(peer))
        return ""

    def _take(self, share: Subnet, who: str) -> None:
        of_length = self._shares.setdefault((share.family, share.prefixlen), {})
        of_length[share.first.value >> _width(share)] = who

    def _holder(self, share: Subnet) -> str:
        for (family, length), held in self._shares.items():
            if family != share.family:
                continue
            bits = 32 if family == 4 else 128
            if length <= share.prefixlen:
                who = held.get(share.first.value >> bits - length)
                if who:
                    return who
            else:  # a wider one than those that are held: rare, and then each is looked at
                by = length - share.prefixlen
                inside = (who for key, who in held.items()
                          if key >> by == share.first.value >> _width(share))  # fmt: skip
                who = next(inside, None)
                if who:
                    return who
        return ""


def _width(share: Subnet) -> int:
    return (32 if share.family == 4 else 128) - share.prefixlen


def _is_own_mac(mac: str) -> bool:
    parts = mac.split(":")
    if len(parts) != 6 or not all(len(part) == 2 and _HEX.issuperset(part) for part in parts):
        return False
    return int(parts[0], 16) & _KIND == _LOCAL_UNICAST

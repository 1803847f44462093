"""What of a cluster stops containers, for doctor and explain: as it is told, and by real packets.

The base address of a peer's share is the peer's own, at the far end of the way: what answers there
has come through it both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import OcinetError
from ocinet.base.value import Value
from ocinet.cluster import memory
from ocinet.cluster.bulletin import FAILED, WAITING, read
from ocinet.cluster.kept import JOINED, Keeping
from ocinet.cluster.plane.planes import plane_of
from ocinet.cluster.share_networks import on_shares
from ocinet.cluster.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocinet.base.paths import Paths
    from ocinet.cluster.kept import Kept
    from ocinet.cluster.model import Peer
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.elsewhere import Elsewhere

MOST_ASKED = 32  # peers to which packets are sent: one that does not answer takes two seconds
_START = "systemctl start ocinet-cluster"


class Ailment(Value):
    """One thing that was looked at.

    Attributes:
        place: the cluster, or a host of it.
        what: in one line.
        remedy: the command that helps, or what else does; "".
        ok: whether it is as it should be.
    """

    place: str
    what: str
    remedy: str = ""
    ok: bool = True


class Other(Value):
    """Another host, as far as it is told.

    Attributes:
        name: its.
        underlay: where it is reached.
        shares: what lies behind it.
        heard: whether it is.
    """

    name: str
    underlay: tuple[Address, ...]
    shares: tuple[Subnet, ...]
    heard: bool = True


def others_of(paths: Paths, kept: Kept) -> tuple[Other, ...]:
    """Return the other hosts: as the agent tells, or as they were known when it last ran."""
    news = read(paths.run)
    if news is None:
        return tuple(map(_other, _known(paths, kept)))
    return tuple(
        Other(
            told["name"],
            tuple(map(Address.parse, told["underlay"])),
            tuple(map(Subnet.parse, told["shares"])),
            told["heard"],
        )
        for told in news.peers
    )


def _known(paths: Paths, kept: Kept) -> tuple[Peer, ...]:
    """Return the other hosts as they were last kept here, which may be some seconds ago."""
    view = View(kept.cluster.name, lambda: None)
    view.remember(memory.recall(paths, kept.cluster.name))
    return view.peers(kept.mine)[0]


def _other(peer: Peer) -> Other:
    return Other(peer.host.name, peer.host.underlay, peer.shares)


def examine(engine: Engine, paths: Paths) -> Iterator[Ailment]:
    """Yield what is not as it should be of the cluster that this host is in.

    Raises:
        OcinetError: what is kept can't be read.

    Effects: packets are sent to the other hosts, and to the far ends of their ways.
    """
    kept = Keeping(paths).find()
    if kept is None:
        return
    others = others_of(paths, kept)
    yield from _told(paths, kept, others)
    yield from _ways(engine, paths, kept, others)
    yield from _astray(engine, kept)
    for other in [each for each in others if each.shares][:MOST_ASKED]:
        yield from (found for found in reached(engine, kept, other) if not found.ok)


def shown(paths: Paths) -> dict[str, Any] | None:
    """Return the cluster that this host is in, for who draws it; None if it is in none.

    Returns:
        name, backend, shares of this host, and of each other host name, underlay, shares, heard.
    """
    kept = Keeping(paths).find()
    if kept is None:
        return None
    hosts = [
        {
            "name": other.name,
            "underlay": list(map(str, other.underlay)),
            "shares": list(map(str, other.shares)),
            "heard": other.heard,
        }
        for other in others_of(paths, kept)
    ]
    return {
        "name": kept.cluster.name,
        "backend": kept.cluster.backend,
        "host": kept.host.name,
        "shares": list(map(str, kept.shares)),
        "hosts": hosts,
    }


def _told(paths: Paths, kept: Kept, others: tuple[Other, ...]) -> Iterator[Ailment]:
    place = f"cluster {kept.cluster.name}"
    if kept.state != JOINED:
        yield Ailment(place, "its leaving was interrupted", "ocinet cluster leave", ok=False)
    news = read(paths.run)
    if news is None:
        what = "the agent does not run: nobody follows the other hosts, nor tells them of this one"
        yield Ailment(place, what, _START, ok=False)
        return
    if news.state in (FAILED, WAITING):
        yield Ailment(place, news.why, news.hint, ok=False)
    if news.etcd.get("error") and news.state != WAITING:
        yield Ailment(place, f"etcd does not answer: {news.etcd['error']}", ok=False)
    if news.plane:
        yield Ailment(place, f"the ways to other hosts can't be made: {news.plane}", ok=False)
    for flaw in news.flaws:
        yield Ailment(place, f"in etcd, not obeyed: {flaw}", ok=False)
    for other in others:
        if not other.heard:
            what = "it is not heard: it is down, cut off from etcd, or its agent does not run"
            yield Ailment(f"host {other.name}", what, f"on it: {_START}", ok=False)


def _ways(engine: Engine, paths: Paths, kept: Kept, others: tuple[Other, ...]) -> Iterator[Ailment]:
    place = f"cluster {kept.cluster.name}"
    try:
        plane = plane_of(kept.cluster, paths)
        peers = _known(paths, kept)
        is_latest = {_other(peer) for peer in peers} == {
            each.replace(heard=True) for each in others
        }
        for line in plane.look(kept.mine, peers) if is_latest else ():
            yield Ailment(place, line, "systemctl restart ocinet-cluster", ok=False)
        largest = plane.mtu(kept.mine)
    except OcinetError as error:
        yield Ailment(place, error.why or str(error), error.hint, ok=False)
        return
    for network in on_shares(engine, kept.shares):
        if (network.mtu or 0) > largest:
            what = (
                f"its containers send packets of {network.mtu} bytes, and the way to other hosts"
                f" takes {largest}: longer ones are lost"
            )
            remedy = f"make it anew: ocinet network create --cluster {kept.cluster.name}"
            yield Ailment(f"network {network.name}", what, remedy, ok=False)


def _astray(engine: Engine, kept: Kept) -> Iterator[Ailment]:
    """Yield the networks that have what is another host's, or may come to be."""
    for network in engine.networks.readable():
        for subnet in (pool.subnet for pool in network.pools):
            if any(share.first in subnet or subnet.first in share for share in kept.shares):
                continue
            for pool in kept.cluster.pools:
                if subnet.overlaps(pool.prefix):
                    what = (
                        f"{subnet} is of the cluster's pool {pool.prefix}, and no part of this"
                        " host's share: who has it on another host can't be reached from here"
                    )
                    remedy = f"ocinet network rm {network.name}, and make it of other addresses"
                    yield Ailment(f"network {network.name}", what, remedy, ok=False)


def reached(engine: Engine, kept: Kept, other: Other) -> tuple[Ailment, ...]:
    """Tell whether a host is reached, by what lies beneath and by the way to its containers."""
    place = f"host {other.name}"
    families = {address.family for address in kept.host.underlay}
    beneath = next((each for each in other.underlay if each.family in families), None)
    if beneath is None or not other.shares:
        return ()
    base = other.shares[0].first
    if _answers(engine, base):
        return (Ailment(place, f"{base}, at the far end of the way there, answers"),)
    if not _answers(engine, beneath):
        what = f"{beneath} does not answer, by which it is reached: it is down, or cut off"
        remedy = f"ping {beneath}"
        return (Ailment(place, what, remedy, ok=False),)
    cluster = kept.cluster
    port = f"UDP port {cluster.port}" if cluster.port else "what is for its share"
    what = (
        f"{beneath} answers, and {base} behind it does not: {port} is closed between the two hosts,"
        " or its agent does not run"
    )
    remedy = f"open {port} on both, in both directions; on it: ocinet doctor"
    return (Ailment(place, what, remedy, ok=False),)


def way_to(engine: Engine, paths: Paths, address: Address) -> tuple[Ailment, ...]:
    """Tell which other host an address is on, and how that is reached; () if it is on none."""
    kept = Keeping(paths).find()
    if kept is None:
        return ()
    for other in others_of(paths, kept):
        for share in (each for each in other.shares if address in each):
            at = ", ".join(map(str, other.underlay))
            what = f"{address} is in {share}, the share of {other.name} at {at}"
            by = f"by {kept.cluster.backend}"
            port = f" over UDP port {kept.cluster.port}" if kept.cluster.port else ""
            told = Ailment(f"cluster {kept.cluster.name}", f"{what}, {by}{port}")
            return (told, *reached(engine, kept, other))
    return ()


def find_elsewhere(engine: Engine, text: str) -> Elsewhere | None:
    """Return the container on another host that is called so, or has that id; None for nobody."""
    for network in engine.names.networks():
        for each in engine.names.there(network):
            if text.lower() in (*each.own, *each.aliases) or text == each.id:
                return each
    return None


def _answers(engine: Engine, address: Address) -> bool:
    try:
        return engine.explain("host", str(address)).ok
    except OcinetError:
        return False

"""The thread of names: what containers here are called is written, what others wrote is found here.

Told by inotify of who comes, goes or is called otherwise, and by the view of what others wrote. A
container's start waits for none of it.
"""

from __future__ import annotations

import os
import select
import threading
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.files import Directory
from ocinet.base.value import Value
from ocinet.cluster import keys
from ocinet.cluster.called import (
    Place,
    believed,
    by_host,
    differing,
    names_of,
    parts_of,
    read_part,
)
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.kept import JOINED
from ocinet.cluster.share_networks import on_shares
from ocinet.cluster.store import Compare, Delete, Put, UnreachableError
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.inotify import CREATED, DELETED, MOVED_TO, Inotify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ocinet.base.address import Subnet
    from ocinet.base.paths import Paths
    from ocinet.cluster.kept import Keeping, Kept
    from ocinet.cluster.member import Member
    from ocinet.cluster.model import Peer
    from ocinet.cluster.store import Entry
    from ocinet.cluster.view import View
    from ocinet.engine.model.elsewhere import Elsewhere

_LOOK_S = 180.0  # whatever nobody tells of
_RETRY_S = 1.0
_CALM_S = 0.05  # between two turns: of a hundred that start at once, few are written one by one
_MOST_ACTS = 64  # of a transaction: etcd's own limit is 128
_MOST_BYTES = 1 << 19  # of one: etcd's is 1.5 MiB, keys and all


class _Known(Value):
    """What a part was read as, and by what.

    Attributes:
        by: the revision of the entry, what its host is called, and the shares of that.
        there: who is believed to be there.
    """

    by: tuple[int, str, tuple[Subnet, ...]]
    there: tuple[Elsewhere, ...]


class Names(threading.Thread):
    """Has containers of a cluster's networks found by name on all its hosts.

    Args:
        paths: of the installation.
        keeping: what this host keeps.
        view: what etcd has.
        member: whether this host is the one of its id.
        log: where it is told what can't be done.
        failed: told if this thread ends by a fault.
    """

    def __init__(
        self,
        paths: Paths,
        keeping: Keeping,
        view: View,
        member: Member,
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name="cluster names", daemon=True)
        self._paths, self._keeping = paths, keeping
        self._view, self._member = view, member
        self._log, self._failed = log, failed
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ended = threading.Event()
        self._etcd: Etcd | None = None
        self._known: dict[str, dict[Place, _Known]] = {}
        self._told = ""

    def wake(self) -> None:
        """Look at once."""
        os.eventfd_write(self._woken, 1)

    def stop(self) -> None:
        """End the thread, and wait for that; whoever was found is found still."""
        self._ended.set()
        self.wake()
        self.join()
        os.close(self._woken)

    def run(self) -> None:
        """Write and read names until it is stopped."""
        watched = Inotify("cannot watch who comes and goes")
        try:
            for folder in ("attachments", "names/served"):
                with Directory(f"{self._paths.run}/{folder}"):  # made, if nobody was there yet
                    watched.watch(f"{self._paths.run}/{folder}", MOVED_TO | CREATED | DELETED)
            files = [self._woken, watched.fileno()]
            while not self._ended.is_set():
                began = monotonic()
                pause_s = self._turn()
                # Of many thousands a turn takes long: it never has more than a third of a core.
                self._ended.wait(max(_CALM_S, 2 * (monotonic() - began)))
                ready, _, _ = select.select(files, (), (), pause_s)
                if self._woken in ready:
                    os.eventfd_read(self._woken)
                watched.read()
        except BaseException as error:  # noqa: BLE001  # the agent ends by it, and is started anew
            self._failed(error)
        finally:
            watched.close()
            if self._etcd is not None:
                self._etcd.close()

    def _turn(self) -> float:
        """Do what is to be done; return in how many seconds to look again."""
        kept = self._keeping.find()
        if kept is None or kept.state != JOINED or not self._view.is_listed:
            return _LOOK_S
        try:
            wanted = self._look(kept)
            if not self._view.reached.error and self._member.mark:
                self._write(kept, wanted)
        except UnreachableError as error:
            self._log.debug("names can't be written to etcd", error=str(error))
            if self._etcd is not None:
                self._etcd.next()
            return _RETRY_S
        except OcinetError as error:
            if str(error) != self._told:
                self._log.warning("names not followed", error=str(error))
            self._told = str(error)
            return _RETRY_S
        self._told = ""
        return _LOOK_S

    def _look(self, kept: Kept) -> dict[Place, bytes]:
        """Have those on other hosts found; return what others are to know of those here."""
        peers, _flaws = self._view.peers(kept.mine)
        called = names_of(kept.host, peers)
        where = called[kept.host.id]
        there = self._there(kept, peers, called)
        wanted: dict[Place, bytes] = {}
        with Engine.open(self._paths) as engine:
            networks = [network.name for network in on_shares(engine, kept.shares)]
            for network in (*networks, *engine.names.networks()):
                elsewhere = there.get(network, ()) if network in networks else ()
                engine.names.tell(network, elsewhere, where)
            for network in networks:
                parts, left_out = parts_of(engine.names.here(network, where))
                for number, data in enumerate(parts):
                    wanted[Place(kept.host.id, network, number)] = data
                if left_out:
                    self._log.warning("not all are found by name on other hosts", network=network,
                                      left_out=left_out)  # fmt: skip
        return wanted

    def _there(
        self, kept: Kept, peers: Iterable[Peer], called: dict[str, str]
    ) -> dict[str, list[Elsewhere]]:
        """Return who is on other hosts, by network."""
        entries = by_host(kept.cluster.name, self._view.names())
        known: dict[str, dict[Place, _Known]] = {}
        found: dict[str, list[Elsewhere]] = {}
        for peer in peers:
            own, before = entries.get(peer.host.id), self._known.get(peer.host.id, {})
            if own is None:
                # etcd may have lost all: who is not heard has not said that nobody is there.
                known[peer.host.id] = {} if peer.heard else before
            else:
                where = called[peer.host.id]
                known[peer.host.id] = {
                    place: _read(entry, before.get(place), peer, where)
                    for place, entry in own.items()
                }
            for place, part in known[peer.host.id].items():
                found.setdefault(place.network, []).extend(part.there)
        self._known = known
        return found

    def _write(self, kept: Kept, wanted: dict[Place, bytes]) -> None:
        """Write what differs, if this host is the one of its id still."""
        name = kept.cluster.name
        stands = by_host(name, self._view.names()).get(kept.host.id, {})
        written, gone = differing(name, stands, wanted)
        acts: list[Put | Delete] = [Put(key, data) for key, data in written.items()]
        acts += map(Delete, gone)
        if not acts:
            return
        if self._etcd is None:
            self._etcd = Etcd(kept.access)
        heard = Compare(keys.alive(name, kept.host.id), modified=self._member.mark)
        for batch in batches(acts):
            if not self._etcd.commit((heard,), batch).done:
                return  # `member` finds out who is heard by our id
        self._log.debug("names written to etcd", written=sorted(written), removed=sorted(gone))


def batches(acts: Iterable[Put | Delete]) -> Iterator[tuple[Put | Delete, ...]]:
    """Yield them all, in their order, as many at once as etcd takes in a transaction."""
    batch: list[Put | Delete] = []
    size = 0
    for act in acts:
        length = len(act.value) if isinstance(act, Put) else 0
        if batch and (len(batch) == _MOST_ACTS or size + length > _MOST_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(act)
        size += length
    if batch:
        yield tuple(batch)


def _read(entry: Entry, before: _Known | None, peer: Peer, where: str) -> _Known:
    """Return what a part says, or said if it is the same."""
    by = entry.modified, where, peer.shares
    if before is not None and before.by == by:
        return before
    try:
        there = believed(read_part(entry.value), where, peer.shares)
    except RequestError:
        there = ()  # a later version's, or an enemy's
    return _Known(by, there)

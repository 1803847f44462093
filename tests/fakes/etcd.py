"""etcd in memory: transactions, revisions, leases and changes, as the real one has them.

`tests/cluster/test_store.py` asks it and the real one the same questions.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ocinet.cluster.store import (
    Change,
    CompactedError,
    Compare,
    Delete,
    Entry,
    Listing,
    Outcome,
    Put,
    UnreachableError,
    end_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST = 1  # an empty etcd's revision


class FakeEtcd:
    """A store that any number of hosts share.

    Attributes:
        away: whether it answers nobody.
        lossy: called after each transaction; true has its answer lost.
        elapsed_s: for leases; a test sets it forward by `pass_time`.
    """

    def __init__(self) -> None:
        self.away = False
        self.lossy: Callable[[], bool] = lambda: False
        self.elapsed_s = 0.0
        self._entries: dict[str, Entry] = {}
        self._revision = _FIRST
        self._store = 1
        self._history: list[tuple[int, Change]] = []
        self._compacted = 0
        self._leases: dict[int, tuple[int, float]] = {}
        self._last_lease = 0

    def scan(self, prefix: str) -> Listing:
        """Return all keys with a prefix."""
        self._check()
        found = sorted(self._within(prefix, end_of(prefix)), key=lambda entry: entry.key)
        return Listing(tuple(found), self._revision, self._store)

    def commit(self, compares: tuple[Compare, ...], acts: tuple[Put | Delete, ...]) -> Outcome:
        """Do all acts at once, if all compares hold."""
        self._check()
        written = [act.key for act in acts if isinstance(act, Put)]
        assert len(set(written)) == len(written), "etcd refuses a key that is written twice"
        assert len(acts) <= 128, "etcd refuses more"
        assert len(compares) <= 128, "etcd refuses more"
        done = all(map(self._holds, compares))
        if done and acts:
            self._do(acts)
        if self.lossy():
            raise UnreachableError("", "the answer was lost")
        return Outcome(done, self._revision)

    def grant(self, ttl_s: int) -> int:
        """Return a new lease."""
        self._check()
        self._last_lease += 1
        self._leases[self._last_lease] = (ttl_s, self.elapsed_s + ttl_s)
        return self._last_lease

    def keep(self, lease: int) -> bool:
        """Keep a lease from ending."""
        self._check()
        if lease not in self._leases:
            return False
        ttl_s, _ = self._leases[lease]
        self._leases[lease] = (ttl_s, self.elapsed_s + ttl_s)
        return True

    def left_s(self, lease: int) -> int:
        """Return for how many seconds a lease goes on."""
        self._check()
        return int(self._leases[lease][1] - self.elapsed_s) if lease in self._leases else -1

    @contextmanager
    def follow(self, prefix: str, revision: int) -> Iterator[Iterator[tuple[Change, ...]]]:
        """Return what has changed since; it ends where the real one would wait."""
        self._check()
        yield self._changes(prefix, revision)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and leases end."""
        self.elapsed_s += seconds
        for lease, (_, end) in list(self._leases.items()):
            if end <= self.elapsed_s:
                self.end(lease)

    def wipe(self) -> None:
        """Be another etcd, which knows nothing."""
        self._entries.clear()
        self._history.clear()
        self._leases.clear()
        self._revision, self._compacted = _FIRST, 0
        self._store += 1

    def compact(self) -> None:
        """Forget all former revisions."""
        self._compacted = self._revision

    def _check(self) -> None:
        if self.away:
            raise UnreachableError("", "etcd does not answer")

    def _changes(self, prefix: str, revision: int) -> Iterator[tuple[Change, ...]]:
        if revision <= self._compacted:
            raise CompactedError("", "compacted")
        for at, change in list(self._history):
            if at >= revision and change.entry.key.startswith(prefix):
                yield (change,)

    def _within(self, key: str, end: str) -> list[Entry]:
        if not end:
            return [self._entries[key]] if key in self._entries else []
        return [entry for known, entry in self._entries.items() if key <= known < end]

    def _holds(self, compare: Compare) -> bool:
        found = self._within(compare.key, compare.end) or [Entry(compare.key, b"")]
        if compare.created is not None:
            return all(entry.created == compare.created for entry in found)
        return all(entry.modified == compare.modified for entry in found)

    def _do(self, acts: tuple[Put | Delete, ...]) -> None:
        self._revision += 1
        for act in acts:
            if isinstance(act, Delete):
                self._delete(self._within(act.key, act.end))
                continue
            assert not act.lease or act.lease in self._leases, "etcd refuses: no such lease"
            former = self._entries.get(act.key)
            created = former.created if former else self._revision
            entry = Entry(act.key, act.value, created, self._revision, act.lease)
            self._entries[act.key] = entry
            self._history.append((self._revision, Change(entry)))

    def end(self, lease: int) -> None:
        self._leases.pop(lease, None)
        kept = [entry for entry in self._entries.values() if entry.lease == lease]
        if kept:
            self._revision += 1
            self._delete(kept)

    def _delete(self, entries: list[Entry]) -> None:
        for entry in entries:
            del self._entries[entry.key]
            gone = Entry(entry.key, b"", modified=self._revision)
            self._history.append((self._revision, Change(gone, gone=True)))

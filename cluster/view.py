"""What the agent's threads have in common: how etcd is, and what it has of the cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocinet.base.clock import now
from ocinet.base.value import Value
from ocinet.cluster import keys
from ocinet.cluster.called import is_name
from ocinet.cluster.carried import carry, settle
from ocinet.cluster.census import MOST_ENTRIES, Census
from ocinet.cluster.decode import LONGEST
from ocinet.cluster.memory import Mark, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocinet.cluster.kept import Kept
    from ocinet.cluster.model import Host, Mine, Peer
    from ocinet.cluster.standing import Standing
    from ocinet.cluster.store import Change, Entry, Listing


_ROOMS = frozenset(("config", "hosts", "shares", "alive", "forgotten"))
_LONGEST_KEY = 1024
_MOST_ENTRIES = 4 * MOST_ENTRIES
_MOST_NAMES = MOST_ENTRIES


class Reached(Value):
    """Whether etcd answers.

    Attributes:
        endpoint: that was asked last.
        error: why it does not; "" if it does.
        since: RFC 3339.
    """

    endpoint: str = ""
    error: str = "etcd has not been asked yet"
    since: str = ""


class View:
    """Followed by one thread, looked at by all.

    Args:
        name: of the cluster.
        changed: called without the lock, by the thread that follows, whenever it is another.
    """

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        self._name = name
        self._changed = changed
        self._guard = threading.Lock()
        self._census = Census(name)
        self._entries: dict[str, Entry] = {}  # all but those of names
        self._names: dict[str, Entry] = {}
        self._named: Callable[[], None] = lambda: None
        self._carried: dict[str, Entry] = {}
        self._mark = Mark()
        self._reached = Reached(since=now())
        self._listed = False

    @property
    def reached(self) -> Reached:
        """Whether etcd answers."""
        return self._reached

    @property
    def is_listed(self) -> bool:
        """Whether etcd has been heard since this agent began, so that nothing is of before."""
        return self._listed

    @property
    def is_known(self) -> bool:
        """Whether anything is known, be it of before."""
        return self._listed or bool(self._entries)

    def remember(self, memory: Memory) -> None:
        """Begin with what was known when this host was last up."""
        with self._guard:
            self._set({entry.key: entry for entry in memory.entries if self._lasts(entry)})
            self._mark = memory.mark
        self._changed()

    def tell_of_names(self, named: Callable[[], None]) -> None:
        """Have somebody told whenever names, or whose they may be, are others than before."""
        self._named = named

    def names(self) -> tuple[Entry, ...]:
        """Return what all hosts have written of what containers are called."""
        with self._guard:
            return tuple(self._names.values())

    def memory(self) -> Memory:
        """Return what is to be known when this host is next up."""
        with self._guard:
            known = {**self._carried, **self._entries}
            return Memory(tuple(filter(self._lasts, known.values())), self._mark)

    def _bound(self, entry: Entry) -> Entry | None:
        """Return what is kept of an entry: enough to tell what is wrong with it; or None."""
        room = entry.key.removeprefix(keys.root(self._name)).partition("/")[0]
        if room not in _ROOMS or len(entry.key) > _LONGEST_KEY:
            return None  # a later version's, or an enemy's
        long = len(entry.value) > LONGEST
        return entry.replace(value=entry.value[: LONGEST + 1]) if long else entry

    def _lasts(self, entry: Entry) -> bool:
        """Tell whether an entry means anything at a later boot: who was heard then does not."""
        return not entry.key.startswith(keys.alive(self._name, ""))

    def replace(self, listing: Listing) -> None:
        """Take a list of all that there is."""
        with self._guard:
            entries = {entry.key: entry for entry in listing.entries}
            named = [key for key in entries if is_name(self._name, key)]
            names = [entries.pop(key) for key in named]
            self._names = {entry.key: entry for entry in names[:_MOST_NAMES]}
            entries = {
                key: bound for key, entry in entries.items() if (bound := self._bound(entry))
            }
            before = {**self._carried, **self._entries}
            mark = Mark(listing.store, listing.revision)
            if mark.is_older_than(self._mark) or keys.config(self._name) not in entries:
                self._carried = carry(self._name, before, entries)
            self._mark = mark
            self._set(entries)
            self._listed = True
        self._changed()
        self._named()

    def apply(self, changes: Iterable[Change]) -> None:
        """Follow what has changed."""
        others = []
        with self._guard:
            for change in changes:
                if not is_name(self._name, change.entry.key):
                    others.append(change)
                elif change.gone:
                    self._names.pop(change.entry.key, None)
                elif len(self._names) < _MOST_NAMES or change.entry.key in self._names:
                    self._names[change.entry.key] = change.entry
        if others:
            self._follow(others)
        self._named()

    def _follow(self, changes: Iterable[Change]) -> None:
        with self._guard:
            before, had = self._entries, keys.config(self._name) in self._entries
            entries = dict(before)
            for change in changes:
                bound = self._bound(change.entry)
                if change.gone:
                    entries.pop(change.entry.key, None)
                    self._census.apply((change,))
                elif bound and (len(entries) < _MOST_ENTRIES or bound.key in entries):
                    entries[bound.key] = bound
                    self._census.note(bound)
                revision = max(self._mark.revision, change.entry.modified)
                self._mark = self._mark.replace(revision=revision)
            if had and keys.config(self._name) not in entries:  # nobody of ours removes that
                self._carried |= carry(self._name, before, entries)
            self._entries = entries
            self._carried = settle(self._name, self._carried, entries)
        self._changed()

    def tell(self, endpoint: str, error: str = "") -> None:
        """Say that etcd answers, or why it does not."""
        if (endpoint, error) != (self._reached.endpoint, self._reached.error):
            same = bool(error) == bool(self._reached.error)
            since = self._reached.since if same else now()
            self._reached = Reached(endpoint, error, since)
            self._changed()

    def peers(self, mine: Mine) -> tuple[tuple[Peer, ...], tuple[str, ...]]:
        """Return all other hosts, and what is not obeyed; see `Census.peers`."""
        with self._guard:
            if not self._carried:
                return self._census.peers(mine)
            known = {**self._carried, **self._entries}
            return Census.of(self._name, known.values()).peers(mine)

    def judge(
        self, kept: Kept, wanted: Host, judge: Callable[[Census, Kept, Host], Standing]
    ) -> Standing:
        """Return how this host stands."""
        with self._guard:
            return judge(self._census, kept, wanted)

    def alive(self, host_id: str) -> str:
        """Return the session by which a host is heard; "" if it is not."""
        with self._guard:
            stood = self._census.alive(host_id)
        return str(stood.value.session) if stood else ""

    def _set(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        self._carried = settle(self._name, self._carried, entries)
        self._census = Census.of(self._name, entries.values())

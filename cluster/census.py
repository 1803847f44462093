"""What etcd has of a cluster, made of its entries: who is in it, who has what, who is heard.

What an entry says that makes no sense, or that another one contradicts, is left out, and told.
"""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.cluster import keys
from ocinet.cluster.decode import (
    is_id,
    read_alive,
    read_cluster,
    read_forgotten,
    read_host,
    read_share,
)
from ocinet.cluster.model import VERSION, Peer
from ocinet.cluster.shares import pool_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ocinet.cluster.decode import Forgotten
    from ocinet.cluster.model import Cluster, Host, Mine, Share
    from ocinet.cluster.store import Change, Entry

MOST_ENTRIES = 100_000  # of a cluster: some 30,000 hosts
_MOST_FLAWS = 100


class Stood(Value):
    """A value, and the entry that it was read of.

    Attributes:
        value: as it was read.
        entry: its revisions and lease.
    """

    value: Any
    entry: Entry


class Census:
    """All that stands below a cluster's prefix, kept as it changes. One thread at a time.

    Args:
        name: of the cluster.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._root = keys.root(name)
        self.config: Stood | None = None
        self._hosts: dict[str, Stood] = {}
        self._shares: dict[Subnet, Stood] = {}
        self._alive: dict[str, Stood] = {}
        self._forgotten: dict[str, Stood] = {}
        self._flaws: dict[str, tuple[str, int]] = {}  # why, and the revision

    @classmethod
    def of(cls, name: str, entries: Iterable[Entry]) -> Census:
        """Return a cluster's census of a list of its entries."""
        census = cls(name)
        for entry in entries:
            census.note(entry)
        return census

    def apply(self, changes: Iterable[Change]) -> None:
        """Follow what has changed, in its order."""
        for change in changes:
            if change.gone:
                self._forget(change.entry.key)
            else:
                self.note(change.entry)

    def note(self, entry: Entry) -> None:
        """Take an entry in, in the place of the former one of its key."""
        self._forget(entry.key)
        try:
            self._read(entry)
        except RequestError as error:
            if len(self._flaws) < _MOST_FLAWS or entry.key == keys.config(self._name):
                self._flaws[entry.key] = error.why, entry.modified

    @property
    def cluster(self) -> Cluster | None:
        """What all have in common; None if there is no cluster of the name."""
        cluster: Cluster | None = self.config.value if self.config else None
        return cluster

    @property
    def hosts(self) -> dict[str, Host]:
        """All hosts, by their ids."""
        return {host_id: stood.value for host_id, stood in sorted(self._hosts.items())}

    @property
    def shares(self) -> tuple[Share, ...]:
        """All shares, in the order of their prefixes; also those that contradict each other."""
        return tuple(stood.value for _, stood in sorted(self._shares.items(), key=_place))

    @property
    def taken(self) -> tuple[Subnet, ...]:
        """The prefixes of all shares."""
        return tuple(self._shares)

    def host(self, host_id: str) -> Stood | None:
        """Return a host, and how it stands there."""
        return self._hosts.get(host_id)

    def share(self, prefix: Subnet) -> Stood | None:
        """Return the share of just this prefix."""
        return self._shares.get(prefix)

    def alive(self, host_id: str) -> Stood | None:
        """Return what keeps a host heard, or None if it is not."""
        return self._alive.get(host_id)

    def forgotten(self, host_id: str) -> Forgotten | None:
        """Return by whom a host was forgotten, if it was and has not joined since."""
        stood = self._forgotten.get(host_id)
        forgotten: Forgotten | None = stood.value if stood else None
        return forgotten

    def flaw(self, key: str) -> str:
        """Return what is wrong with what stands under a key; "" if nothing is."""
        return self._flaws.get(key, ("", 0))[0]

    def flawed(self, key: str) -> int:
        """Return the revision of what makes no sense under a key; 0 if nothing does so.

        Who writes over it, where it can be nobody's but his own, compares that.
        """
        return self._flaws.get(key, ("", 0))[1]

    def shares_of(self, host_id: str) -> tuple[Subnet, ...]:
        """Return the prefixes that stand as a host's."""
        return tuple(share.prefix for share in self.shares if share.host == host_id)

    def peers(self, mine: Mine) -> tuple[tuple[Peer, ...], tuple[str, ...]]:
        """Return all other hosts, and what was left out of them.

        Args:
            mine: this host: nobody else's share may overlap its own. Of which pools shares are is
                what it keeps, so that nobody loses his ways while etcd's word of it can't be read.

        Returns:
            The peers by their ids; and a line for people for each entry that is not obeyed.
        """
        flaws = [_printable(f"{key}: {why}") for key, (why, _) in self._flaws.items()]
        shares: dict[str, list[Subnet]] = {}
        accepted = _Apart()
        # Who had it first has it, if two overlap, which no transaction of ours lets happen.
        for prefix, stood in sorted(self._shares.items(), key=_age):
            owner = stood.value.host
            if owner == mine.host.id:
                continue
            why = self._flaw(prefix, owner, mine) or accepted.add(prefix)
            if why:
                flaws.append(f"share {prefix}: {why}")
            else:
                shares.setdefault(owner, []).append(prefix)
        peers = [
            Peer(host, tuple(sorted(shares.get(host_id, ()), key=_order)), host_id in self._alive)
            for host_id, host in self.hosts.items()
            if host_id != mine.host.id
        ]
        return tuple(peers), tuple(flaws)

    def _flaw(self, prefix: Subnet, owner: str, mine: Mine) -> str:
        """Return why a share of another host's is not obeyed, or ""."""
        if pool_of(mine.cluster, prefix) is None:
            return "it is of no pool"
        if owner not in self._hosts:
            return f"there is no host {owner}"
        if any(prefix.overlaps(own) for own in mine.shares):
            return "it overlaps this host's own"
        return ""

    def _read(self, entry: Entry) -> None:
        room, _, name = entry.key.removeprefix(self._root).partition("/")
        if entry.key == keys.config(self._name):
            cluster = read_cluster(entry.value)
            if cluster.version > VERSION:
                why = f"version {cluster.version} is of a later ocinet than this one"
                raise RequestError("", why)
            if cluster.name != self._name:
                raise RequestError("", f"it is that of cluster {cluster.name}")
            self.config = Stood(cluster, entry)
            return
        if room == "shares":
            prefix = keys.share_of(name)
            self._shares[prefix] = Stood(read_share(prefix, entry.value), entry)
            self._cap(self._shares, prefix)
            return
        kept, read = self._rooms().get(room, (None, None))
        if kept is None or read is None:
            return  # a later version's
        if not is_id(name):
            raise RequestError("", "it is no host's id")
        kept[name] = Stood(read(name, entry.value), entry)
        self._cap(kept, name)

    def _cap(self, kept: dict[Any, Stood], latest: object) -> None:
        if len(kept) > MOST_ENTRIES:
            del kept[latest]
            raise RequestError("", f"there are more than {MOST_ENTRIES} already")

    def _rooms(self) -> dict[str, tuple[dict[str, Stood], Callable[[str, bytes], Any]]]:
        return {
            "hosts": (self._hosts, read_host),
            "alive": (self._alive, lambda _, data: read_alive(data)),
            "forgotten": (self._forgotten, lambda _, data: read_forgotten(data)),
        }

    def _forget(self, key: str) -> None:
        self._flaws.pop(key, None)
        room, _, name = key.removeprefix(self._root).partition("/")
        if key == keys.config(self._name):
            self.config = None
        elif room == "shares":
            try:
                self._shares.pop(keys.share_of(name), None)
            except RequestError:
                return
        elif room in self._rooms():
            self._rooms()[room][0].pop(name, None)


class _Apart:
    """Prefixes of which no two overlap; thousands of one size are asked for no pair of them."""

    def __init__(self) -> None:
        self._known: set[Subnet] = set()
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def add(self, prefix: Subnet) -> str:
        """Add a prefix; return why it is not added, or ""."""
        lengths = self._lengths[prefix.family]
        bits = 32 if prefix.family == 4 else 128
        for length in lengths:
            if length <= prefix.prefixlen:
                first = prefix.value >> (bits - length) << (bits - length)
                if Subnet(prefix.family, first, length) in self._known:
                    return "it overlaps an older one"
        if any(length > prefix.prefixlen for length in lengths) and any(
            prefix.overlaps(other) for other in self._known
        ):
            return "it overlaps an older one"
        self._known.add(prefix)
        lengths.add(prefix.prefixlen)
        return ""


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])


def _order(prefix: Subnet) -> tuple[int, int, int]:
    return prefix.family, prefix.value, prefix.prefixlen


def _age(item: tuple[Subnet, Stood]) -> int:
    return item[1].entry.created


def _place(item: tuple[Subnet, Stood]) -> tuple[int, int, int]:
    return _order(item[0])

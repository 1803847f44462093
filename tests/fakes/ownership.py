"""Hosts of a cluster as a machine of Hypothesis': each with a disk, all with one etcd.

What a host does, it does by the product's own functions, in the product's order. It may be killed
between its transaction and its disk, and an answer may be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakes.etcd import FakeEtcd
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, ExhaustedError, NotFoundError
from ocinet.cluster import ownership
from ocinet.cluster.access import Access
from ocinet.cluster.kept import Kept
from ocinet.cluster.model import Cluster, Host, Pool
from ocinet.cluster.standing import Amiss, Lost, judge
from ocinet.cluster.store import Delete, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.cluster.store import Compare, Outcome, Put, Store

NAME = "prod"
_COUNT = 5
_CLUSTER = Cluster(NAME, (Pool(Subnet.parse("10.42.0.0/22"), 24),
                          Pool(Subnet.parse("fd42::/62"), 64)))  # fmt: skip
_HOSTS = st.integers(0, _COUNT - 1)
_LENGTHS = st.sampled_from([{}, {4: 25}, {4: 23}, {6: 63}, {4: 26, 6: 64}])


class OwnershipMachine(RuleBasedStateMachine):
    """Hosts that join, leave, are forgotten, and find that etcd has lost everything."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeEtcd()
        self.store: Store = self.fake
        self.kept: dict[int, Kept] = {}
        self.lost: set[int] = set()
        self.wiped = False
        ownership.init(self.store, _CLUSTER)

    @rule(number=_HOSTS, rival=_HOSTS, lengths=_LENGTHS, others=_LENGTHS)
    def race(
        self, number: int, rival: int, lengths: dict[int, int], others: dict[int, int]
    ) -> None:
        """Between the look of a host that joins and its transaction, another one joins."""
        store = self.store
        self.store = _Overtaken(store, lambda: self._overtake(store, rival, others))
        try:
            self.join(number, lengths, killed=False, lossy=False)
        finally:
            self.store = store

    def _overtake(self, store: Store, rival: int, lengths: dict[int, int]) -> None:
        racing, self.store = self.store, store
        self.join(rival, lengths, killed=False, lossy=False)
        self.store = racing

    @rule(number=_HOSTS, lengths=_LENGTHS, killed=st.booleans(), lossy=st.booleans())
    def join(self, number: int, lengths: dict[int, int], *, killed: bool, lossy: bool) -> None:
        """A host joins; it may be killed before it keeps what it got."""
        former = self.kept.get(number)
        self._lose(lossy)
        try:
            joined = ownership.join(
                self.store, NAME, lambda _: host(number), lengths,
                former.shares if former else (), Deadline(0 if lossy or self.fake.away else 5),
            )  # fmt: skip
        except (ConflictError, ExhaustedError, UnreachableError, NotFoundError):
            return
        finally:
            self._lose(lossy=False)
        if not killed:
            self.kept[number] = _kept(joined)
            self.lost.discard(number)

    @rule(number=_HOSTS, lossy=st.booleans())
    def leave(self, number: int, *, lossy: bool) -> None:
        """A host leaves: what it kept is gone only when etcd has said so."""
        if number not in self.kept:
            return
        self._lose(lossy)
        try:
            ownership.leave(self.store, NAME, self.kept[number].host)
        except UnreachableError:
            return
        finally:
            self._lose(lossy=False)
        del self.kept[number]
        self.lost.discard(number)

    @rule(number=_HOSTS, by=_HOSTS)
    def forget(self, number: int, by: int) -> None:
        """A person has a host forgotten."""
        try:
            ownership.forget(self.store, NAME, host(number).id, host(by).id)
        except (NotFoundError, ConflictError, UnreachableError):
            return

    @rule(number=_HOSTS, lossy=st.booleans())
    def look(self, number: int, *, lossy: bool) -> None:
        """A host's agent compares, and writes back what is missing."""
        if number not in self.kept:
            return
        kept = self.kept[number]
        self._lose(lossy)
        try:
            standing = judge(ownership.census_of(self.store, NAME), kept, kept.host)
            self.lost.discard(number)
            if isinstance(standing, Lost):
                self.lost.add(number)
            elif isinstance(standing, Amiss):
                self.kept[number] = kept.replace(host=standing.host)
                self.store.commit(standing.compares, standing.acts)
        except UnreachableError:
            return
        finally:
            self._lose(lossy=False)

    @rule(number=_HOSTS)
    def lose_disk(self, number: int) -> None:
        """A host forgets what it kept, but for its nonce; it joins anew."""
        self.kept.pop(number, None)
        self.lost.discard(number)

    @precondition(lambda self: bool(self.fake))
    @rule()
    def cut(self) -> None:
        """Nobody reaches etcd, or all do again."""
        self.fake.away = not self.fake.away

    @precondition(lambda self: bool(self.fake))
    @rule()
    def wipe(self) -> None:
        """Etcd has lost everything."""
        self.fake.wipe()
        self.wiped = True

    @rule()
    def all_look(self) -> None:
        """All agents look, twice: then all is written back, or known to be lost."""
        if self.fake.away:
            return
        for _ in range(2):
            for number in list(self.kept):
                self.look(number, lossy=False)
        self._check_believed()

    @invariant()
    def nothing_in_etcd_overlaps(self) -> None:
        """Of what stands there, no two parts are the same addresses."""
        away, self.fake.away = self.fake.away, False
        shares = ownership.census_of(self.store, NAME).taken
        self.fake.away = away
        for place, share in enumerate(shares):
            assert not any(share.overlaps(other) for other in shares[:place]), shares

    @invariant()
    def nobody_believes_what_another_has(self) -> None:
        """As long as etcd has lost nothing and nobody was forgotten, at any moment."""
        if not self.wiped and not self._forgotten():
            self._check_believed()

    def _check_believed(self) -> None:
        sound = [(number, share) for number, kept in self.kept.items()
                 if number not in self.lost for share in kept.shares]  # fmt: skip
        for place, (number, share) in enumerate(sound):
            for other, taken in sound[:place]:
                assert not share.overlaps(taken), (number, other, share)

    def _forgotten(self) -> bool:
        away, self.fake.away = self.fake.away, False
        census = ownership.census_of(self.store, NAME)
        self.fake.away = away
        return any(
            census.host(kept.host.id) is None or census.shares_of(kept.host.id) != kept.shares
            for kept in self.kept.values()
        )

    def _lose(self, lossy: bool) -> None:  # one switch
        self.fake.lossy = lambda: lossy


class _Overtaken:
    """A store by which somebody else is faster, once.

    Args:
        store: that is asked.
        overtake: called before the first transaction.
    """

    def __init__(self, store: Store, overtake: Callable[[], None]) -> None:
        self._store = store
        self._overtake: Callable[[], None] | None = overtake

    def commit(self, compares: tuple[Compare, ...], acts: tuple[Put | Delete, ...]) -> Outcome:
        """Do it, when the other one has."""
        overtake, self._overtake = self._overtake, None
        if overtake:
            overtake()
        return self._store.commit(compares, acts)

    def __getattr__(self, name: str) -> Any:
        """Be the store in everything else."""
        return getattr(self._store, name)


def host(number: int) -> Host:
    """Return a host by its number."""
    return Host(
        f"{number:08}-0000-4000-8000-000000000000", f"h{number}",
        (Address.parse(f"10.0.0.{number + 1}"),), f"02:00:00:00:00:{number:02x}",
        nonce=f"{number:032}",
    )  # fmt: skip


def _kept(joined: ownership.Joined) -> Kept:
    return Kept(joined.cluster, joined.host, joined.shares, Access(()))


class RealOwnershipMachine(OwnershipMachine):
    """The same with a real etcd, which is neither cut off nor wiped between two steps.

    Attributes:
        real: set by who starts it; empty at each start of a run.
    """

    real: ClassVar[Store]

    def __init__(self) -> None:
        super().__init__()
        self.fake = _Unused()
        self.store = self.real
        entries = self.store.scan("/ocinet/").entries
        for at in range(0, len(entries), 100):
            self.store.commit((), tuple(Delete(entry.key) for entry in entries[at : at + 100]))
        ownership.init(self.store, _CLUSTER)


class _Unused(FakeEtcd):
    """What is never asked: a real etcd takes its place."""

    def __bool__(self) -> bool:
        """Tell that it is none, to the rules that would change it."""
        return False

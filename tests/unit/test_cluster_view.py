"""What the agent knows of a cluster, as etcd tells of it and loses it."""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING

import pytest

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import SystemFailure
from ocinet.base.paths import Paths
from ocinet.cluster import keys
from ocinet.cluster.called import Place, key_of
from ocinet.cluster.decode import Alive, written
from ocinet.cluster.memory import Memory, keep, recall
from ocinet.cluster.model import Cluster, Host, Mine, Pool, Share
from ocinet.cluster.names import batches
from ocinet.cluster.store import Change, Entry, Listing, Put
from ocinet.cluster.view import View

if TYPE_CHECKING:
    from pathlib import Path

_POOL = Pool(Subnet.parse("10.42.0.0/16"), 24)
_SHARE = Subnet.parse("10.42.3.0/24")
_ID = "6f1c0a52-0000-4000-8000-000000000000"
_HOST = Host(_ID, "b", (Address.parse("10.0.0.2"),), "02:00:00:00:00:01")
_MINE = Mine(_HOST.replace(id="me", name="a"), (), Cluster("prod", (_POOL,)))
_ENTRIES = (
    Entry(keys.config("prod"), written(Cluster("prod", (_POOL,))), 1, 1),
    Entry(keys.host("prod", _ID), written(_HOST), 2, 2),
    Entry(keys.share("prod", _SHARE), written(Share(_SHARE, _ID)), 2, 2),
)
_NAMES = Entry(key_of("prod", Place(_ID, "web", 0)), b"{}", 3, 3)


class _Told:
    def __init__(self) -> None:
        self.changed = self.named = 0
        self.view = View("prod", self._change)
        self.view.tell_of_names(self._name)

    def _change(self) -> None:
        self.changed += 1

    def _name(self) -> None:
        self.named += 1

    def shares(self) -> list[tuple[Subnet, ...]]:
        return [peer.shares for peer in self.view.peers(_MINE)[0]]


def test_names_wake_who_minds_them_alone_and_are_kept_for_no_boot() -> None:
    """They come and go with containers."""
    told = _Told()
    told.view.replace(Listing((*_ENTRIES, _NAMES), 3))
    before = told.changed, told.view.memory()
    told.view.apply((Change(_NAMES.replace(modified=9), gone=False),))
    assert (told.changed, told.view.memory()) == before
    assert told.named == 2
    assert [entry.modified for entry in told.view.names()] == [9]
    told.view.apply((Change(_NAMES.replace(modified=10), gone=True),))
    assert told.view.names() == ()


def test_who_was_heard_before_a_boot_is_not_heard_by_that() -> None:
    """Of what is kept for it, only what lasts is known; also of what an older version kept."""
    alive = Entry(keys.alive("prod", _ID), written(Alive("0a", "0b", "now")), 3, 3, 7)
    told = _Told()
    told.view.replace(Listing((*_ENTRIES, alive), 3))
    assert [peer.heard for peer in told.view.peers(_MINE)[0]] == [True]
    assert alive not in told.view.memory().entries
    booted = _Told()
    booted.view.remember(Memory((*_ENTRIES, alive)))
    assert [peer.heard for peer in booted.view.peers(_MINE)[0]] == [False]
    assert booted.shares() == [(_SHARE,)]


def test_what_is_none_of_ours_is_not_kept() -> None:
    """Neither another room's, nor more of a value than tells that it is too long."""
    strange = Entry(f"{keys.root('prod')}stuff/1", b"x" * 9000, 3, 3)
    long = Entry(keys.host("prod", _ID.replace("6", "7")), b"x" * 9000, 3, 3)
    endless = Entry(keys.host("prod", "x" * 9000), b"", 3, 3)
    for listed in (False, True):
        told = _Told()
        changes = (strange, long, endless)
        told.view.replace(Listing((*_ENTRIES, *changes) if listed else _ENTRIES, 3))
        told.view.apply(Change(entry) for entry in (() if listed else changes))
        kept = {entry.key: len(entry.value) for entry in told.view.memory().entries}
        assert kept == {entry.key: min(len(entry.value), 4097) for entry in (*_ENTRIES, long)}
        (flaw,) = told.view.peers(_MINE)[1]
        assert "longer than 4096 bytes" in flaw


def test_more_than_can_be_read_again_is_not_kept(tmp_path: Path) -> None:
    """It is told; what was kept before is there still."""
    paths = Paths(f"{tmp_path}/etc", state=f"{tmp_path}/var", run=f"{tmp_path}/run",
                  netns=f"{tmp_path}/netns")  # fmt: skip
    before = Memory(tuple(entry.replace(modified=0) for entry in _ENTRIES))
    keep(paths, "prod", before)
    many = Memory(tuple(Entry(str(number), token_bytes(4000)) for number in range(400)))
    with pytest.raises(SystemFailure, match="longer than"):
        keep(paths, "prod", many)
    assert recall(paths, "prod") == before


def test_names_are_written_in_transactions_that_etcd_takes() -> None:
    """All of them, in order."""
    acts = [Put(str(number), b"x" * (60_000 if number % 3 else 9)) for number in range(300)]
    made = list(batches(acts))
    assert [act for batch in made for act in batch] == acts
    assert max(len(batch) for batch in made) <= 128
    assert max(sum(len(act.value) for act in batch if isinstance(act, Put)) for batch in made) < 1e6


def test_etcd_that_lost_all_cuts_nobody_off() -> None:
    """Whether it is seen by a watch, or by a list; nor before anybody has written it back."""
    for listed in (False, True):
        told = _Told()
        told.view.replace(Listing(_ENTRIES, 3))
        assert told.shares() == [(_SHARE,)]
        if listed:
            told.view.replace(Listing((), 1))
        else:
            told.view.apply(Change(entry.replace(modified=4), gone=True) for entry in _ENTRIES)
        assert told.shares() == [(_SHARE,)]

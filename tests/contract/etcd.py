"""What the cluster stands on in etcd: the same questions to the real one and to the fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocinet.cluster.store import CompactedError, Compare, Delete, Put, Store, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = "/t/a", "/t/b", "/t/c"


def _put(store: Store, key: str, value: bytes = b"v") -> int:
    return store.commit((), (Put(key, value),)).revision


def lists_what_was_written(store: Store) -> None:
    """In the order of keys, with revisions; empty values too, and nothing of another prefix."""
    first = _put(store, B)
    second = _put(store, A, b"")
    _put(store, "/u/x")
    third = _put(store, B, b"w")
    listing = store.scan("/t/")
    assert [(entry.key, entry.value) for entry in listing.entries] == [(A, b""), (B, b"w")]
    assert [(entry.created, entry.modified) for entry in listing.entries] == [
        (second, second), (first, third),
    ]  # fmt: skip
    assert listing.revision == third
    assert listing.store


def lists_more_than_one_page(store: Store) -> None:
    """All of one moment, and none twice."""
    for number in range(45):
        acts = tuple(Put(f"/t/{number:02}{at:03}", b"v") for at in range(100))
        store.commit((), acts)
    found = [entry.key for entry in store.scan("/t/").entries]
    assert len(found) == 4500
    assert found == sorted(set(found))


def does_all_or_nothing(store: Store) -> None:
    """By each kind of comparison."""
    at = _put(store, A)
    assert not store.commit((Compare(A, created=0),), (Put(B, b"v"),)).done
    assert not store.commit((Compare(A, modified=at + 1),), (Put(B, b"v"),)).done
    assert not store.commit((Compare(A, modified=at), Compare(A, created=0)), (Put(B, b"v"),)).done
    assert [entry.key for entry in store.scan("/t/").entries] == [A]
    assert store.commit((Compare(A, modified=at), Compare(B, modified=0)), (Put(B, b"v"),)).done
    assert store.commit((Compare(A, modified=at),), (Delete(A), Put(C, b"v"))).done
    assert [entry.key for entry in store.scan("/t/").entries] == [B, C]


def compares_ranges(store: Store) -> None:
    """A range without keys is as good as none; one key in it is enough."""
    nobody = Compare("/t/a", created=0, end="/t/c")
    assert store.commit((nobody,), (Put(B, b"v"),)).done
    assert not store.commit((nobody,), (Put(B, b"w"),)).done
    assert store.commit((Compare("/t/c", created=0, end="/t/d"),), (Delete("/t/a", "/t/c"),)).done
    assert store.commit((nobody,), (Put("/t/c", b"v"),)).done
    assert store.commit((nobody,), (Put(A, b"v"),)).done, "its end is not in it"


def ends_leases(store: Store, end: Callable[[int], object]) -> None:
    """With what they keep; one that has ended can't be kept, nor written with."""
    lease = store.grant(60)
    store.commit((), (Put(A, b"v", lease), Put(B, b"v")))
    assert store.keep(lease)
    assert 50 <= store.left_s(lease) <= 60
    assert store.scan(A).entries[0].lease == lease
    end(lease)
    assert not store.keep(lease)
    assert store.left_s(lease) == -1
    assert [entry.key for entry in store.scan("/t/").entries] == [B]


def follows_changes(store: Store) -> None:
    """In their order, from a revision on, with what was removed."""
    before = _put(store, A)
    _put(store, "/u/x")
    _put(store, B, b"w")
    store.commit((), (Delete(A),))
    found = []
    with store.follow("/t/", before + 1) as changes:
        for batch in changes:
            found += [(change.entry.key, change.entry.value, change.gone) for change in batch]
            if len(found) == 2:
                break
    assert found == [(B, b"w", False), (A, b"", True)]


def tells_of_compaction(store: Store, compact: Callable[[], None]) -> None:
    """What came since is not known, and that is said."""
    before = _put(store, A)
    _put(store, B)
    _put(store, C)
    compact()
    with pytest.raises(CompactedError), store.follow("/t/", before + 1) as changes:
        for _batch in changes:
            pass


def asks_nobody(store: Store) -> None:
    """Every method says that there is none."""
    for ask in (
        lambda: store.scan("/t/"),
        lambda: store.commit((), (Put(A, b"v"),)),
        lambda: store.grant(60),
        lambda: store.keep(1),
        lambda: store.left_s(1),
    ):
        with pytest.raises(UnreachableError):
            ask()


QUESTIONS = (lists_what_was_written, lists_more_than_one_page, does_all_or_nothing, compares_ranges,
             follows_changes)  # fmt: skip

"""What the cluster needs of etcd: a Protocol, and the values that it speaks in.

The real one is `etcd.Etcd`; tests have one in memory, which passes the same contract.
"""

from __future__ import annotations

from typing import Protocol

from ocinet.base.errors import SystemFailure
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


LONGEST_VALUE = 1 << 16  # bytes: nobody of ours writes a longer one, and what is read is cut there


class UnreachableError(SystemFailure):
    """etcd does not answer, or has no leader: what was asked for waits, and may be asked again.

    A transaction may have been made all the same: who asks again looks first.
    """

    cause = "unreachable"


class CompactedError(SystemFailure):
    """The changes since a revision are not kept any more: list anew."""


class Entry(Value):
    """A key and what stands there.

    Attributes:
        key: the whole.
        value: as it was written; of a longer one than `LONGEST_VALUE`, a byte more than that.
        created: the revision by which it came to be; 0 is no revision.
        modified: the revision of its last change.
        lease: that keeps it; 0: none.
    """

    key: str
    value: bytes
    created: int = 0
    modified: int = 0
    lease: int = 0


class Listing(Value):
    """All keys of a range, as of one revision.

    Attributes:
        entries: in the order of their keys.
        revision: of the whole store.
        store: the id of etcd's cluster: another one if it was made anew, or of a copy.
    """

    entries: tuple[Entry, ...]
    revision: int
    store: int = 0


class Compare(Value):
    """What must be so for a transaction to be made.

    Attributes:
        key: that is looked at.
        created: its revision; 0: it is not there. None: that is all one.
        modified: of its last change; None: that is all one. One of the two is said.
        end: if not "", all keys from `key` on up to this one; none there is as good as 0.
    """

    key: str
    created: int | None = None
    modified: int | None = None
    end: str = ""


class Put(Value):
    """What a transaction writes; kept by a lease, or for good (0)."""

    key: str
    value: bytes
    lease: int = 0


class Delete(Value):
    """What a transaction removes: a key, or all from `key` up to `end`."""

    key: str
    end: str = ""


class Outcome(Value):
    """What became of a transaction.

    Attributes:
        done: whether all was so that it was made under.
        revision: of the store, after it.
    """

    done: bool
    revision: int


class Change(Value):
    """A key that was written, or removed.

    Attributes:
        entry: as it is; its value is empty if it is gone.
        gone: whether it was removed, or its lease ran out.
    """

    entry: Entry
    gone: bool = False


class Store(Protocol):
    """etcd, as far as it is used. One thread at a time."""

    def scan(self, prefix: str) -> Listing:
        """Return all keys with a prefix, as a majority of etcd's members has them.

        Raises:
            UnreachableError: there is none.
            OcinetError: it refuses.
        """

    def commit(self, compares: tuple[Compare, ...], acts: tuple[Put | Delete, ...]) -> Outcome:
        """Do all acts at once, if all compares hold; nothing else.

        Raises:
            UnreachableError: it may have been done or not.
            OcinetError: etcd refuses.
        """

    def grant(self, ttl_s: int) -> int:
        """Return a new lease, which ends when it is not kept for so long."""

    def keep(self, lease: int) -> bool:
        """Keep a lease from ending; False if it has ended already."""

    def left_s(self, lease: int) -> int:
        """Return for how many seconds a lease goes on if nobody keeps it; -1: it has ended."""

    def follow(
        self, prefix: str, revision: int
    ) -> AbstractContextManager[Iterator[tuple[Change, ...]]]:
        """Return all changes from a revision on, as they come, for as long as the block lasts.

        Raises:
            CompactedError: while it is gone through: they are not kept any more.
            UnreachableError: likewise: the stream broke, or is silent as nobody is there.
        """

    def close(self) -> None:
        """Close what is open; it can be used again."""


def end_of(prefix: str) -> str:
    """Return the first key behind all that begin with a prefix.

    >>> end_of("/ocinet/v1/prod/")
    '/ocinet/v1/prod0'
    """
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)

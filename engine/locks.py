"""The locks of one operation: pods', containers', and the one for what all share.

Order in which they may be held together: pod (one of 256 files, by hash of its
sandbox), container (of 256 as well, by hash of the id), network, ports, global; under
that of a network's peers, those of hosts files, and under these none. A member of a shared
sandbox works under its owner's lock, never under two; who links two sandboxes takes both, in
the order of their numbers.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.clock import Deadline
from ocinet.base.lock import Lock


class ContainerLock:
    """A container's lock, which one operation may take again while it has it.

    Args:
        lock: the lock itself.
        held: the numbers that the operation holds; this one joins them.
        number: of the lock.
    """

    def __init__(self, lock: Lock, held: set[str], number: str) -> None:
        self._lock = lock
        self._held = held
        self._number = number
        self._taken = False

    def __enter__(self) -> ContainerLock:
        """Take it, unless the operation has it."""
        # flock goes by open files: a process that opens the file again stands in its own way.
        # It does so where a holder that is to be judged has an id with the same number.
        if self._number not in self._held:
            self._lock.__enter__()
            self._held.add(self._number)
            self._taken = True
        return self

    def __exit__(self, *exception: object) -> None:
        """Release it, if it was taken here."""
        if self._taken:
            self._held.discard(self._number)
            self._lock.__exit__(*exception)


class ContainerLocks:
    """The locks of several containers.

    Args:
        locks: in the order in which they are taken.
    """

    def __init__(self, locks: list[ContainerLock]) -> None:
        self._locks = locks
        self._taken: list[ContainerLock] = []

    def __enter__(self) -> ContainerLocks:
        """Take them, or none."""
        try:
            for lock in self._locks:
                self._taken.append(lock.__enter__())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Release what was taken, the last one first."""
        while self._taken:
            self._taken.pop().__exit__(*exception)


class Locks:
    """The lock files in `RUN/locks`.

    Args:
        run: the run directory.
        deadline: until when a lock is waited for.
        patience_s: seconds that each is waited for at most; None: until then.
    """

    def __init__(self, run: str, deadline: Deadline, patience_s: float | None = None) -> None:
        self._run = run
        self._path = f"{run}/locks"
        self._deadline = deadline
        self._patience_s = patience_s
        self._held: set[str] = set()  # numbers of the containers' locks that we have

    def patient(self, patience_s: float) -> Locks:
        """Return the same locks, none of which is waited for longer than so many seconds."""
        locks = Locks(self._run, self._deadline, patience_s)
        locks._held = self._held
        return locks

    def container(self, container_id: str, *, wait: bool = True) -> ContainerLock:
        """Return the lock that a container's record is written under.

        One of 256, by hash of the id. Where this operation has it already, for
        another container with the same one, taking it again does nothing.

        Args:
            container_id: whole.
            wait: until the deadline; else it is to be had at once, or a BusyError.
        """
        # Not one for each container: deleting a lock file lets two processes hold "the" lock, one
        # by the old inode and one by the new. So none is deleted, and they must not grow in number.
        number = _number_of(container_id)
        deadline = self._end_of_wait() if wait else None
        lock = Lock(f"{self._path}/container-{number}", f"container {container_id[:12]}", deadline)
        return ContainerLock(lock, self._held, number)

    def containers(self, *container_ids: str) -> ContainerLocks:
        """Return the locks of several containers, taken in the order of their numbers.

        Whoever needs two takes them so, with none of any container's in hand, and two that
        need the same two never wait for each other.

        Args:
            container_ids: whole.
        """
        return ContainerLocks(
            [self.container(each) for each in sorted(container_ids, key=_number_of)]
        )

    def pod(self, identity: str) -> Lock:
        """Return the lock that a member of a pod attaches under, to come before or after another.

        Not a container's: under it those of members, and of whoever keeps the sandbox, are taken.

        Args:
            identity: of the pod's sandbox.
        """
        path = f"{self._path}/pod-{_number_of(identity)}"
        return Lock(path, f"the pod of sandbox {identity}", self._end_of_wait())

    def hosts(self, container_id: str) -> Lock:
        """Return the lock under which others' lines are written into a container's hosts file.

        Whoever changes has its own container's lock then, so that is one of 256 as well; under
        it no other is taken.
        """
        path = f"{self._path}/hosts-{_number_of(container_id)}"
        return Lock(path, f"the hosts file of {container_id[:12]}", self._end_of_wait())

    def peers(self, network: str) -> Lock:
        """Return the lock under which those on a network are told of each other in their files.

        Under it no other is taken but those of the files.
        """
        path = f"{self._path}/peers-{_number_of(network)}"
        return Lock(path, f"the names on {network}", self._end_of_wait())

    def shared(self, what: str = "the machine's shared bridges and tables") -> Lock:
        """Return the global lock, under which what all share is made and removed.

        Args:
            what: it is wanted for, as who waits in vain is told.
        """
        return Lock(f"{self._path}/global", what, self._end_of_wait())

    def _end_of_wait(self) -> Deadline:
        if self._patience_s is None:
            return self._deadline
        return Deadline(min(self._patience_s, self._deadline.left_s))


def _number_of(key: str) -> str:
    """Return one of 256."""
    return blake2s(key.encode(), digest_size=1).hexdigest()

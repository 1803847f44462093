"""Locks between processes: flock on files that are never deleted.

POSIX locks are not used: closing any descriptor of the file drops them. The
kernel drops a flock when its holder dies, however it dies.

Order, where more than one is held: pod, container, network, ports, global.
"""

from __future__ import annotations

import posix
from fcntl import LOCK_EX, LOCK_NB, flock
from time import sleep

from ocinet.base.clock import describe_process, is_stopped
from ocinet.base.errors import BusyError, SystemFailure
from ocinet.base.files import make_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline

_FIRST_WAIT_S = 0.0005
_LONGEST_WAIT_S = 0.02
_NO_MOMENT_S = 0.002  # a wait by which it is worth 50 µs to look who the holder is


def holder_of(fd: int) -> int:
    """Return the id of the process that holds the lock of an open file, from /proc/locks.

    Returns:
        0 if it can't be seen from here, as in another pid namespace.
    """
    status = posix.fstat(fd)
    # As proc(5) has it: device in hexadecimal, inode in decimal.
    device = f"{posix.major(status.st_dev):02x}:{posix.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", "rb", buffering=0) as locks:
            lines = locks.readall().decode().splitlines()
    except OSError:
        lines = []
    for line in lines:
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5] == device:
            return int(fields[4])
    return 0


class Lock:
    """An exclusive lock on `path`, held for the length of a `with` block.

    Args:
        path: absolute; the file is made if it is missing, in a directory that is there.
        what: names the lock in an error, as "network lan".
        deadline: when to give up; None means at once.
        leaves_stopped: whether to give up as soon as it is seen that the holder is stopped, which
            may be for ever: for what can be done without.

    Raises:
        BusyError: on entry, if it was not had in time; names the holder.
        SystemFailure: on entry, if the file can't be opened or locked.
    """

    def __init__(
        self, path: str, what: str, deadline: Deadline | None, *, leaves_stopped: bool = False
    ) -> None:
        self._path = path
        self._what = what
        self._deadline = deadline
        self._leaves_stopped = leaves_stopped
        self._fd = -1

    @property
    def fd(self) -> int:
        """The open file, for the few bytes that its holder may keep in it."""
        return self._fd

    def __enter__(self) -> Lock:
        """Take the lock."""
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC
        try:
            self._fd = posix.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._fd = self._make(flags)
        except OSError as error:
            raise self._failure(error) from error
        try:
            self._wait()
        except BaseException:
            posix.close(self._fd)
            raise
        return self

    def _wait(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                # flock(2) waits for ever or not at all, so it is asked again until the deadline.
                return flock(self._fd, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                if self._deadline is None or not self._deadline.left_s:
                    raise self._busy() from None
                if self._leaves_stopped and wait_s >= _NO_MOMENT_S and self._is_held_by_stopped():
                    raise self._busy() from None
                sleep(min(wait_s, self._deadline.left_s))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            except OSError as error:
                raise self._failure(error) from error

    def _make(self, flags: int) -> int:
        try:
            make_directories(self._path.rpartition("/")[0])
            return posix.open(self._path, flags, 0o600)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> SystemFailure:
        return SystemFailure(f"cannot lock {self._what}", f"{self._path}: {error.strerror}")

    def _is_held_by_stopped(self) -> bool:
        holder = holder_of(self._fd)
        return bool(holder) and is_stopped(holder)

    def _busy(self) -> BusyError:
        pid = holder_of(self._fd)
        holder = describe_process(pid) if pid else "a process that can't be seen from here"
        what = f"cannot lock {self._what}"
        if pid and is_stopped(pid):
            return BusyError(what, f"{holder} holds it, and is stopped", f"kill -CONT {pid}")
        waited = f" for {self._deadline.seconds:g} s" if self._deadline else ""
        return BusyError(what, f"{holder} holds it{waited}", "let it finish, or stop that process")

    def __exit__(self, *_exception: object) -> None:
        """Release the lock."""
        posix.close(self._fd)

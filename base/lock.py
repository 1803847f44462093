"""Locks between processes: flock on files that are never deleted.

POSIX locks are not used: closing any descriptor of the file drops them. The
kernel drops a flock when its holder dies, however it dies.

Order, where more than one is held: pod, container, network, ports, global.
"""

from __future__ import annotations

import posix
from fcntl import LOCK_EX, LOCK_NB, flock
from time import sleep

from ocinet.base.clock import describe_process
from ocinet.base.errors import BusyError, SystemFailure
from ocinet.base.files import make_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline

_FIRST_WAIT_S = 0.0005
_LONGEST_WAIT_S = 0.02


def holder_of(fd: int) -> str:
    """Name the process that holds the lock of an open file, from /proc/locks.

    Returns:
        "process PID (command)", or "a process that can't be seen from here" if it
        is in another pid namespace.
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
            return describe_process(int(fields[4]))
    return "a process that can't be seen from here"


class Lock:
    """An exclusive lock on `path`, held for the length of a `with` block.

    Args:
        path: absolute; the file is made if it is missing, in a directory that is there.
        what: names the lock in an error, as "network lan".
        deadline: when to give up; None means at once.

    Raises:
        BusyError: on entry, if it was not had in time; names the holder.
        SystemFailure: on entry, if the file can't be opened or locked.
    """

    def __init__(self, path: str, what: str, deadline: Deadline | None) -> None:
        self._path = path
        self._what = what
        self._deadline = deadline
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

    def _busy(self) -> BusyError:
        holder = holder_of(self._fd)
        waited = f" for {self._deadline.seconds:g} s" if self._deadline else ""
        return BusyError(f"cannot lock {self._what}", f"{holder} holds it{waited}",
                         "let it finish, or stop that process")  # fmt: skip

    def __exit__(self, *_exception: object) -> None:
        """Release the lock."""
        posix.close(self._fd)

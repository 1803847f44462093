"""Time, boots and process lives: the one place that reads the clock.

A process is known by its id and its start time together, for ids wrap within
minutes on a busy machine; a boot by the kernel's random id of it.
"""

from __future__ import annotations

import posix
from time import gmtime, monotonic, strftime, time

from ocinet.base.errors import BusyError
from ocinet.base.value import Value

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the ")": proc(5) field 22


def _read(path: str) -> bytes:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, 4096)
    finally:
        posix.close(fd)


def boot_id() -> str:
    """Return the kernel's id of this boot (random(4))."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def now() -> str:
    """Return the time in UTC, RFC 3339 with milliseconds."""
    seconds = time()
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


def describe_process(pid: int) -> str:
    """Name a process for people: "process 812 (sshd)"; without the command if it is gone.

    What can't be printed in the command, which its owner chooses, becomes `?`.
    """
    try:
        command = _read(f"/proc/{pid}/comm").decode(errors="replace").rstrip("\n")
    except OSError:
        return f"process {pid}"
    shown = "".join(letter if letter.isprintable() else "?" for letter in command)
    return f"process {pid} ({shown})"


class Process(Value):
    """One life of a process id.

    Attributes:
        pid: in the namespace of this /proc.
        start_time: clock ticks from boot to its start, proc(5) field 22.
    """

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process that has the id now, or None if it is gone or a zombie."""
        try:
            fields = (
                _read(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, _START_TIME_FIELD + 1)
            )
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in b"ZX" else cls(pid, int(fields[_START_TIME_FIELD]))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Process.of(self.pid) == self


class Deadline:
    """A point in time that an operation must not outlast.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left; never negative."""
        return max(0.0, self._end - monotonic())

    def extend(self, seconds: float) -> None:
        """Allow `seconds` from now, if that is more than what is left: for undoing."""
        self._end = max(self._end, monotonic() + seconds)

    def check(self, what: str) -> None:
        """Stop an operation that has run out of time.

        Raises:
            BusyError: nothing is left.
        """
        if not self.left_s:
            raise BusyError(what, f"it took longer than {self.seconds:g} s")

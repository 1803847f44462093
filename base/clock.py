"""Time, boots and process lives: the one place that reads the clock.

A process is known by its id and its start time together, for ids wrap within
minutes on a busy machine; a boot by the kernel's random id of it.
"""

from __future__ import annotations

import posix
from errno import ENOENT
from time import gmtime, monotonic, strftime, time

from ocinet.base.errors import BusyError, SystemFailure
from ocinet.base.value import Value

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the ")": proc(5) field 22
_HOSTS_TIME = "time:[4026531834]"  # PROC_TIME_INIT_INO
_NS_PER_S = 1_000_000_000
NS_PER_TICK = 10_000_000  # USER_HZ is 100 on every architecture that we know


def _read(path: str) -> bytes:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, 4096)
    finally:
        posix.close(fd)


def boot_id() -> str:
    """Return the kernel's id of this boot (random(4)).

    Raises:
        SystemFailure: it can't be read.
    """
    path = "/proc/sys/kernel/random/boot_id"
    try:
        return _read(path).decode().strip()
    except OSError as error:
        raise _unread(path, error) from error


def _unread(path: str, error: OSError) -> SystemFailure:
    """Return what to raise where /proc can't be read; that it is not there has a remedy."""
    what = f"cannot read {path}"
    if error.errno == ENOENT:
        try:
            posix.stat("/proc/self")
        except OSError:
            return SystemFailure(what, "/proc is not mounted", "mount -t proc proc /proc")
    return SystemFailure(what, error.strerror or str(error))


def now() -> str:
    """Return the time in UTC, RFC 3339 with milliseconds."""
    seconds = time()
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


def unix_s() -> float:
    """Return the seconds since 1970, as people and NTP have set them."""
    return time()


def uptime_s() -> float:
    """Return the seconds since the boot, the same for all processes outside of time namespaces."""
    return monotonic()


def took_ms(began_s: float) -> float:
    """Return the milliseconds since a moment that `uptime_s` told."""
    return round((uptime_s() - began_s) * 1000, 1)


def boottime_shift_ns() -> int:
    """Return by how much the time since the boot is more here than on the host, in ns.

    In a time namespace /proc tells when a process was started by the namespace's own time
    (time_namespaces(7)): records that others wrote would be of processes that nobody is.
    """
    try:
        if posix.readlink("/proc/self/ns/time") == _HOSTS_TIME:
            return 0
        offsets = _read("/proc/self/timens_offsets").decode().splitlines()
    except OSError:  # a kernel without such namespaces
        return 0
    for clock, seconds, nanoseconds in map(str.split, offsets):
        if clock == "boottime":
            return int(seconds) * _NS_PER_S + int(nanoseconds)
    return 0


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


def is_stopped(pid: int) -> bool:
    """Tell whether a process does nothing, by SIGSTOP or a debugger; False if it is gone."""
    try:
        # The command's name may have blanks and parentheses; what is behind the last one has none.
        return _read(f"/proc/{pid}/stat").rpartition(b") ")[2][:1] in (b"T", b"t")
    except OSError:
        return False


def cgroups_of(pid: int) -> str:
    """Return the cgroups of a process, a line for each hierarchy (cgroups(7)); "" if it is gone."""
    try:
        return _read(f"/proc/{pid}/cgroup").decode(errors="replace")
    except OSError:
        return ""


class Process(Value):
    """One life of a process id.

    Attributes:
        pid: in the namespace of this /proc.
        start_time: clock ticks from boot to its start, proc(5) field 22, as the host has it.
    """

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process that has the id now, or None if it is gone or a zombie.

        Raises:
            SystemFailure: /proc can't be read, so nobody knows.
        """
        try:
            # From behind the last ")": a command's name may have blanks and brackets (proc(5)).
            fields = (
                _read(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, _START_TIME_FIELD + 1)
            )
        except ProcessLookupError:
            return None
        except OSError as error:
            failure = _unread(f"/proc/{pid}/stat", error)
            if error.errno == ENOENT and not failure.hint:
                return None
            raise failure from error
        # A zombie holds nothing any more, for however long its parent does not ask for it.
        if fields[0] in b"ZX":
            return None
        return cls(pid, int(fields[_START_TIME_FIELD]) - boottime_shift_ns() // NS_PER_TICK)

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
        # Not by the time of day, which may be set meanwhile.
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

"""The event log: what was done, failed and repaired, one JSON line each.

crun and podman throw a hook's stderr away, so what a hook has to say is also
here. A line is one `write` of at most 4 KiB to a file opened for appending,
which the kernel keeps whole; at 1 MiB the file is renamed to `.1` under the
global lock, and the last failure of each container that would be lost with the
former `.1` goes to `.kept`. A failure that comes again and again is told five
times a minute; the next one says how many were not told.
"""

from __future__ import annotations

import posix

from ocinet.base.atomic import replace_file
from ocinet.base.clock import now, uptime_s
from ocinet.base.errors import OcinetError
from ocinet.base.files import Directory, make_directories
from ocinet.base.jsontext import dumps
from ocinet.base.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "events.jsonl"
# Of the watcher's containers: one that has no network although it should, and its end.
NOT_SERVED = "container not served"
ENDED_UNSERVED = "unserved container ended"
WARNED = "attached with a warning"
IMAGE_IGNORED = "image's keys ignored"
# What came to nothing, and what puts an end to that.
FAILURES = ("attach failed", "hook failed", "create refused", NOT_SERVED)
OVER = ("attached", "detached", ENDED_UNSERVED)
# In the order of their age.
FILES = (f"{NAME}.kept", f"{NAME}.1", NAME)
_MAX_LINE = 4096
_MOST_KEPT = 200  # failures
_MOST_REPEATS, _WINDOW_S = 5, 60
_SLOTS = 64  # for what repeats are counted in: one more failure takes another one's
_MAX_FILE = 1 << 20
_MAX_FIELDS = (1024, 256, 64)  # characters; the first that makes the line short enough


def _line(event: str, fields: dict[str, Any]) -> bytes:
    """Render one event within `_MAX_LINE` bytes."""
    time = now()
    for longest in _MAX_FIELDS:
        short = {
            key: value[:longest] if isinstance(value, str) else value
            for key, value in fields.items()
            if value not in (None, "")
        }
        line = dumps({"time": time, "event": event, **short}).encode() + b"\n"
        if len(line) <= _MAX_LINE:
            return line
    return dumps({"time": time, "event": event, "cut": len(line)}).encode() + b"\n"


def _marks(events: tuple[str, ...]) -> list[bytes]:
    return [f'"event": "{event}"'.encode() for event in events]


def _content(path: str) -> bytes:
    """Return what is in a file of the log; nothing if it is not there."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return posix.read(fd, 2 * _MAX_FILE)
    finally:
        posix.close(fd)


class EventLog:
    """Appends to `RUN/events.jsonl`.

    Args:
        run_dir: the run directory; made if it is missing.
        clock: tells the seconds since the boot.
    """

    def __init__(self, run_dir: str, clock: Callable[[], float] = uptime_s) -> None:
        self._uptime_s = clock
        self._run_dir = run_dir
        self._path = f"{run_dir}/{NAME}"

    def append(self, event: str, **fields: Any) -> None:
        """Append one event.

        A log that can't be written must not stop a container, so failures to
        write are dropped.

        Args:
            event: a constant short phrase, as "attached".
            fields: words of the vocabulary; long texts are cut.
        """
        try:
            if event in FAILURES:
                told, untold = self._count(event, fields)
                if not told:
                    return
                fields["suppressed"] = untold or None
            line = _line(event, fields)
            fd = self._open()
            try:
                status = posix.fstat(fd)
                if status.st_uid == posix.geteuid():  # else somebody has put it there, to read it
                    posix.write(fd, line)
                full = status.st_size + len(line) > _MAX_FILE
            finally:
                posix.close(fd)
            if full:
                self._rotate()
        except (OSError, OcinetError):
            return

    def _open(self) -> int:
        flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC
        try:
            return posix.open(self._path, flags, 0o600)
        except FileNotFoundError:
            make_directories(self._run_dir)
            return posix.open(self._path, flags, 0o600)

    def _count(self, event: str, fields: dict[str, Any]) -> tuple[bool, int]:
        """Count a failure; return whether it is to be told, and how many like it were not.

        A container that is started again and again, as with `--restart=always`, would fill the
        log with one line, and push out what others have failed of.
        """
        from binascii import crc32  # on the way of what fails alone

        key = [event, fields.get("name") or fields.get("container"), fields.get("error")]
        mark = f"{crc32(repr(key).encode()):08x}"
        slot = f"repeats-{int(mark, 16) % _SLOTS}"
        with Directory(f"{self._run_dir}/locks") as passing:
            known, _, rest = passing.noted(slot).partition(" ")
            since, _, counted = rest.partition(" ")
            at, count = int(self._uptime_s()), int(counted) if known == mark else 0
            # Of an earlier boot, where /run is kept, it may be of later on.
            if count and 0 <= at - int(since) < _WINDOW_S:
                passing.note(slot, f"{mark} {since} {count + 1}")
                return count < _MOST_REPEATS, 0
            passing.note(slot, f"{mark} {at} 1")
            return True, max(0, count - _MOST_REPEATS)

    def _rotate(self) -> None:
        # Not waited for: whoever finds it too long next has another go. And whoever had the lock
        # may have renamed it.
        with Lock(f"{self._run_dir}/locks/global", "the event log", None):
            if posix.stat(self._path).st_size > _MAX_FILE:
                self._keep_failures()
                posix.rename(self._path, f"{self._path}.1")

    def _keep_failures(self) -> None:
        """Save the failures that still stand from what the rename will write over."""
        former = b"".join(_content(f"{self._run_dir}/{name}") for name in FILES[:-1])
        lines = former.splitlines(keepends=True)
        failed = [line for line in lines if any(mark in line for mark in _marks(FAILURES))]
        standing: dict[bytes, bytes] = {}
        for line in failed[-_MOST_KEPT:]:
            _, _, rest = line.partition(b'"container": "')
            container = rest.partition(b'"')[0]
            if not container:
                continue
            last = former[former.rfind(b"\n", 0, former.rfind(container)) + 1 :]
            standing.pop(container, None)
            if not any(mark in last.partition(b"\n")[0] for mark in _marks(OVER)):
                standing[container] = line
        if failed:
            replace_file(f"{self._run_dir}/{FILES[0]}", b"".join(standing.values()),
                         mode=0o600, durable=False)  # fmt: skip

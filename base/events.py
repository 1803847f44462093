"""The event log: what was done, failed and repaired, one JSON line each.

crun and podman throw a hook's stderr away, so what a hook has to say is also
here. A line is one `write` of at most 4 KiB to a file opened for appending,
which the kernel keeps whole; at 1 MiB the file is renamed to `.1` under the
global lock.
"""

from __future__ import annotations

import posix

from ocinet.base.clock import now
from ocinet.base.errors import OcinetError
from ocinet.base.files import make_directories
from ocinet.base.jsontext import dumps
from ocinet.base.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "events.jsonl"
_MAX_LINE = 4096
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


class EventLog:
    """Appends to `RUN/events.jsonl`.

    Args:
        run_dir: the run directory; made if it is missing.
    """

    def __init__(self, run_dir: str) -> None:
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
        line = _line(event, fields)
        try:
            fd = self._open()
            try:
                posix.write(fd, line)
                full = posix.fstat(fd).st_size > _MAX_FILE
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

    def _rotate(self) -> None:
        with Lock(f"{self._run_dir}/locks/global", "the event log", None):
            if posix.stat(self._path).st_size > _MAX_FILE:
                posix.rename(self._path, f"{self._path}.1")

"""Events, as they are appended to the log."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from ocinet.base.events import NAME

if TYPE_CHECKING:
    from typing import Any

MOST = 200  # events at once: what a person can look through
_LONGEST = 2 << 20  # bytes that are read at once: twice as long as the file may become


class EventTail:
    """Reads what comes; to be closed.

    Args:
        run_dir: where the log is.
    """

    def __init__(self, run_dir: str) -> None:
        self._path = f"{run_dir}/{NAME}"
        self._fd = -1
        self._rest = b""

    def close(self) -> None:
        """Read no more, until `read` begins at the front again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._rest = -1, b""

    def read(self) -> tuple[list[dict[str, Any]], int]:
        """Return what has come since the last time; at first, what the file has.

        Returns:
            The last events, `MOST` of them, and how many others came before those.

        Raises:
            OSError: it is there and can't be read.
        """
        lines = self._lines()
        # It was full: a new one is begun, and the former is complete by now.
        while self._fd < 0 or self._is_renamed():
            if self._fd >= 0:
                lines += self._lines()
                self.close()
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                break
            lines += self._lines()
        events = [event for line in lines[-MOST:] if (event := _parse(line)) is not None]
        return events, max(0, len(lines) - MOST)

    def _lines(self) -> list[bytes]:
        """Return the whole lines that are there."""
        if self._fd < 0:
            return []
        *lines, self._rest = (self._rest + os.read(self._fd, _LONGEST)).split(b"\n")
        self._rest = self._rest[-_LONGEST:]
        return lines

    def _is_renamed(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False  # the next one is not there yet
        return there.st_ino != os.fstat(self._fd).st_ino


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return an event; None of a line that is none, as after a full disk."""
    try:
        event = json.loads(line.decode(errors="replace"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _refuse(constant: str) -> None:
    """Take no NaN and no Infinity: browsers' JSON knows neither.

    Raises:
        ValueError: always.
    """
    raise ValueError(constant)

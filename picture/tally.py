"""The events of the log counted on and on, however often the log is begun anew.

    /run/ocinet/tally.json    what was counted, and up to where the log was read

The log is bounded, and attaches are made by hooks in processes of their own: nobody lives
long enough to have seen all. So whoever wants the counts, the watcher or a timer's command,
adds what was told since the last one to the file, under a lock. Counts and place are in one
file that is put in place whole: whatever is killed in between, nothing counts twice. It goes
with /run, and Prometheus knows a counter that begins anew.
"""

from __future__ import annotations

import json
import os
from binascii import crc32

from ocinet.base.atomic import replace_file
from ocinet.base.clock import Deadline
from ocinet.base.errors import SystemFailure
from ocinet.base.events import NAME
from ocinet.base.lock import Lock
from ocinet.picture.counts import Counts
from ocinet.picture.event_lines import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_FILE = "tally.json"
_WAIT_S = 5.0
_MARK = 512  # bytes of a log's first line that tell it from another one: its time is in there


class _Place:
    """Up to where a file of the log was read.

    Args:
        inode: of the file; numbers come again.
        mark: of its first line; 0 of one that has none yet.
        offset: bytes.
        former: inode and mark of the file before it, all of which is counted.
    """

    def __init__(
        self, inode: int, mark: int, offset: int, former: tuple[int, int] = (0, 0)
    ) -> None:
        self.inode = inode
        self.mark = mark
        self.offset = offset
        self.former = former

    def is_in(self, file: BinaryIO) -> bool:
        """Tell whether a file is the one that it is a place in."""
        if os.fstat(file.fileno()).st_ino != self.inode:
            return False
        return not self.mark or _mark(file) == self.mark


def tally(run_dir: str) -> Counts:
    """Count what was told since the last time, and return what that and all before comes to.

    Args:
        run_dir: where the event log is.

    Raises:
        SystemFailure: the log can't be read, or the file not written.
        BusyError: somebody counts for more than 5 s.

    Effects:
        `RUN/tally.json`.
    """
    path = f"{run_dir}/{_FILE}"
    with Lock(f"{run_dir}/locks/tally", "the tally of events", Deadline(_WAIT_S)):
        counts, place = _read(path)
        try:
            lines, reached, is_whole = _unread(run_dir, place)
        except OSError as error:
            why = error.strerror or str(error)
            raise SystemFailure(f"cannot read {run_dir}/{NAME}", why) from error
        if not is_whole:
            counts.gaps += 1
        if reached:
            counts.add(parse(lines))
            where = [reached.inode, reached.mark, reached.offset, *reached.former]
            try:
                content = json.dumps({"place": where, **counts.encode()})
                replace_file(path, content, mode=0o600, durable=False)
            except OSError as error:
                raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error
    return counts


def _read(path: str) -> tuple[Counts, _Place | None]:
    """Return what was counted, and where; nothing of a file that is of another version."""
    try:
        with open(path, "rb") as file:
            content = json.load(file)
        inode, mark, offset, *former = map(int, content["place"])
        # Of before there was a former one: none is known.
        before = (former[0], former[1]) if former else (0, 0)
        return Counts.decode(content), _Place(inode, mark, offset, before)
    except (OSError, ValueError, LookupError, TypeError):
        return Counts(), None


def _unread(run_dir: str, place: _Place | None) -> tuple[list[str], _Place | None, bool]:
    """Read the log from a place on.

    Returns:
        The lines; up to where that is, None if there is nothing new; and whether it is all.
    """
    # The newer one first: should it be renamed meanwhile, both are the same file, and what came
    # into the next one is read the next time.
    current = _open(f"{run_dir}/{NAME}")
    former = _open(f"{run_dir}/{NAME}.1")
    try:
        if current is None:  # it was just renamed, or nothing was told yet
            return [], None, True
        if place and place.is_in(current):
            data = _rest(current, place.offset)
            end = place.offset + len(data)
            return _lines(data), _after(current, end, place.former) if data else None, True
        older = b""
        is_known = bool(place and former and place.is_in(former))
        own = (0, 0)
        if former and not os.path.sameopenfile(former.fileno(), current.fileno()):
            own = os.fstat(former.fileno()).st_ino, _mark(former)
            # It is counted already where somebody has emptied or removed the one after it.
            if not (place and place.former == own):
                older = _rest(former, place.offset if place and is_known else 0)
        newer = _rest(current, 0)
        reached = _after(current, len(newer), own)
        return _lines(older) + _lines(newer), reached, place is None or is_known
    finally:
        for file in current, former:
            if file:
                file.close()


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb", buffering=0)  # closed by its user
    except FileNotFoundError:
        return None


def _rest(file: BinaryIO, offset: int) -> bytes:
    """Return the whole lines from there on."""
    file.seek(offset)
    data = file.read()
    return data[: data.rfind(b"\n") + 1]


def _lines(data: bytes) -> list[str]:
    return data.decode(errors="replace").splitlines()


def _mark(file: BinaryIO) -> int:
    file.seek(0)
    start, newline, _rest_of_it = file.read(_MARK).partition(b"\n")
    return crc32(start) if newline or len(start) == _MARK else 0


def _after(file: BinaryIO, offset: int, former: tuple[int, int]) -> _Place:
    return _Place(os.fstat(file.fileno()).st_ino, _mark(file) if offset else 0, offset, former)

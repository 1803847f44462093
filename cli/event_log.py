"""The event log, followed: what it had, and what comes."""

from __future__ import annotations

import os
import time

from ocinet.base.errors import SystemFailure
from ocinet.base.events import NAME
from ocinet.picture.event_lines import parse, read_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any, TextIO

_INTERVAL_S = 0.2


def coming(directory: str, arguments: Namespace) -> Iterator[dict[str, Any]]:
    """Yield events as they come, until the time that `--until` names.

    Those of before first, where they are asked for: by `--since`, or `--lines` of them.

    Args:
        directory: of the event log.
        arguments: with `since`, `until` and `lines`.

    Raises:
        SystemFailure: it is there and can't be read.
    """
    from datetime import UTC, datetime

    from ocinet.cli.filters import read_moment  # for who follows

    until = read_moment(arguments.until, "--until") if arguments.until else None
    path = f"{directory}/{NAME}"
    file = _open(path)
    try:
        # Its end first: what is written meanwhile comes twice rather than never.
        end = file.seek(0, os.SEEK_END) if file else 0
        before = parse(read_lines(directory)) if arguments.since or arguments.lines > 0 else []
        yield from before[-arguments.lines :] if arguments.lines > 0 else before
        if file:
            file.seek(end)
        rest = ""
        while until is None or datetime.now(UTC) < until:
            file = file or _open(path)
            rest += file.readline() if file else ""
            if rest.endswith("\n"):
                yield from parse([rest])
                rest = ""
            elif file and _was_renamed(file.fileno(), path):  # it was full: a new one is begun
                file.close()
                file, rest = _open(path), ""
            else:
                time.sleep(_INTERVAL_S)
    finally:
        if file:
            file.close()


def _open(path: str) -> TextIO | None:
    try:
        return open(path, encoding="utf-8", errors="replace")  # closed by its user
    except FileNotFoundError:
        return None  # nothing has happened since the boot
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error


def _was_renamed(fd: int, path: str) -> bool:
    try:
        return os.stat(path).st_ino != os.fstat(fd).st_ino
    except OSError:
        return False  # the next one is not there yet

"""The event log as it is read: its lines, and the events in them."""

from __future__ import annotations

import json

from ocinet.base.errors import SystemFailure
from ocinet.base.events import FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_lines(directory: str) -> list[str]:
    """Return the lines of the event log, those of the files that it was renamed to first.

    Raises:
        SystemFailure: it is there and can't be read.
    """
    lines: list[str] = []
    for name in FILES:
        path = f"{directory}/{name}"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines += file.read().splitlines()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error
    return lines


def parse(lines: list[str]) -> list[dict[str, Any]]:
    """Return the events of these lines; what is none, as after a full disk, is passed over."""
    events = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events

"""Waits for what happens beside the test and has no event to wait for."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Found = TypeVar("_Found")


def wait_until(
    condition: Callable[[], _Found], what: str, *, timeout_s: float = 20, interval_s: float = 0.01
) -> _Found:
    """Wait until something is so.

    Args:
        condition: called again and again until it returns something true.
        what: for the failure's text.
        timeout_s: then the test fails.
        interval_s: between two calls.

    Returns:
        What the condition returned.

    Raises:
        AssertionError: it never came true.
    """
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout_s:g} s")
        time.sleep(interval_s)
    return found


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or a zombie.

    Its memory, and with it `/proc/PID/root`, goes some time before: until it is a zombie,
    runtimes call it running (crun refuses to delete its container).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def is_listened_at(path: str) -> bool:
    """Tell whether somebody listens at a Unix socket: its file is there some time before."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(path) == 0

"""How a request waits for what a test holds back, unless nobody waits for its answer any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_POLL_S = 0.01


class Gone(Exception):
    """Nobody waits for the answer any more."""


def wait(done: Callable[[float], object], gone: Callable[[], bool]) -> None:
    """Wait until it is done, which is asked for a moment at a time.

    Raises:
        Gone: nobody waits any more.
    """
    while not done(_POLL_S):
        if gone():
            raise Gone


def slept_until(deadline: float) -> bool:
    """Sleep for a moment; tell whether a time has come, of `time.monotonic`."""
    time.sleep(max(0.0, min(_POLL_S, deadline - time.monotonic())))
    return time.monotonic() >= deadline

"""Waits for what happens beside the test and has no event to wait for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Found = TypeVar("_Found")


def wait_until(
    condition: Callable[[], _Found], what: str, *, timeout_s: float = 5, interval_s: float = 0.01
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

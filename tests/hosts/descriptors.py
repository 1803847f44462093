"""Which files this process has open: a test shall leave as many as it found."""

from __future__ import annotations

import os
import time

_CLOSED_WITHIN_S = 5.0
_BETWEEN_S = 0.01


def open_descriptors() -> dict[str, str]:
    """Return what each open descriptor leads to, by its number."""
    found: dict[str, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the one that lists them
            continue
    return found


def assert_none_opened(before: dict[str, str]) -> None:
    """Fail if a descriptor is open that was not, or leads elsewhere, and stays so.

    A fake engine's thread closes a connection some time after its client did.
    """
    end = time.monotonic() + _CLOSED_WITHIN_S
    while opened := {name: to for name, to in open_descriptors().items() if before.get(name) != to}:
        assert time.monotonic() < end, f"descriptors left open: {opened}"
        time.sleep(_BETWEEN_S)

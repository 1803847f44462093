"""Which files this process has open: a test shall leave as many as it found."""

from __future__ import annotations

import os


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
    """Fail if a descriptor is open that was not, or leads elsewhere."""
    opened = {name: to for name, to in open_descriptors().items() if before.get(name) != to}
    assert not opened, f"descriptors left open: {opened}"

"""Which programs run on this host's network, by their names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def names(proc: str = "/proc") -> frozenset[str]:
    """Return the names of the processes on this network: the kernel keeps 15 characters.

    One in another network namespace, as in a container with a system of its own, does
    not see our links.

    Args:
        proc: of whose processes.
    """
    return frozenset(_names(proc))


def _names(proc: str) -> Iterator[str]:
    ours = _network(proc, "self")
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                with open(f"{proc}/{entry}/comm", encoding="utf-8", errors="replace") as file:
                    comm = file.read().rstrip("\n")
            except OSError:  # it has ended
                continue
            if _network(proc, entry) == ours:
                yield comm


def _network(proc: str, process: str) -> str:
    try:
        return os.readlink(f"{proc}/{process}/ns/net")
    except OSError:
        return ""

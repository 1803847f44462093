"""Which containers were started by a launcher, and can be stopped by it alone.

Whatever keeps a container calls its runtime once more to signal and to delete it: containerd's
shim, which has it in the bundle's options, and conmon of podman and CRI-O, by its command line.
With the launcher gone `docker rm --force` fails, and the container stays until the next boot.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise

from ocinet.base.names import SHOWN_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SHIM, _CONMON = "containerd-shim", "conmon"
_MAX_BYTES = 1 << 16


def started_by(launcher: str, proc: str = "/proc") -> tuple[str, ...]:
    """Return the containers that a launcher has started and that have not ended, by short ids.

    Args:
        launcher: its path.
        proc: of whose processes.
    """
    return tuple(sorted({identity[:SHOWN_ID] for identity in _users(launcher, proc)}))


def _users(launcher: str, proc: str) -> Iterator[str]:
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                yield from _kept(launcher, f"{proc}/{entry}")
            except (OSError, ValueError, AttributeError):
                continue  # it has ended, or is no shim, whatever it calls itself


def _kept(launcher: str, process: str) -> Iterator[str]:
    comm = _read(f"{process}/comm").decode(errors="replace")
    if comm.startswith(_SHIM):
        # Its directory is the bundle's, where containerd has left what it was told.
        if json.loads(_read(f"{process}/cwd/options.json")).get("binary_name") == launcher:
            yield os.path.basename(os.readlink(f"{process}/cwd"))
    elif comm.startswith(_CONMON):
        words = os.fsdecode(_read(f"{process}/cmdline")).split("\0")
        options = dict(pairwise(words))
        if launcher in (options.get("-r"), options.get("--runtime")):
            yield options.get("-c") or options.get("--cid") or "?"


def _read(path: str) -> bytes:
    # What a process calls itself is its own word, so nothing is waited for: a FIFO might be there.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, _MAX_BYTES)
    finally:
        os.close(fd)

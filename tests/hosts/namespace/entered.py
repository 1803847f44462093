"""Doing something in another network namespace for a moment, as opening a socket there."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


@contextmanager
def entered(pid: int) -> Iterator[None]:
    """Do what is in the block in the network namespace of a process."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert _LIBC.setns(there, _CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert _LIBC.setns(here, _CLONE_NEWNET) == 0
    finally:
        os.close(there)
        os.close(here)

"""Being told by the kernel of what happens in directories: inotify(7)."""

from __future__ import annotations

import ctypes
import os
from struct import Struct

from ocinet.base.errors import SystemFailure

MOVED_TO, CREATED, DELETED, OVERFLOW, IGNORED = 0x80, 0x100, 0x200, 0x4000, 0x8000
IS_DIRECTORY, ONLY_DIRECTORY = 0x40000000, 0x01000000
_HEAD = Struct("@iIII")  # struct inotify_event: wd, mask, cookie, len
_BUFFER = 1 << 16
_HINT = "sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=65536"


class Inotify:
    """One instance, to be closed; for one thread.

    Args:
        what: is watched, for the error: "cannot watch …".

    Raises:
        SystemFailure: the kernel gives no instance.
    """

    def __init__(self, what: str) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        if self._fd < 0:
            raise SystemFailure(what, os.strerror(ctypes.get_errno()), _HINT)

    def fileno(self) -> int:
        """Return what to poll for: it can be read when something was told."""
        return self._fd

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self._fd)

    def watch(self, directory: str, events: int) -> int | None:
        """Watch a directory, in which nothing is missed from now on.

        Returns:
            The kernel's number of it, the same one if it was watched before; None if it
            can't be watched, as one that is not there.
        """
        path, wanted = os.fsencode(directory), events | ONLY_DIRECTORY
        number = int(self._libc.inotify_add_watch(self._fd, path, wanted))
        return None if number < 0 else number

    def read(self) -> list[tuple[int, int, str]]:
        """Return what was told since the last time, without waiting.

        Returns:
            Of each: the event, the directory's number, and the name of what is in it.
        """
        try:
            told = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return []
        found = []
        at = 0
        while at < len(told):
            number, event, _, length = _HEAD.unpack_from(told, at)
            at += _HEAD.size + length
            found.append((event, number, os.fsdecode(told[at - length : at].rstrip(b"\0"))))
        return found

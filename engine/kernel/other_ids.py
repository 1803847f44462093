"""A file made with the ids of a container's root, in what is mounted within its user namespace.

Such a file system has no room for ids that are none of that namespace: what root of the host
makes there is refused (EOVERFLOW), whatever it may do elsewhere.
"""

from __future__ import annotations

import posix

from ocinet.engine.kernel.sandbox import libc_functions

_setfsuid, _setfsgid = libc_functions("setfsuid", "setfsgid")


def open_as(uid: int, gid: int, folder: int, name: str, flags: int) -> int:
    """Make a file by these ids, as far as files go and for this thread alone.

    Args:
        uid: of the host's.
        gid: likewise.
        folder: an open directory, which that user may write to.
        name: in it.
        flags: of open(2).

    Raises:
        OSError: it can't be made.
    """
    before = _setfsgid(gid), _setfsuid(uid)  # each returns what was there
    try:
        return posix.open(name, flags, 0o644, dir_fd=folder)
    finally:
        _setfsuid(before[1])
        _setfsgid(before[0])

"""A file that a container has mounted read-only, written by a mount of the host's that is not.

As of `docker run --read-only`, for which Docker mounts its hosts and resolv.conf read-only as
well: they lie on the host, among Docker's own. A service whose unit has the host's file systems
read-only (ProtectSystem) reaches them by the mounts of the host's first process.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES = (("/proc/thread-self/mountinfo", ""), ("/proc/1/mountinfo", "/proc/1/root"))
_FLAGS = posix.O_WRONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK


def open_elsewhere(fd: int, line: bytes) -> int:
    """Open a file for writing by another mount; -1 if there is none by which it may be.

    Args:
        fd: a handle of the file.
        line: of the mount that it is on, behind its number, as mountinfo has it (proc(5)).
    """
    if line.count(b" ") < 2:  # the mount has gone since, and its line with it
        return -1
    _parent, device, source, *_rest = line.split(b" ")
    wanted = posix.fstat(fd)
    for table, root in _TABLES:
        for path in _paths(table, device, source):
            try:
                opened = posix.open(root.encode() + path, _FLAGS)
            except OSError:
                continue
            found = posix.fstat(opened)
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return opened
            posix.close(opened)  # another mount lies over that place
    return -1


def _paths(table: str, device: bytes, source: bytes) -> Iterator[bytes]:
    try:
        with open(table, "rb") as file:
            lines = file.read().splitlines()
    except OSError:  # of another's processes nothing is shown there
        return
    for line in lines:
        _number, _parent, its, root, place, options, *_rest = line.split(b" ")
        if its == device and b"rw" in options.split(b","):
            beneath = root.rstrip(b"/")
            if source == root or source.startswith(beneath + b"/"):
                yield _unescaped(place.rstrip(b"/") + source[len(beneath) :])


def _unescaped(path: bytes) -> bytes:
    r"""Return a path without the escapes that mountinfo has for blanks and the like.

    >>> _unescaped(rb"/srv/a\040b")
    b'/srv/a b'
    """
    first, *others = path.split(b"\\")
    return first + b"".join(bytes([int(each[:3], 8)]) + each[3:] for each in others)

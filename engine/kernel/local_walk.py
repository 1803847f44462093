"""A path of a container that runs, walked so that no file system of its keeps us waiting.

Who serves FUSE over its own `/etc` and never answers has whoever walks there wait for ever: no
signal and no deadline reaches the wait. So each part of a path is opened by itself, as a handle,
for which a file system is asked nothing of its own root, and only on one of this machine's the
next part is asked for. That the mount is judged by the handle, not by the path, leaves no moment
for another one in between: what is mounted later has a number that the table does not have.

Not seen is what an overlay lies over: so the root may be on one, which its engine has mounted,
and below it those alone are asked that are mounted among ours as well.
"""

from __future__ import annotations

import posix
from _stat import S_ISLNK
from errno import ELOOP, EREMOTE

from ocinet.engine.kernel.container_root import HANDLE, OWN_PROC, open_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LOCAL = frozenset(
    b"bcachefs btrfs erofs ext2 ext3 ext4 f2fs jfs ramfs rootfs squashfs tmpfs xfs zfs".split()
)
_OVERLAY = b"overlay"
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS


def judge(table: bytes, number: bytes, *, is_root: bool = False) -> None:
    """Refuse a mount that is not of a file system of this machine.

    Args:
        table: mountinfo of the container's process (proc(5)), with a newline before each line.
        number: of the mount.
        is_root: whether it is that which the container's root is on.

    Raises:
        OSError: EREMOTE: it is another kind, or none of those in the table.
    """
    line = table.partition(b"\n%s " % number)[2].partition(b"\n")[0]
    kind = line.partition(b" - ")[2].partition(b" ")[0]
    if kind in _LOCAL or (kind == _OVERLAY and (is_root or _is_ours(line))):
        return
    where = line.split(b" ")[2].decode(errors="replace") if kind else "a part of its files"
    what = kind.decode(errors="replace") or "a kind that is not known"
    raise OSError(
        EREMOTE,
        f"{where} of the running container is a mount of {what}, which may never answer",
    )


def _is_ours(line: bytes) -> bool:
    """Tell whether a file system is among our own mounts, by its device."""
    device = b" %s " % line.split(b" ", 2)[1]
    with open(f"{OWN_PROC}/mountinfo", "rb") as own:
        return any(device in each.partition(b" /")[0] + b" " for each in own)


def walk(root: int, path: str, check: Callable[[int], None]) -> int:
    """Open a handle of what is at a path, for which an open folder is `/`, whatever links say.

    Args:
        root: the folder, judged already.
        path: relative.
        check: raises the error for an open file whose mount may not be asked.

    Raises:
        OSError: it can't be opened.
    """
    opened = [root]
    parts = path.split("/")[::-1]
    links = 0
    try:
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if len(opened) > 1:
                    posix.close(opened.pop())
                continue
            fd = open_beneath(opened[-1], part, HANDLE | posix.O_NOFOLLOW)
            opened.append(fd)
            check(fd)
            if not S_ISLNK(posix.fstat(fd).st_mode):
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(ELOOP, "too many links")
            text = posix.readlink("", dir_fd=fd)
            posix.close(opened.pop())
            while text.startswith("/") and len(opened) > 1:
                posix.close(opened.pop())
            parts += text.split("/")[::-1]
        return opened.pop() if len(opened) > 1 else posix.dup(root)
    finally:
        for fd in opened[1:]:
            posix.close(fd)

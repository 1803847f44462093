"""A container's files, reached from outside: beneath its root, and by its own mounts.

An image may be hostile, so no path of it is walked but by openat2(2), for which the
container's root stands for `/`; links out of it, and those of /proc, lead nowhere.
"""

from __future__ import annotations

import posix
import sys

from ocinet.engine.kernel.sandbox import StrandedError, libc_functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.naming import Place

HANDLE = posix.O_PATH | posix.O_CLOEXEC
FOLDER = HANDLE | posix.O_DIRECTORY
OWN_PROC = "/proc/thread-self"
# Numbers from 424 on are the same on every architecture but alpha.
_OPEN_TREE, _MOVE_MOUNT, _OPENAT2 = 428, 429, 437
_RESOLVE = 0x10 | 0x02  # RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_COPY = 0x1 | 0x80000 | 0x1000  # OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH
_BY_DESCRIPTORS = 0x04 | 0x40  # MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
_CLONE_NEWNS, _CLONE_FS = 0x20000, 0x200
_syscall, _setns, _unshare = libc_functions("syscall", "setns", "unshare")


def open_root(place: Place, judge: Callable[[int], None]) -> int:
    """Open the root of a container's files; -1 if it has the host's, or is gone.

    Args:
        place: whose root.
        judge: raises the error for a root whose file system may not be asked for anything.

    Raises:
        OSError: it can't be opened.
    """
    process = f"/proc/{place.process.pid}"
    try:
        if _same(posix.stat(f"{process}/ns/mnt"), posix.stat(f"{OWN_PROC}/ns/mnt")):
            return -1
        root = posix.open(f"{process}/root", FOLDER)
    except (FileNotFoundError, ProcessLookupError):
        return -1
    own = posix.stat("/")
    try:
        if place.may_run:
            judge(root)
        # Had its id been another one's when it was opened, the start time says so.
        if not place.process.alive:
            return -1
        if not _same(posix.fstat(root), own):
            kept, root = root, -1
            return kept
        if place.rootfs is None or not place.rootfs.path:
            return -1
        # By its mounts, not by ours: there alone the container's own are seen.
        inner = open_beneath(root, place.rootfs.path, FOLDER)
        if _same(posix.fstat(inner), own):
            posix.close(inner)
            return -1
        return inner
    finally:
        if root >= 0:
            posix.close(root)


def mount_over(place: Place, pairs: list[tuple[int, int]]) -> None:
    """Mount each source on its target, among the container's mounts.

    Args:
        place: whose mounts.
        pairs: open files, the second of each held by a handle of the container's.

    Raises:
        OSError: it was refused; those before it are mounted.
        StrandedError: there is no way back.
    """
    there = posix.open(f"/proc/{place.process.pid}/ns/mnt", posix.O_RDONLY | posix.O_CLOEXEC)
    back = posix.open(f"{OWN_PROC}/ns/mnt", posix.O_RDONLY | posix.O_CLOEXEC)
    root, cwd = posix.open("/", FOLDER), posix.open(".", FOLDER)
    try:
        # A thread that shares its root with others may not go there.
        _unshare(_CLONE_FS)
        _setns(there, _CLONE_NEWNS)
        try:
            for source, target in pairs:
                # Here alone: a mount of another namespace than the caller's can't be copied.
                copy = _syscall(_OPEN_TREE, source, b"", _COPY)
                try:
                    _syscall(_MOVE_MOUNT, copy, b"", target, b"", _BY_DESCRIPTORS)
                finally:
                    posix.close(copy)
        finally:
            try:
                _setns(back, _CLONE_NEWNS)
                # Back at the namespace's root, which is not ours where we are in a chroot.
                posix.fchdir(root)
                posix.chroot(".")
                posix.fchdir(cwd)
            except OSError as error:
                raise StrandedError(f"cannot leave the container's mounts: {error}") from error
    finally:
        for fd in (there, back, root, cwd):
            posix.close(fd)


def open_beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a path for which an open folder is `/`, whatever links say.

    Raises:
        OSError: it can't be opened, or the kernel is older than 5.6.
    """
    how = b"".join(number.to_bytes(8, sys.byteorder) for number in (flags, mode, _RESOLVE))
    return _syscall(_OPENAT2, folder, path.encode("utf-8", "surrogateescape"), how, len(how))


def make_beneath(root: int, path: str) -> None:
    """Make an empty file at a path, or where a link there leads: its folders as well.

    Raises:
        OSError: it can't be made.
    """
    with_links = path
    try:
        link = open_beneath(root, path, HANDLE | posix.O_NOFOLLOW)
    except OSError:
        pass
    else:
        try:
            text = posix.readlink("", dir_fd=link)
        finally:
            posix.close(link)
        with_links = text if text.startswith("/") else f"{path.rpartition('/')[0]}/{text}"
    parts: list[str] = []
    for part in with_links.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    for depth in range(1, len(parts)):
        folder = open_beneath(root, "/".join(parts[: depth - 1]) or ".", FOLDER)
        try:
            posix.mkdir(parts[depth - 1], 0o755, dir_fd=folder)
        except FileExistsError:
            pass
        finally:
            posix.close(folder)
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    posix.close(open_beneath(root, "/".join(parts), flags, 0o644))


def _same(one: posix.stat_result, other: posix.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)

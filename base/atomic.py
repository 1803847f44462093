"""Putting things in place at once, so that nobody ever finds half of one.

A thing is made under a temporary name, `.tmp-PID-…`, and gets the name that is meant
by `link`, which refuses a name that is taken, or by `rename`, which does not. Whatever
fails, the temporary name is gone again; a kill leaves it, and `temporaries` tells a
sweep whose it was. (A file that is created and then written was torn 5 times in 450
kills; one that is linked when it is finished, never.)
"""

from __future__ import annotations

import posix
from _thread import get_ident
from time import clock_gettime_ns

from ocinet.base.clock import boottime_shift_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[str], None]

PREFIX = ".tmp-"
_CLOCK_BOOTTIME = 7
_MAKE_FILE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
_OPEN_DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC


def create(name: str, make: Make, *, dir_fd: int | None = None) -> None:
    """Put something under a name that must be free.

    Args:
        name: a path; with `dir_fd`, a path from there.
        make: makes it, under the name that it is given.
        dir_fd: the open directory that the temporary name is in; None: beside `name`.

    Raises:
        FileExistsError: the name is taken, by whatever; nothing has changed.
        OSError: it can't be made; nothing has changed.
    """
    temporary = _temporary_name(name, dir_fd)
    try:
        make(temporary)
        posix.link(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    finally:
        _discard(temporary, dir_fd)


def replace(name: str, make: Make, *, dir_fd: int | None = None) -> None:
    """Put something under a name, whether it is taken or not; a link is not followed.

    Args:
        name: a path; with `dir_fd`, a path from there.
        make: makes it, under the name that it is given.
        dir_fd: the open directory that the temporary name is in; None: beside `name`.

    Raises:
        OSError: it can't be made, or a directory has the name; nothing has changed.
    """
    temporary = _temporary_name(name, dir_fd)
    try:
        make(temporary)
        posix.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        _discard(temporary, dir_fd)
        raise


def replace_file(
    path: str,
    content: str | bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    durable: bool = True,
) -> None:
    """Put a content in place of a file of others, whether it is there or not.

    Args:
        path: of the file itself: a symbolic link would be replaced, too.
        content: all of it; text is written as UTF-8.
        mode: permission bits, whatever the umask says.
        owner: user and group; None: our own.
        durable: whether it must be there after a power cut. Costs a wait for
            the disk.

    Raises:
        OSError: it can't be written; what was there is there still, but where
            only the directory could not be synced.
    """

    def make(temporary: str) -> None:
        data = content.encode() if isinstance(content, str) else content
        write_file(temporary, data, mode=mode, owner=owner, durable=durable)

    replace(path, make)
    if durable:
        sync_directory(path[: path.rfind("/") + 1] or ".")


def write_file(
    name: str,
    data: bytes,
    *,
    mode: int | None = None,
    owner: tuple[int, int] | None = None,
    durable: bool = False,
    dir_fd: int | None = None,
) -> None:
    """Write a file that is not there yet, as `create` and `replace` want it made.

    Args:
        name: a path; with `dir_fd`, a path from there.
        data: all of it.
        mode: permission bits, whatever the umask says; None: for its owner alone.
        owner: user and group; None: our own.
        durable: whether it is synced to disk.
        dir_fd: an open directory.

    Raises:
        OSError: it can't be written; part of it may be there.
    """
    fd = posix.open(name, _MAKE_FILE, 0o600, dir_fd=dir_fd)
    try:
        if owner is not None:
            posix.fchown(fd, *owner)
        if mode is not None:
            posix.fchmod(fd, mode)  # after the owner: a change of that takes bits away
        while data:
            data = data[posix.write(fd, data) :]
        if durable:
            posix.fsync(fd)
    finally:
        posix.close(fd)


def sync_directory(path: str) -> None:
    """Sync a directory to disk: the names in it, and whose they are.

    Raises:
        OSError: it can't be synced.
    """
    fd = posix.open(path, _OPEN_DIRECTORY)
    try:
        posix.fsync(fd)
    finally:
        posix.close(fd)


def age_clock_ns() -> int:
    """Return the time since the boot, as the start of processes is told in."""
    return clock_gettime_ns(_CLOCK_BOOTTIME) - boottime_shift_ns()


def _temporary_name(name: str, dir_fd: int | None) -> str:
    """Return a name that nobody has, not even a killed process that had the same id.

    A thread makes one thing at a time, so its id and the time tell all names of a process
    apart. It is hidden and ends in no `.conf` or `.json`: programs that read a whole
    directory of those pass over it.
    """
    directory = name[: name.rfind("/") + 1] if dir_fd is None else ""
    return f"{directory}{PREFIX}{posix.getpid()}-{get_ident():x}-{age_clock_ns():x}"


def remove(name: str, *, dir_fd: int | None = None) -> None:
    """Remove a file or link, or a directory with all that is in it.

    Raises:
        OSError: it is not there, or can't be removed.
    """
    try:
        posix.unlink(name, dir_fd=dir_fd)
    except IsADirectoryError:
        from shutil import rmtree  # seldom, and dear

        rmtree(name, dir_fd=dir_fd)


def _discard(temporary: str, dir_fd: int | None) -> None:
    """Remove a temporary name, which may not be there; an error before it is the one to tell."""
    try:
        remove(temporary, dir_fd=dir_fd)
    except OSError:
        return

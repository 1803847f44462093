"""Replacing a file of others at once, so that nobody ever reads half of it."""

from __future__ import annotations

import posix

_OPEN = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC


def replace_file(
    path: str,
    content: str | bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    durable: bool = True,
) -> None:
    """Put a content in place of a file, whether it is there or not.

    Args:
        path: of the file itself: a symbolic link would be replaced, too.
        content: all of it; text is written as UTF-8.
        mode: permission bits, whatever the umask says.
        owner: user and group; None: our own.
        durable: whether it must be there after a power cut. Costs a wait for
            the disk.

    Raises:
        OSError: it can't be written; what was there is there still.
    """
    temporary = f"{path}.ocinet-{posix.getpid()}"
    fd = posix.open(temporary, _OPEN, 0o600)
    try:
        try:
            if owner is not None:
                posix.fchown(fd, *owner)
            posix.fchmod(fd, mode)  # after the owner: a change of that takes bits away
            data = content.encode() if isinstance(content, str) else content
            while data:
                data = data[posix.write(fd, data) :]
            if durable:
                posix.fsync(fd)
        finally:
            posix.close(fd)
        posix.rename(temporary, path)
    except BaseException:
        posix.unlink(temporary)
        raise
    if durable:
        _sync_directory(path[: path.rfind("/") + 1] or ".")


def _sync_directory(path: str) -> None:
    fd = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        posix.fsync(fd)
    finally:
        posix.close(fd)

"""Replacing a file of others at once, so that nobody ever reads half of it."""

from __future__ import annotations

import os

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace_file(
    path: str,
    text: str,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    durable: bool = True,
) -> None:
    """Put a text in place of a file, whether it is there or not.

    Args:
        path: of the file itself: a symbolic link would be replaced, too.
        text: all of it.
        mode: permission bits, whatever the umask says.
        owner: user and group; None: our own.
        durable: whether it must be there after a power cut. Costs a wait for
            the disk.

    Raises:
        OSError: it can't be written; what was there is there still.
    """
    temporary = f"{path}.ocinet-{os.getpid()}"
    fd = os.open(temporary, _OPEN, 0o600)
    try:
        try:
            if owner is not None:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)  # after the owner: a change of that takes bits away
            data = text.encode()
            while data:
                data = data[os.write(fd, data) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        _sync_directory(os.path.dirname(path) or ".")


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

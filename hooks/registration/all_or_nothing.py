"""What a registration consists of is all in place, or an error has left nothing of it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.base.atomic import replace_file
from ocinet.base.errors import OcinetError, SystemFailure
from ocinet.hooks.registration.foreign_files import MADE, mark_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class _Former:
    """A file, or a link, as it was.

    Attributes:
        path: of it.
        content: None where it was not there, or was a link.
        mode: permissions.
        owner: user and group.
        link: where it led; "" if it was none.
    """

    path: str
    content: bytes | None
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    link: str = ""

    def restore(self) -> None:
        """Put it back, if it is otherwise now."""
        if _look(self.path) == self:
            return
        if self.content is None:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            if self.link:
                os.symlink(self.link, self.path)
        else:
            replace_file(self.path, self.content, mode=self.mode, owner=self.owner)


@contextmanager
def all_or_nothing(paths: Iterable[str]) -> Iterator[None]:
    """Have files, and directories that are made for them, be as before where the block fails.

    What can't be put back is left: the error that led here is the one to tell.

    Args:
        paths: of all files that it may write or remove.

    Raises:
        SystemFailure: one that is there can't be read; nothing has been done then.
    """
    # A link is replaced by one, and followed by the other who writes.
    both = {name: None for path in paths for name in (path, os.path.realpath(path))}
    former = [_look(name) for name in both]
    missing = {parent for file in former for parent in _missing_parents(file.path)}
    try:
        yield
    except (OcinetError, OSError):
        for file in former:
            with suppress(OSError, SystemFailure):
                file.restore()
        for directory in sorted(missing, key=len, reverse=True):
            with suppress(OSError):  # not made, or somebody else has put something into it
                for mark in (mark_beside(directory), f"{directory}/{MADE}"):
                    with suppress(FileNotFoundError, NotADirectoryError):
                        os.unlink(mark)
                os.rmdir(directory)
        raise


def _look(path: str) -> _Former:
    try:
        if os.path.islink(path):
            return _Former(path, None, link=os.readlink(path))
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            owner = status.st_uid, status.st_gid
            return _Former(path, file.read(), status.st_mode & 0o7777, owner)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _Former(path, None)
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error


def _missing_parents(path: str) -> Iterator[str]:
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        yield parent
        parent = os.path.dirname(parent)

"""What people define, one JSON file each in a folder of the configuration: networks, links.

Files are written whole and synced, for a definition is there until somebody removes it.
Reading needs no lock. Where nothing was ever defined there is no folder, and /etc may be
read-only: it is made by who adds something.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.base.files import Directory
from ocinet.base.names import check_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

_SUFFIX = ".json"


class Definitions:
    """The files of one kind. A name that is not legal is a `RequestError`.

    Args:
        path: of their folder.
    """

    def __init__(self, path: str) -> None:
        self._folder = path

    def path(self, name: str) -> str:
        """Return where a definition is, for people."""
        return f"{self._folder}/{name}{_SUFFIX}"

    def names(self) -> tuple[str, ...]:
        """List what is defined, sorted."""
        try:
            with Directory(self._folder, make=False) as directory:
                files = directory.names()
        except FileNotFoundError:
            return ()
        return tuple(sorted(file[: -len(_SUFFIX)] for file in files if file.endswith(_SUFFIX)))

    def data(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is none.

        Raises:
            SystemFailure: it can't be read.
        """
        check_network(name)
        try:
            with Directory(self._folder, make=False) as directory:
                return directory.read(name + _SUFFIX)
        except FileNotFoundError:
            return None

    def every(self) -> dict[str, bytes]:
        """Return what each file holds, by its name, sorted; through one open folder."""
        try:
            with Directory(self._folder, make=False) as directory:
                files = [file for file in directory.names() if file.endswith(_SUFFIX)]
                read = {file: directory.read(file) for file in sorted(files)}
        except FileNotFoundError:
            return {}
        return {file[: -len(_SUFFIX)]: data for file, data in read.items() if data}

    def add(self, name: str, text: str, *, anew: bool = False) -> bool:
        """Keep a new definition.

        Args:
            name: its.
            text: JSON.
            anew: in the place of the one that has its name, if there is one.

        Returns:
            False if there is one of that name, which stays.

        Raises:
            SystemFailure: it can't be written, as where /etc is read-only.
        """
        check_network(name)
        with Directory(self._folder, durable=True) as directory:
            if anew:
                directory.replace(name + _SUFFIX, text + "\n")
            return anew or directory.create(name + _SUFFIX, text + "\n")

    def remove(self, name: str) -> bool:
        """Forget a definition; False if there was none."""
        check_network(name)
        try:
            with Directory(self._folder, durable=True, make=False) as directory:
                return directory.remove(name + _SUFFIX)
        except FileNotFoundError:
            return False


def sorted_out(
    names: Iterable[str], find: Callable[[str], T | None]
) -> tuple[tuple[T, ...], tuple[tuple[str, str], ...]]:
    """Return the definitions that can be read; and of the others the name and the reason.

    Args:
        names: of all.
        find: reads one; None if it has gone.
    """
    found: list[T] = []
    flaws: list[tuple[str, str]] = []
    for name in names:
        try:
            read = find(name)
        except OcinetError as error:
            flaws.append((name, error.why))
        else:
            found += [read] if read else []
    return tuple(found), tuple(flaws)

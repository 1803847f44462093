"""Who is called what on a network that keeps its containers apart, and who speaks of whom.

    /run/ocinet/access/NETWORK/is.NAME/ID        a container that is called so
    /run/ocinet/access/NETWORK/meant-by.NAME/ID  one whose user says something of that name

So that who comes finds those few that wait for it, however many there are; and one of a
thousand who speak of a name, that one alone. What somebody speaks of need not be there yet.
Links that lead nowhere: made at once, or not at all.
"""

from __future__ import annotations

from ocinet.base.errors import SystemFailure
from ocinet.base.files import Directory, exists, remove_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths

_IS, _MEANT_BY = "is.", "meant-by."
_TRIES = 8  # whoever leaves last removes a directory, perhaps just as another comes


class Mentions:
    """Names, and who they lead to. Needs no lock.

    Args:
        paths: where the run directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.run}/access"

    def enter(
        self, container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
    ) -> None:
        """Note what a container is called on a network, and of whom its user speaks."""
        with Directory(f"{self._path}/{network}") as directory:
            for entry in _entries(container_id, names, means):
                _note(directory, entry)

    def leave(
        self, container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
    ) -> None:
        """Forget what `enter` has noted; what is not there is fine."""
        if not exists(f"{self._path}/{network}"):
            return
        with Directory(f"{self._path}/{network}") as directory:
            for entry in _entries(container_id, names, means):
                directory.remove(entry)
        for entry in _entries(container_id, names, means):
            remove_directory(f"{self._path}/{network}/{entry.partition('/')[0]}")

    def called(self, network: str, name: str) -> tuple[str, ...]:
        """Return the ids of the containers that are called so, sorted."""
        return self._ids(network, name, _IS)

    def meant_by(self, network: str, name: str) -> tuple[str, ...]:
        """Return the ids of those whose users say something of that name, sorted."""
        return self._ids(network, name, _MEANT_BY)

    def _ids(self, network: str, name: str, prefix: str) -> tuple[str, ...]:
        try:
            with Directory(f"{self._path}/{network}/{prefix}{name}", make=False) as directory:
                return tuple(sorted(directory.names()))
        except FileNotFoundError:
            return ()

    def all(self) -> tuple[tuple[str, str, str], ...]:
        """Return each network, name and id that something is noted of, sorted."""
        found = []
        for network in _names(self._path):
            for folder in _names(f"{self._path}/{network}"):
                name = folder.partition(".")[2]
                ids = _names(f"{self._path}/{network}/{folder}")
                found += [(network, name, container_id) for container_id in ids]
        return tuple(sorted(set(found)))


def _entries(container_id: str, names: tuple[str, ...], means: tuple[str, ...]) -> list[str]:
    called = [f"{_IS}{name}/{container_id}" for name in names]
    return called + [f"{_MEANT_BY}{name}/{container_id}" for name in means]


def _note(directory: Directory, entry: str) -> None:
    for _attempt in range(_TRIES):
        try:
            directory.note(entry, ".")
        except SystemFailure:
            continue
        return
    directory.note(entry, ".")


def _names(path: str) -> list[str]:
    if not exists(path):
        return []
    with Directory(path) as directory:
        return directory.names()

"""Who finds whom by a name of its own: an index of links by the names that they are to.

    /run/ocinet/linked/db/4f0c91d1f1aa…     the container 4f0c… has a link to db
    /run/ocinet/linked/db/.is               a note of who that is: the id of a container

Nobody's start or stop costs more than a look for a folder where no link is, and no more than
a look for its names where none is to it. What is in it is on record as well; an entry whose
container has no record is nobody's, and goes at the next look.
"""

from __future__ import annotations

import posix

from ocinet.base.errors import SystemFailure
from ocinet.base.files import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths

FOLDER = "linked"
_IS = ".is"


class Linked:
    """The links of one installation.

    Needs no lock: an entry is written by the holder of its container's lock, and who a name
    is, by the holder of that one's.

    Args:
        paths: where the run directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.run}/{FOLDER}"

    def is_empty(self) -> bool:
        """Tell whether there is no link at all."""
        try:
            posix.stat(self._path)
        except OSError:
            return True
        return False

    def add(self, target: str, container_id: str) -> None:
        """Note a container's link to a name or an id that is legal.

        Raises:
            SystemFailure: it can't be written.
        """
        for attempt in range(2):
            with Directory(f"{self._path}/{target}") as links:
                try:
                    links.note(container_id, target)
                except SystemFailure:
                    # The last one went, and the folder with it, in between.
                    if attempt:
                        raise
                    continue
                return

    def remove(self, target: str, container_id: str) -> None:
        """Forget a link, and with the last one of all that they were to."""
        folder = f"{self._path}/{target}"
        try:
            with Directory(folder, make=False) as links:
                links.remove(container_id)
                if not links.names():
                    links.remove(_IS)
        except FileNotFoundError:
            return
        for path in (folder, self._path):
            try:
                posix.rmdir(path)
            except OSError:  # it has others in it, as of now
                return

    def linkers(self, targets: tuple[str, ...]) -> tuple[str, ...]:
        """List the containers that have a link to one of these, each once."""
        found: dict[str, None] = {}
        for target in targets:
            try:
                with Directory(f"{self._path}/{target}", make=False) as links:
                    found.update(dict.fromkeys(sorted(links.names())))
            except FileNotFoundError:
                continue
        return tuple(found)

    def targets(self) -> tuple[str, ...]:
        """List what there is a link to, sorted."""
        try:
            with Directory(self._path, make=False) as folder:
                return tuple(sorted(folder.names()))
        except FileNotFoundError:
            return ()

    def note(self, target: str, container_id: str) -> None:
        """Note who a target is, if there is a link to it; "" for nobody."""
        try:
            with Directory(f"{self._path}/{target}", make=False) as links:
                if container_id:
                    links.note(_IS, container_id)
                else:
                    links.remove(_IS)
        except FileNotFoundError:
            return

    def noted(self, target: str) -> str:
        """Return who was noted last, who may be called otherwise by now; "" for nobody."""
        try:
            with Directory(f"{self._path}/{target}", make=False) as links:
                return links.noted(_IS)
        except FileNotFoundError:
            return ""

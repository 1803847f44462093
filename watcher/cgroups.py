"""Finding a container's processes by its cgroup, before its engine tells of them.

Docker puts a container into `PARENT/ID` (driver cgroupfs) or
`PARENT/docker-ID.scope` (driver systemd); the parent is the daemon's or the
container's choice. So the tree is searched, and from then on only the parents that
were found are looked into: what is looked for is mostly not there yet, and the
search is as long as the tree. cgroups(7): on version 1 one of the controllers'
hierarchies serves, on version 2 there is just the one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ROOT = "/sys/fs/cgroup"
_CONTROLLERS = ("pids", "memory", "cpu", "devices", "systemd")
_PARENTS = ("docker", "system.slice")
_NAMES = ("{}", "docker-{}.scope")
_DEEPEST = 8
_MOST_DIRECTORIES = 20_000
_MOST_PLACES = 16


class Cgroups:
    """The cgroup tree of this machine; for one thread.

    Args:
        root: where it is mounted.

    Attributes:
        proven: whether a container was found yet, so that others may be expected
            beside it.
    """

    def __init__(self, root: str = ROOT) -> None:
        self._tree = self._hierarchy(root)
        self._places = [f"{self._tree}/{parent}/{name}" for parent in _PARENTS for name in _NAMES]
        self.proven = False

    @staticmethod
    def _hierarchy(root: str) -> str:
        if os.path.exists(f"{root}/cgroup.controllers"):
            return root
        hierarchies = (f"{root}/{name}" for name in _CONTROLLERS)
        return next((path for path in hierarchies if os.path.isdir(path)), root)

    def processes(self, container_id: str) -> tuple[int, ...]:
        """Return the ids of the processes in a container's cgroup.

        Args:
            container_id: whole.

        Returns:
            Empty if there is none, or it is where none was found before.
        """
        for place in self._places:
            pids = _read_processes(place.format(container_id))
            if pids is not None:
                self._prove(place)
                return pids
        return ()

    def search(self, container_ids: Collection[str]) -> None:
        """Search the whole tree for containers, and know their parents from then on.

        Args:
            container_ids: whole.
        """
        wanted = {
            name.format(container_id): container_id
            for container_id in container_ids
            for name in _NAMES
        }
        level = [self._tree]
        seen = 0
        for _ in range(_DEEPEST):
            below = []
            for directory in level:
                for entry in _subdirectories(directory):
                    container_id = wanted.get(entry.name)
                    if container_id:
                        place = entry.path.replace("{", "{{").replace("}", "}}")
                        self._prove(place.replace(container_id, "{}"))
                        continue
                    below.append(entry.path)
                    seen += 1
                    if seen > _MOST_DIRECTORIES:
                        return
            level = below

    def _prove(self, place: str) -> None:
        """Look into a place before all others, and into those that were only guessed no more."""
        if not self.proven:
            self.proven, self._places = True, [place]
        elif self._places[0] != place:
            others = (other for other in self._places if other != place)
            self._places = [place, *others][:_MOST_PLACES]


def _subdirectories(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from (entry for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return  # it went away meanwhile


def _read_processes(directory: str) -> tuple[int, ...] | None:
    try:
        with open(f"{directory}/cgroup.procs", "rb", buffering=0) as file:
            return tuple(int(line) for line in file.readall().split())
    except OSError:
        return None


def is_listed(pid: int, container_id: str) -> bool:
    """Tell whether a process is in a cgroup that has a container's id in its path."""
    try:
        with open(f"/proc/{pid}/cgroup", "rb", buffering=0) as file:
            return container_id.encode() in file.readall()
    except OSError:
        return False

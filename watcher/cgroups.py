"""Finding a container's processes by its cgroup, before its engine tells of them.

Docker puts a container into `PARENT/ID` (driver cgroupfs) or
`PARENT/docker-ID.scope` (driver systemd); the parent is the daemon's or the
container's choice. That one the engine tells as it creates it; where it doesn't the tree is
searched, and from then on only the parents that were found are looked into: what is
looked for is mostly not there yet, and the search is as long as the tree. cgroups(7): on
version 1 one of the controllers' hierarchies serves, on version 2 there is just the one.
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
_ID_LENGTH = 64
_HEX = frozenset("0123456789abcdef")
_DEEPEST = 8
_MOST_DIRECTORIES = 20_000
_MOST_PLACES = 16


class Cgroups:
    """The cgroup tree of this machine; for one thread.

    Args:
        root: where it is mounted.

    Attributes:
        tree: where the hierarchy is that is searched.
        proven: whether a container was found yet below a parent that it did not ask for, so
            that others may be expected beside it.
    """

    def __init__(self, root: str = ROOT) -> None:
        self.tree = self._hierarchy(root)
        self._places = [f"{self.tree}/{parent}/{name}" for parent in _PARENTS for name in _NAMES]
        self._told: list[str] = []
        self.proven = False

    @staticmethod
    def _hierarchy(root: str) -> str:
        if os.path.exists(f"{root}/cgroup.controllers"):
            return root
        hierarchies = (f"{root}/{name}" for name in _CONTROLLERS)
        return next((path for path in hierarchies if os.path.isdir(path)), root)

    def parents(self) -> tuple[str, ...]:
        """Return the directories that containers were found in, or else are expected in."""
        parents = (os.path.dirname(place).format() for place in (*self._places, *self._told))
        return tuple(dict.fromkeys(parents))

    def tell(self, parent: str) -> None:
        """Expect containers below a parent that one of them has asked for.

        Args:
            parent: as `--cgroup-parent` has it: a path, or a slice of systemd's.
        """
        steps, name = _spell_slice(parent) if parent.endswith(".slice") else (parent, _NAMES[0])
        parts = [part for part in steps.split("/") if part]
        if not parts or ".." in parts:
            return
        path = "/".join(parts).replace("{", "{{").replace("}", "}}")
        place = f"{self.tree}/{path}/{name}"
        if place not in (*self._places, *self._told):
            self._told = [place, *self._told][:_MOST_PLACES]

    def processes(self, container_id: str) -> tuple[int, ...]:
        """Return the ids of the processes in a container's cgroup.

        Args:
            container_id: whole.

        Returns:
            Empty if there is none, or it is where none was found before.
        """
        for place in (*self._places, *self._told):
            pids = _read_processes(place.format(container_id))
            if pids is not None:
                self._prove(place)
                return pids
        return ()

    def is_made(self, container_id: str) -> bool:
        """Tell whether a container has a cgroup where one is expected, though it may be empty."""
        places = (*self._places, *self._told)
        return any(os.path.isdir(place.format(container_id)) for place in places)

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
        level = [self.tree]
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
        """Look into a place before all others, and into those that were only guessed no more.

        One that was told is its container's choice, and proves nothing of where the others are.
        """
        if place in self._told:
            self._told = [place, *(other for other in self._told if other != place)]
        elif not self.proven:
            self.proven, self._places = True, [place]
        elif self._places[0] != place:
            others = (other for other in self._places if other != place)
            self._places = [place, *others][:_MOST_PLACES]


def _spell_slice(parent: str) -> tuple[str, str]:
    """Return where a slice is, by its name (systemd.slice(5)), and how containers are called there.

    `a-b.slice` is below `a.slice`.
    """
    name = parent.rpartition("/")[2].removesuffix(".slice")
    words = name.split("-")
    steps = ("-".join(words[:number]) + ".slice" for number in range(1, len(words) + 1))
    return "/".join(steps), _NAMES[1]


def container_of(name: str) -> str:
    """Return the container's id that a cgroup is named for; "" if it is none's."""
    container_id = name.removeprefix("docker-").removesuffix(".scope")
    is_id = len(container_id) == _ID_LENGTH and _HEX.issuperset(container_id)
    return container_id if is_id else ""


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

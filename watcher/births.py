"""Containers' cgroups, told of as they are made: inotify(7) on the directories above them.

Docker 28 says that it connects a container only 11 to 26 ms before it starts it, but
the runtime makes the cgroup 50 to 80 ms before. A cgroup is made by mkdir(2), by
runc or by systemd, on version 1 as on version 2, and that is what inotify tells.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocinet.engine.kernel.inotify import CREATED, IGNORED, IS_DIRECTORY, Inotify
from ocinet.watcher.cgroups import container_of

if TYPE_CHECKING:
    from ocinet.watcher.cgroups import Cgroups


class Births:
    """Tells which containers' cgroups have been made; in a `with` block, for one thread.

    Args:
        cgroups: knows the directories that containers' are made in.

    Raises:
        SystemFailure: the kernel gives no inotify instance.
    """

    def __init__(self, cgroups: Cgroups) -> None:
        self._cgroups = cgroups
        self._inotify = Inotify("cannot watch cgroups being made")
        self._watched: dict[int, str] = {}  # directories, by inotify's number of them
        self._missing: set[str] = set()  # directories that are to be watched when they are made
        self.follow()

    def fileno(self) -> int:
        """Return what to poll for: it can be read when something was told."""
        return self._inotify.fileno()

    def __enter__(self) -> Births:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def read(self) -> tuple[str, ...]:
        """Return the ids of those whose cgroup was made since the last time, without waiting."""
        born = []
        has_changed = False
        for event, number, name in self._inotify.read():
            container_id = container_of(name) if event & CREATED and event & IS_DIRECTORY else ""
            if container_id:
                born.append(container_id)
            elif event & IGNORED:  # the directory has been removed
                self._watched.pop(number, None)
                has_changed = True
            elif self._missing:
                has_changed = True
        if has_changed:
            born += self.follow()
        return tuple(born)

    def follow(self) -> list[str]:
        """Watch the directories that containers' cgroups are expected in, by now.

        Returns:
            The ids of those whose cgroup was made in a new one before it was watched.
        """
        born: list[str] = []
        missing = {directory for directory in self._cgroups.parents() if not self._reach(directory)}
        for directory in self._missing - missing:
            born += filter(None, map(container_of, _names(directory)))
        self._missing = missing
        return born

    def _reach(self, directory: str) -> bool:
        """Watch a directory, and those above it in which it would be made; False if it is not."""
        if directory in self._watched.values():
            return True
        # From above: whatever is made after its parent is watched, is told.
        path = self._cgroups.tree
        parts = directory.removeprefix(path).strip("/")
        for part in ("", *filter(None, parts.split("/"))):
            path = f"{path}/{part}" if part else path
            number = self._inotify.watch(path, CREATED)
            if number is None:
                return False
            self._watched[number] = path  # the same number, if it was watched before
        return True


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []  # it went away meanwhile

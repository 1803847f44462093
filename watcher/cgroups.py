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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.base.clock import Process
from ocinet.base.errors import NotFoundError, SystemFailure
from ocinet.engine.kernel.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ROOT = "/sys/fs/cgroup"
_CONTROLLERS = ("pids", "memory", "cpu", "devices", "systemd")
_PARENTS = ("docker", "system.slice")
_NAMES = ("{}", "docker-{}.scope")
_DEEPEST = 8
_MOST_DIRECTORIES = 20_000
_MOST_PLACES = 16
_PASSING = (b"runc:[0:PARENT]", b"runc:[1:CHILD]")  # as its nsexec.c calls them


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
        there = (f"{root}/{name}" for name in _CONTROLLERS)
        return next((path for path in there if os.path.isdir(path)), root)

    def processes(self, container_id: str) -> tuple[int, ...]:
        """Return the ids of the processes in a container's cgroup.

        Args:
            container_id: whole.

        Returns:
            Empty if there is none, or it is where none was found before.
        """
        for place in self._places:
            found = _read_processes(place.format(container_id))
            if found is not None:
                self._prove(place)
                return found
        return ()

    def search(self, container_ids: Collection[str]) -> None:
        """Search the whole tree for containers, and know their parents from then on.

        Args:
            container_ids: whole.
        """
        wanted = {name.format(one): one for one in container_ids for name in _NAMES}
        level = [self._tree]
        seen = 0
        for _ in range(_DEEPEST):
            below = []
            for directory in level:
                for entry in _subdirectories(directory):
                    found = wanted.get(entry.name)
                    if found:
                        place = entry.path.replace("{", "{{").replace("}", "}}")
                        self._prove(place.replace(found, "{}"))
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
            others = (one for one in self._places if one != place)
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


@dataclass(frozen=True, slots=True)
class Life:
    """A container's first process, and the sandbox that it lives in, open.

    Attributes:
        process: to follow.
        sandbox: to be closed by whom it is given to.
    """

    process: Process
    sandbox: Sandbox


def find_life(pids: tuple[int, ...], *, settled: bool) -> Life | None:
    """Open the sandbox that a container's processes are in, as soon as there is one.

    The runtime's own stages pass through the cgroup as well: first in the host's
    namespace, then in the new one, but outside the new pid namespace. The one
    to follow is the first process of that.

    Args:
        pids: of the container's cgroup.
        settled: whether to take a process that is the first of no pid
            namespace, as with `--pid=host`; runc's passing ones never are taken.

    Returns:
        The process, and its sandbox to be closed; None if there is none yet.
    """
    for pid in pids:
        if not (_is_first(pid) or (settled and not _is_passing(pid))):
            continue
        process = Process.of(pid)
        if process is None:
            continue
        try:
            sandbox = Sandbox.open_process(process)
        except (NotFoundError, SystemFailure):
            continue
        if not sandbox.is_host:
            return Life(process, sandbox)
        sandbox.close()
    return None


def _is_first(pid: int) -> bool:
    """Tell whether a process is the first of a pid namespace below ours (proc(5), NSpid)."""
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            ids = file.readall().partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
    except OSError:
        return False
    return len(ids) > 1 and ids[-1] == b"1"


def _is_passing(pid: int) -> bool:
    """Tell whether a process is one of runc's that end before the container starts."""
    try:
        with open(f"/proc/{pid}/comm", "rb", buffering=0) as file:
            return file.readall().strip() in _PASSING
    except OSError:
        return True


def is_listed(pid: int, container_id: str) -> bool:
    """Tell whether a process is in a cgroup that has a container's id in its path."""
    try:
        with open(f"/proc/{pid}/cgroup", "rb", buffering=0) as file:
            return container_id.encode() in file.readall()
    except OSError:
        return False

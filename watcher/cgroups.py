"""Finding a container's processes by its cgroup, before its engine tells of them.

Docker puts a container into `PARENT/ID` (driver cgroupfs) or
`PARENT/docker-ID.scope` (driver systemd); the parent is the daemon's or the
container's choice. So the tree is searched once, and parents that were found are
looked into first from then on. cgroups(7): on version 1 one of the controllers'
hierarchies serves, on version 2 there is just the one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.base.clock import Process
from ocinet.base.errors import NotFoundError, SystemFailure
from ocinet.engine.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/sys/fs/cgroup"
_CONTROLLERS = ("pids", "memory", "cpu", "devices", "systemd")
_PARENTS = ("docker", "system.slice")
_NAMES = ("{}", "docker-{}.scope")
_DEEPEST = 8
_MOST_DIRECTORIES = 20_000
_MOST_PLACES = 16
_PASSING = (b"runc:[0:PARENT]", b"runc:[1:CHILD]")  # as its nsexec.c calls them


class Cgroups:
    """The cgroup tree of this machine.

    Args:
        root: where it is mounted.
    """

    def __init__(self, root: str = ROOT) -> None:
        self._tree = self._hierarchy(root)
        self._places = [f"{self._tree}/{parent}/{name}" for parent in _PARENTS for name in _NAMES]

    @staticmethod
    def _hierarchy(root: str) -> str:
        if os.path.exists(f"{root}/cgroup.controllers"):
            return root
        there = (f"{root}/{name}" for name in _CONTROLLERS)
        return next((path for path in there if os.path.isdir(path)), root)

    def processes(self, container_id: str, *, search: bool) -> tuple[int, ...]:
        """Return the ids of the processes in a container's cgroup; empty if there is none.

        Args:
            container_id: whole.
            search: whether to search the whole tree, if it is in no known place.
        """
        for place in self._places:
            found = _read_processes(place.format(container_id))
            if found is not None:
                return found
        directory = self._search(container_id) if search else ""
        if not directory:
            return ()
        place = directory.replace("{", "{{").replace("}", "}}").replace(container_id, "{}")
        self._places = [place, *self._places][:_MOST_PLACES]
        return _read_processes(directory) or ()

    def _search(self, container_id: str) -> str:
        """Return a container's directory, wherever it is, or ""."""
        wanted = {name.format(container_id) for name in _NAMES}
        level = [self._tree]
        seen = 0
        for _ in range(_DEEPEST):
            below = []
            for directory in level:
                for entry in _subdirectories(directory):
                    if entry.name in wanted:
                        return entry.path
                    below.append(entry.path)
                    seen += 1
                    if seen > _MOST_DIRECTORIES:
                        return ""
            level = below
        return ""


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

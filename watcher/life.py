"""A container's life: its first process, and the sandbox that the process lives in, open.

Before an engine tells of the process it is looked for among those of the
container's cgroup; once the engine names it, its id may be another one's by now, or
be one of another pid namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ocinet.base.clock import Process
from ocinet.base.errors import NotFoundError, SystemFailure
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.watcher.cgroups import Cgroups, is_listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.watcher.observed import ObservedContainer
    from ocinet.watcher.sight import Sight

_PASSING = (b"runc:[0:PARENT]", b"runc:[1:CHILD]")  # as its nsexec.c calls them


class Losses(Protocol):
    """Tells of addresses that a sandbox loses; for one thread, which closes it."""

    def fileno(self) -> int:
        """Return what to poll for."""

    def read(self) -> bool:
        """Tell whether one was lost since the last time, without waiting."""

    def close(self) -> None:
        """Listen no more."""


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
    first = [pid for pid in pids if _is_first(pid)]
    # What `exec` starts may be listed before the first process: numbers begin anew, and cgroup
    # v2 promises no order (kernel, cgroup-v2.rst). It ends before its container does.
    others = [pid for pid in pids if pid not in first and not _is_passing(pid)] if settled else []
    for pid in first + others:
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


def open_life(
    container: ObservedContainer,
    observe_again: Callable[[], ObservedContainer | None],
    sight: Sight,
) -> Life | None:
    """Open the sandbox of a container's first process, as its engine names it.

    Args:
        container: with a process id, which may be another one's by now.
        observe_again: asks the engine once more, where the process's cgroup does
            not bear the container's id.
        sight: of the engine; where its process ids are not ours, they are not gone by.

    Returns:
        The process, and the sandbox, to be closed; None if it has ended.

    Raises:
        SystemFailure: the sandbox may not be opened, or it runs where it can't be seen.
    """
    if not (sight.numbers_count or is_listed(container.pid, container.id)):
        # Whoever has the number here is a stranger, who may not even be opened.
        return _find_elsewhere(container, observe_again, sight)
    life = _open_named(container.pid)
    if life:
        pid, is_its_own = life.process.pid, False
        try:
            is_its_own = is_listed(pid, container.id) or (
                sight.numbers_count and _pid_of(observe_again()) == pid
            )
        finally:
            if not is_its_own:
                life.sandbox.close()
        if is_its_own:
            return life
    return None if sight.numbers_count else _find_elsewhere(container, observe_again, sight)


def _open_named(pid: int) -> Life | None:
    """Open the sandbox of the process that has an id now, if there is one."""
    process = Process.of(pid) if pid else None
    if process is None:
        return None
    try:
        return Life(process, Sandbox.open_process(process))
    except NotFoundError:
        return None


def _find_elsewhere(
    container: ObservedContainer,
    observe_again: Callable[[], ObservedContainer | None],
    sight: Sight,
) -> Life | None:
    """Find a container by its cgroup, which tells its processes by our numbers.

    Raises:
        SystemFailure: it runs, and can't be seen.
    """
    cgroups = Cgroups()
    cgroups.search([container.id])
    life = find_life(cgroups.processes(container.id), settled=True)
    if life:
        return life
    # One that has ended since is no reason to complain.
    if container.pid and _pid_of(observe_again()) == container.pid:
        raise sight.failure(container.name, container.pid)
    return None


def _pid_of(container: ObservedContainer | None) -> int:
    return container.pid if container else 0


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

"""Early attach: looking out for the sandboxes of containers that are being started.

A container's cgroup is made some 50 to 100 ms before its first process runs, and soon
after that its namespace shows in it. Waiting for it must keep nobody from working,
so one thread looks for all of them; it sleeps until a cgroup is made, or an engine
tells of a start.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import nullcontext, suppress
from time import monotonic, thread_time
from typing import TYPE_CHECKING

from ocinet.base.errors import SystemFailure
from ocinet.watcher.births import Births
from ocinet.watcher.life import find_life

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocinet.watcher.cgroups import Cgroups
    from ocinet.watcher.life import Life, Losses

# With many to look for, the looking must not take from them the time that they need to
# start.
_INTERVAL_S = 0.001
_LONGEST_INTERVAL_S = 0.01
_REST = 9  # times what one look at all of them took
_SEARCH_INTERVAL_S = 0.05
_SEARCH_REST = 19
_ODD_S = 0.1  # that long it is looked for where others were found, before it is searched for
_PATIENCE_S = 30.0
_SETTLED_S = 0.02
_MOST_APPEARED = 256


class _ExpectedStart:
    """The start of a container that is awaited.

    Args:
        deliver: called with its process and its open sandbox, which it owns then.
    """

    def __init__(self, deliver: Callable[[Life], None]) -> None:
        self.deliver = deliver
        self.since = 0.0  # when it was expected last
        self.seen = 0.0  # when its cgroup first had a process


class Lookout:
    """The thread that looks out; to be started once and stopped once.

    Args:
        cgroups: where processes are looked for.
        appeared: told of each container whose cgroup is made, whoever's it is.
        failed: told of whatever it raises.
    """

    def __init__(
        self,
        cgroups: Cgroups,
        appeared: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._cgroups = cgroups
        self._appeared = appeared
        self._failed = failed
        self._guard = threading.Lock()
        self._expected: dict[str, _ExpectedStart] = {}
        self._born: deque[str] = deque(maxlen=_MOST_APPEARED)
        self._parents: deque[tuple[str, str]] = deque(maxlen=_MOST_APPEARED)
        self._guarded: dict[str, tuple[Losses, Callable[[], None]]] = {}
        self._sources = select.epoll()
        self._wakes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopping = False
        self._next_search = 0.0
        self._births: Births | None = None
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        """Start the thread; from now on no cgroup is missed that is made."""
        try:
            self._births = Births(self._cgroups)
        except SystemFailure as error:
            self._failed(error)  # what the engine tells comes in time now and then
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        with self._guard:
            self._stopping = True
            os.eventfd_write(self._wakes, 1)
        self._thread.join()
        for container_id in list(self._guarded):
            self.release(container_id)
        self._sources.close()
        os.close(self._wakes)

    def expect(self, container_id: str, deliver: Callable[[Life], None]) -> None:
        """Look for a container's sandbox until it is there, or half a minute.

        Args:
            container_id: whole.
            deliver: called by this thread with the process and the open sandbox.
                It is not to wait, and it has to have the sandbox closed.
        """
        with self._guard:
            if self._stopping:
                return
            start = self._expected.setdefault(container_id, _ExpectedStart(deliver))
            start.since = monotonic()
            os.eventfd_write(self._wakes, 1)

    def tell_parent(self, container_id: str, parent: str) -> None:
        """Look below a cgroup, too, that a container has asked for as its parent.

        Args:
            container_id: whole.
            parent: as `--cgroup-parent` has it.
        """
        with self._guard:
            if not self._stopping:
                self._parents.append((container_id, parent))
                os.eventfd_write(self._wakes, 1)

    def has_appeared(self, container_id: str) -> bool:
        """Tell whether a container's cgroup was made in this life of its."""
        with self._guard:
            return container_id in self._born

    def guard(self, container_id: str, losses: Losses, lost: Callable[[], None]) -> None:
        """Have it told when a sandbox loses an address, until it is released or forgotten.

        Args:
            container_id: whole.
            losses: closed by this.
            lost: called by this thread; it is not to wait.
        """
        self.release(container_id)
        with self._guard:
            if self._stopping:
                losses.close()
                return
            self._guarded[container_id] = losses, lost
            self._sources.register(losses.fileno(), select.EPOLLIN)

    def release(self, container_id: str) -> None:
        """Guard a container's addresses no more."""
        with self._guard:
            losses, _ = self._guarded.pop(container_id, (None, None))
            if losses:
                losses.close()  # which takes it out of the epoll as well

    def forget(self, container_id: str) -> None:
        """Look no more for a container's sandbox, nor guard its addresses."""
        self.release(container_id)
        with self._guard:
            self._expected.pop(container_id, None)
            with suppress(ValueError):
                self._born.remove(container_id)

    def _run(self) -> None:
        with self._births or nullcontext():
            self._look()

    def _look(self) -> None:
        """Sleep, look, rest and look, until it is time to stop."""
        births = self._births
        for source in (self._wakes, births):
            if source is not None:
                self._sources.register(source, select.EPOLLIN)
        rest_s: float | None = None
        while not self._stopping:
            self._sources.poll(rest_s)
            self._tell_losses()
            with suppress(BlockingIOError):
                os.eventfd_read(self._wakes)
            began_s = thread_time()
            if births:
                self._tell(births.read())
                self._follow_parents(births)
            starts = self._awaited()
            has_searched = self._search(starts)
            done = [start for start in starts if self._is_done(*start)]
            for container_id, start in done:
                self._drop(container_id, start)
            if births and (has_searched or done):
                self._tell(births.follow())  # it may know of more places now
            rest_s = max(_INTERVAL_S, _REST * (thread_time() - began_s))
            rest_s = min(rest_s, _LONGEST_INTERVAL_S) if self._awaited() else None

    def _follow_parents(self, births: Births) -> None:
        """Watch the parents that were told of, and tell of who was made there before that."""
        with self._guard:
            asked = tuple(self._parents)
            self._parents.clear()
        if not asked:
            return
        for _, parent in asked:
            self._cgroups.tell(parent)
        self._tell(births.follow())
        made = [container_id for container_id, _ in asked if self._cgroups.is_made(container_id)]
        self._tell(container_id for container_id in made if not self.has_appeared(container_id))

    def _tell(self, born: Iterable[str]) -> None:
        """Tell of containers whose cgroup was made."""
        for container_id in born:
            with self._guard:
                self._born.append(container_id)
            self._appeared(container_id)

    def _tell_losses(self) -> None:
        """Tell of addresses that were lost in a guarded sandbox."""
        with self._guard:  # else another thread closes what is read
            tell = [lost for losses, lost in self._guarded.values() if losses.read()]
        for lost in tell:
            lost()

    def _awaited(self) -> list[tuple[str, _ExpectedStart]]:
        with self._guard:
            return list(self._expected.items())

    def _is_done(self, container_id: str, start: _ExpectedStart) -> bool:
        """Look for one; whether it is to be looked for no more."""
        try:
            return self._look_for(container_id, start)
        except Exception as error:  # noqa: BLE001  # the thread's edge: the others are looked for
            self._failed(error)
            return True

    def _drop(self, container_id: str, start: _ExpectedStart) -> None:
        with self._guard:
            if self._expected.get(container_id) is start:  # not if it is expected anew
                del self._expected[container_id]

    def _search(self, starts: list[tuple[str, _ExpectedStart]]) -> bool:
        """Search the whole tree for those that are not where others were, now and then."""
        now = monotonic()
        if now < self._next_search:
            return False
        patience_s = _ODD_S if self._cgroups.proven else 0
        odd = [container_id for container_id, start in starts
               if not start.seen and now - start.since >= patience_s]  # fmt: skip
        if odd:
            began_s = thread_time()
            self._cgroups.search(odd)
            rest_s = _SEARCH_REST * (thread_time() - began_s)
            self._next_search = now + max(_SEARCH_INTERVAL_S, rest_s)
        return bool(odd)

    def _look_for(self, container_id: str, start: _ExpectedStart) -> bool:
        """Look once; return whether that was the last time."""
        now = monotonic()
        if now - start.since > _PATIENCE_S:
            return True
        pids = self._cgroups.processes(container_id)
        if not pids:
            return False
        start.seen = start.seen or now
        life = find_life(pids, settled=now - start.seen > _SETTLED_S)
        if life is None:
            return False
        with self._guard:
            is_forgotten = self._expected.get(container_id) is not start
        if is_forgotten:  # since the list of those that are awaited was made
            life.sandbox.close()
        else:
            start.deliver(life)
        return True

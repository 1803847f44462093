"""Early attach: looking out for the sandboxes of containers that are being started.

Docker says that it connects a container to `none` some 150 ms before the
container's first process runs. The namespace is there long before that, and
shows in the container's cgroup. Waiting for it must keep nobody from working, so
one thread looks for all of them, and only while there are any.
"""

from __future__ import annotations

import threading
from time import monotonic, thread_time
from typing import TYPE_CHECKING

from ocinet.watcher.life import find_life

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.watcher.cgroups import Cgroups
    from ocinet.watcher.life import Life

# A sandbox is there some 100 ms before the container's first process runs. With many
# to look for, the looking must not take from them the time that they need to start.
_INTERVAL_S = 0.001
_LONGEST_INTERVAL_S = 0.01
_REST = 9  # times what one look at all of them took
_SEARCH_INTERVAL_S = 0.05
_SEARCH_REST = 19
_ODD_S = 0.1  # that long it is looked for where others were found, before it is searched for
_PATIENCE_S = 30.0
_SETTLED_S = 0.02


class _ExpectedStart:
    """The start of a container that is awaited.

    Args:
        deliver: called with its process and its open sandbox, which it owns then.
    """

    def __init__(self, deliver: Callable[[Life], None]) -> None:
        self.deliver = deliver
        self.since = monotonic()
        self.seen = 0.0  # when its cgroup first had a process


class Lookout:
    """The thread that looks out; to be started once and stopped once.

    Args:
        cgroups: where processes are looked for.
        failed: told of whatever it raises.
    """

    def __init__(self, cgroups: Cgroups, failed: Callable[[BaseException], None]) -> None:
        self._cgroups = cgroups
        self._failed = failed
        self._changed = threading.Condition()
        self._expected: dict[str, _ExpectedStart] = {}
        self._stopping = False
        self._next_search = 0.0
        self._thread = threading.Thread(target=self._look, name="lookout", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def expect(self, container_id: str, deliver: Callable[[Life], None]) -> None:
        """Look for a container's sandbox until it is found, or for half a minute.

        Args:
            container_id: whole.
            deliver: called in the lookout's thread, so it must not take long; what
                it is given to close is its own.
        """
        with self._changed:
            self._expected[container_id] = _ExpectedStart(deliver)
            self._changed.notify()

    def forget(self, container_id: str) -> None:
        """Look no more for a container's sandbox."""
        with self._changed:
            self._expected.pop(container_id, None)

    def _look(self) -> None:
        while (starts := self._await_some()) is not None:
            began_s = thread_time()
            self._search(starts)
            for container_id, start in starts:
                try:
                    done = self._look_for(container_id, start)
                except Exception as error:  # noqa: BLE001  # the thread's edge: the others are looked for
                    self._failed(error)
                    done = True
                if done:
                    self._drop(container_id, start)
            rest_s = max(_INTERVAL_S, _REST * (thread_time() - began_s))
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, min(rest_s, _LONGEST_INTERVAL_S))

    def _await_some(self) -> list[tuple[str, _ExpectedStart]] | None:
        """Wait until there is something to look for; None when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._expected or self._stopping)
            return None if self._stopping else list(self._expected.items())

    def _drop(self, container_id: str, start: _ExpectedStart) -> None:
        with self._changed:
            if self._expected.get(container_id) is start:  # not if it is expected anew
                del self._expected[container_id]

    def _search(self, starts: list[tuple[str, _ExpectedStart]]) -> None:
        """Search the whole tree for those that are not where others were, now and then."""
        now = monotonic()
        if now < self._next_search:
            return
        patience_s = _ODD_S if self._cgroups.proven else 0
        odd = [container_id for container_id, start in starts
               if not start.seen and now - start.since >= patience_s]  # fmt: skip
        if odd:
            began_s = thread_time()
            self._cgroups.search(odd)
            rest_s = _SEARCH_REST * (thread_time() - began_s)
            self._next_search = now + max(_SEARCH_INTERVAL_S, rest_s)

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
        start.deliver(life)
        return True

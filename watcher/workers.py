"""A few threads that do jobs: those of one key one after another, others side by side.

The key is a container's id, so what is said of one container is done in the
order in which it was said, and a slow one holds nobody else up.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.engine.kernel.sandbox import StrandedError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Job = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do, and who does it.

    Attributes:
        threads: that there are.
        busy: of these, who is at a job.
        queued: jobs that wait for one; what is delayed does not count.
    """

    threads: int
    busy: int
    queued: int


class Workers:
    """The threads and their queue; to be started once and stopped once.

    Args:
        size: how many threads.
        failed: told of whatever a job raises; jobs are meant to raise nothing.
    """

    def __init__(self, size: int, failed: Callable[[BaseException], None]) -> None:
        self._size = size
        self._failed = failed
        self._changed = threading.Condition()
        self._queues: dict[Hashable, deque[tuple[str, Job]]] = {}
        self._ready: deque[Hashable] = deque()  # keys with a job that may be begun
        self._later: list[tuple[float, int, Hashable, str, Job]] = []
        self._order = count()
        self._running: dict[threading.Thread, float] = {}  # since when it is at its job
        self._threads: set[threading.Thread] = set()
        self._stopping = False

    def start(self) -> None:
        """Start the threads."""
        with self._changed:
            for _ in range(self._size):
                self._start_thread()

    def _start_thread(self) -> None:
        name = f"worker-{next(self._order)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def submit(self, key: Hashable, name: str, job: Job, *, delay_s: float = 0) -> bool:
        """Have a job done, after those of the same key that were submitted before.

        Args:
            key: whose job it is.
            name: what it does, to tell it from others of the key.
            job: must not raise.
            delay_s: seconds before it is queued at all.

        Returns:
            False if it will not be done: the key's last waiting job has the same
            name, and does as well; or nothing is done any more.
        """
        with self._changed:
            if self._stopping:
                return False
            queued = True
            if delay_s > 0:
                due = monotonic() + delay_s
                heapq.heappush(self._later, (due, next(self._order), key, name, job))
            else:
                queued = self._enqueue(key, name, job)
            self._changed.notify()
        return queued

    def _enqueue(self, key: Hashable, name: str, job: Job) -> bool:
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque([(name, job)])
            self._ready.append(key)
        elif queue and queue[-1][0] == name:
            return False
        else:  # the key's first job is being done, or others wait
            queue.append((name, job))
        return True

    def idle(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or being done; what is delayed does not count.

        Returns:
            False if that took too long.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._queues, timeout_s)

    def load(self) -> Load:
        """Return how much there is to do."""
        with self._changed:
            queued = sum(map(len, self._queues.values()))
            return Load(len(self._threads), len(self._running), queued)

    def longest_s(self) -> float:
        """Return how long the job that takes longest has been at it, in seconds."""
        with self._changed:
            began = min(self._running.values(), default=None)
        return 0.0 if began is None else monotonic() - began

    def stop(self, timeout_s: float) -> bool:
        """Forget what is queued, and wait for the jobs that are being done.

        Returns:
            False if one of them is still at it.
        """
        with self._changed:
            self._stopping = True
            self._later.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        end = monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, end - monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _work(self) -> None:
        thread = threading.current_thread()
        while (taken := self._take(thread)) is not None:
            key, job = taken
            stranded = False
            try:
                job()
            except StrandedError as error:
                stranded = True  # whatever it did next, it would do in a wrong namespace
                self._failed(error)
            except BaseException as error:  # noqa: BLE001  # the thread's edge: the others go on
                self._failed(error)
            self._give_back(thread, key)
            if stranded:
                break
        with self._changed:
            self._threads.discard(thread)
            if not self._stopping:
                self._start_thread()

    def _take(self, thread: threading.Thread) -> tuple[Hashable, Job] | None:
        """Wait for a job and take it; None when it is time to stop."""
        with self._changed:
            while not self._stopping:
                wait_s = self._queue_what_is_due()
                if self._ready:
                    key = self._ready.popleft()
                    _, job = self._queues[key].popleft()
                    self._running[thread] = monotonic()
                    return key, job
                self._changed.wait(wait_s)
        return None

    def _queue_what_is_due(self) -> float | None:
        """Queue delayed jobs whose time has come; return the seconds to the next one."""
        while self._later:
            wait_s = self._later[0][0] - monotonic()
            if wait_s > 0:
                return wait_s
            _, _, key, name, job = heapq.heappop(self._later)
            self._enqueue(key, name, job)
        return None

    def _give_back(self, thread: threading.Thread, key: Hashable) -> None:
        """Let the key's next job be begun."""
        with self._changed:
            del self._running[thread]
            if self._queues[key]:
                self._ready.append(key)
                self._changed.notify()
            else:
                del self._queues[key]
                if not self._queues:
                    self._changed.notify_all()

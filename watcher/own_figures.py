"""The figures of this host and of the watcher itself, as they are scraped.

What is gathered serves for a second: whoever may ask, may ask again and again, and each time
costs a look at all containers.
"""

from __future__ import annotations

import os
import resource
import threading
from platform import python_version
from time import CLOCK_BOOTTIME, clock_gettime, monotonic
from typing import TYPE_CHECKING

from ocinet.base.clock import NS_PER_TICK, Process, boottime_shift_ns, unix_s
from ocinet.base.version import own_version
from ocinet.picture import metrics
from ocinet.picture.exposition import render
from ocinet.picture.tally import tally
from ocinet.watcher.bulletin import watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.picture.exposition import Metric
    from ocinet.picture.metrics import Samples
    from ocinet.picture.values import Picture
    from ocinet.watcher.bulletin import Bulletin
    from ocinet.watcher.workers import Workers

_FRESH_S = 1.0
_THREADS_FIELD = 17  # of /proc/PID/stat, counted after the ")": proc(5) field 20


class OwnFigures:
    """Gathers them; any thread may ask.

    Args:
        run_dir: of the installation.
        look: takes the picture of this host.
        bulletin: what the watcher tells of itself.
        workers: its threads.
        reconciled_s: when all was compared last, seconds since 1970; 0: not yet.
    """

    def __init__(
        self,
        run_dir: str,
        look: Callable[[], Picture],
        bulletin: Bulletin,
        workers: Workers,
        reconciled_s: Callable[[], float],
    ) -> None:
        self._run_dir = run_dir
        self._look = look
        self._bulletin = bulletin
        self._workers = workers
        self._reconciled_s = reconciled_s
        self._build = own_version(), python_version()
        self._start_s = _started_s()
        self._guard = threading.Lock()
        self._text, self._fresh_until = "", 0.0

    def text(self) -> str:
        """Return what Prometheus reads.

        Raises:
            OcinetError: the kernel would not say, or something can't be read.
        """
        with self._guard:
            if monotonic() >= self._fresh_until:
                self._text = self._gather()
                self._fresh_until = monotonic() + _FRESH_S
            return self._text

    def keep_count(self) -> None:
        """Count what the event log has, before it is begun anew.

        Raises:
            OcinetError: it can't be read, or the counts not be kept.
        """
        tally(self._run_dir)

    def _gather(self) -> str:
        began = monotonic()
        picture, counts = self._look(), tally(self._run_dir)
        told = metrics.families(picture, counts, watching(self._bulletin.news), self._build)
        own = [*told, *self._of_watcher(), *self._of_process()]
        return render([*own, (metrics.GATHERED, {(): round(monotonic() - began, 6)})])

    def _of_watcher(self) -> list[tuple[Metric, Samples]]:
        load = self._workers.load()
        reconciled_s = self._reconciled_s()
        return [
            (metrics.RECONCILED, {(): reconciled_s} if reconciled_s else {}),
            (metrics.WORKERS, {(): load.threads}),
            (metrics.BUSY, {(): load.busy}),
            (metrics.QUEUED, {(): load.queued}),
            (metrics.LONGEST, {(): round(self._workers.longest_s(), 3)}),
        ]

    def _of_process(self) -> list[tuple[Metric, Samples]]:
        spent = [
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        cpu_s = sum(each.ru_utime + each.ru_stime for each in spent)
        pages = int(_read("/proc/self/statm").split()[1])
        fields = _read("/proc/self/stat").rpartition(")")[2].split()
        return [
            (metrics.PROCESS_CPU, {(): round(cpu_s, 3)}),
            (metrics.PROCESS_FDS, {(): len(os.listdir("/proc/self/fd"))}),
            (metrics.PROCESS_MAX_FDS, {(): resource.getrlimit(resource.RLIMIT_NOFILE)[0]}),
            (metrics.PROCESS_MEMORY, {(): pages * resource.getpagesize()}),
            (metrics.PROCESS_THREADS, {(): int(fields[_THREADS_FIELD])}),
            (metrics.PROCESS_START, {(): self._start_s}),
        ]


def _started_s() -> float:
    """Return when this process was started, in seconds since 1970, to 10 ms."""
    own = Process.of(os.getpid())
    if own is None:
        return 0.0
    at_ns = own.start_time * NS_PER_TICK + boottime_shift_ns()
    return round(unix_s() - (clock_gettime(CLOCK_BOOTTIME) - at_ns / 1e9), 2)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

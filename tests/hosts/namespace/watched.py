"""A watcher of one engine, in the test's own process, that loses no time."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any
from unittest import mock

from ocinet.engine.model.settings import Settings
from ocinet.watcher import watch
from ocinet.watcher.bulletin import Bulletin
from ocinet.watcher.container_jobs import ContainerJobs
from ocinet.watcher.dispatch import Dispatch
from ocinet.watcher.docker_api import Client
from ocinet.watcher.logs import make_log
from ocinet.watcher.remembered import Remembered
from ocinet.watcher.sight import Sight
from ocinet.watcher.watch import Shared, Watch
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.watcher.container_jobs import Attacher
    from ocinet.watcher.lookout import Lookout

STOP_S = 20
_ANSWER_S = 0.5  # what an answer may take


class Watched:
    """The service's pieces for one engine; a context manager.

    Args:
        path: of the engine's socket.
        attacher: what is done to containers.
        collect: what is done besides when the whole list is looked through.
        lookout: for early attach, to be started and stopped by the test.
        reconcile_interval_s: a stream that is silent for that long is ended.
        level: the least that is logged.

    Attributes:
        log: what was logged.
        broken: what jobs raised.
    """

    def __init__(
        self,
        path: str,
        attacher: Attacher,
        *,
        collect: Callable[[], object] = tuple,
        lookout: Lookout | None = None,
        reconcile_interval_s: float = 0.3,
        level: str = "info",
    ) -> None:
        self.log = io.StringIO()
        self.broken: list[BaseException] = []
        log: Any = make_log(level, "json", self.log)
        settings = Settings(reconcile_interval_s=reconcile_interval_s)
        self.client = Client(path, _ANSWER_S)
        self.workers = Workers(4, self.broken.append)
        self.remembered = Remembered(self.client.carried, log)
        jobs = ContainerJobs(
            self.client, attacher, self.remembered, Sight(path, log), lambda: settings, log
        )
        dispatch = Dispatch(jobs, self.remembered, self.workers, lookout, lambda: settings, log)
        dispatch.retries_s = (0.05, 0.1, 0.2)
        self.bulletin = Bulletin(os.path.dirname(path))
        self.bulletin.watched([path])
        shared = Shared(self.workers, lambda: settings, self._repair, self.bulletin)
        self.watch = Watch(self.client, dispatch, shared, log)
        self._collect = collect
        # An engine that comes and goes is looked for at leisure, else.
        self._hurry = mock.patch.object(watch, "_LONGEST_WAIT_S", 0.2)

    def __enter__(self) -> Watched:
        """Start it, and wait until it has seen the engine's list."""
        self._hurry.start()
        self.workers.start()
        self.watch.start()
        assert self.watch.settled.wait(STOP_S)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop it; it must have met no error that it does not expect."""
        self.watch.stop()
        stopped = self.workers.stop(STOP_S)
        self.watch.join(STOP_S)
        self._hurry.stop()
        self.client.forget()
        assert stopped, "a job does not end"
        assert not self.watch.alive
        assert not self.broken, self.broken
        assert "internal error" not in self.log.getvalue(), self.log.getvalue()[-4000:]

    def _repair(self) -> None:
        self.workers.submit("repair", "repair", self._collect)

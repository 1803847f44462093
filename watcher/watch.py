"""One engine, watched: its stream is read, and read anew whenever it ends."""

from __future__ import annotations

import os
import threading
from time import monotonic, time
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.settings import Settings
    from ocinet.watcher.acts import Acts
    from ocinet.watcher.docker_api import Client, Stream
    from ocinet.watcher.workers import Workers

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 3.0
_LONGEST_SILENCE_S = 60.0
_OVERLAP_S = 1.0


class Watch:
    """The thread of one engine's socket; to be started once and stopped once.

    It reads the stream and queues what follows; whatever takes time is done by
    the workers. While the engine is not there, it is looked for.

    Args:
        client: the engine.
        acts: what is done about its containers.
        workers: where its list is looked through.
        settings: returns those in force.
        log: bound to the engine.

    Attributes:
        settled: set when the list was looked through for the first time, or
            the engine is not there.
    """

    def __init__(
        self,
        client: Client,
        acts: Acts,
        workers: Workers,
        settings: Callable[[], Settings],
        log: Any,
    ) -> None:
        self.settled = threading.Event()
        self._client = client
        self._acts = acts
        self._workers = workers
        self._settings = settings
        self._log = log
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._stream: Stream | None = None
        self._reconciled = 0.0
        name = os.path.basename(client.path)
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    @property
    def path(self) -> str:
        """The socket's path."""
        return self._client.path

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stopping.set()
        with self._guard:
            if self._stream:
                self._stream.wake()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, but no longer than that."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        missing = False
        while not self._stopping.is_set():
            if not os.path.exists(self.path):
                if not missing:
                    self._log.info("engine is not there yet")
                missing = True
                self.settled.set()
            else:
                missing = False
                if self._listen():
                    wait_s = _FIRST_WAIT_S
            self._stopping.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _listen(self) -> bool:
        """Connect, and read the stream to its end.

        Returns:
            Whether the engine answered.
        """
        silence_s = min(self._settings().reconcile_interval_s, _LONGEST_SILENCE_S)
        began = monotonic()
        try:
            self._client.greet()
            # The answer may come before the subscription: some of the past is asked for.
            stream = self._client.stream(time() - _OVERLAP_S, silence_s)
        except OcinetError as error:
            self._log.warning("engine does not answer", error=str(error))
            self.settled.set()
            return False
        with self._guard:
            self._stream = stream
        try:
            self._log.debug("listening", kind=self._client.kind)
            self._reconcile()
            self._read(stream)
        finally:
            with self._guard:
                self._stream = None
            stream.close()
        if not self._stopping.is_set():
            listened_s = round(monotonic() - began, 1)
            self._log.debug("event stream ended", listened_s=listened_s)
        return True

    def _read(self, stream: Stream) -> None:
        if self._stopping.is_set():
            return
        for event in stream:
            if self._stopping.is_set():
                return
            self._acts.told(event)
            if monotonic() - self._reconciled > self._settings().reconcile_interval_s:
                self._reconcile()

    def reconcile(self) -> None:
        """Have the engine's whole list looked through."""
        self._reconcile()

    def _reconcile(self) -> None:
        self._reconciled = monotonic()
        self._workers.submit(("engine", self.path), "reconcile", self._reconciled_now)

    def _reconciled_now(self) -> None:
        try:
            self._acts.reconcile()
        except OcinetError as error:
            self._log.warning("containers not listed", error=str(error))
            with self._guard:
                if self._stream:
                    self._stream.wake()  # it is asked anew for everything
        finally:
            self.settled.set()

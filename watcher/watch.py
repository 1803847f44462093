"""One engine, watched: its stream is read, and read anew whenever it ends."""

from __future__ import annotations

import os
import threading
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple

from ocinet.base.errors import OcinetError
from ocinet.watcher.bulletin import LISTENING
from ocinet.watcher.sight import OUT_OF_SIGHT

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.bulletin import Bulletin
    from ocinet.watcher.dispatch import Dispatch
    from ocinet.watcher.docker_api import Client, Stream
    from ocinet.watcher.workers import Workers

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 3.0
_LONGEST_BLIND_WAIT_S = 1.0  # of an engine that answers, but does not tell what happens
_LONGEST_SILENCE_S = 60.0
_OVERLAP_S = 1.0


class Shared(NamedTuple):
    """What the watches of all engines have in common.

    Attributes:
        workers: where lists are looked through.
        settings: returns those in force.
        repair: has all else repaired: deaths that an engine slept through are
            told by nobody.
        bulletin: is told how an engine is, and that it was heard.
    """

    workers: Workers
    settings: Callable[[], Settings]
    repair: Callable[[], None]
    bulletin: Bulletin


class Watch:
    """The thread of one engine's socket; to be started once and stopped once.

    It reads the stream and queues what follows; whatever takes time is done by
    the workers. While the engine is not there, it is looked for.

    Args:
        client: the engine.
        dispatch: is given its events, and has its list looked through.
        shared: what it has in common with other engines' watches.
        log: bound to the engine.

    Attributes:
        settled: set when the list was looked through for the first time, or
            the engine is not there.
    """

    def __init__(
        self,
        client: Client,
        dispatch: Dispatch,
        shared: Shared,
        log: Any,
    ) -> None:
        self.settled = threading.Event()
        self._client = client
        self._sight = dispatch.sight
        self._dispatch = dispatch
        self._workers, self._settings, self._repair, self._bulletin = shared
        self._log = log
        self._complaints: dict[str, str] = {}  # what was said, not to be said again
        self._is_blind = False
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
    def hidden(self) -> bool:
        """Whether the engine's processes can't be seen, so that it is watched for nothing."""
        return self._sight.hidden

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; whether the engine is hidden is known by then, if it is there."""
        self._sight.look()
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
        while not self._stopping.is_set():
            try:
                if self._listen():
                    wait_s = _FIRST_WAIT_S
            except Exception as error:  # noqa: BLE001  # the thread's edge: it must go on
                self._log.error("internal error", exc_info=error)
            longest_s = _LONGEST_BLIND_WAIT_S if self._is_blind else _LONGEST_WAIT_S
            self._stopping.wait(min(wait_s, longest_s))
            wait_s = min(2 * wait_s, longest_s)

    def _complain(self, event: str, error: str = "") -> None:
        """Say that the engine can't be listened to; once, until it can be."""
        self._bulletin.changed(self.path, event.removeprefix("engine "), error)
        if self._complaints.get(event) != error:
            self._complaints[event] = error
            if error:
                self._log.warning(event, error=error)
            else:
                self._log.info(event)

    def _listen(self) -> bool:
        """Connect, and read the stream to its end.

        Returns:
            Whether that went well for a while: then the next try comes at once.
        """
        self._is_blind = False
        if not os.path.exists(self.path):
            self._complain("engine is not there yet")
            self.settled.set()
            return False
        silence_s = min(self._settings().reconcile_interval_s, _LONGEST_SILENCE_S)
        began = monotonic()
        try:
            self._client.greet()
        except OcinetError as error:
            self._complain("engine does not answer", error=str(error))
            self.settled.set()
            return False
        self._sight.look()
        self._is_blind = True
        try:
            # Docker answers before it subscribes: some of the past is asked for. It has
            # but the last 256 events, and none of before its own start: the list has the rest.
            stream = self._client.stream(time() - _OVERLAP_S, silence_s)
        except OcinetError as error:
            self._complain("events not told, the list is looked through", error=str(error))
            self._reconcile()
            return False
        self._complaints.clear()
        state = ("out of sight", OUT_OF_SIGHT) if self.hidden else (LISTENING, "")
        self._bulletin.changed(self.path, *state, kind=self._client.kind)
        with self._guard:
            self._stream = stream
        try:
            self._log.debug("listening", kind=self._client.kind)
            # Of a death while dockerd was down nothing is told, nor of what it started
            # at boot, before its API listened.
            self._reconcile()
            self._read(stream)
        finally:
            with self._guard:
                self._stream = None
            stream.close()
        listened_s = monotonic() - began
        if not self._stopping.is_set():
            self._log.debug("event stream ended", listened_s=round(listened_s, 1))
        return listened_s > _LONGEST_WAIT_S

    def _read(self, stream: Stream) -> None:
        if self._stopping.is_set():
            return
        for event in stream:
            if self._stopping.is_set():
                return
            # Docker keeps 1,024 events for a slow reader, then waits 100 ms for each and
            # drops it without a word: whatever takes longer than to queue is a job.
            self._dispatch.receive(event)
            self._bulletin.heard(self.path)
            if monotonic() - self._reconciled > self._settings().reconcile_interval_s:
                self._reconcile()

    def appeared(self, container_id: str) -> None:
        """Look for the sandbox of a container whose cgroup was made, if it is this engine's."""
        self._dispatch.appeared(container_id)

    def reconcile(self) -> None:
        """Have the engine's whole list looked through, unless that awaits a connection anyway."""
        with self._guard:
            connected = self._stream is not None
        if connected:
            self._reconcile()

    def _reconcile(self) -> None:
        self._reconciled = monotonic()
        self._workers.submit(("engine", self.path), "reconcile", self._reconcile_now)

    def _reconcile_now(self) -> None:
        try:
            self._dispatch.reconcile()
        except OcinetError as error:
            self._complain("containers not listed", error=str(error))
            self.settled.set()
            with self._guard:
                if self._stream:
                    self._stream.wake()  # it is asked anew for everything
        else:
            self._bulletin.heard(self.path)
            self.settled.set()
        finally:
            self._repair()

"""The thread that serves the page.

All of it happens in one event loop: however many connect, and however slowly they speak,
there is this one thread, and each of them has a time and a size.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING

from ocinet.engine.model.loopback import LoopbackPlace
from ocinet.watcher.page.connections import Connections
from ocinet.watcher.page.exchange import LONGEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.watcher.page.gate import Gate
    from ocinet.watcher.page.live import Live

_AGAIN_S = 5.0  # until a place that somebody else has is tried again
_BACKLOG = 64


class Server:
    """The thread; to be started once and stopped once.

    Args:
        place: where it listens.
        make_gate: makes the gate of the place that it came to listen at.
        make_live: makes what is shown, within the loop.
        tell: told where it listens, or None and why not, as often as that becomes so.
        failed: told of what is no failure of the machine's.
    """

    def __init__(
        self,
        place: LoopbackPlace,
        make_gate: Callable[[LoopbackPlace], Gate],
        make_live: Callable[[], Live],
        tell: Callable[[LoopbackPlace | None, str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._place = place
        self._make_gate = make_gate
        self._make_live = make_live
        self._tell = tell
        self._failed = failed
        self._guard = threading.Lock()
        self._is_stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Have it end at once, whoever is connected; `join` waits for it."""
        with self._guard:
            self._is_stopped = True
            if self._loop and self._main:
                self._loop.call_soon_threadsafe(self._main.cancel)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, but no longer than that."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001  # the thread's edge: the watcher goes on
            self._failed(error)
            self._tell(None, "internal error: the watcher's log has it")

    async def _serve(self) -> None:
        with self._guard:
            if self._is_stopped:
                return
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self._listen()
        finally:
            with self._guard:  # from here on the loop is closed
                self._loop = None

    async def _listen(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._report)
        listening = await self._bind()
        place = LoopbackPlace(self._place.address, listening.getsockname()[1])
        live = self._make_live()
        connections = Connections(self._make_gate(place), live)
        server = await asyncio.start_server(
            connections.serve, sock=listening, limit=LONGEST_HEAD, backlog=_BACKLOG
        )
        try:
            self._tell(place, "")
            await live.run()
        finally:
            # No `async with`: from Python 3.12 on it waits for who is connected, and they look on.
            server.close()

    async def _bind(self) -> socket.socket:
        """Return a socket at the place; whoever has it is waited for."""
        family = socket.AF_INET6 if self._place.address.family == 6 else socket.AF_INET
        told = ""
        while True:
            try:
                return socket.create_server(
                    (str(self._place.address), self._place.port), family=family, backlog=_BACKLOG
                )
            except OSError as error:
                why = os.strerror(error.errno or 0)  # its own text names the place once more
            if why != told:
                told = why
                self._tell(None, why)
            await asyncio.sleep(_AGAIN_S)

    def _report(self, _loop: asyncio.AbstractEventLoop, told: dict[str, object]) -> None:
        error = told.get("exception")
        if isinstance(error, BaseException) and not isinstance(error, OSError):
            self._failed(error)

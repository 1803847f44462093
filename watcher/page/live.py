"""What all readers are shown: taken once for all of them, and only while there are any."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, thread_time
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError
from ocinet.watcher.page.tail import MOST
from ocinet.watcher.page.updates import message, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ocinet.watcher.page.tail import EventTail
    from ocinet.watcher.page.updates import Shown

    Take = Callable[[], dict[str, Any]]

_PICTURE_S = 1.0  # between two pictures, at least
# Rests, times what the last one took of a processor: 5 % of one at most where something has
# happened since, 1 % where nothing has but traffic.
_LEAST_REST, _QUIET_REST = 19.0, 99.0
_EVENTS_S = 0.25
_CHANGES = 5  # that are kept for a reader who is behind
_BEFORE = 100  # events of before that a new reader is shown


@dataclass
class Seen:
    """What one reader has been sent.

    Attributes:
        serial: of the picture; 0 none.
        events: how many there had been; -1 none.
        trouble: the last that it was told.
    """

    serial: int = 0
    events: int = -1
    trouble: str = ""


class Live:
    """Belongs to one event loop, in which `run` runs.

    Args:
        take: returns a picture as plain JSON; called in threads of its own, one at a time.
        tail: of the events.
        failed: told of what is no failure of the machine's.
    """

    def __init__(
        self, take: Take, tail: EventTail, failed: Callable[[BaseException], None]
    ) -> None:
        self._take = take
        self._tail = tail
        self._failed = failed
        self._readers = 0
        self._wanted = asyncio.Event()
        self._left = asyncio.Event()
        self._changed = asyncio.Event()
        self._stirred = asyncio.Event()  # something has happened since the last picture
        self._serial = 0  # never begins anew: a reader's would come to mean another picture
        self._shown: Shown | None = None
        self._taker: threading.Thread | None = None
        self._changes: deque[tuple[int, bytes]] = deque(maxlen=_CHANGES)
        self._troubles = {"picture": "", "events": ""}
        self._events: deque[dict[str, Any]] = deque(maxlen=MOST)
        self._told = 0  # events that there have been
        self._is_read = False  # whether those of before are among them

    @property
    def readers(self) -> int:
        """How many look."""
        return self._readers

    @contextmanager
    def looking(self) -> Iterator[Seen]:
        """Be a reader."""
        self._readers += 1
        self._left.clear()
        self._wanted.set()
        try:
            yield Seen()
        finally:
            self._readers -= 1
            if not self._readers:
                self._wanted.clear()
                self._left.set()

    async def run(self) -> None:
        """Take pictures and read events whenever somebody looks."""
        while True:
            await self._wanted.wait()
            try:
                async with asyncio.TaskGroup() as tasks:
                    taking = [
                        tasks.create_task(self._take_pictures()),
                        tasks.create_task(self._read_events()),
                    ]
                    await self._left.wait()
                    for task in taking:
                        task.cancel()
            finally:
                self._forget()

    def since(self, seen: Seen) -> bytes:
        """Return what a reader has not been sent yet, as messages; b"" if there is nothing."""
        parts = []
        shown = self._shown
        if shown and shown.serial != seen.serial:
            follow = [change for serial, change in self._changes if serial > seen.serial]
            is_next = len(follow) == shown.serial - seen.serial
            parts += follow if is_next else [shown.whole()]
            seen.serial = shown.serial
        if self._is_read and self._told > seen.events:
            parts.append(self._news(seen))
        trouble = "; ".join(filter(None, self._troubles.values()))
        if trouble != seen.trouble:
            parts.append(message("trouble", trouble))
            seen.trouble = trouble
        return b"".join(parts)

    async def wait(self, timeout_s: float, gone: asyncio.Task[None]) -> None:
        """Wait until there is something new or a reader has gone, but no longer than that."""
        changed = asyncio.create_task(self._changed.wait())
        await asyncio.wait((changed, gone), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()

    def _news(self, seen: Seen) -> bytes:
        """Return the events that a reader has not been sent, as a message."""
        is_first = seen.events < 0
        wanted = _BEFORE if is_first else self._told - seen.events
        count = min(len(self._events), wanted)
        seen.events = self._told
        events = list(self._events)[len(self._events) - count :]
        return message("events", {"events": events, "missed": 0 if is_first else wanted - count})

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()  # who has seen it waits for the next

    async def _take_pictures(self) -> None:
        while True:
            began = monotonic()
            spent_s = 0.0
            self._stirred.clear()
            try:
                shown, spent_s = await self._take_one()
            except OcinetError as error:
                self._troubles["picture"] = str(error)
            else:
                self._troubles["picture"] = ""
                self._shown, self._serial = shown, shown.serial
                if shown.change is not None:
                    self._changes.append((shown.serial, shown.change))
            self._tell()
            rest_s = max(_PICTURE_S, spent_s * _LEAST_REST) - (monotonic() - began)
            await asyncio.sleep(max(rest_s, spent_s))
            with suppress(TimeoutError):
                rest_s = max(_PICTURE_S, spent_s * _QUIET_REST) - (monotonic() - began)
                await asyncio.wait_for(self._stirred.wait(), max(rest_s, 0.0))

    async def _take_one(self) -> tuple[Shown, float]:
        """Take a picture, and return what it took of a processor, in seconds.

        In a thread that nobody waits for at the end, unlike an executor's: it may hang in a call.
        """
        # Of a reader who has left meanwhile: one that hangs is not to become many.
        while self._taker and self._taker.is_alive():  # noqa: ASYNC110  # a thread
            await asyncio.sleep(_EVENTS_S)
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[tuple[Shown, float]] = loop.create_future()
        former, serial = self._shown, self._serial + 1

        def tell(outcome: tuple[Shown, float] | BaseException) -> None:
            if taken.done():
                return
            if isinstance(outcome, BaseException):
                taken.set_exception(outcome)
            else:
                taken.set_result(outcome)

        def work() -> None:
            outcome: tuple[Shown, float] | BaseException
            try:
                outcome = (show(self._take(), former, serial), thread_time())
            except BaseException as error:  # noqa: BLE001  # the thread's edge: told to who waits
                outcome = error
            try:
                loop.call_soon_threadsafe(tell, outcome)
            except RuntimeError:
                return  # the loop has been closed meanwhile

        self._taker = threading.Thread(target=work, name="page-picture", daemon=True)
        self._taker.start()
        try:
            return await taken
        except OcinetError:
            raise
        except Exception as error:  # an edge: the readers are told, and so is the log
            self._failed(error)
            raise OcinetError("cannot take a picture", "internal error",
                              "the watcher's log has it") from error  # fmt: skip

    async def _read_events(self) -> None:
        while True:
            try:
                events, missed = self._tail.read()
            except OSError as error:
                self._troubles["events"] = f"cannot read the event log: {error.strerror}"
                events, missed = [], 0
            else:
                self._troubles["events"] = ""
            self._events.extend(events)
            # Of what was there before anybody looked, nothing was missed.
            self._told += len(events) + (missed if self._is_read else 0)
            if events or missed or not self._is_read:
                if self._is_read:
                    self._stirred.set()
                self._is_read = True
                self._tell()
            await asyncio.sleep(_EVENTS_S)

    def _forget(self) -> None:
        """Forget what nobody looks at: it grows old."""
        self._tail.close()
        self._shown = None
        self._changes.clear()
        self._events.clear()
        self._is_read = False

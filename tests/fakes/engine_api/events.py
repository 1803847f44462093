"""What an engine tells: the events that it keeps, and those who listen."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Event = dict[str, Any]
_FULL_WAIT_S = 0.1  # as moby's publisher
_REMEMBERED = 4096


@dataclass(frozen=True)
class Cut:
    """The end of a stream.

    Attributes:
        how: eof: the connection closes, as it does when dockerd ends; end: after
            HTTP's last chunk; reset: the reader gets ECONNRESET.
        partial: sent before that, as the beginning of a chunk.
    """

    how: str = "eof"
    partial: bytes = b""


Item = Event | bytes | Cut


@dataclass(frozen=True)
class Line:
    """What is told of an event.

    Attributes:
        item: itself, or whatever a fault has made of it.
        true: the event, by which filters go; None: everybody is told.
    """

    item: Item
    true: Event | None = None


class Subscription:
    """What one listener has been told and has not read yet.

    Args:
        accepts: the listener's filters.
        limit: how many may wait; after that the engine waits 0.1 s and drops.
    """

    def __init__(self, accepts: Callable[[Event], bool], limit: int) -> None:
        self.accepts = accepts
        self._limit = limit
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._bell: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """Return what is readable while there may be something to take."""
        assert self._bell is not None, "closed"
        return self._bell

    def put(self, item: Item) -> bool:
        """Tell the listener; False if it was dropped, for the listener is too slow."""
        deadline = time.monotonic() + _FULL_WAIT_S
        with self._changed:
            while len(self._waiting) >= self._limit and not isinstance(item, Cut):
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._bell is None:
                    return False
                self._changed.wait(left_s)
            if self._bell is None:
                return False
            self._waiting.append(item)
            os.eventfd_write(self._bell, 1)
            return True

    def take(self) -> Item | None:
        """Return the next one, or None if there is none now."""
        with self._changed:
            if self._waiting:
                self._changed.notify()
                return self._waiting.popleft()
            try:
                os.eventfd_read(self.fileno())
            except BlockingIOError:
                pass
            return None

    def close(self) -> None:
        """Be told no more."""
        with self._changed:
            if self._bell is not None:
                os.close(self._bell)
                self._bell = None
                self._changed.notify_all()


class EventLog:
    """All that an engine tells, in order.

    Args:
        kept: how many events can be asked for later; None: all of them.
        limit: of each listener's queue.

    Attributes:
        limit: of each listener's queue, from the next one on.
        dropped: how many events a listener was too slow for.
        history: the latest events, kept or not; what `replay` repeats.
    """

    def __init__(self, kept: int | None, limit: int = 1024) -> None:
        self.limit = limit
        self.dropped = 0
        self.history: deque[Event] = deque(maxlen=_REMEMBERED)
        self._kept: deque[Event] = deque(maxlen=kept)
        self._guard = threading.RLock()
        self._subscriptions: list[Subscription] = []
        self._latest_ns = 0

    def stamp(self) -> int:
        """Return the time in nanoseconds, never the same twice."""
        with self._guard:
            self._latest_ns = max(time.time_ns(), self._latest_ns + 1)
            return self._latest_ns

    def keep(self, event: Event) -> None:
        """Add an event to those that can be asked for later."""
        with self._guard:
            self.history.append(event)
            self._kept.append(event)

    def send(self, lines: Iterable[Line]) -> None:
        """Tell all who listen."""
        with self._guard:
            for line in lines:
                for subscription in list(self._subscriptions):
                    wanted = line.true is None or subscription.accepts(line.true)
                    if wanted and not subscription.put(line.item):
                        self.dropped += 1

    def subscribe(
        self, accepts: Callable[[Event], bool], since_ns: int | None, until_ns: int | None
    ) -> Subscription:
        """Listen, from the kept events of that time on, which is inclusive.

        Args:
            accepts: the filters.
            since_ns: None for no kept events.
            until_ns: the kept events up to then, and then the end.
        """
        with self._guard:
            subscription = Subscription(accepts, self.limit)
            if since_ns is not None or until_ns is not None:
                past = [event for event in self._kept if event["timeNano"] >= (since_ns or 0)]
                subscription._waiting.extend(
                    event
                    for event in past
                    if accepts(event) and (until_ns is None or event["timeNano"] <= until_ns)
                )
            if until_ns is None:
                self._subscriptions.append(subscription)
            else:
                subscription._waiting.append(Cut("end"))
            os.eventfd_write(subscription.fileno(), 1)
            return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell one listener no more."""
        subscription.close()  # first: whoever waits for room in it holds the guard
        with self._guard:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    @property
    def listeners(self) -> int:
        """How many listen now."""
        with self._guard:
            return len(self._subscriptions)

    def end(self, cut: Cut) -> None:
        """End every stream; who comes later is told of later events."""
        with self._guard:
            for subscription in self._subscriptions:
                subscription.put(cut)
            self._subscriptions.clear()

    def forget(self) -> None:
        """Keep nothing of what was told: the engine was started anew."""
        with self._guard:
            self._kept.clear()

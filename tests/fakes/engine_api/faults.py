"""What can go wrong with an engine's stream and its answers, switched by a test.

A fault of the stream changes what listeners are told from then on; what the
engine keeps, and answers to `since`, stays true. A fault of an answer replaces
it until it is lifted.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.engine_api.events import Cut, Event, EventLog, Item, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Alter = Callable[[Event], Iterable[Item]]
    Order = Callable[[list[Line]], Iterable[Line]]


@dataclass(frozen=True)
class Answer:
    """What is answered instead of the truth.

    Attributes:
        status: of HTTP.
        body: sent as it is.
        delay_s: waited before; a test's end does not wait for it.
        truthful: the true answer after all, once the delay is over.
        hang_up: close the connection with no answer, or, with a body, in the
            midst of it.
    """

    status: int = 200
    body: bytes = b""
    delay_s: float = 0
    truthful: bool = False
    hang_up: bool = False

    @staticmethod
    def error(status: int = 500, message: str = "it is broken") -> Answer:
        """Return an error as engines tell it; `error(404)` denies what is there."""
        return Answer(status, json.dumps({"message": message}).encode())

    @staticmethod
    def document(document: Any) -> Answer:
        """Return some JSON, perhaps of another shape than expected."""
        return Answer(body=json.dumps(document).encode())

    @staticmethod
    def garbage() -> Answer:
        """Return what is no JSON."""
        return Answer(body=b"\x00<html>502 Bad Gateway</html>")

    @staticmethod
    def torn() -> Answer:
        """Return an answer that breaks off."""
        return Answer(body=b'[{"Id": "0123', hang_up=True)

    @staticmethod
    def none() -> Answer:
        """Return no answer: the connection is closed."""
        return Answer(hang_up=True)

    @staticmethod
    def slow(delay_s: float) -> Answer:
        """Return the truth, some time later; with a great delay it hangs."""
        return Answer(truthful=True, delay_s=delay_s)


class Faults:
    """The faults of one engine; none when it is made.

    Endpoints, for `answer` and `block`: ping, version, info, list, inspect, image,
    networks, network, events; for `block` alone, subscribe: what an engine does
    between a stream's header and its first event.

    Args:
        log: what the engine tells.

    Attributes:
        piece: how many bytes of the stream are sent at a time; 0: a line.
        feed: what ends each event; a proxy may take it away.
    """

    def __init__(self, log: EventLog) -> None:
        self.piece = 0
        self.feed = b"\n"
        self._log = log
        self._guard = threading.RLock()
        self._flowing = threading.Event()
        self._thawed = threading.Event()
        self._answers: dict[str, tuple[Answer, int | None]] = {}
        self._blocked: dict[str, threading.Event] = {}
        self._alters: list[Alter] = []
        self._held: list[Line] | None = None
        self._window = 0
        self._order: Order = list
        self._flowing.set()
        self._thawed.set()

    # The stream.

    def cut(self, how: str = "eof", *, in_line: bool = False) -> None:
        """End every open stream; whoever asks anew is served.

        Args:
            how: see `Cut`.
            in_line: in the midst of a chunk, and so of a line.
        """
        partial = b'1ff\r\n{"status":"start","id":"0123' if in_line else b""
        self._log.end(Cut(how, partial))

    def stall(self) -> None:
        """Send nothing more on any stream; connections stay open, and events wait.

        A stream that is opened meanwhile gets its header and nothing else.
        """
        self._flowing.clear()

    def flow(self) -> None:
        """Send what has waited since `stall`, and go on."""
        self._flowing.set()

    def alter(self, change: Alter) -> None:
        """Tell something else instead of each event: none, several, another, bytes.

        Changes are made in the order in which they were asked for.
        """
        with self._guard:
            self._alters.append(change)

    def drop(self, *actions: str, times: int | None = None) -> None:
        """Lose events of these actions, or all.

        Args:
            actions: as "start" or "connect"; none: all of them.
            times: how many; None: until `clear`.
        """
        self._altered(actions, times, lambda _event: ())

    def duplicate(self, *actions: str, times: int | None = None) -> None:
        """Tell events of these actions, or all, twice."""
        self._altered(actions, times, lambda event: (event, event))

    def twist(self, odd: Callable[[Event], Event], *actions: str) -> None:
        """Tell events in an odd shape, as one of `ODD`."""
        self._altered(actions, None, lambda event: (odd(event),))

    def _altered(self, actions: Sequence[str], times: int | None, change: Alter) -> None:
        left = times

        def altered(event: Event) -> Iterable[Item]:
            nonlocal left
            if left == 0 or (actions and event.get("Action") not in actions):
                return (event,)
            left = None if left is None else left - 1
            return change(event)

        self.alter(altered)

    def hold(self) -> None:
        """Tell nothing until `release`; unlike `stall`, for it can change the order."""
        with self._guard:
            self._held = self._held or []

    def release(self, order: Order = list) -> None:
        """Tell what was held, in that order, as `reversed`, and hold no more."""
        with self._guard:
            held, self._held, self._window = self._held or [], None, 0
            self._log.send(order(held))

    def reorder(self, window: int, order: Order) -> None:
        """Tell events in groups, each in another order; `release` ends it.

        Args:
            window: how many a group has.
            order: given a group, returns it in the order to tell it in.
        """
        with self._guard:
            self.hold()
            self._window, self._order = window, order

    def replay(self, events: int = 1024) -> None:
        """Tell the latest events once more, with the times that they had."""
        self._log.send([Line(event, event) for event in list(self._log.history)[-events:]])

    def inject(self, item: Event | bytes) -> None:
        """Tell everybody what has not happened; bytes are sent as they are."""
        self._log.send([Line(item)])

    def tell(self, event: Event) -> None:
        """Tell an event, as the faults have it; the engine calls this."""
        with self._guard:
            items: list[Item] = [event]
            for alter in self._alters:
                items = [
                    new
                    for item in items
                    for new in (alter(item) if isinstance(item, dict) else (item,))
                ]
            lines = [Line(item, event) for item in items]
            if self._held is None:
                self._log.send(lines)
                return
            self._held += lines
            if self._window and len(self._held) >= self._window:
                held, self._held = self._held, []
                self._log.send(self._order(held))

    # The answers.

    def answer(self, endpoint: str, answer: Answer, *, times: int | None = None) -> None:
        """Answer an endpoint so; `times` None: until `clear` or `answer_truly`."""
        with self._guard:
            self._answers[endpoint] = (answer, times)

    def answer_truly(self, endpoint: str) -> None:
        """Answer an endpoint with the truth again."""
        with self._guard:
            self._answers.pop(endpoint, None)

    @contextlib.contextmanager
    def block(self, endpoint: str) -> Iterator[None]:
        """Let every request for an endpoint wait until the block's end."""
        freed = threading.Event()
        self._blocked[endpoint] = freed
        try:
            yield
        finally:
            del self._blocked[endpoint]
            freed.set()

    def freeze(self) -> None:
        """Answer nothing and send nothing: dockerd under SIGSTOP. Connecting works."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on where `freeze` began."""
        self._thawed.set()

    def clear(self) -> None:
        """Lift every fault; what was held or has waited is told, in order."""
        with self._guard:
            self._alters.clear()
            self._answers.clear()
            self.piece = 0
            self.feed = b"\n"
            self.release()
        self.flow()
        self.thaw()

    # What the server asks.

    def take_answer(self, endpoint: str) -> Answer | None:
        """Return what to answer instead of the truth."""
        with self._guard:
            answer, times = self._answers.get(endpoint, (None, None))
            if answer is not None and times is not None:
                self._answers[endpoint] = (answer, times - 1)
                if times <= 1:
                    del self._answers[endpoint]
            return answer

    def obstacles(self, endpoint: str) -> tuple[threading.Event, ...]:
        """Return what a request has to wait for."""
        freed = self._blocked.get(endpoint)
        return (self._thawed, freed) if freed else (self._thawed,)

    @property
    def gates(self) -> tuple[threading.Event, ...]:
        """What a stream has to wait for before each piece."""
        return (self._thawed, self._flowing)


def _without_attributes(event: Event) -> Event:
    return event | {"Actor": {"ID": event["Actor"]["ID"]}}


def _without_actor(event: Event) -> Event:
    return {key: value for key, value in event.items() if key != "Actor"}


def _legacy_only(event: Event) -> Event:
    keys = ("status", "id", "from", "time", "timeNano")
    return {key: event[key] for key in keys if key in event}


def _without_legacy(event: Event) -> Event:
    return {key: value for key, value in event.items() if key not in ("status", "id", "from")}


def _null_attributes(event: Event) -> Event:
    return event | {"Actor": event["Actor"] | {"Attributes": None}}


def _without_time(event: Event) -> Event:
    return {key: value for key, value in event.items() if key not in ("time", "timeNano")}


# The odd shapes that `Faults.twist` can give an event, by name.
ODD: dict[str, Callable[[Event], Event]] = {
    "no Attributes": _without_attributes,
    "Attributes null": _null_attributes,
    "no Actor": _without_actor,
    "Actor null": lambda event: event | {"Actor": None},
    "Actor of another type": lambda event: event | {"Actor": "nobody"},
    "legacy keys only": _legacy_only,
    "no legacy keys": _without_legacy,
    "no time": _without_time,
    "unknown Type": lambda event: event | {"Type": "spaceship"},
    "unknown Action": lambda event: event | {"Action": "levitate"},
    "Action null": lambda event: event | {"Action": None},
    "no Type": lambda event: {key: value for key, value in event.items() if key != "Type"},
    "ID with a path": lambda event: event | {"Actor": event["Actor"] | {"ID": "../../etc"}},
}

"""What both fake engines share: containers, a socket, and answers to requests."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from fakes.engine_api.container import FakeContainer
from fakes.engine_api.events import Cut, EventLog
from fakes.engine_api.faults import Faults
from fakes.engine_api.inits import Numbers
from fakes.engine_api.patience import Gone, slept_until, wait
from fakes.engine_api.queries import Filters, has_label, parse_filters
from fakes.engine_api.server import Asked, Reply, Server
from fakes.engine_api.values import Image, Network, Refused, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from fakes.engine_api.events import Event, Item, Subscription
    from fakes.engine_api.inits import Init

_ROUTES = {
    "ping": re.compile(r"/_ping"),
    "version": re.compile(r"/version"),
    "info": re.compile(r"/info"),
    "list": re.compile(r"/containers/json"),
    "inspect": re.compile(r"/containers/([^/]+)/json"),
    "image": re.compile(r"/images/(.+)/json"),
    "networks": re.compile(r"/networks"),
    "network": re.compile(r"/networks/([^/]+)"),
    "events": re.compile(r"/events"),
}
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_DRAIN_S = 2.0
_TRUE = ("1", "true", "True")
_UP = ("running", "paused", "restarting")
_LIST_FILTERS: dict[str, Callable[[dict[str, Any], str], bool]] = {
    "id": lambda listed, begun: listed["Id"].startswith(begun),
    "name": lambda listed, part: part in listed["Names"][0],
    "status": lambda listed, status: listed["State"] == status,
    "label": lambda listed, label: has_label(listed["Labels"], label),
}


class FakeEngine(ABC):
    """A container engine that tests drive; a context manager that serves its socket.

    Args:
        path: of the socket, which is made.
        inits: gives each start its first process.
        kept: how many events can be asked for later; None: all.

    Attributes:
        log: what it tells.
        faults: what is wrong with it.
        containers: by id, the oldest first.
        lock: held by whatever changes or shows them.
        serves: whether it runs.
    """

    def __init__(self, path: str, inits: Callable[[str], Init] | None, kept: int | None) -> None:
        self.path = path
        self.inits: Callable[[str], Init] = inits or Numbers()
        self.log = EventLog(kept)
        self.faults = Faults(self.log)
        self.lock = threading.RLock()
        self.containers: dict[str, FakeContainer] = {}
        self.serves = False
        self.images: dict[str, Image] = {}
        self.networks: dict[str, Network] = {}
        self._server = Server(path, self)
        self._numbers = 0
        self.add_image(Image("busybox"))

    # Its own life.

    def __enter__(self) -> Self:
        """Serve the socket."""
        self.boot()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the socket, and end every thread and every container's first process."""
        self._go(unlink=True)
        for container in self.containers.values():
            container._end_init()

    def boot(self) -> None:
        """Start the engine, with the containers that it had."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._server.listen()
        self.serves = True

    def quit(self) -> None:
        """Stop the engine in order, as by SIGTERM: all is told, and its socket goes."""
        self._go(unlink=True, drain_s=_DRAIN_S)

    def crash(self) -> None:
        """Kill the engine; its containers live, and its socket refuses connections.

        What listeners have not read by then is lost.
        """
        self._go(unlink=False)

    def _go(self, *, unlink: bool, drain_s: float = 0) -> None:
        self.serves = False
        self.log.end(Cut())
        self._server.close(unlink=unlink, drain_s=drain_s)

    # What it has.

    def create(self, name: str = "", **options: Any) -> FakeContainer:
        """Create a container; `options` are those of `Spec`.

        Raises:
            Refused: no such image, or somebody has the name.
        """
        with self.lock:
            self._numbers += 1
            name = name or f"fake_{self._numbers}"
            spec = Spec(**options)
            image = self.images.get(spec.image) or self._image_by_id(spec.image)
            if image is None:
                raise Refused(404, f"No such image: {spec.image}:latest")
            self.check_name(name)
            container = self._make(name, spec, image)
            self.containers[container.id] = container
            container._checkpoint()
            container._tell("create")
            return container

    def lose_containers(self) -> None:
        """Have no containers any more, and tell nobody: its storage was lost."""
        with self.lock:
            for container in self.containers.values():
                container._end_init()
            self.containers.clear()

    def _image_by_id(self, image_id: str) -> Image | None:
        bare = image_id.removeprefix("sha256:")
        return next((image for image in self.images.values() if image.id == bare), None)

    def check_name(self, name: str) -> None:
        """Go on only if a new container may have this name.

        Raises:
            Refused: it may not.
        """
        if not _NAME.fullmatch(name):
            raise Refused(400, f"Invalid container name ({name})")
        if any(container.name == name for container in self.containers.values()):
            raise Refused(
                self.conflict, f'Conflict. The container name "/{name}" is already in use'
            )

    def find(self, wanted: str) -> FakeContainer | None:
        """Return a container by its id, its name, or the beginning of its id."""
        found = self.containers.get(wanted)
        if found or not wanted:
            return found
        bare = wanted.removeprefix("/")
        named = [container for container in self.containers.values() if container.name == bare]
        begun = [
            container for container in self.containers.values() if container.id.startswith(wanted)
        ]
        return next(iter(named or begun), None)

    def add_image(self, image: Image) -> Image:
        """Have an image; containers are created from it by its name or id."""
        self.images[image.name] = image
        return image

    def add_network(self, network: Network) -> Network:
        """Have one more network."""
        self.networks[network.name] = network
        return network

    # What it tells.

    def emit(self, event: Event) -> None:
        """Tell an event, if it can; the keys of time are added."""
        now_ns = self.log.stamp()
        event |= {"scope": "local", "time": now_ns // 10**9, "timeNano": now_ns}
        self.log.keep(event)
        if self.serves:
            self.faults.tell(event)

    # What it answers, in its server's threads.

    def reply(self, asked: Asked, gone: Callable[[], bool]) -> Reply:
        """Answer a request, or as the faults have it."""
        endpoint, argument = self._route(asked.path)
        fault = endpoint.removeprefix("libpod ")
        try:
            for freed in self.faults.obstacles(fault):
                wait(freed.wait, gone)
            answer = self.faults.take_answer(fault)
            if answer:
                deadline = time.monotonic() + answer.delay_s
                wait(lambda _poll_s: slept_until(deadline), gone)
                if not answer.truthful:
                    return Reply(answer.status, answer.body, hang_up=answer.hang_up)
            if asked.method not in ("GET", "HEAD"):
                raise Refused(501, "the fake engine is driven by calls, not by requests")
            return self._answer(endpoint, argument, asked, gone)
        except Refused as refused:
            return self._refusal(refused)
        except Gone:
            return Reply(hang_up=True)

    def _route(self, path: str) -> tuple[str, str]:
        for endpoint, pattern in self._routes().items():
            match = pattern.fullmatch(path)
            if match:
                return endpoint, match[1] if match.groups() else ""
        return "", ""

    def _routes(self) -> Mapping[str, re.Pattern[str]]:
        return _ROUTES

    def _answer(
        self, endpoint: str, argument: str, asked: Asked, gone: Callable[[], bool]
    ) -> Reply:
        if endpoint == "ping":
            return self._send("OK", "text/plain; charset=utf-8")
        if endpoint == "events":
            return self._listen(asked.query)
        if endpoint == "inspect":
            return self._inspect(argument, type(self)._show_container, gone)
        documents: dict[str, Callable[[], Any]] = {
            "version": self._version,
            "info": self._info,
            "list": lambda: self._list(asked.query),
            "image": lambda: self._show_image(self._find_image(argument)),
            "networks": lambda: self._list_networks(asked.query),
            "network": lambda: self._show_network(self._find_network(argument), whole=True),
        }
        if endpoint not in documents:
            raise Refused(404, "page not found")
        with self.lock:
            return self._send(documents[endpoint]())

    def _send(self, document: Any, kind: str = "application/json") -> Reply:
        text = document if isinstance(document, str) else json.dumps(document) + "\n"
        return Reply(200, text.encode(), kind, self._headers())

    def _refusal(self, refused: Refused) -> Reply:
        document = self._error(refused)
        return Reply(
            refused.status, (json.dumps(document) + "\n").encode(), headers=self._headers()
        )

    def _listen(self, query: Mapping[str, str]) -> Reply:
        accepts = self._filter(parse_filters(query))
        since, until = self._parse_time(query.get("since")), self._parse_time(query.get("until"))

        def subscribe(gone: Callable[[], bool]) -> Subscription | None:
            try:
                for freed in self.faults.obstacles("subscribe"):
                    wait(freed.wait, gone)
            except Gone:
                return None
            return self.log.subscribe(accepts, since, until)

        return Reply(headers=self._headers(), subscribe=subscribe)

    def _list_networks(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        drivers = parse_filters(query).get("driver")
        return [
            self._show_network(network, whole=False)
            for network in self.networks.values()
            if not drivers or network.driver in drivers
        ]

    def _list(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        filters = parse_filters(query)
        unknown = next((name for name in filters if name not in _LIST_FILTERS), "")
        if unknown:
            raise Refused(self._bad_filter_status, f"Invalid filter '{unknown}'")
        shown = (container.listed() for container in reversed(self.containers.values()))
        every = query.get("all") in _TRUE or "status" in filters
        return [
            item
            for item in shown
            if (every or item["State"] in _UP)
            and all(
                any(_LIST_FILTERS[name](item, value) for value in values)
                for name, values in filters.items()
            )
        ]

    def _inspect(
        self,
        wanted: str,
        show: Callable[[Self, FakeContainer], dict[str, Any]],
        gone: Callable[[], bool],
    ) -> Reply:
        with self.lock:
            container = self.find(wanted)
        if container is None:
            raise Refused(404, self._missing["container"].format(wanted))
        taken = self._take(container, gone)
        try:
            with self.lock:
                return self._send(show(self, container))
        finally:
            taken.release()

    def _take(self, container: FakeContainer, gone: Callable[[], bool]) -> threading.Lock:
        """Take a container's lock, as soon as the engine does nothing to it."""
        wait(lambda poll_s: container.busy.acquire(timeout=poll_s), gone)
        return container.busy

    def _show_container(self, container: FakeContainer) -> dict[str, Any]:
        return container.inspected()

    def _find_image(self, wanted: str) -> Image:
        image = self.images.get(wanted.removesuffix(":latest")) or self._image_by_id(wanted)
        if image is None:
            raise Refused(404, self._missing["image"].format(wanted))
        return image

    def _find_network(self, wanted: str) -> Network:
        for network in self.networks.values():
            if network.name == wanted or network.id.startswith(wanted):
                return network
        raise Refused(404, self._missing["network"].format(wanted))

    # What its server asks of it besides.

    def encode(self, item: Item) -> bytes:
        """Return the line that is sent for an event; bytes are sent as they are."""
        return item if isinstance(item, bytes) else json.dumps(item).encode() + self.faults.feed

    def may_send(self, gone: Callable[[], bool]) -> bool:
        """Wait until a stream may send; False if it has ended meanwhile."""
        try:
            for gate in self.faults.gates:
                wait(gate.wait, gone)
        except Gone:
            return False
        return True

    @property
    def piece(self) -> int:
        """How many bytes of a stream are sent at a time; 0: all."""
        return self.faults.piece

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell a listener no more."""
        self.log.unsubscribe(subscription)

    # What the two engines do each in their way.

    kind: str  # docker or podman
    version: str  # a key of `versions.DOCKERS` or `versions.PODMANS`
    conflict = 409  # the status of what can't be done as things are
    kill_conflict = 0  # the same of a kill, where it is another one
    _bad_filter_status = 400
    _missing: Mapping[str, str]  # by kind, what is said of one that there is none of

    @abstractmethod
    def _make(self, name: str, spec: Spec, image: Image) -> FakeContainer: ...

    @abstractmethod
    def _version(self) -> dict[str, Any]: ...

    @abstractmethod
    def _info(self) -> dict[str, Any]: ...

    @abstractmethod
    def _show_image(self, image: Image) -> dict[str, Any]: ...

    @abstractmethod
    def _show_network(self, network: Network, *, whole: bool) -> dict[str, Any]: ...

    @abstractmethod
    def _filter(self, filters: Filters) -> Callable[[Event], bool]: ...

    @abstractmethod
    def _parse_time(self, text: str | None) -> int | None: ...

    @abstractmethod
    def _headers(self) -> dict[str, str]: ...

    @abstractmethod
    def _error(self, refused: Refused) -> dict[str, Any]: ...

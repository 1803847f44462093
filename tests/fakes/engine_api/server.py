"""HTTP/1.1 on a UNIX socket, as far as an engine's clients need it: GET, no bodies.

Written by hand because tests have to break it in ways that `http.server` cannot:
streams that are cut in a chunk, stalled, or reset. A reset is what a reader gets
when a UNIX socket is closed with something unread in it (unix(7)), so the last
byte of a request for a stream is left unread until its end is known.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from fakes.engine_api.events import Cut, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakes.engine_api.events import Item

_HEAD_END = b"\r\n\r\n"
_HEAD_MAX = 65536
_BACKLOG = 128
_JOIN_S = 10.0
_VERSION = re.compile(r"^/v(\d+\.\d+(?:\.\d+)?)(?=/)")


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: as GET.
        path: without version and query, unquoted.
        version: of the path, as "1.41", or "".
        query: the last value of each name.
        gone: tells whether the engine has ended meanwhile.
    """

    method: str
    path: str
    version: str
    query: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        body: of its length, unless `subscribe` is there.
        subscribe: begins to listen to the events that are sent in chunks after the
            head; None if the connection has gone meanwhile.
        hang_up: close the connection after what there is of the body.
    """

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    subscribe: Callable[[Callable[[], bool]], Subscription | None] | None = None
    hang_up: bool = False


class Served(Protocol):
    """What answers."""

    def reply(self, asked: Asked, gone: Callable[[], bool]) -> Reply:
        """Answer a request; `gone` tells whether nobody waits for it any more."""

    def encode(self, item: Item) -> bytes:
        """Return what is sent for an event."""

    def may_send(self, gone: Callable[[], bool]) -> bool:
        """Wait until a stream may send; False if it has ended meanwhile."""

    @property
    def piece(self) -> int:
        """How many bytes of a stream are sent at a time; 0: all."""

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell a listener no more."""


class Server:
    """A listening socket and its threads, from `listen` to `close`.

    Args:
        path: of the socket.
        served: what answers.
    """

    def __init__(self, path: str, served: Served) -> None:
        self.path = path
        self._served = served
        self._guard = threading.Lock()
        self._listening: socket.socket | None = None
        self._open: dict[threading.Thread, socket.socket] = {}
        self._streams: set[threading.Thread] = set()
        self._closing = False

    def listen(self) -> None:
        """Listen, in place of whatever is at the path."""
        self._closing = False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(self.path)
        self._listening.listen(_BACKLOG)
        self._start(self._listening, self._accept)

    def close(self, *, unlink: bool, drain_s: float) -> None:
        """Close every connection and end every thread.

        Args:
            unlink: whether the socket's name goes too; else connecting is refused.
            drain_s: how long streams that have been cut may take to their end.
        """
        with self._guard:
            streams = list(self._streams)
        deadline = time.monotonic() + drain_s
        for thread in streams:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._guard:
            self._closing = True
            opened = list(self._open.items())
            for _thread, connection in opened:
                _settle(connection)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread, _connection in opened:
            thread.join(_JOIN_S)
            assert not thread.is_alive(), f"{thread.name} does not end"
        if unlink:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def _start(self, connection: socket.socket, work: Callable[[socket.socket], None]) -> None:
        def run() -> None:
            try:
                with contextlib.suppress(OSError):
                    work(connection)
            finally:
                with self._guard:
                    connection.close()
                    del self._open[threading.current_thread()]
                    self._streams.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"fake engine {work.__name__}", daemon=True)
        with self._guard:
            if self._closing:
                connection.close()
                return
            self._open[thread] = connection
            thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            connection, _ = listening.accept()
            self._start(connection, self._serve)

    def _serve(self, connection: socket.socket) -> None:
        while True:
            asked = _read(connection)
            if asked is None:
                return
            reply = self._served.reply(asked, lambda: self._is_gone(connection))
            if reply.subscribe:
                with self._guard:
                    self._streams.add(threading.current_thread())
                # As real engines do it: the head may come before they listen.
                connection.sendall(_head(reply))
                stream = reply.subscribe(lambda: self._is_gone(connection))
                if stream:
                    try:
                        self._send_stream(connection, stream)
                    finally:
                        self._served.unsubscribe(stream)
                return
            _settle(connection)
            if reply.body or not reply.hang_up:
                connection.sendall(_head(reply) + reply.body)
            if reply.hang_up:
                return

    def _is_gone(self, connection: socket.socket) -> bool:
        """Tell whether nobody waits for an answer any more."""
        if self._closing:
            return True
        poll = select.poll()
        poll.register(connection, select.POLLHUP | select.POLLRDHUP)
        return bool(poll.poll(0))

    def _send_stream(self, connection: socket.socket, stream: Subscription) -> None:
        """Send events until there is a cut, or the client has gone."""
        poll = select.poll()
        poll.register(connection, select.POLLHUP | select.POLLRDHUP)
        poll.register(stream, select.POLLIN)
        while connection.fileno() not in [fd for fd, _ in poll.poll()]:
            while (item := stream.take()) is not None:
                if not self._served.may_send(lambda: self._is_gone(connection)):
                    return
                if isinstance(item, Cut):
                    _end(connection, item)
                    return
                self._send_chunk(connection, self._served.encode(item))

    def _send_chunk(self, connection: socket.socket, line: bytes) -> None:
        size = self._served.piece or len(line)
        for start in range(0, len(line), size):
            piece = line[start : start + size]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


def _end(connection: socket.socket, cut: Cut) -> None:
    """End a stream; the connection is closed after that."""
    connection.sendall(cut.partial)
    if cut.how != "reset":
        _settle(connection)
    if cut.how == "end":
        connection.sendall(b"0\r\n\r\n")


def _settle(connection: socket.socket) -> None:
    """Read a request's last byte: with nothing unread, closing is no reset."""
    with contextlib.suppress(OSError):
        connection.recv(1, socket.MSG_DONTWAIT)


def _read(connection: socket.socket) -> Asked | None:
    """Read a request but for its last byte; None at the end of the connection."""
    while True:
        head = connection.recv(_HEAD_MAX, socket.MSG_PEEK)
        end = head.find(_HEAD_END)
        if end >= 0:
            break
        if not head or len(head) == _HEAD_MAX:
            return None
        # The rest is on its way: peeking again at once would spin.
        select.select([connection], [], [], 0.001)
    connection.recv(end + len(_HEAD_END) - 1)
    method, target, _ = head.decode("latin-1").split(" ", 2)
    split = urlsplit(target)
    version = _VERSION.match(split.path)
    path = split.path[version.end() :] if version else split.path
    query = {name: values[-1] for name, values in parse_qs(split.query).items()}
    return Asked(method, unquote(path), version[1] if version else "", query)


def _head(reply: Reply) -> bytes:
    phrase = HTTPStatus(reply.status).phrase
    length = len(reply.body) + (1000 if reply.hang_up else 0)
    how = "Transfer-Encoding: chunked" if reply.subscribe else f"Content-Length: {length}"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Content-Type: {reply.kind}", how]
    lines += [f"{name}: {text}" for name, text in reply.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()

"""HTTP with an engine that may be anybody: it is root's, and what it answers has an end.

An engine is believed as to which process is a container's, so its socket must be
root's, or our own user's. A broken one, or one behind a socket that is not what it seems, must not
take the host's memory: answers, chunks, and the lines between them are bounded.
"""

from __future__ import annotations

import io
import os
import socket
import struct
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection
from requests.exceptions import ConnectionError as Disconnected

if TYPE_CHECKING:
    from typing import Any

LONGEST_ANSWER = 64 << 20  # bytes: some 15,000 containers with twenty labels each
LONGEST_PART = 1 << 16
_MOST_ITEMS = 4_000_000  # of all its lists and objects; of empty ones 64 MiB would become 2 GB
_LONGEST_LINE = 1 << 16  # as `http.client` has it for headers
_LONGEST_S = 3.0  # times what one reply may take: a long answer comes in many
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


class Connection(UnixHTTPConnection):  # type: ignore[misc]  # docker ships no types
    """docker's own, but a socket that can't connect is closed, and one that is not root's refused.

    docker leaves it in the error's traceback, until the garbage collector comes by: one
    for every look at an engine that is not there.
    """

    def connect(self) -> None:
        """Connect to the engine's socket.

        Raises:
            OSError: nobody listens, or somebody who is not root.
        """
        opened = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.settimeout(self.timeout)
        try:
            opened.connect(self.unix_socket)
            # Of who began to listen: systemd, where it hands the socket on.
            told = opened.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            _pid, uid, _gid = _CREDENTIALS.unpack(told)
            if uid not in (0, os.geteuid()):
                why = f"user {uid} listens there: what tells which process is whose must be root's"
                raise PermissionError(why)
        except OSError:
            opened.close()
            raise
        self.sock = opened


class Adapter(UnixHTTPAdapter):  # type: ignore[misc]  # docker ships no types
    """docker's own, but with connections of ours, and answers that end."""

    def send(self, request: Any, **named: Any) -> Any:
        """Send a request; the whole answer is read here, unless it is a stream."""
        response = super().send(request, **named)
        if not named.get("stream"):
            read_whole(response, self.timeout)
        return response

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        """Return a pool whose connections are ours."""
        pool = super().get_connection(url, proxies)
        # Not of self: in a circle, what a thread leaves behind would stay open as well.
        path, timeout_s = self.socket_path, self.timeout
        # The pool has no other place to say which connections it is to make.
        pool._new_conn = lambda: Connection(url, path, timeout_s)  # noqa: SLF001
        return pool


class _Socket(socket.socket):
    """A socket whose lines have an end: urllib3 reads those between chunks without a limit."""

    def makefile(self, *_arguments: Any, **_named: Any) -> Any:
        """Return its reader, as `http.client` asks for it."""
        raw = _Input(self, "r")
        self._io_refs: int
        self._io_refs += 1
        return _Reader(raw)


class _Input(socket.SocketIO):
    deadline: float = inf  # of `monotonic`; an answer may come by the byte, each in time

    def readinto(self, buffer: Any) -> int | None:
        if monotonic() > self.deadline:
            raise TimeoutError("its answer takes too long")
        return super().readinto(buffer)


class _Reader(io.BufferedReader):
    raw: _Input

    def readline(self, size: int | None = -1) -> bytes:
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise OSError(f"it has a line of more than {_LONGEST_LINE} bytes")
        return line


def read_whole(response: Any, timeout_s: float) -> None:
    """Read the rest of an answer, as if it had not been a stream.

    Args:
        response: of `requests`, of which nothing has been read.
        timeout_s: that one reply may take; the whole gets a multiple of it.

    Raises:
        ConnectionError: it is too long, in bytes or time; of `requests`, as docker expects.
    """
    reader = getattr(getattr(response.raw, "_fp", None), "fp", None)
    if isinstance(reader, _Reader):  # else all of it has been read with its head
        reader.raw.deadline = monotonic() + _LONGEST_S * timeout_s
    parts, length = [], 0
    for part in response.iter_content(LONGEST_PART):
        parts.append(part)
        length += len(part)
        if length > LONGEST_ANSWER:
            response.close()
            raise Disconnected(f"its answer has no end after {LONGEST_ANSWER >> 20} MiB")
    if isinstance(reader, _Reader):
        reader.raw.deadline = inf
    whole = b"".join(parts)
    if sum(map(whole.count, (b",", b"[", b"{"))) > _MOST_ITEMS:
        raise Disconnected(f"its answer has more than {_MOST_ITEMS} items")
    response._content = whole  # noqa: SLF001  # where `requests` itself keeps it

"""An engine that lies, floods, or is not root's: what the watcher takes of it has an end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from ocinet.base.errors import SystemFailure
from ocinet.watcher.bounded_http import LONGEST_ANSWER
from ocinet.watcher.docker_api import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
_PART = b" " * (1 << 16)
_LISTENER = """
import os, socket, sys
while not os.stat(os.path.dirname(sys.argv[1])).st_mode & 0o002:
    pass
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listens", flush=True)
sys.stdin.read()
"""


class Liar:
    """An engine that greets as Docker does, and answers everything else as it was told.

    Attributes:
        sent: bytes of the last answer that somebody took.
    """

    def __init__(self, path: str) -> None:
        self.sent = 0
        self._answer: Iterable[bytes] = ()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._threads = [threading.Thread(target=self._serve)]

    def answers(self, parts: Iterable[bytes]) -> None:
        """Answer so from now on."""
        self._answer = parts

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._talk, args=(connection,)))
            self._threads[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            self._answer_each(connection)

    def _answer_each(self, connection: socket.socket) -> None:
        while request := connection.recv(1 << 16):
            if b"/_ping" in request:
                body = b"OK"
                head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\n"
                connection.sendall(head + body)
            elif b"/info" in request:
                connection.sendall(_PLAIN[:-2] + b"Content-Length: 2\r\n\r\n{}")
            else:
                self.sent = 0
                try:
                    for part in self._answer:
                        connection.sendall(part)
                        self.sent += len(part)
                except OSError:
                    return
                return

    def __enter__(self) -> Liar:
        """Begin to answer."""
        self._threads[0].start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Go."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Liar]:
    """Return one at `docker.sock`."""
    with Liar(f"{tmp_path}/docker.sock") as liar:
        yield liar


@contextmanager
def client_of(tmp_path: Path, timeout_s: float = 5) -> Iterator[Client]:
    """Yield who has greeted it."""
    client = Client(f"{tmp_path}/docker.sock", timeout_s)
    client.greet()
    yield client
    client.forget()


def _without_end(start: bytes, part: bytes = _PART) -> Iterator[bytes]:
    yield start
    while True:
        yield part


def test_list_without_end_is_refused_after_a_bounded_part(liar: Liar, tmp_path: Path) -> None:
    """It took all of the host's memory; now no more than an answer may have."""
    liar.answers(_without_end(_PLAIN + b"["))
    with client_of(tmp_path) as client, pytest.raises(SystemFailure, match="no end after 64 MiB"):
        client.listed()
    assert liar.sent < LONGEST_ANSWER + (4 << 20)


@pytest.mark.parametrize("item", [b"[],", b"{},", b"1,", b'"ab",'])
def test_answer_of_too_many_items_is_refused(liar: Liar, tmp_path: Path, item: bytes) -> None:
    """Each takes many times the memory that it has bytes."""
    liar.answers([_PLAIN + b"[", *[item * 100_000] * 45, b"0]"])
    with client_of(tmp_path) as client, pytest.raises(SystemFailure, match="more than 4000000"):
        client.listed()


def test_answer_that_drips_is_refused_after_a_bounded_time(liar: Liar, tmp_path: Path) -> None:
    """Each byte comes in time, and the last one never."""
    pause = threading.Event()

    def drip() -> Iterator[bytes]:
        yield _PLAIN
        while not pause.wait(0.05):
            yield b" "

    liar.answers(drip())
    with client_of(tmp_path, 0.3) as client, pytest.raises(SystemFailure, match="takes too long"):
        client.inspect("c0ffee" * 10)
    pause.set()


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (_CHUNKED, b"0" * 4096),
        (_CHUNKED + b"5;", b"x" * 4096),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4096),
        (b"HTTP/1.1 200 ", b"x" * 4096),
    ],
    ids=["chunk", "extension", "header", "status"],
)
@pytest.mark.parametrize("act", ["list", "stream"])
def test_line_without_end_is_refused(
    liar: Liar, tmp_path: Path, act: str, start: bytes, part: bytes
) -> None:
    """Of chunks, of headers, of the status: a reader of lines stops at some length."""
    liar.answers(_without_end(start, part))
    with client_of(tmp_path) as client:
        if act == "list":
            with pytest.raises(SystemFailure):
                client.listed()
        else:
            with suppress(SystemFailure):
                stream = client.stream(0, 5)
                assert list(stream) == []
                stream.close()
    assert 0 < len(start) <= liar.sent
    assert liar.sent < 4 << 20


def test_stream_of_one_endless_chunk_takes_bounded_memory(liar: Liar, tmp_path: Path) -> None:
    """What is said to come at once is read in parts, and what is no event is dropped."""

    def flood() -> Iterator[bytes]:
        yield _CHUNKED + b"fffffffff\r\n"
        for _ in range(512):  # 32 MiB
            yield b'"' + _PART[1:]

    liar.answers(flood())
    with client_of(tmp_path) as client:
        stream = client.stream(0, 5)
        tracemalloc.start()
        events = list(stream)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        stream.close()
    assert events == []
    assert peak < 12 << 20


@pytest.mark.parametrize("text", [b"[" * 200_000, b'[{"Labels":' * 50_000, b"{" * 7, b"\xff\xfe"])
def test_deep_or_broken_answer_is_one_clear_error(liar: Liar, tmp_path: Path, text: bytes) -> None:
    """It was an internal error."""
    liar.answers([_PLAIN + text])
    with client_of(tmp_path) as client:
        with pytest.raises(SystemFailure, match="cannot list its containers"):
            client.listed()
        with pytest.raises(SystemFailure, match="cannot inspect"):
            client.inspect("c0ffee" * 10)
        assert client.carried("sha256:77", "") is None


@pytest.mark.needs("root")
def test_socket_that_somebody_else_listens_on_is_refused() -> None:
    """Which process is whose, root alone may say."""
    with (
        TemporaryDirectory() as place,  # pytest's own is closed to other users
        subprocess.Popen(
            [sys.executable, "-c", _LISTENER, path := f"{place}/docker.sock"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
        ) as other,
    ):  # fmt: skip
        os.chmod(place, 0o777)  # noqa: S103  # so that it may bind
        assert other.stdout is not None
        assert other.stdout.readline() == b"listens\n"
        with pytest.raises(SystemFailure, match="user 65534 listens there"):
            Client(path, timeout_s=1).greet()
        other.kill()

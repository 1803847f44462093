"""What is asked of an engine's socket, where nobody answers."""

from __future__ import annotations

import gc
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

import pytest

from hosts.descriptors import assert_none_opened, open_descriptors
from hosts.waiting import wait_until
from ocinet.base.errors import SystemFailure
from ocinet.watcher.docker_api import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is tidied up by the garbage collector meanwhile."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("bound", [False, True])
def test_greet_of_nobody_leaves_no_socket_open(tmp_path: Path, bound: bool) -> None:
    """An engine that is not there, or refuses, is looked for again and again."""
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as deaf:
        if bound:
            deaf.bind(path)
        client = Client(path, timeout_s=1)
        before = open_descriptors()
        for _ in range(3):
            with pytest.raises(SystemFailure, match="cannot reach it"):
                client.greet()
        assert_none_opened(before)


class _Engine(BaseHTTPRequestHandler):
    """Answers what a client asks at its start, and keeps its connections."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[dict[str, bytes]] = {"_ping": b"OK", "info": b"{}", "json": b"[]"}
    connected: ClassVar[set[int]] = set()

    def setup(self) -> None:
        super().setup()
        self.connected.add(id(self))

    def finish(self) -> None:
        super().finish()
        self.connected.discard(id(self))

    def do_GET(self) -> None:  # as its class calls it
        body = self.answers[self.path.partition("?")[0].rpartition("/")[2]]
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


def test_connections_of_threads_that_wait_go_with_the_engine_that_was(tmp_path: Path) -> None:
    """Workers that had nothing to ask kept a dead dockerd's, one each."""
    path = str(tmp_path / "docker.sock")
    asked, end = threading.Barrier(4), threading.Event()

    def ask_and_wait() -> None:
        client.listed()
        asked.wait(10)
        end.wait(10)

    with socketserver.ThreadingUnixStreamServer(path, _Engine) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        client = Client(path, timeout_s=5)
        workers = [threading.Thread(target=ask_and_wait) for _worker in range(3)]
        try:
            client.greet()
            for worker in workers:
                worker.start()
            asked.wait(10)
            wait_until(lambda: len(_Engine.connected) == 4, "each has its own")
            client.greet()
            wait_until(lambda: len(_Engine.connected) == 1, "but one they are closed")
            assert client.listed() == ()
        finally:
            end.set()
            client.forget()
            server.shutdown()
            for thread in (serving, *(worker for worker in workers if worker.ident)):
                thread.join(10)


def test_thread_that_ended_leaves_no_connection(tmp_path: Path) -> None:
    """A pass over one engine, a turn of the keeper: threads come and go beside the workers."""
    path = str(tmp_path / "docker.sock")
    with socketserver.ThreadingUnixStreamServer(path, _Engine) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        client = Client(path, timeout_s=5)
        try:
            client.greet()
            for _turn in range(3):
                asking = threading.Thread(target=client.listed)
                asking.start()
                asking.join(10)
            wait_until(lambda: len(_Engine.connected) == 1, "those that ended hold none")
        finally:
            client.forget()
            server.shutdown()
            serving.join(10)

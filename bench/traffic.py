"""What packets take between two network namespaces, by sockets of one process.

Both ends belong to this process, which stays on one CPU. Nobody is woken up and the
kernel delivers each packet before the call that sends it returns, so nearly all that
is timed (95 %) is the way of the packets; with a process at either end, or on two
CPUs, it is mostly the scheduler.
"""

from __future__ import annotations

import os
import statistics
import time
from _socket import (
    AF_INET,
    IPPROTO_TCP,
    MSG_DONTWAIT,
    MSG_WAITALL,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    socket,
)
from contextlib import contextmanager
from typing import TYPE_CHECKING

from arena import Command, inside, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

HOST, OUTSIDE = "192.0.2.1", "192.0.2.9"  # of the link between a host and its neighbour
_CONNECTIONS, _ROUND_TRIPS, _STREAM_S = 60, 200, 0.05
_CHUNK = 1 << 18


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """Stay on the last CPU for a while: the first has the most interrupts."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def own_address(netns: int) -> str:
    """Return the IPv4 address that a namespace sends from."""
    with inside(netns):
        sock = socket(AF_INET, SOCK_DGRAM)
        try:
            sock.connect((OUTSIDE, 9))  # sends nothing
            return str(sock.getsockname()[0])
        finally:
            sock.close()


def join_neighbour(host: int, neighbour: int) -> None:
    """Link a host's namespace with one outside: `HOST` and `OUTSIDE`."""
    with inside(host):
        _ip(f"link add up0 type veth peer name eth0 netns /proc/{os.getpid()}/fd/{neighbour}",
            f"address add {HOST}/24 dev up0", "link set up0 up")  # fmt: skip
    with inside(neighbour):
        _ip(f"address add {OUTSIDE}/24 dev eth0", "link set eth0 up")


def _ip(*lines: str) -> None:
    spawn(Command(("/sbin/ip", "-batch", "-"), stdin="\n".join(lines)))


class Ends:
    """A client and a server; a context manager that closes the server's socket.

    Args:
        client: descriptor of the namespace that connects.
        server: of the one that listens.
        port: where.
        target: where the client connects to, if not there: something that is published.
    """

    def __init__(
        self, client: int, server: int, port: int = 80, target: tuple[str, int] | None = None
    ) -> None:
        self._client = client
        self._target = target or (own_address(server), port)
        with inside(server):
            self._listener = socket(AF_INET, SOCK_STREAM)
        # The public one makes an object of Python's, which takes a while.
        self._accept = self._listener._accept  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        self._listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        self._listener.bind(("", port))
        self._listener.listen(16)

    def __enter__(self) -> Ends:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the server's socket."""
        self._listener.close()

    def connection_us(self) -> float:
        """Return what a connection takes: connect, ask, answer (a byte each), close.

        The median of a burst.
        """
        times, target, accept = [], self._target, self._accept
        with inside(self._client):
            for _ in range(_CONNECTIONS):
                began = time.perf_counter_ns()
                asking = socket(AF_INET, SOCK_STREAM)
                asking.connect(target)
                answering, _ = accept()
                asking.send(b"?")
                os.read(answering, 1)
                os.write(answering, b"!")
                asking.recv(1)
                os.close(answering)
                asking.recv(1)  # the end
                asking.close()
                times.append(time.perf_counter_ns() - began)
        return statistics.median(times) / 1000

    def round_trip_us(self) -> float:
        """Return what a byte there and a byte back take, over TCP; the median of a burst."""
        times = []
        with self._connected() as (asking, answering):
            for _ in range(_ROUND_TRIPS):
                began = time.perf_counter_ns()
                asking.send(b"?")
                answering.recv(1)
                answering.send(b"!")
                asking.recv(1)
                times.append(time.perf_counter_ns() - began)
        return statistics.median(times) / 1000

    def stream_gbit(self) -> float:
        """Return how much TCP carries in a second, in Gbit.

        As much as the sender's socket takes is sent, then read, again and again; the
        median of those rates.
        """
        sent, read, rates = bytes(_CHUNK), bytearray(_CHUNK), []
        with self._connected() as (asking, answering):
            end = time.perf_counter() + _STREAM_S
            while (began := time.perf_counter()) < end:
                count = asking.send(sent, MSG_DONTWAIT)
                answering.recv_into(read, count, MSG_WAITALL)
                rates.append(count * 8 / (time.perf_counter() - began) / 1e9)
        return statistics.median(rates)

    @contextmanager
    def _connected(self) -> Iterator[tuple[socket, socket]]:
        with inside(self._client):
            asking = socket(AF_INET, SOCK_STREAM)
        asking.connect(self._target)
        fd, _ = self._accept()
        answering = socket(fileno=fd)
        try:
            for end in (asking, answering):
                end.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            yield asking, answering
        finally:
            answering.close()
            asking.close()

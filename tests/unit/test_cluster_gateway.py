"""What the other end of a connection, or another thread, may do to it: nothing but one error."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.gateway import Gateway
from ocinet.cluster.store import UnreachableError

_ACCESS = Access((Endpoint("127.0.0.1"),))


class _Closing:
    """A connection that its own thread closes while another one looks at it."""

    def __init__(self) -> None:
        self._sock, self._other = socket.socketpair()
        self._asked = 0

    @property
    def sock(self) -> Any:
        """There the first time, and closed by the next."""
        self._asked += 1
        return self._sock if self._asked == 1 else None

    def close(self) -> None:
        """Close both ends."""
        self._sock.close()
        self._other.close()


def test_stream_that_is_closed_as_it_is_broken_off_is_no_fault() -> None:
    """Two threads may end it at once."""
    gateway, connection = Gateway(_ACCESS), _Closing()
    gateway._connection = connection  # type: ignore[assignment]  # of which no more is asked
    gateway.break_off()
    gateway.close()


def test_answer_that_another_thread_breaks_off_is_none() -> None:
    """TLS says so by a ValueError."""

    class _Broken:
        length = None

        def read1(self, _size: int) -> bytes:
            raise ValueError("read of closed file")

    with pytest.raises(UnreachableError, match="closed file"):
        Gateway(_ACCESS)._read(_Broken())  # type: ignore[arg-type]  # likewise


def test_number_that_is_none_is_no_etcd(monkeypatch: pytest.MonkeyPatch) -> None:
    """1e999 is one in JSON, and no integer."""
    etcd = Etcd(_ACCESS)
    monkeypatch.setattr(Gateway, "ask", lambda *_words: {"ID": float("inf")})
    with pytest.raises(UnreachableError, match="what answers is no etcd: its ID is inf"):
        etcd.grant(30)

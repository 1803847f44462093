"""Who plays a cluster's other hosts reads etcd's answers as they come, in pages and in parts."""

from __future__ import annotations

import asyncio
import json
import math
from base64 import b64decode, b64encode
from typing import Any

import pytest

from cluster_field import _echo
from cluster_others import Connection, Player
from ocinet.cluster.store import Put

_EVENT = b'24\r\n{"result":{"events":[{"kv":{}}]}}\r\n'


def _page(revision: int, *names: str, more: bool = False) -> bytes:
    keys = [{"key": b64encode(name.encode()).decode(), "create_revision": "3"} for name in names]
    told = {"header": {"cluster_id": "1", "revision": str(revision)}, "kvs": keys}
    return json.dumps(told | ({"more": True} if more else {}), separators=(",", ":")).encode()


class _Told:
    """A connection that answers what it was given."""

    def __init__(self, *pages: bytes, stream: tuple[bytes, ...] = ()) -> None:
        self.asked: list[dict[str, Any]] = []
        self._pages, self._stream = list(pages), [*stream, b""]

    async def ask(self, _path: str, body: dict[str, Any]) -> bytes:
        self.asked.append(body)
        return self._pages.pop(0)

    async def send(self, _path: str, body: dict[str, Any]) -> bytes:
        self.asked.append(body["create_request"])
        return b""

    async def read(self) -> bytes:
        return self._stream.pop(0)


def _played(told: _Told) -> tuple[Player, list[bytes]]:
    """Have a player list and follow until the stream ends; return what it was told since."""
    player = Player("http://192.0.2.1:2379", "prod", 1, Put("/k", b""))

    async def play() -> list[bytes]:
        return [data async for data in player._changes(told)]  # type: ignore[arg-type]

    return player, asyncio.run(play())


def test_pages_are_of_one_revision_and_followed_from_the_next() -> None:
    """The second begins behind the last key of the first."""
    told = _Told(_page(7, "/a", "/b", more=True), _page(9, "/c"))
    player, _parts = _played(told)
    first, second, watch = told.asked
    assert (first["revision"], second["revision"], watch["start_revision"]) == (0, 7, 8)
    assert b64decode(second["key"]) == b"/b\0"
    assert player.knew(7) < math.inf
    assert player.knew(8) == math.inf


@pytest.mark.parametrize("at", range(1, len(_EVENT)))
def test_change_in_two_parts_is_told_once(at: int) -> None:
    """Wherever it is cut."""
    parts = (b'{"result":{"created":true}}', _EVENT[:at], _EVENT[at:], b"\r\n")
    _player, told = _played(_Told(_page(7), stream=parts))
    assert sum(b'"events"' in data for data in told) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ],
)
def test_answer_is_read_whole_and_no_further(answer: bytes) -> None:
    """Of a known length, or in chunks; the next one is another."""

    async def ask() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(2 * (b"HTTP/1.1 200 OK\r\n" + answer))
        reader.feed_eof()
        connection = Connection(reader, _Nowhere())  # type: ignore[arg-type]
        return [await connection.ask("/", {}) for _time in range(2)]

    assert asyncio.run(ask()) == [b"hello"] * 2


class _Nowhere:
    def write(self, data: bytes) -> None:
        """Take what is sent."""


def test_answer_that_breaks_off_is_an_error() -> None:
    """As one that etcd's end has cut."""

    async def ask() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        reader.feed_eof()
        await Connection(reader, _Nowhere()).ask("/", {})  # type: ignore[arg-type]

    with pytest.raises(OSError, match="closed amidst"):
        asyncio.run(ask())


def test_echo_is_one_that_hosts_answer() -> None:
    """All its words sum up to ones (RFC 1071)."""
    request = _echo()
    total = sum(int.from_bytes(request[at : at + 2], "big") for at in range(0, len(request), 2))
    assert total % 0xFFFF == 0

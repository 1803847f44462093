"""One process that plays all other hosts of a cluster, as etcd sees them: see cluster_field.py.

    bench/cluster_others.py URL CLUSTER

Each host lists all there is, follows what comes, from the beginning again if that breaks, and
keeps its lease, on connections of its own, at the pace of a real agent and with its patience; it
makes nothing of what it hears. On stdin what to do, a line of JSON each; on stdout what came of it:

    ["grow", 999]   so many are members, heard, and follow
    ["join"]        one more joins, once etcd lets it: its address, and when that was answered
    ["heard"]       when the last of those that follow heard of that
    ["calm"]        all follow
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import secrets
import sys
import time
import uuid
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ocinet.base.address import Address, Subnet
from ocinet.base.clock import boot_id, now
from ocinet.cluster import keys
from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.decode import Alive, written
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.gateway import ANSWER_S, CONNECT_S
from ocinet.cluster.identity import mac_of
from ocinet.cluster.member import TTL_S
from ocinet.cluster.model import Host, Share
from ocinet.cluster.store import Compare, Put, UnreachableError, end_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_INTERVAL_S, _RETRY_S = TTL_S / 3, 1.0  # as `member` has them
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0  # as `feed` has them
_PAGE = 2000  # as `etcd` has it
_AT_ONCE = 40  # hosts in a transaction, of two acts each: etcd's own limit is 128
_EVENTS, _MORE, _KEY, _REVISION = b'"events"', b'"more":true', b'"key":"', b'"revision":"'
_HEADERS = ("Host: etcd", "Content-Type: application/json", "Grpc-Metadata-hasleader: true")
_POLL_S = 0.002
_NOTES = 16
_LONGEST_S = 300
_POOL = (10 << 24) + (32 << 16)
_UNDERLAY = (10 << 24) + (90 << 16) + (4 << 8)


class TakenError(Exception):
    """A share is the real host's, which chose it as it chooses."""


class Connection:
    """An HTTP connection to etcd's gateway, of which as little is read as will do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Connect."""
        async with asyncio.timeout(CONNECT_S):
            return cls(*await asyncio.open_connection(host, port))

    def close(self) -> None:
        """Close it."""
        self._writer.close()

    async def send(self, path: str, body: dict[str, object]) -> bytes:
        """Ask, and return the headers of the answer.

        Raises:
            OSError: there is no answer, or it is an error.
        """
        data = json.dumps(body).encode()
        lines = (f"POST {path} HTTP/1.1", *_HEADERS, f"Content-Length: {len(data)}", "", "")
        self._writer.write("\r\n".join(lines).encode() + data)
        try:
            async with asyncio.timeout(ANSWER_S):
                headers = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise OSError(0, "it was closed") from error
        if not headers.startswith(b"HTTP/1.1 200"):
            raise OSError(0, headers.decode(errors="replace"))
        return headers.lower()

    async def ask(self, path: str, body: dict[str, object]) -> bytes:
        """Ask, and return the whole answer."""
        headers = await self.send(path, body)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._body(headers)
        except (asyncio.IncompleteReadError, ValueError) as error:
            raise OSError(0, "it was closed amidst an answer") from error

    async def _body(self, headers: bytes) -> bytes:
        _, found, length = headers.partition(b"content-length:")
        if found:
            return await self._reader.readexactly(int(length.split(b"\r\n")[0]))
        parts = []
        while size := int(await self._reader.readline() or b"0", 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readline()
        return b"".join(parts)

    async def read(self) -> bytes:
        """Return what comes next of an answer that has no end; b"" when it has one."""
        return await self._reader.read(1 << 16)


class Player:
    """One host: follows what comes, and keeps its lease.

    Args:
        url: of etcd.
        cluster: whose member it is.
        lease: by which it is heard.
        alive: what that keeps.

    Attributes:
        follows: whether it has listed all, and a watch is there.
        told: by which revision it was told of what, and when by the monotonic clock; a change
            that it followed is of a revision without end.
    """

    def __init__(self, url: str, cluster: str, lease: int, alive: Put) -> None:
        at = urlsplit(url)
        self._at = (str(at.hostname), at.port or 2379)
        self._root = keys.root(cluster)
        self._lease, self._alive = lease, alive
        self.follows = False
        self._stream: Connection | None = None
        self.told: list[tuple[float, float]] = []

    async def follow(self) -> None:
        """List, then follow, for ever."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self._stream = connection = await Connection.open(*self._at)
                try:
                    async for data in self._changes(connection):
                        pause_s = _FIRST_PAUSE_S
                        if _EVENTS in data:
                            self._note(math.inf)
                finally:
                    connection.close()
            except OSError:
                pass
            self.follows = False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _changes(self, connection: Connection) -> Any:
        end, key, revision = _encoded(end_of(self._root)), _encoded(self._root), 0
        while True:
            asked = {"key": key, "range_end": end, "limit": _PAGE, "revision": revision}
            page = await connection.ask("/v3/kv/range", asked)
            revision = revision or int(_text_after(page, page.index(_REVISION) + len(_REVISION)))
            if _MORE not in page:
                break
            last = _text_after(page, page.rindex(_KEY) + len(_KEY))
            key = _encoded(_decoded(last) + "\0")
        self._note(revision)
        wanted = {"key": _encoded(self._root), "range_end": end, "start_revision": revision + 1}
        await connection.send("/v3/watch", {"create_request": wanted})
        tail = b""
        while data := await connection.read():
            self.follows = True
            yield tail + data
            # A change that came in two parts is seen, and one that came whole is seen once.
            tail = b"" if _EVENTS in tail + data else (tail + data)[1 - len(_EVENTS) :]

    def knew(self, revision: int) -> float:
        """Return when it was first told of what came by a revision; infinity: not yet."""
        return min((at for to, at in self.told if to >= revision), default=math.inf)

    def _note(self, revision: float) -> None:
        if len(self.told) < _NOTES:
            self.told.append((revision, time.monotonic()))

    async def keep(self) -> None:
        """Keep the lease, for ever; get another one if it has ended."""
        await asyncio.sleep(_INTERVAL_S * random.random())  # noqa: S311  # no secret
        connection: Connection | None = None
        while True:
            kept = connection is not None
            try:
                connection = connection or await Connection.open(*self._at)
                answer = await connection.ask("/v3/lease/keepalive", {"ID": self._lease})
                if b'"TTL"' not in answer:
                    await self._be_heard_anew(connection)
                await asyncio.sleep(_INTERVAL_S)
            except OSError:
                if connection is not None:
                    connection.close()
                connection = None
                if kept:  # it may have been closed as idle
                    continue
                if self.follows and self._stream is not None:
                    self._stream.close()  # as `member` has `feed` ask elsewhere
                await asyncio.sleep(_RETRY_S)

    async def _be_heard_anew(self, connection: Connection) -> None:
        granted = json.loads(await connection.ask("/v3/lease/grant", {"TTL": TTL_S}))
        self._lease = int(granted["ID"])
        put = {"key": _encoded(self._alive.key), "value": b64encode(self._alive.value).decode(),
               "lease": self._lease}  # fmt: skip
        await connection.ask("/v3/kv/put", put)


class Others:
    """All of them.

    Args:
        url: of etcd.
        cluster: of which they are members.
    """

    def __init__(self, url: str, cluster: str) -> None:
        self._url, self._cluster = url, cluster
        self._etcd = Etcd(Access((Endpoint.parse(url),)))
        self._players: list[Player] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._made = 0
        self._mark = 0
        self._waited: tuple[Player, ...] = ()

    async def grow(self, count: int) -> None:
        """Have so many be members that are heard and follow."""
        made = [self._next() for _ in range(count - len(self._players))]
        some = [made[at : at + _AT_ONCE] for at in range(0, len(made), _AT_ONCE)]
        players = []
        for each in some:
            await asyncio.to_thread(self._write, each)
            players.append(await asyncio.to_thread(self._be_heard, each))
        for each_players in players:  # not all at once: nobody starts a thousand hosts so
            self._play(each_players)
            await self.calm()

    async def join(self) -> tuple[str, float]:
        """Have one more join, as a real host would: what it is, and then that it is heard."""
        for player in self._players:
            player.told.clear()
        while True:
            one = self._next()
            try:
                self._mark, at = await asyncio.to_thread(self._write, [one])
            except (UnreachableError, TakenError):
                await asyncio.sleep(_POLL_S)
                continue
            self._waited = tuple(self._players)
            self._play(await asyncio.to_thread(self._be_heard, [one]))
            return str(one[1].prefix.first), at

    async def heard(self) -> float:
        """Return when the last of those that were there knew of the last one that joined."""
        await _until(lambda: self._last() < math.inf, "heard of who joined")
        return self._last()

    async def calm(self) -> None:
        """Wait until all follow."""
        await _until(lambda: all(player.follows for player in self._players), "follow")

    def _last(self) -> float:
        return max(player.knew(self._mark) for player in self._waited)

    def _next(self) -> tuple[Host, Share]:
        number = self._made
        self._made += 1
        identity = str(uuid.uuid4())
        host = Host(identity, f"h{number}", (Address(4, _UNDERLAY + number),), mac_of(identity),
                    nonce=secrets.token_hex(16))  # fmt: skip
        return host, Share(Subnet(4, _POOL + (number << 8), 24), identity)

    def _write(self, some: Iterable[tuple[Host, Share]]) -> tuple[int, float]:
        """Have hosts be members, in one transaction; return its revision, and when it was done.

        Raises:
            TakenError: one of the shares is not free.
            UnreachableError: etcd does not answer.
        """
        compares: list[Compare] = []
        acts: list[Put] = []
        for host, share in some:
            key = keys.share(self._cluster, share.prefix)
            compares.append(Compare(key, created=0))
            acts += [
                Put(keys.host(self._cluster, host.id), written(host)),
                Put(key, written(share)),
            ]
        done = self._etcd.commit(tuple(compares), tuple(acts))
        if not done.done:
            raise TakenError("a share is another one's already")
        return done.revision, time.monotonic()

    def _be_heard(self, some: Iterable[tuple[Host, Share]]) -> list[Player]:
        """Have hosts that are members be heard; return who plays them."""
        boot = boot_id()
        while True:
            players, acts = [], []
            try:
                for host, _share in some:
                    lease = self._etcd.grant(TTL_S)
                    value = written(Alive(secrets.token_hex(8), boot, now()))
                    acts.append(Put(keys.alive(self._cluster, host.id), value, lease))
                    players.append(Player(self._url, self._cluster, lease, acts[-1]))
                self._etcd.commit((), tuple(acts))
            except UnreachableError:
                time.sleep(_POLL_S)
            else:
                return players

    def _play(self, players: list[Player]) -> None:
        self._players += players
        for player in players:
            self._tasks += [
                asyncio.create_task(player.follow()),
                asyncio.create_task(player.keep()),
            ]


async def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _LONGEST_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not all of them {what} after {_LONGEST_S} s")
        await asyncio.sleep(_POLL_S)


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return b64decode(text).decode()


def _text_after(data: bytes, at: int) -> str:
    return data[at : data.index(b'"', at)].decode()


async def main() -> None:
    """Do what is asked until nobody asks any more."""
    others = Others(*sys.argv[1:])
    acts: dict[str, Callable[..., Awaitable[object]]] = {
        "grow": others.grow, "join": others.join, "heard": others.heard, "calm": others.calm,
    }  # fmt: skip
    while line := await asyncio.to_thread(sys.stdin.readline):
        act, *arguments = json.loads(line)
        print(json.dumps(await acts[act](*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""The watcher's page, served by a real watcher to who may look and to who may not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import ENVIRONMENT, Keeping
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Address
from ocinet.base.events import EventLog
from ocinet.engine.model.loopback import LoopbackPlace
from ocinet.watcher.bulletin import read_news
from ocinet.watcher.page.connections import Connections, Patience
from ocinet.watcher.page.gate import Gate
from ocinet.watcher.page.token import NAME as TOKEN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOSTILE = '<img src=x onerror="alert(1)">\n\u202egnp.exe</script>'
_WAIT_S = 20.0


@contextmanager
def shown() -> Iterator[tuple[Keeping, LoopbackPlace, str]]:
    """Run a watcher that shows its page; yield it, the place and the token."""
    with Keeping("--web", "127.0.0.1:0") as keeping:
        place = await_place()
        yield keeping, place, (Path(PATHS.run) / TOKEN_FILE).read_text()


def await_place() -> LoopbackPlace:
    """Wait until the watcher tells that the page is shown; return where."""
    place = wait_until(_place, "the page is shown", timeout_s=_WAIT_S)
    assert place
    return place


def _place() -> LoopbackPlace | None:
    news = read_news(PATHS.run)
    return LoopbackPlace.parse(news.page) if news and news.page else None


def connect(place: LoopbackPlace, sent: bytes = b"") -> socket.socket:
    opened = socket.create_connection((str(place.address), place.port), _WAIT_S)
    opened.sendall(sent)
    return opened


def request(place: LoopbackPlace, path: str = "/", *fields: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {place}", *fields, "", ""]).encode()


def ask(place: LoopbackPlace, sent: bytes) -> tuple[int, str]:
    """Return the status of an answer, and all of it; 0 and nothing where there is none."""
    with closing(connect(place, sent)) as asking:
        text = b""
        while part := asking.recv(1 << 16):
            text += part
    return int(text.split(b" ", 2)[1]) if text else 0, text.decode()


class Reader:
    """Somebody who looks."""

    def __init__(self, place: LoopbackPlace, token: str) -> None:
        self.socket = connect(place, request(place, "/live", f"Authorization: Bearer {token}"))
        self._rest = b""
        self.messages: list[tuple[str, Any]] = []

    def read(self, timeout_s: float = 0) -> list[tuple[str, Any]]:
        """Return what has come since the last time."""
        before = len(self.messages)
        while select.select([self.socket], [], [], timeout_s)[0]:
            part = self.socket.recv(1 << 20)
            assert part, "the connection is closed"
            *messages, self._rest = (self._rest + part).split(b"\n\n")
            for message in messages:
                # The head of the answer stands before the first.
                kind, _, text = message.rpartition(b"\r\n\r\n")[2].decode().partition("\n")
                if kind.startswith("event: "):
                    self.messages.append((kind[7:], json.loads(text.removeprefix("data: "))))
            timeout_s = 0
        return self.messages[before:]

    def await_end(self) -> None:
        """Wait until the connection is closed from over there."""
        self.socket.settimeout(_WAIT_S)
        try:
            while self.socket.recv(1 << 20):
                pass
        except ConnectionResetError:
            pass
        self.socket.close()

    def await_(self, kind: str) -> Any:
        """Return the first message of a kind."""

        def found() -> list[Any]:
            self.read(0.1)
            return [told for each, told in self.messages if each == kind]

        return wait_until(found, f"a message {kind}", timeout_s=_WAIT_S)[0]


@in_namespaces
def test_page_is_shown_to_who_has_the_token_and_to_nobody_else() -> None:
    """Whatever is sent is answered or closed, each with its reason; nothing reaches the log."""
    with shown() as (keeping, place, token):
        bearer = f"Authorization: Bearer {token}"
        told = [line for line in keeping.log() if line["event"] == "page shown"]
        assert token not in json.dumps(told), "a journal is no place for it"

        for path, kind in (("/", "text/html"), ("/page.css", "text/css"),
                           ("/page.js", "text/java"), ("/icon.svg", "image/svg")):  # fmt: skip
            code, text = ask(place, request(place, path))
            assert (code, f"Content-Type: {kind}" in text) == (200, True), path
            assert "Content-Security-Policy: default-src 'none'; script-src 'self';" in text
        assert ask(place, request(place, "/", method="HEAD"))[1].endswith("\r\n\r\n")
        assert ask(place, request(place, "/live", bearer, method="HEAD"))[0] == 200

        code, text = ask(place, request(place, "/live"))
        assert (code, "ocinet status" in text) == (401, True)
        assert ask(place, request(place, "/live", f"Authorization: Bearer {token[:-1]}x"))[0] == 401
        assert ask(place, request(place, f"/live?token={token}"))[0] == 401
        assert ask(place, request(place, "/live", f"Cookie: token={token}"))[0] == 401

        for host in ("evil.example", f"evil.example:{place.port}", "127.0.0.1:1", ""):
            sent = f"GET /live HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n\r\n".encode()
            assert ask(place, sent)[0] == 421, host
        assert ask(place, f"GET /live HTTP/1.1\r\n{bearer}\r\n\r\n".encode())[0] == 421
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            code, text = ask(place, request(place, "/live", bearer, method=method))
            assert (code, "Access-Control" in text) == (405, False), method
        for path in ("/../token.py", "/%2e%2e/token.py", "/./live", "//live", "/page.py", "/etc"):
            assert ask(place, request(place, path, bearer))[0] == 404, path
        assert ask(place, request(place, "/", f"X: {'a' * 9000}"))[0] == 431
        assert ask(place, b"A" * 100_000)[0] == 431
        assert ask(place, request(place, "/", "Content-Length: 3") + b"abc")[0] == 400
        assert ask(place, b"\x16\x03\x01\x00\xf4\r\n\r\n")[0] == 400
        with closing(connect(place, b"GET / HT")) as gone:
            gone.shutdown(socket.SHUT_WR)
            assert gone.recv(100) == b""


@in_namespaces
def test_reader_sees_a_container_by_whatever_name_and_its_end() -> None:
    """The name arrives as it is, as text of JSON; then the container is gone."""
    with WiredHost() as host, shown() as (_keeping, place, token):
        host.up("web")
        with host.engine() as engine:
            engine.rename("web-id", _HOSTILE)
        reader = Reader(place, token)
        (container,) = reader.await_("picture")["containers"]
        assert (container["name"], container["state"]) == (_HOSTILE, "running")
        assert container["interfaces"][0]["addresses"] == ["10.9.0.2/24"]
        assert "attached" in [event["event"] for event in reader.await_("events")["events"]]
        host.stop("web")
        gone = wait_until(
            lambda: [told for kind, told in reader.read(0.1) if kind == "change" and told["gone"]],
            "the change", timeout_s=_WAIT_S,
        )  # fmt: skip
        assert gone[0]["gone"] == ["web-id"]
        reader.socket.close()


def _last_word(opened: socket.socket) -> bytes:
    opened.settimeout(_WAIT_S)
    try:
        return opened.recv(100)
    except ConnectionResetError:
        return b""


@in_namespaces
def test_slow_and_silent_and_many_hold_up_nobody() -> None:
    """Who says nothing has 5 s, less where many come; readers stay; the watcher ends at once."""
    with shown() as (keeping, place, token):
        silent = [connect(place, b"GET /") for _ in range(30)]
        assert ask(place, request(place))[0] == 200
        readers = [Reader(place, token)]
        assert ask(place, request(place))[0] == 200
        extra = [connect(place) for _ in range(8)]  # more than are served
        readers += [Reader(place, token)]  # in spite of them
        readers[1].await_("hello")
        answers = [_last_word(opened) for opened in silent]
        assert answers[0] == b"", "who is silent for longest goes first"
        assert answers[-1].startswith(b"HTTP/1.1 408 ")
        for opened in (*silent, *extra):
            opened.close()
        readers += [Reader(place, token) for _ in range(6)]
        for reader in readers:
            reader.await_("hello")
        assert ask(place, request(place, "/live", f"Authorization: Bearer {token}"))[0] == 503

        os.kill(keeping.pid, signal.SIGTERM)
        for reader in readers:
            reader.await_end()


@in_namespaces
def test_flood_of_events_comes_in_few_messages_and_fills_no_memory() -> None:
    """600 in three seconds and 700 at once, told or counted; who never reads costs no memory."""
    count, burst, messages_most = 600, 700, 16
    with shown() as (keeping, place, token):
        reader = Reader(place, token)
        reader.await_("events")
        reader.await_("picture")
        idle = [Reader(place, token) for _ in range(3)]
        before_kib, before_s = resident_kib(keeping.pid), keeping.cpu_s()
        log = EventLog(PATHS.run)
        began = time.monotonic()
        for number in range(count):
            log.append("flood", number=number, name="x" * 500)
            time.sleep(max(0.0, began + number / 200 - time.monotonic()))
        for number in range(burst):
            log.append("flood", number=number, name="x" * 100)
        took_s = time.monotonic() - began

        floods: list[dict[str, Any]] = []

        def told() -> int:
            floods[:] = [said for kind, said in reader.messages[2:] if kind == "events"]
            events = [event for said in floods for event in said["events"]]
            return sum(event["event"] == "flood" for event in events)

        def is_complete() -> bool:
            reader.read(0.1)
            missed: int = sum(said["missed"] for said in floods)
            return told() + missed >= count + burst

        wait_until(is_complete, "all are told, or counted", timeout_s=_WAIT_S)
        assert told() >= 200
        assert len(floods) <= max(messages_most, 2.5 * took_s), "they come one by one"
        assert resident_kib(keeping.pid) - before_kib < 20_000
        assert keeping.cpu_s() - before_s < took_s
        for each in (reader, *idle):
            each.socket.close()


def resident_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


class _Ample:
    """More to show than anybody takes, at each look."""

    readers = 0
    looks = 0

    def looking(self) -> nullcontext[object]:
        return nullcontext(object())

    def since(self, _seen: object) -> bytes:
        self.looks += 1
        return b":" * (4 << 20)

    async def wait(self, timeout_s: float, _gone: object) -> None:
        await asyncio.sleep(timeout_s)


@in_namespaces
def test_reader_who_takes_nothing_is_not_sent_on_and_on_and_is_closed() -> None:
    """The next message is not made before the one before is on its way; then time is up."""
    ample: Any = _Ample()
    patience = Patience(send_s=1, turn_s=0)

    async def serve() -> float:
        listening = socket.create_server(("127.0.0.1", 0))
        place = LoopbackPlace(Address.parse("127.0.0.1"), listening.getsockname()[1])
        connections = Connections(Gate(place, "t" * 32), ample, patience)
        done = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await connections.serve(reader, writer)
            done.set()

        async with await asyncio.start_server(connected, sock=listening):
            sent = request(place, "/live", f"Authorization: Bearer {'t' * 32}")
            with closing(await asyncio.to_thread(connect, place, sent)):
                began = time.monotonic()
                async with asyncio.timeout(_WAIT_S):
                    await done.wait()
                return time.monotonic() - began

    assert asyncio.run(serve()) >= 1
    assert 1 <= ample.looks <= 5


@in_namespaces
def test_place_is_the_settings_and_changes_with_them() -> None:
    """SIGHUP: somewhere else, or nowhere; one that is taken is told, and had when it is free."""
    drop_in = Path(PATHS.config) / "ocinet.toml.d/web.toml"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    taken = socket.create_server(("127.0.0.1", 0))
    drop_in.write_text(f'web = "127.0.0.1:{taken.getsockname()[1]}"')
    with Keeping() as keeping:
        wait_until(lambda: keeping.told("page not shown"), "it is told", timeout_s=_WAIT_S)
        assert _place() is None
        taken.close()
        place = await_place()
        assert ask(place, request(place))[0] == 200

        drop_in.write_text("")
        os.kill(keeping.pid, signal.SIGHUP)
        wait_until(lambda: _place() is None, "it is not shown any more", timeout_s=_WAIT_S)
        wait_until(lambda: is_closed(place), "nobody listens", timeout_s=_WAIT_S)


def is_closed(place: LoopbackPlace) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((str(place.address), place.port)) != 0


@in_namespaces
def test_commands_tell_where_it_is_and_refuse_where_others_are() -> None:
    """`status` has the whole address for root; `watch` takes none that others reach."""

    def ocinet(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ocinet.cli.main", *words], env={**os.environ, **ENVIRONMENT},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    page = (Path(__file__).parents[2] / "docs/page.md").read_text()
    command, flag, where = re.findall(r"^ocinet (.+)$", page, re.MULTILINE)[0].split()
    assert command == "watch"
    with Keeping(flag, where):
        await_place()
        url = f"http://{where}/#{(Path(PATHS.run) / TOKEN_FILE).read_text()}"
        assert url in ocinet("status", "--no-check").stdout
        told = json.loads(ocinet("status", "--no-check", "--format", "json").stdout)
        assert told["watcher"]["page"] == url
    refused = ocinet("watch", "--web", "0.0.0.0:4900")
    assert refused.returncode == 2
    assert "cannot show the page: '0.0.0.0:4900' is not of this machine alone" in refused.stderr
    assert "ssh -L 4900:127.0.0.1:4900 " in refused.stderr

"""Files of the server's that others have written in, and more questions than it can answer."""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import network, on
from hosts.name_server import NO_ERROR, SERVED, Answer, ask, names_served, servers, the_server
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.wired_host import WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("aardvark-dns")

LAN = "10.9.0.1"
_FILE = f"{SERVED}/net-lan"
_BROKEN = {
    "no text": b"\xff\xfe\x00\x80\n" * 40,
    "no lines": b"a" * 70000,
    "half a line": b"10.9.0.1\n@lan 10.9.0.1  host.ocinet.internal\nweb-id 10.9",
    "no addresses": b"10.9.0.1\nweb-id 10.9.0.999 ::zz web\n",
    "a line of nobody": b"10.9.0.1\nghost 10.9.0.999  ghost\n",
    "nothing": b"",
}


@pytest.mark.parametrize("text", _BROKEN.values(), ids=_BROKEN)
@in_namespaces
def test_file_that_is_broken_stops_no_attach_and_is_made_anew(text: bytes) -> None:
    """As an editor leaves it; the server ends by some of it, and gc and check put both right."""
    with names_served(), WiredHost() as host:
        host.up("web", on("lan"))
        web = host.sleepers["web"].pid
        wait_until(lambda: ask("web", LAN, pid=web), "the server's start")
        Path(_FILE).write_bytes(text)
        host.up("db", on("lan"))
        with host.engine() as engine:
            engine.gc()
            engine.check(repair=True)
        for name, address in (("db", "10.9.0.3"), ("web", "10.9.0.2")):
            _wait_found(web, name, address)
        Path(_FILE).write_bytes(text)
        host.stop("db")
        host.stop("web")
        host.gc()
        assert os.listdir(SERVED) == []
        wait_until(lambda: not servers(), "the server's end")


def _wait_found(pid: int, name: str, address: str) -> None:
    wanted = Answer(NO_ERROR, (address,))
    wait_until(lambda: ask(name, LAN, pid=pid, timeout_s=0.2) == wanted, name)


@in_namespaces
def test_flood_of_questions_keeps_no_sibling_from_its_answers() -> None:
    """Garbage, and names for a resolver that never answers, as fast as a process sends them."""
    silent = Address.parse("127.0.0.53")
    with names_served(), WiredHost() as host, socket.socket(type=socket.SOCK_DGRAM) as resolver:
        resolver.bind((str(silent), 53))
        with host.engine() as engine:
            engine.records.networks.add(network("asking", "10.7.0.0/24", dns_servers=(silent,)))
        for name in ("web", "db"):
            host.up(name, on("asking"))
        web, db = (host.sleepers[name].pid for name in ("web", "db"))
        wanted = Answer(NO_ERROR, ("10.7.0.3",))
        wait_until(lambda: ask("db", "10.7.0.1", pid=web) == wanted, "the server's start")
        server = the_server()
        limits = Path(f"/proc/{server}/limits").read_text()
        assert int(limits.partition("Max open files")[2].split()[1]) <= 4096
        with _flood(db, "10.7.0.1"):
            answers = [ask("db", "10.7.0.1", pid=web) for _ in range(60)]
        assert answers.count(wanted) > 40  # a busy machine answers some after a second
        status = Path(f"/proc/{server}/status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) < 64 << 10
        wait_until(lambda: ask("db", "10.7.0.1", pid=web) == wanted, "an answer afterwards")
        assert servers() == [server]


@contextmanager
def _flood(pid: int, server: str) -> Iterator[None]:
    """Ask from a process's namespace, until the block ends, without waiting for answers."""
    head = struct.pack(">6H", 4711, 0x100, 1, 0, 0, 0)
    question = head + b"\3www\7example\0\0\1\0\1"
    texts = (question, question, question, head, b"", question[:-3], head + b"\xc0\x0c" * 200)
    ended = threading.Event()
    with entered(pid):
        asking = socket.socket(type=socket.SOCK_DGRAM)

    def send() -> None:
        while not ended.is_set():
            for text in texts:
                with suppress(OSError):  # a full queue
                    asking.send(text)

    with asking:
        asking.connect((server, 53))
        asking.settimeout(0)
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

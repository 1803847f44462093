"""Files of the name server's that somebody else has written in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builders import on
from hosts.name_server import NO_ERROR, SERVED, Answer, ask, names_served, servers
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.wired_host import WiredHost
from hosts.waiting import wait_until

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
    """As an editor leaves it; 1.4 ends by some of it, and gc and check put both right."""
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

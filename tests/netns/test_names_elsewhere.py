"""Containers on other hosts are found by name: the real server, real queries."""

from __future__ import annotations

import pytest

from builders import on
from hosts.name_server import NO_ERROR, PTR, Answer, ask, names_served
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.wired_host import WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Address
from ocinet.engine.model.elsewhere import Elsewhere

pytestmark = pytest.mark.needs("aardvark-dns")

_LAN, _FAR = "10.9.0.1", Address.parse("10.42.7.2")
_SHOP = Elsewhere("h2", "4f0c91d1f1aa", (_FAR,), ("shop", "4f0c91d1f1aa"), ("cart",))


def _tell(host: WiredHost, *there: Elsewhere) -> None:
    with host.engine() as engine:
        engine.names.tell("lan", there, "h1")


@in_namespaces
def test_who_is_elsewhere_is_found_as_long_as_it_is_there() -> None:
    """By name, alias and address; by who came before it was told, and who comes after."""
    with names_served(), WiredHost() as host:
        host.up("web", on("lan"))
        web = host.sleepers["web"].pid
        wait_until(lambda: ask("web", _LAN, pid=web), "the server's start")
        _tell(host, _SHOP)
        found = Answer(NO_ERROR, (str(_FAR),))
        names = ("shop", "cart", "4f0c91d1f1aa")
        wait_until(lambda: [ask(name, _LAN, pid=web) for name in names] == [found] * 3, "its names")
        assert _called(web) == "shop"
        host.stop("web")
        host.up("db", on("lan"))
        db = host.sleepers["db"].pid
        wait_until(lambda: ask("db", _LAN, pid=db), "the server's start")
        assert ask("shop", _LAN, pid=db) == found
        _tell(host)
        wait_until(lambda: ask("shop", _LAN, pid=db) != found, "its end")


def _called(pid: int) -> str:
    """Return what an address is told to be; versions put a dot or more behind it."""
    answer = ask("2.7.42.10.in-addr.arpa", _LAN, kind=PTR, pid=pid)
    assert answer
    return answer.records[0].partition(".")[0]

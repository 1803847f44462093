"""Containers on the LAN that may change their own network, and have."""

from __future__ import annotations

from time import monotonic

import pytest

from builders import on, span
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.lan import ROUTER, define, lan
from hosts.namespace.looks import pings, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.address import Address

LEAVING_S = 6.0  # less than who attaches waits for others that leave
RANGE = span("192.168.7.100", "192.168.7.107")
HOME = {"gateways": (Address.parse(ROUTER),), "ranges": (RANGE,)}
FIRST = "192.168.7.100"
CHANGES = (
    "ip link set eth0 down; ip link set eth0 name mine; ip link set mine up",
    "ip link set eth0 address 02:00:00:00:00:99",
    "ip link set eth0 down; ip link set eth0 name mine address 02:00:00:00:00:99;"
    " ip link add eth0 type bridge",
)


def change(host: WiredHost, name: str, commands: str) -> None:
    """Have a container do something to its network."""
    for command in commands.split(";"):
        run(command.strip(), pid=host.sleepers[name].pid)


def kinds(host: WiredHost, name: str) -> list[str]:
    """Return the kinds of a container's links."""
    lines = run("ip -d -o link", pid=host.sleepers[name].pid)
    return [kind for kind in ("macvlan", "veth") if kind in lines]


@pytest.mark.parametrize("commands", CHANGES, ids=["name", "MAC", "both"])
@in_namespaces
def test_detach_takes_an_interface_away_whatever_it_is_called_by_now(commands: str) -> None:
    """Before its address is another one's."""
    with lan() as router, WiredHost() as host:
        define(host, "home", **HOME)
        host.up("web", on("home"), bounded=True)
        change(host, "web", commands)
        with host.engine() as engine:
            assert engine.detach("web-id")
            assert engine.warnings == []
        assert kinds(host, "web") == []
        host.up("db", on("home", addresses=(Address.parse(FIRST),)))
        assert pings(FIRST, router)


@in_namespaces
def test_disconnect_takes_a_renamed_one_away_and_leaves_the_other_network() -> None:
    """Which a bridge has."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        host.up("web", on("home", "lan"), bounded=True)
        change(host, "web", CHANGES[0])
        with host.engine() as engine:
            engine.disconnect("web", "home")
        assert kinds(host, "web") == ["veth"]


@in_namespaces
def test_detach_tells_of_an_interface_that_was_moved_away() -> None:
    """Where nobody finds it: that it is on the LAN still, with which address."""
    with lan(), WiredHost() as host, Sleeper() as hidden:
        define(host, "home", **HOME)
        host.up("web", on("home"), bounded=True)
        change(host, "web", f"ip link set eth0 netns {hidden.pid}")
        with host.engine() as engine:
            assert engine.detach("web-id")
            (warning,) = engine.warnings
        assert FIRST in warning
        assert "eth0" in warning
        assert records() == ["attachments/web-id.json"]


@pytest.mark.parametrize("option", ["mode=bridge", "host_access=192.168.7.200", "mode=passthru"])
@pytest.mark.parametrize("commands", CHANGES[:2], ids=["name", "MAC"])
@in_namespaces
def test_check_puts_right_what_was_changed_inside(commands: str, option: str) -> None:
    """By the second look there is nothing more to do; with passthru the MAC is the parent's."""
    with lan(), WiredHost() as host:
        define(host, "home", option, **HOME)
        host.up("web", on("home"), bounded=True)
        change(host, "web", commands)
        with host.engine() as engine:
            found = engine.check(repair=True)
        assert found
        assert all(each.repaired for each in found), found
        with host.engine() as engine:
            assert engine.check() == ()
        assert host.pings("web", ROUTER)
        with host.engine() as engine:
            assert engine.detach("web-id")
        assert kinds(host, "web") == []


@pytest.mark.parametrize(
    ("option", "why"),
    [("mode=bridge", "has its MAC"), ("mode=passthru", "has a macvlan on it already")],
    ids=["bridge", "passthru"],
)
@in_namespaces
def test_check_waits_for_nobody_where_an_interface_was_moved_away(option: str, why: str) -> None:
    """It has its place for good: that is told, and not waited for at each look."""
    with lan(), WiredHost() as host, Sleeper() as hidden:
        define(host, "home", option, **HOME)
        host.up("web", on("home"), bounded=True)
        change(host, "web", f"ip link set eth0 netns {hidden.pid}")
        run("ip link set eth0 up", pid=hidden.pid)
        began_s = monotonic()
        with host.engine() as engine:
            (finding,) = engine.check(repair=True)
        assert not finding.repaired
        assert why in finding.why_not
        assert monotonic() - began_s < LEAVING_S

"""Containers on the LAN that may change their own network, and have."""

from __future__ import annotations

import pytest

from builders import on, span
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.lan import ROUTER, define, lan
from hosts.namespace.looks import pings, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.address import Address

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

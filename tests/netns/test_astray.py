"""A host that sends what is for a container elsewhere: told, or avoided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost

if TYPE_CHECKING:
    from ocinet.engine.check import Finding

# What somebody does; where the host sends what is for web then; and whether it does so before.
WAYS = {
    "a VPN that takes all by a rule": (
        "ip route add default via 192.0.2.1 table 77; ip rule add pref 100 not fwmark 7 lookup 77",
        "by up1",
    ),
    "a rule that forbids": ("ip rule add pref 100 to 10.0.0.0/8 prohibit", "nowhere"),
    "a narrower route": ("ip route add blackhole 10.9.0.0/25", "nowhere"),
    "an address of the host": ("ip addr add 10.9.0.2/32 dev up1", "has the address 10.9.0.2"),
}


def _uplink() -> None:
    run("ip link add up1 type bridge")
    run("ip addr add 192.0.2.2/24 dev up1")
    run("ip link set up1 up")


def _check(host: WiredHost) -> tuple[Finding, ...]:
    with host.engine() as engine:
        return engine.check()


@pytest.mark.parametrize("way", WAYS)
@in_namespaces
def test_who_is_not_reached_from_the_host_any_more_is_named(way: str) -> None:
    """It is somebody else's to mend, and it is told with what shows whose."""
    command, told = WAYS[way]
    with WiredHost() as host:
        _uplink()
        host.up("web")
        assert _check(host) == ()
        assert host.pings("web", "10.9.0.1")
        run("sh", "-c", command)
        assert not host.pings("web", "10.9.0.1")
        [finding] = _check(host)
        assert told in finding.what
        assert finding.manual


@pytest.mark.parametrize("way", [way for way in WAYS if "rule" in way])
@in_namespaces
def test_attach_that_the_host_does_not_reach_says_so(way: str) -> None:
    """Success would be no word of it: the container has no network."""
    command, told = WAYS[way]
    with WiredHost() as host:
        _uplink()
        run("sh", "-c", command)
        host.up("web")
        assert not host.pings("web", "10.9.0.1")
        assert f"10.9.0.2, a container's on br-lan, {told}" in _events()


@in_namespaces
def test_address_that_the_host_has_at_another_link_is_not_given() -> None:
    """It would stay in the host: whoever got it had no network at all."""
    with WiredHost() as host:
        _uplink()
        run("ip addr add 10.9.0.2/32 dev lo")
        host.up("web")
        assert host.addresses("web") == ["10.9.0.3/24"]
        assert host.pings("web", "10.9.0.1")
        assert _check(host) == ()
        assert "a container's on" not in _events()


def _events() -> str:
    return Path(PATHS.run, "events.jsonl").read_text()

"""What is too large for the way is told so; what fits gets through whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.lab.hosts import Hosts
from hosts.lab.overlay import Overlay, address

if TYPE_CHECKING:
    from hosts.lab.namespace import Namespace

MakeHosts = Callable[[int], Hosts]
FORGE = ("/usr/bin/python3", "-I", "-S", str(Path(__file__).parents[1] / "hosts/lab/forge.py"))
MEGABYTE = 1 << 20
_HEADERS = {4: 28, 6: 48}  # of IP and UDP


def full(place: Namespace, target: str, size: int) -> str:
    """Send a packet of that size which must not be cut; "sent", or the MTU that was told."""
    datagram = size - _HEADERS[6 if ":" in target else 4]
    return place.run(*FORGE, "full", target, str(datagram)).stdout.strip()


def transferred(one: Namespace, two: Namespace, family: int) -> str:
    """Send a megabyte from one to the other; return how much came."""
    sink = two.start(*FORGE, "sink", "7000")
    assert sink.line() == "ready"
    try:
        words = ("send", address(two, family), "7000", str(MEGABYTE))
        return one.run(*FORGE, *words, timeout_s=60).stdout.strip()
    finally:
        sink.stop()


@pytest.mark.parametrize(
    ("backend", "ipv6_underlay", "room"),
    [("vxlan", False, 1450), ("vxlan", True, 1430), ("routes", False, 1500)],
)
def test_full_packets_get_through_and_larger_ones_are_told(
    make_hosts: MakeHosts, backend: str, room: int, *, ipv6_underlay: bool
) -> None:
    """Where the containers' own MTU is larger than the way's, too."""
    overlay = Overlay(make_hosts(2), backend, ipv6_underlay=ipv6_underlay, mtu=1500)
    one, two = (each.namespace for each in overlay.up().values())
    for family in (4, 6):
        at = address(two, family)
        assert full(one, at, room) == "sent"
        assert transferred(one, two, family) == str(MEGABYTE)
        if room < 1500:
            assert full(one, at, room + 1) == str(room)


def test_underlay_of_a_smaller_mtu_makes_the_ways_smaller(make_hosts: MakeHosts) -> None:
    """As it is now: the device follows, and a packet that fitted is told that it doesn't."""
    overlay = Overlay(make_hosts(2))
    one, two = (each.namespace for each in overlay.up().values())
    overlay.hosts[1].run("ip", "link", "set", "underlay", "mtu", "1400")
    assert any("mtu is 1450, not 1350" in flaw for flaw in overlay.drive(1, "look")["flaws"])
    overlay.apply(1)
    assert full(one, address(two), 1351) == "1350"
    assert full(one, address(two), 1350) == "sent"
    overlay.hosts[1].run("ip", "link", "set", "underlay", "mtu", "1500")

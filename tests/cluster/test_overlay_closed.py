"""Who is no peer gets nowhere, and a peer speaks for its own share alone: asked of packets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.lab.hosts import Hosts, underlay_v4, underlay_v6
from hosts.lab.overlay import POOL_V4, VNI, Overlay, address

if TYPE_CHECKING:
    from hosts.lab.namespace import Namespace

MakeHosts = Callable[[int], Hosts]
FORGE = ("/usr/bin/python3", "-I", "-S", str(Path(__file__).parents[1] / "hosts/lab/forge.py"))
MAC = "02:1f:00:00:00:01"  # of host 1's device
PORT = 5000


def forge(place: Namespace, source: str, target: str, outer: str) -> None:
    """Send one datagram within VXLAN to host 1's device."""
    place.run(*FORGE, "vxlan", outer, str(VNI), MAC, source, target, str(PORT))


def plain(place: Namespace, target: str) -> None:
    """Send one datagram as it is."""
    place.reaches("udp", target, PORT, timeout_s=0.2)


@pytest.mark.parametrize(
    ("ipv6_underlay", "narrow"), [(False, False), (True, False), (False, True)]
)
def test_only_a_peer_is_heard_and_only_for_its_own_share(
    make_hosts: MakeHosts, *, ipv6_underlay: bool, narrow: bool
) -> None:
    """Whatever others send, and whatever it bears; the table alone keeps them out."""
    hosts = make_hosts(3)
    overlay = Overlay(hosts, ipv6_underlay=ipv6_underlay, narrow=narrow)
    containers = {number: each.namespace for number, each in overlay.up().items()}
    outer = (underlay_v6 if ipv6_underlay else underlay_v4)(1)
    victim = containers[1]
    at4, at6 = address(victim), address(victim, 6)
    server = victim.serve("udp", PORT, name="victim")
    outside = hosts[1].outside.serve("udp", PORT, name="outside")

    for own in ("10.42.2.9", "10.42.1.77", "192.0.2.99", "203.0.113.9"):
        forge(hosts.stranger, own, at4, outer)
    forge(hosts.stranger, "fd42:0:0:2::9", at6, outer)
    # A peer for another one, for this host, for anybody; and by a container of its.
    for other in ("10.42.2.9", "10.42.1.77", "192.0.2.3", "203.0.113.9", "10.42.33.9"):
        forge(hosts[3], other, at4, outer)
    forge(hosts[3], "fd42:0:0:2::9", at6, outer)
    for place in (containers[1], containers[2], containers[3]):
        forge(place, "10.42.2.9", at4, outer)
        forge(place, "10.42.3.9", at4, outer)
    if narrow:  # of the same /24 as its share, and not of that
        forge(hosts[2], "10.42.2.77", at4, outer)
    # A peer has no use of this host as a router.
    forge(hosts[2], "10.42.2.9", "198.51.100.2", outer)

    assert containers[2].ask("udp", at4, PORT, timeout_s=10).server == "victim"
    forge(hosts[2], "10.42.2.9", at4, outer)
    forge(hosts[2], "fd42:0:0:2::9", at6, outer)
    assert containers[2].ask("udp", at6, PORT, timeout_s=10).server == "victim"
    heard = {reply.peer[0] for reply in server.seen()}
    assert heard == {address(containers[2]), address(containers[2], 6), "10.42.2.9",
                     "fd42:0:0:2::9"}  # fmt: skip
    assert outside.seen() == []

    # Were the table not there, each of them would have been heard.
    server = victim.serve("udp", PORT, name="victim")
    hosts[1].run("nft", "delete", "table", "inet", "ocinet-ocx-42")
    forge(hosts.stranger, "10.42.2.8", at4, outer)
    forge(hosts[3], "10.42.2.7", at4, outer)
    forge(containers[3], "10.42.2.6", at4, outer)
    assert containers[2].ask("udp", at4, PORT, timeout_s=10).server == "victim"
    heard = {reply.peer[0] for reply in server.seen()}
    assert heard >= {"10.42.2.8", "10.42.2.7"}
    assert "10.42.2.6" not in heard  # its own host keeps it from sending so
    server = victim.serve("udp", PORT, name="victim")
    hosts[3].run("nft", "delete", "table", "inet", "ocinet-ocx-42")
    forge(containers[3], "10.42.2.6", at4, outer)
    assert containers[2].ask("udp", at4, PORT, timeout_s=10).server == "victim"
    assert "10.42.2.6" in {reply.peer[0] for reply in server.seen()}


@pytest.mark.parametrize("backend", ["vxlan", "routes"])
def test_underlay_reaches_no_container_but_by_published_ports(
    make_hosts: MakeHosts, backend: str
) -> None:
    """Neither as itself nor with an address of a share, of the pool, or of this host."""
    hosts = make_hosts(2)
    overlay = Overlay(hosts, backend)
    overlay.apply()
    for number in (1, 2):
        overlay.make_network(number)
    victim = overlay.start(1, "c1", "-p", "8080:80").namespace
    friend = overlay.start(2).namespace
    server = victim.serve("udp", PORT, name="victim")
    victim.serve("tcp", 80, name="victim")
    at = address(victim)
    stranger = hosts.stranger
    stranger.run("ip", "route", "add", POOL_V4, "via", underlay_v4(1))
    plain(stranger, at)
    spoofed = ["10.42.77.9", "10.42.1.99"] + ["10.42.2.9"] * (backend == "vxlan")
    for source in spoofed:
        stranger.run("ip", "address", "add", f"{source}/32", "dev", "lo")
        stranger.run("ip", "route", "replace", POOL_V4, "via", underlay_v4(1), "src", source)
        plain(stranger, at)
        assert not stranger.reaches("tcp", at, 80)
    stranger.run("ip", "route", "replace", POOL_V4, "via", underlay_v4(1))
    assert friend.ask("udp", at, PORT, timeout_s=10).server == "victim"
    assert {reply.peer[0] for reply in server.seen()} == {address(friend)}
    assert stranger.reaches("tcp", underlay_v4(1), 8080, timeout_s=10)


def test_device_takes_nothing_in_before_it_is_closed(make_hosts: MakeHosts) -> None:
    """Where the table can't be made, there is no device either; the reason is told."""
    overlay = Overlay(make_hosts(1))
    lab = overlay.hosts[1]
    lab.run("mount", "--bind", "/bin/false", "/usr/sbin/nft")
    with pytest.raises(CommandFailed, match="cannot close the way in, table inet ocinet-ocx-42"):
        overlay.apply(1)
    lab.run("umount", "/usr/sbin/nft")
    assert "ocx-42" not in lab.links()

"""Containers of several hosts reach each other, by each data plane, under their own addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hosts.command import CommandFailed
from hosts.lab.hosts import Hosts
from hosts.lab.overlay import DEVICE, Overlay, address, start
from hosts.waiting import wait_until

MakeHosts = Callable[[int], Hosts]


@pytest.mark.parametrize(
    ("backend", "ipv6_underlay"), [("vxlan", False), ("vxlan", True), ("routes", False)]
)
def test_containers_of_five_hosts_reach_each_other(
    make_hosts: MakeHosts, backend: str, *, ipv6_underlay: bool
) -> None:
    """From everywhere, of both families, and each sees the other's own address."""
    overlay = Overlay(make_hosts(5), backend, ipv6_underlay=ipv6_underlay)
    containers = {number: each.namespace for number, each in overlay.up().items()}
    for number, place in containers.items():
        place.serve("tcp", 80, name=f"c{number}")
    for family in (4, 6):
        own = {number: address(place, family) for number, place in containers.items()}
        for number, place in containers.items():
            for other, at in own.items():
                if other != number:
                    reply = place.ask("tcp", at, 80, timeout_s=10)
                    assert (reply.server, reply.peer[0]) == (f"c{other}", own[number])
    for number in containers:
        assert overlay.drive(number, "look")["flaws"] == []


def test_wireguard_reaches_as_the_others_do_or_the_kernels_lack_of_it_is_told(
    make_hosts: MakeHosts,
) -> None:
    """Nothing is made where there is none; what to do is said."""
    hosts = make_hosts(2)
    overlay = Overlay(hosts, "wireguard")
    probe = hosts[1].run("ip", "link", "add", "probe", "type", "wireguard", check=False)
    if probe.status:
        with pytest.raises(CommandFailed, match="this kernel has none") as caught:
            overlay.apply(1)
        assert "modprobe wireguard" in str(caught.value)
        assert DEVICE not in hosts[1].links()
        assert "ocx" not in hosts[1].ruleset()
        return
    hosts[1].run("ip", "link", "del", "probe")
    overlay.learn_keys()
    containers = {number: each.namespace for number, each in overlay.up().items()}
    for number, place in containers.items():
        place.serve("tcp", 80, name=f"c{number}")
    for family in (4, 6):
        reply = containers[1].ask("tcp", address(containers[2], family), 80, timeout_s=10)
        assert reply.peer[0] == address(containers[1], family)
    assert overlay.drive(1, "look")["flaws"] == []
    assert overlay.drive(1, "apply")["made"] == []


def test_host_itself_reaches_containers_of_others(make_hosts: MakeHosts) -> None:
    """With an address of its share; and its own services are for its own containers."""
    overlay = Overlay(make_hosts(2))
    containers = {number: each.namespace for number, each in overlay.up().items()}
    server = containers[2].serve("tcp", 80, name="c2")
    overlay.hosts[1].serve("tcp", 9000, name="host1")
    for family, base in ((4, "10.42.1.0"), (6, "fd42:0:0:1::")):
        at = address(containers[2], family)
        assert overlay.hosts[1].ask("tcp", at, 80, timeout_s=10).peer[0] == base
        assert containers[2].pings(base, timeout_s=5)
        assert not containers[2].reaches("tcp", base, 9000)
    assert len(server.seen()) == 2
    assert not containers[2].reaches("tcp", "10.42.1.1", 9000)
    assert containers[1].reaches("tcp", "10.42.1.1", 9000, timeout_s=10)


def test_new_peer_is_reached_and_a_former_one_is_not(make_hosts: MakeHosts) -> None:
    """As soon as it was applied; and no route is left of who has gone."""
    overlay = Overlay(make_hosts(3))
    late = overlay.peers.pop(3)
    first = overlay.up()[1].namespace
    overlay.peers[3] = late
    overlay.make_network(3)
    new = overlay.start(3).namespace
    overlay.apply(3)
    overlay.drive(1, "apply", (overlay.peers[2],))
    assert not first.pings(address(new))
    assert len(overlay.drive(1, "apply")["made"]) == 6
    assert first.pings(address(new), timeout_s=5)
    silent = overlay.peers[3].replace(heard=False)
    assert overlay.drive(1, "apply", (overlay.peers[2], silent))["removed"] == []
    assert first.pings(address(new), timeout_s=5)
    overlay.drive(3, "remove")
    del overlay.peers[3]
    assert len(overlay.drive(1, "apply")["removed"]) == 5
    assert not first.pings(address(new))
    lab = overlay.hosts[1]
    assert DEVICE not in lab.run("ip", "route", "get", address(new)).stdout
    assert "10.42.3." not in lab.run("ip", "neigh").stdout
    assert "192.0.2.3" not in lab.run("bridge", "fdb", "show", "dev", DEVICE).stdout


@pytest.mark.parametrize("backend", ["vxlan", "routes"])
def test_host_with_another_underlay_address_is_reached_again(
    make_hosts: MakeHosts, backend: str
) -> None:
    """At the new one alone, as soon as the others know it; its containers stay as they are."""
    from ocinet.base.address import Address

    overlay = Overlay(make_hosts(2), backend)
    one, two = (each.namespace for each in overlay.up().values())
    lab = overlay.hosts[2]
    lab.run("ip", "address", "del", "192.0.2.2/24", "dev", "underlay")
    lab.run("ip", "address", "add", "192.0.2.22/24", "dev", "underlay")
    assert not one.pings(address(two))
    peer = overlay.peers[2]
    moved = (Address.parse("192.0.2.22"), *peer.host.underlay[1:])
    overlay.peers[2] = peer.replace(host=peer.host.replace(underlay=moved))
    overlay.apply()
    for asker, at in ((one, address(two)), (two, address(one))):
        wait_until(lambda: asker.pings(at), "the way to the new place")  # noqa: B023
    assert overlay.drive(1, "look")["flaws"] == overlay.drive(2, "look")["flaws"] == []
    lab.run("ip", "address", "del", "192.0.2.22/24", "dev", "underlay")
    lab.run("ip", "address", "add", "192.0.2.2/24", "dev", "underlay")


_DAMAGE = {
    "device": f"ip link del {DEVICE}",
    "down": f"ip link set {DEVICE} down",
    "routes": f"ip route flush dev {DEVICE}; ip -6 route flush dev {DEVICE}",
    "neighbours": f"ip neigh flush nud permanent dev {DEVICE}",
    "forwarding": f"bridge fdb del 02:1f:00:00:00:02 dst 192.0.2.2 dev {DEVICE}",
    "to somebody else": f"bridge fdb replace 02:1f:00:00:00:02 dst 192.0.2.99 dev {DEVICE}",
    "another neighbour": f"ip neigh replace 10.42.2.0 lladdr 02:00:00:00:00:09 dev {DEVICE}",
    "addresses": f"ip addr flush dev {DEVICE}",
    "mac": f"ip link set {DEVICE} address 02:00:00:00:00:09",
    "mtu": f"ip link set {DEVICE} mtu 1280",
    "learning": f"ip link set {DEVICE} type vxlan learning",
    "table": "nft delete table inet ocinet-ocx-42",
    "rules": "nft flush chain inet ocinet-ocx-42 input",
    "elements": "nft flush set inet ocinet-ocx-42 speaks4_24",
    "in a bridge": f"ip link add br9 type bridge; ip link set {DEVICE} master br9",
}


def test_what_others_have_damaged_is_told_and_mended(make_hosts: MakeHosts) -> None:
    """Each of them; then nothing is left to do, and the peer is reached."""
    overlay = Overlay(make_hosts(2))
    one, two = (each.namespace for each in overlay.up().values())
    lab = overlay.hosts[1]
    for damage, command in _DAMAGE.items():
        lab.run("sh", "-c", command)
        assert overlay.drive(1, "look")["flaws"], damage
        overlay.apply(1)
        assert overlay.drive(1, "look")["flaws"] == [], damage
        assert overlay.drive(1, "apply")["made"] == [], damage
        assert one.pings(address(two), timeout_s=5), damage
        assert two.pings(address(one), timeout_s=5), damage
    lab.run("ip", "link", "del", "br9")


def test_what_is_not_the_clusters_goes_from_its_device_and_stays_elsewhere(
    make_hosts: MakeHosts,
) -> None:
    """Whatever lies on the device; nothing of others' devices."""
    overlay = Overlay(make_hosts(2))
    overlay.apply()
    lab = overlay.hosts[1]
    foreign = (
        f"ip route add 203.0.113.0/24 dev {DEVICE}",
        f"ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev {DEVICE}",
        f"bridge fdb append 02:00:00:00:00:09 dst 203.0.113.9 dev {DEVICE}",
        f"ip addr add 203.0.113.1/32 dev {DEVICE}",
        # Of a data plane's protocol, by a link that is not its device any more.
        "ip route add 10.42.9.0/24 via 192.0.2.9 proto 111",
    )
    kept = (
        "ip route add 203.0.114.0/24 via 192.0.2.9",
        "ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:09 dev underlay",
        "ip route add 10.43.9.0/24 via 192.0.2.9 proto 111",
    )
    for command in (*foreign, *kept):
        lab.run(*command.split())
    assert len(overlay.drive(1, "look")["flaws"]) == len(foreign)
    told = overlay.drive(1, "apply")
    assert (len(told["made"]), len(told["removed"])) == (0, len(foreign))
    left = lab.run("sh", "-c", "ip route; ip neigh; bridge fdb; ip addr").stdout
    assert "203.0.113." not in left
    assert "10.42.9." not in left
    assert all(word in left for word in ("203.0.114.0/24", "192.0.2.77", "10.43.9.0/24"))
    overlay.drive(1, "remove")
    assert "10.43.9.0/24" in lab.run("ip", "route").stdout
    lab.run("ip", "route", "flush", "via", "192.0.2.9")


def test_route_of_somebody_elses_in_the_way_is_told_and_costs_no_other_peer(
    make_hosts: MakeHosts,
) -> None:
    """It is not ours to remove; the error says where to look."""
    overlay = Overlay(make_hosts(3))
    lab = overlay.hosts[1]
    lab.run("ip", "route", "add", "10.42.2.0/24", "via", "192.0.2.9")
    with pytest.raises(CommandFailed) as caught:
        overlay.apply(1)
    said = str(caught.value)
    assert "cannot make route 10.42.2.0/24" in said
    assert "somebody else's route leads there" in said
    assert "ip route show 10.42.2.0/24" in said
    routes = lab.run("ip", "route").stdout
    assert f"10.42.3.0/24 via 10.42.3.0 dev {DEVICE}" in routes
    assert "10.42.2.0/24 via 192.0.2.9 dev underlay" in routes
    lab.run("ip", "route", "flush", "via", "192.0.2.9")


@pytest.mark.parametrize("backend", ["vxlan", "routes"])
def test_remove_leaves_nothing(make_hosts: MakeHosts, backend: str) -> None:
    """No device, route, rule, address; and again it is success."""
    overlay = Overlay(make_hosts(2), backend)
    lab = overlay.hosts[1]
    before = lab.snapshot()
    overlay.apply(1)
    assert overlay.drive(1, "remove")["removed"]
    assert overlay.drive(1, "remove")["removed"] == []
    lab.ignored = ("/run/ocinet",)
    lab.assert_unchanged(before)


@pytest.mark.parametrize("backend", ["vxlan", "routes"])
def test_networks_of_one_host_stay_apart_and_out_of_others_reach(
    make_hosts: MakeHosts, backend: str
) -> None:
    """What is on no share is reached by no peer, and reaches none; a published port is, by all."""
    overlay = Overlay(make_hosts(2), backend)
    one, two = (each.namespace for each in overlay.up().values())
    lab = overlay.hosts[1]
    lab.make_network("dmz", "10.8.0.0/24")
    other = start(lab, "other", "dmz", "-p", "8080:80").namespace
    for place, name in ((other, "other"), (one, "one"), (two, "two")):
        place.serve("tcp", 80, name=name)
    # Host 2 may send whatever it likes by the device.
    way = {"vxlan": f"via 10.42.1.0 dev {DEVICE} onlink", "routes": "via 192.0.2.1"}[backend]
    words = ("ip", "route", "add", "10.8.0.0/24", *way.split(), "src", "10.42.2.0")
    overlay.hosts[2].run(*words)
    assert two.reaches("tcp", address(one), 80, timeout_s=10)
    assert not two.reaches("tcp", address(other), 80)
    assert not overlay.hosts[2].reaches("tcp", address(other), 80)
    assert not other.reaches("tcp", address(one), 80)
    # Masqueraded, it would be host 1 that asks, which may.
    assert not other.reaches("tcp", address(two), 80)
    assert one.reaches("tcp", address(two), 80, timeout_s=10)
    assert lab.reaches("tcp", address(two), 80, timeout_s=10)
    reply = two.ask("tcp", "192.0.2.1", 8080, timeout_s=10)
    assert (reply.server, reply.peer[0]) == ("other", "192.0.2.2")
    # By the gateway as well, for who knows no other address of that host.
    assert two.ask("tcp", "10.42.1.1", 8080, timeout_s=10).peer[0] == address(two)


def test_thousand_peers_take_one_pass_and_then_none(make_hosts: MakeHosts) -> None:
    """All are entered at once; another look finds nothing to do."""
    from ocinet.base.address import Address, Subnet
    from ocinet.cluster.model import Host, Peer

    overlay = Overlay(make_hosts(1))
    many = tuple(
        Peer(
            Host(f"{number:08x}-x", f"h{number}", (Address(4, (203 << 24) + number),),
                 f"02:1f:00:00:{number >> 8:02x}:{number & 255:02x}"),
            (Subnet(4, (10 << 24) + (42 << 16) + (number << 6), 26),),
        )
        for number in range(8, 1008)
    )  # fmt: skip
    assert len(overlay.drive(1, "apply", many)["made"]) == 3000 + 5
    again = overlay.drive(1, "apply", many)
    assert (again["made"], again["removed"]) == ([], [])
    assert len(overlay.drive(1, "apply", many[:-1])["removed"]) == 3

"""Bridges: made whole, finished, refused, adopted and removed."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import pytest

from builders import network, on
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import addresses_json, ip_json, link_json, run
from hosts.namespace.wired_host import WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Interface, Subnet
from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, KernelError
from ocinet.engine.kernel import bridge
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.sandbox import Sandbox, entered
from ocinet.engine.model.link import LINK_GROUP, Inside, Veth

MAC = "02:00:00:0c:1e:01"
ADDRESSES = (Interface.parse("10.9.0.1/24"), Interface.parse("fd00:9::1/64"))


def bridge_json(ifname: str = "oc0") -> dict[str, Any]:
    found = link_json(ifname)
    assert found is not None
    return found


def sysctl(key: str) -> str:
    return run(f"sysctl -n {key}").strip()


def own_addresses(ifname: str = "oc0") -> dict[str, dict[str, Any]]:
    found = [address for address in addresses_json(ifname) if address["scope"] != "link"]
    return {f"{address['local']}/{address['prefixlen']}": address for address in found}


@in_namespaces
def test_make_bridge_has_all_that_was_asked() -> None:
    """MAC, MTU, group, both addresses usable without any port, no STP, no waiting."""
    assert bridge.make_bridge("oc0", MAC, 1450, ADDRESSES) is True

    link = bridge_json()
    assert link["linkinfo"]["info_kind"] == "bridge"
    assert link["address"] == MAC
    assert link["mtu"] == 1450
    assert link["group"] == str(LINK_GROUP)
    assert "UP" in link["flags"]
    data = link["linkinfo"]["info_data"]
    assert data["stp_state"] == 0
    assert data["forward_delay"] == 0
    assert data["mcast_snooping"] == 1
    addresses = own_addresses()
    assert set(addresses) == {"10.9.0.1/24", "fd00:9::1/64"}
    assert addresses["10.9.0.1/24"]["broadcast"] == "10.9.0.255"
    assert addresses["fd00:9::1/64"]["nodad"] is True
    assert "tentative" not in addresses["fd00:9::1/64"]
    assert sysctl("net.ipv6.conf.oc0.accept_ra") == "0"


@in_namespaces
@pytest.mark.parametrize("mtu", [1500, 1450, 65535, 1280, 68])
def test_make_bridge_mac_and_mtu_stay_when_ports_come(mtu: int) -> None:
    """Left to the kernel, both would follow the ports: the lowest MAC, the smallest MTU."""
    bridge.make_bridge("oc0", MAC, mtu, ADDRESSES[:1])
    run(f"ip link add port address 02:00:00:00:00:01 mtu {max(mtu - 100, 68)} type veth peer other")
    run("ip link set port master oc0 up")
    assert bridge_json()["address"] == MAC
    assert bridge_json()["mtu"] == mtu
    run("ip link del port")
    assert bridge_json()["mtu"] == mtu


@in_namespaces
def test_make_bridge_again_changes_nothing_and_says_so() -> None:
    """Not the MAC of one that is set up; another MTU is followed, see below."""
    bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    before = ip_json("-d addr show dev oc0")
    assert bridge.make_bridge("oc0", "02:00:00:00:00:77", 1450, ADDRESSES) is False
    after = ip_json("-d addr show dev oc0")
    for volatile in ("gc_timer", "hello_timer"):
        for shown in (before, after):
            shown[0]["linkinfo"]["info_data"].pop(volatile)
    assert [address["local"] for address in after[0].pop("addr_info")] == [
        address["local"] for address in before[0].pop("addr_info")
    ]
    assert after == before


@in_namespaces
def test_make_bridge_again_follows_another_mtu() -> None:
    """It stays then as the first one did, whatever ports come."""
    bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    assert bridge.make_bridge("oc0", MAC, 1300, ADDRESSES) is True
    run("ip link add port mtu 1200 type veth peer other")
    run("ip link set port master oc0 up")
    assert (bridge_json()["mtu"], bridge_json()["address"]) == (1300, MAC)
    assert bridge.make_bridge("oc0", MAC, 1300, ADDRESSES) is False


@in_namespaces
def test_make_bridge_finishes_a_half_made_one() -> None:
    """What a kill left: made, in our group, and nothing else."""
    run("ip link add oc0 mtu 1451 group 28515 type bridge")
    assert bridge.make_bridge("oc0", MAC, 1450, ADDRESSES) is True
    assert bridge_json()["address"] == MAC
    assert bridge_json()["mtu"] == 1450
    assert "UP" in bridge_json()["flags"]
    assert set(own_addresses()) == {"10.9.0.1/24", "fd00:9::1/64"}


@in_namespaces
def test_make_bridge_gives_a_missing_address_back() -> None:
    """And leaves those that an admin added."""
    bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    run("ip addr del 10.9.0.1/24 dev oc0")
    run("ip addr add 10.88.0.1/24 dev oc0")
    assert bridge.make_bridge("oc0", MAC, 1450, ADDRESSES) is True
    assert set(own_addresses()) == {"10.9.0.1/24", "10.88.0.1/24", "fd00:9::1/64"}


@in_namespaces
@pytest.mark.parametrize(
    "made",
    ["oc0 type bridge", "oc0 group 28515 type veth peer name x", "oc0 group 7 type bridge"],
)
def test_make_bridge_name_of_another_is_refused(made: str) -> None:
    """Somebody else's bridge, and what is none: not changed."""
    run(f"ip link add {made}")
    before = bridge_json()
    with pytest.raises(ConflictError, match="no bridge of ours"):
        bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    after = bridge_json()
    assert (after["address"], after["mtu"], after["flags"]) == (
        before["address"],
        before["mtu"],
        before["flags"],
    )
    assert own_addresses() == {}


@in_namespaces
def test_make_bridge_fault_after_the_making_leaves_nothing() -> None:
    """An address that the kernel refuses takes the new bridge away again."""
    multicast = Interface.parse("ff02::1/64")
    with pytest.raises(KernelError, match="cannot make the bridge oc0"):
        bridge.make_bridge("oc0", MAC, 1450, (*ADDRESSES, multicast))
    assert link_json("oc0") is None


@in_namespaces
def test_make_bridge_fault_leaves_one_that_was_there() -> None:
    """It was made by another call, and may have ports."""
    bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    with pytest.raises(KernelError):
        bridge.make_bridge("oc0", MAC, 1450, (*ADDRESSES, Interface.parse("ff02::1/64")))
    assert set(own_addresses()) == {"10.9.0.1/24", "fd00:9::1/64"}


@in_namespaces
def test_make_bridge_kernels_words_are_in_the_error() -> None:
    """An invalid MAC: multicast."""
    with pytest.raises(KernelError) as caught:
        bridge.make_bridge("oc0", "01:00:5e:00:00:01", 1450, ())
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert "Cannot assign requested address" in str(caught.value)


@in_namespaces
def test_make_bridge_where_ipv6_is_off_turns_it_on_for_ipv6_addresses() -> None:
    """Only then."""
    run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
    bridge.make_bridge("oc4", "02:62:00:00:00:04", 1450, ADDRESSES[:1])
    bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    assert sysctl("net.ipv6.conf.oc4.disable_ipv6") == "1"
    assert sysctl("net.ipv6.conf.oc0.disable_ipv6") == "0"
    assert "fd00:9::1/64" in own_addresses()


@in_namespaces
def test_make_bridge_carries_packets_from_its_first_port_at_once() -> None:
    """No forwarding delay: the first connection does not wait."""
    bridge.make_bridge("oc0", MAC, 1500, ADDRESSES)
    with Sleeper() as sleeper:
        process = Process.of(sleeper.pid)
        assert process is not None
        with (
            Sandbox.open_process(process) as sandbox,
            Links() as links,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server,
        ):
            server.bind(("10.9.0.1", 0))
            server.listen()
            links.add_veth(Veth("oc1", "eth0", "oc0"), sandbox)
            Insides(links).configure(sandbox, Inside("eth0", (Interface.parse("10.9.0.5/24"),)))
            with entered(sandbox):
                client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            before = time.monotonic()
            client.settimeout(5)
            client.connect(server.getsockname())
            took_s = time.monotonic() - before
            client.close()
            assert (link_json("oc1") or {})["master"] == "oc0"
    assert took_s < 0.5


@in_namespaces
def test_remove_bridge_ours_without_ports_alone() -> None:
    """With a port, another's, or not there: left, and said so."""
    bridge.make_bridge("oc0", MAC, 1450, ADDRESSES)
    run("ip link add port master oc0 type veth peer other")
    assert bridge.remove_bridge("oc0") is False
    run("ip link del port")
    assert bridge.remove_bridge("oc0") is True
    assert link_json("oc0") is None

    run("ip link add foreign type bridge")
    run("ip link add ours group 28515 type veth peer other")
    for ifname in ("oc0", "foreign", "ours"):
        assert bridge.remove_bridge(ifname) is False
    assert {"foreign", "ours"} <= {link["ifname"] for link in ip_json("link")}


def make_uplink(ifname: str, mtu: int) -> None:
    run(f"ip link add {ifname} mtu {mtu} type veth peer name {ifname}p")
    run(f"ip link set {ifname}p up")
    run(f"ip link set {ifname} up")


@in_namespaces
def test_uplink_mtu_is_that_of_the_best_default_route() -> None:
    """None: 1500. IPv6's if there is no IPv4; else IPv4's with the least metric."""
    assert bridge.uplink_mtu() == 1500
    make_uplink("up6", 1600)
    run("ip addr add fd00:6::2/64 dev up6 nodad")
    run("ip -6 route add default via fd00:6::1 dev up6")
    assert bridge.uplink_mtu() == 1600
    make_uplink("up1", 1700)
    make_uplink("up2", 1800)
    run("ip addr add 10.1.0.2/24 dev up1")
    run("ip addr add 10.2.0.2/24 dev up2")
    run("ip route add default via 10.1.0.1 metric 200")
    assert bridge.uplink_mtu() == 1700
    run("ip route add default via 10.2.0.1 metric 100")
    assert bridge.uplink_mtu() == 1800
    run("ip route flush default")
    run("ip route add default nexthop via 10.1.0.1 nexthop via 10.2.0.1")
    assert bridge.uplink_mtu() == 1700
    run("ip route flush default")
    run("ip route add unreachable default")
    run("ip route add default via 10.2.0.1 table 77")
    assert bridge.uplink_mtu() == 1600


@in_namespaces
def test_advertised_uplinks_are_those_of_ra_routes_alone() -> None:
    """A default route that an admin set does not live by router advertisements."""
    assert bridge.advertised_uplinks() == ()
    for ifname in ("up1", "up2"):
        make_uplink(ifname, 1500)
    run("ip addr add fd00:1::2/64 dev up1 nodad")
    run("ip -6 route add default via fd00:1::1 dev up1 proto static metric 5")
    assert bridge.advertised_uplinks() == ()
    run("ip addr add fd00:2::2/64 dev up2 nodad")
    run("ip -6 route add default via fd00:2::1 dev up2 proto ra metric 7")
    assert bridge.advertised_uplinks() == ("up2",)


@in_namespaces
def test_occupied_subnets_are_of_addresses_and_other_tables() -> None:
    """With a route or without; no default route, and what main sends elsewhere is apart."""
    make_uplink("up1", 1500)
    run("ip addr add 10.1.0.2/24 dev up1")
    run("ip addr add 10.2.0.2/24 dev up1 noprefixroute")
    run("ip addr add fd00:1::2/64 dev up1 nodad")
    run("ip route add default via 10.1.0.1")
    run("ip -6 route add default via fd00:1::1")
    run("ip route add 10.3.0.0/16 via 10.1.0.7 table 99")
    for kind, number in (("blackhole", 4), ("unreachable", 6), ("prohibit", 7), ("throw", 8)):
        run(f"ip route add {kind} 10.{number}.0.0/16")
    run("ip route add 10.5.0.0/16 nexthop via 10.1.0.1 nexthop via 10.1.0.3")
    run("ip route add 10.64.0.0/10 dev up1")  # as to a tunnel
    run("ip -6 route add unreachable fd00:4::/48")
    run("ip route add multicast 239.0.0.0/8 dev up1")
    run("ip -6 route add fd00:5::/64 dev up1 proto ra")
    found, routed = bridge.occupied_subnets(), bridge.routed_subnets()
    expected = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/16", "127.0.0.0/8", "fd00:1::/64",
                "fd00:5::/64"]  # fmt: skip
    assert set(found) >= {Subnet.parse(subnet) for subnet in expected}
    elsewhere = ["10.4.0.0/16", "10.5.0.0/16", "10.6.0.0/16", "10.7.0.0/16", "10.8.0.0/16",
                 "10.64.0.0/10", "fd00:4::/48"]  # fmt: skip
    assert routed == tuple(Subnet.parse(subnet) for subnet in elsewhere)
    assert not set(found) & set(routed)
    assert not [subnet for subnet in found if subnet.prefixlen == 0]
    assert Subnet.parse("239.0.0.0/8") not in found
    assert Subnet.parse("10.1.0.255/32") not in found
    assert list(found) == sorted(
        found, key=lambda subnet: (subnet.family, subnet.value, subnet.prefixlen)
    )


@pytest.mark.parametrize("subnets", [("10.9.0.0/24",), ("10.9.0.0/24", "fd00:9::/64")])
@in_namespaces
def test_bridge_without_ipv6_has_none_of_its_own(subnets: tuple[str, ...]) -> None:
    """No link-local address, by which all that listens at [::] would be reached."""
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("own", *subnets, device="br-own"))
        host.up("web", on("own"))
        wait_until(lambda: "UP" in run("ip link show br-own"), "it is up")
        assert ("fe80::" in run("ip -6 addr show dev br-own")) is (len(subnets) == 2)

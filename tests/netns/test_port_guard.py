"""A container can send as itself alone: each frame of another's is one that comes through without.

All that is sent is raw, as CAP_NET_RAW lets a container do, which Docker gives by default.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from builders import network, on
from hosts.namespace.frames import (
    Wire,
    arp,
    behind,
    ethernet,
    fragment,
    icmpv6,
    ipv4,
    ipv6,
    link_local,
    mac_option,
    neighbour,
    udp,
)
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.segment import is_forwarding, make_bridge
from hosts.namespace.segment import neighbour as neighbour_on
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.engine.doctor import Doctor
from ocinet.engine.guard_drops import GuardDrops

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment

DUAL = network("dual", "10.7.0.0/24", "fd00:7::/64")
GATEWAY, GATEWAY_6 = "10.7.0.1", "fd00:7::1"
FOREIGN, FOREIGN_6 = "203.0.113.9", "2001:db8::9"
STRANGER = "02:66:00:00:00:01"
TAG, OUTER_TAG = 0x8100, 0x88A8
ROUTING, AUTHENTICATION, OPTIONS, MOBILITY, FRAGMENT = 43, 51, 60, 135, 44
TCP, UDP, ICMPV6, HOP_BY_HOP = 6, 17, 58, 0
ICMP, IGMP, PIM = 1, 2, 103
ALERT = bytes((148, 4, 0, 0))  # RFC 2113: IGMP has it
ANSWER = udp(6767, 68, bytes(236) + bytes.fromhex("63825363"))
LAST = "last"


class Own:
    """What a container is by its lease."""

    def __init__(self, record: Attachment) -> None:
        (end,) = record.endpoints
        self.mac, self.host_ifname = end.mac, end.host_ifname
        self.v4, self.v6 = (str(interface.address) for interface in end.addresses)
        self.local = link_local(end.mac)


def _igmp(kind: int) -> bytes:
    """Return a message about any group."""
    return bytes((kind, 0)) + (0xFFFF - (kind << 8)).to_bytes(2, "big") + bytes(4)


def _as_itself(own: Own) -> dict[str, bytes]:
    """Return what passes: everything that a container has to send to be on a network."""
    mac, v4, v6, local = own.mac, own.v4, own.v6, own.local
    # Router alert, and a report of groups behind it (RFC 3810).
    report = bytes((ICMPV6, 0, 5, 2, 0, 0, 1, 0)) + icmpv6(143)
    return {
        "IPv4": ipv4(mac, v4, udp(1, 2)),
        "IPv4, TCP": ipv4(mac, v4, bytes(20), protocol=TCP),
        "IPv4 with options": ipv4(mac, v4, udp(3, 4), options=bytes((1, 1, 1, 0))),
        "IPv4, a later fragment": ipv4(mac, v4, b"\0\x43\0\x44later", fragment=7),
        "IPv4, a later fragment to such a port": ipv4(mac, v4, ANSWER[:-4] + b"none", fragment=7),
        "groups of IPv4": ipv4(mac, v4, _igmp(0x22), protocol=IGMP, options=ALERT),
        "a group that is left": ipv4(mac, v4, _igmp(0x17), protocol=IGMP),
        "IPv4, an echo": ipv4(mac, v4, b"\x08" + bytes(7), protocol=ICMP),
        "ARP, a question": arp(mac, (mac, v4), GATEWAY),
        "ARP, an answer": arp(mac, (mac, v4), GATEWAY, operation=2),
        "ARP, a probe for its own": arp(mac, (mac, "0.0.0.0"), v4),
        "DHCP, a client": ipv4(mac, "0.0.0.0", udp(68, 67)),
        "IPv6": ipv6(mac, v6, udp(1, 2), header=UDP),
        "IPv6, TCP": ipv6(mac, v6, bytes(20), header=TCP),
        "IPv6 of its link": ipv6(mac, local, udp(546, 547), header=UDP),
        "an echo": ipv6(mac, v6, icmpv6(128), header=ICMPV6),
        "a fragment": ipv6(mac, v6, fragment(UDP, udp(5, 6)), header=FRAGMENT),
        "a later fragment": ipv6(
            mac, v6, fragment(ICMPV6, b"\x88later", offset=9, more=False), header=FRAGMENT
        ),
        "a fragment of an echo": ipv6(mac, v6, fragment(ICMPV6, icmpv6(128)), header=FRAGMENT),
        "DAD": ipv6(mac, "::", neighbour(135, v6), header=ICMPV6),
        "DAD of its link": ipv6(
            mac, "::", neighbour(135, local, bytes((14, 1, *range(6)))), header=ICMPV6
        ),
        "a solicitation": ipv6(
            mac, v6, neighbour(135, GATEWAY_6, mac_option(1, mac)), header=ICMPV6
        ),
        "a bare solicitation": ipv6(mac, local, neighbour(135, GATEWAY_6), header=ICMPV6),
        "an advertisement": ipv6(mac, v6, neighbour(136, v6, mac_option(2, mac)), header=ICMPV6),
        "an advertisement of its link": ipv6(mac, local, neighbour(136, local), header=ICMPV6),
        "a router's solicitation": ipv6(mac, local, icmpv6(133), header=ICMPV6),
        "the same of nobody": ipv6(mac, "::", icmpv6(133), header=ICMPV6),
        "groups": ipv6(mac, local, report, header=HOP_BY_HOP),
        "groups of nobody": ipv6(mac, "::", report, header=HOP_BY_HOP),
    }


def _as_others(own: Own, other: Own) -> dict[str, bytes]:
    """Return what does not pass: what somebody else would send, or a router, or a server."""
    mac, v4, v6, local = own.mac, own.v4, own.v6, own.local
    lies = neighbour(136, GATEWAY_6, mac_option(2, mac))
    frames = {
        "MAC of a sibling": ipv4(other.mac, v4, udp(1, 3)),
        "MAC of nobody": ipv6(STRANGER, v6, udp(1, 3), header=UDP),
        "IPv4 of a sibling": ipv4(mac, other.v4, udp(1, 4)),
        "IPv4 of the gateway": ipv4(mac, GATEWAY, udp(1, 5)),
        "IPv4 of nobody": ipv4(mac, FOREIGN, udp(1, 6)),
        "IPv4 in a tagged frame": ipv4(mac, v4, udp(1, 7), tags=(TAG,)),
        "IPv4 of another in a tagged frame": ipv4(mac, other.v4, udp(1, 7), tags=(TAG,)),
        "IPv4 of another in two tags": ipv4(mac, other.v4, udp(1, 8), tags=(OUTER_TAG, TAG)),
        "0.0.0.0 that asks for no address": ipv4(mac, "0.0.0.0", udp(68, 69)),
        "0.0.0.0 to somebody": ipv4(mac, "0.0.0.0", udp(68, 67), target=other.v4),
        "DHCP, a server": ipv4(mac, v4, udp(67, 68)),
        "DHCP, a server with options": ipv4(mac, v4, udp(67, 68), options=bytes(40)),
        "DHCP, cut": ipv4(mac, v4, b"\0", options=bytes(40)),
        "DHCP, a server at another port": ipv4(mac, v4, udp(6767, 68)),
        "DHCP, the same with options": ipv4(mac, v4, udp(6767, 68), options=bytes(40)),
        "DHCP, where networkd looks, in options": ipv4(mac, v4, udp(1, 9), options=ANSWER[:40]),
        "DHCP, where it looks, in a later fragment": ipv4(mac, v4, ANSWER, fragment=7),
        "a querier of groups of IPv4": ipv4(mac, v4, _igmp(0x11), protocol=IGMP, options=ALERT),
        "the same in a later fragment": ipv4(mac, v4, _igmp(0x11), protocol=IGMP, fragment=7),
        "the same, cut": ipv4(mac, v4, b"", protocol=IGMP, options=bytes(40)),
        "a router of groups of IPv4": ipv4(mac, v4, _igmp(0x30), protocol=IGMP),
        "a hello of PIM": ipv4(mac, v4, b"\x20" + bytes(11), protocol=PIM),
        "ARP as the gateway": arp(mac, (mac, GATEWAY), other.v4, operation=2),
        "ARP as a sibling": arp(mac, (mac, other.v4), GATEWAY),
        "ARP with a sibling's MAC": arp(mac, (other.mac, v4), GATEWAY, operation=2),
        "ARP of another kind": arp(mac, (mac, GATEWAY), other.v4, operation=2, hardware=6),
        "ARP in reverse": arp(mac, (mac, v4), v4, operation=3),
        "ARP as the gateway, tagged": arp(mac, (mac, GATEWAY), other.v4, tags=(TAG,)),
        "ARP, a probe for a sibling's": arp(mac, (mac, "0.0.0.0"), other.v4),
        "ARP, an answer of nobody": arp(
            mac, (mac, "0.0.0.0"), v4, operation=2
        ),
        "ARP, cut": arp(mac, (mac, v4), GATEWAY)[:40],
        "IPv6 of a sibling": ipv6(mac, other.v6, udp(1, 4), header=UDP),
        "IPv6 of a sibling's link": ipv6(mac, other.local, udp(1, 4), header=UDP),
        "IPv6 of nobody": ipv6(mac, FOREIGN_6, bytes(20), header=TCP),
        "IPv6 of nobody at all": ipv6(mac, "::", udp(1, 4), header=UDP),
        "IPv6 tagged": ipv6(mac, other.v6, udp(1, 7), header=UDP, tags=(TAG,)),
        "DHCPv6, a server": ipv6(mac, local, udp(547, 546), header=UDP),
        "DHCPv6, a server, in a fragment": ipv6(
            mac, local, fragment(UDP, udp(547, 546)), header=FRAGMENT
        ),
        "UDP, cut": ipv6(mac, v6, b"\2", header=UDP),
        "DHCPv6, a server at another port": ipv6(mac, local, udp(6547, 546), header=UDP),
        "the same of DHCPv6 in a fragment": ipv6(
            mac, local, fragment(UDP, udp(6547, 546)), header=FRAGMENT
        ),
        "an advertisement as the gateway": ipv6(mac, v6, lies, header=ICMPV6),
        "an advertisement as a sibling's link": ipv6(
            mac, local, neighbour(136, other.local), header=ICMPV6
        ),
        "an advertisement with another MAC": ipv6(
            mac, v6, neighbour(136, v6, mac_option(2, other.mac)), header=ICMPV6
        ),
        "a solicitation with another MAC": ipv6(
            mac, v6, neighbour(135, GATEWAY_6, mac_option(1, other.mac)), header=ICMPV6
        ),
        "a solicitation with two options": ipv6(
            mac, v6,
            neighbour(135, GATEWAY_6, mac_option(1, mac), mac_option(1, other.mac)),
            header=ICMPV6,
        ),
        "DAD for a sibling's": ipv6(mac, "::", neighbour(135, other.v6), header=ICMPV6),
        "an advertisement, cut": ipv6(mac, v6, lies[:16], header=ICMPV6),
        "a router's advertisement": ipv6(mac, local, icmpv6(134, bytes(12)), header=ICMPV6),
        "a redirect": ipv6(mac, local, icmpv6(137, bytes(36)), header=ICMPV6),
        "a querier of groups": ipv6(mac, local, icmpv6(130, bytes(24)), header=ICMPV6),
        "a router of groups": ipv6(mac, local, icmpv6(151), header=ICMPV6),
        "a router's advertisement in a fragment": ipv6(
            mac, local, fragment(ICMPV6, icmpv6(134, bytes(12)), more=False), header=FRAGMENT
        ),
        "an advertisement behind a hop-by-hop header": ipv6(
            mac, v6, behind(ICMPV6, lies), header=HOP_BY_HOP
        ),
        "spanning tree": ethernet(
            mac, 38, b"\x42\x42\x03" + bytes(43), to="01:80:c2:00:00:00"
        ),
        "IPv4 to the bridge itself": ipv4(mac, v4, udp(1, 9), to="01:80:c2:00:00:00"),
        "another protocol": ethernet(mac, 0x88B5, b"x" * 46),
        "the same as LLC": ethernet(mac, 46, b"\xaa\xaa\x03\0\0\0\x08\0" + bytes(38)),
        "IPv4, cut": ethernet(mac, 0x0800, bytes(4)),
        "IPv6, cut": ethernet(mac, 0x86DD, bytes(30)),
    }  # fmt: skip
    for header in (ROUTING, AUTHENTICATION, OPTIONS, MOBILITY):
        frames[f"an advertisement behind {header}"] = ipv6(
            mac, v6, behind(ICMPV6, lies), header=header
        )
        frames[f"an advertisement behind {header} in a fragment"] = ipv6(
            mac, v6, fragment(header, behind(ICMPV6, lies), more=False), header=FRAGMENT
        )
    return frames


def _pair(host: WiredHost, name: str = "dual") -> tuple[Own, Own, Wire]:
    """Attach an attacker and a sibling, who sees what the bridge carries."""
    with host.engine() as engine:
        engine.records.networks.add(DUAL)
        engine.records.networks.add(network("open", "10.6.0.0/24", "fd00:6::/64", guard=False))
    own, other = (Own(host.up(who, on(name))) for who in ("evil", "victim"))
    # The bridge is to carry whatever comes, and no firewall to look at it.
    run(f"ip link set br-{name} type bridge mcast_snooping 0")
    for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
        path.write_text("0")
    for end in (own, other):
        wait_until(partial(is_forwarding, end.host_ifname), "the bridge has the port")
    pids = [host.sleepers[who].pid for who in ("evil", "victim")]
    return own, other, Wire(*pids)


@in_namespaces
def test_send_as_itself_passes() -> None:
    """All that IPv4, ARP, IPv6 and neighbour discovery take, and a DHCP client."""
    with WiredHost() as host:
        own, _other, wire = _pair(host)
        frames = _as_itself(own)
        last = ipv4(own.mac, own.v4, udp(9, 9, b"last"))
        assert wire.pass_of(frames, last) == set(frames)


@in_namespaces
def test_send_as_others_is_dropped_and_passes_without_the_guard() -> None:
    """Nothing gets out, tagged, cut, in parts or behind headers; all of it does without."""
    with WiredHost() as host:
        own, other, wire = _pair(host)
        frames = _as_others(own, other)
        last = ipv4(own.mac, own.v4, udp(9, 9, b"last"))
        assert wire.pass_of(frames, last) == set()

        run(f"tc filter del dev {own.host_ifname} ingress")
        assert wire.pass_of(frames, last) == set(frames)


@in_namespaces
def test_network_without_guard_carries_whatever_is_sent() -> None:
    """As `--no-guard` has it; a guard that is there all the same is told and taken away."""
    with WiredHost() as host:
        own, other, wire = _pair(host, "open")
        frames = _as_others(own, other)
        last = ipv4(own.mac, own.v4, udp(9, 9, b"last"))
        assert wire.pass_of(frames, last) == set(frames)

        run(*f"tc qdisc add dev {own.host_ifname} clsact".split())
        run(*f"tc filter add dev {own.host_ifname} ingress pref 1 handle 0x6f63".split(),
            *["bpf", "direct-action", "bytecode"], "1,6 0 0 2,")  # fmt: skip
        with host.engine() as engine:
            (finding,) = engine.check(repair=True)
        assert "is guarded, and is not to be" in finding.what
        assert wire.pass_of(frames, last) == set(frames)


@in_namespaces
def test_container_without_ipv6_sends_none() -> None:
    """Not even by the link-local address that its root can give it; nor IPv4 without IPv4."""
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("six", "fd00:6::/64"))
        for name in ("lan", "six"):
            ends = [host.up(f"{who}-{name}", on(name)).endpoints[0] for who in ("a", "b")]
            run(f"ip link set br-{name} type bridge mcast_snooping 0")
            for end in ends:
                wait_until(partial(is_forwarding, end.host_ifname), "the bridge has the port")
            wire = Wire(*(host.sleepers[f"{who}-{name}"].pid for who in ("a", "b")))
            mac, address = ends[0].mac, str(ends[0].addresses[0].address)
            own = {
                "lan": ipv4(mac, address, udp(9, 9, b"last")),
                "six": ipv6(mac, address, udp(9, 9, b"last"), header=UDP),
            }
            others = {
                "lan": {"link": ipv6(mac, link_local(mac), udp(1, 2), header=UDP)},
                "six": {
                    "IPv4": ipv4(mac, "10.9.0.9", udp(1, 2)),
                    "ARP": arp(mac, (mac, "10.9.0.9"), GATEWAY),
                },
            }
            assert wire.pass_of(others[name], own[name]) == set()
            run(f"tc filter del dev {ends[0].host_ifname} ingress")
            assert wire.pass_of(others[name], own[name]) == set(others[name])


@in_namespaces
def test_flood_of_macs_teaches_the_bridge_none() -> None:
    """Each MAC that it learns takes memory of the host's, and there is no end to them."""
    with WiredHost() as host:
        own, _other, wire = _pair(host)
        flood = {
            str(number): ipv4(f"02:66:00:00:{number >> 8:02x}:{number & 255:02x}", own.v4)
            for number in range(200)
        }
        last = ipv4(own.mac, own.v4, udp(9, 9, b"last"))
        assert wire.pass_of(flood, last) == set()
        known = run("bridge fdb show br br-dual").count("02:66:00:00")
        assert known == 0

        run(f"tc filter del dev {own.host_ifname} ingress")
        assert wire.pass_of(flood, last) == set(flood)
        assert run("bridge fdb show br br-dual").count("02:66:00:00") == len(flood)


@in_namespaces
def test_guard_goes_with_its_port_and_is_not_touched_by_a_flush() -> None:
    """It is no nftables', and nothing of it has to be taken out behind a container."""
    with WiredHost() as host:
        own, other, wire = _pair(host)
        run("nft flush ruleset")
        frames = {"MAC of a sibling": ipv4(other.mac, own.v4, udp(1, 3))}
        assert wire.pass_of(frames, ipv4(own.mac, own.v4, udp(9, 9, b"last"))) == set()
        host.stop("evil")
        assert own.host_ifname not in run("tc qdisc show")


@in_namespaces
def test_ports_of_others_on_an_adopted_bridge_send_as_before() -> None:
    """Only what we made is guarded."""
    with WiredHost() as host:
        make_bridge("mcast_snooping 0", address="10.6.0.1/24")
        with host.engine() as engine:
            dock = network("dock", "10.6.0.0/24", device="br0", managed=False)
            engine.records.networks.add(dock)
        with neighbour_on("10.6.0.9/24") as pid:
            record = host.up("web", on("dock"))
            (end,) = record.endpoints
            wait_until(partial(is_forwarding, end.host_ifname), "the bridge has the port")
            theirs = {"any": ipv4(STRANGER, FOREIGN, udp(1, 2))}
            wire = Wire(pid, host.sleepers["web"].pid)
            assert wire.pass_of(theirs, ipv4(STRANGER, "10.6.0.9", udp(9, 9))) == set(theirs)
            mine = Wire(host.sleepers["web"].pid, pid)
            address = str(end.addresses[0].address)
            assert mine.pass_of(theirs, ipv4(end.mac, address, udp(9, 9))) == set()


@in_namespaces
def test_what_a_guard_dropped_is_named_by_doctor_and_explain() -> None:
    """Also where a container has given itself another address, and wonders."""
    with WiredHost() as host:
        own, other, wire = _pair(host)
        last = ipv4(own.mac, own.v4, udp(9, 9, b"last"))
        with host.engine() as engine:
            record = engine.containers.find("evil")
            start = GuardDrops(engine.host.bridge_filters, record.endpoints)
            spoofed = {"another": ipv4(own.mac, other.v4, udp(1, 2))}
            assert start.hops("evil") == start.told() == ()
            wire.pass_of(spoofed, last)
            (hop,) = start.hops("evil")
            assert not hop.ok
            assert "eth0 dropped a frame that bore another MAC or address" in hop.what
            found = [told.what for told in Doctor(engine, PATHS).examine() if told.place == "evil"]
            assert [what for what in found if what.startswith("the guard of eth0 dropped")]

        run("ip link set eth0 address 02:66:00:00:00:01", pid=host.sleepers["evil"].pid)
        with host.engine() as engine:
            told = engine.explain("evil", "host")
        assert [hop for hop in told.hops if not hop.ok and "the guard of eth0" in hop.what]


@in_namespaces
def test_container_does_not_become_the_bridges_multicast_router() -> None:
    """The bridge would send it what siblings send to their groups; without the guard it does."""
    with WiredHost() as host:
        own, _other, wire = _pair(host)
        run("ip link set br-dual type bridge mcast_snooping 1")
        claims = {
            "query": ipv4(own.mac, own.v4, _igmp(0x11), protocol=IGMP, options=ALERT,
                          target="224.0.0.1", to="01:00:5e:00:00:01"),
        }  # fmt: skip
        last = ipv4(own.mac, own.v4, udp(9, 9, b"last"))
        wire.pass_of(claims, last)
        assert own.host_ifname not in run("bridge -d mdb show")
        run(f"tc filter del dev {own.host_ifname} ingress")
        wire.pass_of(claims, last)
        assert f"router ports on br-dual: {own.host_ifname}" in run("bridge -d mdb show")

"""Packets that are too long for the uplink, and whether their sender is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network, on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import UplinkedHost

if TYPE_CHECKING:
    from ocinet.engine.black_holes import BlackHole

_UPLINK_MTU = 1400


class NarrowHost(UplinkedHost):
    """With an uplink of both families that carries less than the containers' links."""

    def __init__(self) -> None:
        super().__init__()
        run("ip addr add 2001:db8::1/64 dev up0 nodad")
        run("ip -6 route add default via 2001:db8::2")
        run("ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev up0")
        with self.engine() as engine:
            engine.records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64", mtu=1500))
        self.up("web", on("six"))
        run(f"ip link set up0 mtu {_UPLINK_MTU}")

    def black_hole(self, family: int) -> BlackHole | None:
        """Return what is found."""
        with self.engine() as engine:
            return engine.black_hole("web", family)


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_long_packets_that_are_told_of_are_no_black_hole(family: int) -> None:
    """Where they fit, and where the host says that they don't; nothing stays behind."""
    with NarrowHost() as host:
        assert host.black_hole(family) is None
        run("ip link set up0 mtu 1500")
        assert host.black_hole(family) is None
        assert "trace" not in run("nft list tables")


@pytest.mark.parametrize(
    ("family", "rule", "remedy"),
    [
        (4, "icmp type destination-unreachable drop",
         "nft insert rule inet adm out icmp type destination-unreachable accept"),
        (6, "icmpv6 type packet-too-big drop",
         "nft insert rule inet adm out icmpv6 type packet-too-big accept"),
    ],
)  # fmt: skip
@in_namespaces
def test_rule_that_keeps_the_word_from_the_sender_is_named(
    family: int, rule: str, remedy: str
) -> None:
    """With its chain, and a command that helps indeed."""
    with NarrowHost() as host:
        run("nft add table inet adm")
        run("nft add chain inet adm out { type filter hook output priority 0 ; }")
        run(f"nft add rule inet adm out {rule}")
        hole = host.black_hole(family)
        assert hole
        assert (hole.size, hole.why) == (1500, f"inet adm out: {rule} → drop")
        assert hole.remedy == remedy
        run(*remedy.split())
        assert host.black_hole(family) is None


@in_namespaces
def test_black_hole_of_iptables_policy_is_mended_by_iptables() -> None:
    """A host that lets nothing out but what it knows, and forgot these."""
    with NarrowHost() as host:
        run("iptables-nft -P OUTPUT DROP")
        run("iptables-nft -A OUTPUT -p tcp -j ACCEPT")
        hole = host.black_hole(4)
        assert hole
        assert hole.why == "ip filter OUTPUT: policy → drop"
        accept = "-p icmp --icmp-type fragmentation-needed -j ACCEPT"
        assert hole.remedy == f"iptables -I OUTPUT {accept}"
        run(*hole.remedy.replace("iptables", "iptables-nft").split())
        assert host.black_hole(4) is None


@in_namespaces
def test_firewall_that_lets_out_what_belongs_to_a_flow_is_no_black_hole() -> None:
    """The flow is one that conntrack knows, as any real one whose packets grow."""
    with NarrowHost() as host:
        run("nft add table inet adm")
        run("nft add chain inet adm out { type filter hook output priority 0 ; policy drop ; }")
        run("nft add rule inet adm out ct state established,related accept")
        assert host.black_hole(4) is None


@in_namespaces
def test_rule_against_long_packets_themselves_is_named() -> None:
    """Nobody but who wrote it knows why."""
    with NarrowHost() as host:
        run("ip link set up0 mtu 1500")
        run("nft add table inet adm")
        run("nft add chain inet adm fw { type filter hook forward priority 10 ; }")
        run("nft add rule inet adm fw meta length > 1450 drop")
        hole = host.black_hole(4)
        assert hole
        assert hole.why == "inet adm fw: meta length > 1450 drop → drop"
        assert hole.remedy == "see who wants it: nft -a list chain inet adm fw"


@in_namespaces
def test_narrow_host_end_loses_packets_with_no_rule() -> None:
    """A pair of veth of two lengths drops what is too long for the other end, and says nothing."""
    with NarrowHost() as host:
        run("ip link set up0 mtu 1500")
        with host.engine() as engine:
            [endpoint] = engine.containers.find("web").endpoints
        run(f"ip link set {endpoint.host_ifname} mtu 1300")
        hole = host.black_hole(4)
        assert hole
        assert (hole.why, hole.remedy) == (
            "no rule of the host's stops it", "ocinet check --repair",
        )  # fmt: skip


@in_namespaces
def test_what_does_not_get_out_at_all_is_no_matter_of_length() -> None:
    """Dropped, or without a route: other ways tell of it."""
    with NarrowHost() as host:
        run("nft add table inet adm")
        run("nft add chain inet adm fw { type filter hook forward priority 10 ; policy drop ; }")
        assert host.black_hole(4) is None
        run("ip route del default", pid=host.sleepers["web"].pid)
        assert host.black_hole(4) is None

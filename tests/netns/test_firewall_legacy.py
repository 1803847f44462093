"""iptables-legacy's tables are judged as packets fare, and told with what opens them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import on, tcp
from hosts.namespace.bridged_host import EVERY, HOST, NEIGHBOUR, BridgedHost
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import IN, OUT, UplinkedHost
from hosts.requirements import missing
from ocinet.base.address import Address
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.model.passage import ForwardDrop, Passage

pytestmark = pytest.mark.needs("iptables-legacy")
# Rules of a chain that FORWARD goes to, and whether they let our bridge's packets pass.
RULES = {
    "reject at the end": (["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-j REJECT"],
                          False),
    "all but what is published": (["! -i lan -o lan -m conntrack"
                                   " ! --ctstate DNAT,ESTABLISHED -j DROP"], True),
    "by Docker 28": (["! -i lan -o lan -j DROP"], False),
    "by Docker 28, another's": (["! -i docker0 -o docker0 -j DROP"], True),
    "by direction": (["-i lan -m conntrack --ctdir REPLY -j DROP"], False),
    "by state": (["-m state --state NEW -j DROP"], False),
    "invalid": (["-m conntrack --ctstate INVALID -j DROP"], True),
    "syn": (["-p tcp -m tcp --tcp-flags SYN,ACK SYN -j DROP"], False),
    "not syn": (["-p tcp -m tcp ! --tcp-flags SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP"],
                True),
    "a port": (["-p tcp -m tcp --dport 25 -j DROP", "-p udp -j DROP"], True),
    "limits": (["-m limit --limit 500/s -j RETURN", "-j DROP"], True),
    "type of address": (["-m addrtype --dst-type LOCAL -j DROP"], True),
    "unicast": (["-m addrtype --dst-type UNICAST -j DROP"], False),
    "marks": (["-m mark ! --mark 0 -j DROP", "-m mark --mark 4 -j DROP"], True),
    "a subnet": (["-s 10.9.0.0/24 -j DROP"], False),
    "another's subnet": (["-s 10.8.0.0/24 -j DROP", "-d 203.0.113.0/24 -j DROP"], True),
    "by name's beginning": (["-i la+ -j DROP"], False),
    "accepted first": (["-i lan -j ACCEPT", "-o lan -j ACCEPT", "-j DROP"], True),
    "a comment": (["-i lan -m comment --comment no -j REJECT --reject-with icmp-port-unreachable"],
                  False),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _needs_tables() -> None:
    """A kernel without them has nothing that could be judged."""
    if not Path("/proc/net/ip_tables_names").exists():
        missing("this kernel has no iptables-legacy tables")


def _judge() -> tuple[ForwardDrop, ...]:
    passage = Passage("lan", 0, (Address.parse("10.9.0.128"),), uplink="up0")
    with NetfilterSocket() as netfilter:
        return ForwardAccepts(netfilter).judge(passage)


@in_namespaces
def test_judge_chains_of_iptables_legacy_as_packets_fare() -> None:
    """What drops them is told, and nothing else is."""
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.serve_all()
        assert _judge() == ()
        run("iptables-legacy", "-N", "others")
        run("iptables-legacy", "-A", "FORWARD", "-j", "others")
        for name, (rules, passes) in RULES.items():
            for rule in rules:
                run("iptables-legacy", "-A", "others", *rule.split())
            drop = ForwardDrop("ip filter FORWARD", "others", legacy="iptables-legacy")
            assert _judge() == (() if passes else (drop,)), name
            ask = world.ask if passes else world.ask_in_vain
            out = ask("a", NEIGHBOUR[4], 7000) == f"neighbour {HOST[4]}"
            published = ask("neighbour", HOST[4], EVERY) == f"a {NEIGHBOUR[4]}"
            assert (out and published) == passes, name
            run("iptables-legacy", "-F", "others")


@in_namespaces
def test_attach_beside_iptables_legacy_that_drops_tells_what_opens_it() -> None:
    """At each attach, for its changes are not numbered; followed to the letter it is open."""
    with UplinkedHost() as host:
        host.up("db", on("lan"))
        host.up("known", on("lan"))  # from here on it is known that nothing drops
        run("iptables-legacy", "-P", "FORWARD", "DROP")
        host.up_serving("web", on("lan", publish=(tcp(8080),)))
        assert set(host.unreached("web", "db")) >= {OUT, IN}
        (told,) = host.warned()
        assert told.startswith("filter FORWARD of iptables-legacy drops packets of br-lan")
        run("sh", "-ec", told.partition(": ")[2])
        assert host.unreached("web", "db") == []
        host.up("late", on("lan"))
        assert host.warned() == [told]


@pytest.mark.parametrize(
    "chain", ["-t raw PREROUTING", "-t mangle FORWARD", "-t mangle POSTROUTING"]
)
@in_namespaces
def test_attach_beside_another_table_of_iptables_legacy_that_drops_says_so(chain: str) -> None:
    """Also where there is no `filter`; followed to the letter, its own packets are let out.

    In POSTROUTING they are known by where they leave alone: only the chain is shown then.
    """
    with UplinkedHost() as host:
        host.up("db", on("lan"))
        _flag, table, name = chain.split()
        run("iptables-legacy", "-t", table, "-A", name, "-s", "10.9.0.0/24", "-j", "DROP")
        host.up_serving("web", on("lan", publish=(tcp(8080),)))
        assert OUT in host.unreached("web", "db")
        (told,) = host.warned()
        assert told.startswith(f"{table} {name} of iptables-legacy drops packets of br-lan: ")
        opens = told.partition(": ")[2].removesuffix(", shows the rule")
        run("sh", "-ec", opens)
        assert (OUT in host.unreached("web", "db")) == (name == "POSTROUTING")


@in_namespaces
def test_dockers_chains_in_iptables_legacy_are_left_their_isolation() -> None:
    """The rules that are told go where Docker wants them, and leave its networks to it."""
    run("iptables-legacy", "-P", "FORWARD", "DROP")
    for chain in ("DOCKER-USER", "DOCKER-ISOLATION-STAGE-1", "DOCKER"):
        run("iptables-legacy", "-N", chain)
        run("iptables-legacy", "-A", "FORWARD", "-j", chain)
    with BridgedHost(bridge_nf=False):
        (drop,) = _judge()
    assert drop.chain == "ip filter DOCKER-USER"
    assert drop.isolation == ("DOCKER-ISOLATION-STAGE-1", "DOCKER")

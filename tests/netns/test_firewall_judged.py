"""What is judged of others' chains is what happens to packets."""

from __future__ import annotations

import pytest

from hosts.namespace.bridged_host import EVERY, HOST, NEIGHBOUR, BridgedHost
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, run
from ocinet.base.address import Address
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.model.passage import ForwardDrop, Passage
from ocinet.engine.plan.networks import explain_forward_drop, explain_ipset

# The body of a chain on the forward hook, and whether it lets our bridge's packets pass.
NFT = {
    "policy": ("policy drop;", False),
    "established only": ("policy drop; ct state established,related accept;", False),
    "last rule": ("ct state established,related accept; reject;", False),
    "new ones": ('iifname "up0" ct state new drop;', False),
    "new ones that were not published": ('iifname "up0" ct state new ct status & dnat == 0 drop;',
                                         True),
    "verdict map": ("policy drop; ct state vmap { established : accept, related : accept };"
                    ' iifname "lan" accept; oifname "lan" ct status dnat accept;', True),
    "one way": ('policy drop; ct state established accept; iifname "lan" accept;', False),
    "by a set of links": ("policy drop; iifname { up0, lan } oifname { up0, lan } accept;", True),
    "by all but a set": ("iifname != { up1, old } counter drop;", False),
    "by name's beginning": ('iifname "la*" drop;', False),
    "by subnet": ("ip saddr 10.0.0.0/8 drop;", False),
    "by range": ("ip saddr 10.9.0.0-10.9.0.255 drop;", False),
    "by link and subnet": ("iifname . ip saddr { lan . 10.0.0.0/8 } drop;", False),
    "accepted by subnet": ("policy drop; ip saddr 10.0.0.0/8 accept; ip daddr 10.0.0.0/8 accept;",
                           True),
    "somebody in particular": ("ip saddr 203.0.113.7 drop; ip daddr { 10.9.0.77, 10.9.0.78 } drop;"
                               " tcp dport 25 reject; meta l4proto icmp drop;", True),
    "invalid and odd ones": ("ct state invalid drop; ip ttl < 2 drop;"
                             " ip frag-off & 0x1fff != 0 drop;"
                             " tcp flags & (fin|syn|rst|ack) != syn ct state new drop;", True),
    "too many": ("limit rate over 1000/second drop; ct count over 1000 drop;", True),
    "limited": ("policy drop; limit rate 1000/second accept;", True),
    "marks": ("meta mark 0x4 drop; meta mark set 0x7; meta mark 0x7 accept; drop;", True),
    "not unicast": ("fib daddr type != unicast drop; meta pkttype != host drop;", True),
    "by address family": ("meta nfproto ipv6 drop;", True),
    "ipv4": ("meta nfproto ipv4 drop;", False),
}  # fmt: skip

# Rules of iptables', likewise.
IPTABLES = {
    "reject at the end": (["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-j REJECT"],
                          False),
    "all but what is published": (["! -i lan -o lan -m conntrack"
                                   " ! --ctstate DNAT,ESTABLISHED -j DROP"], True),
    "by Docker 28": (["! -i lan -o lan -j DROP"], False),
    "by Docker 28, another's": (["! -i docker0 -o docker0 -j DROP"], True),
    "by a state of DNAT": (["-m conntrack --ctstate DNAT -j DROP"], False),
    "by direction": (["-i lan -m conntrack --ctdir REPLY -j DROP"], False),
    "invalid": (["-m conntrack --ctstate INVALID -j DROP"], True),
    "syn": (["-p tcp -m tcp --tcp-flags SYN,ACK SYN -j DROP"], False),
    "not syn": (["-p tcp -m tcp ! --tcp-flags SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP"],
                True),
    "a port": (["-p tcp -m tcp --dport 25 -j DROP", "-p udp -j DROP"], True),
    "limits and logs": (["-m limit --limit 500/s -j RETURN", "-j DROP"], True),
    "type of address": (["-m addrtype --dst-type LOCAL -j DROP",
                         "-m addrtype ! --dst-type UNICAST -j DROP"], True),
    "unicast": (["-m addrtype --dst-type UNICAST -j DROP"], False),
    "a mark": (["-m mark ! --mark 0 -j DROP"], True),
    "no mark": (["-m mark --mark 0 -j DROP"], False),
}  # fmt: skip

# What Docker 29 makes with --firewall-backend=nftables, as moby's own pages show it
# (integration/network/bridge/nftablesdoc), less what the forward hook does not see.
DOCKER_29 = """\
table ip docker-bridges {{
    map filter-forward-in-jumps {{
        type ifname : verdict
        elements = {{ "{bridge}" : jump filter-forward-in }}
    }}
    chain filter-FORWARD {{
        type filter hook forward priority filter; policy accept;
        {mark}
        oifname vmap @filter-forward-in-jumps
    }}
    chain filter-forward-in {{
        ct state established,related counter accept
        iifname "{bridge}" counter accept
        counter drop
    }}
}}
"""
# As docs/watcher.md has it, for another bridge.
MARKING = """\
table ip ocinet-docker0 { chain forward { type filter hook forward priority filter - 1;
    oifname "lan" ct status dnat meta mark set 1; }; }
"""


def _judge() -> tuple[ForwardDrop, ...]:
    (lan,) = ip_json("link show dev lan")
    passage = Passage("lan", lan["ifindex"], (Address.parse("10.9.0.128"),), uplink="up0")
    with NetfilterSocket() as netfilter:
        return ForwardAccepts(netfilter).judge(passage)


def _passes(world: BridgedHost, *, expected: bool) -> bool:
    """Tell whether a container gets out, and its port is reached."""
    ask = world.ask if expected else world.ask_in_vain
    out = ask("a", NEIGHBOUR[4], 7000) == f"neighbour {HOST[4]}"
    published = ask("neighbour", HOST[4], EVERY) == f"a {NEIGHBOUR[4]}"
    return out and published


@in_namespaces
def test_judge_chains_of_nftables_as_packets_fare() -> None:
    """What drops them is told, and nothing else is."""
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.serve_all()
        for name, (body, passes) in NFT.items():
            chain = f"chain forward {{ type filter hook forward priority 5; {body} }}"
            run("nft", "-f", "-", given=f"table inet others {{ {chain}; }}")
            drops = () if passes else (ForwardDrop("inet others forward", "forward"),)
            assert _judge() == drops, name
            assert _passes(world, expected=passes) == passes, name
            run("nft", "delete", "table", "inet", "others")


@in_namespaces
def test_judge_tables_of_docker_29_as_packets_fare() -> None:
    """Another's bridge is reached; an adopted one's ports are if a rule marks their packets.

    Each chain is judged by itself: a mark that an earlier one sets is not known then.
    """
    drop = ForwardDrop("ip docker-bridges filter-FORWARD", "filter-forward-in")
    cases = (
        ("docker0", "", "", (), True),
        ("lan", "", "", (drop,), False),
        ("lan", "meta mark 0x1 accept", MARKING, (drop,), True),
    )
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.serve_all()
        for bridge, mark, marking, drops, passes in cases:
            run("nft", "-f", "-", given=DOCKER_29.format(bridge=bridge, mark=mark) + marking)
            assert _judge() == drops, (bridge, mark)
            assert _passes(world, expected=passes) == passes, (bridge, mark)
            run("nft", "delete", "table", "ip", "docker-bridges")


@pytest.mark.needs("iptables-nft")
@in_namespaces
def test_judge_chains_of_iptables_as_packets_fare() -> None:
    """Jumped to, by the matches that firewalls use; and our rules at the top let them pass."""
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.serve_all()
        run("iptables-nft", "-N", "others")
        run("iptables-nft", "-A", "FORWARD", "-j", "others")
        for name, (rules, passes) in IPTABLES.items():
            for rule in rules:
                run("iptables-nft", "-A", "others", *rule.split())
            drop = ForwardDrop("ip filter FORWARD", "others", "ip filter FORWARD")
            assert _judge() == (() if passes else (drop,)), name
            assert _passes(world, expected=passes) == passes, name
            if not passes:
                with NetfilterSocket() as netfilter:
                    accepts = ForwardAccepts(netfilter)
                    accepts.add("lan", (drop.accept_in,), managed=True)
                    assert _judge() == (), name
                    assert _passes(world, expected=True), name
                    accepts.remove("lan")
            run("iptables-nft", "-F", "others")


# What is in a set, the rule that looks packets up in it, and whether they pass.
IPSETS = {
    "our subnet": ("hash:net", "10.9.0.0/24", "--match-set marked src -j DROP", False),
    "our subnet as destination": ("hash:net", "10.9.0.0/24", "--match-set marked dst -j DROP",
                                  False),
    "another's": ("hash:net", "10.8.0.0/24", "--match-set marked src -j DROP", True),
    "our addresses": ("hash:ip", "10.9.0.2-10.9.0.200", "--match-set marked src -j DROP", False),
    "all but ours": ("hash:net", "10.9.0.0/24", "! --match-set marked src -j DROP", False),
    "who is out there": ("hash:ip", "203.0.113.7", "--match-set marked src -j REJECT", True),
}  # fmt: skip


@pytest.mark.needs("iptables-nft", "ipset")
@in_namespaces
def test_judge_looks_packets_up_in_sets_of_ipsets() -> None:
    """As Docker 28.0 has its bridges' subnets in one, and many a firewall whom it keeps out."""
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.serve_all()
        for name, (kind, member, rule, passes) in IPSETS.items():
            run("ipset", "create", "marked", kind)
            run("ipset", "add", "marked", member)
            run("iptables-nft", "-A", "FORWARD", "-m", "set", *rule.split())
            drop = ForwardDrop("ip filter FORWARD", "FORWARD", "ip filter FORWARD")
            assert _judge() == (() if passes else (drop,)), name
            assert _passes(world, expected=passes) == passes, name
            run("iptables-nft", "-F", "FORWARD")
            run("ipset", "destroy", "marked")


@pytest.mark.needs("iptables-nft", "ipset")
@in_namespaces
def test_judge_tells_of_a_set_that_it_can_not_look_packets_up_in() -> None:
    """By several fields: whether it drops is not guessed."""
    with BridgedHost(bridge_nf=False):
        run("ipset", "create", "marked", "hash:net,iface")
        rule = ("-m", "set", "--match-set", "marked", "src,src", "-j", "DROP")
        run("iptables-nft", "-A", "FORWARD", *rule)
        drop = ForwardDrop("ip filter FORWARD", "FORWARD", ipset="marked")
        assert _judge() == (drop,)
        told = explain_ipset(drop, "lan")
        assert told.endswith("and may drop them: ipset list marked")


@pytest.mark.needs("iptables-nft")
@in_namespaces
def test_judge_tells_the_chain_that_helps() -> None:
    """Docker's for the rules of others, but only if packets come by it before they end."""
    run("iptables-nft", "-N", "DOCKER-USER")
    run("iptables-nft", "-A", "FORWARD", "-j", "DOCKER-USER")
    run("iptables-nft", "-A", "FORWARD", "-j", "REJECT")
    with BridgedHost(bridge_nf=False):
        (drop,) = _judge()
        assert drop.accept_in == "ip filter DOCKER-USER"
        run("iptables-nft", "-I", "FORWARD", "-i", "lan", "-j", "DROP")
        (drop,) = _judge()
        assert drop.accept_in == "ip filter FORWARD"


@in_namespaces
def test_judge_finds_each_chain_that_drops() -> None:
    """One drop counts over all accepts of others, so all of them are told."""
    for table in ("one", "two"):
        chain = "chain gate { type filter hook forward priority 5; policy drop; }"
        run("nft", "-f", "-", given=f"table inet {table} {{ {chain}; }}")
    chain = 'chain gate { type filter hook forward priority 9; iifname "lan" accept; accept; }'
    run("nft", "-f", "-", given=f"table inet three {{ {chain}; }}")
    with BridgedHost(bridge_nf=False):
        assert [drop.chain for drop in _judge()] == ["inet one gate", "inet two gate"]


OURS, PORT = "iifname '\"lan\"'", f"tcp dport {EVERY}"
EITHER = (OURS, "oifname '\"lan\"'")
# The hook and priority of a chain, its body, and what lets our packets pass: () if they do.
OTHER_HOOKS = {
    "by ports, as most are": ("prerouting priority -150", "ct state established,related accept;"
                              ' iifname "up0" tcp dport { 22, 443 } accept;'
                              ' iifname "up0" ip daddr 192.0.2.1 drop;', (PORT,)),
    "our port among them": ("prerouting priority -150", "ct state established,related accept;"
                            f' iifname "up0" tcp dport {{ 22, {EVERY} }} accept;'
                            ' iifname "up0" drop;', ()),
    "our port alone": ("prerouting priority -300", f'iifname "up0" tcp dport {EVERY} drop;',
                       (PORT,)),
    "what is for the host": ("prerouting priority -300", "fib daddr type local tcp flags & "
                             "(syn | ack) == syn drop;", (PORT,)),
    "by address of the host": ("prerouting priority -150", "ip daddr 192.0.2.1 accept;"
                               ' iifname "lan" accept; drop;', ()),
    "what containers send": ("prerouting priority -300", "ip saddr 10.0.0.0/8 drop;", (OURS,)),
    "without conntrack": ("prerouting priority -300", "ct state established drop; ct state new"
                          " drop;", ()),
    "where it came from": ("prerouting priority -300", "fib saddr . iif oif missing drop;", ()),
    "once it is translated": ("prerouting priority -50", 'iifname "up0" ip daddr 10.0.0.0/8'
                              " ct state new drop;", ("ct status dnat",)),
    "before it is translated": ("prerouting priority -150", 'iifname "up0" ip daddr 10.0.0.0/8'
                                " drop;", ()),
    "what leaves": ("postrouting priority 0", 'ct state established,related accept; oifname "up0"'
                    " ip saddr 192.0.2.1 accept; drop;", EITHER),
    "what has left": ("postrouting priority 150", 'oifname "up0" ip saddr 10.0.0.0/8 drop;', ()),
    "what is for containers": ("postrouting priority 0", 'policy drop; iifname "lan" accept;',
                               EITHER),
}  # fmt: skip


@in_namespaces
def test_judge_chains_before_and_behind_the_routing_as_packets_fare() -> None:
    """Ports are let in there by number; what is told opens them, followed to the letter."""
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.serve_all()
        (lan,) = ip_json("link show dev lan")
        passage = Passage("lan", lan["ifindex"], (Address.parse("10.9.0.128"),), uplink="up0",
                          hosts=(Address.parse(HOST[4]),), ports=(EVERY,))  # fmt: skip
        with NetfilterSocket() as netfilter:
            accepts = ForwardAccepts(netfilter)
            for name, (hook, body, lets) in OTHER_HOOKS.items():
                chain = f"chain gate {{ type filter hook {hook}; {body} }}"
                run("nft", "-f", "-", given=f"table inet others {{ {chain}; }}")
                drops = tuple(drop for drop in accepts.judge(passage) if not drop.idle)
                assert [drop.chain for drop in drops] == ["inet others gate"][: len(lets)], name
                assert _passes(world, expected=not lets) is not bool(lets), name
                if lets:
                    told = explain_forward_drop(drops, "lan")
                    run("sh", "-ec", told.partition(": ")[2])
                    assert told.count("insert rule") == len(lets), told
                    assert all(f"gate {each} accept" in told for each in lets), told
                    assert _passes(world, expected=True), name
                    assert all(drop.idle for drop in accepts.judge(passage)), name
                run("nft", "delete", "table", "inet", "others")


@in_namespaces
def test_judge_of_ports_that_nobody_publishes_is_idle() -> None:
    """A chain that lets ports in by number drops nothing of ours yet, but would."""
    body = (
        "type filter hook prerouting priority -150; iifname up0 ct state new tcp dport != 22 drop;"
    )
    run("nft", "-f", "-", given=f"table inet others {{ chain gate {{ {body} }}; }}")
    with BridgedHost(bridge_nf=False):
        (drop,) = _judge()
        assert drop.idle
        assert drop.lets == ()

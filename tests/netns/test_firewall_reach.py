"""Who reaches whom through the firewall, as packets say, and what each rule is for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from builders import record
from hosts.namespace.bridged_host import (
    ADOPTED,
    EVERY,
    FAR,
    HOST,
    INTERNAL,
    LOOP,
    LOOPBACK,
    NEIGHBOUR,
    OTHER,
    SILENCE_S,
    UPLINK,
    BridgedHost,
    address,
    chains_of_table,
    port_rules,
)
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.clock import boot_id
from ocinet.engine.kernel.port_sockets import hold
from ocinet.engine.plan.holding import places_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[BridgedHost], object]


def _expected(family: int) -> dict[tuple[str, str, int], str]:
    """Return who answers: (who asks, address, port) -> `SERVER CLIENT`, or "" for nobody."""
    host, loopback = HOST[family], LOOPBACK[family]
    neighbour, far_side = NEIGHBOUR[family], {4: "198.51.100.1", 6: "2001:db8:f::1"}[family]
    at = {name: address(name, family) for name in (*"abcio", "lan", "dmz", "vault", "old")}
    return {
        # from outside: published ports, and nothing else of the isolated networks
        ("neighbour", host, EVERY): f"a {neighbour}",
        ("neighbour", host, UPLINK): f"a {neighbour}",
        ("neighbour", at["lan"], UPLINK): "",
        ("neighbour", host, LOOP): "",
        ("neighbour", host, ADOPTED): f"o {neighbour}",
        ("neighbour", host, INTERNAL): "",
        ("neighbour", at["a"], 80): "",
        ("neighbour", at["i"], 80): "",
        ("neighbour", at["o"], 80): f"o {neighbour}",
        # through the host, to a port that it publishes
        ("neighbour", FAR[family], EVERY): f"far {neighbour}",
        ("a", FAR[family], EVERY): f"far {far_side}",
        # from the host
        ("host", host, EVERY): f"a {host}",
        ("host", host, UPLINK): f"a {host}",
        ("host", at["lan"], EVERY): f"a {at['lan']}",
        ("host", loopback, EVERY): f"a {at['lan']}" if family == 4 else "",
        ("host", loopback, LOOP): f"a {at['lan']}" if family == 4 else "",
        ("host", host, INTERNAL): f"i {host}",
        ("host", at["a"], 80): f"a {at['lan']}",
        # from the same network, and from the container itself
        ("b", at["a"], 80): f"a {at['b']}",
        ("b", host, EVERY): f"a {at['lan']}",
        ("b", at["lan"], EVERY): f"a {at['lan']}",
        ("a", host, EVERY): f"a {at['lan']}",
        ("a", at["lan"], EVERY): f"a {at['lan']}",
        ("i", host, INTERNAL): f"i {at['vault']}",
        ("o", host, ADOPTED): f"o {at['old']}",
        # from another network: published ports, and nothing else
        ("c", at["a"], 80): "",
        ("a", at["c"], 80): "",
        ("a", at["i"], 80): "",
        ("i", at["a"], 80): "",
        ("o", at["a"], 80): "",
        ("a", at["o"], 80): f"o {at['a']}",
        ("c", host, EVERY): f"a {at['c']}",
        ("c", at["dmz"], EVERY): f"a {at['c']}",
        ("a", host, OTHER): f"c {at['a']}",
        ("o", host, EVERY): f"a {at['o']}",
        ("i", host, EVERY): "",
        ("a", host, INTERNAL): "",
        # to the outside, and to the host
        ("a", neighbour, 7000): f"neighbour {host}",
        ("i", neighbour, 7000): "",
        ("o", neighbour, 7000): f"neighbour {at['o']}",
        ("a", at["lan"], 9001): f"host {at['a']}",
        ("i", at["vault"], 9001): f"host {at['i']}",
    }


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("bridge_nf", [False, True])
@pytest.mark.parametrize("closed", [False, True])
@in_namespaces
def test_traffic_reaches_whom_it_should_and_nobody_else(
    family: int, kind: str, bridge_nf: bool, closed: bool
) -> None:
    """The reachability table holds for both families and protocols, whatever bridge-nf is.

    Also where bridges have filters of their own; but nobody publishes into an internal
    network, and its own packets are not forwarded then.
    """
    with BridgedHost(bridge_nf=bridge_nf) as world:
        world.enter()
        world.serve_all()
        expected = _expected(family)
        if closed:
            world.close_bridges()
            del expected["i", HOST[family], INTERNAL]
        found = {}
        for question, answer in expected.items():
            ask = world.ask if answer else world.ask_in_vain
            found[question] = ask(*question, kind)
        assert found == expected


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@in_namespaces
def test_traffic_is_the_same_while_the_published_ports_are_held(family: int, kind: str) -> None:
    """A bound socket of the host at each published port gets nothing, and stops nothing."""
    rules = port_rules()
    places = places_of(record(ports=rules), boot_id())
    assert len(places) == len(rules)
    with BridgedHost(bridge_nf=True) as world, ExitStack() as held:
        for place in places:
            held.enter_context(hold(place))
        world.enter()
        world.serve_all()
        found = {}
        for question, answer in _expected(family).items():
            ask = world.ask if answer else world.ask_in_vain
            found[question] = ask(*question, kind)
        assert found == _expected(family)


def _neighbour_reaches_a_loopback_port(world: BridgedHost) -> bool:
    world.open_to_loopback("neighbour", HOST[4])
    return world.ask("neighbour", "127.0.0.1", LOOP) != ""


def _container_reaches_a_loopback_service(world: BridgedHost) -> bool:
    world.open_to_loopback("b", address("lan", 4))
    return world.ask("b", "127.0.0.1", 9000) != ""


def _container_passes_for_the_host(world: BridgedHost) -> bool:
    world.open_to_loopback("b", address("lan", 4))
    with world.inside("b"):
        run("ip", "addr", "add", "127.0.0.2/32", "dev", "eth0")
    return world.is_met("b", address("lan", 4), 9001, source="127.0.0.2", as_="host 127.0.0.2")


def _host_meets_its_own_service(world: BridgedHost) -> bool:
    world.serve("host", EVERY, at="::1")
    return world.ask("host", "::1", EVERY) == "host ::1"


def _meets(who: str, target: str, port: int, answer: str) -> Ask:
    return lambda world: world.ask(who, target, port) == answer


def _passes_for_a_container(family: int) -> Ask:
    """Return whether the neighbour's datagram with a container's address meets a service."""
    own, length = address("a", family), {4: "32", 6: "128 nodad"}[family]

    def ask(world: BridgedHost) -> bool:
        with world.inside("neighbour"):
            run("ip", "addr", "add", *f"{own}/{length} dev lo".split())
        return world.is_met("neighbour", HOST[family], 9001, source=own, as_=f"host {own}")

    return ask


def _leaks(family: int) -> Ask:
    return lambda world: world.leaks("a", family)


_ESTABLISHED = "ct state established,related accept"
_NO_LOOPBACK = 'meta nfproto ipv4 iif != "lo" drop comment'
_TO_LOOPBACK = f'@nh,128,8 0x7f {_NO_LOOPBACK} "ip daddr 127.0.0.0/8"'
_FROM_LOOPBACK = f'@nh,96,8 0x7f {_NO_LOOPBACK} "ip saddr 127.0.0.0/8"'
_LOCAL = "fib daddr type local "
_FROM_HOST = "type nat hook output priority -100; policy accept;\n\t\t"

# What is cut out of the table, whether bridged packets pass it, what is asked,
# and what the answer is with the whole table. Without the part, it is the other.
GUARDS: dict[str, tuple[str, bool, Ask, bool]] = {
    # attacks
    "neighbour to a port published on 127.0.0.1": (
        _TO_LOOPBACK, False, _neighbour_reaches_a_loopback_port, False),
    "container to a service of the host on 127.0.0.1": (
        _TO_LOOPBACK, True, _container_reaches_a_loopback_service, False),
    "container under a loopback address": (
        _FROM_LOOPBACK, True, _container_passes_for_the_host, False),
    "transit to a published port's number": (
        _LOCAL, False, _meets("neighbour", FAR[4], EVERY, f"far {NEIGHBOUR[4]}"), True),
    "transit to a published port's number, v6": (
        _LOCAL, False, _meets("neighbour", FAR[6], EVERY, f"far {NEIGHBOUR[6]}"), True),
    "container to a published port's number elsewhere": (
        _LOCAL, True, _meets("a", FAR[4], EVERY, "far 198.51.100.1"), True),
    "outside straight to a container": (
        "oifname @isolated drop", False,
        _meets("neighbour", address("a", 4), 80, f"a {NEIGHBOUR[4]}"), False),
    "network to network": (
        "oifname @isolated drop", True,
        _meets("c", address("a", 6), 80, f"a {address('c', 6)}"), False),
    "out of an internal network": (
        "iifname @internal drop", False,
        _meets("i", NEIGHBOUR[4], 7000, f"neighbour {address('i', 4)}"), False),
    "into an internal network": (
        "oifname @internal drop", False,
        _meets("neighbour", HOST[4], INTERNAL, f"i {NEIGHBOUR[4]}"), False),
    "private address gets out": (
        "ct state invalid ip saddr @masquerade4 drop", False, _leaks(4), False),
    "private address gets out, v6": (
        "ct state invalid ip6 saddr @masquerade6 drop", False, _leaks(6), False),
    "container's address from outside": (
        "ip saddr @inside4 iif != \"lo\" drop", False, _passes_for_a_container(4), False),
    "container's address from outside, v6": (
        "ip6 saddr @inside6 iif != \"lo\" drop", False, _passes_for_a_container(6), False),
    "container's address from anywhere": (
        "iifname != @bridges jump elsewhere", False, _passes_for_a_container(4), False),
    # what must work
    "published port from outside": (
        "ct status dnat accept", False,
        _meets("neighbour", HOST[4], EVERY, f"a {NEIGHBOUR[4]}"), True),
    "siblings, bridged through the firewall": (
        "iifname . oifname @same accept", True,
        _meets("b", address("a", 4), 80, f"a {address('b', 4)}"), True),
    "answers": (
        _ESTABLISHED, False, _meets("a", NEIGHBOUR[4], 7000, f"neighbour {HOST[4]}"), True),
    "sibling through the host": (
        "ip saddr . oifname @home4 masquerade", False,
        _meets("b", HOST[4], EVERY, f"a {address('lan', 4)}"), True),
    "itself through the host, bridged through the firewall": (
        "ip saddr . oifname @home4 masquerade", True,
        _meets("a", HOST[4], EVERY, f"a {address('lan', 4)}"), True),
    "what is published, for whoever is near it": (
        "ct status dnat jump hairpin", False,
        _meets("b", HOST[4], EVERY, f"a {address('lan', 4)}"), True),
    "sibling through the host, v6": (
        "ip6 saddr . oifname @home6 masquerade", False,
        _meets("b", HOST[6], EVERY, f"a {address('lan', 6)}"), True),
    "host through 127.0.0.1": (
        "ip saddr 127.0.0.0/8 oifname @bridges masquerade", False,
        _meets("host", "127.0.0.1", LOOP, f"a {address('lan', 4)}"), True),
    "host's own service on ::1": ("ip6 daddr ::1 return", False, _host_meets_its_own_service, True),
    "masquerade": (
        "ip saddr @masquerade4 masquerade", False,
        _meets("a", NEIGHBOUR[4], 7000, f"neighbour {HOST[4]}"), True),
    "masquerade, v6": (
        "ip6 saddr @masquerade6 masquerade", False,
        _meets("a", NEIGHBOUR[6], 7000, f"neighbour {HOST[6]}"), True),
    "no masquerade between our networks": (
        "oifname @bridges accept", False,
        _meets("c", HOST[4], EVERY, f"a {address('c', 4)}"), True),
    "no masquerade within the host": (
        'oif "lo" accept', False,
        _meets("host", address("dmz", 4), 9001, f"host {address('dmz', 4)}"), True),
    "host through its own address": (
        f"{_FROM_HOST}{_LOCAL}jump publish", False,
        _meets("host", HOST[4], EVERY, f"a {HOST[4]}"), True),
    "port on one address": (
        "dnat ip to meta l4proto . ip daddr . th dport map @publish4_at", False,
        _meets("neighbour", HOST[4], UPLINK, f"a {NEIGHBOUR[4]}"), True),
    "port on every address": (
        "dnat ip to meta l4proto . th dport map @publish4\n", False,
        _meets("neighbour", HOST[4], EVERY, f"a {NEIGHBOUR[4]}"), True),
    "port on one address, v6": (
        "dnat ip6 to meta l4proto . ip6 daddr . th dport map @publish6_at", False,
        _meets("neighbour", HOST[6], UPLINK, f"a {NEIGHBOUR[6]}"), True),
    "port on every address, v6": (
        "dnat ip6 to meta l4proto . th dport map @publish6\n", False,
        _meets("neighbour", HOST[6], EVERY, f"a {NEIGHBOUR[6]}"), True),
}  # fmt: skip


_ELSEWHERE = (
    # proven with a real bridge and its absence in `test_engine_attach`, where a router speaks
    "icmpv6 type nd-router-advert iifname @isolated drop",
    # in `test_access_rules`
    "iifname . oifname @closed goto among",
    "ip saddr @kept4 jump leaving",
    "ip6 saddr @kept6 jump leaving",
    # in `test_unmasked`
    "ip saddr . ip daddr @unmasked4 accept",
    "ip6 saddr . ip6 daddr @unmasked6 accept",
    "oifname . ip saddr . iifname @joined4 jump joined",
    "oifname . ip6 saddr . iifname @joined6 jump joined",
    "oifname . oifname @closed goto among",
)
# Where addresses are asked for. Beside the uplink's own there is a second one: by masquerading
# IPv4 bears the first, IPv6 the last.
_EGRESS = {
    "snat ip to ip saddr map @egress4": 4,
    "snat ip6 to ip6 saddr map @egress6": 6,
    "snat ip to ip saddr map @source4": 4,
    "snat ip6 to ip6 saddr map @source6": 6,
}
_SECOND = {4: "192.0.2.77", 6: "2001:db8::77"}
_ASKED_FOR = {4: _SECOND[4], 6: HOST[6]}
_CHOSEN = {4: HOST[4], 6: _SECOND[6]}
# Whose every rule is proven in `test_forwarding`, `test_closed` and `test_no_host`; and, of
# access, in `test_access_rules`.
_CHAINS_ELSEWHERE = ("guard", "bridged", "passed", "services", "names",
                     "among", "leaving", "refused", "refused_port")  # fmt: skip


@pytest.mark.parametrize("rule", _EGRESS)
@pytest.mark.parametrize("removed", [False, True])
@in_namespaces
def test_address_that_was_asked_for_is_borne(rule: str, removed: bool) -> None:
    """Without the rule it is the one that masquerading chooses."""
    family = _EGRESS[rule]
    with BridgedHost(bridge_nf=False) as world:
        world.enter(without=rule if removed else "")
        world.serve_all()
        own, asked = address("a", family), _ASKED_FOR[family]
        length = "32" if family == 4 else "128 nodad"
        run(f"ip addr add {_SECOND[family]}/{length} dev up0")
        if not removed:
            element = f"{own} : {asked}"
            kind = rule.rpartition("@")[2]
            run("nft", "add", "element", "inet", "ocinet", kind, f"{{ {element} }}")
        borne = _CHOSEN[family] if removed else asked
        assert world.ask("a", NEIGHBOUR[family], 7000) == f"neighbour {borne}"


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("removed", [False, True])
@in_namespaces
def test_rule_of_the_table_is_what_decides(guard: str, removed: bool) -> None:
    """With the rule it is so; with this one rule cut out it is the other way round."""
    rule, bridge_nf, ask, whole = GUARDS[guard]
    with BridgedHost(bridge_nf=bridge_nf) as world:
        world.enter(without=rule if removed else "")
        world.serve_all()
        expected = whole is not removed
        if not expected:
            world.patience_s = SILENCE_S
        assert ask(world) is expected


def test_every_rule_of_the_table_is_proven_by_its_absence() -> None:
    """No rule is in the table that the tests would not miss."""
    chains = (chain for chain in chains_of_table() if chain not in _CHAINS_ELSEWHERE)
    rules = [rule for chain in chains for rule in chains_of_table()[chain]]
    cut = [
        "meta nfproto @guarded jump guard",
        *(rule.strip() for rule, *_ in GUARDS.values()),
        *_ELSEWHERE,
        *_EGRESS,
    ]
    unproven = [rule for rule in rules if not any(rule in part or part in rule for part in cut)]
    assert len(rules) > 20
    assert unproven == []

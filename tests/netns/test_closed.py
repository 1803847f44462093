"""While our table is not there nothing opens: attacks after `nft flush ruleset`.

Forwarding and route_localnet stay on then. Each attack is made against all that keeps a
bridge closed, and once more without the one thing that stops it: so it is an attack.
"""

from __future__ import annotations

import pytest

from builders import network, on, tcp
from hosts.namespace.bridged_host import (
    EVERY,
    HOST,
    LOOP,
    LOOPBACK,
    MANAGED,
    NEIGHBOUR,
    SILENCE_S,
    BridgedHost,
    address,
    chains_of_table,
)
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import WiredHost

KINDS = ("tcp", "udp")
# What marks packets, and who does not get through without: whether bridged packets pass the
# firewall, who asks, for what, and who answers.
MARKING_RULES = {
    "oifname @isolated meta mark set 0x6f63696e": (
        False, ("neighbour", HOST[4], EVERY), f"a {NEIGHBOUR[4]}"),
    '@nh,128,8 0x7f meta nfproto ipv4 iif != "lo" meta mark set 0x6f63696e': (
        True, ("host", LOOPBACK[4], LOOP), "a 10.9.0.1"),
    "ct status dnat ip daddr . iifname @home4 meta mark set 0x6f63696e": (
        True, ("b", HOST[4], EVERY), "a 10.9.0.1"),
    "ct status dnat ip6 daddr . iifname @home6 meta mark set 0x6f63696e": (
        True, ("b", HOST[6], EVERY), "a fd00:9::1"),
}  # fmt: skip


def opened(what: str) -> None:
    """Take away one thing that keeps bridges closed."""
    if what == "rule":
        for family in ("-4", "-6"):
            run(f"ip {family} rule del priority 1")
        return
    for name in MANAGED:
        run(f"tc filter del dev {name} {what}")


def _flushed(*, bridge_nf: bool = False) -> BridgedHost:
    """Return a host with everything entered and closed, whose ruleset was flushed."""
    world = BridgedHost(bridge_nf=bridge_nf)
    world.enter()
    world.close_bridges()
    world.serve_all()
    run("nft flush ruleset")
    return world


def _asked(world: BridgedHost, who: str, target: str, port: int) -> dict[str, str]:
    return {kind: world.ask_in_vain(who, target, port, kind) for kind in KINDS}


SILENT = dict.fromkeys(KINDS, "")


@in_namespaces
def test_container_gets_to_no_service_at_127_0_0_1() -> None:
    """It routes 127.0.0.0/8 to the host, where route_localnet is on."""
    with _flushed() as world:
        world.open_to_loopback("a", address("lan", 4))
        world.patience_s = SILENCE_S
        assert _asked(world, "a", LOOPBACK[4], 9000) == SILENT
        assert not world.is_met("a", LOOPBACK[4], 9000, source=address("a", 4), as_="host 10.9.0.2")
        opened("ingress")
        assert world.ask_in_vain("a", LOOPBACK[4], 9000) == "host 10.9.0.2"
        assert world.is_met("a", LOOPBACK[4], 9000, source=address("a", 4), as_="host 10.9.0.2")


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("bridge_nf", [False, True])
@pytest.mark.parametrize(("who", "whom"), [("neighbour", "a"), ("neighbour", "i"), ("c", "a")])
@in_namespaces
def test_nobody_gets_to_containers_of_other_networks(
    family: int, bridge_nf: bool, who: str, whom: str
) -> None:
    """From the outside by a route through the host, and from network to network."""
    with _flushed(bridge_nf=bridge_nf) as world:
        target = address(whom, family)
        assert _asked(world, who, target, 80) == SILENT
        sender = NEIGHBOUR[family] if who == "neighbour" else address(who, family)
        world.patience_s = SILENCE_S
        assert not world.is_met(who, target, 80, source=sender, as_=f"{whom} {sender}")
        opened("egress")
        if whom == "i":  # no answer of its comes back
            assert world.is_met(who, target, 80, source=sender, as_=f"{whom} {sender}")
        else:
            assert _asked(world, who, target, 80) == dict.fromkeys(KINDS, f"{whom} {sender}")


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_nobody_gets_there_as_the_host(family: int) -> None:
    """With the address of the host on the bridge, which passes the filter of IPv4."""
    with _flushed() as world:
        gateway = address("lan", family)
        for who, device in (("neighbour", "eth0"), ("c", "eth0")):
            with world.inside(who):
                run(f"ip addr add {gateway}/{32 if family == 4 else 128} dev {device}"
                    f"{'' if family == 4 else ' nodad'}")  # fmt: skip
            world.patience_s = SILENCE_S
            assert not world.is_met(
                who, address("a", family), 80, source=gateway, as_=f"a {gateway}"
            )


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_internal_network_gets_nowhere(family: int) -> None:
    """No packet of its leaves the host, nor gets to another network; the host it reaches."""
    with _flushed() as world:
        source, neighbour = address("i", family), NEIGHBOUR[family]
        with world.inside("i"):
            run(f"ip route replace default via {address('vault', family)}")
        met = f"neighbour {source}"
        world.patience_s = SILENCE_S
        assert not world.is_met("i", neighbour, 7000, source=source, as_=met)
        assert not world.is_met("i", address("c", family), 80, source=source, as_=f"c {source}")
        world.serve("host", 9002)
        for there in (address("vault", family), HOST[family]):
            assert world.ask("i", there, 9002) == f"host {source}"
        opened("rule")
        assert world.is_met("i", neighbour, 7000, source=source, as_=met)


@pytest.mark.parametrize("bridge_nf", [False, True])
@in_namespaces
def test_what_needs_no_table_goes_on(bridge_nf: bool) -> None:
    """Within a network; container and host; a connection that is open."""
    with _flushed(bridge_nf=bridge_nf) as world:
        for kind in KINDS:
            assert world.ask("a", address("b", 4), 80, kind) == "b 10.9.0.2"
            assert world.ask("host", address("a", 4), 80, kind) == "a 10.9.0.1"
            assert world.ask("a", address("b", 6), 80, kind) == "b fd00:9::2"
            assert world.ask("a", address("lan", 4), 9001, kind) == "host 10.9.0.2"
        assert world.ask("a", HOST[4], 9001) == "host 10.9.0.2"


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_open_connection_outlives_a_flush(family: int) -> None:
    """As it may come by a flowtable of somebody's, past all chains."""
    with BridgedHost(bridge_nf=False) as world:
        world.enter()
        world.close_bridges()
        world.serve_all()
        with world.open_socket("host", "tcp", family) as client:
            client.settimeout(10)
            client.connect((address("a", family), 80))
            assert client.recv(200).startswith(b"a ")
            run("nft flush ruleset")
            client.send(b"more")
            assert client.recv(200) == b""  # it has answered by its end


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_table_that_is_made_again_opens_at_once(family: int) -> None:
    """What is published, and the way out."""
    with _flushed() as world:
        assert _asked(world, "neighbour", HOST[family], EVERY) == SILENT
        world.enter()
        for kind in KINDS:
            assert world.ask("neighbour", HOST[family], EVERY, kind) == f"a {NEIGHBOUR[family]}"
            assert world.ask("a", NEIGHBOUR[family], 7000, kind) == f"neighbour {HOST[family]}"
        if family == 4:
            assert world.ask("host", LOOPBACK[4], LOOP) == "a 10.9.0.1"


@pytest.mark.parametrize("rule", MARKING_RULES)
@pytest.mark.parametrize("removed", [False, True])
@in_namespaces
def test_rule_that_marks_is_what_lets_pass(rule: str, removed: bool) -> None:
    """With the rule it passes, and with this one cut out it does not."""
    bridge_nf, question, answer = MARKING_RULES[rule]
    with BridgedHost(bridge_nf=bridge_nf) as world:
        world.enter(without=rule if removed else "")
        world.close_bridges()
        world.serve_all()
        for family in ("", "-6 "):  # a neighbour that is not sure is asked for through the bridge
            run(f"ip {family}neigh flush all")
        ask = world.ask_in_vain if removed else world.ask
        assert ask(*question, "udp") == ("" if removed else answer)


def _held() -> tuple[str, str]:
    """Return what keeps `br-lan` and `br-vault` closed, as iproute2 shows it."""
    filters = [
        run(f"tc filter show dev {device} {way}")
        for device in ("br-lan", "br-vault")
        for way in ("ingress", "egress")
    ]
    return "".join(filters), "".join(run(f"ip {family} rule") for family in ("-4", "-6"))


@pytest.mark.parametrize(
    "fault",
    [
        "tc filter del dev br-vault ingress",
        "tc filter del dev br-vault egress",
        "tc qdisc del dev br-vault clsact",
        "ip -4 rule del iif br-vault",
        "ip -6 rule del iif br-vault",
    ],
)
@in_namespaces
def test_networks_are_closed_when_made_mended_by_check_and_leave_nothing(fault: str) -> None:
    """As the product does it: by attach, check, and network rm."""
    with WiredHost() as host:
        rules = _rules()
        with host.engine() as engine:
            vault = network("vault", "10.7.0.0/24", internal=True)
            engine.records.networks.add(vault)
        host.up("web")
        host.up("safe", on("vault"))
        held = _held()
        assert held[0].count("direct-action") == 4
        assert held[1].count("iif br-vault blackhole") == 2
        run(fault)
        with host.engine() as engine:
            found = [finding.what for finding in engine.check(repair=True)]
            assert found == ["br-vault is open to what our table has not let pass"]
            assert engine.check() == ()
        assert _held() == held
        assert host.pings("web", "10.9.0.1")
        assert host.pings("safe", "10.7.0.1")
        host.stop("safe")
        with host.engine() as engine:
            engine.networks.remove("vault")
        assert _rules() == rules


def _rules() -> str:
    return run("ip -4 rule") + run("ip -6 rule")


@in_namespaces
def test_adopted_bridge_gets_back_what_it_had() -> None:
    """A filter of its owner's stays, beside ours and after it."""
    with WiredHost() as host:
        run("ip link add br0 type bridge")
        run("ip link set br0 txqueuelen 0")
        run("ip addr add 10.6.0.1/24 dev br0")
        run("ip link set br0 up")
        with host.engine() as engine:
            dock = network("dock", "10.6.0.0/24", device="br0", managed=False)
            engine.records.networks.add(dock)
        host.up("web", on("dock", publish=(tcp(8080),)))
        assert "direct-action" in run("tc filter show dev br0 ingress")
        assert "qlen 1000" not in run("ip link show br0")
        assert run("tc filter show dev br0 egress") == ""
        host.stop("web")
        own = "tc filter add dev br0 egress pref 9 bpf bytecode"
        run(*own.split(), "1,6 0 0 4294967295,", "direct-action")
        with host.engine() as engine:
            engine.networks.remove("dock")
        assert run("tc filter show dev br0 ingress") == ""
        assert "pref 9" in run("tc filter show dev br0 egress")
        run("tc qdisc del dev br0 clsact")

        with host.engine() as engine:
            engine.records.networks.add(dock)
        host.up("web", on("dock", publish=(tcp(8080),)))
        host.stop("web")
        with host.engine() as engine:
            engine.networks.remove("dock")
        assert "clsact" not in run("tc qdisc show dev br0")


def test_every_rule_that_marks_is_proven() -> None:
    """None is there that would not be missed."""
    chains = chains_of_table()
    redirects = [rule for rule in chains["passed"] if "redirect" in rule]
    assert len(redirects) == 2  # `test_access` proves them
    marking = [rule for rule in chains["passed"] if rule not in redirects]
    assert [*chains["bridged"], *marking] == [
        *list(MARKING_RULES)[1:],
        *list(MARKING_RULES)[:1],
    ]

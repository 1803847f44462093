"""What nobody claims is found, removed by gc and told by check; what somebody claims is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network, network_rules, on, tcp
from fakes.world import World, check
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import KernelError
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.forward_guard import ForwardGuard
from ocinet.engine.model.forwarding import LOOPBACK_ROUTED
from ocinet.engine.model.routing import (
    MARK_STEP,
    OUR_PROTOCOL,
    ReplyMark,
    RoutingRule,
    UplinkRules,
)
from ocinet.engine.plan.closing import nowhere
from ocinet.engine.plan.new_network import NetworkOptions
from ocinet.engine.ruleset.filters import LOOPBACK_ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEAD = PortRule("tcp", None, 8080, Address.parse("10.9.0.200"), 80)
DEAD_AT = DEAD.replace(protocol="udp", host_address=Address.parse("198.51.100.1"))
LOCALNET = "net/ipv4/conf/br0/route_localnet"


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host with `web` on `lan`, which publishes 9090."""
    with World() as made:
        made.up("web", on("lan", publish=(tcp(9090),)))
        yield made


def dead_port(world: World) -> None:
    """Leave a port of a container that nobody knows."""
    world.host.firewall.open((), (DEAD,))


def dead_port_at_an_address(world: World) -> None:
    """Leave one of a flow that goes on by itself."""
    world.host.firewall.open((), (DEAD_AT,))


def elements_of_a_network(world: World) -> None:
    """Leave what the firewall has of a network that is not there."""
    world.host.firewall.open((network_rules("br-old", "10.7.0.0/16", isolated=True),), ())


def other_options(world: World) -> None:
    """Leave what was said of a network of the same name, which was internal."""
    world.host.firewall.open((network_rules("br-lan", internal=True),), ())


def guard(world: World) -> None:
    """Leave a guard that is not on record."""
    world.host.firewall.open((), (), (ForwardGuard(6, ("br9",)),))


def blackhole(world: World) -> None:
    """Leave the routing rules of an internal network's bridge."""
    for rule in nowhere("ocbr-01234567"):
        world.host.routing_rules.put(rule)


def filters(world: World) -> None:
    """Leave what published ports needed of somebody's bridge."""
    world.host.add_bridge("br0")
    world.host.bridge_filters.put("br0", LOOPBACK_ALONE)
    world.host.sysctls.write(LOCALNET, LOOPBACK_ROUTED)


def reservation(world: World) -> None:
    """Leave an address that is kept for a name, on a network that is not there."""
    world.reservations.kept["old"] = {"10.7.0.9": "db"}


LEFT = [dead_port, dead_port_at_an_address, elements_of_a_network, other_options, guard,
        blackhole, filters, reservation]  # fmt: skip


def told(world: World, *, repair: bool = False) -> list[str]:
    """Return what check says that is left."""
    with world.engine() as engine:
        findings = engine.check(repair=repair)
    return [finding.what for finding in findings if " is left: " in finding.what]


def state(world: World) -> dict[str, object]:
    """Return all there is, but for what a host of others has anyway."""
    found = {**world.state(), "kept": dict(world.reservations.kept)}
    found["links"] = {name: link for name, link in found["links"].items() if name != "br0"}
    found["sysctls"] = {key: value for key, value in found["sysctls"].items() if "br0" not in key}
    return found


@pytest.mark.parametrize("left", LEFT)
def test_what_nobody_claims_is_removed_by_gc(world: World, left: Callable[[World], None]) -> None:
    """All of it, and nothing else; a second run finds nothing."""
    before = state(world)
    left(world)

    assert world.gc()
    assert state(world) == before
    check(world)
    if left is filters:
        assert world.host.bridge_filters.present("br0").ingress == b""
        assert world.host.sysctls.read(LOCALNET) == "0"
    assert world.gc() == []


@pytest.mark.parametrize("left", LEFT)
def test_what_nobody_claims_is_told_by_check(world: World, left: Callable[[World], None]) -> None:
    """And removed where it is asked to repair."""
    assert told(world) == []
    left(world)
    before = state(world)

    assert told(world)
    assert state(world) == before
    assert told(world, repair=True)
    assert told(world) == []


@pytest.mark.parametrize("left", LEFT)
def test_what_nobody_claims_stays_in_a_dry_run(world: World, left: Callable[[World], None]) -> None:
    """It is told."""
    left(world)
    before = state(world)
    with world.engine() as engine:
        leftovers = engine.gc(dry_run=True)
    assert leftovers
    assert not any(leftover.removed for leftover in leftovers)
    assert state(world) == before


@pytest.mark.parametrize("left", [elements_of_a_network, guard, blackhole, filters, reservation])
def test_what_may_be_of_an_unreadable_network_stays(
    world: World, left: Callable[[World], None]
) -> None:
    """Its file may say that it is its own."""
    world.networks.broken["old"] = "it is no JSON"
    left(world)
    before = state(world)
    world.gc()
    assert state(world) == before


def test_port_of_a_claim_without_a_record_stays(world: World) -> None:
    """An attach claims first, then writes its record, then opens the port."""
    world.ports.claim("new-id", "new", (tcp(8080),))
    dead_port(world)
    assert told(world, repair=True) == []
    assert (4, "tcp", 8080) in world.published()


def test_port_that_is_claimed_meanwhile_stays(world: World) -> None:
    """Between the look and the removal."""
    dead_port(world)
    with world.engine() as engine:
        new = world.start("new")

        def attach(_name: str) -> None:
            world.trace.before = lambda _name: None
            world.attach(new, on("lan", publish=(tcp(8080),)))

        def before(name: str) -> None:
            if name == "ports.while_unclaimed":
                attach(name)

        world.trace.before = before
        engine.gc()
    check(world)
    assert (4, "tcp", 8080) in world.published()


def test_routing_rules_of_others_stay(world: World) -> None:
    """Of another protocol, or another form."""
    theirs = (
        RoutingRule(4, 1, action="blackhole", iif="eth9", protocol=4),
        RoutingRule(4, 9, action="blackhole", iif="eth9", protocol=OUR_PROTOCOL),
    )
    for rule in theirs:
        world.host.routing_rules.put(rule)
    assert world.gc() == []
    assert world.host.routing_rules.all() == theirs


def test_second_table_goes_where_there_is_no_network() -> None:
    """Nobody's packets are meant by it."""
    marks = (ReplyMark(MARK_STEP, (Address.parse("198.51.100.1"),)),)
    with World(network("lan")) as world:
        world.host.uplinks.replace(UplinkRules(marks))
        assert world.gc() == []
        world.networks.remove("lan")
        assert world.gc() == [("element", "table inet ocinet-uplinks")]
        assert world.host.uplinks.rules == UplinkRules()


def test_gc_that_can_not_look_says_so(world: World) -> None:
    """And goes on with the rest."""
    world.host.trace.fail_on("elements.all", KernelError("cannot read netlink", "no"))
    assert ("element", "-") in world.gc()


def test_network_of_a_removed_ones_name_has_nothing_of_it(world: World) -> None:
    """Where the removal was killed: neither what was kept, nor a subnet in its way."""
    elements_of_a_network(world)
    world.reservations.kept["big"] = {"10.7.0.9": "db"}
    with world.engine() as engine:
        engine.networks.create("big", NetworkOptions((Subnet.parse("10.7.0.0/24"),)))
    assert world.reservations.kept == {}

    world.up("db", on("big"))
    check(world)


def test_network_that_stays_after_all_keeps_its_elements(world: World) -> None:
    """Its definition is away for a moment, while its removal finds that it is in use."""
    world.networks.remove("lan")
    before = world.table
    world.gc()
    assert world.table == before


def test_guard_of_a_family_that_we_forward_stays(world: World) -> None:
    """Its record is lost: the way from any network of the host to any other stays closed."""
    world.guards.put(())
    before = world.table
    assert before
    assert "guarded" in before
    world.gc()
    assert world.table == before

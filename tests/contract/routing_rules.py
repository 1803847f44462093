"""Of what the host's routes say of sources, and of our second table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.waiting import wait_until
from ocinet.base.address import Address, Interface, Subnet
from ocinet.engine.model.routing import (
    MARK_MASK,
    OUR_PROTOCOL,
    ReplyMark,
    RoutingRule,
    SourceNat,
    UplinkRules,
)
from ocinet.engine.plan.closing import nowhere
from ocinet.engine.ruleset.uplinks import fingerprint

if TYPE_CHECKING:
    from contract.place import Place

MARK = 0x0300_0000
MARKED = RoutingRule(4, 100, 4000, mark=MARK, mask=MARK_MASK, protocol=OUR_PROTOCOL)
MARKED6 = MARKED.replace(family=6, destination=Subnet.parse("2001:db8::/32"))
MARKS = (ReplyMark(MARK, (Address.parse("198.51.100.2"),)),)


def rules_are_those_with_a_source_or_a_mark(place: Place) -> None:
    """In their order; the kernel's own, which mind neither, are not among them."""
    routing = place.seams().routing_rules
    assert routing.rules() == ()
    place.add_source_rule("198.51.100.0/24", table=102, priority=200)
    place.add_source_rule("2001:db8::2/128", table=103, priority=100)
    place.add_source_rule("198.51.100.2/32", table=3000, priority=100)
    told = [(rule.family, rule.priority, rule.table, str(rule.source)) for rule in routing.rules()]
    assert told == [
        (4, 100, 3000, "198.51.100.2/32"),
        (4, 200, 102, "198.51.100.0/24"),
        (6, 100, 103, "2001:db8::2/128"),
    ]
    assert not any(rule.narrow or rule.is_ours for rule in routing.rules())


def add_puts_a_rule_behind_those_of_its_priority(place: Place) -> None:
    """A second time there is nothing to do."""
    routing = place.seams().routing_rules
    place.add_source_rule("198.51.100.2/32", table=102, priority=100)
    place.add_source_rule("198.51.100.3/32", table=103, priority=101)
    assert routing.add(MARKED)
    assert not routing.add(MARKED)
    assert [rule.table for rule in routing.rules()] == [102, 4000, 103]
    assert routing.rules()[1] == MARKED
    assert routing.rules()[1].is_ours


def add_keeps_all_that_a_rule_says(place: Place) -> None:
    """Of either family, whatever it does."""
    routing = place.seams().routing_rules
    made = (
        MARKED.replace(suppress_prefixlen=0, destination=Subnet.parse("203.0.113.0/24")),
        MARKED.replace(priority=101, action="unreachable", table=0),
        MARKED6,
    )
    for rule in made:
        assert routing.add(rule)
    assert routing.rules() == made


def remove_takes_that_rule_alone(place: Place) -> None:
    """Not there is fine."""
    routing = place.seams().routing_rules
    routing.remove(MARKED)
    place.add_source_rule("198.51.100.2/32", table=4000, priority=100)
    for rule in (MARKED, MARKED6):
        routing.add(rule)
    routing.remove(MARKED)
    routing.remove(MARKED.replace(mark=0x0400_0000))
    assert [rule.is_ours for rule in routing.rules()] == [False, True]


def has_tells_of_rules_that_mind_neither_source_nor_mark_as_well(place: Place) -> None:
    """As by which an internal network's packets get nowhere; `rules` does not show them."""
    routing = place.seams().routing_rules
    for rule in nowhere("br-vault"):
        assert not routing.has(rule)
        assert routing.add(rule)
        assert not routing.add(rule)
        assert routing.has(rule)
        assert not routing.has(rule.replace(iif="br-lan"))
    assert routing.rules() == ()
    for rule in nowhere("br-vault"):
        routing.remove(rule)
        assert not routing.has(rule)


def addresses_are_those_of_all_links(place: Place) -> None:
    """With the names of the links."""
    place.add_bridge("up1")
    place.add_address("up1", "198.51.100.2/24")
    found = place.seams().routing_rules.addresses()
    assert ("up1", Interface.parse("198.51.100.2/24")) in found
    assert ("lo", Interface.parse("127.0.0.1/8")) in found


def host_is_led_to_an_address_by_a_link_to_itself_or_nowhere(place: Place) -> None:
    """In the order of the questions."""
    place.add_bridge("br0")
    place.add_address("br0", "10.9.0.1/24")
    place.add_address("br0", "fd00:9::1/64")
    wanted = ("10.9.0.7", "198.51.100.7", "fd00:9::7", "10.9.0.1", "fd00:9::1")
    addresses = tuple(map(Address.parse, wanted))
    leads = place.seams().routing_rules.leads
    # To an address of its own of IPv6 the kernel has a route once nobody else answered for it.
    wait_until(lambda: leads(addresses)[-1] == "lo", "fd00:9::1 to be the host's")
    assert leads(addresses) == ("br0", "", "br0", "lo", "lo")
    assert leads(()) == ()


def ways_out_are_default_routes_that_say_an_address(place: Place) -> None:
    """With the link's addresses, in order; of the families that are asked for."""
    routing = place.seams().routing_rules
    assert routing.ways_out((4, 6)) == ()
    place.add_bridge("up1")
    for text in ("192.0.2.2/24", "192.0.2.9/24", "2001:db8::2/64"):
        place.add_address("up1", text)
    place.add_default_route("2001:db8::1", "up1")
    assert routing.ways_out((4, 6)) == ()
    place.add_default_route("192.0.2.1", "up1", source="192.0.2.9")
    assert routing.ways_out((6,)) == ()
    (way,) = routing.ways_out((4, 6))
    assert (way.ifname, str(way.gateway), str(way.source)) == ("up1", "192.0.2.1", "192.0.2.9")
    assert [str(held) for held in way.addresses if held.address.family == 4] == [
        "192.0.2.2/24", "192.0.2.9/24",
    ]  # fmt: skip
    assert way.says_more


def ways_out_are_of_either_family(place: Place) -> None:
    """One for each."""
    place.add_bridge("up1")
    for text in ("192.0.2.2/24", "2001:db8::2/64", "2001:db8::9/64"):
        place.add_address("up1", text)
    place.add_default_route("192.0.2.1", "up1", source="192.0.2.2")
    place.add_default_route("2001:db8::1", "up1", source="2001:db8::9")
    four, six = place.seams().routing_rules.ways_out((4, 6))
    assert [str(way.source) for way in (four, six)] == ["192.0.2.2", "2001:db8::9"]
    assert [way.says_more for way in (four, six)] == [False, True]


def replace_of_the_second_table_is_seen_with_the_rest(place: Place) -> None:
    """It tells what it is made of, and is gone without anything; a change is counted."""
    host = place.seams()
    host.uplinks.replace(UplinkRules())
    before = host.firewall.observe()
    assert before.uplinks == ""
    sources = SourceNat("up1", Address.parse("198.51.100.9"), (Subnet.parse("10.9.0.0/24"),))
    other = (MARKS[0].replace(mark=0x0400_0000), ReplyMark(MARK, (Address.parse("2001:db8::2"),)))
    seen = []
    for marks, nats in ((MARKS, ()), (other, (sources,)), ((), (sources,))):
        rules = UplinkRules(marks, nats)
        host.uplinks.replace(rules)
        made = host.firewall.observe()
        assert (made.table, made.uplinks) == (before.table, fingerprint(rules))
        seen.append((made.generation, made.uplinks))
    assert len(set(seen)) == len(seen)
    host.uplinks.replace(UplinkRules())
    assert host.firewall.observe().uplinks == ""


def blackholes_are_those_of_a_link(place: Place) -> None:
    """Of either family; what leads nowhere by its source is none."""
    routing = place.seams().routing_rules
    assert routing.blackholes() == ()
    for rule in nowhere("ocbr-00000000"):
        routing.add(rule)
    routing.add(MARKED)
    place.add_source_rule("198.51.100.0/24", table=102, priority=200)
    assert routing.blackholes() == nowhere("ocbr-00000000")

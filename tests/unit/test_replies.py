"""What a host's routes say of sources, and what that comes to for packets of containers."""

from __future__ import annotations

from typing import Any

import pytest

from builders import port, subnets
from ocinet.base.address import Address, Interface, Subnet
from ocinet.engine.model.observed import FirewallState, Observed, SourceRouting
from ocinet.engine.model.routing import (
    MARK_MASK,
    MOST_MARKS,
    OUR_PROTOCOL,
    Leaving,
    LeavingMark,
    ReplyMark,
    RoutingRule,
    SourceNat,
    UplinkRules,
    WayOut,
)
from ocinet.engine.plan.own_steps import Explain
from ocinet.engine.plan.replies import reply_marks
from ocinet.engine.plan.uplink_steps import FollowUplinks
from ocinet.engine.plan.uplinks import plan_uplinks, source_nats
from ocinet.engine.ruleset.uplinks import fingerprint

PORTS = (port(8080),)
FIRST, SECOND, THIRD = 0x0100_0000, 0x0200_0000, 0x0300_0000


def _rule(source: str, table: int = 102, priority: int = 100, **changes: Any) -> RoutingRule:
    subnet = Subnet.parse(source)
    return RoutingRule(subnet.family, priority, table, source=subnet).replace(**changes)


def _ours(rule: RoutingRule, mark: int) -> RoutingRule:
    changes = {"mark": mark, "mask": MARK_MASK, "protocol": OUR_PROTOCOL}
    return rule.replace(source=None, iif="", **changes)


def _routing(*rules: RoutingRule, at: tuple[str, ...] = ("198.51.100.2/24",)) -> SourceRouting:
    addresses = (("lo", "127.0.0.1/8"), ("lo", "::1/128"), *(("up2", text) for text in at))
    return SourceRouting(
        rules, tuple((ifname, Interface.parse(text)) for ifname, text in addresses)
    )


def _observed(
    routing: SourceRouting,
    marks: tuple[ReplyMark, ...] = (),
    sources: tuple[SourceNat, ...] = (),
) -> Observed:
    return Observed(
        (),
        FirewallState(table=True, uplinks=fingerprint(UplinkRules(marks, sources))),
        routing=routing,
    )


def _marked(mark: int, *addresses: str) -> ReplyMark:
    return ReplyMark(mark, tuple(map(Address.parse, addresses)))


def test_marks_of_a_host_without_source_rules_are_none() -> None:
    """And there is nothing to do."""
    assert reply_marks(SourceRouting()) == ((), ())
    assert plan_uplinks(PORTS, _observed(SourceRouting())) == ()


def test_marks_are_one_for_each_way() -> None:
    """Addresses whose packets meet the same rules have one; each rule is there once for it."""
    wide, narrow = _rule("198.51.100.0/24", 103, 200), _rule("198.51.100.2/32", 102, 100)
    six = _rule("2001:db8::/64", 106)
    at = ("198.51.100.2/24", "198.51.100.3/24", "198.51.100.4/24", "2001:db8::2/64", "192.0.2.2/24")
    marks, rules = reply_marks(_routing(narrow, wide, six, at=at))
    assert marks == (
        _marked(FIRST, "198.51.100.2"),
        _marked(SECOND, "198.51.100.3", "198.51.100.4"),
        _marked(THIRD, "2001:db8::2"),
    )
    assert rules == (
        _ours(narrow, FIRST), _ours(wide, FIRST), _ours(wide, SECOND), _ours(six, THIRD),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"destination": Subnet.parse("203.0.113.0/24")}, True),
        ({"action": "unreachable", "table": 0}, True),
        ({"suppress_prefixlen": 0}, True),
        ({"iif": "lo"}, True),
    ],
)
def test_rule_for_a_mark_says_what_the_source_rule_does(change: dict[str, Any], kept: bool) -> None:
    """All of it, but for whose packets; `iif lo` is what the host sends itself."""
    rule = _rule("198.51.100.2/32", **change)
    assert reply_marks(_routing(rule))[1] == (_ours(rule, FIRST),) * kept


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"narrow": True}, True),
        ({"mark": 7, "mask": 0xFF}, True),
        ({"iif": "eth7"}, False),  # which no packet of the host's own meets
    ],
)
def test_rule_that_cannot_be_followed_is_told(change: dict[str, Any], told: bool) -> None:
    """If it is about what the host sends."""
    routing = _routing(_rule("198.51.100.2/32", **change))
    assert reply_marks(routing) == ((), ())
    explained = [
        step.text for step in plan_uplinks(PORTS, _observed(routing)) if type(step) is Explain
    ]
    assert bool(explained) == told
    assert all("100 from 198.51.100.2/32" in text for text in explained)


def test_rule_for_nobody_here_is_passed_over() -> None:
    """As of a container of somebody else's, which Kubernetes has by the hundred."""
    assert reply_marks(_routing(*(_rule(f"10.0.0.{at}/32") for at in range(250)))) == ((), ())


def test_marks_stay_with_what_they_mean() -> None:
    """Connections bear them: a rule that goes, or comes before, changes nobody else's."""
    old, new = _rule("198.51.100.3/32", 103), _rule("198.51.100.2/32", 102)
    at = ("198.51.100.2/24", "198.51.100.3/24")
    marks, rules = reply_marks(_routing(new, old, _ours(old, FIRST), at=at))
    assert marks == (_marked(SECOND, "198.51.100.2"), _marked(FIRST, "198.51.100.3"))
    assert set(rules) == {_ours(new, SECOND), _ours(old, FIRST)}


def test_marks_that_are_too_many_are_left_out() -> None:
    """There are 255; nobody gets another's."""
    at = tuple(f"10.{high}.{low}.1/24" for high in (1, 2) for low in range(200))
    rules = (_rule(text.replace("/24", "/32"), 1000 + n) for n, text in enumerate(at))
    marks, made = reply_marks(_routing(*rules, at=at))
    assert len({reply.mark for reply in marks}) == len(marks) == len(made) == MOST_MARKS


def test_plan_where_all_is_as_wanted_is_nothing() -> None:
    """A later attach."""
    rule = _rule("198.51.100.2/32")
    marks = (_marked(FIRST, "198.51.100.2"),)
    assert plan_uplinks(PORTS, _observed(_routing(rule, _ours(rule, FIRST)), marks)) == ()


def test_plan_after_a_change_adds_first_and_takes_away_last() -> None:
    """What there is and means nothing any more, goes; the table is made of the marks."""
    rule, gone = _rule("198.51.100.2/32"), _ours(_rule("198.51.100.9/32", 109), SECOND)
    marks = (_marked(FIRST, "198.51.100.2"),)
    (step,) = plan_uplinks(PORTS, _observed(_routing(rule, gone)))
    assert step == FollowUplinks(UplinkRules(marks), (_ours(rule, FIRST),), (gone,))
    told = step.describe()
    assert told[0] == (
        "ip rule add priority 100 from all fwmark 0x1000000/0xff000000 lookup 102 protocol kernel"
    )
    assert "ocinet-uplinks" in told[1]
    assert told[2].startswith("ip rule del priority 100 from all fwmark 0x2000000/0xff000000")
    (step,) = plan_uplinks(PORTS, _observed(_routing(_ours(rule, FIRST)), marks))
    assert step == FollowUplinks(UplinkRules(), (), (_ours(rule, FIRST),))
    assert "delete table" in step.describe()[0]


def test_plan_where_the_table_alone_is_gone_makes_it_anew() -> None:
    """As after a flush."""
    rule = _rule("198.51.100.2/32")
    (step,) = plan_uplinks(PORTS, _observed(_routing(rule, _ours(rule, FIRST))))
    assert step == FollowUplinks(UplinkRules((_marked(FIRST, "198.51.100.2"),)), (), ())


def test_plan_tells_of_a_strict_link_only_where_answers_are_marked() -> None:
    """With the command; a host that routes nothing of its own by source is left alone."""
    rule = _rule("198.51.100.2/32")
    strict = _routing(rule, _ours(rule, FIRST)).replace(strict=("up2",))
    (step,) = plan_uplinks(PORTS, _observed(strict, (_marked(FIRST, "198.51.100.2"),)))
    assert isinstance(step, Explain)
    assert step.text.endswith("sysctl -w net/ipv4/conf/up2/rp_filter=2")
    assert (
        plan_uplinks(PORTS, _observed(_routing(_rule("10.0.0.1/32")).replace(strict=("up2",))))
        == ()
    )


def _way(source: str, *addresses: str, gateway: str = "192.0.2.1") -> WayOut:
    at = tuple(map(Interface.parse, addresses))
    return WayOut("up1", Address.parse(gateway) if gateway else None, Address.parse(source), at)


@pytest.mark.parametrize(
    ("way", "says_more"),
    [
        pytest.param(_way("192.0.2.2", "192.0.2.2/24"), False, id="as a DHCP client writes it"),
        pytest.param(_way("192.0.2.9", "192.0.2.2/24", "192.0.2.9/24"), True, id="the second"),
        pytest.param(_way("192.0.2.2", "192.0.2.2/24", "192.0.2.9/24"), False, id="the first"),
        pytest.param(_way("192.0.2.2", "10.1.1.1/24", "192.0.2.2/24"), False, id="the near one"),
        pytest.param(_way("10.1.1.1", "10.1.1.1/24", "192.0.2.2/24"), True, id="the far one"),
        pytest.param(_way("10.1.1.1", "10.1.1.1/24", gateway=""), False, id="no gateway"),
        pytest.param(_way("203.0.113.5", "192.0.2.2/24"), True, id="another link's"),
        pytest.param(_way("203.0.113.5"), True, id="no address"),
        pytest.param(_way("2001:db8::2", "2001:db8::2/64", "fe80::1/64"), False, id="one of IPv6"),
        pytest.param(_way("2001:db8::2", "2001:db8::2/64", "2001:db8::9/64"), True, id="two"),
    ],
)
def test_way_out_says_more_where_masquerading_takes_another(way: WayOut, says_more: bool) -> None:
    """As the kernel chooses; where that can't be known, it may."""
    assert way.says_more is says_more


def test_sources_are_of_each_way_for_what_is_masqueraded() -> None:
    """By family; and they are followed whether or not a port is published."""
    ways = (_way("203.0.113.5", "192.0.2.2/24"), _way("2001:db8::2"))
    nets = subnets("10.9.0.0/24", "10.8.0.0/24", "fd00:9::/64")
    routing = SourceRouting(ways=ways, masqueraded=nets)
    nats = (
        SourceNat("up1", ways[0].source, nets[:2], subnets("192.0.2.0/24")),
        SourceNat("up1", ways[1].source, nets[2:]),
    )
    assert source_nats(routing) == nats
    assert source_nats(routing.replace(masqueraded=nets[:2])) == nats[:1]
    for ports in (PORTS, ()):
        (step,) = plan_uplinks(ports, _observed(routing))
        assert step == FollowUplinks(UplinkRules((), nats), (), ())
        assert plan_uplinks(ports, _observed(routing, (), nats)) == ()
    (step,) = plan_uplinks((), _observed(SourceRouting(), (), nats))
    assert step == FollowUplinks(UplinkRules(), (), ())
    assert "delete table" in step.describe()[0]


def _leaving(**ways: str) -> tuple[Leaving, ...]:
    spelled = {f"10.{source[1:].replace('_', '.')}": to for source, to in ways.items()}
    return tuple(
        Leaving(Subnet.parse(f"{source}/{24 if source.endswith('.0') else 32}"), Address.parse(to))
        for source, to in spelled.items()
    )


def test_what_keeps_its_own_address_goes_as_ever_of_its_own_network_alone() -> None:
    """Before any mark, and before any address; of a host that says neither, nothing is made."""
    second, (one, far) = "198.51.100.2", subnets("10.9.0.0/24", "10.42.0.0/16")
    (six, far_six) = subnets("fd00:9::/64", "fd42::/16")
    kept: dict[str, Any] = {"unmasked": ((one, far), (six, far_six))}
    routing = _routing(_rule(f"{second}/32")).replace(
        leaving=_leaving(_8_0_0=second), inside=subnets("10.9.0.0/24", "10.8.0.0/24"), **kept
    )
    (step,) = plan_uplinks((), _observed(routing))
    text = "".join(step.describe())
    line = "ip saddr 10.9.0.0/24 ip daddr 10.42.0.0/16 return"
    assert text.index("chain leaving {") < text.index(line) < text.index("jump departures")
    assert "daddr { 10.8.0.0/24, 10.9.0.0/24 } return" in text
    ways = SourceRouting(
        ways=(_way("203.0.113.5", "192.0.2.2/24"),), masqueraded=subnets("10.8.0.0/24"), **kept
    )
    (step,) = plan_uplinks((), _observed(ways))
    text = "".join(step.describe())
    assert text.index(line) < text.index("snat ip to 203.0.113.5")
    assert "ip6 saddr fd00:9::/64 ip6 daddr fd42::/16 return" in text
    assert plan_uplinks((), _observed(SourceRouting(**kept))) == ()


def test_leaving_has_the_mark_of_the_hosts_own_packets() -> None:
    """Whose address has a rule; who leaves a network that has one says so before it."""
    second, third, first = "198.51.100.2", "198.51.100.3", "192.0.2.2"
    at = (f"{second}/24", f"{third}/24", f"{first}/24")
    routing = _routing(_rule(f"{second}/32"), _rule(f"{third}/32", 103), at=at).replace(
        leaving=_leaving(_9_0_0=second, _9_0_7=first, _9_0_8=third, _9_0_9=third, _8_0_7=first),
        inside=subnets("10.9.0.0/24", "10.42.0.0/16", "10.42.3.0/24", "fd00:9::/64"),
    )
    (step,) = plan_uplinks((), _observed(routing))
    assert isinstance(step, FollowUplinks)
    assert step.rules.leaving == (
        LeavingMark(0, subnets("10.9.0.7/32")),
        LeavingMark(SECOND, subnets("10.9.0.8/32", "10.9.0.9/32")),
        LeavingMark(FIRST, subnets("10.9.0.0/24")),
    )
    assert step.rules.inside == subnets("10.42.0.0/16", "10.9.0.0/24", "fd00:9::/64")
    text = "".join(step.describe())
    for line in (
        "ct direction original fib daddr type != local jump leaving",
        "ip saddr { 10.9.0.7/32 } return",
        "ip saddr { 10.9.0.0/24 } ct mark set ct mark and 0xffffff or 0x1000000 return",
        "ip daddr { 10.42.0.0/16, 10.9.0.0/24 } return",
        "ip6 daddr { fd00:9::/64 } return",
    ):
        assert f"\t\t{line}\n" in text


def test_leaving_by_the_way_of_all_others_is_not_followed() -> None:
    """Nothing is made where nobody's address has a rule of its own."""
    rule = _rule("198.51.100.2/32")
    routing = _routing(rule).replace(leaving=_leaving(_9_0_7="192.0.2.2"))
    assert plan_uplinks((), _observed(routing)) == ()


def test_marks_are_made_for_the_first_port_and_kept_for_the_others() -> None:
    """Who publishes nothing leaves the rules as they are to be."""
    rule = _rule("198.51.100.2/32")
    routing = _routing(rule)
    assert plan_uplinks((), _observed(routing)) == ()
    with_ours = _routing(rule, _ours(rule, FIRST))
    marks = (_marked(FIRST, "198.51.100.2"),)
    assert plan_uplinks((), _observed(with_ours, marks)) == ()
    assert plan_uplinks((), _observed(with_ours)) != ()

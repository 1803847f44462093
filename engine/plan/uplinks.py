"""What the host's routes say of sources, followed for packets of containers.

Two things that the kernel knows of its own packets and not of what is forwarded: by which
uplink an answer leaves (`replies`), and which address a packet bears. A default route may
say that (`src`, as floating addresses and routers' loopback ones have it), and masquerading
never looks at it: it takes the first address of the link in the gateway's subnet.
"""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.observed import Observed, SourceRouting
from ocinet.engine.model.routing import (
    LeavingMark,
    ReplyMark,
    RoutingRule,
    SourceNat,
    UplinkRules,
)
from ocinet.engine.plan.own_steps import Explain
from ocinet.engine.plan.replies import not_followed, reply_marks
from ocinet.engine.plan.steps import Step
from ocinet.engine.plan.uplink_steps import FollowUplinks
from ocinet.engine.ruleset.uplinks import fingerprint


def plan_uplinks(ports: tuple[PortRule, ...], observed: Observed) -> tuple[Step, ...]:
    """Return the steps that have packets of containers go as the host's own do.

    Args:
        ports: that are published; their answers are routed by source from the first one on.
        observed: with how the host routes by source.
    """
    routing = observed.routing
    wanted, step = plan_following(routing, observed.firewall.uplinks, ports)
    steps: list[Step] = [step] if step else []
    if ports or wanted.leaving:
        strict = routing.strict if wanted.marks else ()
        steps += [Explain(_explain_strict(ifname)) for ifname in strict]
        steps += [Explain(_explain_narrow(rule)) for rule in not_followed(routing)]
    return tuple(steps)


def plan_following(
    routing: SourceRouting, uplinks: str, ports: tuple[PortRule, ...] = ()
) -> tuple[UplinkRules, FollowUplinks | None]:
    """Return what the second table is to hold, and the step to that, if it is not so.

    Args:
        routing: how the host routes by source.
        uplinks: the fingerprint of the table that is there, "" for none.
        ports: as in `plan_uplinks`.
    """
    there = tuple(rule for rule in routing.rules if rule.is_ours)
    marks, rules = reply_marks(routing) if ports or there or routing.leaving else ((), ())
    leaving = leaving_marks(routing, marks)
    if not (ports or there or leaving):
        marks, rules = (), ()
    inside = _widest(routing.inside) if leaving else ()
    sources = source_nats(routing)
    unmasked = routing.unmasked if sources or leaving else ()
    wanted = UplinkRules(marks, sources, leaving, inside, unmasked)
    if set(rules) == set(there) and fingerprint(wanted) == uplinks:
        return wanted, None
    missing = tuple(rule for rule in rules if rule not in there)
    surplus = tuple(rule for rule in there if rule not in rules)
    return wanted, FollowUplinks(wanted, missing, surplus)


def leaving_marks(routing: SourceRouting, marks: tuple[ReplyMark, ...]) -> tuple[LeavingMark, ...]:
    """Return the marks of connections that containers begin with an address of the host's.

    So they meet the rules that the host has for what it sends from that address.

    Args:
        routing: with which address whose packets leave.
        marks: of the host's addresses.
    """
    of = {address: reply.mark for reply in marks for address in reply.addresses}
    by_source = {way.source: of.get(way.address, 0) for way in routing.leaving}
    marked = [source for source, mark in by_source.items() if mark]
    found: dict[tuple[int, int, int], list[Subnet]] = {}
    for source, mark in by_source.items():
        # Without a mark it need not be said, but within a network that has one.
        if mark or any(source.overlaps(other) for other in marked):
            key = source.family, -source.prefixlen, mark
            found.setdefault(key, []).append(source)
    return tuple(
        LeavingMark(key[2], tuple(sorted(sources, key=lambda source: source.first.value)))
        for key, sources in sorted(found.items())
    )


def _widest(subnets: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
    """Return subnets without those that lie in another one: in a set none may."""
    ordered = sorted(set(subnets), key=lambda each: (each.family, each.prefixlen, each.first.value))
    found: list[Subnet] = []
    for subnet in ordered:
        if not any(subnet.overlaps(wider) for wider in found):
            found.append(subnet)
    return tuple(found)


def source_nats(routing: SourceRouting) -> tuple[SourceNat, ...]:
    """Return which address packets bear by which link, where that is not left to masquerading."""
    found = []
    for way in routing.ways:
        family = way.source.family
        subnets = tuple(subnet for subnet in routing.masqueraded if subnet.family == family)
        own = [held.subnet for held in way.addresses if held.address.family == family]
        near = tuple(dict.fromkeys(subnet for subnet in own if subnet.size > 1))
        if subnets:
            found.append(SourceNat(way.ifname, way.source, subnets, near))
    return tuple(found)


def _explain_strict(ifname: str) -> str:
    from shlex import quote

    return (
        f"{ifname} refuses what would not be answered through it, and looks that up with the "
        "container's address (rp_filter=1), so ports that are published there may not be "
        "reached, nor answers come back to what leaves there:"
        f" sysctl -w net/ipv4/conf/{quote(ifname)}/rp_filter=2"
    )


def _explain_narrow(rule: RoutingRule) -> str:
    return (
        f"the routing rule {rule.priority} from {rule.source} has conditions that answers of "
        "published ports can't be held to, and is not followed by them: ip rule"
    )

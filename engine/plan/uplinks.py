"""What the host's routes say of sources, followed for packets of containers.

Two things that the kernel knows of its own packets and not of what is forwarded: by which
uplink an answer leaves (`replies`), and which address a packet bears. A default route may
say that (`src`, as floating addresses and routers' loopback ones have it), and masquerading
never looks at it: it takes the first address of the link in the gateway's subnet.
"""

from __future__ import annotations

from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.observed import Observed, SourceRouting
from ocinet.engine.model.routing import RoutingRule, SourceNat, UplinkRules
from ocinet.engine.plan.replies import not_followed, reply_marks
from ocinet.engine.plan.steps import Explain, Step
from ocinet.engine.plan.uplink_steps import FollowUplinks
from ocinet.engine.ruleset.uplinks import fingerprint


def plan_uplinks(ports: tuple[PortRule, ...], observed: Observed) -> tuple[Step, ...]:
    """Return the steps that have packets of containers go as the host's own do.

    Args:
        ports: that are published; their answers are routed by source from the first one on.
        observed: with how the host routes by source.
    """
    routing = observed.routing
    there = tuple(rule for rule in routing.rules if rule.is_ours)
    marks, rules = reply_marks(routing) if ports or there else ((), ())
    wanted = UplinkRules(marks, source_nats(routing))
    steps: list[Step] = []
    if set(rules) != set(there) or fingerprint(wanted) != observed.firewall.uplinks:
        missing = tuple(rule for rule in rules if rule not in there)
        surplus = tuple(rule for rule in there if rule not in rules)
        steps.append(FollowUplinks(wanted, missing, surplus))
    if ports:
        strict = routing.strict if marks else ()
        steps += [Explain(_explain_strict(ifname)) for ifname in strict]
        steps += [Explain(_explain_narrow(rule)) for rule in not_followed(routing)]
    return tuple(steps)


def source_nats(routing: SourceRouting) -> tuple[SourceNat, ...]:
    """Return which address packets bear by which link, where that is not left to masquerading."""
    found = []
    for way in routing.ways:
        family = way.source.family
        subnets = tuple(subnet for subnet in routing.masqueraded if subnet.family == family)
        own = [held.subnet for held in way.addresses if held.address.family == family]
        own += [far for far in routing.unmasked if far.family == family]
        near = tuple(dict.fromkeys(subnet for subnet in own if subnet.size > 1))
        if subnets:
            found.append(SourceNat(way.ifname, way.source, subnets, near))
    return tuple(found)


def _explain_strict(ifname: str) -> str:
    return (
        f"{ifname} refuses what would not be answered through it, and looks that up with the "
        "container's address (rp_filter=1), so ports that are published there may not be "
        f"reached: sysctl -w net/ipv4/conf/{ifname}/rp_filter=2"
    )


def _explain_narrow(rule: RoutingRule) -> str:
    return (
        f"the routing rule {rule.priority} from {rule.source} has conditions that answers of "
        "published ports can't be held to, and is not followed by them: ip rule"
    )

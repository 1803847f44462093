"""How answers from published ports get the way that the host's own answers take.

A host with several uplinks routes by source: `ip rule add from ADDRESS lookup TABLE` for
each uplink but one, as cloud images, netplan and NetworkManager write it. A container's
answer is routed while it still bears the container's address, for the kernel puts the
published one in its place only when it leaves: no such rule is for it, and it takes the
first uplink's default route. There the other provider drops it.

So a connection that came to such an address is marked, its answers are, and beside each
source rule there is one of ours for that mark.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.model.routing import (
    LOOKUP,
    MARK_MASK,
    MARK_STEP,
    MOST_MARKS,
    OUR_PROTOCOL,
    ReplyMark,
    RoutingRule,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.observed import SourceRouting

# What a rule of ours says, but for its mark.
_Meaning = tuple[RoutingRule, ...]


def reply_marks(
    routing: SourceRouting,
) -> tuple[tuple[ReplyMark, ...], tuple[RoutingRule, ...]]:
    """Return the marks for connections to the host's addresses, and the rules for those marks.

    Addresses whose packets meet the same rules have one mark. What there is keeps its mark
    as long as it means the same, for connections bear it. Where there are more ways than
    marks, the last ones get none.
    """
    by_meaning: dict[_Meaning, list[Address]] = {}
    for address in _addresses(routing):
        meaning = tuple(_mirrored(rule) for rule in routing.rules if _is_for(rule, address))
        if meaning:
            by_meaning.setdefault(meaning, []).append(address)
    followed = dict(list(by_meaning.items())[:MOST_MARKS])
    known = _known_marks(routing)
    taken = {known[meaning] for meaning in followed if meaning in known}
    free = (number * MARK_STEP for number in range(1, MOST_MARKS + 1))
    fresh = (mark for mark in free if mark not in taken)
    marks: list[ReplyMark] = []
    rules: list[RoutingRule] = []
    for meaning, addresses in followed.items():
        mark = known[meaning] if meaning in known else next(fresh)
        marks.append(ReplyMark(mark, tuple(addresses)))
        rules += [rule.replace(mark=mark) for rule in meaning]
    return tuple(marks), tuple(rules)


def _addresses(routing: SourceRouting) -> list[Address]:
    """Return the host's addresses that are somebody's to come to, each once, in order."""
    found = {interface.address for _ifname, interface in routing.addresses}
    usable = [address for address in found if not address.is_loopback]
    return sorted(usable, key=lambda address: (address.family, address.value))


def _is_for(rule: RoutingRule, address: Address) -> bool:
    """Tell whether the host's own packets from an address meet a rule because of it."""
    followed = not (rule.narrow or rule.mask) and rule.iif in ("", "lo")
    return followed and bool(rule.source and address in rule.source)


def _mirrored(rule: RoutingRule) -> RoutingRule:
    return rule.replace(source=None, iif="", mask=MARK_MASK, mark=0, protocol=OUR_PROTOCOL)


def _known_marks(routing: SourceRouting) -> dict[_Meaning, int]:
    """Return the marks that there are rules for, by what those rules say."""
    by_mark: dict[int, list[RoutingRule]] = {}
    for rule in routing.rules:
        if rule.is_ours:
            by_mark.setdefault(rule.mark, []).append(rule.replace(mark=0))
    return {tuple(rules): mark for mark, rules in by_mark.items()}


def not_followed(routing: SourceRouting) -> list[RoutingRule]:
    """Return the rules for what the host sends from its addresses that can't be followed."""
    addresses = _addresses(routing)
    return [
        rule
        for rule in routing.rules
        if (rule.narrow or rule.mask)
        and not rule.is_ours
        and rule.action == LOOKUP
        and any(rule.source and address in rule.source for address in addresses)
    ]

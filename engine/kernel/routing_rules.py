"""Routing rules, as `ip rule` shows them: values to messages and back.

Pure, as `ip_messages`. Layouts: <linux/fib_rules.h>, rtnetlink(7).
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6
from _struct import Struct

from ocinet.base.address import Subnet
from ocinet.engine.model.routing import LOOKUP, RoutingRule
from ocinet.engine.netlink.framing import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    attributes,
    message,
    number,
    u32,
)

RTM_NEWRULE = 32
RTM_DELRULE = 33

# family, destination and source length, tos, table, two reserved, action, flags
_RULE = Struct("=BBBBBBBBI")

_DST = 1
_SRC = 2
_IIFNAME = 3
_PRIORITY = 6
_FWMARK = 10
_SUPPRESS_PREFIXLEN = 14
_TABLE = 15
_FWMASK = 16
_PROTOCOL = 21
_PAD = 18
_KNOWN = frozenset(
    {_DST, _SRC, _IIFNAME, _PRIORITY, _FWMARK, _SUPPRESS_PREFIXLEN, _TABLE, _FWMASK, _PROTOCOL,
     _PAD}
)  # fmt: skip

_INVERT = 2  # FIB_RULE_INVERT: "not"
_ACTIONS = {1: LOOKUP, 6: "blackhole", 7: "unreachable", 8: "prohibit"}  # FR_ACT_…
_NUMBERS = {action: number for number, action in _ACTIONS.items()}
_FAMILIES = {4: AF_INET, 6: AF_INET6}
_LARGEST_BYTE = 0xFF
_NO_LENGTH = 0xFFFFFFFF


def new_rule(sequence: int, rule: RoutingRule) -> bytes:
    """Encode the making of a rule, behind those of the same priority; refused if it is there."""
    flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return message(RTM_NEWRULE, flags, sequence, _encode(rule))


def delete_rule(sequence: int, rule: RoutingRule) -> bytes:
    """Encode the deletion of the first rule that is like this one in all that it says."""
    return message(RTM_DELRULE, NLM_F_ACK, sequence, _encode(rule))


def _encode(rule: RoutingRule) -> bytes:
    source, destination = rule.source, rule.destination
    body = _RULE.pack(
        _FAMILIES[rule.family],
        destination.prefixlen if destination else 0,
        source.prefixlen if source else 0,
        0,
        rule.table if rule.table <= _LARGEST_BYTE else 0,
        0,
        0,
        _NUMBERS[rule.action],
        0,
    )
    body += u32(_PRIORITY, rule.priority)
    if destination:
        body += attribute(_DST, destination.first.packed)
    if source:
        body += attribute(_SRC, source.first.packed)
    if rule.iif:
        body += attribute(_IIFNAME, rule.iif.encode() + b"\0")
    if rule.action == LOOKUP:
        body += u32(_TABLE, rule.table)
    if rule.mask:
        body += u32(_FWMARK, rule.mark) + u32(_FWMASK, rule.mask)
    if rule.suppress_prefixlen >= 0:
        body += u32(_SUPPRESS_PREFIXLEN, rule.suppress_prefixlen)
    return body + attribute(_PROTOCOL, bytes((rule.protocol,)))


def decode_rule(body: bytes) -> RoutingRule | None:
    """Decode an RTM_NEWRULE; None where it is of neither IPv4 nor IPv6, as a multicast one."""
    family, to_length, from_length, tos, table, _, _, action, flags = _RULE.unpack_from(body)
    if family not in (AF_INET, AF_INET6):
        return None
    found = attributes(body, _RULE.size)
    suppressed = number(found.get(_SUPPRESS_PREFIXLEN, b"\xff" * 4))
    return RoutingRule(
        family=4 if family == AF_INET else 6,
        priority=number(found.get(_PRIORITY)),
        table=number(found[_TABLE]) if _TABLE in found else table,
        action=_ACTIONS.get(action, ""),
        source=_subnet(found.get(_SRC), from_length),
        destination=_subnet(found.get(_DST), to_length),
        iif=found.get(_IIFNAME, b"").rstrip(b"\0").decode("utf-8", "replace"),
        mark=number(found.get(_FWMARK)),
        mask=number(found.get(_FWMASK)),
        suppress_prefixlen=-1 if suppressed == _NO_LENGTH else suppressed,
        protocol=found.get(_PROTOCOL, b"\0")[0],
        narrow=bool(tos or flags & _INVERT or action not in _ACTIONS or set(found) - _KNOWN),
    )


def _subnet(packed: bytes | None, length: int) -> Subnet | None:
    if not packed:
        return None
    return Subnet(4 if len(packed) == 4 else 6, int.from_bytes(packed, "big"), length)

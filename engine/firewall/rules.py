"""Rules as the kernel encodes them, read back: expressions, and elements of sets. Pure.

Layouts are those of `linux/netfilter/nf_tables.h`; what iptables-nft makes has the
expressions `match` and `target` besides, with the structs of `linux/netfilter/xt_*.h`.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.firewall.nfnetlink import FAMILY_HEADER_SIZE
from ocinet.engine.netlink.framing import attributes, payloads

_RULE_EXPRESSIONS = 4
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_DATA_VALUE, _DATA_VERDICT = 1, 2
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_SET_KEY_LENGTH = 5
_LIST_ELEMENTS = 3
_ELEMENT_DATA, _ELEMENT_FLAGS = 2, 3
_INTERVAL_END = 1

DROP, ACCEPT, QUEUE = 0, 1, 3
CONTINUE, BREAK, JUMP, GOTO, RETURN = -1, -2, -3, -4, -5


class Expression(Value):
    """One expression of a rule.

    Attributes:
        name: as the kernel's module has it: cmp, meta, lookup.
        data: its attributes; the meaning of their numbers is the name's.
    """

    name: str
    data: dict[int, bytes]

    def number(self, kind: int, default: int = 0) -> int:
        """Return a number of its attributes, which are in network order."""
        return int.from_bytes(self.data[kind], "big") if kind in self.data else default


class Verdict(Value):
    """What is to become of a packet.

    Attributes:
        code: DROP, ACCEPT, JUMP and so on; codes of the kernel's own are below 0.
        chain: that is gone to.
    """

    code: int
    chain: str = ""


class Datum(Value):
    """What an expression or element carries: bytes for a register, or a verdict."""

    value: bytes
    verdict: Verdict | None = None


def text_of(payload: bytes) -> str:
    """Read a name."""
    return payload.rstrip(b"\0").decode("utf-8", "replace")


def decode_datum(payload: bytes) -> Datum:
    """Read the data of an expression or an element."""
    found = attributes(payload)
    verdict = attributes(found.get(_DATA_VERDICT, b""))
    if not verdict:
        return Datum(found.get(_DATA_VALUE, b""))
    code = int.from_bytes(verdict.get(_VERDICT_CODE, b""), "big", signed=True)
    return Datum(b"", Verdict(code, text_of(verdict.get(_VERDICT_CHAIN, b""))))


def decode_rule(body: bytes) -> tuple[Expression, ...]:
    """Read the expressions of a rule from the body of an answer."""
    listed = attributes(body, FAMILY_HEADER_SIZE).get(_RULE_EXPRESSIONS, b"")
    found = []
    for payload in payloads(listed):
        parts = attributes(payload)
        name = text_of(parts.get(_EXPRESSION_NAME, b""))
        found.append(Expression(name, attributes(parts.get(_EXPRESSION_DATA, b""))))
    return tuple(found)


def decode_key_length(body: bytes) -> int:
    """Read how many bytes a set's keys have from the answer to `get_set`."""
    return int.from_bytes(attributes(body, FAMILY_HEADER_SIZE).get(_SET_KEY_LENGTH, b""), "big")


def decode_element(body: bytes) -> Datum | None:
    """Read what an element leads to from the answer to `get_set_element`.

    None for the mark of an interval's end, which is no member of the set.
    """
    listed = attributes(body, FAMILY_HEADER_SIZE).get(_LIST_ELEMENTS, b"")
    for payload in payloads(listed):
        element = attributes(payload)
        if int.from_bytes(element.get(_ELEMENT_FLAGS, b""), "big") & _INTERVAL_END:
            continue
        return decode_datum(element.get(_ELEMENT_DATA, b""))
    return None

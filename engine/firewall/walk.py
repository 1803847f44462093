"""A sample's way through the rules of a chain, as the kernel would go it. Pure.

Only what decides is followed: counters, logs, limits that are not reached and marks that
are set for later change nothing for one packet. Registers are kept byte by byte, for a
rule may look at one bit of which nothing else is known.
"""

from __future__ import annotations

from ocinet.engine.firewall.ipset import decode_match
from ocinet.engine.firewall.rules import (
    ACCEPT,
    BREAK,
    CONTINUE,
    DROP,
    GOTO,
    JUMP,
    QUEUE,
    RETURN,
    Verdict,
    decode_datum,
    text_of,
)
from ocinet.engine.firewall.sample import native, unknown
from ocinet.engine.firewall.xt_matches import is_matched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.engine.firewall.ipset import SetMatch
    from ocinet.engine.firewall.rules import Datum, Expression
    from ocinet.engine.firewall.sample import Known, Sample

    Outcome = bool | Verdict  # whether the rule goes on, or how it ends

    class Ruleset(Protocol):
        """The table that a chain is in."""

        def rules(self, chain: str) -> tuple[tuple[Expression, ...], ...]:
            """Return the rules of a chain."""

        def key_length(self, name: str) -> int:
            """Return how long the keys of a set are, in bytes; 0 if there is no such set."""

        def element(self, name: str, key: bytes) -> Datum | None:
            """Return what a key leads to in a set or map, or None if it is not in."""

        def in_ipset(self, index: int, address: Address) -> bool | None:
            """Tell whether an address is in a set of ipset's; None if nobody knows."""


_REGISTERS = 80  # bytes: a verdict's 16 come first, see NFT_REG_*
_REGISTER_SIZE, _FIRST_OF_32 = 16, 8
_MAX_DEPTH = 16  # NFT_JUMP_STACK_SIZE

_EQ, _NEQ, _LT, _LTE, _GT, _GTE = range(6)
_INVERTED = 1
_PASSED_BY = ("counter", "log", "notrack", "dynset", "objref", "flow_offload", "last", "dup")
_TARGETS = {"REJECT": DROP, "DROP": DROP, "ACCEPT": ACCEPT, "NFQUEUE": ACCEPT}
_MARK = 3  # NFT_META_MARK
_FIB_ADDRTYPE, _FIB_PRESENT = 3, 1 << 5
_FIB_DESTINATION = 1 << 1
_UNICAST, _LOCAL = 1, 2  # RTN_*


class Walk:
    """One sample in one table.

    Args:
        ruleset: the table's.
        sample: that goes through it.

    Attributes:
        sample: the one that was given.
        visited: the chains that it came by, in order; where it was dropped last.
        unsure: numbers of ipset's sets that a rule looks it up in, of which nobody knows
            whether it is in: the walk goes on as if the rule was for others.
    """

    def __init__(self, ruleset: Ruleset, sample: Sample) -> None:
        self._ruleset = ruleset
        self.sample = sample
        self._bytes = unknown(_REGISTERS)
        self._mark: Known = [0, 0, 0, 0]
        self._does = self._acts()
        self.visited: list[str] = []
        self.unsure: list[int] = []

    def is_dropped(self, chain: str, *, policy_drops: bool) -> bool:
        """Tell whether a base chain drops it."""
        verdict = self._through(chain, 0)
        if verdict is None:
            self.visited.append(chain)  # it is the end of this one that decides
            return policy_drops
        return verdict == DROP

    def _through(self, chain: str, depth: int) -> int | None:
        """Return DROP or ACCEPT, or None where a chain ends without either."""
        self.visited.append(chain)
        if depth >= _MAX_DEPTH:
            return None
        for rule in self._ruleset.rules(chain):
            verdict = self._rule(rule)
            if verdict is None or verdict.code in (CONTINUE, BREAK):
                continue
            if verdict.code == RETURN:
                return None
            if verdict.code not in (JUMP, GOTO):
                if self.visited[-1] != chain:  # it has come back from another one
                    self.visited.append(chain)
                return ACCEPT if verdict.code == QUEUE else verdict.code
            final = self._through(verdict.chain, depth + 1)
            if final is not None or verdict.code == GOTO:
                return final
        return None

    def _rule(self, rule: tuple[Expression, ...]) -> Verdict | None:
        """Return the verdict of a rule; None if it does not match, or has none."""
        for expression in rule:
            if expression.name in _PASSED_BY:
                continue
            act = self._does.get(expression.name)
            if act is None:
                self._bytes = unknown(_REGISTERS)  # whatever it loaded, and into which
                continue
            outcome = act(expression)
            if isinstance(outcome, Verdict):
                return outcome
            if not outcome:
                return None
        return None

    def _acts(self) -> dict[str, Callable[[Expression], Outcome]]:
        """Return what each expression does: False where the rule does not match."""
        return {
            "immediate": self._immediate,
            "meta": self._meta,
            "ct": self._conntrack,
            "payload": self._payload,
            "bitwise": self._bitwise,
            "byteorder": self._byteorder,
            "cmp": self._compare,
            "range": self._range,
            "lookup": self._look_up,
            "fib": self._fib,
            "limit": self._limit,
            "connlimit": self._count,
            "quota": self._count,
            "reject": self._drop,
            "queue": self._accept,
            "match": self._match,
            "target": self._target,
        }

    def _at(self, register: int) -> int:
        if register < _FIRST_OF_32:
            return (register - 1) * _REGISTER_SIZE
        return (register - _FIRST_OF_32) * 4

    def _load(self, register: int, value: Known) -> bool:
        at = self._at(register)
        padded = value + [0] * (-len(value) % 4)
        self._bytes[at : at + len(padded)] = padded
        return True

    def _read(self, register: int, length: int) -> Known:
        at = self._at(register)
        return self._bytes[at : at + length]

    def _take(self, datum: Datum, register: int) -> Outcome:
        """Put a datum where it belongs: a verdict decides, bytes go into a register."""
        if datum.verdict is not None:
            return datum.verdict
        return self._load(register, [*datum.value])

    def _immediate(self, expression: Expression) -> Outcome:
        return self._take(decode_datum(expression.data.get(2, b"")), expression.number(1))

    def _meta(self, expression: Expression) -> bool:
        key = expression.number(2)
        if 3 in expression.data:
            if key == _MARK:
                self._mark = self._read(expression.number(3), 4)
            return True
        value = self._mark if key == _MARK else self.sample.meta(key)
        return self._load(expression.number(1), value)

    def _conntrack(self, expression: Expression) -> bool:
        if 4 in expression.data:
            return True
        return self._load(expression.number(1), self.sample.conntrack(expression.number(2)))

    def _payload(self, expression: Expression) -> bool:
        if 5 in expression.data:
            return True
        part = self.sample.header(*(expression.number(kind) for kind in (2, 3, 4)))
        return self._load(expression.number(1), part)

    def _bitwise(self, expression: Expression) -> bool:
        length = expression.number(3)
        value = self._read(expression.number(1), length)
        if expression.number(6):  # a shift
            return self._load(expression.number(2), unknown(length))
        mask, flipped = (decode_datum(expression.data.get(kind, b"")).value for kind in (4, 5))
        masked: Known = [
            other if not bits else None if byte is None else byte & bits ^ other
            for byte, bits, other in zip(value, mask, flipped, strict=False)
        ]
        return self._load(expression.number(2), masked)

    def _byteorder(self, expression: Expression) -> bool:
        length = expression.number(4)
        value = self._read(expression.number(1), length)
        same = value if not any(byte is None or byte for byte in value) else unknown(length)
        return self._load(expression.number(2), same)

    def _compare(self, expression: Expression) -> bool:
        wanted = decode_datum(expression.data.get(3, b"")).value
        value, operation = self._read(expression.number(1), len(wanted)), expression.number(2)
        known = _known(value)
        if known is None or operation in (_EQ, _NEQ):
            return (known == wanted) == (operation == _EQ) and operation in (_EQ, _NEQ)
        return {
            _LT: known < wanted, _LTE: known <= wanted, _GT: known > wanted, _GTE: known >= wanted,
        }[operation]  # fmt: skip

    def _range(self, expression: Expression) -> bool:
        first, last = (decode_datum(expression.data.get(kind, b"")).value for kind in (3, 4))
        known = _known(self._read(expression.number(1), len(first)))
        within = known is not None and first <= known <= last
        return within == (expression.number(2) == _EQ)

    def _look_up(self, expression: Expression) -> Outcome:
        name = text_of(expression.data.get(1, b""))
        key = _known(self._read(expression.number(2), self._ruleset.key_length(name)))
        datum = self._ruleset.element(name, key) if key else None
        if 3 not in expression.data:
            return (datum is not None) != bool(expression.number(5) & _INVERTED)
        return False if datum is None else self._take(datum, expression.number(3))

    def _fib(self, expression: Expression) -> bool:
        value: Known = unknown(_REGISTER_SIZE)
        if expression.number(3) & _FIB_PRESENT:
            value = [1]
        elif expression.number(2) == _FIB_ADDRTYPE:
            local = self.sample.local and expression.number(3) & _FIB_DESTINATION
            value = [*native(_LOCAL if local else _UNICAST)]
        return self._load(expression.number(1), value)

    def _limit(self, expression: Expression) -> bool:
        return not expression.number(5) & _INVERTED

    def _count(self, expression: Expression) -> bool:
        return not expression.number(2) & _INVERTED

    def _drop(self, _expression: Expression) -> Outcome:
        return Verdict(DROP)

    def _accept(self, _expression: Expression) -> Outcome:
        return Verdict(ACCEPT)

    def _match(self, expression: Expression) -> bool:
        name = text_of(expression.data.get(1, b""))
        if name == "set":
            return self._match_ipset(decode_match(expression.data.get(3, b"")))
        return is_matched(name, expression.data.get(3, b""), self.sample)

    def _match_ipset(self, match: SetMatch) -> bool:
        address = self.sample.source if match.by_source else self.sample.destination
        if address is None:
            return match.inverted
        # Of several fields, ports or links among them, at least one is not known.
        found = self._ruleset.in_ipset(match.index, address) if match.fields == 1 else None
        if found is None:
            self.unsure.append(match.index)
            return False
        return found != match.inverted

    def _target(self, expression: Expression) -> Outcome:
        code = _TARGETS.get(text_of(expression.data.get(1, b"")))
        return True if code is None else Verdict(code)


def _known(value: Known) -> bytes | None:
    """Return bytes, or None if one of them is not known."""
    found = [byte for byte in value if byte is not None]
    return bytes(found) if len(found) == len(value) else None

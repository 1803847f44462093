"""Elements of our table's sets, listed by the kernel and read back into values. Pure.

The other way of `nfnetlink.Batch`: whatever that enters comes back from here as it was.
Cold: for who looks for what nobody has any more.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.firewall.nfnetlink import (
    FAMILY_HEADER_SIZE,
    NFPROTO,
    PROTOCOL_NAMES,
    family_header,
)
from ocinet.engine.model.refused import Refused
from ocinet.engine.netlink.framing import NLM_F_DUMP, attribute, attributes, message, payloads
from ocinet.engine.ruleset.elements import Element
from ocinet.engine.ruleset.spans import Span, reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.ruleset.elements import Field, Kind, Set

_GETSETELEM = 10 << 8 | 13
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_KEY, _DATA, _FLAGS, _EXPRESSION, _KEY_END = 1, 2, 3, 7, 10
_EXPRESSION_DATA, _PACKETS = 2, 2  # NFTA_EXPR_DATA, NFTA_COUNTER_PACKETS
_VALUE = 1
_INTERVAL_END = 1
_PORTLESS = {1: "icmp", 58: "icmp"}
_FAMILIES = {2: "ipv4", 10: "ipv6"}
_SIZES: dict[Kind, int] = {
    "ifname": 16, "inet_proto": 1, "inet_service": 2, "ipv4_addr": 4, "ipv6_addr": 16,
    "nf_proto": 1,
}  # fmt: skip


def dump_elements(table: str, name: str) -> bytes:
    """Encode the question for all elements of a set, or map, of a table of family inet."""
    body = family_header(NFPROTO["inet"])
    body += attribute(_TABLE, table.encode() + b"\0") + attribute(_SET, name.encode() + b"\0")
    return message(_GETSETELEM, NLM_F_DUMP, 0, body)


def decode_elements(kind: Set, bodies: Iterable[bytes]) -> tuple[Element, ...]:
    """Read the elements of a set from the answers.

    What no ocinet enters, as a protocol that has no ports, is left out.
    """
    single = kind.interval and len(kind.key) == 1
    starts: dict[int, tuple[bytes, bytes]] = {}
    ends: list[int] = []
    found = []
    for body in bodies:
        for listed in payloads(attributes(body, FAMILY_HEADER_SIZE).get(_ELEMENTS, b"")):
            element = attributes(listed)
            first = _value(element.get(_KEY, b""))
            data = _value(element.get(_DATA, b""))
            if not single:
                found.append(_element(kind, first, _value(element.get(_KEY_END, b"")), data))
            elif int.from_bytes(element.get(_FLAGS, b""), "big") & _INTERVAL_END:
                ends.append(int.from_bytes(first, "big"))
            else:
                starts[int.from_bytes(first, "big")] = first, data
    for start, (first, data) in starts.items():
        # One that ends with the last address of all has no end.
        after = min((end for end in ends if end > start), default=1 << 8 * len(first))
        found.append(_element(kind, first, (after - 1).to_bytes(len(first), "big"), data))
    return tuple(element for element in found if element)


def decode_refused(bodies: Iterable[bytes]) -> tuple[Refused, ...]:
    """Read what was refused from the elements of the set that the rules enter it in."""
    found = []
    for body in bodies:
        for listed in payloads(attributes(body, FAMILY_HEADER_SIZE).get(_ELEMENTS, b"")):
            element = attributes(listed)
            key = _value(element.get(_KEY, b""))
            counter = attributes(
                attributes(element.get(_EXPRESSION, b"")).get(_EXPRESSION_DATA, b"")
            )
            size = (len(key) - 8) // 2
            if size not in (4, 16) or _PACKETS not in counter:
                continue
            number, port = key[2 * size], int.from_bytes(key[2 * size + 4 : 2 * size + 6], "big")
            found.append(
                Refused(
                    Address.unpack(key[:size]),
                    Address.unpack(key[size : 2 * size]),
                    PROTOCOL_NAMES.get(number) or _PORTLESS.get(number, str(number)),
                    port if number in PROTOCOL_NAMES else 0,
                    int.from_bytes(counter[_PACKETS], "big"),
                    0 if number in PROTOCOL_NAMES else port,
                )
            )
    return tuple(found)


def _value(nested: bytes) -> bytes:
    return attributes(nested).get(_VALUE, b"")


def _element(kind: Set, first: bytes, last: bytes, data: bytes) -> Element | None:
    try:
        return Element(kind, _fields(kind.key, first, last), _fields(kind.data, data, b""))
    except (ValueError, KeyError, IndexError):
        return None


def _fields(kinds: tuple[Kind, ...], first: bytes, last: bytes) -> tuple[Field, ...]:
    """Cut a key, or the data that it leads to, into its fields.

    Raises:
        ValueError, KeyError, IndexError: that is none of ours.
    """
    fields = []
    offset = 0
    for kind in kinds:
        size = _SIZES[kind]
        end = offset + size
        if len(first) < end:
            raise ValueError(kind)
        fields.append(_field(kind, first[offset:end], last[offset:end]))
        offset += size + 3 & ~3
    return tuple(fields)


def _field(kind: Kind, first: bytes, last: bytes) -> Field:
    if kind == "ifname":
        return first.rstrip(b"\0").decode()
    if kind == "inet_proto":
        return Span(first[0], last[0]) if last > first else PROTOCOL_NAMES[first[0]]
    if kind == "nf_proto":
        return _FAMILIES[first[0]]
    if kind == "inet_service":
        port = int.from_bytes(first, "big")
        return Span(port, int.from_bytes(last, "big")) if last > first else port
    return reach(Address.unpack(first), Address.unpack(last)) if last else Address.unpack(first)

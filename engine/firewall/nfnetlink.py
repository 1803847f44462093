"""nfnetlink requests for our nftables table, encoded, and the answers to them. Pure.

Elements are added and deleted in batches, which are transactions: all of it or
nothing. An element costs microseconds this way, a process of `nft` 2 ms.
`nft list` must show what is entered here exactly as if `nft` had entered it,
so the encoding follows what `nft --debug=mnl` shows. Layouts are those of
`linux/netfilter/nf_tables.h` and `nfnetlink.h`.
"""

from __future__ import annotations

from _struct import Struct

from ocinet.base.address import Address, Subnet
from ocinet.base.value import Value
from ocinet.engine.netlink.framing import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    attribute,
    attributes,
    message,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.netlink.framing import Answer, Refusal
    from ocinet.engine.ruleset.elements import Element, Field, Kind, Set

NFPROTO = {"inet": 1, "ip": 2, "ip6": 10}
_PROTOCOL_FAMILIES = {"ipv4": 2, "ipv6": 10}

_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_GETTABLE = _SUBSYSTEM << 8 | 1
_DELTABLE = _SUBSYSTEM << 8 | 2
_GETCHAIN = _SUBSYSTEM << 8 | 4
_GETRULE = _SUBSYSTEM << 8 | 7
_GETSET = _SUBSYSTEM << 8 | 10
_NEWSETELEM = _SUBSYSTEM << 8 | 12
_GETSETELEM = _SUBSYSTEM << 8 | 13
_DELSETELEM = _SUBSYSTEM << 8 | 14
_GETGEN = _SUBSYSTEM << 8 | 16
_GETFLOWTABLE = _SUBSYSTEM << 8 | 23
_BATCH_BEGIN = 16
_BATCH_END = 17

_TABLE_USERDATA = 6
_UDATA_TABLE_COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT
_NAME = 1  # NFTA_TABLE_NAME, and the table's name in every other message
_CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 3, 4, 5, 7
_HOOK_NUM, _HOOK_PRIORITY = 1, 2
_RULE_CHAIN = 2
_FLOWTABLE_NAME = 2
_SET_NAME = 2
_GENERATION_ID = 1
_LIST_SET, _LIST_ELEMENTS = 2, 3
_ELEMENT = 1  # NFTA_LIST_ELEM
_ELEMENT_KEY, _ELEMENT_DATA, _ELEMENT_FLAGS, _ELEMENT_KEY_END = 1, 2, 3, 10
_DATA_VALUE = 1
_INTERVAL_END = 1

PREROUTING, FORWARD, POSTROUTING = "prerouting", "forward", "postrouting"
_HOOKS = {0: PREROUTING, 2: FORWARD, 4: POSTROUTING}  # NF_INET_*
_DROP = 0
_FILTER_TYPE = attribute(_CHAIN_TYPE, b"filter\0")[:11]

_IFNAME_SIZE = 16
_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
PROTOCOL_NAMES = {number: name for name, number in _PROTOCOL_NUMBERS.items()}
_ELEMENTS_PER_MESSAGE = 400  # their list's length has 16 bits; the longest element has 92 bytes

_FAMILY_HEADER = Struct(">BBH")  # struct nfgenmsg: family, version, resource
_WORD = Struct(">I")
_PORT = Struct(">H")
_ATTRIBUTE_HEADER = 4
FAMILY_HEADER_SIZE = _FAMILY_HEADER.size


def family_header(family: int, version: int = 0, resource: int = 0) -> bytes:
    """Encode what every nfnetlink message starts with (struct nfgenmsg)."""
    return _FAMILY_HEADER.pack(family, version, resource)


def word(number: int) -> bytes:
    """Encode 32 bits in network order."""
    return _WORD.pack(number)


def nested(kind: int, payload: bytes) -> bytes:
    """Encode an attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, payload)


def _name(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _bounds(kind: Kind, field: Field) -> tuple[bytes, bytes]:
    """Return the first and the last value of a field, padded to 4 bytes as in a key."""
    if isinstance(field, Subnet):
        return field.first.packed, field.last.packed
    if not isinstance(field, (Address, int, str)):  # a Span, which few load
        return _bounds(kind, field.first)[0], _bounds(kind, field.last)[0]
    if isinstance(field, Address):
        value = field.packed
    elif kind == "inet_service":
        value = int(field).to_bytes(2, "big") + b"\0\0"
    elif kind == "inet_proto":
        number = field if isinstance(field, int) else _PROTOCOL_NUMBERS[str(field)]
        value = bytes((number, 0, 0, 0))
    elif kind == "nf_proto":
        value = bytes((_PROTOCOL_FAMILIES[str(field)], 0, 0, 0))
    else:
        value = str(field).encode().ljust(_IFNAME_SIZE, b"\0")
    return value, value


def _value(kind: int, value: bytes) -> bytes:
    return nested(kind, attribute(_DATA_VALUE, value))


def _key(element: Element) -> tuple[bytes, bytes]:
    bounds = [_bounds(*pair) for pair in _fields(element)]
    if element.set.key == ("nf_proto",):  # padded where others follow, one byte alone
        bounds = [(first[:1], last[:1]) for first, last in bounds]
    return b"".join(first for first, _ in bounds), b"".join(last for _, last in bounds)


def _encode_element(element: Element, *, with_data: bool) -> bytes:
    first, last = _key(element)
    if not element.set.interval:
        data = b"".join(map(_first, element.set.data, element.data)) if with_data else b""
        encoded = _value(_ELEMENT_KEY, first) + (_value(_ELEMENT_DATA, data) if data else b"")
        return nested(_ELEMENT, encoded)
    if len(element.set.key) > 1:  # a set of concatenated intervals has both ends in one element
        return nested(_ELEMENT, _value(_ELEMENT_KEY, first) + _value(_ELEMENT_KEY_END, last))
    # A set of plain intervals has an element where one starts and one just after
    # its end, which has no place where it ends with the last address of all.
    data = b"".join(map(_first, element.set.data, element.data)) if with_data else b""
    starts = _value(_ELEMENT_KEY, first) + (_value(_ELEMENT_DATA, data) if data else b"")
    start = nested(_ELEMENT, starts)
    after = int.from_bytes(last, "big") + 1
    if after >> 8 * len(last):
        return start
    flags = attribute(_ELEMENT_FLAGS, word(_INTERVAL_END))
    return start + nested(_ELEMENT, _value(_ELEMENT_KEY, after.to_bytes(len(last), "big")) + flags)


def _count_up(element: Element, first: bytes, *, with_data: bool) -> list[bytes]:
    """Return the encodings of a row of elements from the first one's: only ports differ."""
    key, data = element.ports
    pack = _PORT.pack
    rows = range(element.count)
    # A port and 2 bytes of padding end the key, and after it the data.
    key_and_data = sum(len(_first(kind, field)) for kind, field in _fields(element))
    size = 3 * _ATTRIBUTE_HEADER + key_and_data - 4
    head, tail = first[:size], first[size + 2 :]
    if not with_data:
        return [head + pack(key + offset) + tail for offset in rows]
    middle, end = tail[:-4], tail[-2:]
    return [head + pack(key + at) + middle + pack(data + at) + end for at in rows]


def _fields(element: Element) -> Iterable[tuple[Kind, Field]]:
    return zip(element.set.key, element.key, strict=True)


def _first(kind: Kind, field: Field) -> bytes:
    return _bounds(kind, field)[0]


class Batch:
    """One transaction on the elements of a table.

    Args:
        table: its name; of family inet.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._messages: list[tuple[int, int, bytes]] = []  # type, flags, body
        self._sets: list[Set | None] = []

    def add(self, elements: Iterable[Element], *, exclusive: bool = False) -> None:
        """Add elements; `exclusive` refuses one whose key is there, even with the same data."""
        flags = NLM_F_CREATE | (NLM_F_EXCL if exclusive else 0)
        self._append(_NEWSETELEM, flags, elements, with_data=True)

    def delete(self, elements: Iterable[Element]) -> None:
        """Delete elements by their keys; one that is missing is refused."""
        self._append(_DELSETELEM, 0, elements, with_data=False)

    def delete_table(self) -> None:
        """Delete the table and all that is in it."""
        self._messages.append((_DELTABLE, 0, family_header(1) + _name(_NAME, self._table)))
        self._sets.append(None)

    def _append(
        self, kind: int, flags: int, elements: Iterable[Element], *, with_data: bool
    ) -> None:
        grouped: dict[Set, dict[bytes, None]] = {}  # an element given twice goes in once
        for element in elements:
            encoded = _encode_element(element, with_data=with_data)
            unique = grouped.setdefault(element.set, {})
            if element.count == 1:
                unique[encoded] = None
            else:
                unique.update(dict.fromkeys(_count_up(element, encoded, with_data=with_data)))
        for target, unique in grouped.items():
            encodings = list(unique)
            head = family_header(NFPROTO["inet"]) + _name(_NAME, self._table)
            head += _name(_LIST_SET, target.name)
            for start in range(0, len(encodings), _ELEMENTS_PER_MESSAGE):
                part = b"".join(encodings[start : start + _ELEMENTS_PER_MESSAGE])
                self._messages.append((kind, flags, head + nested(_LIST_ELEMENTS, part)))
                self._sets.append(target)

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self._messages)

    def encode(self) -> bytes:
        """Return the whole transaction; its last change alone asks for an ACK.

        That one says that all were worked off: the kernel answers a refused
        message unasked, and goes on to the end to report every one.
        """
        marks = family_header(0, resource=_SUBSYSTEM)
        encoded = [message(_BATCH_BEGIN, 0, 0, marks)]
        for sequence, (kind, flags, body) in enumerate(self._messages, 1):
            ack = NLM_F_ACK if sequence == len(self._messages) else 0
            encoded.append(message(kind, flags | ack, sequence, body))
        encoded.append(message(_BATCH_END, 0, len(self._messages) + 1, marks))
        return b"".join(encoded)

    def refused_set(self, refusal: Refusal) -> Set | None:
        """Return the set that a refused message was for; None if it was for no set."""
        if 0 < refusal.sequence <= len(self._sets):
            return self._sets[refusal.sequence - 1]
        return None


def get_table(sequence: int, family: str, table: str) -> bytes:
    """Encode the question for one table; it asks for no ACK, as the next two."""
    body = family_header(NFPROTO[family]) + _name(_NAME, table)
    return message(_GETTABLE, 0, sequence, body)


def get_chain(sequence: int, family: str, table: str, chain: str) -> bytes:
    """Encode the question for one chain."""
    body = family_header(NFPROTO[family]) + _name(_NAME, table) + _name(_CHAIN_NAME, chain)
    return message(_GETCHAIN, 0, sequence, body)


def get_element(sequence: int, table: str, element: Element) -> bytes:
    """Encode the question for the element of our table that has this one's key."""
    body = family_header(NFPROTO["inet"]) + _name(_NAME, table)
    body += _name(_LIST_SET, element.set.name)
    body += nested(_LIST_ELEMENTS, _encode_element(element, with_data=False))
    return message(_GETSETELEM, 0, sequence, body)


def get_generation(sequence: int) -> bytes:
    """Encode the question for the number of the last change of any table."""
    return message(_GETGEN, 0, sequence, family_header(0))


def decode_comment(answer: Answer) -> str:
    """Read a table's comment from the answer to `get_table`.

    Returns:
        "?" where it has none, as one that somebody else made.
    """
    # libnftnl's own encoding of what the kernel keeps unread: type, length, value.
    data = attributes(answer.body, FAMILY_HEADER_SIZE).get(_TABLE_USERDATA, b"")
    if len(data) < 2 or data[0] != _UDATA_TABLE_COMMENT:
        return "?"
    return data[2 : 2 + data[1]].rstrip(b"\0").decode("utf-8", "replace")


def decode_generation(answer: Answer) -> int:
    """Read that number."""
    found = attributes(answer.body, FAMILY_HEADER_SIZE)
    return int.from_bytes(found.get(_GENERATION_ID, b""), "big")


def get_set(sequence: int, family: str, table: str, name: str) -> bytes:
    """Encode the question for one set, without what is in it."""
    body = family_header(NFPROTO[family]) + _name(_NAME, table) + _name(_SET_NAME, name)
    return message(_GETSET, 0, sequence, body)


def get_set_element(sequence: int, family: str, table: str, name: str, key: bytes) -> bytes:
    """Encode the question for the element of any set that a key is, or lies in."""
    body = family_header(NFPROTO[family]) + _name(_NAME, table) + _name(_LIST_SET, name)
    body += nested(_LIST_ELEMENTS, nested(_ELEMENT, _value(_ELEMENT_KEY, key)))
    return message(_GETSETELEM, 0, sequence, body)


def dump_chains() -> bytes:
    """Encode the question for all chains of all tables."""
    return message(_GETCHAIN, NLM_F_DUMP, 0, family_header(0))


def dump_flowtables() -> bytes:
    """Encode the question for all flowtables of all tables."""
    return message(_GETFLOWTABLE, NLM_F_DUMP, 0, family_header(0))


def flowtables(bodies: Iterable[bytes]) -> tuple[str, ...]:
    """Return flowtables from an answer, as `inet home fast`."""
    families = {number: name for name, number in NFPROTO.items()}
    found = []
    for body in bodies:
        known = attributes(body, FAMILY_HEADER_SIZE)
        names = (known[kind].rstrip(b"\0").decode() for kind in (_NAME, _FLOWTABLE_NAME))
        found.append(" ".join((families.get(body[0], "?"), *names)))
    return tuple(found)


def dump_rules(family: str, table: str, chain: str) -> bytes:
    """Encode the question for all rules of one chain."""
    body = family_header(NFPROTO[family]) + _name(_NAME, table) + _name(_RULE_CHAIN, chain)
    return message(_GETRULE, NLM_F_DUMP, 0, body)


class Chain(Value):
    """A chain as the kernel shows it.

    Attributes:
        family: ip, ip6, inet or another's number.
        table: its table's name.
        name: of the chain.
        hook: where it decides on what passes through the host, as nft names it; "" if it is
            nowhere there.
        priority: among the chains of that hook; lower ones come first.
        policy_drops: whether it drops what none of its rules decides on.
    """

    family: str
    table: str
    name: str
    hook: str = ""
    priority: int = 0
    policy_drops: bool = False

    def __str__(self) -> str:
        """Render as nft's commands name it."""
        return f"{self.family} {self.table} {self.name}"


def decode_chain(body: bytes) -> Chain:
    """Read a chain from the body of an answer."""
    number = body[0]
    family = next((name for name, known in NFPROTO.items() if known == number), str(number))
    found = attributes(body, FAMILY_HEADER_SIZE)
    hooked = attributes(found.get(_CHAIN_HOOK, b""))
    hook, priority = (hooked.get(kind, b"") for kind in (_HOOK_NUM, _HOOK_PRIORITY))
    filters = found.get(_CHAIN_TYPE, b"").rstrip(b"\0") == b"filter" and family in NFPROTO
    name = _HOOKS.get(int.from_bytes(hook, "big"), "") if hook and filters else ""
    return Chain(
        family=family,
        table=found.get(_NAME, b"").rstrip(b"\0").decode("utf-8", "replace"),
        name=found.get(_CHAIN_NAME, b"").rstrip(b"\0").decode("utf-8", "replace"),
        hook=name,
        priority=int.from_bytes(priority, "big", signed=True),
        policy_drops=bool(name) and found.get(_CHAIN_POLICY) == word(_DROP),
    )


def passing_filters(bodies: Iterable[bytes]) -> tuple[Chain, ...]:
    """Return those that decide what passes through the host, of the answers to `dump_chains`.

    Where there are thousands of chains, as beside kube-proxy, the rest is not worth being
    decoded: what marks a base chain of type filter is looked for first.
    """
    chains = (decode_chain(body) for body in bodies if _FILTER_TYPE in body)
    return tuple(chain for chain in chains if chain.hook)


def decode_element_data(answer: Answer) -> tuple[Address, int]:
    """Read where a published port leads to from the answer to `get_element`."""
    elements = attributes(answer.body, FAMILY_HEADER_SIZE).get(_LIST_ELEMENTS, b"")
    element = attributes(attributes(elements).get(_ELEMENT, b""))
    value = attributes(element.get(_ELEMENT_DATA, b"")).get(_DATA_VALUE, b"")
    return Address.unpack(value[:-4]), int.from_bytes(value[-4:-2], "big")

"""ipset's sets as the kernel is asked for them, by number and by what is in. Pure.

Rules of iptables' name a set by its number; layouts are those of
`linux/netfilter/ipset/ip_set.h`, protocol 7 (Linux 4.20).
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.firewall.nfnetlink import FAMILY_HEADER_SIZE, NFPROTO, family_header, nested
from ocinet.engine.netlink.framing import NLM_F_ACK, attribute, attributes, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address

_SUBSYSTEM = 6 << 8  # NFNL_SUBSYS_IPSET
_TEST, _GET_BYINDEX = _SUBSYSTEM | 11, _SUBSYSTEM | 15
_PROTOCOL, _SETNAME, _DATA, _INDEX = 1, 2, 7, 11
_IP = 1
_VERSION = b"\x07"
_NET_ORDER = 0x4000  # NLA_F_NET_BYTEORDER
_INVERTED, _BY_SOURCE = 1, 2  # IPSET_INV_MATCH, IPSET_DIM_ONE_SRC

NOT_IN = 4103  # IPSET_ERR_EXIST


class SetMatch(Value):
    """What a rule asks of a set.

    Attributes:
        index: the set's number.
        fields: of a packet that are looked up, together.
        by_source: whether the first is where it comes from.
        inverted: whether it is for who is not in.
    """

    index: int
    fields: int
    by_source: bool
    inverted: bool


def decode_match(info: bytes) -> SetMatch:
    """Read the struct of a match on a set: `xt_set_info`, which begins all its revisions but 0."""
    from sys import byteorder

    flags = info[3]
    return SetMatch(
        index=int.from_bytes(info[:2], byteorder),
        fields=info[2],
        by_source=bool(flags & _BY_SOURCE),
        inverted=bool(flags & _INVERTED),
    )


def get_by_index(index: int) -> bytes:
    """Encode the question for a set's name."""
    body = family_header(0) + attribute(_PROTOCOL, _VERSION)
    body += attribute(_INDEX | _NET_ORDER, index.to_bytes(2, "big"))
    return message(_GET_BYINDEX, 0, 1, body)


def decode_name(body: bytes) -> str:
    """Read the name from the answer to that."""
    return attributes(body, FAMILY_HEADER_SIZE).get(_SETNAME, b"").rstrip(b"\0").decode()


def test(name: str, address: Address) -> bytes:
    """Encode the question whether an address is in a set: refused with `NOT_IN` if not."""
    family = NFPROTO["ip" if address.family == 4 else "ip6"]
    kind = 1 if address.family == 4 else 2  # IPSET_ATTR_IPADDR_*
    body = family_header(family) + attribute(_PROTOCOL, _VERSION)
    body += attribute(_SETNAME, name.encode() + b"\0")
    packed = attribute(kind | _NET_ORDER, address.packed)
    body += nested(_DATA, nested(_IP, packed))
    return message(_TEST, NLM_F_ACK, 1, body)

"""What iptables' own matches say of a sample. Pure.

iptables-nft writes interfaces, addresses and protocols as nftables would, all else as
the structs that its matches always had (`linux/netfilter/xt_*.h`).
"""

from __future__ import annotations

from sys import byteorder

from ocinet.engine.firewall.sample import REPLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.firewall.sample import Sample

# xt_conntrack_mtinfo1 to 3: eight addresses and masks, two timeouts, five ports, then these.
_CONNTRACK_FLAGS, _CONNTRACK_INVERTED = 146, 148
_CONNTRACK_STATES, _CONNTRACK_STATUSES = 150, 152
_BY_STATE, _BY_STATUS, _BY_DIRECTION = 1, 1 << 6, 1 << 12
_STATE_DNAT = 1 << 6 + 1  # XT_CONNTRACK_STATE_DNAT, a bit beside those of the states
_UNICAST, _LOCAL = 1 << 1, 1 << 2  # of RTN_*
_RPFILTER_INVERTED = 1 << 3
_EVERY_PORT = (0, 0xFFFF)
# xt_multiport_v1: kind and count, 15 ports, for each whether a range begins there, inversion.
_MULTIPORT_RANGES, _MULTIPORT_INVERTED, _MULTIPORT_SOURCE = 32, 47, 0


def _u16(info: bytes, offset: int) -> int:
    return int.from_bytes(info[offset : offset + 2], byteorder)


def _conntrack(info: bytes, sample: Sample) -> bool:
    flags, inverted = _u16(info, _CONNTRACK_FLAGS), _u16(info, _CONNTRACK_INVERTED)
    if flags & _BY_DIRECTION and (sample.direction == REPLY) != bool(inverted & _BY_DIRECTION):
        return False
    bits = sample.state | (_STATE_DNAT if sample.status else 0)
    for flag, offset, found in (
        (_BY_STATE, _CONNTRACK_STATES, bits),
        (_BY_STATUS, _CONNTRACK_STATUSES, sample.status),
    ):
        if flags & flag and bool(_u16(info, offset) & found) == bool(inverted & flag):
            return False
    # By an address or a port of somebody's: not this one, unless it is for all others.
    others = flags & ~(_BY_STATE | _BY_STATUS | _BY_DIRECTION)
    return others == others & inverted


def _state(info: bytes, sample: Sample) -> bool:
    return bool(_u16(info, 0) & sample.state)


def _addrtype(info: bytes, sample: Sample) -> bool:
    source, destination = _u16(info, 0), _u16(info, 2)
    flags = int.from_bytes(info[4:8], byteorder)
    to = _LOCAL if sample.local else _UNICAST
    return all(
        not mask or bool(mask & kind) != bool(flags & inverted)
        for mask, kind, inverted in ((source, _UNICAST, 1), (destination, to, 2))
    )


def _rpfilter(info: bytes, _sample: Sample) -> bool:
    """A packet that comes by the way that leads to its sender."""
    return not info[0] & _RPFILTER_INVERTED


def _tcp(info: bytes, sample: Sample) -> bool:
    _option, mask, compared, inverted = info[8:12]
    by_flags = (sample.tcp_flags & mask == compared) != bool(inverted & 4)
    return by_flags and _ports(info, inverted, sample.port)


def _ports(info: bytes, inverted: int, port: int) -> bool:
    """Tell whether ranges of ports hold those of a packet; 0 is in none but that of all."""
    found = []
    for offset, flag, known in ((0, 1, 0), (4, 2, port)):
        first, last = _u16(info, offset), _u16(info, offset + 2)
        within = (first, last) == _EVERY_PORT or (known > 0 and first <= known <= last)
        found.append(within != bool(inverted & flag))
    return all(found)


def _multiport(info: bytes, sample: Sample) -> bool:
    """One of up to 15 ports or ranges (xt_multiport_v1): the destination's, or either's."""
    flags, count, inverted = info[0], info[1], info[_MULTIPORT_INVERTED]
    within, at = False, 0
    while at < count:
        first = _u16(info, 2 + 2 * at)
        at += 1 + info[_MULTIPORT_RANGES + at]
        within = within or first <= sample.port <= _u16(info, 2 * at)
    known = sample.port > 0 and flags != _MULTIPORT_SOURCE
    return (known and within) != bool(inverted)


def _mark(info: bytes, _sample: Sample) -> bool:
    wanted = int.from_bytes(info[0:4], byteorder)
    return (wanted == 0) != bool(info[8])


# Those that everybody's packet passes, at least at first, and what is only remembered.
_ANY = ("comment", "limit")
_KNOWN: dict[str, Callable[[bytes, Sample], bool]] = {
    "conntrack": _conntrack,
    "state": _state,
    "addrtype": _addrtype,
    "tcp": _tcp,
    "multiport": _multiport,
    "rpfilter": _rpfilter,
    "mark": _mark,
}


def is_matched(name: str, info: bytes, sample: Sample) -> bool:
    """Tell whether a match lets a sample by. One that is not known does not."""
    if name in _ANY:
        return True
    known = _KNOWN.get(name)
    return known is not None and known(info, sample)

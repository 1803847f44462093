"""Addresses and routes as rtnetlink has them: values to messages and back.

Pure, and for the same reason as `link_messages`; property tests have pyroute2 decode
every message here too. Layouts: <linux/if_addr.h>, <linux/rtnetlink.h>, rtnetlink(7).
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, AF_UNSPEC
from _struct import Struct

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import SystemFailure
from ocinet.engine.model.request import REFUSING, Route, metric_of
from ocinet.engine.netlink.framing import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    attribute,
    attributes,
    message,
    number,
    u32,
)

RTM_NEWADDR = 20
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26

_IFADDR = Struct("=BBBBI")  # family, prefixlen, flags, scope, index
# family, destination and source length, tos, table, protocol, scope, type, flags
_RTMSG = Struct("=BBBBBBBBI")
_NEXT_HOP = Struct("=HBBI")  # length, flags, hops, index

_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_BROADCAST = 4
_IFA_FLAGS = 8
_IFA_F_NODAD = 0x02

_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_PRIORITY = 6
_RTA_PREFSRC = 7
_RTA_MULTIPATH = 9
_RTA_TABLE = 15
_LARGEST_BYTE = 0xFF
MAIN = _RT_TABLE_MAIN = 254
_RTPROT_KERNEL = 2
_RTPROT_BOOT = 3  # as `ip route add` says, so that the container sees the usual line
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_KIND_AT = 7  # of a route, in its header
# RTN_BLACKHOLE, RTN_UNREACHABLE and RTN_PROHIBIT follow one another.
_KINDS = {1: "unicast", **{6 + place: kind for place, kind in enumerate(REFUSING)}}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTNH_F_ONLINK = 4
_FIB_MATCH = 0x2000  # RTM_F_FIB_MATCH, Linux 4.13; before, the route is told as it is used

LOOPBACK = 1  # the index of `lo` in every namespace: LOOPBACK_IFINDEX

_FAMILIES = {4: AF_INET, 6: AF_INET6}
_LINK_LOCAL = b"\xfe\x80"
_DESTINATION_AT = _RTMSG.size + 12  # behind its header and, always first, the table's number


def new_address(sequence: int, ifindex: int, interface: Interface) -> bytes:
    """Encode an address for a link: usable at once, and no fault if it is there.

    IPv4 gets its subnet's broadcast address, as with `brd +`; IPv6 no duplicate
    address detection, which would take a second.
    """
    address, prefixlen = interface.address, interface.prefixlen
    inner = attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)
    flags = 0
    if address.family == 6:
        flags = _IFA_F_NODAD
        inner += u32(_IFA_FLAGS, flags)
    elif prefixlen < 31:  # RFC 3021: two addresses, no broadcast
        inner += attribute(_IFA_BROADCAST, interface.subnet.last.packed)
    header = _IFADDR.pack(_FAMILIES[address.family], prefixlen, flags, _RT_SCOPE_UNIVERSE, ifindex)
    # Not exclusive but replacing: the same address on the same link is success.
    return message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sequence, header + inner)


def dump_addresses(sequence: int, ifindex: int = 0) -> bytes:
    """Encode the question for all addresses of a link; 0 means of all links.

    The kernel minds the index on a strict socket only.
    """
    return message(RTM_GETADDR, NLM_F_DUMP, sequence, _IFADDR.pack(AF_UNSPEC, 0, 0, 0, ifindex))


def decode_address(body: bytes) -> tuple[int, Interface]:
    """Decode an RTM_NEWADDR into the link's index and its address."""
    _family, prefixlen, _flags, _scope, ifindex = _IFADDR.unpack_from(body)
    found = attributes(body, _IFADDR.size)
    # On a point-to-point link, IFA_ADDRESS is the other end's.
    packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    return ifindex, Interface(Address.unpack(packed), prefixlen)


def new_route(
    sequence: int, ifindex: int, route: Route, *, onlink: bool = False, table: int = _RT_TABLE_MAIN
) -> bytes:
    """Encode a route through a link; refused if there is one.

    Args:
        sequence: of the message.
        ifindex: of the link; 0 for a route that refuses.
        route: without a gateway, its destination is on the link.
        onlink: take the gateway to be on the link, whatever the addresses say.
        table: that it is added to; the main one, unless another is said.
    """
    header = _route_header(route, onlink=onlink, table=table)
    body = header + (u32(_RTA_OIF, ifindex) if ifindex else b"") + _route_body(route, table)
    return message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence, body)


def delete_route(
    sequence: int, route: Route, table: int = _RT_TABLE_MAIN, *, ifindex: int = 0
) -> bytes:
    """Encode the deletion of a route that refuses, or is through a link."""
    through = u32(_RTA_OIF, ifindex) if ifindex else b""
    body = _route_header(route, table=table) + through + _route_body(route, table)
    return message(RTM_DELROUTE, NLM_F_ACK, sequence, body)


def decode_table(body: bytes) -> int:
    """Return the number of the table that an RTM_NEWROUTE is about."""
    told = attributes(body, _RTMSG.size).get(_RTA_TABLE)
    return number(told) if told else _RTMSG.unpack_from(body)[4]


def _route_header(route: Route, *, onlink: bool = False, table: int = _RT_TABLE_MAIN) -> bytes:
    destination = route.destination
    scope = _RT_SCOPE_UNIVERSE
    if route.is_on_link and destination.family == 4:  # IPv6 knows no scopes of routes
        scope = _RT_SCOPE_LINK
    return _RTMSG.pack(
        _FAMILIES[destination.family],
        destination.prefixlen,
        0,
        0,
        table if table <= _LARGEST_BYTE else 0,
        _RTPROT_BOOT,
        scope,
        _NUMBERS[route.kind],
        _RTNH_F_ONLINK if onlink else 0,
    )


def _route_body(route: Route, table: int) -> bytes:
    destination = route.destination
    body = u32(_RTA_TABLE, table) if table > _LARGEST_BYTE else b""
    if route.metric:
        body += u32(_RTA_PRIORITY, route.metric)
    if destination.prefixlen:
        body += attribute(_RTA_DST, destination.first.packed)
    if route.gateway:
        if route.gateway.family != destination.family:
            raise SystemFailure("cannot encode a route", f"{destination} and its gateway"
                                f" {route.gateway} are of two families")  # fmt: skip
        body += attribute(_RTA_GATEWAY, route.gateway.packed)
    return body


def dump_routes(sequence: int) -> bytes:
    """Encode the question for all routes, of both families."""
    header = _RTMSG.pack(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0)
    return message(RTM_GETROUTE, NLM_F_DUMP, sequence, header)


def dump_connected(sequence: int, family: int) -> bytes:
    """Encode the question for the routes that come with addresses, of family 4 or 6.

    They are few however many links there are: no link of ours, and no container's, has an
    address. The kernel leaves others out on a strict socket only.
    """
    header = _RTMSG.pack(_FAMILIES[family], 0, 0, 0, 0, _RTPROT_KERNEL, 0, _RTN_UNICAST, 0)
    return message(RTM_GETROUTE, NLM_F_DUMP, sequence, header)


def get_route(sequence: int, destination: Address) -> bytes:
    """Encode the question for the route that packets to an address take, as it was added."""
    header = _RTMSG.pack(
        _FAMILIES[destination.family], 8 * len(destination.packed), 0, 0, 0, 0, 0, 0, _FIB_MATCH
    )
    return message(RTM_GETROUTE, 0, sequence, header + attribute(_RTA_DST, destination.packed))


def get_way(sequence: int, destination: Address) -> bytes:
    """Encode the question for what becomes of packets to an address."""
    header = _RTMSG.pack(
        _FAMILIES[destination.family], 8 * len(destination.packed), 0, 0, 0, 0, 0, 0, 0
    )
    return message(RTM_GETROUTE, 0, sequence, header + attribute(_RTA_DST, destination.packed))


def decode_way(body: bytes) -> int:
    """Decode the index of the link from the answer to `get_way`: 1, `lo`, for what stays; or 0."""
    kind = body[_KIND_AT]
    if kind == _RTN_LOCAL:
        return 1
    found = attributes(body, _RTMSG.size)
    return number(found.get(_RTA_OIF)) if kind == _RTN_UNICAST else 0


def decode_source(body: bytes) -> tuple[Address | None, tuple[tuple[int, Address | None], ...]]:
    """Decode the answer to `get_route`.

    Returns:
        The address that packets bear, if the route says one; the links' indexes and the
        gateways, one per next hop.
    """
    found = attributes(body, _RTMSG.size)
    source = Address.unpack(found[_RTA_PREFSRC]) if _RTA_PREFSRC in found else None
    hops = _next_hops(found.get(_RTA_MULTIPATH, b""))
    if _RTA_OIF in found:
        hops.append((number(found[_RTA_OIF]), found))
    return source, tuple((ifindex, _gateway(hop)) for ifindex, hop in hops)


def is_link_local(body: bytes) -> bool:
    """Tell whether an RTM_NEWROUTE is to fe80::/64, as each link may have one."""
    return body[0] == AF_INET6 and body[_DESTINATION_AT : _DESTINATION_AT + 2] == _LINK_LOCAL


def decode_routes(body: bytes) -> tuple[tuple[int, Route], ...]:
    """Decode an RTM_NEWROUTE into the links' indexes and the routes through them.

    Returns:
        One per next hop; those that refuse are through `lo`, as the kernel has them for
        IPv6; nothing for what is no plain route of the main table (local, broadcast and
        multicast ones, other tables).
    """
    family, prefixlen, _, _, table, protocol, _, number_, _ = _RTMSG.unpack_from(body)
    kind = _KINDS.get(number_)
    if table != _RT_TABLE_MAIN or kind is None or family not in (AF_INET, AF_INET6):
        return ()
    found = attributes(body, _RTMSG.size)
    value = int.from_bytes(found.get(_RTA_DST, b""), "big")
    destination = Subnet(4 if family == AF_INET else 6, value, prefixlen)
    metric = 0
    # What the kernel makes with an address of IPv6 has 256, which nobody said.
    if _RTA_PRIORITY in found and protocol != _RTPROT_KERNEL:
        metric = metric_of(destination.family, number(found[_RTA_PRIORITY]))
    if kind != "unicast":
        return ((LOOPBACK, Route(destination, None, metric, kind)),)
    hops = _next_hops(found.get(_RTA_MULTIPATH, b""))
    if _RTA_OIF in found:
        hops.append((number(found[_RTA_OIF]), found))
    return tuple((ifindex, Route(destination, _gateway(hop), metric)) for ifindex, hop in hops)


def _gateway(hop: dict[int, bytes]) -> Address | None:
    return Address.unpack(hop[_RTA_GATEWAY]) if _RTA_GATEWAY in hop else None


def _next_hops(payload: bytes) -> list[tuple[int, dict[int, bytes]]]:
    hops = []
    offset = 0
    while offset + _NEXT_HOP.size <= len(payload):
        length, _flags, _hops, ifindex = _NEXT_HOP.unpack_from(payload, offset)
        if length < _NEXT_HOP.size:
            break
        hops.append((ifindex, attributes(payload[: offset + length], offset + _NEXT_HOP.size)))
        offset += length + 3 & ~3
    return hops

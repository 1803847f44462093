"""Forgetting flows: what connection tracking remembers of published UDP ports and of addresses.

A flow of a container that is gone leads what answers it to whoever bears its address next.
A UDP flow goes on to where its first packet went for as long as packets keep
coming, so a port that is published, or that moves to another container, would
not be seen by the clients that are talking to it. TCP flows end by themselves.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, IPPROTO_UDP
from errno import EINVAL, ENOENT, EOPNOTSUPP
from sys import byteorder

from ocinet.base.errors import KernelError
from ocinet.engine.firewall.nfnetlink import FAMILY_HEADER_SIZE, family_header, nested
from ocinet.engine.netlink.framing import NLM_F_ACK, NLM_F_DUMP, attribute, attributes, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.firewall.netfilter import NetfilterSocket

_SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
_GET = _SUBSYSTEM << 8 | 1
_DELETE = _SUBSYSTEM << 8 | 2
_GET_STATS = _SUBSYSTEM << 8 | 5
_STATS_ENTRIES = 1  # CTA_STATS_GLOBAL_ENTRIES

_TUPLE_ORIG, _TUPLE_REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25  # CTA_*
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SOURCE, _IP_DESTINATION = {4: 1, 6: 3}, {4: 2, 6: 4}
_PROTO_NUM, _PROTO_DESTINATION_PORT = 1, 3
_FILTER_ORIG_FLAGS, _FILTER_REPLY_FLAGS = 1, 2
_FILTER_IP_SOURCE = 1 << 0
_FILTER_IP_DESTINATION = 1 << 1
_FILTER_PROTO_NUM = 1 << 3
_FILTER_DESTINATION_PORT = 1 << 5

# With 0, a flush without a filter takes both families; one with a filter heeds the
# family either way (tried, 6.18).
_VERSION = 1
_FAMILY = {4: AF_INET, 6: AF_INET6}


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _port_filter(address: Address | None, port: int) -> bytes:
    """Encode: entries whose first packet was UDP to this port, and to this address if it is IPv4.

    Of IPv6 addresses, the kernel lets through all but the one that is asked for
    (ctnetlink_filter_match_tuple takes the result of a comparison the wrong way, from 5.8,
    which brought it, to 6.18), so flows to other addresses of the host are forgotten with it.
    """
    flags = _FILTER_PROTO_NUM | _FILTER_DESTINATION_PORT
    ip = b""
    if address is not None and address.family == 4:
        flags |= _FILTER_IP_DESTINATION
        ip = attribute(_IP_DESTINATION[4], address.packed)
    proto = attribute(_PROTO_NUM, bytes((IPPROTO_UDP,)))
    proto += attribute(_PROTO_DESTINATION_PORT, _port(port))
    parts = nested(_TUPLE_IP, ip) + nested(_TUPLE_PROTO, proto)
    # The flags are the one number of these that the kernel reads in its own byte order.
    chosen = attribute(_FILTER_ORIG_FLAGS, flags.to_bytes(4, byteorder))
    return nested(_TUPLE_ORIG, parts) + nested(_FILTER, chosen)


def flush_udp(socket: NetfilterSocket, family: int, address: Address | None, port: int) -> None:
    """Forget the flows to one UDP port of the host, without listing any.

    Flows of others to the same port number of another machine are forgotten with
    them where no address is given, which costs them nothing but a new entry.

    Args:
        socket: of nfnetlink.
        family: 4 or 6.
        address: the host's, of that family; None for every one.
        port: 1 to 65535.

    Raises:
        KernelError: the kernel refused.
    """
    body = family_header(_FAMILY[family], _VERSION) + _port_filter(address, port)
    _answers, refusals = socket.ask(message(_DELETE, NLM_F_ACK, 1, body), 1)
    if refusals and refusals[0].errno in (EINVAL, EOPNOTSUPP):
        flush_udp_listed(socket, family, address, port)
    elif refusals and refusals[0].errno != ENOENT:
        raise refusals[0].error(f"cannot forget the flows to UDP port {port}")


def flush_udp_listed(
    socket: NetfilterSocket, family: int, address: Address | None, port: int
) -> None:
    """Do the same on older kernels, which can list by such a filter but not delete.

    Raises:
        KernelError: the kernel refused.
    """
    head = family_header(_FAMILY[family], _VERSION)
    listed = socket.dump(message(_GET, NLM_F_DUMP, 1, head + _port_filter(address, port)))
    for body in listed:
        found = attributes(body, len(head))
        if not _is_to(found.get(_TUPLE_ORIG, b""), family, address, port):
            continue  # a kernel before 5.8 lists all
        _delete(socket, head, found, f"cannot forget the flows to UDP port {port}")


def _delete(socket: NetfilterSocket, head: bytes, found: dict[int, bytes], what: str) -> None:
    """Delete one entry, by what was listed of it."""
    exact = b"".join(
        attribute(kind, found[kind]) for kind in (_TUPLE_ORIG, _ID, _ZONE) if kind in found
    )
    _answers, refusals = socket.ask(message(_DELETE, NLM_F_ACK, 1, head + exact), 1)
    if refusals and refusals[0].errno != ENOENT:  # it may have ended by itself meanwhile
        raise refusals[0].error(what)


def flush_addresses(socket: NetfilterSocket, addresses: tuple[Address, ...]) -> None:
    """Forget all flows that these addresses began, or answered.

    Of IPv4 the kernel is told which ones, and lists none. Of IPv6 it would take all others
    (see `_port_filter`), so those are looked for. Nothing else that a request can filter by
    tells a container's flows: ports are not known, status has no bit for it, and a mark or a
    zone would have to be put on its packets first, where others have theirs.

    Args:
        socket: of nfnetlink.
        addresses: as they are behind any NAT.

    Raises:
        KernelError: the kernel refused.
    """
    of_ipv4 = tuple(address for address in addresses if address.family == 4)
    of_ipv6 = tuple(address for address in addresses if address.family == 6)
    head = family_header(AF_INET, _VERSION)
    for address in of_ipv4:
        for tuple_kind, flags_kind in (
            (_TUPLE_ORIG, _FILTER_ORIG_FLAGS),
            (_TUPLE_REPLY, _FILTER_REPLY_FLAGS),
        ):
            source = attribute(_IP_SOURCE[4], address.packed)
            chosen = attribute(flags_kind, _FILTER_IP_SOURCE.to_bytes(4, byteorder))
            body = nested(tuple_kind, nested(_TUPLE_IP, source)) + nested(_FILTER, chosen)
            request = message(_DELETE, NLM_F_ACK, 1, head + body)
            _answers, refusals = socket.ask(request, 1)
            if refusals and refusals[0].errno in (EINVAL, EOPNOTSUPP):
                flush_addresses_listed(socket, 4, of_ipv4)
                break
            if refusals and refusals[0].errno != ENOENT:
                raise refusals[0].error(f"cannot forget the flows of {address}")
    # A list takes 26 ms with the usual 262,144 buckets, also of none.
    if of_ipv6 and _tracks_any(socket):
        flush_addresses_listed(socket, 6, of_ipv6)


def _tracks_any(socket: NetfilterSocket) -> bool:
    question = message(_GET_STATS, 0, 1, family_header(AF_INET, _VERSION))
    answers, _refusals = socket.look_up(question, 1)
    return any(
        int.from_bytes(attributes(answer.body, FAMILY_HEADER_SIZE).get(_STATS_ENTRIES, b""), "big")
        for answer in answers
    )


def flush_addresses_listed(
    socket: NetfilterSocket, family: int, addresses: tuple[Address, ...]
) -> None:
    """Do the same by a list of all flows of a family, as older kernels and IPv6 need it.

    Raises:
        KernelError: the kernel refused.
    """
    head = family_header(_FAMILY[family], _VERSION)
    wanted = {address.packed for address in addresses}
    try:
        listed = socket.dump(message(_GET, NLM_F_DUMP, 1, head))
    except KernelError as error:
        if error.errno == EINVAL:  # nobody tracks connections here: there is no ctnetlink
            return
        raise
    for body in listed:
        # Most are others': what is not in it at all needs no decoding.
        if not any(packed in body for packed in wanted):
            continue
        found = attributes(body, len(head))
        if any(_source(found.get(kind, b""), family) in wanted for kind in _BOTH_WAYS):
            _delete(socket, head, found, f"cannot forget the flows of {addresses[0]}")


_BOTH_WAYS = (_TUPLE_ORIG, _TUPLE_REPLY)


def _source(parts: bytes, family: int) -> bytes | None:
    return attributes(attributes(parts).get(_TUPLE_IP, b"")).get(_IP_SOURCE[family])


def _is_to(parts: bytes, family: int, address: Address | None, port: int) -> bool:
    found = attributes(parts)
    proto = attributes(found.get(_TUPLE_PROTO, b""))
    destination = attributes(found.get(_TUPLE_IP, b"")).get(_IP_DESTINATION[family])
    return (
        proto.get(_PROTO_NUM) == bytes((IPPROTO_UDP,))
        and proto.get(_PROTO_DESTINATION_PORT) == _port(port)
        and destination is not None
        and (address is None or destination == address.packed)
    )

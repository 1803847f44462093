"""rtnetlink, the part of it that the hook needs: values to messages and back.

Pure: no socket, no file. It exists because importing pyroute2 costs a hundred
times what the kernel takes for the whole wiring; property tests have pyroute2
decode every message that is made here. Layouts: <linux/rtnetlink.h>,
<linux/if_link.h>, <linux/if_addr.h>, rtnetlink(7).
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, AF_UNSPEC
from _struct import Struct

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import SystemFailure
from ocinet.engine.model.link import ALIAS_MAX, Link, Veth
from ocinet.engine.model.request import Route
from ocinet.engine.netlink.framing import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    attribute,
    attributes,
    message,
)

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_NEWADDR = 20
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_GETROUTE = 26

_IFINFO = Struct("=BxHIII")  # family, device type, index, flags, which flags to change
_IFADDR = Struct("=BBBBI")  # family, prefixlen, flags, scope, index
# family, destination and source length, tos, table, protocol, scope, type, flags
_RTMSG = Struct("=BBBBBBBBI")
_NEXT_HOP = Struct("=HBBI")  # length, flags, hops, index
_U8 = Struct("=B")
_U32 = Struct("=I")
_LARGEST_U32 = 0xFFFFFFFF
_IFNAME_MAX = 15

_IFF_UP = 0x1
_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_MTU = 4
_IFLA_LINK = 5
_IFLA_MASTER = 10
_IFLA_OPERSTATE = 16
_IFLA_LINKINFO = 18
_IFLA_IFALIAS = 20
_IFLA_AF_SPEC = 26
_IFLA_GROUP = 27
_IFLA_NET_NS_FD = 28
_IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
_IF_OPER_UP = 6
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_INFO_SLAVE_KIND = 4
_IFLA_INFO_SLAVE_DATA = 5
_VETH_INFO_PEER = 1
_IFLA_BRPORT_MODE = 4  # hairpin
_IFLA_INET_CONF = 1
_IPV4_DEVCONF_ARP_NOTIFY = 22
_IFLA_INET6_ADDR_GEN_MODE = 8
_IN6_ADDR_GEN_MODE_NONE = 1

_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_BROADCAST = 4
_IFA_FLAGS = 8
_IFA_F_NODAD = 0x02

_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_MULTIPATH = 9
_RT_TABLE_MAIN = 254
_RTPROT_BOOT = 3  # as `ip route add` says, so that the container sees the usual line
_RTN_UNICAST = 1
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTNH_F_ONLINK = 4

_FAMILIES = {4: AF_INET, 6: AF_INET6}


def _u32(kind: int, value: int) -> bytes:
    if not 0 <= value <= _LARGEST_U32:
        raise SystemFailure("cannot encode a netlink attribute", f"{value} does not fit 32 bits")
    return attribute(kind, _U32.pack(value))


# Half of what the kernel would tell of a link, and nobody reads.
_NO_COUNTERS = _u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)


def _ifname(name: str) -> bytes:
    text = name.encode()
    if not 0 < len(text) <= _IFNAME_MAX or b"\0" in text:
        raise SystemFailure("cannot encode an interface name", f"{name!r} has {len(text)} bytes,"
                            f" not 1 to {_IFNAME_MAX}")  # fmt: skip
    return attribute(_IFLA_IFNAME, text + b"\0")


def _mac(mac: str) -> bytes:
    try:
        packed = bytes.fromhex(mac.replace(":", ""))
    except ValueError:
        packed = b""
    if len(packed) != 6:
        raise SystemFailure("cannot encode a MAC address", f"{mac!r} is none")
    return attribute(_IFLA_ADDRESS, packed)


def _nested(kind: int, *inner: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def _text(payload: bytes) -> str:
    return payload.partition(b"\0")[0].decode("utf-8", "replace")


def _link(
    kind: int,
    flags: int,
    sequence: int,
    *inner: bytes,
    ifindex: int = 0,
    family: int = AF_UNSPEC,
    up: bool = False,
) -> bytes:
    changed = _IFF_UP if up else 0
    body = _IFINFO.pack(family, 0, ifindex, changed, changed) + b"".join(inner)
    return message(kind, flags | NLM_F_ACK, sequence, body)


def get_link(sequence: int, ifname: str) -> bytes:
    """Encode the question for one link, by name; it asks for no ACK."""
    return _question(sequence, 0, _ifname(ifname))


def get_link_at(sequence: int, ifindex: int) -> bytes:
    """Encode the question for one link, by index; it asks for no ACK."""
    return _question(sequence, ifindex)


def _question(sequence: int, ifindex: int, *inner: bytes) -> bytes:
    header = _IFINFO.pack(AF_UNSPEC, 0, ifindex, 0, 0)
    return message(RTM_GETLINK, 0, sequence, header + b"".join(inner) + _NO_COUNTERS)


def dump_links(sequence: int, master: int = 0) -> bytes:
    """Encode the question for all links, or for the ports of a bridge, by its index."""
    body = _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0) + (_u32(_IFLA_MASTER, master) if master else b"")
    return message(RTM_GETLINK, NLM_F_DUMP, sequence, body)


def new_veth(sequence: int, veth: Veth, *, netns_fd: int, master: int, group: int) -> bytes:
    """Encode the making of a pair, the host's end up and a port of its bridge.

    The sandbox's end is born in the sandbox: to move it there later costs 31 ms.
    It can't be up at once (ENOTCONN), and an alias here would not be honoured.

    Args:
        sequence: of the message.
        veth: `bridge` and `alias` are not used.
        netns_fd: the open sandbox.
        master: the bridge's index.
        group: of the host's end.
    """
    mtu = _u32(_IFLA_MTU, veth.mtu) if veth.mtu else b""
    peer = (
        _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0)
        + _ifname(veth.ifname)
        + (_mac(veth.mac) if veth.mac else b"")
        + mtu
        + _u32(_IFLA_NET_NS_FD, netns_fd)
    )
    return _link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        sequence,
        _ifname(veth.host_ifname),
        _mac(veth.host_mac) if veth.host_mac else b"",
        mtu,
        _u32(_IFLA_GROUP, group),
        _u32(_IFLA_MASTER, master),
        _nested(
            _IFLA_LINKINFO,
            attribute(_IFLA_INFO_KIND, b"veth\0"),
            _nested(_IFLA_INFO_DATA, _nested(_VETH_INFO_PEER, peer)),
        ),
        up=True,
    )


def set_alias(sequence: int, ifindex: int, alias: str) -> bytes:
    """Encode the setting of a link's alias; longer ones are cut to 255 bytes."""
    text = alias.encode()[:ALIAS_MAX]
    return _link(RTM_SETLINK, 0, sequence, attribute(_IFLA_IFALIAS, text), ifindex=ifindex)


def set_group(sequence: int, ifindex: int, group: int) -> bytes:
    """Encode the move of a link to another group."""
    return _link(RTM_SETLINK, 0, sequence, _u32(_IFLA_GROUP, group), ifindex=ifindex)


def set_no_link_local(sequence: int, ifindex: int) -> bytes:
    """Encode that a link gets no IPv6 address of itself (addr_gen_mode none).

    Refused with EAFNOSUPPORT where the link has no IPv6 at all.
    """
    mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, _U8.pack(_IN6_ADDR_GEN_MODE_NONE))
    specification = _nested(_IFLA_AF_SPEC, _nested(AF_INET6, mode))
    return _link(RTM_SETLINK, 0, sequence, specification, ifindex=ifindex)


def set_arp_notify(sequence: int, ifindex: int) -> bytes:
    """Encode that a link announces its IPv4 addresses when it goes up.

    The same as the sysctl arp_notify=1, but possible where /proc/sys is read-only.
    """
    conf = _nested(_IFLA_INET_CONF, attribute(_IPV4_DEVCONF_ARP_NOTIFY, _U32.pack(1)))
    specification = _nested(_IFLA_AF_SPEC, _nested(AF_INET, conf))
    return _link(RTM_SETLINK, 0, sequence, specification, ifindex=ifindex)


def set_mac(sequence: int, ifindex: int, mac: str) -> bytes:
    """Encode the setting of a link's MAC; the same again announces its addresses.

    That is with arp_notify and ndisc_notify (NETDEV_CHANGEADDR).
    """
    return _link(RTM_SETLINK, 0, sequence, _mac(mac), ifindex=ifindex)


def set_up(sequence: int, ifindex: int) -> bytes:
    """Encode the setting up of a link."""
    return _link(RTM_SETLINK, 0, sequence, ifindex=ifindex, up=True)


def set_hairpin(sequence: int, ifname: str) -> bytes:
    """Encode that a bridge port may send a frame back to where it came from."""
    mode = attribute(_IFLA_BRPORT_MODE, _U8.pack(1))
    port = _nested(
        _IFLA_LINKINFO,
        attribute(_IFLA_INFO_SLAVE_KIND, b"bridge\0"),
        _nested(_IFLA_INFO_SLAVE_DATA, mode),
    )
    return _link(RTM_NEWLINK, 0, sequence, _ifname(ifname), port)


def delete_link(sequence: int, ifindex: int) -> bytes:
    """Encode the deletion of a link.

    Raises:
        SystemFailure: the index is 0, which would leave it to other fields.
    """
    if not ifindex:
        raise SystemFailure("cannot delete a link", "its index is 0")
    return _link(RTM_DELLINK, 0, sequence, ifindex=ifindex)


def delete_group(sequence: int, group: int) -> bytes:
    """Encode the deletion of all links of a group: one wait for all of them.

    Raises:
        SystemFailure: the group is 0, the one of every link that has none.
    """
    if not group:
        raise SystemFailure("cannot delete links", "group 0 is everyone's")
    return _link(RTM_DELLINK, 0, sequence, _u32(_IFLA_GROUP, group))


def link(body: bytes) -> Link:
    """Decode an RTM_NEWLINK."""
    _family, _type, ifindex, flags, _changed = _IFINFO.unpack_from(body)
    found = attributes(body, _IFINFO.size)
    kind = attributes(found.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"")
    mac = found.get(_IFLA_ADDRESS, b"")
    return Link(
        ifindex=ifindex,
        ifname=_text(found.get(_IFLA_IFNAME, b"")),
        kind=_text(kind),
        mtu=_number(found.get(_IFLA_MTU)),
        mac=mac.hex(":") if mac else "",
        up=bool(flags & _IFF_UP),
        master=_number(found.get(_IFLA_MASTER)),
        group=_number(found.get(_IFLA_GROUP)),
        alias=_text(found.get(_IFLA_IFALIAS, b"")),
        peer=_number(found.get(_IFLA_LINK)),
        running=found.get(_IFLA_OPERSTATE, b"") == _U8.pack(_IF_OPER_UP),
    )


def _number(payload: bytes | None) -> int:
    return int(_U32.unpack(payload)[0]) if payload else 0


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
        inner += _u32(_IFA_FLAGS, flags)
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


def address(body: bytes) -> tuple[int, Interface]:
    """Decode an RTM_NEWADDR into the link's index and its address."""
    _family, prefixlen, _flags, _scope, ifindex = _IFADDR.unpack_from(body)
    found = attributes(body, _IFADDR.size)
    # On a point-to-point link, IFA_ADDRESS is the other end's.
    packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    return ifindex, Interface(Address.unpack(packed), prefixlen)


def new_route(sequence: int, ifindex: int, route: Route, *, onlink: bool = False) -> bytes:
    """Encode a route through a link, in the main table; refused if there is one.

    Args:
        sequence: of the message.
        ifindex: of the link.
        route: without a gateway, its destination is on the link.
        onlink: take the gateway to be on the link, whatever the addresses say.
    """
    destination = route.destination
    scope = _RT_SCOPE_UNIVERSE
    if route.gateway is None and destination.family == 4:  # IPv6 knows no scopes of routes
        scope = _RT_SCOPE_LINK
    header = _RTMSG.pack(
        _FAMILIES[destination.family],
        destination.prefixlen,
        0,
        0,
        _RT_TABLE_MAIN,
        _RTPROT_BOOT,
        scope,
        _RTN_UNICAST,
        _RTNH_F_ONLINK if onlink else 0,
    )
    body = header + _u32(_RTA_OIF, ifindex)
    if destination.prefixlen:
        body += attribute(_RTA_DST, destination.first.packed)
    if route.gateway:
        if route.gateway.family != destination.family:
            raise SystemFailure("cannot encode a route", f"{destination} and its gateway"
                                f" {route.gateway} are of two families")  # fmt: skip
        body += attribute(_RTA_GATEWAY, route.gateway.packed)
    return message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence, body)


def dump_routes(sequence: int) -> bytes:
    """Encode the question for all routes, of both families."""
    header = _RTMSG.pack(AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0)
    return message(RTM_GETROUTE, NLM_F_DUMP, sequence, header)


def routes(body: bytes) -> tuple[tuple[int, Route], ...]:
    """Decode an RTM_NEWROUTE into the links' indexes and the routes through them.

    Returns:
        One per next hop; nothing for what is no plain route of the main table
        (local, broadcast and multicast ones, other tables).
    """
    family, prefixlen, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(body)
    plain = table == _RT_TABLE_MAIN and kind == _RTN_UNICAST and family in (AF_INET, AF_INET6)
    if not plain:
        return ()
    found = attributes(body, _RTMSG.size)
    value = int.from_bytes(found.get(_RTA_DST, b""), "big")
    destination = Subnet(4 if family == AF_INET else 6, value, prefixlen)
    hops = _next_hops(found.get(_RTA_MULTIPATH, b""))
    if _RTA_OIF in found:
        hops.append((_number(found[_RTA_OIF]), found))
    return tuple((ifindex, Route(destination, _gateway(hop))) for ifindex, hop in hops)


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

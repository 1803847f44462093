"""Links as rtnetlink has them, so far as the hook needs it: values to messages and back.

Pure: no socket, no file. It exists because importing pyroute2 costs a hundred
times what the kernel takes for the whole wiring; property tests have pyroute2
decode every message that is made here. Layouts: <linux/rtnetlink.h>,
<linux/if_link.h>, rtnetlink(7).
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, AF_UNSPEC
from _struct import Struct

from ocinet.base.errors import SystemFailure
from ocinet.engine.model.link import ALIAS_MAX, Link, Veth
from ocinet.engine.netlink.framing import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    attribute,
    attributes,
    message,
    number,
    u32,
)

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19

_IFINFO = Struct("=BxHIII")  # family, device type, index, flags, which flags to change
_U8 = Struct("=B")
_U32 = Struct("=I")
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


# Half of what the kernel would tell of a link, and nobody reads.
_NO_COUNTERS = u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)


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
    body = _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0) + (u32(_IFLA_MASTER, master) if master else b"")
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
    mtu = u32(_IFLA_MTU, veth.mtu) if veth.mtu else b""
    peer = (
        _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0)
        + _ifname(veth.ifname)
        + (_mac(veth.mac) if veth.mac else b"")
        + mtu
        + u32(_IFLA_NET_NS_FD, netns_fd)
    )
    return _link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        sequence,
        _ifname(veth.host_ifname),
        _mac(veth.host_mac) if veth.host_mac else b"",
        mtu,
        u32(_IFLA_GROUP, group),
        u32(_IFLA_MASTER, master),
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
    return _link(RTM_SETLINK, 0, sequence, u32(_IFLA_GROUP, group), ifindex=ifindex)


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
    return _link(RTM_DELLINK, 0, sequence, u32(_IFLA_GROUP, group))


def decode_link(body: bytes) -> Link:
    """Decode an RTM_NEWLINK."""
    _family, _type, ifindex, flags, _changed = _IFINFO.unpack_from(body)
    found = attributes(body, _IFINFO.size)
    kind = attributes(found.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"")
    mac = found.get(_IFLA_ADDRESS, b"")
    return Link(
        ifindex=ifindex,
        ifname=_text(found.get(_IFLA_IFNAME, b"")),
        kind=_text(kind),
        mtu=number(found.get(_IFLA_MTU)),
        mac=mac.hex(":") if mac else "",
        up=bool(flags & _IFF_UP),
        master=number(found.get(_IFLA_MASTER)),
        group=number(found.get(_IFLA_GROUP)),
        alias=_text(found.get(_IFLA_IFALIAS, b"")),
        peer=number(found.get(_IFLA_LINK)),
        running=found.get(_IFLA_OPERSTATE, b"") == _U8.pack(_IF_OPER_UP),
    )

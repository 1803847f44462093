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
from ocinet.engine.kernel.port_messages import decode_lacks
from ocinet.engine.model.link import ALIAS_MAX, LINK_GROUP, Link, Veth
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

_IFF_UP, _IFF_NOARP = 0x1, 0x80
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
_IFLA_BR_STP_STATE = 5
_IFLA_BR_VLAN_FILTERING = 7
_IFLA_BR_VLAN_DEFAULT_PVID = 39
_SPANS = u32(_IFLA_BR_STP_STATE, 1)
_FILTERS_VLANS = attribute(_IFLA_BR_VLAN_FILTERING, b"\1")
_WITHOUT, _VLAN_1 = bytes(2), b"\1\0"
_IFLA_BRPORT_MODE = 4  # hairpin
_IFLA_BRPORT_ISOLATED = 33
_HAIRPIN = attribute(_IFLA_BRPORT_MODE, b"\1")
_ISOLATED = attribute(_IFLA_BRPORT_ISOLATED, b"\1")
OUR_GROUP = u32(_IFLA_GROUP, LINK_GROUP)
_IFLA_INET_CONF = 1
_IPV4_DEVCONF_ROUTE_LOCALNET = 26
_IPV4_DEVCONF_ARP_NOTIFY = 22
_IFLA_INET6_ADDR_GEN_MODE = 8
_ADDR_GEN_MODE_NONE = 1


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


def dump_counted_links(sequence: int) -> bytes:
    """Encode the question for all links with what has passed them, less IPv6's own counters."""
    body = _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0) + _NO_COUNTERS
    return message(RTM_GETLINK, NLM_F_DUMP, sequence, body)


def new_veth(sequence: int, veth: Veth, *, netns_fd: int, master: int, group: int) -> bytes:
    """Encode the making of a pair, the host's end a port of its bridge.

    It is up, unless it is to be guarded or isolated: nothing comes in before. The sandbox's
    end is born in the sandbox: to move it there later costs 31 ms. It can't be up at once
    (ENOTCONN), and an alias here would not be honoured.

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
        up=not (veth.guard or veth.isolated),
    )


def new_cable(
    sequence: int, near: tuple[str, str, int], far: tuple[str, str, int], *, mtu: int, index: int
) -> bytes:
    """Encode the making of a pair with both ends in sandboxes, down; the host has neither, ever.

    Args:
        sequence: of the message.
        near: name, MAC and open sandbox of the one end.
        far: the same of the other.
        mtu: of both, in bytes.
        index: of the one, and the next of the other; 0: as the kernel counts.
    """
    size = u32(_IFLA_MTU, mtu)
    ends = [
        _ifname(ifname) + _mac(mac) + size + OUR_GROUP + u32(_IFLA_NET_NS_FD, netns_fd)
        for ifname, mac, netns_fd in (near, far)
    ]
    peer = _IFINFO.pack(AF_UNSPEC, 0, index and index + 1, 0, 0) + ends[1]
    return _link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        sequence,
        ends[0],
        _nested(
            _IFLA_LINKINFO,
            attribute(_IFLA_INFO_KIND, b"veth\0"),
            _nested(_IFLA_INFO_DATA, _nested(_VETH_INFO_PEER, peer)),
        ),
        ifindex=index,
    )


def set_alias(sequence: int, ifindex: int, alias: str, *, up: bool = False) -> bytes:
    """Encode the setting of a link's alias, and up; longer ones are cut to 255 bytes."""
    text = alias.encode()[:ALIAS_MAX]
    inner = attribute(_IFLA_IFALIAS, text)
    return _link(RTM_SETLINK, 0, sequence, inner, ifindex=ifindex, up=up)


def set_group(sequence: int, ifindex: int, group: int) -> bytes:
    """Encode the move of a link to another group."""
    return _link(RTM_SETLINK, 0, sequence, u32(_IFLA_GROUP, group), ifindex=ifindex)


def set_no_link_local(sequence: int, ifindex: int) -> bytes:
    """Encode that a link gets no IPv6 address of itself (addr_gen_mode none).

    Refused with EAFNOSUPPORT where the link has no IPv6 at all.
    """
    mode = _nested(AF_INET6, attribute(_IFLA_INET6_ADDR_GEN_MODE, _U8.pack(_ADDR_GEN_MODE_NONE)))
    return _link(RTM_SETLINK, 0, sequence, _nested(_IFLA_AF_SPEC, mode), ifindex=ifindex)


def set_arp_notify(sequence: int, ifindex: int) -> bytes:
    """Encode that a link announces its IPv4 addresses when it goes up.

    The same as the sysctl arp_notify=1, but possible where /proc/sys is read-only.
    """
    return set_ipv4_conf(sequence, ifindex, {_IPV4_DEVCONF_ARP_NOTIFY: 1})


def set_route_localnet(sequence: int, ifindex: int, value: int) -> bytes:
    """Encode whether packets from 127.0.0.1 may leave by a link.

    The same as the sysctl route_localnet, but possible where /proc/sys is read-only.
    """
    return set_ipv4_conf(sequence, ifindex, {_IPV4_DEVCONF_ROUTE_LOCALNET: value})


def set_ipv4_conf(sequence: int, ifindex: int, parameters: dict[int, int]) -> bytes:
    """Encode values of a link's parameters of IPv4, by their numbers in <linux/ip.h>."""
    values = [attribute(each, _U32.pack(value)) for each, value in parameters.items()]
    conf = _nested(AF_INET, _nested(_IFLA_INET_CONF, *values))
    return _link(RTM_SETLINK, 0, sequence, _nested(_IFLA_AF_SPEC, conf), ifindex=ifindex)


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
    return set_port_flags(sequence, ifname, _HAIRPIN)


def set_isolated(sequence: int, ifname: str = "", *, ifindex: int = 0) -> bytes:
    """Encode that a bridge port carries nothing to and from others of its kind.

    The port is known by its name or by its index.
    """
    name = _ifname(ifname) if ifname else b""
    return _link(RTM_NEWLINK, 0, sequence, name, _port_with(_ISOLATED), ifindex=ifindex)


def set_port_flags(sequence: int, ifname: str, flags: bytes) -> bytes:
    """Encode the setting of a bridge port's flags: attributes IFLA_BRPORT_*."""
    return _link(RTM_NEWLINK, 0, sequence, _ifname(ifname), _port_with(flags))


def _port_with(flag: bytes) -> bytes:
    return _nested(
        _IFLA_LINKINFO,
        attribute(_IFLA_INFO_SLAVE_KIND, b"bridge\0"),
        _nested(_IFLA_INFO_SLAVE_DATA, flag),
    )


def join_bridge(sequence: int, ifname: str, master: int, mtu: int = 0) -> bytes:
    """Encode that a link is set up as a port of a bridge, by its index; it leaves another one.

    Args:
        sequence: of the message.
        ifname: the link's.
        master: the bridge's index.
        mtu: bytes that the link is to have; 0: as it is.
    """
    size = u32(_IFLA_MTU, mtu) if mtu else b""
    port_of = u32(_IFLA_MASTER, master)
    return _link(RTM_NEWLINK, 0, sequence, _ifname(ifname), size, port_of, up=True)


def set_mtu(sequence: int, ifindex: int, mtu: int) -> bytes:
    """Encode the setting of a link's MTU, in bytes."""
    return _link(RTM_SETLINK, 0, sequence, u32(_IFLA_MTU, mtu), ifindex=ifindex)


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


def decode_link(body: bytes, found: dict[int, bytes] | None = None) -> Link:
    """Decode an RTM_NEWLINK, by its attributes if somebody has decoded them."""
    _family, _type, ifindex, flags, _changed = _IFINFO.unpack_from(body)
    found = attributes(body, _IFINFO.size) if found is None else found
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    kind = info.get(_IFLA_INFO_KIND, b"")
    mac = found.get(_IFLA_ADDRESS, b"")
    of_bridge = info.get(_IFLA_INFO_DATA, b"") if kind == b"bridge\0" else b""
    vlans = _vlans(of_bridge) if of_bridge else b""
    running = found.get(_IFLA_OPERSTATE, b"") == _U8.pack(_IF_OPER_UP)
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
        running=running,
        without_vlan=vlans == _WITHOUT,
        filters_vlans=bool(vlans),
        hairpin=_has_flag(info, _IFLA_BRPORT_MODE, _HAIRPIN),
        isolated=_has_flag(info, _IFLA_BRPORT_ISOLATED, _ISOLATED),
        lacks=_lacks(info, running=running) if _IFLA_INFO_SLAVE_KIND in info else (),
        spans=_SPANS in of_bridge,
        without_arp=bool(flags & _IFF_NOARP),
    )


def _lacks(information: dict[int, bytes], *, running: bool) -> tuple[str, ...]:
    port = information.get(_IFLA_INFO_SLAVE_DATA, b"")
    of_bridge = information.get(_IFLA_INFO_SLAVE_KIND) == b"bridge\0"
    return decode_lacks(port, running=running) if of_bridge else ()


def _has_flag(information: dict[int, bytes], kind: int, flag: bytes) -> bool:
    # A port has some forty attributes: they are decoded only where the one is in sight.
    port = information.get(_IFLA_INFO_SLAVE_DATA, b"")
    if flag not in port or information.get(_IFLA_INFO_SLAVE_KIND) != b"bridge\0":
        return False
    return attributes(port).get(kind) == b"\1"


def _vlans(bridge: bytes) -> bytes:
    """Return the VLAN of a bridge's new ports, as it is encoded; b"" if it filters none."""
    # A bridge has some fifty attributes: they are decoded only where the one is in sight.
    if _FILTERS_VLANS not in bridge:
        return b""
    found = attributes(bridge)
    if found.get(_IFLA_BR_VLAN_FILTERING) != b"\1":
        return b""
    return found.get(_IFLA_BR_VLAN_DEFAULT_PVID, _VLAN_1)

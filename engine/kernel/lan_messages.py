"""Links that share a parent, as rtnetlink has them: values to messages. Pure.

Layouts: <linux/if_link.h>. A driver's mode is a number of its own.
"""

from __future__ import annotations

from _struct import Struct

from ocinet.engine.kernel.link_messages import set_ipv4_conf
from ocinet.engine.model.lan import Child
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.netlink.framing import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    message,
    u32,
)

_RTM_NEWLINK = 16
_IFINFO = Struct("=BBHiII")  # family, padding, type, link, flags, change
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK = 1, 3, 4, 5
_IFLA_LINKINFO, _IFLA_GROUP, _IFLA_NET_NS_FD = 18, 27, 28
_INFO_KIND, _INFO_DATA = 1, 2
_IFLA_MACVLAN_MODE = 1
_IPV4_DEVCONF_ARP_ANNOUNCE, _IPV4_DEVCONF_ARP_IGNORE = 18, 19
_MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}


def new_child(sequence: int, child: Child, parent: int, netns_fd: int = -1) -> bytes:
    """Encode the making of a link that shares its parent's way, down, of our group.

    Args:
        sequence: of the message.
        child: what it is to be like.
        parent: its index, where the message is sent.
        netns_fd: the open sandbox that it is born in; -1: where the message is sent.
    """
    mode = u32(_IFLA_MACVLAN_MODE, _MACVLAN_MODES[child.mode])
    mac = bytes.fromhex(child.mac.replace(":", ""))
    info = attribute(_INFO_KIND, child.kind.encode() + b"\0")
    info += attribute(_INFO_DATA | NLA_F_NESTED, mode)
    body = (
        _IFINFO.pack(0, 0, 0, 0, 0, 0)
        + attribute(_IFLA_IFNAME, child.ifname.encode() + b"\0")
        + u32(_IFLA_LINK, parent)
        + u32(_IFLA_GROUP, LINK_GROUP)
        + u32(_IFLA_MTU, child.mtu)
        + (attribute(_IFLA_ADDRESS, mac) if mac else b"")
        + (u32(_IFLA_NET_NS_FD, netns_fd) if netns_fd >= 0 else b"")
        + attribute(_IFLA_LINKINFO | NLA_F_NESTED, info)
    )
    return message(_RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence, body)


def set_arp_of_its_own(sequence: int, ifindex: int) -> bytes:
    """Encode that a link answers and asks (ARP) by its own addresses, none of the host's others.

    The same as the sysctls arp_ignore=1 and arp_announce=2.
    """
    parameters = {_IPV4_DEVCONF_ARP_IGNORE: 1, _IPV4_DEVCONF_ARP_ANNOUNCE: 2}
    return set_ipv4_conf(sequence, ifindex, parameters)

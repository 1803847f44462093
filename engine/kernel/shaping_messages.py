"""Limits of links' bandwidth, as rtnetlink has them: values to messages and back. Pure.

Layouts: <linux/pkt_sched.h>, <linux/pkt_cls.h>, <linux/tc_act/tc_mirred.h>. A token bucket
(sch_tbf) is the first discipline of a link. What comes in by a link has no queue: it is
redirected to an ifb, which has one, by an action (act_mirred) of a filter behind our first one.
"""

from __future__ import annotations

from _socket import htons
from _struct import Struct

from ocinet.engine.kernel.filter_messages import INGRESS
from ocinet.engine.model.bandwidth import Limit
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.netlink.framing import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    attribute,
    attributes,
    message,
    u32,
)

_RTM_NEWLINK = 16
_RTM_NEWQDISC, _RTM_DELQDISC = 36, 37
_RTM_NEWTFILTER, _RTM_DELTFILTER, _RTM_GETTFILTER = 44, 45, 46
_IFINFO = Struct("=BBHiII")  # family, padding, type, link, flags, change
_TCMSG = Struct("=BBHiIII")  # family, padding, padding, link, handle, parent, info
_IFF_UP = 1
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_GROUP = 3, 18, 27
_ROOT = 0xFFFF_FFFF
_HANDLE = 0x6F63 << 16
_KIND, _OPTIONS = 1, 2

# struct tc_tbf_qopt: two rates (cell_log, linklayer, overhead, cell_align, mpu, rate), then
# limit, buffer and mtu.
_TBF = Struct("=BBHhHIBBHhHIIII")
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_ETHERNET = 1  # TC_LINKLAYER_ETHERNET: else the kernel wants a table of times
_U32 = 0xFFFF_FFFF
_U64 = Struct("=Q")

_REDIRECTED_PRIORITY = 2  # behind the guard, which says nothing of what it lets pass
_REDIRECT_HANDLE = 1
_INFO = _REDIRECTED_PRIORITY << 16 | htons(0x0003)  # of all protocols, ETH_P_ALL
_BPF_ACT, _BPF_OPS_LEN, _BPF_OPS = 1, 4, 5
_ALL = Struct("=HBBI").pack(6, 0, 0, 0xFFFF_FFFF)  # a program that ends with: it is meant
_ACT_KIND, _ACT_OPTIONS = 1, 2
_MIRRED_PARMS = 2
_MIRRED = Struct("=IIiiiiI")  # index, capab, action, refcnt, bindcnt, eaction, ifindex
_STOLEN, _EGRESS_REDIRECT = 4, 1


def new_ifb(sequence: int, ifname: str) -> bytes:
    """Encode the making of an ifb, up, of our group; EEXIST where there is one."""
    kind = attribute(1, b"ifb\0")  # IFLA_INFO_KIND
    body = (
        _IFINFO.pack(0, 0, 0, 0, _IFF_UP, _IFF_UP)
        + attribute(_IFLA_IFNAME, ifname.encode() + b"\0")
        + u32(_IFLA_GROUP, LINK_GROUP)
        + attribute(_IFLA_LINKINFO | NLA_F_NESTED, kind)
    )
    return message(_RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence, body)


def put_bucket(sequence: int, ifindex: int, limit: Limit) -> bytes:
    """Encode a limit of what a link sends, in place of whatever discipline it has."""
    rate = limit.rate // 8
    parms = _TBF.pack(0, _ETHERNET, 0, 0, 0, min(rate, _U32), 0, 0, 0, 0, 0, 0, limit.queue, 0, 0)
    options = attribute(_TBF_PARMS, parms) + u32(_TBF_BURST, limit.burst)
    if rate > _U32:
        options += attribute(_TBF_RATE64, _U64.pack(rate))
    body = (
        _TCMSG.pack(0, 0, 0, ifindex, _HANDLE, _ROOT, 0)
        + attribute(_KIND, b"tbf\0")
        + attribute(_OPTIONS | NLA_F_NESTED, options)
    )
    return message(_RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sequence, body)


def delete_bucket(sequence: int, ifindex: int) -> bytes:
    """Encode the end of a limit."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _HANDLE, _ROOT, 0)
    return message(_RTM_DELQDISC, NLM_F_ACK, sequence, header)


def decode_bucket(body: bytes) -> tuple[int, Limit] | None:
    """Decode an RTM_NEWQDISC into a link's index and its limit; None: it is no limit of ours."""
    _family, _pad, _pad2, ifindex, handle, parent, _info = _TCMSG.unpack_from(body)
    if (handle, parent) != (_HANDLE, _ROOT):
        return None
    found = attributes(body, _TCMSG.size)
    options = attributes(found.get(_OPTIONS, b""))
    parms = options.get(_TBF_PARMS, b"")
    if found.get(_KIND) != b"tbf\0" or len(parms) < _TBF.size:
        return None
    fields = _TBF.unpack_from(parms)
    rate = _U64.unpack(options[_TBF_RATE64])[0] if _TBF_RATE64 in options else fields[5]
    bits = rate * 8
    # It tells the burst as a time that is rounded; the queue has it in bytes.
    return ifindex, Limit(bits, fields[12] - Limit(bits).queue)


def put_redirect(sequence: int, ifindex: int, to_ifindex: int) -> bytes:
    """Encode that all that comes in by a link goes to another one first."""
    parms = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, to_ifindex)
    action = attribute(_ACT_KIND, b"mirred\0") + attribute(
        _ACT_OPTIONS | NLA_F_NESTED, attribute(_MIRRED_PARMS, parms)
    )
    options = (
        attribute(_BPF_ACT | NLA_F_NESTED, attribute(1 | NLA_F_NESTED, action))
        + attribute(_BPF_OPS_LEN, b"\1\0")
        + attribute(_BPF_OPS, _ALL)
    )
    body = (
        _TCMSG.pack(0, 0, 0, ifindex, _REDIRECT_HANDLE, INGRESS, _INFO)
        + attribute(_KIND, b"bpf\0")
        + attribute(_OPTIONS | NLA_F_NESTED, options)
    )
    return message(_RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE, sequence, body)


def delete_redirect(sequence: int, ifindex: int) -> bytes:
    """Encode the end of that."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _REDIRECT_HANDLE, INGRESS, _INFO)
    return message(_RTM_DELTFILTER, NLM_F_ACK, sequence, header + attribute(_KIND, b"bpf\0"))


def get_redirect(sequence: int, ifindex: int) -> bytes:
    """Encode the question for that; refused where there is none."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _REDIRECT_HANDLE, INGRESS, _INFO)
    return message(_RTM_GETTFILTER, 0, sequence, header)


def decode_redirect(body: bytes) -> int:
    """Decode the answer into the index of the link that all goes to; 0: to none."""
    options = attributes(attributes(body, _TCMSG.size).get(_OPTIONS, b""))
    action = attributes(attributes(options.get(_BPF_ACT, b"")).get(1, b""))
    if action.get(_ACT_KIND) != b"mirred\0":
        return 0
    parms = attributes(action.get(_ACT_OPTIONS, b"")).get(_MIRRED_PARMS, b"")
    return int(_MIRRED.unpack_from(parms)[6]) if len(parms) >= _MIRRED.size else 0

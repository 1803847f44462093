"""Filters of a link, as rtnetlink has them: programs to messages and back.

Pure, as `ip_messages`. Layouts: <linux/rtnetlink.h>, <linux/pkt_cls.h>. They hang on a
clsact queueing discipline, and what a program returns is the verdict ("direct action"):
of the kernel it wants sch_ingress and cls_bpf, which it loads by itself where they are
modules, and no action module.
"""

from __future__ import annotations

from _socket import htons
from _struct import Struct

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

INGRESS = 0xFFFF_FFF2
EGRESS = 0xFFFF_FFF3

_RTM_SETLINK = 19
_RTM_NEWQDISC, _RTM_DELQDISC, _RTM_GETQDISC = 36, 37, 38
_RTM_NEWTFILTER, _RTM_DELTFILTER, _RTM_GETTFILTER = 44, 45, 46
_TCMSG = Struct("=BBHiIII")  # family, padding, padding, link, handle, parent, info
_IFINFO = Struct("=BBHiII")  # family, padding, type, link, flags, change
_IFLA_TXQLEN = 13
_COUNT = Struct("=H")
_STATISTICS, _QUEUE = 7, 3  # TCA_STATS2, TCA_STATS_QUEUE
_COUNTS = Struct("=IIIII")  # struct gnet_stats_queue: length, backlog, drops, requeues, overlimits
_INSTRUCTION_SIZE = 8

_KIND, _OPTIONS = 1, 2
_CLSACT_NAME = b"clsact\0"
_BPF_OPS_LEN, _BPF_OPS, _BPF_FLAGS = 4, 5, 8
_DIRECT_ACTION = 1

_CLSACT, _CLSACT_HANDLE = 0xFFFF_FFF1, 0xFFFF_0000
# The first of all: one of somebody's before it that says "ok" would be the last word.
_PRIORITY = 1
_HANDLE = 0x6F63
_INFO = _PRIORITY << 16 | htons(0x0003)  # of all protocols, ETH_P_ALL


def add_clsact(sequence: int, ifindex: int) -> bytes:
    """Encode the making of what filters hang on; refused with EEXIST where it is there."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _CLSACT_HANDLE, _CLSACT, 0)
    flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return message(_RTM_NEWQDISC, flags, sequence, header + attribute(_KIND, _CLSACT_NAME))


def delete_clsact(sequence: int, ifindex: int) -> bytes:
    """Encode its deletion, with all filters on it."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _CLSACT_HANDLE, _CLSACT, 0)
    return message(_RTM_DELQDISC, NLM_F_ACK, sequence, header)


def decode_queue_length(body: bytes) -> int:
    """Return the length of a link's queue from an RTM_NEWLINK, in packets."""
    return number(attributes(body, _IFINFO.size).get(_IFLA_TXQLEN))


def set_queue_length(sequence: int, ifindex: int, length: int) -> bytes:
    """Encode the length of a link's queue, in packets."""
    body = _IFINFO.pack(0, 0, 0, ifindex, 0, 0) + u32(_IFLA_TXQLEN, length)
    return message(_RTM_SETLINK, NLM_F_ACK, sequence, body)


def put_filter(sequence: int, ifindex: int, program: bytes, parent: int = INGRESS) -> bytes:
    """Encode our filter, in place of one of ours that is there.

    Args:
        sequence: of the message.
        ifindex: the link's.
        program: instructions of classic BPF.
        parent: `INGRESS` or `EGRESS`.
    """
    header = _TCMSG.pack(0, 0, 0, ifindex, _HANDLE, parent, _INFO)
    options = (
        attribute(_BPF_OPS_LEN, _COUNT.pack(len(program) // _INSTRUCTION_SIZE))
        + attribute(_BPF_OPS, program)
        + u32(_BPF_FLAGS, _DIRECT_ACTION)
    )
    body = header + attribute(_KIND, b"bpf\0") + attribute(_OPTIONS | NLA_F_NESTED, options)
    return message(_RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE, sequence, body)


def delete_filter(sequence: int, ifindex: int, parent: int) -> bytes:
    """Encode the deletion of our filter."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _HANDLE, parent, _INFO)
    return message(_RTM_DELTFILTER, NLM_F_ACK, sequence, header + attribute(_KIND, b"bpf\0"))


def dump_filters(sequence: int, ifindex: int, parent: int) -> bytes:
    """Encode the question for all filters of a link in one direction."""
    header = _TCMSG.pack(0, 0, 0, ifindex, 0, parent, 0)
    return message(_RTM_GETTFILTER, NLM_F_DUMP, sequence, header)


def get_filter(sequence: int, ifindex: int, parent: int = INGRESS) -> bytes:
    """Encode the question for our filter; refused where it is not there."""
    header = _TCMSG.pack(0, 0, 0, ifindex, _HANDLE, parent, _INFO)
    return message(_RTM_GETTFILTER, 0, sequence, header)


def dump_disciplines(sequence: int, ifindex: int) -> bytes:
    """Encode the question for all queueing disciplines of a link, with what they counted."""
    header = _TCMSG.pack(0, 0, 0, ifindex, 0, 0, 0)
    return message(_RTM_GETQDISC, NLM_F_DUMP, sequence, header)


def decode_dropped(body: bytes, ifindex: int) -> int:
    """Return how many packets the filters of a link have dropped from an RTM_NEWQDISC.

    0 where it is about another link, as of a kernel that lists them all, or no clsact.
    """
    found = decode_drops(body)
    return found[1] if found and found[0] == ifindex else 0


def decode_drops(body: bytes) -> tuple[int, int] | None:
    """Return a link's index, and how many packets its filters have dropped; None: no clsact."""
    if _CLSACT_NAME not in body:  # as half of a long list
        return None
    found = attributes(body, _TCMSG.size)
    if found.get(_KIND) != _CLSACT_NAME:
        return None
    counts = attributes(found.get(_STATISTICS, b"")).get(_QUEUE, b"")
    dropped = int(_COUNTS.unpack_from(counts)[2]) if len(counts) >= _COUNTS.size else 0
    return _TCMSG.unpack_from(body)[3], dropped


def decode_filter(body: bytes) -> bytes | None:
    """Return the program of an RTM_NEWTFILTER that is our filter; None: it is another one.

    b"" for one at our place that is none of ours: of another kind, or no direct action.
    """
    _family, _pad, _pad2, _link, handle, _parent, info = _TCMSG.unpack_from(body)
    if handle != _HANDLE or info >> 16 != _PRIORITY:
        return None
    found = attributes(body, _TCMSG.size)
    options = attributes(found.get(_OPTIONS, b""))
    if found.get(_KIND) != b"bpf\0" or not number(options.get(_BPF_FLAGS)) & _DIRECT_ACTION:
        return b""
    return options.get(_BPF_OPS, b"")

"""Asking a bridge who uses an address: the last word before it is given out.

Where somebody else hands out addresses of the same subnet, no file of ours
tells which are free. So they are asked for, as a host does that joins a network:
IPv4 by ARP probe (RFC 5227 section 2.1), IPv6 by neighbour solicitation
(RFC 4862 section 5.4). Neither leaves anything in anybody's caches.

A packet socket sees the answers before any firewall does, and also where the
host itself does without the address family. For bridges that others are on, and
imported only for them.
"""

from __future__ import annotations

from _socket import AF_PACKET, SOCK_RAW, socket
from _struct import Struct, pack
from errno import ENETDOWN, ENOBUFS, ENODEV, ENXIO
from os import strerror
from time import monotonic

from ocinet.base.address import Address
from ocinet.base.errors import KernelError
from ocinet.engine.kernel.checksum import internet_checksum
from ocinet.engine.netlink.socket_filter import (
    IF_EQUAL,
    LOAD_BYTE,
    LOAD_HALF,
    RETURN,
    attach_filter,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.link import Link

# Seconds to listen after each time of asking.
#
# A veth's other end answers while the question is being sent: 60000 of 60000 did,
# whatever six processes did to two CPUs. Only where its packets are steered to
# another CPU (RPS) and that is busy, three of 20000 took longer than these 10 ms.
NEAR = (0.003, 0.007)
# Behind a network card, or in a virtual machine, somebody may have to wake up.
FAR = (0.02, 0.04, 0.04)

_ETH_P_ALL = 3
_ETH_P_ARP = 0x0806
_ETH_P_IPV6 = 0x86DD
_LONGEST = 128  # bytes of a frame that are looked at
_MOST_FRAMES = 10_000  # looked at for one question: a flood must not keep us for ever
_ETHERNET = Struct("!6s6sH")
_ARP = Struct("!HHBBH6s4s6s4s")  # RFC 826
_ARP_IPV4 = (1, 0x0800, 6, 4)  # hardware and protocol type, lengths of their addresses
_ARP_REQUEST = 1
_IPV6 = Struct("!IHBB16s16s")  # version, payload's length, next header, hop limit, from, to
_VERSION_6 = 6 << 28
_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_NEIGHBOUR = Struct("!BBHI16s")  # RFC 4861 section 4.3: type, code, checksum, flags, target
_HOP_LIMIT = 255  # what has passed a router has less, and is no neighbour's
_NO_MAC, _EVERY_MAC = bytes(6), b"\xff" * 6
_NO_IPV4, _NO_IPV6 = bytes(4), bytes(16)
_SOLICITED_NODE = b"\xff\x02" + bytes(9) + b"\x01\xff"  # RFC 4291 section 2.7.1
_MULTICAST_MAC = b"\x33\x33"  # RFC 2464 section 7

# Lets ARP and neighbour discovery in: what else a busy bridge carries would fill
# the socket's buffer.
_FILTER = (
    (LOAD_HALF, 0, 0, 12),
    (IF_EQUAL, 6, 0, _ETH_P_ARP),
    (IF_EQUAL, 0, 6, _ETH_P_IPV6),
    (LOAD_BYTE, 0, 0, _ETHERNET.size + 6),
    (IF_EQUAL, 0, 4, _ICMPV6),
    (LOAD_BYTE, 0, 0, _ETHERNET.size + _IPV6.size),
    (IF_EQUAL, 1, 0, _SOLICITATION),
    (IF_EQUAL, 0, 1, _ADVERTISEMENT),
    (RETURN, 0, 0, _LONGEST),
    (RETURN, 0, 0, 0),
)

_GONE = (ENETDOWN, ENODEV, ENXIO)


def patience(kinds: set[str]) -> tuple[float, ...]:
    """Return how to listen where there are ports of these kinds; empty if nobody is there."""
    if not kinds:
        return ()
    return NEAR if kinds == {"veth"} else FAR


class Segment:
    """A bridge's segment, to be asked who uses addresses. To be closed.

    Closing it waits for the kernel, 16 ms (net/packet/af_packet.c,
    packet_release): so one socket for all questions, closed when nobody waits.

    Args:
        bridge: of the host's namespace, which the thread is in.
        asked: the links that a question goes out by: the bridge, to all that are on it, as
            where none is told; or ports of it, each to who is behind it.
    """

    def __init__(self, bridge: Link, asked: tuple[str, ...] = ()) -> None:
        self._ifname = bridge.ifname
        self.asked = asked or (bridge.ifname,)
        self._mac = bytes.fromhex(bridge.mac.replace(":", ""))
        self._opened: socket | None = None

    def users(
        self,
        addresses: tuple[Address, ...],
        waits_s: tuple[float, ...],
        *,
        deaf_to: frozenset[str] = frozenset(),
    ) -> dict[Address, str]:
        """Ask for the users of addresses.

        Args:
            addresses: asked for together, and at each turn again.
            waits_s: how long to listen after each turn; the first answer ends it.
            deaf_to: MACs whose answers are none.

        Returns:
            Of whom one was heard, each with the MAC that uses it. Empty if nobody
            spoke up, also where the bridge went down or away meanwhile.

        Raises:
            KernelError: no packet socket was to be had.
        """
        questions = [question(address, self._mac) for address in addresses]
        try:
            if self._opened is None:
                self._opened = open_filtered(self._ifname)
            for wait_s in waits_s:
                self._send(self._opened, questions)
                end = monotonic() + wait_s
                users = _listen(self._opened, addresses, end, deaf_to)
                if users:
                    return users
        except OSError as error:
            if error.errno in _GONE:
                return {}
            raise KernelError(
                f"cannot ask on {self._ifname} who uses {', '.join(map(str, addresses))}",
                strerror(error.errno or 0),
                "it needs CAP_NET_RAW, and AF_PACKET where a unit has RestrictAddressFamilies",
                errno=error.errno or 0,
            ) from error
        return {}

    def _send(self, packets: socket, questions: list[bytes]) -> None:
        packets.settimeout(None)
        for frame in questions:
            protocol = int.from_bytes(frame[12:14], "big")
            for ifname in self.asked:
                try:
                    packets.sendto(frame, (ifname, protocol))
                except OSError as error:
                    # Lost, as a frame may be; or a port that is gone, or down: nobody is there.
                    of_port = error.errno in _GONE and ifname != self._ifname
                    if error.errno != ENOBUFS and not of_port:
                        raise

    def close(self) -> None:
        """Close the socket, if it was ever opened."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def open_filtered(ifname: str) -> socket:
    """Return a packet socket on a link that takes in ARP and neighbour discovery alone.

    Raises:
        OSError: it can't be made, or there is no such link.
    """
    packets = socket(AF_PACKET, SOCK_RAW, 0)  # of no protocol: nothing comes in unfiltered
    try:
        attach_filter(packets, _FILTER)
        packets.bind((ifname, _ETH_P_ALL))
    except OSError:
        packets.close()
        raise
    return packets


def _listen(
    packets: socket, addresses: tuple[Address, ...], end: float, deaf_to: frozenset[str]
) -> dict[Address, str]:
    """Read until somebody is heard to use one of the addresses, or all by the end.

    What came before the end is read also if we did not get to run in time.
    """
    for _frame in range(_MOST_FRAMES):
        packets.settimeout(max(0.0, end - monotonic()))
        try:
            claim = claimed(packets.recv(_LONGEST))
        except (TimeoutError, BlockingIOError):
            break
        if claim and claim[0] in addresses and claim[1].hex(":") not in deaf_to:
            return {claim[0]: claim[1].hex(":")}
    return {}


def question(address: Address, mac: bytes) -> bytes:
    """Return the frame that asks who uses an address, from somebody who has none yet."""
    target = address.packed
    if address.family == 4:
        frame = _ETHERNET.pack(_EVERY_MAC, mac, _ETH_P_ARP)
        return frame + _ARP.pack(*_ARP_IPV4, _ARP_REQUEST, mac, _NO_IPV4, _NO_MAC, target)
    group = _SOLICITED_NODE + target[-3:]
    ask = _NEIGHBOUR.pack(_SOLICITATION, 0, 0, 0, target)
    # RFC 8200 section 8.1: the ends, the length, and what kind of message it is.
    ends = _NO_IPV6 + group + pack("!II", len(ask), _ICMPV6)
    ask = _NEIGHBOUR.pack(_SOLICITATION, 0, internet_checksum(ends + ask), 0, target)
    header = _IPV6.pack(_VERSION_6, len(ask), _ICMPV6, _HOP_LIMIT, _NO_IPV6, group)
    return _ETHERNET.pack(_MULTICAST_MAC + group[-4:], mac, _ETH_P_IPV6) + header + ask


def claimed(frame: bytes) -> tuple[Address, bytes] | None:
    """Return the address that a frame's sender shows to use, and its MAC.

    Who asks for an address without having one is about to use it: as good as
    an answer (RFC 5227 section 2.1.1, RFC 4862 section 5.4.3).
    """
    if len(frame) < _ETHERNET.size:
        return None
    _to, sender, protocol = _ETHERNET.unpack_from(frame)
    if protocol == _ETH_P_ARP:
        return _claimed_by_arp(frame[_ETHERNET.size :])
    if protocol == _ETH_P_IPV6:
        packed = _claimed_by_neighbour(frame[_ETHERNET.size :])
        return (Address.unpack(packed), sender) if packed else None
    return None


def _claimed_by_arp(packet: bytes) -> tuple[Address, bytes] | None:
    if len(packet) < _ARP.size:
        return None
    *kinds, act, mac, sender, _target_mac, target = _ARP.unpack_from(packet)
    if tuple(kinds) != _ARP_IPV4:
        return None
    if sender == _NO_IPV4:
        return (Address.unpack(target), mac) if act == _ARP_REQUEST else None
    return Address.unpack(sender), mac


def _claimed_by_neighbour(packet: bytes) -> bytes | None:
    if len(packet) < _IPV6.size + _NEIGHBOUR.size:
        return None
    _version, _length, following, hop_limit, sender, _group = _IPV6.unpack_from(packet)
    kind, code, _sum, _flags, target = _NEIGHBOUR.unpack_from(packet, _IPV6.size)
    if (following, hop_limit, code) != (_ICMPV6, _HOP_LIMIT, 0):
        return None
    if kind == _ADVERTISEMENT:
        return bytes(target)
    if kind == _SOLICITATION:
        return bytes(target if sender == _NO_IPV6 else sender)
    return None

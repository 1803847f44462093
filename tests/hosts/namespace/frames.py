"""Raw frames as a container with CAP_NET_RAW sends them, and who is met by them."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

from hosts.namespace.entered import entered
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"
_ETH_P_ALL = 3
_LONGEST = 1 << 16
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD


def mac_bytes(mac: str) -> bytes:
    """Return a MAC's bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def _address(text: str) -> bytes:
    return ip_address(text).packed


def link_local(mac: str) -> str:
    """Return the address of IPv6 that goes with a MAC."""
    own = mac_bytes(mac)
    made = bytes((own[0] ^ 2, *own[1:3], 0xFF, 0xFE, *own[3:]))
    return str(ip_address(b"\xfe\x80" + bytes(6) + made))


def ethernet(
    source: str, kind: int, payload: bytes, *, to: str = BROADCAST, tags: tuple[int, ...] = ()
) -> bytes:
    """Return a frame; `tags` are the kinds of VLAN tags in front, each of VLAN 7."""
    head = mac_bytes(to) + mac_bytes(source)
    head += b"".join(struct.pack("!HH", tag, 7) for tag in tags)
    return head + struct.pack("!H", kind) + payload


def arp(
    source: str,
    sender: tuple[str, str],
    target: str,
    *,
    operation: int = 1,
    hardware: int = 1,
    tags: tuple[int, ...] = (),
) -> bytes:
    """Return a frame with ARP; `sender` are the MAC and the address that it claims."""
    mac, address = sender
    head = struct.pack("!HHBBH", hardware, _IPV4, 6, 4, operation)
    payload = head + mac_bytes(mac) + _address(address) + bytes(6) + _address(target)
    return ethernet(source, _ARP, payload, tags=tags)


def ipv4(
    mac: str,
    source: str,
    payload: bytes = b"",
    *,
    protocol: int = 17,
    target: str = "255.255.255.255",
    options: bytes = b"",
    fragment: int = 0,
    to: str = BROADCAST,
    tags: tuple[int, ...] = (),
) -> bytes:
    """Return a frame with a packet of IPv4."""
    size = 20 + len(options) + len(payload)
    first = 0x45 + len(options) // 4
    head = struct.pack("!BBHHHBBH", first, 0, size, 1, fragment, 64, protocol, 0)
    head += _address(source) + _address(target) + options
    packet = head[:10] + _checksum(head) + head[12:] + payload
    return ethernet(mac, _IPV4, packet, to=to, tags=tags)


def _checksum(head: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    folded: int = (total & 0xFFFF) + (total >> 16)
    return (~folded & 0xFFFF).to_bytes(2, "big")


def udp(source_port: int, target_port: int, data: bytes = b"") -> bytes:
    """Return a datagram."""
    return struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data


def ipv6(
    mac: str,
    source: str,
    payload: bytes,
    *,
    header: int,
    target: str = "ff02::1",
    tags: tuple[int, ...] = (),
) -> bytes:
    """Return a frame with a packet of IPv6, whose first header after its own is `header`."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), header, 255)
    packet = head + _address(source) + _address(target) + payload
    return ethernet(mac, _IPV6, packet, to=ALL_NODES, tags=tags)


def icmpv6(kind: int, data: bytes = bytes(4)) -> bytes:
    """Return a message of ICMPv6."""
    return struct.pack("!BBH", kind, 0, 0) + data


def neighbour(kind: int, target: str, *options: bytes) -> bytes:
    """Return a solicitation (135) or an advertisement (136) for an address."""
    return icmpv6(kind, bytes(4) + _address(target) + b"".join(options))


def mac_option(kind: int, mac: str) -> bytes:
    """Return the option that tells a MAC: of the source (1), or of the target (2)."""
    return bytes((kind, 1)) + mac_bytes(mac)


def behind(header: int, payload: bytes) -> bytes:
    """Return an extension header of 8 bytes, padded, with what comes behind it."""
    return bytes((header, 0, 1, 4, 0, 0, 0, 0)) + payload


def fragment(header: int, payload: bytes, *, offset: int = 0, more: bool = True) -> bytes:
    """Return a part of a packet of IPv6; `offset` is in units of 8 bytes."""
    return struct.pack("!BBHI", header, 0, offset << 3 | more, 7) + payload


@contextmanager
def _packet_socket(ifname: str, pid: int) -> Iterator[socket.socket]:
    """Open a socket for frames on an interface, in a process's namespace."""
    with entered(pid):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    with opened:
        opened.bind((ifname, 0))
        yield opened


class Wire:
    """Sends frames from one sandbox, and sees which of them come to another.

    Args:
        sender: the pid of a process in the one, whose interface is `eth0`.
        receiver: likewise of the other.
    """

    def __init__(self, sender: int, receiver: int) -> None:
        self._sender, self._receiver = sender, receiver

    def pass_of(self, frames: dict[str, bytes], last: bytes) -> set[str]:
        """Return the names of the frames that come through.

        Args:
            frames: to be sent, by name; no two are alike.
            last: one that is known to come through, and so ends the waiting.
        """
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # or one may overtake another
        with (
            _packet_socket("eth0", self._receiver) as seen,
            _packet_socket("eth0", self._sender) as sent,
        ):
            seen.settimeout(0)
            for frame in (*frames.values(), last):
                sent.send(frame)
            met: list[bytes] = []

            def has_ended() -> bool:
                met.extend(_received(seen))
                return any(_is(frame, last) for frame in met)

            wait_until(has_ended, "the last frame has come")
        return {name for name, frame in frames.items() if any(_is(other, frame) for other in met)}


def answers(
    pid: int, ifname: str, asked: str, *, sender: tuple[str, str], last: tuple[str, str]
) -> list[str]:
    """Return the MACs that answer for an IPv4 address, each time one does.

    Args:
        pid: of a process in whose namespace it is asked.
        ifname: by which.
        asked: the address.
        sender: the MAC and the address that ask.
        last: a MAC and an address that it answers for: it is asked for afterwards, and so who has
            that has heard of the other one, too.
    """
    found: list[str] = []
    with _packet_socket(ifname, pid) as opened:
        opened.settimeout(0)
        for target in (asked, last[1]):
            opened.send(arp(sender[0], sender, target))

        def has_ended() -> bool:
            for frame in _received(opened):
                if frame[12:14] == struct.pack("!H", _ARP) and frame[20:22] == b"\0\2":
                    mac, address = frame[22:28].hex(":"), frame[28:32]
                    if (mac, address) == (last[0], _address(last[1])):
                        return True
                    found.extend([mac] if address == _address(asked) else [])
            return False

        wait_until(has_ended, f"{last[0]} answers for {last[1]}")
    return found


def _received(seen: socket.socket) -> Iterable[bytes]:
    while True:
        try:
            frame, address = seen.recvfrom(_LONGEST)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:
            yield frame


def _is(seen: bytes, sent: bytes) -> bool:
    """Tell whether a frame is one that was sent; a socket is shown it without its outer tag."""
    head, tag = sent[:12], sent[12:14] in (b"\x81\x00", b"\x88\xa8")
    return seen == sent or (tag and seen == head + sent[16:])

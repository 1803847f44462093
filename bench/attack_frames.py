"""What a container with CAP_NET_RAW tries on its bridge, and whether it gets its way."""

from __future__ import annotations

import select
import threading
import time
from ipaddress import ip_address
from socket import PACKET_OUTGOING
from typing import TYPE_CHECKING

from arena import BenchError
from attack_field import LAN, SERVICE, Place, checked, datagram, first_of, sees
from attack_wirings import NETWORKS
from hosts.namespace.frames import (
    arp,
    ethernet,
    icmpv6,
    ipv4,
    ipv6,
    link_local,
    mac_option,
    udp,
)

if TYPE_CHECKING:
    import socket

    from attack_field import Field

IN, DROPPED, NONE_SUCH = "**in**", "dropped", "none such"
MARK = b"ocinet-bench-attack"
_OTHERS, _NOBODYS_V4 = "10.50.2.222", "198.18.7.7"
_GATEWAY, _GATEWAY_6 = NETWORKS["one"].gateways
_ICMPV6, _TAG, _NOBODYS = 58, 0x8100, 0x88B5
_FLOOD, _TOO_MANY = 3000, 500
_ARP_LOCK_S = 1.1  # for so long the kernel believes the first answer
_PREFIX = "2001:db8:66::"
_ANYWHERE, _ANYWHERE_6 = "0.0.0.0", "::"  # noqa: S104  # in namespaces


def verdict(got_in: object) -> str:
    """Return the word for it."""
    return IN if got_in else DROPPED


def _believed(field: Field, who: Place, address: str, frame: bytes) -> str:
    """Tell whether someone takes the attacker for who has that address."""
    who.ping(address)
    time.sleep(_ARP_LOCK_S)
    for _ in range(3):
        field.evil.send_raw(frame)
        time.sleep(0.05)
    return verdict(who.neighbour(address) == field.evil.mac)


def arp_as_gateway(field: Field) -> str:
    """The victim is told that the gateway's MAC is the attacker's."""
    lie = arp(field.evil.mac, (field.evil.mac, _GATEWAY), field.victim.v4, operation=2)
    return _believed(field, field.victim, _GATEWAY, lie)


def arp_as_sibling(field: Field) -> str:
    """The host is told so of the victim's."""
    lie = arp(field.evil.mac, (field.evil.mac, field.victim.v4), _GATEWAY, operation=2)
    return _believed(field, field.host, field.victim.v4, lie)


def _advertisement(field: Field, address: str) -> bytes:
    override = b"\x20\0\0\0"
    data = override + ip_address(address).packed + mac_option(2, field.evil.mac)
    return checked(ipv6(field.evil.mac, field.evil.v6, icmpv6(136, data), header=_ICMPV6))


def nd_as_gateway(field: Field) -> str:
    """The same of IPv6, by an advertisement."""
    return _believed(field, field.victim, _GATEWAY_6, _advertisement(field, _GATEWAY_6))


def nd_as_sibling(field: Field) -> str:
    """And to the host, of the victim."""
    address = field.victim.v6
    return _believed(field, field.host, address, _advertisement(field, address))


def take_mac(field: Field) -> str:
    """The bridge is taught that the victim is at the attacker's port; who gets its datagrams?"""
    field.host.ping(field.victim.v4)
    with field.evil.raw() as opened:
        opened.send(ethernet(field.victim.mac, _NOBODYS, bytes(46)))
        field.host.send(field.victim.v4, 9, MARK)
        return verdict(sees(opened, MARK))


def fill_table(field: Field) -> str:
    """Three thousand MACs, each of which the host is to keep."""
    own = field.evil.v4
    macs = (f"02:66:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(_FLOOD))
    field.evil.send_raw(*(ipv4(mac, own) for mac in macs))
    shown = field.host.run("bridge", "fdb", "show", "br", field.host.ifname)
    return verdict(shown.count("02:66:00:00") > _TOO_MANY)


def _as_victim(field: Field, source: str, target: str) -> str:
    anywhere = _ANYWHERE_6 if ":" in target else _ANYWHERE
    with field.host.udp(anywhere, SERVICE) as opened:
        to = (field.host.mac, target, SERVICE)
        field.evil.send_raw(datagram(field.evil.mac, source, to, MARK))
        met = first_of(opened, MARK)
    return verdict(met and met.source == source)


def v4_as_sibling(field: Field) -> str:
    """A service of the host takes the attacker for the victim."""
    return _as_victim(field, field.victim.v4, _GATEWAY)


def v6_as_sibling(field: Field) -> str:
    """The same of IPv6."""
    return _as_victim(field, field.victim.v6, _GATEWAY_6)


def v4_of_other_network(field: Field) -> str:
    """A service of the host takes it for somebody of another network."""
    return _as_victim(field, _OTHERS, _GATEWAY)


def v4_outwards(field: Field) -> str:
    """The LAN gets a datagram from an address of nobody's."""
    with field.lan.udp(_ANYWHERE, SERVICE) as opened:
        to = (field.host.mac, LAN, SERVICE)
        field.evil.send_raw(datagram(field.evil.mac, _NOBODYS_V4, to, MARK))
        met = first_of(opened, MARK)
    return verdict(met and met.source == _NOBODYS_V4)


def _arrives(field: Field, frame: bytes, part: bytes) -> str:
    with field.victim.raw() as opened:
        field.evil.send_raw(frame)
        return verdict(sees(opened, part))


def router(field: Field) -> str:
    """An advertisement arrives; it is believed where the victim has an address of it, or a way."""
    mac = field.evil.mac
    prefix = bytes((3, 4, 64, 0xC0)) + b"\0\0\x0e\x10" * 2 + bytes(4) + ip_address(_PREFIX).packed
    data = bytes((64, 0, 7, 8)) + bytes(8) + mac_option(1, mac) + prefix
    frame = checked(ipv6(mac, link_local(mac), icmpv6(134, data), header=_ICMPV6))
    came = _arrives(field, frame, prefix)
    time.sleep(0.2)
    known = (field.victim.run("ip", "-6", kind) for kind in ("address", "route"))
    if came == IN and not any(_PREFIX[:-1] in text or "proto ra" in text for text in known):
        return "arrives, and is not believed"
    return came


def dhcp_server(field: Field) -> str:
    """What a server sends to clients arrives."""
    mac = field.evil.mac
    return _arrives(field, ipv4(mac, field.evil.v4, udp(67, 68, MARK)), MARK)


def spanning_tree(field: Field) -> str:
    """A frame for bridges goes through this one."""
    data = b"\x42\x42\x03" + bytes(24) + MARK
    return _arrives(field, ethernet(field.evil.mac, len(data), data, to="01:80:c2:00:00:00"), MARK)


def tagged(field: Field) -> str:
    """A frame with a VLAN's tag, and the victim's address in it."""
    frame = ipv4(field.evil.mac, field.victim.v4, udp(1, 2, MARK), tags=(_TAG,))
    return _arrives(field, frame, MARK)


def other_protocol(field: Field) -> str:
    """One of no protocol that a container has to speak."""
    return _arrives(field, ethernet(field.evil.mac, _NOBODYS, MARK + bytes(40)), MARK)


def _answer(field: Field, opened: socket.socket, over: threading.Event) -> None:
    """Say of every address that is asked for that it is the attacker's."""
    mac = field.evil.mac
    while not over.is_set():
        if not select.select([opened], [], [], 0.05)[0]:
            continue
        frame, seen = opened.recvfrom(1 << 16)
        if seen[2] == PACKET_OUTGOING:
            continue
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1":
            asked = str(ip_address(frame[38:42]))
            opened.send(arp(mac, (mac, asked), str(ip_address(frame[28:32])), operation=2))
        if frame[12:14] == b"\x86\xdd" and frame[20] == _ICMPV6 and frame[54] == 135:
            opened.send(_advertisement(field, str(ip_address(frame[62:78]))))


def claim_all(field: Field) -> str:
    """The attacker answers for all addresses, while a container starts that needs one."""
    over = threading.Event()
    with field.evil.raw() as opened:
        liar = threading.Thread(target=_answer, args=(field, opened, over))
        liar.start()
        try:
            late = Place(field.wiring.start("late", "one"))
            time.sleep(1.5)  # by then duplicates are detected
            got_none = not (late.v4 and late.v6)
        except (BenchError, IndexError):
            got_none = True
        finally:
            over.set()
            liar.join()
    try:
        field.wiring.stop("late")
    except BenchError:
        pass  # it never was
    return verdict(got_none)

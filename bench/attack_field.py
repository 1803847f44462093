"""Who attacks whom on a wired host, what they send, and who is met by it."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.append(f"{Path(__file__).resolve().parent.parent}/tests")

from arena import BenchError, inside
from attack_wirings import LINKS, NETWORKS, Publish
from hosts.namespace.frames import ipv4, ipv6, mac_bytes, udp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from attack_wirings import Wiring

SERVICE, LOOPBACK_SERVICE = 9000, 9002
PUBLISHED, PUBLISHED_ON_LOOPBACK = Publish("", 7000, 53), Publish("127.0.0.1", 7001, 54)
HOST, LAN = (LINKS["lan"][end][0] for end in (0, 1))
BEYOND = LINKS["beyond"][1][0]
_ALL = socket.htons(3)  # ETH_P_ALL
_WAIT_S, _READY_S = 0.6, 5.0
_LONGEST = 1 << 16
_UDP, _ICMPV6 = 17, 58


class Met(NamedTuple):
    """A datagram that came.

    Attributes:
        data: its contents.
        source: the address that it seems to be from.
        port: likewise.
    """

    data: bytes
    source: str
    port: int


class Place:
    """A network namespace, as whoever is root in it sees it.

    Args:
        netns: a descriptor of it.
        ifname: the interface that matters.
    """

    def __init__(self, netns: int, ifname: str = "eth0") -> None:
        self._netns, self.ifname = netns, ifname

    @property
    def mac(self) -> str:
        """Its MAC: a bridge's can change with its ports."""
        (link,) = self.look("link", "show", "dev", self.ifname)
        return str(link["address"])

    @property
    def v4(self) -> str:
        """Its address of IPv4."""
        return self._addresses("inet", "global")[0]

    @property
    def v6(self) -> str:
        """Its address of IPv6."""
        return self._addresses("inet6", "global")[0]

    def link_local(self) -> str:
        """Return that of its link, or nothing."""
        return next(iter(self._addresses("inet6", "link")), "")

    def _addresses(self, family: str, scope: str) -> list[str]:
        (shown,) = self.look("address", "show", "dev", self.ifname)
        return [one["local"] for one in shown["addr_info"]
                if (one["family"], one["scope"]) == (family, scope)
                and not one.get("dadfailed")]  # fmt: skip

    def run(self, *words: str) -> str:
        """Run a command; returns its stdout.

        Raises:
            BenchError: it fails.
        """
        enter = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self._netns}", "--")
        done = subprocess.run([*enter, *words], check=False, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def look(self, *words: str, tool: str = "ip") -> list[dict[str, Any]]:
        """Return what `ip`, or another tool of its kind, shows."""
        found: list[dict[str, Any]] = json.loads(self.run(tool, "-j", *words) or "[]")
        return [one for one in found if one]

    def neighbour(self, address: str) -> str:
        """Return the MAC that is known of an address, or nothing."""
        shown = self.look("neigh", "show", "to", address, "dev", self.ifname)
        return next((str(one["lladdr"]) for one in shown if "lladdr" in one), "")

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        """Open a socket for frames, as CAP_NET_RAW allows it."""
        with inside(self._netns):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _ALL)
        with opened:
            opened.bind((self.ifname, 0))
            yield opened

    def send_raw(self, *frames: bytes) -> None:
        """Send frames."""
        with self.raw() as opened:
            for frame in frames:
                opened.send(frame)

    @contextmanager
    def udp(self, address: str, port: int) -> Iterator[socket.socket]:
        """Open a socket for datagrams."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(self._netns):
            opened = socket.socket(family, socket.SOCK_DGRAM)
        with opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind((address, port))
            yield opened

    def send(self, address: str, port: int, data: bytes, source_port: int = 0) -> None:
        """Send a datagram as any program does; that there is no way for it is no error."""
        with self.udp("::" if ":" in address else "0.0.0.0", source_port) as opened:  # noqa: S104  # in a namespace
            try:
                opened.sendto(data, (address, port))
            except OSError:
                return

    def ping(self, address: str) -> None:
        """Have a MAC of an address, and be known to it, if it answers."""
        self.send(address, 9, b"known?")
        end = time.monotonic() + _READY_S
        while not self.neighbour(address) and time.monotonic() < end:
            time.sleep(0.02)


def first_of(opened: socket.socket, data: bytes, wait_s: float = _WAIT_S) -> Met | None:
    """Return the datagram with this in it, or nothing if none comes."""
    end = time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0 and select.select([opened], [], [], left)[0]:
        try:
            found, address = opened.recvfrom(_LONGEST)
        except OSError:  # what an ICMP message says of an earlier one
            continue
        if data in found:
            return Met(found, str(address[0]), int(address[1]))
    return None


def sees(opened: socket.socket, part: bytes, wait_s: float = _WAIT_S) -> bool:
    """Tell whether a frame with this in it comes in to a socket for frames."""
    end = time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0 and select.select([opened], [], [], left)[0]:
        frame, address = opened.recvfrom(_LONGEST)
        if part in frame and address[2] != socket.PACKET_OUTGOING:
            return True
    return False


def checked(frame: bytes, to: str = "") -> bytes:
    """Return a frame of IPv6 with the checksum that hosts look at, and to another MAC."""
    head, kind, packet, payload = frame[:14], frame[20], frame[14:54], frame[54:]
    place = {_UDP: 6, _ICMPV6: 2}[kind]
    summed = packet[8:40] + struct.pack("!IxxxB", len(payload), kind) + payload
    total = sum(struct.unpack(f"!{(len(summed) + 1) // 2}H", summed + bytes(len(summed) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    filled = payload[:place] + struct.pack("!H", ~total & 0xFFFF) + payload[place + 2 :]
    return (mac_bytes(to) if to else head[:6]) + head[6:] + packet + filled


def datagram(mac: str, source: str, to: tuple[str, str, int], data: bytes) -> bytes:
    """Return a frame with a datagram; `to` is a MAC, an address and a port."""
    to_mac, target, port = to
    if ip_address(source).version == 4:
        return ipv4(mac, source, udp(1, port, data), target=target, to=to_mac)
    return checked(ipv6(mac, source, udp(1, port, data), header=_UDP, target=target), to_mac)


class Field:
    """A host with containers and neighbours; a context manager.

    Attributes:
        host: the host itself, seen from the bridge of network `one`.
        uplink: likewise, from its uplink.
        evil: a container of `one` that attacks.
        victim: its sibling, with published ports.
        other: one of `two`.
        shut: one of `inner`.
        four: one of `four`.
        lan: the neighbour where the host's default route goes.
        beyond: the other.
    """

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._stack = ExitStack()

    def __enter__(self) -> Field:
        """Start all of them."""
        wiring = self._stack.enter_context(self.wiring)
        try:
            ports = (PUBLISHED, PUBLISHED_ON_LOOPBACK)
            self.evil = Place(wiring.start("evil", "one"))
            self.victim = Place(wiring.start("victim", "one", ports=ports))
            self.other = Place(wiring.start("other", "two"))
            self.shut = Place(wiring.start("shut", "inner"))
            self.four = Place(wiring.start("four", "four"))
            self.lan, self.beyond = (Place(wiring.open(f"/run/netns/{name}")) for name in LINKS)
            self.uplink = Place(wiring.host(), "up0")
            self.host = self.host_at("one")
            self.settle()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove them."""
        self._stack.close()

    def host_at(self, network: str) -> Place:
        """Return the host, seen from the bridge of a network."""
        gateway = NETWORKS[network].gateways[0]
        for link in self.uplink.look("address"):
            if any(one.get("local") == gateway for one in link["addr_info"]):
                return Place(self.wiring.host(), str(link["ifname"]))
        raise BenchError(f"no bridge has {gateway}")

    def settle(self) -> None:
        """Have everybody know each other as they are, and not as one was made to believe."""
        for place in (self.host, self.evil, self.victim):
            place.run("ip", "neigh", "flush", "all", "nud", "all")
        for place in (self.evil, self.victim):
            for gateway in NETWORKS["one"].gateways:
                place.ping(gateway)
        for address in (self.evil.v4, self.victim.v4, self.victim.v6):
            self.host.ping(address)

"""Sends packets that a data plane has to refuse, or to refuse to fragment: run in a namespace.

    python3 -I -S forge.py vxlan OUTER VNI MAC SOURCE TARGET PORT   one datagram within VXLAN
    python3 -I -S forge.py full TARGET SIZE                         one that may not be fragmented
    python3 -I -S forge.py send TARGET PORT BYTES                   so many bytes over TCP
    python3 -I -S forge.py sink PORT                                counts what comes, once

`full` prints "sent", or the MTU that it was told instead. Only the standard library.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MTU_DISCOVER, _DO, _MTU = 10, 2, 14  # IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU
_MTU_DISCOVER6, _MTU6 = 23, 24
_PATIENCE_S = 10.0


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _checksum(data: bytes) -> int:
    total = int(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packet(source: str, target: str, port: int) -> tuple[int, bytes]:
    """Return the EtherType of an IP packet with a UDP datagram, and the packet."""
    text = b"forged"
    family = _family(source)
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    datagram = struct.pack("!HHHH", 7777, port, 8 + len(text), 0) + text
    if family == socket.AF_INET:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0)
        checked = _checksum(head + ends)
        return 0x0800, head[:10] + struct.pack("!H", checked) + ends + datagram
    pseudo = ends + struct.pack("!IHBB", len(datagram), 0, 0, 17) + datagram
    summed = _checksum(pseudo + b"\0" * (len(pseudo) % 2))
    datagram = datagram[:6] + struct.pack("!H", summed) + datagram[8:]
    return 0x86DD, struct.pack("!IHBB", 6 << 28, len(datagram), 17, 64) + ends + datagram


def _vxlan(outer: str, vni: str, mac: str, source: str, target: str, port: str) -> None:
    kind, packet = _packet(source, target, int(port))
    frame = bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x77" + struct.pack("!H", kind)
    header = struct.pack("!II", 1 << 27, int(vni) << 8)
    with socket.socket(_family(outer), socket.SOCK_DGRAM) as sender:
        sender.sendto(header + frame + packet, (outer, 4789))


def _full(target: str, size: str) -> None:
    family = _family(target)
    level, discover, mtu = socket.IPPROTO_IP, _MTU_DISCOVER, _MTU
    if family == socket.AF_INET6:
        level, discover, mtu = socket.IPPROTO_IPV6, _MTU_DISCOVER6, _MTU6
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(level, discover, _DO)
        sender.connect((target, 9))
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            try:
                sender.send(b"\0" * int(size))
                time.sleep(0.02)
                sender.send(b"\0" * int(size))  # by now it was told, if it is to be told
            except ConnectionRefusedError:  # it came to where nobody listens: that is far enough
                print("sent")  # noqa: T201
                return
            except OSError:
                print(sender.getsockopt(level, mtu))  # noqa: T201
                return
    print("lost")  # noqa: T201


def _send(target: str, port: str, count: str) -> None:
    with socket.create_connection((target, int(port)), _PATIENCE_S) as sender:
        sender.sendall(b"\0" * int(count))
        sender.shutdown(socket.SHUT_WR)
        print(sender.recv(100).decode())  # noqa: T201


def _sink(port: str) -> None:
    with socket.create_server(("::", int(port)), family=socket.AF_INET6,
                              dualstack_ipv6=True) as server:  # fmt: skip
        print("ready", flush=True)  # noqa: T201
        while True:
            client, _address = server.accept()
            with client:
                count = 0
                while data := client.recv(1 << 16):
                    count += len(data)
                client.sendall(str(count).encode())


def main() -> None:
    """Do what the words say."""
    act, *words = sys.argv[1:]
    acts: dict[str, Callable[..., None]] = {
        "vxlan": _vxlan, "full": _full, "send": _send, "sink": _sink
    }  # fmt: skip
    acts[act](*words)


if __name__ == "__main__":
    main()

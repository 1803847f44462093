"""A packet that comes in by a link of the host's, though nobody out there has sent it.

What is written to a tap device is taken off its ingress and put onto the link's (tc's
mirred), so that every rule sees it as one of the link's: by its name, before reverse path
filtering, and with everything behind. The tap is gone with its file, however we end.
"""

from __future__ import annotations

import os
import secrets
import struct
from fcntl import ioctl
from typing import TYPE_CHECKING

from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.kernel.checksum import internet_checksum

if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.engine.model.flow import Flow

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_OUTSIDER_MAC = bytes.fromhex("026f63000001")
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_PROTOCOLS = {"tcp": 6, "udp": 17}
_SYN, _RST = 0x02, 0x04
_SEQUENCE = 1000
_NO_CHECKSUM_YET = 0


class Incoming:
    """A way to have packets come in by a link; to be closed.

    Args:
        ifname: of the link, an Ethernet one.
        mac: its own.
        deadline: of the operation.

    Raises:
        NotFoundError: iproute2's tc is not installed.
        SystemFailure: there is no tap device to be had, or tc can't redirect.
    """

    def __init__(self, ifname: str, mac: str, deadline: Deadline | None) -> None:
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._ifname = f"octap{secrets.token_hex(4)}"
        what = f"cannot have a packet come in by {ifname}"
        try:
            self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SystemFailure(what, f"/dev/net/tun: {error.strerror}", "modprobe tun") from error
        try:
            request = struct.pack("16sH22x", self._ifname.encode(), _IFF_TAP | _IFF_NO_PI)
            ioctl(self._fd, _TUNSETIFF, request)
            self._redirect(ifname, mac, deadline)
        except OSError as error:
            self.close()
            raise SystemFailure(what, error.strerror or str(error)) from error
        except BaseException:
            self.close()
            raise

    def _redirect(self, ifname: str, mac: str, deadline: Deadline | None) -> None:
        tc, ip = programs.find("iproute2", "tc"), programs.find("iproute2", "ip")
        link = (ip, "link", "set", "dev", self._ifname)
        # What is for another MAC than the tap's own is nobody's, also behind the redirection.
        programs.run((*link, "address", mac), "", deadline)
        # No router shall be asked for, and no address of its own be made, in its short life.
        programs.run((*link, "addrgenmode", "none"), "", deadline)
        programs.run((*link, "up"), "", deadline)
        programs.run((tc, "qdisc", "add", "dev", self._ifname, "ingress"), "", deadline)
        # u32 with nothing to match: the one classifier that every kernel has.
        words = "parent ffff: protocol all u32 match u32 0 0 action mirred ingress redirect dev"
        argv = (tc, "filter", "add", "dev", self._ifname, *words.split(), ifname)
        programs.run(argv, "", deadline)

    def send(self, flow: Flow, *, reset: bool = False) -> None:
        """Have the first packet of a flow come in, or the one that gives its connection up.

        Raises:
            SystemFailure: it can't be written.
        """
        frame = self._mac + _OUTSIDER_MAC + struct.pack("!H", _ETHERTYPES[flow.family])
        try:
            os.write(self._fd, frame + packet(flow, reset=reset))
        except OSError as error:
            raise SystemFailure("cannot write a packet", error.strerror or str(error)) from error

    def close(self) -> None:
        """Take the device away."""
        os.close(self._fd)


def packet(flow: Flow, *, reset: bool = False) -> bytes:
    """Return the first packet of a flow of tcp or udp, or the reset that follows a tcp one."""
    protocol = _PROTOCOLS[flow.protocol]
    ends = flow.source.packed + flow.destination.packed
    length = 20 if flow.protocol == "tcp" else 8
    pseudo = ends + struct.pack("!II" if flow.family == 6 else "!xBH", *(
        (length, protocol) if flow.family == 6 else (protocol, length)
    ))  # fmt: skip
    part = _transport(flow, _NO_CHECKSUM_YET, reset=reset)
    part = _transport(flow, internet_checksum(pseudo + part), reset=reset)
    if flow.family == 6:
        return struct.pack("!IHBB", 6 << 28, length, protocol, 64) + ends + part
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0x4000, 64, protocol, 0)
    head = head[:10] + struct.pack("!H", internet_checksum(head + ends))
    return head + ends + part


def _transport(flow: Flow, total: int, *, reset: bool) -> bytes:
    ports = struct.pack("!HH", flow.source_port, flow.port)
    if flow.protocol == "udp":
        return ports + struct.pack("!HH", 8, total)
    sequence, flags = (_SEQUENCE + 1, _RST) if reset else (_SEQUENCE, _SYN)
    return ports + struct.pack("!IIBBHHH", sequence, 0, 5 << 4, flags, 64240, total, 0)

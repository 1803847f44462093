"""Who listens on which port: sockets that a published port would cut off.

DNAT comes before the socket, so publishing 22 would lock the admin out. The
sockets are those of the network namespace that the thread is in. Those that hold
published ports (`port_sockets`) are passed over: they are in nobody's way.
"""

from __future__ import annotations

import posix
from _socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP
from _struct import Struct
from errno import ENOENT, EPROTONOSUPPORT
from sys import byteorder

from ocinet.base.address import Address
from ocinet.base.clock import describe_process
from ocinet.base.errors import KernelError
from ocinet.engine.model.listener import HOLDER_MARK, Listener
from ocinet.engine.netlink.framing import NLM_F_DUMP, attributes, message
from ocinet.engine.netlink.socket import NETLINK_SOCK_DIAG, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.request import Protocol

_SOCK_DIAG_BY_FAMILY = 20
_INET_DIAG_SKV6ONLY = 11
_TCP_CLOSE, _TCP_LISTEN = 7, 10  # a UDP socket that is bound, not connected, is in CLOSE
_STATES = {"tcp": _TCP_LISTEN, "udp": _TCP_CLOSE}
_PROTOCOLS = {"tcp": IPPROTO_TCP, "udp": IPPROTO_UDP}
_FAMILIES = {AF_INET: 4, AF_INET6: 6}
_MAPPED = 0xFFFF << 32  # ::ffff:0:0/96, an IPv4 address on an IPv6 socket

_ID = "2s2s16s16sI2I"  # inet_diag_sockid: ports, addresses, device, cookie
_REQUEST = Struct(f"=BBBxI{_ID}")  # inet_diag_req_v2
_MESSAGE = Struct(f"=BBBB{_ID}5I")  # inet_diag_msg
# The mark as an attribute, which the kernel shows to root alone, and from 4.7 on.
_HOLDERS = Struct("=HHI").pack(8, 15, HOLDER_MARK)


def listed_by_kernel(protocol: Protocol, port: int) -> list[Listener]:
    """Return the sockets that netlink lists: of one port, or with 0 all.

    Raises:
        KernelError: the kernel would not.
    """
    found: list[Listener] = []
    with NetlinkSocket(NETLINK_SOCK_DIAG) as socket:
        for family in _FAMILIES:
            body = _REQUEST.pack(
                family, _PROTOCOLS[protocol], 0, 1 << _STATES[protocol],
                port.to_bytes(2, "big"), b"", b"", b"", 0, 0, 0,
            )  # fmt: skip
            parts = socket.dump(message(_SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, 1, body))
            found += [_decode(protocol, part) for part in parts if not _is_holder(part)]
    return found


def listeners(
    protocol: Protocol,
    port: int = 0,
    *,
    listed: Callable[[Protocol, int], list[Listener]] = listed_by_kernel,
) -> tuple[Listener, ...]:
    """Return the listening TCP or SCTP, or the bound and unconnected UDP sockets.

    Args:
        protocol: tcp, udp or sctp.
        port: that port alone; 0 means all.
        listed: asks the kernel.

    Raises:
        KernelError: the kernel would not list them.
    """
    if protocol == "sctp":
        # Netlink lists them where a module of its own is loaded, which asking would do.
        found = _endpoints_in_proc()
    else:
        try:
            found = listed(protocol, port)
        except KernelError as error:
            if error.errno not in (ENOENT, EPROTONOSUPPORT):
                raise
            # No such module, as after a kernel's update before the reboot.
            found = listed_in_proc(protocol)
    return tuple(listener for listener in found if listener.port and port in (0, listener.port))


def _is_holder(part: bytes) -> bool:
    # Looked for, not parsed: a range of ports that is held may be thousands of sockets.
    return part.find(_HOLDERS, _MESSAGE.size) >= 0


def _decode(protocol: Protocol, part: bytes) -> Listener:
    fields = _MESSAGE.unpack_from(part)
    family, port, packed, inode = fields[0], fields[4], fields[6], fields[-1]
    address = Address.unpack(packed[:4] if family == AF_INET else packed)
    only_v6 = attributes(part, _MESSAGE.size).get(_INET_DIAG_SKV6ONLY, b"\0") != b"\0"
    return _listener(protocol, address, int.from_bytes(port, "big"), inode, only_v6=only_v6)


def _listener(
    protocol: Protocol, address: Address, port: int, inode: int, *, only_v6: bool
) -> Listener:
    if address.family == 6 and address.value >> 32 << 32 == _MAPPED:
        address = Address(4, address.value & 0xFFFFFFFF)
    dual = address.family == 6 and not address.value and not only_v6
    return Listener(protocol, address, port, dual, inode)


def listed_in_proc(protocol: Protocol) -> list[Listener]:
    """Return the same from /proc/net, which can't tell a socket of :: that is IPv6 alone."""
    found = []
    for suffix in ("", "6"):
        try:
            with open(f"/proc/thread-self/net/{protocol}{suffix}", encoding="ascii") as table:
                lines = table.read().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            if int(fields[3], 16) == _STATES[protocol]:
                words, _, port = fields[1].partition(":")
                # Words of 32 bits, each printed as a number of this machine.
                packed = b"".join(
                    int(words[at : at + 8], 16).to_bytes(4, byteorder)
                    for at in range(0, len(words), 8)
                )
                address = Address.unpack(packed)
                found.append(
                    _listener(protocol, address, int(port, 16), int(fields[9]), only_v6=False)
                )
    return found


def _endpoints_in_proc() -> list[Listener]:
    try:
        with open("/proc/thread-self/net/sctp/eps", encoding="ascii") as table:
            return sctp_endpoints(table.read())
    except FileNotFoundError:  # no module, so nobody has a socket of it
        return []


def sctp_endpoints(table: str) -> list[Listener]:
    """Return the SCTP sockets of /proc/net/sctp/eps, which has those alone that listen.

    One that is bound to several addresses is several. As above, :: may be IPv6 alone.

    Args:
        table: its text, with a line of headings.
    """
    return [
        _listener("sctp", Address.parse(address), int(port), int(inode), only_v6=False)
        for line in table.splitlines()[1:]
        for _endpoint, _socket, _style, _state, _bucket, port, _uid, inode, *addresses in [
            line.split()
        ]
        for address in addresses
    ]


def name_process(inode: int) -> str:
    """Name a process that has a socket open.

    Returns:
        "process PID (command)", or "a process that can't be seen from here".
    """
    return name_holder(process_with(inode))


def name_holder(pid: int) -> str:
    """Name a process as `name_process` does; 0 is one that can't be seen."""
    return describe_process(pid) if pid else "a process that can't be seen from here"


def process_with(inode: int) -> int:
    """Return a process that has a socket open, by looking through all of /proc; 0 for none."""
    wanted = f"socket:[{inode}]"
    for pid in posix.listdir("/proc"):
        if pid.isdigit():
            try:
                descriptors = posix.listdir(f"/proc/{pid}/fd")
            except OSError:  # gone, or another user's
                continue
            for descriptor in descriptors:
                try:
                    if posix.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:
                        return int(pid)
                except OSError:
                    continue
    return 0


def sockets_of(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process has open; none of one that is gone."""
    found = set()
    try:
        for descriptor in posix.listdir(f"/proc/{pid}/fd"):
            target = posix.readlink(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        return found
    return found


class ListeningSockets:
    """The host's listening sockets, as the kernel and /proc tell of them."""

    def listeners(self, protocol: Protocol, port: int = 0) -> tuple[Listener, ...]:
        """Return who listens; see `listeners`."""
        return listeners(protocol, port)

    def name_process(self, inode: int) -> str:
        """Name a process that has a socket open; see `name_process`."""
        return name_process(inode)

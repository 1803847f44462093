"""Sending one packet for real, from a sandbox or from the host, and waiting for its answer."""

from __future__ import annotations

import os
import select
import socket
import struct
from errno import EMSGSIZE
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.address import Address
from ocinet.base.errors import SystemFailure
from ocinet.engine.kernel.checksum import internet_checksum
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.model.flow import ANSWERED, REFUSED, SILENT, TOO_LONG, UNSENT, Answer, Flow
from ocinet.engine.model.served import SEARCH_DOMAIN

if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace

# Of the networks that benchmarks have for themselves (RFC 2544, RFC 5180): nobody is there,
# and a host sends to them as to anybody outside.
OUTSIDER = {4: Address.parse("198.18.0.1"), 6: Address.parse("2001:2::1")}
OUTSIDERS_PORT = 443
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "icmp": socket.SOCK_RAW}
_ECHO = {4: (8, 0), 6: (128, 129)}  # request, reply
_UNREACHABLE = {4: 3, 6: 1}
# IP_MTU and IP_MTU_DISCOVER of <linux/in.h>, those of <linux/in6.h>, and the bytes of headers.
_LENGTHS = {4: (socket.IPPROTO_IP, 14, 10, 28), 6: (socket.IPPROTO_IPV6, 24, 23, 48)}
DNS_PORT = 53  # who listens there answers each question, and nothing else
_RECURSE, _A_IN = 0x0100, (1, 1)  # of a DNS message's head, and of a question: RFC 1035
_NEVER_FRAGMENTED = 2  # IP_PMTUDISC_DO
_ABORT = struct.pack("ii", 1, 0)  # linger: no connection stays behind in TIME_WAIT


class Attempt:
    """One packet that is about to be sent; to be closed.

    Its source is known before it leaves, so that it can be looked out for.

    Args:
        protocol: tcp, udp or icmp.
        destination: its address.
        port: that it is for; 0 for icmp.
        sandbox: that it leaves from; None: the host.

    Attributes:
        destination: as it was given.
        flow: what is sent; None if there is no way to send it.
        error: why there is none.

    Raises:
        SystemFailure: no socket was to be had.
    """

    def __init__(
        self, protocol: str, destination: Address, port: int, sandbox: OpenNamespace | None
    ) -> None:
        self.destination = destination
        self._socket_address = (str(destination), port)
        self.flow: Flow | None = None
        self.error = ""
        try:
            if sandbox is None:
                self._open(protocol, destination, port)
            else:
                with entered(sandbox):
                    self._open(protocol, destination, port)
        except OSError as error:
            raise SystemFailure("cannot send a packet", error.strerror or str(error)) from error

    def _open(self, protocol: str, destination: Address, port: int) -> None:
        family = _FAMILIES[destination.family]
        kinds = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
        number = kinds[destination.family] if protocol == "icmp" else 0
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            try:
                # Sends nothing: it looks the route up, and with it the source.
                asked.connect((str(destination), port or 9))
            except OSError as error:
                self.error = error.strerror or str(error)
                return
            source = asked.getsockname()[0].partition("%")[0]
        self._socket = socket.socket(family, _TYPES[protocol], number)
        self._socket.settimeout(0)  # connect and recv return at once
        self._socket.bind((source, 0))
        source_port = os.getpid() & 0xFFFF if protocol == "icmp" else self._socket.getsockname()[1]
        self.flow = Flow(protocol, Address.parse(source), source_port, destination, port)

    def send(self, timeout_s: float) -> Answer:
        """Send it, and wait so long for an answer.

        Returns:
            What became of it; of one that there was no way to send, why.
        """
        if self.flow is None:
            return Answer(UNSENT, self.error)
        end = monotonic() + timeout_s
        try:
            if self.flow.protocol == "icmp":
                return self._ping(self.flow, end)
            if self.flow.protocol == "udp":
                return self._datagram(end)
            return self._connect(end)
        except ConnectionRefusedError:
            return Answer(REFUSED)
        except OSError as error:  # the kernel's own filter, or a router: it says which
            return Answer(UNSENT, error.strerror or str(error))

    def send_whole(self, timeout_s: float) -> tuple[int, Answer]:
        """Send a datagram as long as the way allows at its beginning, not to be fragmented.

        Only of udp, and once another one has been sent.

        Returns:
            How long it was, in bytes, with its headers; and what became of it: `TOO_LONG` if
            somebody said so.
        """
        level, mtu, discover, headers = _LENGTHS[self.destination.family]
        size = self._socket.getsockopt(level, mtu)
        self._socket.setsockopt(level, discover, _NEVER_FRAGMENTED)
        try:
            return size, self._exchange(bytes(size - headers), monotonic() + timeout_s)
        except OSError as error:
            if error.errno == EMSGSIZE:
                return size, Answer(TOO_LONG)
            return size, Answer(UNSENT, error.strerror or str(error))

    def close(self) -> None:
        """Close the socket; what it was connected to learns of it by a reset."""
        if self.flow is not None:
            if self.flow.protocol == "tcp":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self._socket.close()

    def _connect(self, end: float) -> Answer:
        try:
            self._socket.connect(self._socket_address)
        except BlockingIOError:
            pass
        if not select.select([], [self._socket], [], max(0.0, end - monotonic()))[1]:
            return Answer(SILENT)
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        return Answer(ANSWERED)

    def _datagram(self, end: float) -> Answer:
        self._socket.connect(self._socket_address)
        is_asked = self._socket_address[1] == DNS_PORT
        return self._exchange(_question() if is_asked else b"", end)

    def _exchange(self, data: bytes, end: float) -> Answer:
        self._socket.send(data)
        if not select.select([self._socket], [], [], max(0.0, end - monotonic()))[0]:
            return Answer(SILENT)
        self._socket.recv(1)
        return Answer(ANSWERED)

    def _ping(self, flow: Flow, end: float) -> Answer:
        request, reply = _ECHO[flow.family]
        self._socket.sendto(_echo(flow, request), self._socket_address)
        while (left_s := end - monotonic()) > 0:
            if not select.select([self._socket], [], [], left_s)[0]:
                break
            data = self._socket.recv(512)
            message = data[(data[0] & 0xF) * 4 :] if flow.family == 4 else data
            if len(message) < 8:
                continue
            kind, code, _sum, identifier = struct.unpack_from("!BBHH", message)
            if (kind, identifier) == (reply, flow.source_port):
                return Answer(ANSWERED)
            # It quotes what it is about: the identifier is in there.
            if kind == _UNREACHABLE[flow.family] and _quotes(message, flow):
                return Answer(UNSENT, f"a router says unreachable, code {code}")
        return Answer(SILENT)


def _question() -> bytes:
    """Return a question for a name that nobody has, which our own server asks nobody else for."""
    labels = f"explain{SEARCH_DOMAIN}".encode().split(b".")
    name = b"".join(bytes([len(label)]) + label for label in (*labels, b""))
    number = os.getpid() & 0xFFFF
    return struct.pack("!6H", number, _RECURSE, 1, 0, 0, 0) + name + struct.pack("!HH", *_A_IN)


def _quotes(message: bytes, flow: Flow) -> bool:
    return flow.source_port.to_bytes(2, "big") in message[8:] and flow.destination.packed in message


def _echo(flow: Flow, kind: int) -> bytes:
    message = struct.pack("!BBHHH", kind, 0, 0, flow.source_port, 1)
    if flow.family == 6:
        return message  # the kernel fills the checksum in (RFC 3542 section 3.1)
    return struct.pack("!BBHHH", kind, 0, internet_checksum(message), flow.source_port, 1)

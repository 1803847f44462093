"""Talking netlink: the framing and the socket that rtnetlink and nfnetlink share.

The kernel works a request off within `sendmsg`, so whatever it has to say is
queued when that returns; only a dump goes on while it is read. One message of
several that fails does not stop the later ones (rtnetlink), so every answer is
read before the first failure is raised.
"""

from __future__ import annotations

import posix
import sys
from _socket import AF_NETLINK, MSG_DONTWAIT, MSG_TRUNC, SO_RCVTIMEO, SOCK_RAW, SOL_SOCKET, socket
from _struct import Struct
from errno import EAGAIN, EINTR, ENOBUFS, ENOPROTOOPT

from ocinet.base.errors import KernelError, SystemFailure
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
NLA_F_NESTED = 0x8000

_NLM_F_DUMP_INTR = 0x10
_NLM_F_CAPPED = 0x100  # these two: only in an error's flags
_NLM_F_ACK_TLVS = 0x200
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1
_NLA_TYPE_MASK = 0x3FFF

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12

_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # length, type
_ERRNO = Struct("=i")
_TIMEVAL = Struct("@ll")
_LONGEST_ATTRIBUTE = 0xFFFF
_BUFFER = 1 << 16  # the kernel sizes a dump's parts by it, up to 32 KiB
_TIMEOUT_S = 5
_DUMP_TRIES = 8


def attribute(kind: int, payload: bytes) -> bytes:
    """Encode one attribute, padded to 4 bytes.

    Args:
        kind: its type, with `NLA_F_NESTED` where the payload is attributes.
        payload: its value in the kernel's encoding.

    Raises:
        SystemFailure: it is longer than the 16-bit length can say; a length that
            wraps would have the kernel read the rest as attributes of its own
            (CVE-2021-43784).
    """
    length = _ATTRIBUTE.size + len(payload)
    if length > _LONGEST_ATTRIBUTE:
        raise SystemFailure("cannot encode a netlink attribute",
                            f"type {kind} with {len(payload)} bytes is too long")  # fmt: skip
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length & 3)


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Encode one message.

    Args:
        kind: its type.
        flags: `NLM_F_REQUEST` is added.
        sequence: comes back in the answer; tells the messages of a request apart.
        body: the family's header and the attributes.
    """
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, flags | NLM_F_REQUEST, sequence, 0) + body


def with_last_ack(messages: Sequence[bytes]) -> bytes:
    """Join messages into a request of which the last one alone asks for an ACK.

    That ACK says that all were worked off; what is refused is answered unasked.
    """
    return b"".join((*map(_without_ack, messages[:-1]), messages[-1]))


def _without_ack(message: bytes) -> bytes:
    flags = int.from_bytes(message[6:8], sys.byteorder) & ~NLM_F_ACK
    return message[:6] + flags.to_bytes(2, sys.byteorder) + message[8:]


def attributes(payload: bytes, offset: int = 0) -> dict[int, bytes]:
    """Decode the attributes from `offset` on; of a type that comes twice, the last.

    Flag bits are taken off the types. A length that can't be ends the reading:
    the kernel does not send such, and what was read so far is whole.
    """
    found = {}
    while offset + _ATTRIBUTE.size <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < _ATTRIBUTE.size or offset + length > len(payload):
            break
        found[kind & _NLA_TYPE_MASK] = payload[offset + _ATTRIBUTE.size : offset + length]
        offset += length + 3 & ~3
    return found


class Answer(Value):
    """One message from the kernel.

    Attributes:
        kind: its type, as RTM_NEWLINK.
        sequence: of the request that it answers.
        flags: as in its header.
        body: the family's header and the attributes.
    """

    kind: int
    sequence: int
    flags: int
    body: bytes


class Refusal(Value):
    """The kernel's no to one message of a request.

    Attributes:
        sequence: of the message.
        errno: positive.
        text: the kernel's own words (extended ACK), or "".
    """

    sequence: int
    errno: int
    text: str

    @property
    def why(self) -> str:
        """The kernel's own words, if any, and those of the errno."""
        usual = posix.strerror(self.errno)
        return f"{self.text} ({usual})" if self.text else usual

    def error(self, what: str = "the kernel refused", hint: str = "") -> KernelError:
        """Return it as an error."""
        return KernelError(what, self.why, hint, errno=self.errno)


def split(datagram: bytes) -> list[Answer]:
    """Cut what one `recv` returned into messages.

    Raises:
        SystemFailure: a length in it can't be.
    """
    found = []
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size or offset + length > len(datagram):
            raise SystemFailure("cannot read netlink", f"a message of {length} bytes is cut off")
        body = datagram[offset + _HEADER.size : offset + length]
        found.append(Answer(kind, sequence, flags, body))
        offset += length + 3 & ~3
    return found


def refusal(answer: Answer) -> Refusal | None:
    """Read an NLMSG_ERROR, or an NLMSG_DONE that carries an errno; None for an ACK."""
    body = answer.body
    code = _ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
    if code >= 0:
        return None
    offset = _ERRNO.size
    if answer.kind == _NLMSG_ERROR:  # the request follows: its header, and all unless capped
        length = int.from_bytes(body[offset : offset + 4], sys.byteorder)
        offset += _HEADER.size if answer.flags & _NLM_F_CAPPED else length + 3 & ~3
    text = b""
    if answer.flags & _NLM_F_ACK_TLVS:
        text = attributes(body, offset).get(_NLMSGERR_ATTR_MSG, b"")
    return Refusal(answer.sequence, -code, text.rstrip(b"\0\n").decode("utf-8", "replace"))


class NetlinkSocket:
    """A netlink socket in the network namespace of the thread that makes it.

    It stays in that namespace wherever the thread goes. Not for several threads
    at once.

    Args:
        protocol: `NETLINK_ROUTE`, `NETLINK_NETFILTER`, …
        strict: whether the kernel filters dumps by the request's fields and
            refuses fields that it does not know (Linux 4.20).

    Raises:
        KernelError: it can't be made.
    """

    def __init__(self, protocol: int, *, strict: bool = False) -> None:
        try:
            self._socket = socket(AF_NETLINK, SOCK_RAW, protocol)
        except OSError as error:
            raise _failure("cannot open a netlink socket", error) from error
        self._unread = False  # a request was cut short: its answers may still be queued
        options = [_NETLINK_EXT_ACK, _NETLINK_CAP_ACK]
        if strict:
            options.append(_NETLINK_GET_STRICT_CHK)
        try:
            for option in options:
                self._enable(option)
            self._socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, _TIMEVAL.pack(_TIMEOUT_S, 0))
        except OSError as error:
            self.close()
            raise _failure("cannot open a netlink socket", error) from error

    def _enable(self, option: int) -> None:
        try:
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        except OSError as error:
            if error.errno != ENOPROTOOPT:  # an older kernel: we only lose what it adds
                raise

    def close(self) -> None:
        """Close it.

        After deletes on a netfilter socket, this waits for the kernel (16 ms).
        """
        self._socket.close()

    def __enter__(self) -> NetlinkSocket:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def request(self, messages: bytes, acks: int) -> None:
        """Send messages in one go and wait until all are worked off.

        Args:
            messages: encoded, one after the other.
            acks: how many of them have `NLM_F_ACK`; at most 100 or so, for the
                answers must fit into the socket's buffer.

        Raises:
            KernelError: the first refusal, after all answers have been read. In
                an nfnetlink batch nothing has changed then; with rtnetlink, all
                messages that were not refused have been done.
        """
        _answers, refusals = self.ask(messages, acks)
        if refusals:
            raise refusals[0].error()

    def ask(self, messages: bytes, acks: int) -> tuple[list[Answer], list[Refusal]]:
        """Send messages in one go and return all that the kernel says.

        Args:
            messages: encoded; no dump among them.
            acks: how many of them have `NLM_F_ACK`.

        Returns:
            The answers that carry data, and the refusals, in order.

        Raises:
            KernelError: the socket failed, or not every ACK came.
        """
        return self._exchange(messages, acks, each_once=False)

    def look_up(self, questions: bytes, count: int) -> tuple[list[Answer], list[Refusal]]:
        """Send messages that are answered once each, and return those answers.

        So it is with a get that asks for no ACK: it finds something, or is
        refused; and with any other message that asks for one.

        Args:
            questions: encoded; no dump among them.
            count: how many they are.

        Returns:
            As `ask`.

        Raises:
            KernelError: the socket failed, or not every answer came.
        """
        return self._exchange(questions, count, each_once=True)

    def _exchange(
        self, messages: bytes, count: int, *, each_once: bool
    ) -> tuple[list[Answer], list[Refusal]]:
        self._send(messages)
        answers: list[Answer] = []
        refusals: list[Refusal] = []
        missing = count
        flags = 0
        while missing > 0 or (refusals and not each_once):
            received = self._receive(flags)
            if received is None:
                break
            for answer in received:
                if answer.kind != _NLMSG_ERROR:
                    answers.append(answer)
                    missing -= each_once
                    continue
                missing -= 1
                refused = refusal(answer)
                if refused:
                    refusals.append(refused)
                    if not each_once:
                        flags = MSG_DONTWAIT  # how many more there are is not known now
        if missing > 0 and (each_once or not refusals):
            raise KernelError("cannot read netlink", f"{missing} of {count} answers did not come",
                              errno=EAGAIN)  # fmt: skip
        self._unread = False
        return answers, refusals

    def dump(self, messages: bytes) -> list[bytes]:
        """Send one dump request and return the bodies of all its parts.

        What was interrupted by a change is asked for again, 8 times at most.

        Raises:
            KernelError: it was refused, or never came out whole.
        """
        for _try in range(_DUMP_TRIES):
            bodies, interrupted, refused = self._dump_once(messages)
            if refused and refused.errno != EINTR:
                raise refused.error()
            if not (interrupted or refused):
                return bodies
        raise KernelError("cannot read netlink", f"a list changed {_DUMP_TRIES} times while it"
                          " was read", errno=EINTR)  # fmt: skip

    def _dump_once(self, messages: bytes) -> tuple[list[bytes], bool, Refusal | None]:
        self._send(messages)
        bodies: list[bytes] = []
        interrupted = False
        while True:
            received = self._receive()
            if received is None:
                raise KernelError("cannot read netlink", "a list did not end", errno=EAGAIN)
            for answer in received:
                interrupted = interrupted or bool(answer.flags & _NLM_F_DUMP_INTR)
                if answer.kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    self._unread = False
                    return bodies, interrupted, refusal(answer)
                bodies.append(answer.body)

    def _send(self, messages: bytes) -> None:
        while self._unread:  # left by a request that was cut short, as by a signal's handler
            try:
                self._unread = self._receive(MSG_DONTWAIT) is not None
            except KernelError as error:
                self._unread = error.errno == ENOBUFS
        self._unread = True
        try:
            self._socket.send(messages)
        except OSError as error:
            raise _failure("cannot send to netlink", error) from error

    def _receive(self, flags: int = 0) -> list[Answer] | None:
        """Receive one datagram of the kernel's; None if there is none in time."""
        while True:
            try:
                datagram, _ancillary, seen, address = self._socket.recvmsg(_BUFFER, 0, flags)
            except BlockingIOError:
                return None
            except OSError as error:
                raise _failure("cannot read netlink", error) from error
            if address[0] != 0:  # any process may send to our port; only port 0 is the kernel
                continue
            if seen & MSG_TRUNC:
                raise SystemFailure("cannot read netlink", f"an answer exceeds {_BUFFER} bytes")
            return split(datagram)


def _failure(what: str, error: OSError) -> KernelError:
    return KernelError(what, error.strerror or str(error), errno=error.errno or 0)

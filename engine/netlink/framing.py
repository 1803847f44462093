"""Netlink's framing: messages and attributes to bytes and back. Pure: no socket."""

from __future__ import annotations

import posix
import sys
from _struct import Struct

from ocinet.base.errors import KernelError, SystemFailure
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
NLA_F_NESTED = 0x8000
_NLM_F_CAPPED = 0x100  # these two: only in an error's flags
_NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR = 2
NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1
_NLA_TYPE_MASK = 0x3FFF
_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # length, type
_ERRNO = Struct("=i")
_U32 = Struct("=I")
_LONGEST_ATTRIBUTE = 0xFFFF
_LARGEST_U32 = 0xFFFFFFFF


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


def u32(kind: int, value: int) -> bytes:
    """Encode an attribute that is a number of 32 bits, in this machine's byte order.

    Raises:
        SystemFailure: it does not fit.
    """
    if not 0 <= value <= _LARGEST_U32:
        raise SystemFailure("cannot encode a netlink attribute", f"{value} does not fit 32 bits")
    return attribute(kind, _U32.pack(value))


def number(payload: bytes | None) -> int:
    """Decode a number of 32 bits; 0 where there is none."""
    return int(_U32.unpack(payload)[0]) if payload else 0


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
    # A list of a thousand links has a hundred thousand of them.
    found = {}
    unpack, size, whole = _ATTRIBUTE.unpack_from, _ATTRIBUTE.size, len(payload)
    last = whole - size
    while offset <= last:
        length, kind = unpack(payload, offset)
        end = offset + length
        if length < size or end > whole:
            break
        found[kind & _NLA_TYPE_MASK] = payload[offset + size : end]
        offset += length + 3 & ~3
    return found


def payloads(listed: bytes) -> list[bytes]:
    """Decode a list of attributes that are all of one type, as an nftables rule's expressions."""
    found = []
    offset = 0
    while offset + _ATTRIBUTE.size <= len(listed):
        length, _kind = _ATTRIBUTE.unpack_from(listed, offset)
        if length < _ATTRIBUTE.size or offset + length > len(listed):
            break
        found.append(listed[offset + _ATTRIBUTE.size : offset + length])
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
    if answer.kind == NLMSG_ERROR:  # the request follows: its header, and all unless capped
        length = int.from_bytes(body[offset : offset + 4], sys.byteorder)
        offset += _HEADER.size if answer.flags & _NLM_F_CAPPED else length + 3 & ~3
    text = b""
    if answer.flags & _NLM_F_ACK_TLVS:
        text = attributes(body, offset).get(_NLMSGERR_ATTR_MSG, b"")
    return Refusal(answer.sequence, -code, text.rstrip(b"\0\n").decode("utf-8", "replace"))

"""Programs of classic BPF for filters of links: instructions to bytes.

Classic BPF, for its instructions go into the message as they are: neither a compiler nor
the bpf system call is needed. <linux/filter.h>, <linux/bpf_common.h>.

A load from beyond the end of a packet ends a program, and its result 0 lets the packet pass:
what must not be got round asks for the length first.
"""

from __future__ import annotations

from _struct import Struct

from ocinet.base.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # An instruction: its code, its operand, and where to go if it holds and if not, "" for on.
    # A word: a place to go to.
    Line = str | tuple[int, int, str, str]

_INSTRUCTION = Struct("=HBBI")  # struct sock_filter
_MOST = 4096  # BPF_MAXINSNS
WORD, HALF, BYTE = 0x20, 0x28, 0x30  # load from the packet
HALF_FROM_X, BYTE_FROM_X = 0x48, 0x50  # at X and the operand
LENGTH = 0x80  # load how long the packet is
X_IS_HEADER_LENGTH = 0xB1  # of the IPv4 header at the operand
GO = 0x05
EQUAL, GREATER, AT_LEAST, ANY_BIT = 0x15, 0x25, 0x35, 0x45
AT_LEAST_X = 0x3D
AND = 0x54
LESS_X = 0x1C  # subtract X
RETURN = 0x06

_ABOUT = 0xFFFF_F000  # SKF_AD_OFF: not of the packet, but what the kernel knows of it
PROTOCOL, MARK, VLAN_TAG_PRESENT = _ABOUT, _ABOUT + 20, _ABOUT + 48
NETWORK = 0xFFF0_0000  # SKF_NET_OFF: from the IP header on
ETHERNET = 14  # bytes before it

_GO_ON, _SHOT = 0xFFFF_FFFF, 2  # TC_ACT_UNSPEC: what other filters there are decide; _SHOT

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD

END: tuple[Line, ...] = (
    "pass", (RETURN, _GO_ON, "", ""),
    "drop", (RETURN, _SHOT, "", ""),
)  # fmt: skip


def assembled(*lines: Line) -> bytes:
    """Encode a program.

    Where an instruction goes to by its condition is within 255 of it; `GO` goes anywhere on.

    Raises:
        RequestError: it is longer than the kernel takes.
    """
    places: dict[str, int] = {}
    instructions: list[tuple[int, int, str, str]] = []
    for line in lines:
        if isinstance(line, tuple):
            instructions.append(line)
        else:
            places[line] = len(instructions)
    if len(instructions) > _MOST:
        raise RequestError("", "it has more addresses than a filter can tell apart",
                           "ask for fewer, or use a network with --no-guard")  # fmt: skip
    pack = _INSTRUCTION.pack
    encoded = []
    for at, (code, operand, yes, no) in enumerate(instructions, 1):  # counted from the next one
        if not (yes or no):
            encoded.append(pack(code, 0, 0, operand))
        elif code == GO:
            encoded.append(pack(code, 0, 0, places[yes] - at))
        else:
            if_so, if_not = places[yes] - at if yes else 0, places[no] - at if no else 0
            encoded.append(pack(code, if_so, if_not, operand))
    return b"".join(encoded)


def load(how: int, where: int) -> Line:
    """Return a load: of so much, from where."""
    return how, where, "", ""

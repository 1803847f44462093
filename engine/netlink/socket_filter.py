"""Having the kernel drop what a socket is not to be woken for: classic BPF, <linux/filter.h>."""

from __future__ import annotations

from _socket import SOL_SOCKET
from _struct import Struct
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Sequence

    Instruction = tuple[int, int, int, int]  # code, jumps if true and if false, operand

LOAD_HALF, LOAD_BYTE, IF_EQUAL, RETURN = 0x28, 0x30, 0x15, 0x06
_SO_ATTACH_FILTER = 26
_INSTRUCTION = Struct("@HBBI")  # struct sock_filter
_PROGRAM = Struct("@HP")  # struct sock_fprog: how many instructions, and where they are


def attach_filter(opened: socket, instructions: Sequence[Instruction]) -> None:
    """Have a socket take in what a program returns a length for.

    Args:
        opened: the socket.
        instructions: at least one; jumps count from the next one.

    Raises:
        OSError: the kernel refused it.
    """
    code = array("B", b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions))
    program = _PROGRAM.pack(len(instructions), code.buffer_info()[0])
    opened.setsockopt(SOL_SOCKET, _SO_ATTACH_FILTER, program)

"""Programs of guards, whatever addresses there are. What they do, the kernel tells: `netns`."""

from __future__ import annotations

from struct import Struct

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.ruleset.port_guard import guard_program

MAC = "02:6f:0a:09:00:05"
_CONDITIONAL, _GO, _RETURN = (0x15, 0x25, 0x35, 0x45, 0x3D), 0x05, 0x06


def _addresses(family: int, count: int) -> tuple[Address, ...]:
    first = 10 << 24 if family == 4 else 0xFD << 120
    return tuple(Address(family, first + number) for number in range(1, count + 1))


@pytest.mark.parametrize("ipv4", [0, 1, 2, 60, 200])
@pytest.mark.parametrize("ipv6", [0, 1, 2, 60])
def test_every_jump_leads_to_an_instruction(ipv4: int, ipv6: int) -> None:
    """Forward, and within the program, which ends in what passes and what drops."""
    program = guard_program(MAC, (*_addresses(4, ipv4), *_addresses(6, ipv6)))
    instructions = list(Struct("=HBBI").iter_unpack(program))
    for at, (code, yes, no, operand) in enumerate(instructions, 1):
        if code in _CONDITIONAL:
            assert at + max(yes, no) < len(instructions)
        elif code == _GO:
            assert at + operand < len(instructions)
    assert [code for code, *_ in instructions[-2:]] == [_RETURN, _RETURN]


def test_more_addresses_than_a_program_can_hold_are_refused() -> None:
    """With the reason, and not by an error of the encoder's."""
    with pytest.raises(RequestError, match="more addresses than a filter"):
        guard_program(MAC, _addresses(6, 400))

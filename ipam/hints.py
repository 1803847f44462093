"""What saves looking for a free address: kept in the lock's file, by whoever holds the lock.

    bytes 0 to 4095    lines "SUBNET ADDRESS", up to the first NUL: the address that
                       was given last of each subnet
    then 65536 bytes   a map of IPv4, one byte for each address by its last 16 bits:
                       0 where it seems free, 1 where it seems held
    then 65536 bytes   a map of IPv6, likewise

The lease files alone count. A lease is made before its byte is set, and removed
after it is cleared, so a kill leaves a byte at 0 whose address turns out to be held.
A byte at 1 whose address is free is left by a lease that was removed by hand, and by
another subnet's address with the same last bits.
"""

from __future__ import annotations

import posix

from ocinet.base.address import Address
from ocinet.base.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocinet.ipam.pool import Pool

MAP_SIZE = 1 << 16
_LAST_BITS = MAP_SIZE - 1
_LINES_SIZE = 4096
_PAGE = 4096  # bytes of a map that are read at once
_MAP_AT = {4: _LINES_SIZE, 6: _LINES_SIZE + MAP_SIZE}
_FREE, _HELD = b"\0", b"\1"


class Hints:
    """The hints of one network. That they can't be written is no failure.

    Args:
        fd: of the lock's file; the lock is held.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: list[str] | None = None

    def last_given(self, pool: Pool) -> int | None:
        """Return the address of the pool that was given last; None if nobody knows."""
        wanted = str(pool.subnet)
        for line in self._read_lines():
            subnet, _, text = line.partition(" ")
            if subnet == wanted:
                try:
                    last = Address.parse(text)
                except RequestError:
                    return None
                return last.value if last in pool.subnet else None
        return None

    def note_last(self, pool: Pool, address: Address) -> None:
        """Note the address of the pool that was given last."""
        subnet = str(pool.subnet)
        others = [line for line in self._read_lines() if line.partition(" ")[0] != subnet]
        self._lines = [f"{subnet} {address}", *others]
        text = "\n".join([*self._lines, ""]).encode()
        self._write(text[: _LINES_SIZE - 1] + b"\0", 0)

    def _read_lines(self) -> list[str]:
        if self._lines is None:
            text = posix.pread(self._fd, _LINES_SIZE, 0).partition(b"\0")[0]
            self._lines = text.decode("ascii", "replace").splitlines()
        return self._lines

    def mark(self, address: Address, *, held: bool) -> None:
        """Note that an address is held, or free."""
        at = _MAP_AT[address.family] + (address.value & _LAST_BITS)
        self._write(_HELD if held else _FREE, at)

    def draw(self, family: int, held: Iterable[int]) -> None:
        """Draw the map of a family anew."""
        drawn = bytearray(MAP_SIZE)
        for value in held:
            drawn[value & _LAST_BITS] = 1
        self._write(drawn, _MAP_AT[family])

    def seem_free(self, family: int, stretches: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Yield the addresses of the stretches that seem to be free, in order.

        Of a stretch longer than the map, as much as the map is long.
        """
        for low, high in stretches:
            for start, page in self._pages(family, low, min(high, low + MAP_SIZE - 1)):
                at = page.find(_FREE)
                while at >= 0:
                    yield start + at
                    at = page.find(_FREE, at + 1)

    def seem_held(self, family: int, stretches: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Yield the addresses of the stretches that seem to be held, in order."""
        for low, high in stretches:
            for start, page in self._pages(family, low, high):
                yield from (start + at for at, byte in enumerate(page) if byte)

    def _pages(self, family: int, low: int, high: int) -> Iterator[tuple[int, bytes]]:
        while low <= high:
            at = low & _LAST_BITS
            size = min(high - low + 1, _PAGE - at % _PAGE)
            # What lies behind the file's end was never noted: it seems free.
            yield low, posix.pread(self._fd, size, _MAP_AT[family] + at).ljust(size, _FREE)
            low += size

    def clear(self) -> None:
        """Forget everything."""
        posix.ftruncate(self._fd, 0)
        self._lines = None

    def _write(self, data: bytes | bytearray, at: int) -> None:
        try:
            posix.pwrite(self._fd, data, at)
        except OSError:
            return

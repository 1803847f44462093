"""What lies between two values, as an element of a set may have it for a field."""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address


class Span(Value):
    """What lies between two values of one kind, which are part of it.

    Attributes:
        first: an address, a port, or the number of a protocol.
        last: likewise, and more than the first.
    """

    first: Address | int
    last: Address | int

    def __str__(self) -> str:
        """Render as nft does."""
        return f"{self.first}-{self.last}"


def reach(first: Address, last: Address) -> Subnet | Span:
    """Return the addresses from one to another: a subnet, where they are one."""
    size = last.value - first.value + 1
    bits = 32 if first.family == 4 else 128
    if size > 0 and not size & size - 1 and not first.value % size:
        return Subnet(first.family, first.value, bits - size.bit_length() + 1)
    return Span(first, last)

"""What our table has refused: who wanted to talk to whom."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address


class Refused(Value):
    """Packets from one address to another that were dropped, for nobody allows them.

    Attributes:
        source: who sent them.
        target: for whom they were, behind any DNAT.
        protocol: its name, or the number of one without ports.
        port: of the target; 0 where the protocol has none.
        packets: how many, since the first one within an hour of the one before.
        detail: what stands in the place of a port, where the protocol has none.
    """

    source: Address
    target: Address
    protocol: str
    port: int
    packets: int
    detail: int = 0

    @property
    def door(self) -> str:
        """What was asked for: `5432/tcp`, or the protocol alone."""
        return f"{self.port}/{self.protocol}" if self.port else self.protocol

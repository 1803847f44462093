"""Sockets of the host: those that a published port must not be in the way of, and its own."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.request import Protocol

# Of a socket that holds a published port for its container, and answers nothing.
HOLDER_MARK = 0x6F636870


class Listener(Value):
    """A socket that takes packets from anyone.

    Attributes:
        protocol: tcp, udp or sctp.
        address: that it is bound to; 0.0.0.0 or :: for every one.
        port: 1 to 65535.
        dual: bound to ::, it takes IPv4 as well.
        inode: by which /proc/PID/fd names it; 0 if it has none.
    """

    protocol: Protocol
    address: Address
    port: int
    dual: bool
    inode: int

    def takes(self, family: int, address: Address | None) -> bool:
        """Tell whether it takes packets of a family to an address; None means any."""
        if self.address.family != family and not self.dual:
            return False
        if address is None or not address.value or not self.address.value:
            return True
        return self.address == address

    @property
    def place(self) -> str:
        """What `ss` shows: `*:80` for every address of both families, else `0.0.0.0:80`."""
        shown = f"[{self.address}]" if self.address.family == 6 else str(self.address)
        return f"{'*' if self.dual else shown}:{self.port}"

    def __str__(self) -> str:
        """Render as `0.0.0.0:22/tcp`."""
        shown = f"[{self.address}]" if self.address.family == 6 else str(self.address)
        return f"{shown}:{self.port}/{self.protocol}"


class Place(Value):
    """What a socket is bound to.

    Attributes:
        protocol: tcp, udp or sctp.
        address: of the host; 0.0.0.0 or :: for every one of that family, and no other.
        port: 1 to 65535.
    """

    protocol: Protocol
    address: Address
    port: int

    def __str__(self) -> str:
        """Render as `0.0.0.0:8080/tcp`."""
        shown = f"[{self.address}]" if self.address.family == 6 else str(self.address)
        return f"{shown}:{self.port}/{self.protocol}"

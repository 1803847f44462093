"""An address and a port of this machine alone, where the watcher may be looked at."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.base.value import Value

_FORM = "write 127.0.0.1:PORT or [::1]:PORT"
_NAME = "localhost"
_MOST = 65_535


class LoopbackPlace(Value):
    """Where something is served to this machine.

    Attributes:
        address: in 127.0.0.0/8, or ::1.
        port: 1 to 65535; 0 means any that is free.
    """

    address: Address
    port: int

    @classmethod
    def parse(cls, text: str) -> LoopbackPlace:
        """Read `127.0.0.1:4900`, `[::1]:4900` or `localhost:4900`, which is the first.

        Raises:
            RequestError: it is something else, or others could reach it there.
        """
        host, colon, number = text.rpartition(":")
        # int() itself refuses thousands of digits, by a ValueError.
        is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(_MOST))
        if not (colon and is_number and int(number) <= _MOST):
            raise RequestError("", f"{text!r} is no address with a port", _FORM)
        port = int(number)
        if host == _NAME:
            return cls(Address(4, 127 << 24 | 1), port)
        is_bracketed = host[:1] == "[" and host[-1:] == "]"
        try:
            address = Address.parse(host[1:-1] if is_bracketed else host)
        except RequestError:
            address = None
        if address is not None and (address.family == 6) != is_bracketed:
            raise RequestError("", f"{text!r} is no address with a port", _FORM)
        if address is None or not address.is_loopback:
            raise RequestError("", f"{text!r} is not of this machine alone", _elsewhere(port))
        return cls(address, port)

    @property
    def host(self) -> str:
        """The address as it stands in a URL: `127.0.0.1`, `[::1]`."""
        return f"[{self.address}]" if self.address.family == 6 else str(self.address)

    def __str__(self) -> str:
        """Render as `127.0.0.1:4900`."""
        return f"{self.host}:{self.port}"


def _elsewhere(port: int) -> str:
    """Return how it is seen from another machine, without anybody else's reaching it."""
    port = port or 4900
    return (
        f"say 127.0.0.1:{port} here, and on the machine that you sit at: "
        f"ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
    )

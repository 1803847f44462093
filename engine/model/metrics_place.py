"""Where the watcher's figures are scraped: a socket's path, or a port of this machine alone."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.engine.model.loopback import LoopbackPlace

_UNIX = "unix:"
_LONGEST = 107  # bytes of a socket's path, its end not counted: unix(7)


class MetricsPlace(Value):
    """One of the two.

    Attributes:
        path: of the socket, or "".
        loopback: the port, or None.
    """

    path: str = ""
    loopback: LoopbackPlace | None = None

    @classmethod
    def parse(cls, text: str) -> MetricsPlace:
        """Read `unix:/run/ocinet/metrics.sock`, or what `LoopbackPlace` reads.

        Raises:
            RequestError: it is something else, or others could reach it there.
        """
        if not text.startswith(_UNIX):
            return cls(loopback=LoopbackPlace.parse(text))
        path = text[len(_UNIX) :]
        if not path.startswith("/") or path.endswith("/") or not path.isprintable():
            raise RequestError(
                "", f"{text!r} names no socket", "write unix:/run/ocinet/metrics.sock"
            )
        if len(path.encode()) > _LONGEST:
            raise RequestError(
                "", f"{text!r} is longer than a socket's path may be", "a shorter one"
            )
        return cls(path)

    def __str__(self) -> str:
        """Render as it is written."""
        return f"{_UNIX}{self.path}" if self.path else str(self.loopback)

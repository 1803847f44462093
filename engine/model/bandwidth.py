"""How fast a container may send and be sent to."""

from __future__ import annotations

from ocinet.base.value import Value

_QUEUED = 10  # of a second: what waits longer is dropped
_LEAST_BURST = 1 << 15


class Limit(Value):
    """A rate that is not exceeded.

    Attributes:
        rate: bits per second; 0: it is wished that there is no limit.
        burst: bytes that may pass at once after a pause; 0 in a wish: `usual_burst`.
    """

    rate: int
    burst: int = 0

    @property
    def queue(self) -> int:
        """How many bytes wait at most, the burst among them."""
        return self.rate // 8 // _QUEUED + self.burst


def usual_burst(rate: int) -> int:
    """Return what passes at once where nothing is said: of 10 ms, and a few packets at least."""
    return max(rate // 8 // 100, _LEAST_BURST)


class Bandwidth(Value):
    """The limits of one interface; as the container sees it.

    Attributes:
        inward: of what it receives; None: none, in a wish: not said.
        outward: of what it sends; likewise.
    """

    inward: Limit | None = None
    outward: Limit | None = None

    def over(self, before: Bandwidth | None) -> Bandwidth | None:
        """Return what a wish comes to where there were limits before; None: to none at all."""
        inward = _settled(self.inward, before.inward if before else None)
        outward = _settled(self.outward, before.outward if before else None)
        return Bandwidth(inward, outward) if inward or outward else None


def _settled(wish: Limit | None, before: Limit | None) -> Limit | None:
    if wish is None:
        return before
    if not wish.rate:
        return None
    return wish if wish.burst else wish.replace(burst=usual_burst(wish.rate))


def shaper_of(host_ifname: str) -> str:
    """Return the name of the link by which what comes from a host end is made to wait."""
    return f"oi{host_ifname[2:]}"

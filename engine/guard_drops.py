"""What the guards of containers' ports have dropped, as their queueing disciplines count it."""

from __future__ import annotations

from ocinet.engine.model.flow import Hop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.plan import seams

REMEDY = "a container that sends for others needs a network with --no-guard, or to masquerade"


class GuardDrops:
    """The count of now, to be compared with a later one.

    Args:
        filters: of the host.
        endpoints: of one container.
    """

    def __init__(self, filters: seams.Filters, endpoints: tuple[Endpoint, ...]) -> None:
        self._filters = filters
        self._endpoints = tuple(end for end in endpoints if end.host_ifname)  # on the LAN: none
        self._before = self._counts()

    def _counts(self) -> dict[str, int]:
        return {end.host_ifname: self._filters.dropped(end.host_ifname) for end in self._endpoints}

    def hops(self, name: str) -> tuple[Hop, ...]:
        """Return a station for each port whose guard has dropped something since."""
        after = self._counts()
        return tuple(
            Hop(name, explain_dropped(end, more), ok=False, remedy=REMEDY)
            for end in self._endpoints
            if (more := after[end.host_ifname] - self._before[end.host_ifname]) > 0
        )

    def told(self) -> tuple[str, ...]:
        """Return what each port's guard has dropped since the port was made, one line each."""
        return tuple(
            explain_dropped(end, count)
            for end in self._endpoints
            if (count := self._before[end.host_ifname])
        )


def explain_dropped(endpoint: Endpoint, count: int) -> str:
    """Return that a guard dropped frames, and how to see more of it."""
    frames = "a frame" if count == 1 else f"{count} frames"
    return (
        f"the guard of {endpoint.ifname} dropped {frames} that bore another MAC or address than"
        f" its own, or what only a router or server sends: tc -s qdisc show dev"
        f" {endpoint.host_ifname}"
    )

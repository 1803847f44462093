"""Ways from one container to another that lead past the host, by a link of the two."""

from __future__ import annotations

from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.flow import Hop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.plug import Plug


def addresses_toward(start: Attachment | None, end: Attachment) -> list[Address]:
    """Return a container's addresses, those first at which another one reaches it soonest.

    Those on a network of both, then those of a link of the two, then its others.
    """
    shared = {endpoint.network for endpoint in start.endpoints} if start else set()
    own_id = start.container.id if start else ""

    def distance(known: Endpoint | Plug) -> int:
        if isinstance(known, Endpoint):
            return 0 if known.network in shared else 2
        return 1 if known.peer == own_id else 3

    every: list[Endpoint | Plug] = [*end.endpoints, *end.plugs]
    known = sorted(every, key=distance)
    return [interface.address for each in known for interface in each.addresses]


def endpoint_to(record: Attachment | None, destination: Address) -> Endpoint | None:
    """Return the endpoint by which a container sends to an address; None: by a link, or by none."""
    best: Endpoint | Plug | None = None
    longest = -1
    every: list[Endpoint | Plug] = [*record.endpoints, *record.plugs] if record else []
    for known in every:
        ways = [interface.subnet for interface in known.addresses]
        ways += [route.destination for route in known.routes if route.kind == "unicast"]
        for subnet in ways:
            if destination in subnet and subnet.prefixlen > longest:
                best, longest = known, subnet.prefixlen
    return best if isinstance(best, Endpoint) else None


def link_hops(record: Attachment | None, ifname: str) -> tuple[Hop, ...]:
    """Return where what a container sends by an interface comes to, if that is a link's end."""
    return tuple(
        Hop(
            record.container.name,
            f"by the link {plug.cable}, straight into another sandbox: past every bridge and rule",
        )
        for plug in (record.plugs if record else ())
        if record and plug.ifname == ifname
    )

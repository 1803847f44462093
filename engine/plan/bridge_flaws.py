"""What of a container's port of a bridge is otherwise than its record has it."""

from __future__ import annotations

from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.plan.flaw import Connected, Flaw
from ocinet.engine.plan.port_flaws import off_bridge, unguarded
from ocinet.engine.plan.shaping_steps import Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.plan.flaw import Left


def why_lost(endpoint: Endpoint, left: Left) -> str:
    """Return why a pair has to be made anew; "" if its host end is there."""
    if _host_end(endpoint, left):
        return ""
    if any(link.ifname == endpoint.ifname for link in left.inside or ()):
        return (
            f"{endpoint.host_ifname}, the host end of {endpoint.ifname}, has another name, or "
            "is in another namespace"
        )
    return f"{endpoint.ifname} is gone, and its host end {endpoint.host_ifname}"


def flaws_of_port(connected: Connected, links: Mapping[str, Link], left: Left) -> list[Flaw]:
    """Return what of a host end that is there is not as it was made."""
    endpoint, network = connected.endpoint, connected.network
    link = _host_end(endpoint, left)
    if link is None:
        return []
    bridge = links.get(endpoint.device)
    found = port_flaws(endpoint, network, link, bridge, is_reached=connected.is_reached)
    if endpoint.host_ifname in dict(left.guards):
        program = dict(left.guards)[endpoint.host_ifname]
        open_to = unguarded(endpoint, network, program, strict=left.strict)
        found += [Flaw(open_to[0], (open_to[1],))] if open_to else []
    there = dict(left.shapes).get(endpoint.host_ifname)
    if endpoint.bandwidth and there != endpoint.bandwidth:
        text = f"{endpoint.host_ifname}, the host end of {endpoint.ifname}, has not its bandwidth"
        shape = Shape(endpoint.host_ifname, endpoint.bandwidth, there, connected.alias)
        found.append(Flaw(text, (shape,)))
    return found


def port_flaws(
    endpoint: Endpoint,
    network: Network | None,
    link: Link,
    bridge: Link | None,
    *,
    is_reached: bool,
) -> list[Flaw]:
    """Return what keeps a host end from its bridge; None: that one will be made first."""
    found = off_bridge(endpoint, network, link, bridge, is_reached=is_reached)
    return [Flaw(found[0], (found[1],))] if found else []


def _host_end(endpoint: Endpoint, left: Left) -> Link | None:
    return next((end for end in left.host_ends if end.ifname == endpoint.host_ifname), None)

"""What is wrong, as it is told from lists alone: of a container's wiring, and of networks.

The words are those of `ocinet check`, which finds more: it enters sandboxes.
"""

from __future__ import annotations

from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.network import Network
from ocinet.engine.plan.port_flaws import off_bridge
from ocinet.engine.plan.wiring import reached_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.engine.model.link import Link


def why_broken(
    record: Attachment, links: Mapping[str, Link], networks: Mapping[str, Network]
) -> str:
    """Return what of a living container's wiring is not as it was made; "" if all is.

    Args:
        record: attached.
        links: of the host, by name.
        networks: by name.
    """
    reached = reached_by(record.ports, record.endpoints) if record.ports else ()
    found = []
    for endpoint in record.endpoints:
        why = _why(endpoint, links, networks, is_reached=endpoint in reached)
        if why:
            found.append(why)
    return "; ".join(found)


def _why(
    endpoint: Endpoint,
    links: Mapping[str, Link],
    networks: Mapping[str, Network],
    *,
    is_reached: bool,
) -> str:
    network = networks.get(endpoint.network)
    if not endpoint.host_ifname:  # on the LAN: the host has no end of it
        parent = links.get(network.parent) if network else None
        how = "" if parent and parent.up else "down" if parent else "gone"
        return f"{network.parent if network else 'its parent'} is {how}" if how else ""
    end = links.get(endpoint.host_ifname)
    if end is None:
        return f"{endpoint.ifname} is gone, and its host end {endpoint.host_ifname}"
    bridge = links.get(endpoint.device)
    if bridge is None:
        return f"the bridge {endpoint.device} is gone"
    found = off_bridge(endpoint, network, end, bridge, is_reached=is_reached)
    if found:
        return found[0]
    if not bridge.up:
        return f"the bridge {endpoint.device} is down"
    # A veth has no carrier while its other end is down.
    return "" if end.running else f"in the sandbox, {endpoint.ifname} is down"


def why_unusable(bridge: Link | None, *, used: bool) -> str:
    """Return what is wrong with a network's bridge; "" of one that nobody needs yet.

    Args:
        bridge: None: there is none.
        used: whether a living container is on the network.
    """
    if not used:
        return ""
    if bridge is None:
        return "its bridge is gone"
    return "" if bridge.up else "its bridge is down"

"""What of a container's host end, or its bridge, is otherwise than it has to be."""

from __future__ import annotations

from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.link import Link
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import DeviceState
from ocinet.engine.plan.endpoint import guard_of
from ocinet.engine.plan.port_steps import GuardPort, JoinBridge
from ocinet.engine.plan.shared_steps import MakeBridge


def off_bridge(
    endpoint: Endpoint,
    network: Network | None,
    link: Link,
    bridge: Link | None,
    *,
    is_reached: bool,
) -> tuple[str, JoinBridge] | None:
    """Return what keeps a host end from its bridge, or what of the port is otherwise.

    Args:
        endpoint: whose it is.
        network: its; None where nobody knows.
        link: the host end.
        bridge: None: it will be made first.
        is_reached: whether ports lead to it.
    """
    adopted = bool(network and not network.managed)
    apart = bool(network and not network.siblings)
    lacks: tuple[str, ...] = ()
    if network and network.managed:  # of an adopted bridge, all of it is its owner's
        lacks = _lacks(link, bridge)
        lacks += ("isolated off",) if link.isolated and not apart else ()
    if not bridge or link.master != bridge.ifindex:
        how = f"is off {endpoint.device}"
    elif not link.up:
        how = "is down"
    elif link.mtu != endpoint.mtu and not (adopted and link.mtu > endpoint.mtu):
        how = f"has an MTU of {link.mtu}, and has to have {endpoint.mtu}"
    elif is_reached and not link.hairpin:
        how = "sends nothing back to where it came from (hairpin)"
    elif apart and not link.isolated:
        how = "carries what its siblings send (isolated)"
    elif lacks:
        how = f"does not carry all that it is to: it lacks {', '.join(lacks)}"
    else:
        return None
    join = JoinBridge(
        endpoint.host_ifname, endpoint.device, is_reached, endpoint.mtu, adopted, apart, lacks
    )
    return f"{endpoint.host_ifname}, the host end of {endpoint.ifname}, {how}", join


def _lacks(link: Link, bridge: Link | None) -> tuple[str, ...]:
    """Return what a port lacks; its state is a spanning tree's, or goes with the bridge's."""
    is_free = bridge is not None and bridge.up and not bridge.spans
    return tuple(word for word in link.lacks if is_free or not word.startswith("state "))


def unguarded(
    endpoint: Endpoint, network: Network, program: bytes, *, strict: bool
) -> tuple[str, GuardPort] | None:
    """Return that a host end is not guarded as its network has it.

    Args:
        endpoint: whose it is.
        network: its.
        program: of the filter that it has; b"" for none.
        strict: see `GuardPort`.
    """
    wanted = guard_of(endpoint, network)
    if program == wanted:
        return None
    how = "is not guarded as it was" if wanted else "is guarded, and is not to be"
    text = f"{endpoint.host_ifname}, the host end of {endpoint.ifname}, {how}"
    return text, GuardPort(endpoint.host_ifname, wanted, strict)


def lack_of_bridge(step: MakeBridge, state: DeviceState) -> str:
    """Return why a bridge has to be made, or made whole.

    Args:
        step: that does it.
        state: of the bridge, as it was seen.
    """
    if not state.link:
        return "is gone"
    if not state.link.up:
        return "is down"
    if state.link.without_arp:
        return "neither asks nor answers who has an address (arp off)"
    if not set(step.addresses) <= set(state.addresses):
        return "lacks its address"
    if state.unrouted:
        return f"lacks the route to {state.unrouted[0].subnet}"
    return f"has an MTU of {state.link.mtu}, and has to have {step.mtu}"

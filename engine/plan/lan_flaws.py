"""What of the host's own way to containers on the LAN is not as it has to be."""

from __future__ import annotations

from ocinet.engine.plan.flaw import Flaw
from ocinet.engine.plan.lan_steps import MakeShim, Reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.lan import HostSide
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import Observed


def unreached(
    networks: Iterable[Network], endpoints: tuple[Endpoint, ...], observed: Observed
) -> list[Flaw]:
    """Return the containers that the host would not reach by its own interface.

    Args:
        networks: of any kind.
        endpoints: of all who are on them.
        observed: of these networks' devices.
    """
    flaws: list[Flaw] = []
    for network in networks:
        if not network.host_access:
            continue
        shim = observed.device(network.device).shim
        reached = shim.reached if shim else ()
        wanted = (
            interface.address
            for endpoint in endpoints
            if endpoint.device == network.device
            for interface in endpoint.addresses
        )
        lost = tuple(address for address in wanted if address not in reached)
        if lost:
            told = ", ".join(map(str, lost))
            text = f"the host has no route to {told} by {network.device}"
            flaws.append(Flaw(text, (Reach(network.device, lost),)))
    return flaws


def explain_shrunk(endpoint: Endpoint, parent: Link) -> str:
    """Return that a container sends less than it was made for, as the kernel has seen to."""
    return (
        f"{parent.ifname} passes {parent.mtu} bytes by now, and {endpoint.ifname} was made for"
        f" {endpoint.mtu}: it has {parent.mtu} until the container is attached anew, or:"
        f" ip link set {parent.ifname} mtu {endpoint.mtu}"
    )


def lack_of_shim(step: MakeShim, shim: HostSide | None) -> str:
    """Return what keeps the host from its containers on a network of the LAN."""
    named = f"{step.device}, by which the host reaches containers on {step.child.parent},"
    if shim is None:
        return f"{named} is gone"
    return f"{named} is down" if not shim.link.up else f"{named} lacks its address"

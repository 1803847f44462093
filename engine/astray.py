"""Containers to whom the host's own packets do not come, though all of their wiring is there."""

from __future__ import annotations

from ocinet.engine.plan.driver_bridge import gateways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Address
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.network import Network
    from ocinet.engine.plan.machine import Machine


def explain_astray(
    machine: Machine, networks: Iterable[Network], endpoints: Iterable[Endpoint]
) -> tuple[str, ...]:
    """Return whose packets the host sends elsewhere, one line for each way they take.

    A VPN's rule or a narrower route comes before the bridge's own route, or the host has come to
    have a container's address itself. Both ways are lost then: answers, too, are sent so.

    Args:
        machine: whose routes are asked for; their bridges are up, with their addresses.
        networks: only those whose bridge the host has an address on are looked at.
        endpoints: of any networks.

    Raises:
        KernelError: the kernel would not say.
    """
    reached = {net.name: gateways(net) for net in networks if net.managed}
    wanted = tuple(
        (interface.address, endpoint.device)
        for endpoint in endpoints
        for interface in endpoint.addresses
        if any(interface.address in held.subnet for held in reached.get(endpoint.network, ()))
    )
    if not wanted:
        return ()
    led = machine.routing_rules.leads(tuple(address for address, _device in wanted))
    lost: dict[tuple[str, str], list[Address]] = {}
    for (address, device), by in zip(wanted, led, strict=True):
        if by != device:
            lost.setdefault((device, by), []).append(address)
    return tuple(_explain(*way, addresses) for way, addresses in lost.items())


def tell_astray(
    machine: Machine, networks: Iterable[Network], endpoints: Iterable[Endpoint]
) -> None:
    """Warn of the same: who attaches has a network by all that was done, and yet none."""
    machine.warnings += explain_astray(machine, networks, endpoints)


def _explain(device: str, by: str, addresses: list[Address]) -> str:
    first, more = addresses[0], len(addresses) - 1
    whose = f"{first}, a container's on {device}," + (f" and for {more} more" if more else "")
    if by == "lo":
        return (
            f"the host has the address {whose} itself, and keeps what is for it: "
            f"ip address show to {first}"
        )
    how = f"by {by}" if by else "nowhere"
    return (
        f"the host sends what is for {whose} {how}: a route or a rule comes before {device}'s own: "
        f"ip route get {first}; ip rule"
    )

"""From published ports and endpoints to the rules that lead the one to the other."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.request import Publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def make_ports(
    publishes: tuple[Publish, ...], endpoints: tuple[Endpoint, ...], internal: tuple[str, ...]
) -> tuple[PortRule, ...]:
    """Return the rules that lead host ports to a container's addresses.

    A publish without a host address leads to its IPv4 address, and to its IPv6
    one if it has that. The first endpoint of the family is meant.

    Args:
        publishes: with their host ports chosen.
        endpoints: all of the container's.
        internal: names of internal networks, which nothing leads into.

    Raises:
        RequestError: the container has no address of the host address's family.
    """
    first = _first_addresses(endpoints, internal)
    both = tuple(sorted(first))
    rules = []
    for wish in publishes:
        host_address = wish.host_address
        families = (host_address.family,) if host_address else both
        if not families or families[0] not in first:
            raise _unreachable(wish, families)
        # 0.0.0.0 and [::] mean every address, of that one family.
        if host_address and not host_address.value:
            host_address = None
        for family in families:
            rules.append(
                PortRule(
                    wish.protocol, host_address, wish.host_port, first[family], wish.container_port
                )
            )
    return tuple(rules)


def _first_addresses(
    endpoints: tuple[Endpoint, ...], internal: tuple[str, ...]
) -> dict[int, Address]:
    first: dict[int, Address] = {}
    for endpoint in endpoints:
        if endpoint.network not in internal:
            for interface in endpoint.addresses:
                first.setdefault(interface.address.family, interface.address)
    return first


def check_ports(
    publishes: tuple[Publish, ...], endpoints: tuple[Endpoint, ...], internal: tuple[str, ...]
) -> None:
    """Refuse what `make_ports` would, before host ports are chosen.

    Raises:
        RequestError: the container has no address of a host address's family.
    """
    first_at = {wish.host_address: wish for wish in reversed(publishes)}
    make_ports(tuple(first_at.values()), endpoints, internal)


def _unreachable(wish: Publish, families: tuple[int, ...]) -> RequestError:
    missing = f"IPv{families[0]} address" if families else "address"
    return RequestError(
        "",
        f"port {wish.host_port or wish.container_port} can't be published: "
        f"the container has no {missing} that can be reached",
        "use a network with that family that is not internal; on the LAN itself its own ports are"
        " reached as they are",
    )


def targets_of(ports: Iterable[PortRule]) -> set[Address]:
    """Return the containers' addresses that ports lead to."""
    targets: set[Address] = set()
    last = None
    for port in ports:
        if port.address is not last:  # to hash one for each of a thousand ports takes 1 ms
            last = port.address
            targets.add(last)
    return targets

"""With which of the host's addresses packets leave: what can't be had, and one container's own."""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.engine.model.network import Network, NetworkRules
from ocinet.engine.model.routing import Leaving
from ocinet.engine.ruleset.access_sets import SOURCE, ways_of
from ocinet.engine.ruleset.elements import Element

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.observed import SourceRouting

_NOBODYS = ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8")


def check_egress(network: Network, addresses: tuple[Address, ...]) -> None:
    """Refuse addresses for what leaves where nothing does, or not with one of the host's.

    Raises:
        RequestError: one can't be had on the network.
    """
    families = [address.family for address in addresses]
    why = ""
    if not network.managed:
        why = "what leaves an adopted bridge is its owner's to masquerade"
    elif network.internal:
        why = "nothing leaves an internal network"
    elif not network.masquerade:
        why = "without masquerade, packets leave with the container's address"
    elif len(families) > len(set(families)):
        why = "one of each family is all that packets can bear"
    else:
        whys = (_why_not(address, network) for address in addresses)
        why = next(filter(None, whys), "")
    if why and addresses:
        raise RequestError("", f"no egress address can be had: {why}")


def check_unmasked(network: Network) -> None:
    """Refuse destinations for the containers' own addresses where there is no such choice.

    Raises:
        RequestError: nothing is masqueraded there, or one of them makes no sense.
    """
    far, own = network.unmasked, tuple(pool.subnet for pool in network.pools)
    why = ""
    if far and not network.managed:
        why = "what leaves an adopted bridge is its owner's to masquerade"
    elif far and network.internal:
        why = "nothing leaves an internal network"
    elif network.joined and not far:
        why = (
            "who gets in by a joined link are the destinations that are not masqueraded, and "
            "none is given"
        )
    for place, prefix in enumerate(far):
        if prefix.family not in network.families:
            why = why or f"{prefix} is of IPv{prefix.family}, and the network has no such subnet"
        twice = next((other for other in far[:place] if other.overlaps(prefix)), None)
        if twice:
            why = why or f"{prefix} and {twice} have addresses in common"
        if any(prefix.overlaps(subnet) and prefix.size <= subnet.size for subnet in own):
            why = why or f"{prefix} is in the network itself"
    if why:
        raise RequestError("", f"no destination can go without masquerade: {why}")


def leaving_of_network(rules: NetworkRules) -> tuple[Leaving, ...]:
    """Return with which addresses packets of a network leave, as far as that is said."""
    if not rules.masquerade:
        return ()
    return tuple(
        Leaving(subnet, address)
        for subnet in rules.subnets
        for address in rules.egress
        if address.family == subnet.family
    )


def alone(own: Address, address: Address) -> Leaving:
    """Return with which address one container's packets leave."""
    return Leaving(Subnet(own.family, own.value, 32 if own.family == 4 else 128), address)


def with_leaving(routing: SourceRouting, endpoints: Iterable[Endpoint]) -> SourceRouting:
    """Return how the host routes by source, with what these endpoints ask for besides."""
    if not routing.addresses:
        return routing
    more = [
        alone(own, address)
        for endpoint in endpoints
        for own, address in ways_of(source_elements(endpoint))
    ]
    return routing.replace(leaving=tuple(dict.fromkeys((*routing.leaving, *more))))


def source_elements(endpoint: Endpoint) -> tuple[Element, ...]:
    """Return the elements by which what an endpoint sends leaves with an address of its own."""
    return tuple(
        Element(SOURCE[address.family], (interface.address,), (address,))
        for address in endpoint.egress
        for interface in endpoint.addresses
        if interface.address.family == address.family
    )


def _why_not(address: Address, network: Network) -> str:
    subnets = [pool.subnet for pool in network.pools if pool.subnet.family == address.family]
    if not subnets:
        return f"{address} is of IPv{address.family}, and the network has no such subnet"
    if any(address in subnet for subnet in subnets):
        return f"{address} is in the network itself"
    if any(address in Subnet.parse(text) for text in _NOBODYS):
        return f"{address} is no address that a packet can leave with"
    return ""

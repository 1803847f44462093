"""What a container had in an earlier life, whose sandbox others still live in: to be had again."""

from __future__ import annotations

from ocinet.base.address import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.request import EndpointRequest, Publish


def addresses_again(
    former: Attachment, wish: EndpointRequest, network: Network, kept: Mapping[str, str]
) -> tuple[Address, ...]:
    """Return what the earlier life had on a network, of families that nothing is said of now.

    Args:
        former: the record of the earlier life.
        wish: for the network; its addresses count.
        network: as it is now.
        kept: names by address: what is reserved for the container's counts as well.
    """
    own = [address for address, name in kept.items() if name == former.container.name]
    said = {address.family for address in (*wish.addresses, *map(Address.parse, own))}
    return tuple(
        interface.address
        for endpoint in former.endpoints
        if endpoint.network == network.name
        for interface in endpoint.addresses
        if interface.address.family not in said
    )


def ports_again(record: Attachment, wishes: tuple[Publish, ...]) -> tuple[Publish, ...]:
    """Return wishes for ports, those without a host port with the one that was chosen.

    Args:
        record: of who had them chosen.
        wishes: what was asked for then, or is now.
    """
    # `-p 8080:80 -p 80` came to two ports of one container port: 8080 is not what was chosen.
    left = [
        port
        for port in record.ports
        if not any(wish.host_port and port.serves(wish) for wish in wishes)
    ]
    again = []
    for wish in wishes:
        port = next((port for port in left if port.serves(wish)), None)
        if port is None or wish.host_port:
            again.append(wish)
            continue
        # One of IPv4 and one of IPv6 are of one wish, and had by it alone.
        same = (port.protocol, port.host_port)
        left = [other for other in left if (other.protocol, other.host_port) != same]
        again.append(wish.chosen(port.host_port))
    return tuple(again)

"""Which networks' names are served, and what a name server is to know of a container: pure."""

from __future__ import annotations

from ocinet.engine.model.name_holders import in_line
from ocinet.engine.model.served import NOBODY, ServedContainer, ServedNetwork
from ocinet.engine.plan.served_names import own_names, served_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.network import Network


def served_network(network: Network) -> ServedNetwork | None:
    """Return how a network's names are served; None if they are not.

    On one of ours they are, unless its definition says no; on an adopted bridge, which may
    have a resolver of its owner's, where the definition names whom to ask.
    """
    wanted = network.dns and (network.managed or network.dns_servers)
    gateways = tuple(pool.gateway for pool in network.pools if pool.gateway)
    if not wanted or not gateways:
        return None
    return ServedNetwork(
        network.name, gateways, network.dns_servers, network.internal, network.host
    )


def served_container(
    record: Attachment,
    network: str,
    defined: Mapping[str, Network],
    host_resolvers: tuple[Address, ...] = (),
) -> ServedContainer | None:
    """Return what the server of a network is to know of a container; None if nothing.

    Args:
        record: of it.
        network: its name.
        defined: the networks that it is on, by name.
        host_resolvers: whom the host asks.
    """
    addresses = tuple(
        interface.address
        for endpoint in record.endpoints
        if endpoint.network == network
        for interface in endpoint.addresses
    )
    if not addresses:
        return None
    # Who has no name that could be served asks for others' all the same.
    names = names_in_line(record, network)
    upstreams = _upstreams(record, defined, host_resolvers)
    return ServedContainer(record.container.id, addresses, names, upstreams)


def names_in_line(record: Attachment, network: str) -> tuple[str, ...]:
    """Return the names of a container on one of its networks, as they stand in its line."""
    names = served_names(record, network)
    return in_line(record.container.id, own_names(record), names) if names else ()


def is_between(networks: Iterable[Network]) -> bool:
    """Tell whether some of a container's networks are internal, and some are not."""
    return len({network.internal for network in networks}) > 1


def own_resolvers(record: Attachment) -> tuple[Address, ...]:
    """Return the resolvers of a container's own that the server can ask for it.

    None, if one of them is to be reached from the container alone: the server asks from the
    host, where 127.0.0.1 is another one.
    """
    servers = record.resolution.servers if record.resolution else ()
    near = any(server.is_loopback or server.is_link_local for server in servers)
    return () if near else servers


def resolvers_of(record: Attachment, networks: Iterable[Network]) -> tuple[Address, ...]:
    """Return whom a container asks for names: the gateways of its networks that are served.

    None, where it has resolvers of its own that no server would ask for it.

    Args:
        record: of it, with the networks that know it.
        networks: that it is on, in its order.
    """
    on = [network for network in networks if network.name in record.served]
    has_own = bool(record.resolution and record.resolution.servers)
    is_asked = own_resolvers(record) and not all(network.internal for network in on)
    if has_own and not is_asked:
        return ()
    addresses = [own.address for endpoint in record.endpoints for own in endpoint.addresses]
    families = {address.family for address in addresses}
    return tuple(
        gateway
        for network in on
        for pool in network.pools
        if (gateway := pool.gateway) and gateway.family in families
    )


def _upstreams(
    record: Attachment, defined: Mapping[str, Network], host_resolvers: tuple[Address, ...]
) -> tuple[Address, ...]:
    # A question for a name is a packet that leaves, whoever sends it.
    if record.access and record.access.egress == ():
        return (NOBODY,)
    if all(network.internal for network in defined.values()):
        return ()
    own = own_resolvers(record)
    if own or not is_between(defined.values()):
        return own
    # Versions before 1.11 know nobody to ask for who is on an internal network, whatever else
    # it is on, unless it is said of the container itself.
    open_ones = [network for network in defined.values() if not network.internal]
    given = [server for network in open_ones for server in network.dns_servers]
    return tuple(dict.fromkeys(given)) or host_resolvers

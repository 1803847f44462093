"""Whether the names of a new network are served, and whom their server asks: its wishes, judged."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.plan.serving import served_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.model.network import Network

_MOST = 3  # MAXNS of glibc's resolv.h: nobody asks a fourth


def check_dns(
    network: Network, bears: tuple[Interface, ...], others: tuple[Network, ...] = ()
) -> None:
    """Refuse resolvers that nobody would ask, or that would ask themselves.

    Args:
        network: as it is to be defined.
        bears: the host's addresses on an adopted bridge.
        others: all other networks.

    Raises:
        RequestError: they can't be had; says why.
    """
    if network.dns_servers:
        why = _why_not(network, bears) or _why_ours(network, others)
        if why:
            raise RequestError("--dns", why)


def _why_not(network: Network, bears: tuple[Interface, ...]) -> str:
    if not network.dns:
        return "names are served on the network, or they are not: leave --no-dns out"
    if network.internal:
        return "an internal network asks nobody, so it needs nobody to ask"
    if len(network.dns_servers) > _MOST:
        return f"there are more than {_MOST} of them, and nobody asks a fourth"
    for server in network.dns_servers:
        if server.is_link_local or not server.value:
            return f"{server} is no address that the host could ask"
    served = served_network(network)
    if served is None:
        return "no subnet of it has a gateway, where names could be asked for"
    if not network.managed:
        own = [address.address for address in bears]
        for gateway in served.gateways:
            if gateway not in own:
                return (
                    f"names would be served at {gateway}, which is no address of the host's"
                    f" on {network.device}"
                )
    return ""


def _why_ours(network: Network, others: tuple[Network, ...]) -> str:
    """Tell of a resolver that is ours, at a gateway: each question might go round for ever."""
    for other in (network, *others):
        served = served_network(other)
        for server in network.dns_servers:
            if served and server in served.gateways:
                whose = "the network's own" if other is network else f"{other.name}'s"
                return f"{server} is {whose} name server, which answers who is on it alone"
    return ""

"""Whether the names of a new network are served, and whom their server asks: its wishes, judged."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.plan.serving import served_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.model.network import Network

_MOST = 3  # MAXNS of glibc's resolv.h: nobody asks a fourth


def check_dns(network: Network, bears: tuple[Interface, ...]) -> None:
    """Refuse resolvers that nobody would ask.

    Args:
        network: as it is to be defined.
        bears: the host's addresses on an adopted bridge.

    Raises:
        RequestError: they can't be had; says why.
    """
    if network.dns_servers:
        why = _why_not(network, bears)
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

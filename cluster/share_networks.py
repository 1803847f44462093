"""The networks whose subnet is this host's share: who is on them, and whether they take new ones.

They are networks as any other. Which are the cluster's is told by their subnets alone, so nothing
has to be kept in step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.errors import ConflictError, OcinetError, RequestError
from ocinet.cluster.model import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Subnet
    from ocinet.cluster.model import Cluster, Mine
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.network import Network

CLOSED = "cluster: "  # what our reasons begin with: others' are none of ours to take back


def on_shares(engine: Engine, shares: Iterable[Subnet]) -> tuple[Network, ...]:
    """Return the networks that have a subnet within one of these shares."""
    wanted = tuple(shares)
    return tuple(
        network
        for network in engine.networks.readable()
        if any(pool.subnet.overlaps(share) for pool in network.pools for share in wanted)
    )


def close(engine: Engine, shares: Iterable[Subnet], why: str) -> tuple[str, ...]:
    """Have them take no new containers, for a reason; "" has them take some again.

    Returns:
        The names of those that it was otherwise of.

    Raises:
        OcinetError: a definition can't be written.
    """
    changed = []
    for network in on_shares(engine, shares):
        if network.closed and not network.closed.startswith(CLOSED):
            continue
        if engine.networks.close(network.name, CLOSED + why if why else ""):
            changed.append(network.name)
    return tuple(changed)


def users(engine: Engine, shares: Iterable[Subnet]) -> dict[str, tuple[str, ...]]:
    """Return who is on them, by the networks' names."""
    found = {net.name: engine.networks.users(net.name) for net in on_shares(engine, shares)}
    return {name: names for name, names in found.items() if names}


def check_apart(engine: Engine, cluster: Cluster) -> None:
    """Refuse a cluster whose pools hold what a network of this host's has already.

    Raises:
        ConflictError: names the network.
    """
    for network in engine.networks.readable():
        for pool in cluster.pools:
            for subnet in (own.subnet for own in network.pools):
                if subnet.overlaps(pool.prefix):
                    why = f"network {network.name} has {subnet}, which is of the pool {pool.prefix}"
                    raise ConflictError("", why, f"ocinet network rm {network.name}")


def subnets_for(mine: Mine, wanted: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
    """Return the subnets of a new network of a cluster's: all of the shares, or what is wished.

    Raises:
        RequestError: what is wished is no part of a share, or this host is without containers.
    """
    shares, name = mine.shares, mine.cluster.name
    if CONTAINERS not in mine.host.roles:
        why = f"this host joined cluster {name} without containers"
        raise RequestError("", why, f"ocinet cluster leave {name}, and join it with them")
    for subnet in wanted:
        if not any(
            share.overlaps(subnet) and share.prefixlen <= subnet.prefixlen for share in shares
        ):
            known = ", ".join(map(str, shares))
            raise RequestError("", f"{subnet} is no part of this host's share, {known}")
    return wanted or shares


def remove_empty(engine: Engine, shares: Iterable[Subnet]) -> tuple[str, ...]:
    """Remove those that nobody is on; return the names of those that stay.

    Raises:
        OcinetError: one can't be removed.
    """
    stay = []
    for network in on_shares(engine, shares):
        try:
            engine.networks.remove(network.name)
        except ConflictError:
            stay.append(network.name)
        except OcinetError as error:
            raise error.within(f"cannot remove network {network.name}") from error
    return tuple(stay)

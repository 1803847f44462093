"""Creating a network: look around, decide, keep.

Under the global lock, so two that run at once never choose the same subnet or
device. Not on the hook's path, but for the one time that the default network is
chosen.
"""

from __future__ import annotations

import os
from _blake2 import blake2s
from typing import TYPE_CHECKING, Protocol

from ocinet.base.address import Subnet
from ocinet.base.clock import now
from ocinet.base.names import check_ifname, check_network
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.plan.new_network import Device, NetworkOptions, Surroundings, define, device_of

if TYPE_CHECKING:
    from ocinet.engine.records.networks import NetworkStore


class Host(Protocol):
    """What has to be known of the host."""

    def occupied(self) -> tuple[Subnet, ...]:
        """Return the subnets of all its routes and addresses."""

    def device(self, ifname: str) -> Device | None:
        """Return one of its links, or None."""


class KernelHost:
    """The host as its kernel tells it."""

    def occupied(self) -> tuple[Subnet, ...]:
        """Return the subnets of all its routes and addresses."""
        from ocinet.engine.kernel.bridge import occupied_subnets  # brings pyroute2 along

        return occupied_subnets()

    def device(self, ifname: str) -> Device | None:
        """Return one of its links, or None."""
        from ocinet.engine.kernel.links import Links
        from ocinet.engine.model.link import is_our_group

        with Links() as links:
            link = links.link(ifname)
            if link is None:
                return None
            return Device(link.kind, is_our_group(link.group), links.addresses(link.ifindex))


def create(
    store: NetworkStore, name: str, options: NetworkOptions, *, ignore: bool = False
) -> Network:
    """Define a network and keep it.

    Args:
        store: where it is kept; knows the settings and the host.
        name: of the network.
        options: what is wished of it.
        ignore: return one of that name as it is, instead of failing.

    Raises:
        RequestError: a wish is malformed or impossible.
        ConflictError: name, subnet or device are another one's, which is named.
        ExhaustedError: the settings' pools have no free subnet left.
        BusyError: the global lock was not had in time.

    Effects:
        A file in `CONFIG/networks`. The bridge is made when it is first needed.
    """
    check_network(name)
    host = store.host or KernelHost()
    with store.lock():
        if ignore:
            there = store.find(name)
            if there is not None:
                return there
        surroundings = Surroundings(
            networks=store.all(),
            occupied=host.occupied(),
            device=host.device(check_ifname(options.device or device_of(name))),
            pools=_with_unique_local(store.settings.pools),
            ipv6=store.settings.ipv6,
        )
        network = define(name, options, surroundings).replace(created=now())
        store.add(network)
    return network


def define_default(store: NetworkStore) -> Network:
    """Define the network `bridge` by the settings, unless it is there by now."""
    return create(store, DEFAULT_NETWORK, NetworkOptions(), ignore=True)


def _with_unique_local(pools: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
    """Add this machine's unique local /48 (RFC 4193) where no IPv6 pool is set.

    Its 40 bits are a hash of the machine's id, which must not be shown itself
    (machine-id(5)): the same on each call, and another one on each machine.
    """
    if any(pool.family == 6 for pool in pools):
        return pools
    try:
        with open("/etc/machine-id", "rb") as file:
            seed = file.read().strip()
    except OSError:
        seed = b""
    global_id = blake2s(seed or os.urandom(16), digest_size=5, person=b"ocinet").digest()
    return (*pools, Subnet(6, int.from_bytes(b"\xfd" + global_id, "big") << 80, 48))

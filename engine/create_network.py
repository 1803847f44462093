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
from ocinet.base.errors import ConflictError
from ocinet.base.names import check_ifname, check_network
from ocinet.engine.model.link import is_our_group
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.plan.driver import driver_of
from ocinet.engine.plan.free_subnet import route_around
from ocinet.engine.plan.new_network import Device, NetworkOptions, Surroundings, device_of
from ocinet.engine.strays import Strays

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.lock import Lock
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Networks, Records


class HostFacts(Protocol):
    """What has to be known of the host."""

    def occupied(self) -> tuple[Subnet, ...]:
        """Return the subnets that it has for itself."""

    def routed(self) -> tuple[Subnet, ...]:
        """Return the subnets that its main table sends elsewhere, or nowhere."""

    def device(self, ifname: str) -> Device | None:
        """Return one of its links, or None."""

    def parent(self, ifname: str) -> Device | None:
        """Return one of its links as it is to be shared by containers, or None."""

    def uplink(self) -> str:
        """Return the link of its default route, or ""."""

    def linked(self) -> tuple[Cable, ...]:
        """Return the links between two of its containers, whose subnets are taken."""


class KernelFacts:
    """The host as its kernel tells it.

    Args:
        machine: whose links and bridges are asked.
        records: of what is defined.
    """

    def __init__(self, machine: Machine, records: Records) -> None:
        self._machine = machine
        self._records = records

    def occupied(self) -> tuple[Subnet, ...]:
        """Return the subnets that it has for itself."""
        return self._machine.bridges.occupied_subnets()

    def routed(self) -> tuple[Subnet, ...]:
        """Return the subnets that its main table sends elsewhere, or nowhere."""
        return self._machine.bridges.routed_subnets()

    def device(self, ifname: str) -> Device | None:
        """Return one of its links, or None."""
        link = self._machine.links.link(ifname)
        if link is None:
            return None
        addresses = self._machine.links.addresses(link.ifindex)
        return Device(link.kind, is_our_group(link.group), addresses)

    def parent(self, ifname: str) -> Device | None:
        """Return one of its links as it is to be shared by containers, or None."""
        found = self._machine.lan.parent(ifname)
        if found is None:
            return None
        ours = is_our_group(found.link.group)
        mtu = found.link.mtu
        return Device(found.link.kind, ours, found.addresses, found.why_not, found.hint, mtu)

    def uplink(self) -> str:
        """Return the link of its default route, or ""."""
        return self._machine.bridges.uplink()

    def linked(self) -> tuple[Cable, ...]:
        """Return the links between two of its containers, or raise if one can't be read."""
        return self._records.cables().all()


class CreateNetwork:
    """Defines networks, and keeps them.

    Args:
        networks: where they are kept.
        host: what they must get along with.
        settings: what is chosen by, where a wish says nothing.
        lock: the global one; taken around each choice.
        warn: told what a choice costs.
        clear: removes what is left of a former network, by the name of the new one.
    """

    def __init__(
        self,
        networks: Networks,
        host: HostFacts,
        settings: Settings,
        lock: Lock,
        warn: Callable[[str], None],
        clear: Callable[[str], None],
    ) -> None:
        self._networks = networks
        self._host = host
        self._settings = settings
        self._lock = lock
        self._warn = warn
        self._clear = clear

    @classmethod
    def on(cls, machine: Machine, operation: Operation, records: Records) -> CreateNetwork:
        """Return what creates networks on a machine.

        Raises:
            OcinetError: the settings can't be read, by which they are chosen.
        """
        operation.check_settings()
        lock = operation.locks.shared("the networks")
        facts, warn = KernelFacts(machine, records), machine.warnings.append
        clear = Strays(operation, machine, records).clear
        return cls(records.networks, facts, operation.settings, lock, warn, clear)

    def create(self, name: str, options: NetworkOptions, *, ignore: bool = False) -> Network:
        """Define a network and keep it.

        Args:
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
        with self._lock:
            # Under the lock: of the first two containers of all, one defines the default network.
            known = self._networks.find(name) if ignore else None
            if known is not None:
                return known
            linked = self._host.linked()
            _check_links(options, linked)
            surroundings = Surroundings(
                # All, or an error: one that can't be read may have any subnet.
                networks=self._networks.all(),
                occupied=(*self._host.occupied(), *_subnets(linked)),
                routed=self._host.routed(),
                device=self._device(name, options),
                uplink=self._host.uplink() if options.driver != "bridge" else "",
                pools=with_unique_local(self._settings.pools),
                ipv6=self._settings.ipv6,
            )
            driver = driver_of(options.driver)
            network = driver.define(name, options, surroundings).replace(created=now())
            # A removal that was killed leaves addresses that are kept for names, and subnets in
            # the firewall: none of it is meant for this one.
            self._clear(name)
            self._networks.add(network)
        if network.managed:
            self._warn_of_routes(network, surroundings)
        if network.is_lan and not any(pool.gateway for pool in network.pools):
            subnets = ", ".join(str(pool.subnet) for pool in network.pools)
            self._warn(
                f"its containers get no way out of {subnets}: say --gateway, the LAN's router"
            )
        return network

    def _device(self, name: str, options: NetworkOptions) -> Device | None:
        """Return the link that has the bridge's name, or is to be the parent."""
        if options.driver != "bridge":
            return self._host.parent(check_ifname(options.parent)) if options.parent else None
        return self._host.device(check_ifname(options.device or device_of(name)))

    def _warn_of_routes(self, network: Network, surroundings: Surroundings) -> None:
        for pool in network.pools:
            route = route_around(pool.subnet, surroundings.routed)
            if route:
                self._warn(
                    f"{pool.subnet} of network {network.name} lies within {route}, which the "
                    "host routes elsewhere: what that route leads to in there is not reached"
                )

    def default(self) -> Network:
        """Define the network `bridge` by the settings, unless it is there by now."""
        return self.create(DEFAULT_NETWORK, NetworkOptions(), ignore=True)


def _subnets(linked: tuple[Cable, ...]) -> list[Subnet]:
    return [subnet for cable in linked for subnet in cable.subnets]


def _check_links(options: NetworkOptions, linked: tuple[Cable, ...]) -> None:
    """Refuse a subnet that a link between two containers has.

    Raises:
        ConflictError: it names the link.
    """
    for subnet in options.subnets:
        for cable in linked:
            for other in cable.subnets:
                if subnet.overlaps(other):
                    why = f"{subnet} overlaps {other} of the link {cable.name}"
                    hint = f"ocinet link rm {cable.name}, or another --subnet"
                    raise ConflictError("", why, hint)


def with_unique_local(pools: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
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
    # Where there is no id, a network is still kept as it was made: random is good enough.
    global_id = blake2s(seed or os.urandom(16), digest_size=5, person=b"ocinet").digest()
    return (*pools, Subnet(6, int.from_bytes(b"\xfd" + global_id, "big") << 80, 48))

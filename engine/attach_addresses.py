"""The addresses of one attach: allocated, and none that somebody else on the bridge bears."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.link import is_host_ifname
from ocinet.engine.plan.endpoint import Grant, host_ifname
from ocinet.ipam.lease import Holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.base.address import Address
    from ocinet.engine.adopted import Adopted
    from ocinet.engine.journal import Journal
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState
    from ocinet.engine.model.request import EndpointRequest
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records
    from ocinet.ipam.lease import Lease


class AttachAddresses:
    """Allocates for one container, once for each network.

    Args:
        operation: by whose time and log it goes.
        machine: with the sandbox.
        records: what there is.
        container: whose addresses they are to be.
        journal: takes back what was allocated.
        former: the record of an earlier life, whose addresses are had again where they are
            free still.
    """

    def __init__(
        self,
        operation: Operation,
        machine: Machine,
        records: Records,
        container: Container,
        journal: Journal,
        former: Attachment | None = None,
    ) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._container = container
        self._journal = journal
        self._former = former
        self._adopted: list[Adopted] = []

    def allocate(self, wish: EndpointRequest, network: Network, state: DeviceState) -> Grant:
        """Allocate a wish's addresses."""
        container, identity = self._container, self._machine.sandbox.identity
        holder = Holder(
            container=container.id,
            ifname=wish.ifname,
            sandbox=identity,
            # Told before there is such a link: as long as it is there, its address is not free.
            host_ifname=host_ifname(container.id, wish.ifname, identity),
            process=container.process,
            boot_id=self._operation.boot_id,
            name=container.name,
        )
        leases = self._lease(wish, network, holder, state)
        grant = Grant(
            container_id=container.id,
            sandbox=identity,
            addresses=tuple(lease.address for lease in leases),
            mtu=state.mtu,
            mac=self._records.leases.reserved_mac(network.name, container.name),
        )
        if network.mode == "passthru" and state.link:  # whatever is wished or kept
            return grant.replace(mac=state.link.mac)
        return grant

    def _lease(
        self, wish: EndpointRequest, network: Network, holder: Holder, state: DeviceState
    ) -> tuple[Lease, ...]:
        """Allocate a wish's addresses; on an adopted bridge, none that others use."""
        store, pools = self._records.leases, network.pools
        former: tuple[Address, ...] = ()
        if self._former:
            from ocinet.engine.former import addresses_again  # few come back to a shared sandbox

            kept = self._records.reservations.names(network.name)
            former = addresses_again(self._former, wish, network, kept)

        def allocate(taken: Mapping[Address, str]) -> tuple[Lease, ...]:
            name = self._container.name
            wanted = wish.addresses + former
            try:
                leases = store.allocate(network.name, pools, wanted, holder, name, taken)
            except OcinetError:
                if not former:
                    raise
                leases = store.allocate(network.name, pools, wish.addresses, holder, name, taken)
            # Not merely released: what nobody has used is next again, after a plan as well.
            self._journal.push(store.give_back, network.name, pools, leases)
            return leases

        # Not the gateway alone: a bridge bears whatever addresses people have given it, and so
        # do other links, with /32 where a service is to be found by all.
        borne = self._machine.links.addresses(0)
        own = {interface.address: "the host's own address" for interface in borne}
        ports = self._strangers(network, state) if network.managed else ()
        if network.managed and not ports:
            return allocate(own)
        from ocinet.engine.adopted import Adopted, segment_of

        if network.is_lan:
            from ocinet.engine.lan_ends import had_beside

            own.update(dict.fromkeys(network.host_access, "the host's own address"))
            own.update(had_beside(self._records, network))
        segment, waits_s = segment_of(self._machine, network, state, ports)
        adopted = Adopted(self._operation, self._records, network, segment, waits_s)
        self._adopted.append(adopted)
        return adopted.allocate(own, allocate)

    def _strangers(self, network: Network, state: DeviceState) -> tuple[str, ...]:
        """Return the ports of our own bridge that may lead to an address that we did not give."""
        if state.link is None or not state.link.running:
            return ()
        names = self._machine.bridge_filters.port_names(state.link)
        # From behind a port of ours that is guarded nobody answers for any other address.
        return tuple(name for name in names if not (network.guard and is_host_ifname(name)))

    def close(self) -> None:
        """Close the sockets that asked who else is there; it waits 16 ms for the kernel."""
        for adopted in self._adopted:
            adopted.close()

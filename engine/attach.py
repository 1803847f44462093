"""One attach as one transaction: allocate, record, plan, apply; or all undone.

The way of a request:

    read       what of it is not there yet, on which networks
    validate   what can't be is refused before the first change
    observe    the host as it is
    allocate   addresses, and claim host ports
    plan       one pure call: the record and the steps
    record     written before the kernel is touched, marked `attaching`, so that
               whatever a kill leaves behind can be taken down from it
    do         the steps; then the record once more, as attached
"""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import NotFoundError, RequestError
from ocinet.engine.journal import Journal
from ocinet.engine.model.attachment import ATTACHED, ATTACHING, Attachment
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.observe import is_still_so, observe
from ocinet.engine.passing import Passing
from ocinet.engine.plan.endpoint import check_mtu, check_request, derive_mac
from ocinet.engine.plan.wiring import (
    Granted,
    check_host_ends,
    check_publish,
    check_quotas,
    missing,
    plan_wiring,
    resolution_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.base.address import Address
    from ocinet.engine.adopted import Adopted
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState, Observed
    from ocinet.engine.model.request import EndpointRequest, Publish, Request
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.plan.wiring import Missing, Wiring
    from ocinet.engine.storage import Networks, Records
    from ocinet.ipam.lease import Lease


class Attach:
    """The wiring of one sandbox, or of more of it. Needs its container's lock.

    Args:
        operation: by whose time, settings, locks and log it goes.
        machine: with the sandbox, which is not the host's.
        records: what there is, and where it is noted.
        container: whose sandbox it is.
        known: the record of what is wired already, or None.
    """

    def __init__(
        self,
        operation: Operation,
        machine: Machine,
        records: Records,
        container: Container,
        known: Attachment | None,
    ) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._container = container
        self._known = known
        self._before = known or Attachment(
            container=container,
            mode="none",
            state=ATTACHED,
            sandbox=self._sandbox.identity,
            boot_id=operation.boot_id,
            time=now(),
            path="" if container.process else self._sandbox.path,
        )
        self._journal = Journal(operation, machine, records.attachments, container.id)
        self._networks: tuple[Network, ...] = ()  # the missing endpoints', and the ports'
        self._adopted: list[Adopted] = []

    @property
    def _sandbox(self) -> seams.Sandbox:
        return self._machine.sandbox

    def run(self, request: Request) -> Attachment:
        """Wire what the request has that is not there yet, and return the new record.

        Raises:
            OcinetError: it can't be done; everything is as it was.
        """
        try:
            granted, observed = self._grant(request)
            wiring = self._plan(granted, observed)  # what can't be, is told before any record
            self._record(wiring.record)
            self._check_networks()
            # From here on the record keeps others from undoing what it needs. Before, they
            # may have.
            if not is_still_so(self._machine, observed):
                wiring = self._plan(granted, self._observe())
            self._journal.apply(wiring.steps)
            record = self._with_ifindexes(wiring.record)
            self._records.attachments.put(record)
        except (Exception, KeyboardInterrupt):  # not a StrandedError: see `sandbox`
            self._journal.undo()
            raise
        finally:
            self._close()
        self._log_warnings()
        return record

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be done but is not needed, or is up to the operator."""
        return tuple(self._machine.warnings)

    def plan(self, request: Request) -> tuple[Step, ...]:
        """Return the steps that `run` would do, having done nothing.

        Raises:
            OcinetError: as `run` would before its first step.
        """
        try:
            return self._plan(*self._grant(request)).steps
        finally:
            self._journal.undo()
            self._close()

    def _grant(self, request: Request) -> tuple[Granted, Observed]:
        """Read, validate, observe, allocate and claim."""
        lacking = missing(request, self._before)
        networks = tuple(self._network(wish.network) for wish in lacking.endpoints)
        check_request(
            request.replace(endpoints=lacking.endpoints, publish=lacking.publish), networks
        )
        of_before = self._before.endpoints if lacking.publish else ()
        others = tuple(self._network(endpoint.network) for endpoint in of_before)
        self._networks = tuple(dict.fromkeys((*networks, *others)))
        observed = self._observe()
        internal = tuple(network.name for network in self._networks if network.internal)
        granted = self._named(lacking).replace(networks=networks, internal=internal)
        granted = granted.replace(
            grants=tuple(
                self._allocate(wish, network, observed.device(network.device))
                for wish, network in zip(lacking.endpoints, networks, strict=True)
            )
        )
        return granted.replace(publish=self._claim(granted)), observed

    def _network(self, name: str) -> Network:
        return network_of(name, self._operation, self._machine, self._records.networks)

    def _observe(self) -> Observed:
        boot_id, records = self._operation.boot_id, self._records
        return observe(self._machine, self._networks, lambda: recorded(records, boot_id))

    def _named(self, lacking: Missing) -> Granted:
        """Return where the sandbox is reached: by a name, if it has a process to show."""
        container, before = self._container, self._before
        name = before.netns_name
        if not name and container.process:
            name = self._machine.names.choose(container.name, container.id, container.process)
        return Granted(
            container=container,
            netns=name or self._sandbox.path,
            name_sandbox=bool(name and not before.netns_name),
            before=before,
            missing=lacking,
        )

    def _plan(self, granted: Granted, observed: Observed) -> Wiring:
        return plan_wiring(granted, observed, self._operation.settings)

    def _record(self, record: Attachment) -> None:
        """Write the record as attaching, with how much of it was there before."""
        attachments = self._records.attachments
        attachments.put(
            record.replace(
                state=ATTACHING,
                done_endpoints=len(self._before.endpoints),
                done_ports=len(self._before.ports),
            )
        )
        if self._known:
            self._journal.push(attachments.put, self._known)
        else:
            self._journal.push(attachments.remove, self._container.id)

    def _close(self) -> None:
        if self._addresses:
            self._addresses.close()

    def _claim(self, granted: Granted) -> tuple[Publish, ...]:
        """Claim host ports for the container, and return them as they were chosen."""
        publishes = granted.missing.publish
        if not publishes:
            return ()
        check_publish(granted)
        if any(publish.host_address for publish in publishes):
            from ocinet.engine.attach_checks import check_host_addresses

            check_host_addresses(publishes, self._machine)
        container, ports = self._container, self._records.ports
        addresses = (
            interface.address for endpoint in granted.endpoints for interface in endpoint.addresses
        )
        families = tuple(sorted({address.family for address in addresses}))
        claimed = ports.claim(container.id, container.name, publishes, families=families)
        self._journal.push(ports.release, container.id, claimed)
        return claimed

    def _chosen_macs(self, record: Attachment) -> tuple[Endpoint, ...]:
        """Return the new endpoints whose MACs do not go with an address, so may be another's."""
        new = record.endpoints[len(self._before.endpoints) :]
        return tuple(
            endpoint
            for endpoint in new
            if endpoint.mac not in [derive_mac(held.address) for held in endpoint.addresses]
        )

    def _check_networks(self) -> None:
        """Refuse to go on if a network was removed while it was allocated from.

        The removal takes the definition away first and then looks for records,
        so one of the two sees the other.
        """
        for network in self._networks:
            if self._records.networks.find(network.name) != network:
                raise NotFoundError(
                    "",
                    f"the network {network.name} was just removed",
                    f"ocinet network create {network.name}",
                )

    def _log_warnings(self) -> None:
        for warning in self.warnings:
            self._operation.log.append(
                "attached with a warning",
                container=self._container.id,
                name=self._container.name,
                warning=warning,
            )

    def _with_ifindexes(self, record: Attachment) -> Attachment:
        made = self._machine.pairs
        return record.replace(
            endpoints=tuple(
                endpoint.replace(host_ifindex=made[endpoint.host_ifname].host_ifindex)
                if endpoint.host_ifname in made
                else endpoint
                for endpoint in record.endpoints
            )
        )


def network_of(name: str, operation: Operation, machine: Machine, networks: Networks) -> Network:
    """Return a network that something is to be wired to.

    Raises:
        NotFoundError: it is not defined; tells the nearest names.

    Effects:
        Defines the default network when it is wanted for the first time.
    """
    networks = records.networks
    if name == DEFAULT_NETWORK and networks.find(name) is None:
        from ocinet.engine.create_network import CreateNetwork  # once in a machine's life

        return CreateNetwork.on(machine, operation, records).default()
    return networks.get(name)

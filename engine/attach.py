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
from ocinet.engine.astray import tell_astray
from ocinet.engine.attach_addresses import AttachAddresses
from ocinet.engine.attach_names import AttachNames
from ocinet.engine.journal import Journal
from ocinet.engine.model.attachment import ATTACHED, ATTACHING, Attachment
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.observe import is_still_so, observe
from ocinet.engine.passing import Passing
from ocinet.engine.plan.endpoint import check_mtu, check_request, derive_mac
from ocinet.engine.plan.wiring import (
    Granted,
    access_of,
    changed_bandwidths,
    check_drivers,
    check_host_ends,
    check_publish,
    check_quotas,
    missing,
    plan_wiring,
    resolution_begun,
    resolution_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import Observed
    from ocinet.engine.model.request import Publish, Request
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.plan.wiring import Missing, Wiring
    from ocinet.engine.storage import Records

_CHANGED = "a chain, rule or set of the table inet ocinet has been changed"


class Attach:
    """The wiring of one sandbox, or of more of it. Needs its container's lock.

    Args:
        operation: by whose time, settings, locks and log it goes.
        machine: with the sandbox, which is not the host's.
        records: what there is, and where it is noted.
        container: whose sandbox it is.
        known: the record of what is wired already, or None.
        rootfs: where the container's files are, if it has not entered them yet.
    """

    def __init__(
        self,
        operation: Operation,
        machine: Machine,
        records: Records,
        container: Container,
        known: Attachment | None,
        rootfs: Rootfs | None = None,
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
            # Where a process is followed, /proc/PID/ns/net leads to the sandbox again.
            path="" if container.process else self._sandbox.path,
        )
        if rootfs:
            self._before = self._before.replace(rootfs=rootfs.path)
        self._journal = Journal(operation, machine, records.attachments, container.id)
        self._networks: tuple[Network, ...] = ()  # the missing endpoints', and the ports'
        self._ports: tuple[int, ...] = ()  # of the host, that others' firewalls may ask for
        self._addresses: AttachAddresses | None = None
        self._former: Attachment | None = None
        self._names = AttachNames(operation, machine, records, self._journal, self._before, rootfs)

    @property
    def _sandbox(self) -> seams.Sandbox:
        return self._machine.sandbox

    def run(self, request: Request, former: Attachment | None = None) -> Attachment:
        """Wire what the request has that is not there yet, and return the new record.

        Args:
            request: what is asked for.
            former: the record of an earlier life, whose addresses and ports are had if free.

        Raises:
            OcinetError: it can't be done; everything is as it was.
        """
        self._former = former
        try:
            granted, observed = self._grant(request)
            wiring = self._plan(granted, observed)  # what can't be, is told before any record
            self._record(wiring.record)
            self._check_networks()
            if chosen := self._chosen_macs(wiring.record):
                from ocinet.engine.attach_checks import check_macs

                check_macs(chosen, self._container, observed, self._operation, self._machine,
                           self._records)  # fmt: skip
            # From here on the record keeps others from undoing what it needs; before, nothing did.
            if not is_still_so(self._machine, self._networks, observed):
                observed = self._observe()
                wiring = self._plan(granted, observed)
            # A kill from here on leaves `attaching`: whoever comes next undoes what is on record.
            self._journal.push(self._leave_uplinks, wiring.record)
            self._journal.apply(wiring.steps)
            wiring = self._names.tell_container(wiring)
            self._open_access(wiring.record)
            self._mend_followers(observed)
            # The kernel has chosen the indexes by now. A host end's name may come again with a
            # sandbox's inode number; its index tells that it is another link (`Liveness.is_of`).
            record = self._machine.with_indexes(wiring.record)
            record = record.replace(unnamed=self._machine.unnamed, left_behind=self._left_behind)
            self._records.attachments.put(record)
            self._names.tell_others(record)
            passing = Passing(self._machine, self._records.passages, observed.firewall.generation)
            passing.attached(observed.devices, opened=len(granted.publish) > 0)
            tell_astray(self._machine, self._networks, record.endpoints)
        except (Exception, KeyboardInterrupt):  # not a StrandedError: see `sandbox`
            self._journal.undo()
            raise
        finally:
            # Only now: closing a packet socket waits 16 ms in the kernel (`probe.Segment`).
            self._close()
        if any(endpoint.egress for endpoint in record.endpoints):
            from ocinet.engine.attach_checks import tell_egress

            tell_egress(record, self._operation, self._machine, self._records)
        self._operation.tell_warnings(self._container, self.warnings)
        self._names.tell_unserved()
        return record

    def _leave_uplinks(self, record: Attachment) -> None:
        if any(endpoint.egress for endpoint in record.endpoints):
            from ocinet.engine.source_routing import follow_uplinks

            follow_uplinks(self._operation, self._machine, self._records, record.endpoints)

    def _open_access(self, record: Attachment) -> None:
        """Have others talk to the container, and it to others, as is said by now."""
        if record.access is None:
            return
        from ocinet.engine.access import Access  # for the few that have to do with it

        access = Access(self._records, self._container.id)
        access.open(self._before, record, self._journal, self._machine.warnings)

    def _access_steps(self, record: Attachment) -> tuple[Step, ...]:
        if record.access is None:
            return ()
        from ocinet.engine.access import Access

        return Access(self._records, self._container.id).change(self._before, record)

    def _mend_followers(self, observed: Observed) -> None:
        """Have others' host ends follow, if a bridge that they were on had to be made anew.

        What was mended of the table, the steps have mended.
        """
        if observed.firewall.changed:
            self._operation.log.append("repaired", what=_CHANGED, kinds=["table"])
        if all(state.link for state in observed.devices):
            return
        from ocinet.engine.mend import mend_followers  # the first of a boot, or a mishap

        mend_followers(self._operation, self._machine, self._records, self._networks, observed)

    @property
    def _left_behind(self) -> tuple[str, ...]:
        """Who was with it in its earlier life, and is not in this sandbox."""
        former = self._former
        return tuple(member.id for member in former.members) if former else self._before.left_behind

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
            # Leases and claims are really taken: what an attach would get, the stores alone decide.
            wiring = self._plan(*self._grant(request))
            steps = (*wiring.steps, *self._names.steps(wiring.record))
            return (*steps, *self._access_steps(wiring.record))
        finally:
            self._journal.undo()
            self._close()

    def _grant(self, request: Request) -> tuple[Granted, Observed]:
        """Read, validate, observe, allocate and claim."""
        lacking = missing(request, self._before)
        check_quotas(lacking, self._before, self._operation.settings)
        networks = tuple(self._network(wish.network) for wish in lacking.endpoints)
        check_request(
            request.replace(endpoints=lacking.endpoints, publish=lacking.publish), networks
        )
        # New ports may lead to endpoints of before: whether their bridges route 127.0.0.1, and
        # whether their networks are internal, has to be known, too.
        of_before = self._before.endpoints if lacking.publish else ()
        if of_before:
            check_host_ends(self._before, self._machine.host_ends(self._before))
        others = tuple(self._network(endpoint.network) for endpoint in of_before)
        self._networks = tuple(dict.fromkeys((*networks, *others)))
        self._ports = tuple(
            publish.host_port
            for publish in lacking.publish
            if publish.protocol == "tcp"
            and not (publish.host_address and publish.host_address.is_loopback)
        )
        observed = self._observe()
        internal = tuple(net.name for net in self._networks if net.internal or net.is_lan)
        granted = self._named(lacking).replace(
            networks=networks,
            internal=internal,
            resolution=resolution_of(request, self._before),
            access=access_of(request, self._before, networks),
            bandwidths=changed_bandwidths(request, self._before),
        )
        on_lan = (end.network for end in self._before.endpoints if not end.host_ifname)
        check_drivers(granted, tuple(map(self._network, on_lan)))
        for wish, network in zip(lacking.endpoints, networks, strict=True):
            check_mtu(wish, network, observed.device(network.device).mtu)
            if wish.gateway or wish.routes:
                from ocinet.engine.attach_checks import tell_led

                tell_led(wish, self._machine, self._records)
        self._addresses = AttachAddresses(
            self._operation, self._machine, self._records, self._container, self._journal,
            self._former,
        )  # fmt: skip
        granted = granted.replace(
            grants=tuple(
                self._addresses.allocate(wish, network, observed.device(network.device))
                for wish, network in zip(lacking.endpoints, networks, strict=True)
            )
        )
        if any(wish.sysctls for wish in lacking.endpoints):
            from ocinet.engine.inside_sysctls import with_sysctls  # for the few that ask

            granted = with_sysctls(self._machine, granted)
        return granted.replace(publish=self._claim(granted)), observed

    def _network(self, name: str) -> Network:
        return network_of(name, self._operation, self._machine, self._records)

    def _observe(self) -> Observed:
        return observe(
            self._machine, self._networks, self._records, self._operation.boot_id, self._ports
        )

    def _named(self, lacking: Missing) -> Granted:
        """Return where the sandbox is reached: by a name, if it has a process to show."""
        container, before = self._container, self._before
        # One that is there stays for the record's life: `ip netns exec` knows it, whatever name the
        # container has by now.
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
        wiring = plan_wiring(granted, observed, self._operation.settings)
        return self._names.served(wiring, self._networks)

    def _record(self, record: Attachment) -> None:
        """Write the record as attaching, with how much of it was there before."""
        attachments = self._records.attachments
        attachments.put(
            record.replace(
                state=ATTACHING,
                done_endpoints=len(self._before.endpoints),
                done_ports=len(self._before.ports),
                resolution=resolution_begun(record, self._before),
            )
        )
        self._names.recorded(record)
        # Undone after the steps and before addresses and ports: as in `Detach.take_down`, no
        # address is free while a link bears it, and no link is there without a record.
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
        # Of another family nothing is redirected: a socket that listens there stays as it is, and
        # is in nobody's way.
        families = tuple(sorted({address.family for address in addresses}))
        again = publishes
        if self._former:
            from ocinet.engine.former import ports_again

            again = ports_again(self._former, publishes)
        try:
            claimed = ports.claim(container.id, container.name, again, families=families)
        except RequestError:
            if again == publishes:
                raise
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
            # Not only whether there is one: it may have been made anew, with other subnets.
            if self._records.networks.find(network.name) != network:
                raise NotFoundError(
                    "",
                    f"the network {network.name} was just removed",
                    f"ocinet network create {network.name}",
                )


def network_of(name: str, operation: Operation, machine: Machine, records: Records) -> Network:
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

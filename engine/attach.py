"""One attach as one transaction: allocate, record, plan, apply; or all undone.

What can be wrong with a request is found before the first change. The record
is written before the kernel is touched, marked `attaching`, so that whatever a
kill leaves behind can be taken down from it.
"""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.engine.journal import Journal
from ocinet.engine.model.attachment import ATTACHED, ATTACHING, Attachment, Member
from ocinet.engine.model.endpoint import Endpoint, targets_of
from ocinet.engine.observe import is_still_so, observe
from ocinet.engine.plan.attach import Wanted, plan_attach
from ocinet.engine.plan.endpoint import (
    Grant,
    assign_ifnames,
    check_request,
    host_ifname,
    make_endpoint,
)
from ocinet.engine.plan.ports import check_ports, make_ports
from ocinet.ipam.lease import Holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.base.address import Address
    from ocinet.engine.adopted import Adopted
    from ocinet.engine.assembly import Parts
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState, Observed
    from ocinet.engine.model.request import EndpointRequest, Publish, Request
    from ocinet.engine.plan.seams import Sandbox
    from ocinet.engine.plan.steps import Step
    from ocinet.ipam.lease import Lease


class Attach:
    """The wiring of one sandbox, or of more of it. Needs its container's lock.

    Args:
        parts: of the engine.
        container: whose sandbox it is.
        sandbox: open, and not the host's.
        known: the record of what is wired already, or None.
    """

    def __init__(
        self, parts: Parts, container: Container, sandbox: Sandbox, known: Attachment | None
    ) -> None:
        self._parts = parts
        self._container = container
        self._sandbox = sandbox
        self._known = known
        self._before = known or Attachment(
            container=container,
            mode="none",
            state=ATTACHED,
            sandbox=sandbox.identity,
            boot_id=parts.boot_id,
            time=now(),
            path="" if container.process else sandbox.path,
        )
        self._machine = parts.machine(sandbox)
        self._journal = Journal(parts, self._machine, container.id)
        self._networks: tuple[Network, ...] = ()
        self._adopted: list[Adopted] = []

    def run(self, request: Request) -> Attachment:
        """Wire what the request has that is not there yet, and return the new record.

        Raises:
            OcinetError: it can't be done; everything is as it was.
        """
        try:
            record, wanted, observed = self._prepare(request)
            steps = self._plan(wanted, observed)  # what can't be, is told before any record
            self._record(record)
            self._check_networks()
            # From here on the record keeps others from undoing what it needs. Before, they
            # may have.
            if not is_still_so(self._parts, observed):
                steps = self._plan(wanted, observe(self._parts, self._networks))
            self._journal.apply(steps)
            record = self._with_ifindexes(record)
            self._parts.attachments.put(record)
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
            _record, wanted, observed = self._prepare(request)
            return self._plan(wanted, observed)
        finally:
            self._journal.undo()
            self._close()

    def _record(self, record: Attachment) -> None:
        """Write the record as attaching, with how much of it was there before."""
        self._parts.attachments.put(
            record.replace(
                state=ATTACHING,
                done_endpoints=len(self._before.endpoints),
                done_ports=len(self._before.ports),
            )
        )
        if self._known:
            self._journal.push(self._parts.attachments.put, self._known)
        else:
            self._journal.push(self._parts.attachments.remove, self._container.id)

    def _plan(self, wanted: Wanted, observed: Observed) -> tuple[Step, ...]:
        return plan_attach(wanted, observed, self._parts.settings)

    def _prepare(self, request: Request) -> tuple[Attachment, Wanted, Observed]:
        """Validate, observe, allocate and claim.

        Returns:
            The record, what is wanted, and the host as it was seen.
        """
        before = self._before
        wishes = assign_ifnames(
            _missing_endpoints(request, before), tuple(one.ifname for one in before.endpoints)
        )
        publishes = _missing_ports(request, before)
        _check_own_ports(publishes, before)
        networks = tuple(self._parts.networks.get(wish.network) for wish in wishes)
        check_request(request.replace(endpoints=wishes, publish=publishes), networks)
        others = tuple(
            self._parts.networks.get(one.network) for one in before.endpoints if publishes
        )
        self._networks = tuple(dict.fromkeys((*networks, *others)))
        observed = observe(self._parts, self._networks)
        endpoints = before.endpoints
        for wish, network in zip(wishes, networks, strict=True):
            endpoints = (*endpoints, self._endpoint(wish, network, endpoints, observed))
        internal = tuple(one.name for one in (*networks, *others) if one.internal)
        ports = self._claim(publishes, endpoints, internal)
        process = self._container.process
        name = before.netns_name
        if not name and process:
            name = self._parts.names.choose(self._container.name, self._container.id, process)
        wanted = Wanted(
            container=self._container,
            netns=name or self._sandbox.path,
            name_sandbox=bool(name and not before.netns_name),
            networks=tuple(dict.fromkeys(networks)),
            endpoints=endpoints[len(before.endpoints) :],
            ports=ports,
            reached=_reached(ports, endpoints),
        )
        record = before.replace(
            container=self._container,
            mode="bridge" if endpoints else "none",
            endpoints=endpoints,
            ports=(*before.ports, *ports),
            netns_name=name,
        )
        return record, wanted, observed

    def _endpoint(
        self,
        wish: EndpointRequest,
        network: Network,
        earlier: tuple[Endpoint, ...],
        observed: Observed,
    ) -> Endpoint:
        """Allocate a wish's addresses, and return the endpoint that it comes to."""
        parts, container = self._parts, self._container
        state = observed.device(network.device)
        holder = Holder(
            container=container.id,
            ifname=wish.ifname,
            sandbox=self._sandbox.identity,
            host_ifname=host_ifname(container.id, wish.ifname, self._sandbox.identity),
            process=container.process,
            boot_id=parts.boot_id,
            name=container.name,
        )
        leases = self._lease(wish, network, holder, state)
        routed = {
            route.destination.family
            for endpoint in earlier
            for route in endpoint.routes
            if not route.destination.prefixlen
        }
        grant = Grant(
            container_id=container.id,
            sandbox=self._sandbox.identity,
            addresses=tuple(lease.address for lease in leases),
            mtu=state.mtu,
            mac=parts.addresses.reserved_mac(network.name, container.name),
            default_for=tuple(family for family in (4, 6) if family not in routed),
        )
        return make_endpoint(wish, network, grant)

    def _lease(
        self, wish: EndpointRequest, network: Network, holder: Holder, state: DeviceState
    ) -> tuple[Lease, ...]:
        """Allocate a wish's addresses; on an adopted bridge, none that others use."""
        store, pools = self._parts.addresses, network.pools

        def allocate(taken: Mapping[Address, str]) -> tuple[Lease, ...]:
            name = self._container.name
            leases = store.allocate(network.name, pools, wish.addresses, holder, name, taken)
            self._journal.push(store.give_back, network.name, pools, leases)
            return leases

        own = {one.address: "the host's own address" for one in state.addresses}
        if network.managed:
            return allocate(own)
        from ocinet.engine.adopted import Adopted

        adopted = Adopted(self._parts, network, state)
        self._adopted.append(adopted)
        return adopted.allocate(own, allocate)

    def _close(self) -> None:
        for one in self._adopted:
            one.close()

    def _claim(
        self,
        publishes: tuple[Publish, ...],
        endpoints: tuple[Endpoint, ...],
        internal: tuple[str, ...],
    ) -> tuple[PortRule, ...]:
        """Claim host ports for the container, and return the rules that they come to."""
        if not publishes:
            return ()
        check_ports(publishes, endpoints, internal)
        self._check_host_addresses(publishes)
        container = self._container
        families = {one.address.family for end in endpoints for one in end.addresses}
        claimed = self._parts.ports.claim(
            container.id, container.name, publishes, families=tuple(sorted(families))
        )
        self._journal.push(self._parts.ports.release, container.id, claimed)
        return make_ports(claimed, endpoints, internal)

    def _check_host_addresses(self, publishes: tuple[Publish, ...]) -> None:
        named = {one.host_address for one in publishes if one.host_address}
        named = {one for one in named if one.value and not one.is_loopback}
        if not named:
            return
        foreign = named - {one.address for one in self._parts.links.addresses(0)}
        for address in foreign:
            raise RequestError(
                "",
                f"{address} is no address of this host, so no port can be published there",
                "see: ip addr",
            )

    def _check_networks(self) -> None:
        """Refuse to go on if a network was removed while it was allocated from.

        The removal takes the definition away first and then looks for records,
        so one of the two sees the other.
        """
        for network in self._networks:
            if self._parts.networks.find(network.name) != network:
                raise NotFoundError(
                    "",
                    f"the network {network.name} was just removed",
                    f"ocinet network create {network.name}",
                )

    def _log_warnings(self) -> None:
        for warning in self.warnings:
            self._parts.log.append(
                "attached with a warning",
                container=self._container.id,
                name=self._container.name,
                warning=warning,
            )

    def _with_ifindexes(self, record: Attachment) -> Attachment:
        made = self._machine.pairs
        return record.replace(
            endpoints=tuple(
                one.replace(host_ifindex=made[one.host_ifname].host_ifindex)
                if one.host_ifname in made
                else one
                for one in record.endpoints
            )
        )


def _missing_endpoints(request: Request, before: Attachment) -> tuple[EndpointRequest, ...]:
    """Return the wishes for networks that the container is not on yet.

    Raises:
        ConflictError: it is on one of them, but not as it is asked for.
    """
    there = {endpoint.network: endpoint for endpoint in before.endpoints}
    for wish in request.endpoints:
        endpoint = there.get(wish.network)
        if endpoint and not endpoint.serves(wish):
            addresses = ", ".join(str(one.address) for one in endpoint.addresses)
            raise ConflictError(
                "",
                f"it is on {wish.network} already, as {endpoint.ifname} with {addresses}, "
                "and not as asked for",
                "detach it first: what is wired is not changed",
            )
    return tuple(wish for wish in request.endpoints if wish.network not in there)


def _missing_ports(request: Request, before: Attachment) -> tuple[Publish, ...]:
    """Return the publishes that no port of the record satisfies."""
    if not before.ports:
        return request.publish
    return tuple(
        wish for wish in request.publish if not any(port.serves(wish) for port in before.ports)
    )


def _check_own_ports(publishes: tuple[Publish, ...], before: Attachment) -> None:
    """Refuse a host port that the container has already, and that leads elsewhere."""
    for wish in publishes:
        for port in before.ports:
            if port.overlaps(wish):
                raise ConflictError(
                    "",
                    f"port {port.host_port}/{port.protocol} leads to its port {port.port} already",
                    "unpublish that first, or publish another host port",
                )


def _reached(ports: tuple[PortRule, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the endpoints that ports lead to."""
    targets = targets_of(ports)
    return tuple(
        endpoint
        for endpoint in endpoints
        if any(one.address in targets for one in endpoint.addresses)
    )


def is_satisfied(request: Request, record: Attachment) -> bool:
    """Tell whether a record has all that a request asks for."""
    return not _missing_endpoints(request, record) and not _missing_ports(request, record)


def with_member(owner: Attachment, container: Container) -> Attachment:
    """Return an owner's record with one more member, or the same one anew."""
    member = Member(container.id, container.name, container.bundle, container.process)
    others = tuple(one for one in owner.members if one.id != container.id)
    return owner.replace(members=(*others, member))


def refuse_other_life(known: Attachment) -> ConflictError:
    """Return the error for an id that a live container in another sandbox has."""
    process = known.container.process
    of_process = f" (process {process.pid})" if process else ""
    bundle = f" from {known.container.bundle}" if known.container.bundle else ""
    return ConflictError(
        "",
        f"the id is in use by a running container{bundle}{of_process}",
        "ids are unique only within one runtime and root: use another id",
    )

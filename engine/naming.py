"""What of a wiring its container is told by names, in files of its own."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.base.names import SHOWN_ID
from ocinet.engine.model.naming import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.resolution import Resolution
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Networks, Records

_NO_FILES = (
    "it has no files of its own that could name resolvers or hosts: dns and add-host are on record"
    " alone"
)
_COVERS_NONE = (
    "once it is created, no file of its image is covered, so dns and add-host are on record alone:"
    " use a hook"
)


def plan_names(
    machine: Machine,
    records: Records,
    container: Container,
    record: Attachment,
    rootfs: Rootfs | None = None,
) -> tuple[Step, ...]:
    """Return the steps that write a container's own name and its resolvers.

    What can't be told or done is a warning: nothing of the network depends on it.

    Args:
        machine: that it is done on.
        records: the networks that are defined, and those to whom it has links.
        container: whose files they are: the record's, or a member of its sandbox.
        record: of the sandbox, as it is or is to be.
        rootfs: where the container's files are, if it has not entered them yet.
    """
    process = container.process
    files = process and machine.name_files(process)
    if not process or not files:
        if record.resolution and record.resolution.in_files:
            machine.warnings.append(_NO_FILES)
        return ()
    from ocinet.engine.plan.name_files import Named, is_filled_later, plan_name_files

    hostname = (rootfs and rootfs.hostname) or container.id[:SHOWN_ID]
    place = Place(process, rootfs, tuple(dict.fromkeys((hostname, container.name))))
    found_networks = [records.networks.find(endpoint.network) for endpoint in record.endpoints]
    internal = all(network is not None and network.internal for network in found_networks)
    try:
        found = files.look(place)
    except OcinetError as error:
        machine.warnings.append(str(error))
        return ()
    refilled = bool(rootfs and rootfs.refilled)
    machine.unnamed = found is None or is_filled_later(found, refilled=refilled)
    wishes = record.resolution
    own: tuple[Step, ...] = ()
    if wishes and wishes.hostname:
        from ocinet.engine.own_hostname import plan_hostname

        own = plan_hostname(machine, files, process, wishes.hostname, rootfs)
    if found is None:
        return own
    host = _host_addresses(machine, records.networks, record) if wishes and wishes.hosts else ()
    called = (wishes and wishes.hostname) or found.hostname
    if called:
        place = place.replace(names=tuple(dict.fromkeys((called, container.name))))
    resolvers: tuple[Address, ...] = ()
    if record.served:
        from ocinet.engine.plan.serving import resolvers_of

        resolvers = resolvers_of(record, filter(None, found_networks))
    named = Named(place, record.endpoints, internal, wishes, host, resolvers=resolvers)
    if wishes and wishes.links:
        from ocinet.engine.linked_names import link_lines

        lines, flaws = link_lines(records, record, everywhere=True)
        machine.warnings += [why for _target, why in flaws]
        named = named.replace(others=lines)
    steps, told = plan_name_files(named, found)
    machine.warnings += told
    return (*steps, *own)


def tell_member(
    operation: Operation,
    machine: Machine,
    records: Records,
    member: Attachment,
    rootfs: Rootfs | None,
    wishes: Resolution | None = None,
) -> None:
    """Have a member find itself, and what it wishes, or what who has the sandbox does.

    Args:
        operation: by whose time and log it goes.
        machine: with the sandbox.
        records: of all containers.
        member: its record.
        rootfs: where its files are, if it has not entered them yet.
        wishes: of now, beside those on record.
    """
    owner = records.attachments.get(member.member_of)
    if owner is None or not owner.endpoints:
        return
    if wishes:
        member = member.replace(resolution=wishes.over(member.resolution))
        records.attachments.put(member)
    wished = member.resolution
    told = owner.replace(resolution=wished if wished and wished.in_files else owner.resolution)
    if wished and wished.servers:
        # The server knows a sandbox by its addresses, and whom its owner wants to be asked.
        told = told.replace(served=())
    before = len(machine.warnings)
    if wishes and (wishes.aliases or wishes.links):
        machine.warnings.append(
            f"aliases and links are those of its sandbox's owner, {owner.container.name}: ask there"
        )
    for step in plan_names(machine, records, member.container, told, rootfs):
        step.apply(machine)
    operation.tell_warnings(member.container, machine.warnings[before:])


def tell_late(operation: Operation, machine: Machine, records: Records, container_id: str) -> None:
    """Have a container's files say what its record says, where they could not at its attach.

    As far as nothing is mounted for it: that is the watcher's, whose early attach comes before
    a container has files, and whose service enters no mounts of others, and the wrapper's at
    `start`. Docker's two files are there whatever the image has.
    """
    from ocinet.engine.plan.name_steps import WriteNames

    with operation.locks.container(container_id):
        record = records.attachments.get(container_id)
        if record is None or not record.unnamed:
            return
        for step in plan_names(machine, records, record.container, record):
            if not isinstance(step, WriteNames):
                step.apply(machine)
                continue
            written = step.in_place
            if written.files:
                written.apply(machine)
            if record.resolution and record.resolution.in_files and written != step:
                machine.warnings.append(_COVERS_NONE)
        operation.tell_warnings(record.container, machine.warnings)
        if not records.linked.is_empty():
            from ocinet.engine.linked_names import write_anew

            write_anew(operation, machine, records, record)
        if not machine.unnamed:
            records.attachments.put(record.replace(unnamed=False))


def _host_addresses(
    machine: Machine, networks: Networks, record: Attachment
) -> tuple[Address, ...]:
    """Return by which addresses a container reaches the host: those on its first network."""
    first = record.endpoints[0] if record.endpoints else None
    network = first and networks.find(first.network)
    if not first or not network:
        return ()
    bridge = None if network.managed else machine.links.link(network.device)
    on_bridge = [at.address for at in machine.links.addresses(bridge.ifindex)] if bridge else []
    # Of a bridge of ours by its definition: where a plan alone is made, it may not be there yet.
    own = [pool.gateway for pool in network.pools] if network.managed else on_bridge
    near = (
        next((address for address in own if address and address in held.subnet), None)
        for held in first.addresses
    )
    return tuple(address for address in near if address)

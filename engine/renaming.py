"""Knowing a container by another name, wherever others find it by the former one."""

from __future__ import annotations

from ocinet.engine.containers import with_member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def rename(
    operation: Operation, machine: Machine, records: Records, container_id: str, name: str
) -> bool:
    """Know a container by another name from now on; its sandbox's name stays.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the files that others find it in.
        records: of all containers.
        container_id: whole.
        name: that it has by now.

    Returns:
        False if it is not known, or has that name already.
    """
    attachments = records.attachments
    known = attachments.get(container_id)
    if known is None:
        return False
    with operation.locks.container(known.member_of or container_id):
        known = attachments.get(container_id)
        if known is None or known.container.name == name:
            return False
        renamed = known.replace(container=known.container.replace(name=name))
        attachments.put(renamed)
        if known.access is not None:
            from ocinet.engine.access import Access

            Access(records, container_id).rename(known, renamed, machine)
        # An owner's record has its members' names, by which people are told of them.
        owner = attachments.get(known.member_of) if known.member_of else None
        if owner:
            attachments.put(with_member(owner, renamed.container))
        if renamed.served:
            _serve(operation, machine, records, renamed)
        if not records.linked.is_empty():
            from ocinet.engine.linked_names import came, went

            went(operation, machine, records, renamed, known.container.name)
            came(operation, machine, records, renamed)
    operation.log.append("renamed", container=container_id, name=name)
    return True


def _serve(operation: Operation, machine: Machine, records: Records, record: Attachment) -> None:
    """Have a container found by the name that it has by now."""
    from ocinet.engine.contested import settle_contested
    from ocinet.engine.waiting_names import serve_anew

    serve_anew(machine, records, record, record.served)
    if contested := machine.take_contested():
        before = len(machine.warnings)
        settle_contested(operation, machine, records, record, contested)
        operation.tell_warnings(record.container, machine.warnings[before:])

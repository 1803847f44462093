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
        follow_name(operation, machine, records, known, renamed)
    return True


def follow_name(
    operation: Operation, machine: Machine, records: Records, former: Attachment, record: Attachment
) -> None:
    """Have others find a container by the name that it has by now; needs its owner's lock.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the files that others find it in.
        records: of all containers.
        former: its record with the name that it had.
        record: as it is written by now.

    Raises:
        OcinetError: a file can't be read or written.
    """
    container = record.container
    if former.access is not None:
        from ocinet.engine.access import Access

        Access(records, container.id).rename(former, record, machine)
    # An owner's record has its members' names, by which people are told of them.
    owner = records.attachments.get(record.member_of) if record.member_of else None
    if owner:
        records.attachments.put(with_member(owner, container))
        if owner.access is not None:
            from ocinet.engine.access import relink

            relink(operation, machine, records, owner, (former.container,), (container,))
    if record.served:
        _serve(operation, machine, records, record)
    if not records.linked.is_empty():
        from ocinet.engine.linked_names import came, went

        went(operation, machine, records, record, former.container.name)
        came(operation, machine, records, record)
    operation.log.append("renamed", container=container.id, name=container.name)


def _serve(operation: Operation, machine: Machine, records: Records, record: Attachment) -> None:
    """Have a container found by the name that it has by now."""
    from ocinet.engine.contested import settle_contested
    from ocinet.engine.waiting_names import serve_anew

    serve_anew(machine, records, record, record.served)
    if contested := machine.take_contested():
        before = len(machine.warnings)
        settle_contested(operation, machine, records, record, contested)
        operation.tell_warnings(record.container, machine.warnings[before:])

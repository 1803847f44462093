"""Taking links to other sandboxes down, by the record of one end's container."""

from __future__ import annotations

from ocinet.base.errors import BusyError, OcinetError
from ocinet.engine.kernel.sandbox import open_recorded
from ocinet.engine.model.attachment import ATTACHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.plug import Plug
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def unplug(operation: Operation, machine: Machine, records: Records, cable: Cable) -> None:
    """Take a link down, wherever something of it is; its definition has gone before.

    Raises:
        OcinetError: what could not be removed.
    """
    # Whoever makes it at this moment has seen the definition, and ends before he lets us in.
    for record in records.attachments.all():
        if record.state != ATTACHED or record.member_of:
            continue
        named = unplug_end(operation, machine, records, record.container.id, cable.name)
        if not named and cable.names(record.container):
            _unplug_unrecorded(operation, machine, records, record.container.id, cable)


def unplug_end(
    operation: Operation, machine: Machine, records: Records, container_id: str, name: str
) -> bool:
    """Take a link down that a container's record has; False if it has none such by now."""
    with operation.locks.container(container_id):
        record = records.attachments.get(container_id)
        plugs = [plug for plug in record.plugs if plug.cable == name] if record else []
        if record is None or not plugs:
            return False
        for plug in plugs:
            pull_plug(machine, records, record, plug)
        kept = tuple(plug for plug in record.plugs if plug.cable != name)
        records.attachments.put(record.replace(plugs=kept))
    return True


def _unplug_unrecorded(
    operation: Operation, machine: Machine, records: Records, container_id: str, cable: Cable
) -> None:
    """Delete an end that nothing but the definition tells of, as after a record was lost."""
    with operation.locks.container(container_id):
        record = records.attachments.get(container_id)
        if record is None:
            return
        try:
            sandbox = open_recorded(record)
        except OcinetError:  # it has gone, and its ends with it
            return
        with sandbox:
            for end in cable.ends:
                if end.is_of(record.container):
                    machine.insides.unplug(sandbox, end.ifname, end.mac)


def pull_plug(machine: Machine, records: Records, record: Attachment, plug: Plug) -> None:
    """Delete a link by the record of one end's container, under that one's lock.

    By its own end; where its sandbox can't be opened any more, by the other, which goes with
    the sandbox, but in the kernel's own time, or not at all where something holds that.

    Raises:
        OcinetError: the kernel refused.
    """
    peer = records.attachments.get(plug.peer)
    ends: list[tuple[Attachment, Plug]] = [(record, plug)]
    if peer:
        ends += [(peer, own) for own in peer.plugs if own.cable == plug.cable]
    for holder, own in ends:
        try:
            sandbox = open_recorded(holder)
        except OcinetError:
            continue
        with sandbox:
            if machine.insides.unplug(sandbox, own.ifname, own.mac):
                return


def forget_peers(operation: Operation, records: Records, record: Attachment) -> None:
    """Have the other ends' records not tell of links that have gone; who is busy finds out."""
    for plug in record.plugs:
        try:
            # Never waited for: its own lock is held, and that one may be held by who wants it.
            with operation.locks.container(plug.peer, wait=False):
                peer = records.attachments.get(plug.peer)
                stale = [
                    own
                    for own in (peer.plugs if peer else ())
                    if own.cable == plug.cable and own.peer_sandbox == record.sandbox
                ]
                if peer and stale:
                    kept = tuple(own for own in peer.plugs if own not in stale)
                    records.attachments.put(peer.replace(plugs=kept))
        except BusyError:
            continue

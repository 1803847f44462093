"""Interfaces of containers that the host has no end of, and what the host has beside them.

With the last of its processes a sandbox goes, and all that is in it. One that lives on, as where
a person detaches, or members stay, is entered for it.
"""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError, failures
from ocinet.engine.kernel.sandbox import open_recorded
from ocinet.engine.model.observed import DeviceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.network import Network
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def unseen(record: Attachment) -> tuple[Endpoint, ...]:
    """Return the endpoints that the host has no end of."""
    return tuple(end for end in record.endpoints if not end.host_ifname)


def parent_of(machine: Machine, network: Network) -> DeviceState:
    """Return what is seen of the link by which a network is on the LAN."""
    link = machine.links.link(network.parent)
    return DeviceState(
        device=network.device,
        link=link,
        addresses=(),
        mtu=network.mtu or (link.mtu if link else 0),
        shim=machine.lan.host_side(network.device) if network.host_access else None,
    )


def take_ends_away(machine: Machine, record: Attachment) -> None:
    """Delete these interfaces of a sandbox that is there still, before their addresses are free.

    Raises:
        OcinetError: one is there, and can't be deleted.
    """
    ends = unseen(record)
    if not ends:
        return
    try:
        sandbox = open_recorded(record)
    except NotFoundError:
        return
    except OcinetError:
        return  # it is in another one by now: that one went with its processes
    errors: list[OcinetError] = []
    with sandbox:
        for end in ends:
            try:
                machine.insides.unplug(sandbox, end.ifname, end.mac)
            except OcinetError as error:
                errors.append(error)
    failures("", errors)


def forget_host_sides(
    operation: Operation, machine: Machine, records: Records, gone: Attachment
) -> None:
    """Remove the host's own interfaces on networks of the LAN that nobody is on any more.

    Who attaches has written its record before it looks for one.

    Args:
        operation: by whose locks it goes.
        machine: with the links.
        records: who is there by now.
        gone: whose record is gone.
    """
    devices = dict.fromkeys(end.device for end in unseen(gone))
    for device in devices:
        if machine.links.link(device) is None:
            continue
        with operation.locks.shared():
            others = (
                end.device for record in records.attachments.all() for end in record.endpoints
            )
            if device not in others:
                machine.links.delete_links((device,))

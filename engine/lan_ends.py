"""Interfaces of containers that the host has no end of, and what the host has beside them.

With the last of its processes a sandbox goes, and all that is in it. One that lives on, as where
a person detaches, or members stay, is entered for it.
"""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError, RequestError, failures
from ocinet.engine.kernel.sandbox import OtherSandboxError, open_recorded
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.observed import DeviceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
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


def had_beside(records: Records, network: Network) -> dict[Address, str]:
    """Return the addresses that other networks of the same parent have, each with whose it is.

    Each allocates for itself, and who shares a parent does not hear the LAN being asked. Most have
    ranges of their own, but a static address may be in another's.
    """
    had: dict[Address, str] = {}
    others: set[str] = set()
    for other in records.networks.all():
        if other.parent == network.parent and other.name != network.name:
            others.add(other.name)
            had |= dict.fromkeys(other.host_access, f"the host's own on network {other.name}")
    for record in records.attachments.all() if others else ():
        for end in record.endpoints:
            if end.network in others:
                whose = f"{record.container.name}'s on network {end.network}"
                had |= dict.fromkeys((held.address for held in end.addresses), whose)
    return had


def take_ends_away(operation: Operation, machine: Machine, record: Attachment) -> None:
    """Delete these interfaces of a sandbox that is there still, before their addresses are free.

    Whoever may change the network in there may have renamed one, which it is found in spite of,
    or moved it to a namespace that nobody knows, which is told.

    Raises:
        OcinetError: one is there, or may be, and can't be deleted.
    """
    ends = unseen(record)
    if not ends:
        return
    try:
        sandbox = open_recorded(record)
    except (NotFoundError, RequestError, OtherSandboxError):
        return  # the one that they were in went with its processes
    errors: list[OcinetError] = []
    told: list[str] = []
    with sandbox:
        for end in ends:
            try:
                gone = machine.insides.unplug(sandbox, end.ifname, end.mac, end.ifindex)
            except OcinetError as error:
                errors.append(error)
            else:  # what an attach has only begun need not be there
                told += [] if gone or record.state != ATTACHED else [_explain_missing(record, end)]
    machine.warnings += told
    operation.tell_warnings(record.container, told)
    failures("", errors)


def _explain_missing(record: Attachment, end: Endpoint) -> str:
    addresses = ", ".join(str(interface.address) for interface in end.addresses)
    return (
        f"{end.ifname} is not in the sandbox of {record.container.name} any more: if it was moved"
        f" to another one, it is on the LAN with {addresses} until that ends, beside whoever gets"
        " that address next; see: lsns -t net"
    )


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

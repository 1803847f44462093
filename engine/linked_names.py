"""Names by which one container alone finds others: kept true in its `/etc/hosts`.

    ocinet.link=postgres:db        10.9.0.2    db

Whoever has a link is on record with it, and in an index by the name that it is to
(`records.linked`): so who comes, goes or is renamed finds out by a look for a folder whether
anybody is to be told. The file of whoever has the link is written by whoever changed, under a
lock of that file's own, in which no other lock is taken; it is read anew there, and so are the
records, so that of two who change at once the later one writes what both have left.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.base.events import WARNED
from ocinet.base.names import SHOWN_ID
from ocinet.engine.link_targets import find_target, is_called, led_by, names_of
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.others_lines import write_others
from ocinet.engine.peers import forget_unserved, leave_peers, tell_peers
from ocinet.engine.plan.name_files import BY_LINKS
from ocinet.engine.waiting_names import forget_wanted, serve_waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.resolution import LinkedName
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def links_of(record: Attachment) -> tuple[LinkedName, ...]:
    """Return the links of a record; of a member, its sandbox's owner's count."""
    return record.resolution.links if record.resolution else ()


def link_lines(
    records: Records, record: Attachment, *, everywhere: bool
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the lines of a hosts file that a container's links come to.

    Args:
        records: of all containers.
        record: of the one that has the links.
        everywhere: whether a target that is not noted is looked for in all records.

    Returns:
        The lines, and the links that lead nowhere: each target with the reason.
    """
    lines: list[str] = []
    told: list[tuple[str, str]] = []
    for linked in links_of(record):
        target = find_target(records, linked.target, everywhere=everywhere)
        if target is None:
            why = f"no container {linked.target} is there yet: {linked.name} is found once it comes"
            told.append((linked.target, why))
            continue
        addresses = _shared_addresses(record, target)
        lines += [f"{address}\t{linked.name}\n" for address in addresses]
        if not addresses:
            on = ", ".join(dict.fromkeys(end.network for end in record.endpoints)) or "none"
            first = record.endpoints[0].network if record.endpoints else "NETWORK"
            told.append((
                linked.target,
                f"{linked.target} is on no network of its own ({on}), so {linked.name} leads"
                f" nowhere: ocinet network connect {first} {linked.target}",
            ))  # fmt: skip
    return tuple(lines), tuple(told)


def enter_links(records: Records, record: Attachment, before: Attachment | None) -> None:
    """Have the index know a container's links, and no more those of before.

    Raises:
        SystemFailure: it can't be written.
    """
    wanted = {linked.target for linked in links_of(record)}
    had = {linked.target for linked in links_of(before)} if before else set()
    for target in sorted(wanted - had):
        records.linked.add(target, record.container.id)
    for target in sorted(had - wanted):
        records.linked.remove(target, record.container.id)


def attached(
    operation: Operation, machine: Machine, records: Records, record: Attachment, *, is_new: bool
) -> None:
    """Have a container's own links lead where they do by now, and tell those who have one to it.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the files.
        records: of all containers.
        record: the container's.
        is_new: whether it was on no network before.
    """
    if links_of(record):
        # Once more: whoever came or went since its files were planned, took it for half-made.
        try:
            write_links(operation, machine, records, record.container.id)
        except OcinetError as error:  # they are in no state that keeps it from starting
            machine.warnings.append(f"its links are as they were planned: {error}")
    came(operation, machine, records, record)
    newcomer = record.container.id if is_new else ""
    tell_peers(operation, machine, records, _networks_of(record), newcomer)


def write_anew(
    operation: Operation, machine: Machine, records: Records, record: Attachment
) -> None:
    """Have a container's file say of others what it could not at its attach: there was none."""
    if links_of(record):
        write_links(operation, machine, records, record.container.id)
    tell_peers(operation, machine, records, _networks_of(record))


def came(operation: Operation, machine: Machine, records: Records, record: Attachment) -> None:
    """Tell those who have a link to a container that it is there, or on other networks."""
    container = record.container
    names = names_of(records, container)
    for name in names:
        noted = records.linked.noted(name)
        holder = records.attachments.get(noted) if noted not in ("", container.id) else None
        # Of two containers with one name, the first keeps it for as long as it is there.
        if not (holder and is_called(holder, name)):
            records.linked.note(name, container.id)
    _tell(operation, machine, records, names, but=container.id)


def parted(
    operation: Operation, machine: Machine, records: Records, kept: Attachment, gone: Attachment
) -> None:
    """Tell those who find a container that it has left a network.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with their files.
        records: as they are by now.
        kept: what the container has still.
        gone: what it had on that network.
    """
    came(operation, machine, records, kept)
    networks = _networks_of(gone)
    forget_wanted(records, kept.container.id, networks)
    _serve_waiting(operation, machine, records, networks)
    leave_peers(operation, machine, kept, networks)
    tell_peers(operation, machine, records, networks)
    forget_unserved(records, kept.container.id, networks)


def went(
    operation: Operation,
    machine: Machine,
    records: Records,
    record: Attachment,
    former: str = "",
) -> None:
    """Tell those who had a link to a container, or to one in its sandbox, that it has gone.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with their files.
        records: without the container's by now, or with its new name.
        record: that it had.
        former: the name that it has no more; "" where it has gone itself.
    """
    container = record.container
    if former:
        gone: tuple[str, ...] = (former,)
    else:
        gone = led_by(records, record)
        for linked in links_of(record):
            records.linked.remove(linked.target, container.id)
    for name in gone:
        if records.linked.noted(name) in (container.id, *(each.id for each in record.members)):
            records.linked.note(name, "")
    _tell(operation, machine, records, gone, but="" if former else container.id)
    networks = _networks_of(record)
    if not former:
        forget_wanted(records, container.id, networks)
    _serve_waiting(operation, machine, records, networks)
    # Before it is forgotten that a file may have it: whoever is the last writes the rest.
    tell_peers(operation, machine, records, networks)
    if not former:
        forget_unserved(records, container.id, networks)


def write_links(
    operation: Operation,
    machine: Machine,
    records: Records,
    container_id: str,
    about: tuple[str, ...] = (),
) -> None:
    """Have the files of a container, and of those in its sandbox, say where its links lead now.

    What can't be written is an event of that container.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the files.
        records: of all.
        container_id: whose links they are.
        about: targets that have changed; of these is told what leads nowhere.
    """
    with operation.locks.hosts(container_id):
        record = records.attachments.get(container_id)
        if record is None or record.state != ATTACHED:
            return  # it writes them itself when it is attached
        lines, told = link_lines(records, record, everywhere=False)
        warnings = [why for target, why in told if target in about]
        warnings += write_others(machine, record, BY_LINKS, lines)
    for warning in warnings:
        operation.log.append(WARNED, container=container_id, name=record.container.name,
                             warning=warning)  # fmt: skip


def _serve_waiting(
    operation: Operation, machine: Machine, records: Records, networks: tuple[str, ...]
) -> None:
    try:
        serve_waiting(operation, machine, records, networks)
    except OcinetError as error:  # who goes is not kept from it by a name that others wait for
        operation.log.append("names not told", networks=list(networks), error=str(error))


def _tell(
    operation: Operation, machine: Machine, records: Records, names: tuple[str, ...], *, but: str
) -> None:
    for linker in records.linked.linkers(names):
        if linker == but:
            continue
        try:
            if records.attachments.get(linker) is None:
                _forget(records, linker, names)
            else:
                write_links(operation, machine, records, linker, names)
        except OcinetError as error:  # whoever changed is not kept from it by another's file
            operation.log.append(WARNED, container=linker, name=linker[:SHOWN_ID],
                                 warning=f"its links are as before: {error}")  # fmt: skip


def _forget(records: Records, linker: str, names: Iterable[str]) -> None:
    """Take out what a killed detach has left."""
    for name in names:
        records.linked.remove(name, linker)


def _shared_addresses(record: Attachment, target: Attachment) -> tuple[str, ...]:
    """Return a target's addresses on the first network that it shares with a container."""
    for own in record.endpoints:
        for endpoint in target.done.endpoints:
            if endpoint.network == own.network:
                return tuple(str(held.address) for held in endpoint.addresses)
    return ()


def _networks_of(record: Attachment) -> tuple[str, ...]:
    return tuple(dict.fromkeys(endpoint.network for endpoint in record.endpoints))

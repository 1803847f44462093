"""Taking wiring down, from the record alone: no sandbox, no bundle, no request.

Links and leases live until the last member of a sandbox has gone, whichever
stops first. What can't be removed keeps its record, for a second try.
"""

from __future__ import annotations

from ocinet.base.errors import BusyError, OcinetError, failures
from ocinet.engine.journal import go_through
from ocinet.engine.plan.detach import plan_detach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.assembly import Parts
    from ocinet.engine.model.attachment import Attachment, Member


def lives(parts: Parts, record: Attachment) -> bool:
    """Tell whether the container of a record still runs.

    One without a process to follow, a namespace given by its path, lives as
    long as a link of its does.
    """
    if record.boot_id != parts.boot_id or record.left:
        return False
    if record.container.process:
        return record.container.process.alive
    return any(parts.links.link(endpoint.host_ifname) for endpoint in record.endpoints)


def living_members(parts: Parts, record: Attachment) -> tuple[Member, ...]:
    """Return the members of a sandbox that still run."""
    if record.boot_id != parts.boot_id:
        return ()
    return tuple(one for one in record.members if one.process and one.process.alive)


def is_dead(parts: Parts, record: Attachment) -> bool:
    """Tell whether nobody lives in a record's sandbox any more."""
    return not lives(parts, record) and not living_members(parts, record)


def is_of(parts: Parts, record: Attachment, identity: str) -> bool:
    """Tell whether a record is of this very sandbox, and not of one that is gone.

    DEV:INODE alone does not say: the kernel gives the number of a namespace that
    is gone to the next one that is made. It does so after the links are gone. So
    where nobody of the record is known to live, the links that were made decide.

    Args:
        parts: of the engine.
        record: any.
        identity: of an open sandbox, so of one that is there.
    """
    if record.sandbox != identity or record.boot_id != parts.boot_id:
        return False
    if not is_dead(parts, record):
        return True
    if record.member_of:
        owner = parts.attachments.get(record.member_of)
        return owner is not None and is_of(parts, owner, identity)
    links = [parts.links.link(endpoint.host_ifname) for endpoint in record.endpoints]
    return bool(links) and all(
        link and link.ifindex == endpoint.host_ifindex
        for link, endpoint in zip(links, record.endpoints, strict=True)
    )


def detach(parts: Parts, container_id: str, *, bundle: str | None, force: bool) -> bool:
    """Detach a container under the lock of its sandbox's owner; see `Engine.detach`."""
    record = parts.attachments.get(container_id)
    if record is None:
        return False
    owner_id = record.member_of or container_id
    with parts.container_lock(owner_id):
        record = parts.attachments.get(container_id)
        if record is None or (record.member_of or container_id) != owner_id:
            return False  # another one was faster
        if bundle is not None and not _is_poststop_of(parts, record, bundle):
            return False
        if record.member_of:
            _count_out(parts, record)
        else:
            _end_owner(parts, record, asked=bundle is None, force=force)
    parts.log.append("detached", container=container_id, name=record.container.name)
    return True


def take_down_dead(parts: Parts, container_id: str) -> bool:
    """Detach a container that is dead by its record, without waiting for a lock.

    Returns:
        Whether nothing of it is left: False if it lives, members of its
        sandbox do, or somebody is at work on it.
    """
    try:
        record = parts.attachments.get(container_id)
        owner_id = (record and record.member_of) or container_id
        with parts.container_lock(owner_id, wait=False):
            record = parts.attachments.get(container_id)
            if record is None:
                return True
            if (record.member_of or container_id) != owner_id or not is_dead(parts, record):
                return False
            if record.member_of:
                _count_out(parts, record)
            else:
                take_down(parts, record)
    except BusyError:
        return False
    return True


def leave_to_members(parts: Parts, record: Attachment) -> None:
    """Note that an owner has gone if nobody told of its end, without waiting for a lock."""
    if not _has_gone_untold(parts, record):
        return
    try:
        with parts.container_lock(record.container.id, wait=False):
            now = parts.attachments.get(record.container.id)
            if now and _has_gone_untold(parts, now):
                _end_owner(parts, now, asked=False, force=False)
    except BusyError:
        return


def _has_gone_untold(parts: Parts, record: Attachment) -> bool:
    return not (record.left or record.member_of or lives(parts, record))


def take_down(parts: Parts, record: Attachment, *, force: bool = False) -> None:
    """Undo all that a record tells of, then forget it; needs the container's lock.

    Ports and links first, so that nothing leads to an address that is free;
    leases last, so that no address is free while a link bears it.

    Raises:
        OcinetError: what could not be removed. The record stays then, unless
            forced.
    """
    container_id = record.container.id
    held = parts.ports.held(container_id, record.ports)
    errors: list[OcinetError] = []
    try:
        go_through(parts, parts.machine(), plan_detach(record, held), "")
    except OcinetError as error:
        if not force:
            raise
        errors.append(error)
    for member in record.members:
        parts.attachments.remove(member.id)
    parts.attachments.remove(container_id)
    _release(parts, record)
    failures("", errors)


def roll_back(parts: Parts, record: Attachment) -> Attachment:
    """Undo what a killed attach began to add to a live container; needs its lock.

    Returns:
        The record of what is complete, and stays.

    Raises:
        OcinetError: what could not be removed; the record stays as it was.
    """
    undone, done = record.undone, record.done
    held = parts.ports.held(record.container.id, undone.ports)
    go_through(parts, parts.machine(), plan_detach(undone, held), "")
    parts.attachments.put(done)
    _release(parts, undone)
    return done


def _release(parts: Parts, record: Attachment) -> None:
    """Give ports and addresses back."""
    parts.ports.release(record.container.id, record.ports)
    for endpoint in record.endpoints:
        for interface in endpoint.addresses:
            parts.addresses.release(endpoint.network, interface.address, record.container.id)


def _is_poststop_of(parts: Parts, record: Attachment, bundle: str) -> bool:
    other = record.container.bundle and bundle and record.container.bundle != bundle
    alive = lives(parts, record)
    if other or alive:
        why = f"it is of {record.container.bundle}" if other else "its process is alive"
        parts.log.append(
            "poststop ignored",
            container=record.container.id,
            name=record.container.name,
            bundle=bundle,
            why=why,
        )
    return not other and not alive


def _count_out(parts: Parts, record: Attachment) -> None:
    """Take a member out of its owner's record; the last one takes the rest along."""
    owner = parts.attachments.get(record.member_of)
    if owner:
        remaining = tuple(one for one in owner.members if one.id != record.container.id)
        living = living_members(parts, owner.replace(members=remaining))
        if not living and not lives(parts, owner):  # whether or not anybody told of its end
            take_down(parts, owner)  # the one that goes among its members: it may have the name
        else:
            owner = owner.replace(members=remaining)
            parts.attachments.put(owner)
            _pass_name_on(parts, owner, record.container.process, living)
    parts.attachments.remove(record.container.id)


def _end_owner(parts: Parts, record: Attachment, *, asked: bool, force: bool) -> None:
    """Take an owner's wiring down, or leave it to the members that live on."""
    living = living_members(parts, record)
    if living and not asked:
        left = record.replace(left=True, members=living)
        parts.attachments.put(left)
        _pass_name_on(parts, left, record.container.process, living)
    else:
        take_down(parts, record, force=force)


def _pass_name_on(
    parts: Parts, owner: Attachment, gone: Process | None, living: tuple[Member, ...]
) -> None:
    """Let the sandbox's name show a process that lives, where `gone` was shown."""
    candidates = [] if owner.left else [owner.container.process]
    candidates += [member.process for member in living]
    heir = next((process for process in candidates if process and process != gone), None)
    if owner.netns_name and gone and heir:
        parts.names.move(owner.netns_name, gone, heir)

"""Members of a sandbox whose owner is in another one by now: who they are, and what helps.

What has been started in a sandbox stays in it, whoever comes back elsewhere: only a
restart brings a member into the new one, and only its engine can do that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocinet.base.clock import Process
    from ocinet.engine.liveness import Liveness
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.storage import Attachments

TOLD = "told"  # and nothing was tried yet; else the sandbox that a restart was to bring it into
# By what an engine has as its containers' parent; a name has 15 characters there (proc(5)).
_RESTARTS = {"conmon": "podman restart", "containerd-shim": "docker restart"}


def strand(attachments: Attachments, members: Iterable[Attachment]) -> None:
    """Keep on record who has lost the sandbox's network, until it ends; needs the owner's lock."""
    for member in members:
        attachments.put(member.replace(stranded=TOLD))


def restart_command(name: str, process: Process | None) -> str:
    """Return what brings a container into another sandbox: its engine's command, or words."""
    parent = _parent_of(process) if process else ""
    command = next((text for known, text in _RESTARTS.items() if parent.startswith(known)), "")
    return f"{command} {name}" if command else f"restart {name}"


def left_behind(
    attachments: Attachments, liveness: Liveness, owner_id: str
) -> tuple[Attachment, ...]:
    """Return whom a container has left in a sandbox that it had before, if it runs again.

    But for those whom a restart was to bring along in this life of its already. All records
    are read: one that ended in between knows of them no more.
    """
    owner = attachments.get(owner_id)
    if owner is None or not liveness.lives(owner):
        return ()
    return tuple(
        member
        for member in attachments.all()
        if member.member_of == owner_id
        and member.stranded not in ("", owner.sandbox)
        and liveness.lives(member)
    )


def note_try(attachments: Attachments, member_id: str) -> bool:
    """Note that a restart is to bring a member along; needs its owner's lock.

    Returns:
        False if there is nothing to bring along, or it was tried in this life of the owner's.
    """
    member = attachments.get(member_id)
    owner = attachments.get(member.member_of) if member and member.stranded else None
    if member is None or owner is None or member.stranded == owner.sandbox:
        return False
    attachments.put(member.replace(stranded=owner.sandbox))
    return True


def take_back_try(attachments: Attachments, member_id: str) -> None:
    """Note that no restart has come of it, and may be tried again; needs its owner's lock."""
    member = attachments.get(member_id)
    if member and member.stranded:
        attachments.put(member.replace(stranded=TOLD))


def tell_stranded(
    records: Iterable[Attachment], attachments: Attachments, liveness: Liveness
) -> Iterator[tuple[str, str]]:
    """Tell of those who are: each one's name, and in a line what is so and what helps."""
    for record in records:
        if record.stranded and liveness.lives(record):
            owner = attachments.get(record.member_of)
            left_by = owner.container.name if owner else record.member_of[:12]
            name, helps = record.container.name, _command_for(record)
            yield name, f"it is in the sandbox that {left_by} has left, without a network: {helps}"


def _command_for(record: Attachment) -> str:
    return restart_command(record.container.name, record.container.process)


def _parent_of(process: Process) -> str:
    """Return the name of a process's parent; "" if one of the two is gone."""
    try:
        with open(f"/proc/{process.pid}/stat", "rb") as file:
            parent = int(file.read().rpartition(b")")[2].split()[1])
        with open(f"/proc/{parent}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except (OSError, ValueError, IndexError):
        return ""

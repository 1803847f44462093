"""Lines of other containers, written into a container's hosts file by whoever changed.

In place, so as anybody sees who has it open: a container's file is covered at its own attach
alone. Needs that file's lock: two who change at once must not undo each other's lines.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError, SystemFailure
from ocinet.engine.model.naming import HOSTS, NameFile, Place, Rootfs
from ocinet.engine.plan.name_files import lines_of, with_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.plan.machine import Machine

_MOST = 1 << 16  # bytes of a hosts file, as `kernel.name_files` reads them
_TO_WRITE = ("ours", "engine")  # what is the image's, or the user's, is left as it is


def write_others(
    machine: Machine, record: Attachment, topic: str, lines: tuple[str, ...]
) -> list[str]:
    """Have the files of a container, and of those in its sandbox, say this of others.

    Args:
        machine: with the files.
        record: of the sandbox.
        topic: see `name_files.with_others`.
        lines: none takes the topic away.

    Returns:
        What could not be written, and why.
    """
    failed = []
    # Where it was before it had entered its files: it may be created and not started yet.
    rootfs = Rootfs(record.rootfs) if record.rootfs else None
    places = [(record.container.process, rootfs)]
    places += [(member.process, None) for member in record.members]
    for process, root in places:
        try:
            _write(machine, process, root, topic, lines)
        except OcinetError as error:
            failed.append(str(error))
    return failed


def says_of_others(machine: Machine, record: Attachment, topic: str) -> str | None:
    """Return the lines of a topic that a container's own file has; None if it is not ours to say.

    Raises:
        OcinetError: it can't be looked for.
    """
    process = record.container.process
    files = process and machine.name_files(process)
    if not process or not files:
        return None
    rootfs = Rootfs(record.rootfs) if record.rootfs else None
    found = files.look(Place(process, rootfs, by_others=True))
    if found is None or found.hosts.state not in _TO_WRITE or found.hosts.fixed:
        return None
    return lines_of(found.hosts.text, topic)


def _write(
    machine: Machine,
    process: Process | None,
    rootfs: Rootfs | None,
    topic: str,
    lines: tuple[str, ...],
) -> None:
    files = process and machine.name_files(process)
    if not process or not files:
        return
    place = Place(process, rootfs, by_others=True)
    found = files.look(place)
    if found is None or found.hosts.state not in _TO_WRITE or found.hosts.fixed:
        return
    text = with_others(found.hosts.text, topic, lines)
    if len(text) > _MOST and lines:
        # By longer names than there is room for; one that is longer is nobody's to write any more.
        raise SystemFailure(
            "cannot write others into the container's /etc/hosts",
            f"it would be longer than {_MOST} bytes",
        )
    if text != found.hosts.text:
        files.write(place, (NameFile(HOSTS, text, found.hosts.text, mounted=False),))

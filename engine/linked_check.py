"""Whether links by name lead where they have to, in files and in their index."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.linked_names import enter_links, link_lines, links_of, write_links
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.others_lines import says_of_others
from ocinet.engine.plan.name_files import BY_LINKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def find_astray(
    operation: Operation, machine: Machine, records: Records
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Find containers whose links are not as they have to be.

    Args:
        operation: by whose locks it goes.
        machine: with their files.
        records: of all containers.

    Yields:
        What is wrong, in one line, and what puts it right.
    """
    for record in records.attachments.all():
        if record.boot_id == operation.boot_id and record.state == ATTACHED and links_of(record):
            flaw = _flaw(machine, records, record)
            if flaw:
                what = f"links of {record.container.name} {flaw}"
                yield what, _repair(operation, machine, records, record.container.id)


def _flaw(machine: Machine, records: Records, record: Attachment) -> str:
    targets = [linked.target for linked in links_of(record)]
    if any(record.container.id not in records.linked.linkers((target,)) for target in targets):
        return "are in no index, so nobody tells it who comes and goes"
    lines, _told = link_lines(records, record, everywhere=True)
    try:
        said = says_of_others(machine, record, BY_LINKS)
    except OcinetError:
        return ""  # its file is nobody's but its own
    return "" if said in (None, "".join(lines)) else "do not lead where they have to"


def _repair(
    operation: Operation, machine: Machine, records: Records, container_id: str
) -> Callable[[], object]:
    def repair() -> None:
        with operation.locks.container(container_id):
            record = records.attachments.get(container_id)
            if record and record.state == ATTACHED:
                enter_links(records, record, None)
                link_lines(records, record, everywhere=True)  # notes who its targets are
                write_links(operation, machine, records, container_id)

    return repair

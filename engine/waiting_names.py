"""Who waits for a name that another container of its network has, and gets it when that one goes.

Noted in the index of links, by the network (`want:lan`), so that nobody's stop costs more where
all have theirs.
"""

from __future__ import annotations

from ocinet.base.errors import BusyError
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.served import ELSEWHERE
from ocinet.engine.plan.serving import served_container
from ocinet.engine.serving import defined_of, resolvers_for, served_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records

_WANTS = "want:"  # no name and no id of a container has a colon


def serve_waiting(
    operation: Operation, machine: Machine, records: Records, networks: Iterable[str]
) -> None:
    """Have those found by names that have become free, who wanted them; else as they are.

    Who is at work on one of them enters it, or leaves it to the next that goes: nobody waits.

    Raises:
        OcinetError: a file can't be read or written.
    """
    for network in dict.fromkeys(networks):
        known = []
        for container_id in records.linked.linkers((_WANTS + network,)):
            record = records.attachments.get(container_id)
            if record:
                known.append(record)
            else:
                records.linked.remove(_WANTS + network, container_id)
        # In the order in which they came.
        for record in sorted(known, key=lambda each: each.time):
            _serve_again(operation, machine, records, record.container.id, network)


def _serve_again(
    operation: Operation, machine: Machine, records: Records, container_id: str, network: str
) -> None:
    """Enter a container once more, unless somebody is at work on it; needs another's lock."""
    try:
        # Never waited for: two that enter each other would wait until their time is over.
        with operation.locks.container(container_id, wait=False):
            record = records.attachments.get(container_id)
            if record is None or record.state != ATTACHED:
                return
            records.linked.remove(_WANTS + network, container_id)
            serve_anew(machine, records, record, (network,))
            for where, each in machine.take_contested():
                note_wanted(records, where, each)
    except BusyError:
        return


def give_back(
    operation: Operation,
    machine: Machine,
    records: Records,
    container_id: str,
    contested: tuple[tuple[str, Contested], ...],
) -> None:
    """Have those found by names again that a container took from them, and is undone.

    Raises:
        OcinetError: a file can't be read or written.
    """
    for network, each in contested:
        if each.holder == container_id and not each.loser.startswith(ELSEWHERE):
            _serve_again(operation, machine, records, each.loser, network)


def forget_wanted(records: Records, container_id: str, networks: Iterable[str]) -> None:
    """Forget that a container wants names on these networks."""
    for network in networks:
        records.linked.remove(_WANTS + network, container_id)


def serve_anew(
    machine: Machine, records: Records, record: Attachment, networks: Iterable[str]
) -> None:
    """Have a container found by the names that its record tells, and no others.

    Raises:
        OcinetError: a file can't be read or written.
    """
    defined = defined_of(record, records.networks)
    resolvers = resolvers_for(machine, defined)
    for network in networks:
        where = served_on(machine, defined[network]) if network in defined else None
        known = where and served_container(record, network, defined, resolvers)
        if where and known and network in record.served:
            machine.name_server.enter(where, known, machine.contested)


def note_wanted(records: Records, network: str, each: Contested) -> None:
    """Note that a container here did not get a name there, unless it is the host's."""
    if each.holder and not each.loser.startswith(ELSEWHERE):
        records.linked.add(_WANTS + network, each.loser)

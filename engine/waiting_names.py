"""Who waits for a name that another container of its network has, and gets it when that one goes.

Noted in the index of links, by the network (`want:lan`), so that nobody's stop costs more where
all have theirs.
"""

from __future__ import annotations

from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.plan.serving import served_container, served_network
from ocinet.engine.serving import defined_of, resolvers_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records

_WANTS = "want:"  # no name and no id of a container has a colon


def serve_waiting(machine: Machine, records: Records, networks: Iterable[str]) -> None:
    """Have those found by names that have become free, who wanted them; else as they are.

    Raises:
        OcinetError: a file can't be read or written.
    """
    for network in dict.fromkeys(networks):
        key = _WANTS + network
        # In the order in which they came.
        waiting = [records.attachments.get(each) or each for each in records.linked.linkers((key,))]
        known = [each for each in waiting if not isinstance(each, str)]
        for lost in waiting:
            if isinstance(lost, str):
                records.linked.remove(key, lost)
        for record in sorted(known, key=lambda each: each.time):
            if record.state != ATTACHED:
                continue
            records.linked.remove(key, record.container.id)
            serve_anew(machine, records, record, (network,))
            for where, each in machine.name_server.contested():
                note_wanted(records, where, each)


def give_back(
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
        loser = records.attachments.get(each.loser) if each.holder == container_id else None
        if loser:
            records.linked.remove(_WANTS + network, each.loser)
            serve_anew(machine, records, loser, (network,))


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
        where = served_network(defined[network]) if network in defined else None
        known = where and served_container(record, network, defined, resolvers)
        if where and known and network in record.served:
            machine.name_server.enter(where, known)


def note_wanted(records: Records, network: str, each: Contested) -> None:
    """Note that a container did not get a name there, unless it is the host's."""
    if each.holder:
        records.linked.add(_WANTS + network, each.loser)

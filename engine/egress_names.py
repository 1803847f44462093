"""DNS names that containers' packets may leave for, followed as the answers change.

No hook waits for an answer: what a name leads to is looked up by the watcher, and entered
for all who speak of it. What was answered within the last minutes stays open, for who asks
next may get another part of the same addresses.
"""

from __future__ import annotations

from ocinet.base.errors import BusyError
from ocinet.engine.access import EGRESS_NAMES, Access
from ocinet.engine.plan.access import may_be_left_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.base.address import Address, Subnet
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.ruleset.elements import Element
    from ocinet.engine.storage import Records, Seen

    # By id of a container, what the table holds of it by now.
    Undone = dict[str, tuple[Element, ...]]

KEPT_S = 300  # after it was answered for the last time, once something else is
_PATIENCE_S = 2.0


def wanted_names(records: Records) -> tuple[str, ...]:
    """Return the names that containers speak of, sorted."""
    noted = records.mentions().all()
    return tuple(sorted({name for network, name, _ in noted if network == EGRESS_NAMES}))


def names_by_container(records: Records) -> dict[str, tuple[str, ...]]:
    """Return the names that each container speaks of, by its id."""
    found: dict[str, tuple[str, ...]] = {}
    for network, name, container_id in records.mentions().all():
        if network == EGRESS_NAMES:
            found[container_id] = (*found.get(container_id, ()), name)
    return found


def follow(
    operation: Operation,
    machine: Machine,
    records: Records,
    answers: Mapping[str, tuple[Address, ...]],
    now_s: int,
    undone: Undone,
) -> None:
    """Have who speaks of these names reach what they lead to by now, and nothing else by them.

    Args:
        operation: by whose locks and log it goes.
        machine: whose table it is.
        records: of all containers.
        answers: of names that were looked up; those that were not stay as they are.
        now_s: seconds since the boot.
        undone: whom it has still to be done for, by id, each with what the table holds of it.
            Who is at work on one leaves it there: for the next time.
    """
    before = records.resolved().all()
    wanted = wanted_names(records)
    allowed, refused = _parted(machine, records, answers)
    after = {name: before[name] for name in wanted if name in before}
    for name in answers:
        if name in wanted:
            after[name] = _seen(before.get(name, {}), allowed[name], now_s)
    changed = [name for name in after if set(before.get(name, ())) != set(after[name])]
    _tell(operation, refused, before)
    _tell_nowhere(operation, [name for name in answers if not answers[name]], before, after)
    mentions = records.mentions()
    for each in {each for name in changed for each in mentions.meant_by(EGRESS_NAMES, name)}:
        if each not in undone:
            undone[each] = Access(records, each).held(records.attachments.get(each))
    records.resolved().put(after)
    locks = operation.locks.patient(_PATIENCE_S)
    for container_id in sorted(undone):
        try:
            with locks.container(container_id):
                record = records.attachments.get(container_id)
                if record:
                    Access(records, container_id).follow(undone[container_id], record, machine)
        except BusyError:  # whoever is stopped, or hangs, keeps nobody else's from being followed
            continue
        del undone[container_id]


def _parted(
    machine: Machine, records: Records, answers: Mapping[str, tuple[Address, ...]]
) -> tuple[dict[str, tuple[Address, ...]], dict[str, tuple[Address, ...]]]:
    """Part what may be left for from what no name opens."""
    own = {interface.address for interface in machine.links.addresses(0)}
    inside: tuple[Subnet, ...] = tuple(
        pool.subnet for network in records.networks.readable() for pool in network.pools
    )
    allowed = {
        name: tuple(each for each in found if may_be_left_for(each, own, inside))
        for name, found in answers.items()
    }
    refused = {
        name: tuple(each for each in found if each not in allowed[name])
        for name, found in answers.items()
    }
    return allowed, {name: found for name, found in refused.items() if found}


def _seen(
    before: Mapping[Address, int], answered: tuple[Address, ...], now_s: int
) -> dict[Address, int]:
    lately = {each: when for each, when in before.items() if now_s - when < KEPT_S}
    return {**lately, **dict.fromkeys(answered, now_s)}


def _tell(operation: Operation, refused: Mapping[str, tuple[Address, ...]], before: Seen) -> None:
    """Leave an event where a name leads to what no name opens, the first time it is looked up."""
    for name, found in refused.items():
        if name not in before:
            where = ", ".join(map(str, found))
            operation.log.append(
                "name opens nothing", what=f"{name} leads to {where}",
                why="no name opens the host, its links, or other networks: write the address",
            )  # fmt: skip


def _tell_nowhere(operation: Operation, unknown: list[str], before: Seen, after: Seen) -> None:
    """Leave an event where a name has no address, by its resolver, and nothing is open for it."""
    for name in unknown:
        was_open = name not in before or bool(before[name])
        if was_open and not after.get(name, True):
            operation.log.append(
                "name opens nothing", what=f"{name} leads nowhere",
                why="its resolver says that it has no address: see how it is spelled",
            )  # fmt: skip

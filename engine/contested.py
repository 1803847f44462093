"""Names that two containers of a network want: told, and given on when their holder goes.

Who gets a name, `model.name_holders` says, and the name server's lines are written by it.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.lost_names import tell_lost, why_lost
from ocinet.engine.model.served import ELSEWHERE
from ocinet.engine.waiting_names import note_wanted, serve_anew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def settle_contested(
    operation: Operation,
    machine: Machine,
    records: Records,
    record: Attachment,
    contested: tuple[tuple[str, Contested], ...],
) -> None:
    """Have a container that was attached get names of the dead, and tell of the rest.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the name server.
        records: of all containers, the container's own among them.
        record: the container's.
        contested: what was found, each with its network.
    """
    own = record.container.id
    freed = {
        network
        for network, each in contested
        if each.loser == own
        and each.holder
        and not each.holder.startswith(ELSEWHERE)  # whether that lives, its host knows
        and _end_dead(operation, machine, records, network, each)
    }
    for network in sorted(freed):
        try:
            serve_anew(machine, records, record, (network,))
        except OcinetError as error:  # it is found by its other names, as before
            freed.remove(network)
            machine.warnings.append(f"on {network} it is not found by all its names: {error}")
    # Of those networks the second look counts.
    contested = (
        *(pair for pair in contested if pair[0] not in freed or pair[1].loser != own),
        *machine.take_contested(),
    )
    for network, each in contested:
        note_wanted(records, network, each)
        if each.loser == own:
            machine.warnings.append(why_lost(records, network, each))
        else:
            tell_lost(operation, records, network, each, own)


def _end_dead(
    operation: Operation, machine: Machine, records: Records, network: str, each: Contested
) -> bool:
    """Tell whether who has a name is gone, having taken down what was left of it."""
    from ocinet.engine.detach import Detach

    try:
        if not Detach(operation, machine, records).take_down_dead(each.holder):
            return False
        machine.name_server.leave(network, each.holder)  # a line of who has no record
    except OcinetError:
        return False  # whoever is at work on it
    return True

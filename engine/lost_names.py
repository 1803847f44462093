"""Who is not found by a name that it should have: told, with who has it instead."""

from __future__ import annotations

from ocinet.base.events import WARNED
from ocinet.engine.model.served import ELSEWHERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.operation import Operation
    from ocinet.engine.storage import Records


def tell_lost(
    operation: Operation, records: Records, network: str, each: Contested, newcomer: str
) -> None:
    """Leave an event for who is not found by a name that it should have.

    Args:
        operation: by whose log it goes.
        records: of all containers.
        network: where it is so.
        each: the name, and who has it.
        newcomer: the id of the one that has come: whose name another's alias may be by now.
    """
    if each.loser.startswith(ELSEWHERE):
        return  # its own host tells of it
    name = _name_of(records, each.loser)
    why = why_lost(records, network, each)
    if each.loser != newcomer:
        why = (
            f"its alias {each.name} is another one's name on {network} by now,"
            f" {_name_of(records, each.holder)}'s: it is found by its other names"
        )
    operation.log.append(WARNED, container=each.loser, name=name, warning=why)


def why_lost(records: Records, network: str, each: Contested) -> str:
    """Return why a container is not found by a name, for people."""
    if not each.holder:
        return f"nobody finds it on {network} by {each.name}, which is the host's own name"
    if each.holder.startswith(ELSEWHERE):
        from ocinet.engine.model.elsewhere import shown_elsewhere

        return (
            f"nobody finds it on {network} by {each.name}, which is the name of a container on"
            f" another host, {shown_elsewhere(each.holder)}: it gets it when that one goes"
        )
    return (
        f"nobody finds it on {network} by {each.name}, which is the name of another container"
        f" there, {_name_of(records, each.holder)} ({each.holder[:12]}): it gets it when that one"
        " goes"
    )


def _name_of(records: Records, container_id: str) -> str:
    known = records.attachments.get(container_id)
    return known.container.name if known else container_id[:12]

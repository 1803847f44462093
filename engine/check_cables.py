"""Comparing links between two containers with their definitions, and mending them."""

from __future__ import annotations

from ocinet.base.errors import BusyError, OcinetError
from ocinet.engine.plugging import Plugging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.storage import Records

    class Note(Protocol):
        """Takes what was found."""

        def __call__(
            self,
            container: str,
            what: str,
            failed: OcinetError | None = None,
            *,
            repaired: bool = False,
        ) -> None:
            """Note it."""


KIND = "sandbox"  # of a repair, as figures count it


def check_cables(
    operation: Operation,
    host: Host,
    records: Records,
    living: list[Attachment],
    may_repair: Callable[[str, str], bool],
    note: Note,
) -> None:
    """Compare the links that name some of these containers.

    Args:
        operation: by whose time, locks and log it goes.
        host: on which they are.
        records: of links and containers.
        living: whose links are looked at.
        may_repair: whether what is found is put right, by whose it is and what.
        note: takes what was found.
    """
    cables, flaws = records.cables().sorted_out()
    for name, why in flaws:
        note("", f"the link {name} can't be read: {why}")
    plugging = Plugging(operation, host, records)
    for cable in cables:
        if not any(cable.names(record.container) for record in living):
            continue
        whose = cable.ends[0].container
        try:
            state = plugging.state(cable)
        except OcinetError as error:
            note(whose, f"the link {cable.name} can't be looked at", error)
            continue
        if not state.flaws:
            continue
        what = f"the link {cable.name}: {'; '.join(state.flaws)}"
        tried = may_repair(whose, what)
        failed: OcinetError | None = None
        if tried:
            try:
                plugging.plug(cable)
            except BusyError:
                continue  # somebody is at work on one of the two
            except OcinetError as error:
                failed = error
            else:
                operation.log.append("repaired", container=whose, what=what, kinds=[KIND])
        note(whose, what, failed, repaired=tried and not failed)

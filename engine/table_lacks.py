"""What our table lacks of what is recorded, seen while nobody is at work on it."""

from __future__ import annotations

from ocinet.base.errors import BusyError
from ocinet.engine.mend import is_at_work
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.storage import recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.storage import Records

_TRIES = 5
_GONE = "the table inet ocinet is gone"


def lacks_of_table(
    operation: Operation, records: Records, firewall: seams.Firewall
) -> tuple[str, ...]:
    """Return what our table lacks, by line.

    Args:
        operation: by whose locks it goes; it waits for who is at work.
        records: what the table has to hold.
        firewall: that has it.

    Raises:
        OcinetError: it can't be looked at.
    """
    lines: tuple[str, ...] = ()
    for _try in range(_TRIES):
        expected = recorded(records, operation.boot_id)
        if not expected[0]:
            return ()
        if firewall.observe().table:
            lines = firewall.flaws(*expected)
        else:
            lines = (_GONE,)
            if _is_anyone_attached(operation, records) and not firewall.observe().table:
                break  # whoever is at work, others wait for it
        # A port is closed before the record of its end is written, and the first attach is
        # on record before it makes the table: that is no damage, nor is what came to its
        # end between the two lists.
        if not lines:
            break
        try:
            was_busy = _await_others(operation, records)
        except BusyError:
            break  # who is stopped, or hangs, keeps nobody else from being mended
        if not was_busy and recorded(records, operation.boot_id) == expected:
            break
    return lines


def _is_anyone_attached(operation: Operation, records: Records) -> bool:
    """Tell whether our table has been made in this boot: an attach ends after that."""
    return any(
        record.state == ATTACHED and record.boot_id == operation.boot_id
        for record in records.attachments.all()
    )


def _await_others(operation: Operation, records: Records) -> bool:
    """Wait for who is at work on a container; tell whether there was anyone."""
    busy = [record for record in records.attachments.all() if is_at_work(operation, record)]
    for record in busy:
        with operation.locks.container(record.container.id):
            pass
    return bool(busy)

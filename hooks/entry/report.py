"""How failures are told: one line on stderr, and the event log.

crun and podman throw a hook's stderr away, so what failed is in the event log as well.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.errors import OcinetError
    from ocinet.base.events import EventLog


def logged(
    error: OcinetError, log: EventLog, event: str, *, what: str, **fields: str
) -> OcinetError:
    """Return an error as the whole act's, having written it to the event log.

    Args:
        error: of a part of the act.
        log: is told.
        event: as the log has it.
        what: could not be done.
        fields: the `container`'s id that it was done for, that one's `name`; and the `act`,
            attach or detach, where the event may be of either.
    """
    whole = error.within(what)
    log.append(event, **fields, cause=whole.cause, error=str(whole))
    return whole


def internal(error: Exception) -> str:
    """Return the line for an error that is a fault of ours, with the place that it was raised at.

    Stands in for a traceback, of which a runtime would show the first line or the last. What is
    loaded late, and can't be just now, as without descriptors or memory, is no fault of ours.
    """
    if isinstance(error, ImportError):
        return f"cannot load a part of ocinet: {error}"
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    return f"internal error: {type(error).__name__}: {error}{place}"


def say(line: str) -> None:
    """Write one line to stderr, if there is one."""
    # One line: runc quotes it within its own error, and Docker that one within its own.
    shown = " ".join(line.splitlines())
    try:
        posix.write(2, f"ocinet: {shown}\n".encode(errors="backslashreplace"))
    except OSError:
        return

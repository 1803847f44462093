"""Why a container has no network: its last failure, as the event log has it.

crun and podman throw away what a hook says, and a watcher's log is the service's. What
failed is in the event log whichever door it was; the log keeps the last of each container.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.base.events import ENDED_UNSERVED, FAILURES, OVER
from ocinet.base.value import Value
from ocinet.picture.event_lines import parse, read_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_MOST = 20  # each start of a `run --rm` that fails is a container of its own


class Failure(Value):
    """That a container was not attached, and why.

    Attributes:
        container: its whole id.
        name: or "".
        time: RFC 3339.
        door: hook, wrapper, watcher, or "".
        error: the line that was told.
    """

    container: str
    name: str
    time: str
    door: str
    error: str

    def encode(self) -> dict[str, str | None]:
        """Return it as the JSON object that is printed."""
        return {"time": self.time, "door": self.door or None, "error": self.error}


def read_failures(run_dir: str) -> dict[str, Failure]:
    """Return who was not attached, and has neither been since nor ended.

    Args:
        run_dir: where the event log is.

    Returns:
        By container id, the last one last.

    Raises:
        SystemFailure: the log is there and can't be read.
    """
    lines = read_lines(run_dir)
    # What stands before the first of them is nobody's matter: JSON of a full log is 30 ms.
    first = next(
        (at for at, line in enumerate(lines) if any(map(line.__contains__, FAILURES))), None
    )
    return last_failures(parse(lines[first:])) if first is not None else {}


def last_failures(events: Iterable[dict[str, Any]]) -> dict[str, Failure]:
    """Return the failures that still stand, at most the last 20.

    A later one of the same name takes a failure's place, and so does its success: who
    mends the command and runs it again gets another id.

    Args:
        events: of the log, in their order.
    """
    standing: dict[str, Failure] = {}
    for event in events:
        kind, container = event.get("event"), str(event.get("container", ""))
        if not container or kind not in (*FAILURES, *OVER):
            continue
        name = str(event.get("name", ""))
        gone = [container]
        if name and kind not in ("detached", ENDED_UNSERVED):
            gone += [failure.container for failure in standing.values() if failure.name == name]
        known = standing.get(container)
        for container_id in gone:
            standing.pop(container_id, None)
        if kind in FAILURES:
            told = (str(event.get(key, "")) for key in ("time", "door", "error"))
            standing[container] = Failure(container, name or (known.name if known else ""), *told)
    return dict(list(standing.items())[-_MOST:])


def find_failure(failures: dict[str, Failure], text: str) -> Failure | None:
    """Return the failure of a container by its name, its id or the start of that.

    Raises:
        ConflictError: it is the start of several ids.
    """
    named = [failure for failure in failures.values() if text in (failure.name, failure.container)]
    if named:
        return named[-1]
    begun = [failure for failure in failures.values() if failure.container.startswith(text)]
    if len(begun) > 1:
        raise ConflictError("", f"{text} is the start of {len(begun)} ids", "write more of it")
    return begun[0] if begun else None

"""How the names of networks fare, for people: whether they are served, by what, and why not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from ocinet.base.value import Value
from ocinet.engine.plan.serving import served_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records

OFF, MISSING, IDLE, SERVING = "off", "missing", "idle", "serving"
_TOLD_S = 2


class NamesReport(Value):
    """What there is to say.

    Attributes:
        state: off by the settings; missing, the program; idle while nobody is on a network;
            serving.
        program: its path, or "".
        version: as it tells, or "".
        pid: of the server, or 0.
        flaws: networks whose names can't be served, each with why and what helps.
    """

    state: str
    program: str = ""
    version: str = ""
    pid: int = 0
    flaws: tuple[tuple[str, str], ...] = ()


def report_names(operation: Operation, machine: Machine, records: Records) -> NamesReport:
    """Return how names fare.

    Args:
        operation: with the settings.
        machine: with the name server.
        records: of networks, and of who is on them.

    Raises:
        OcinetError: the server's files can't be read.
    """
    if not operation.settings.names:
        return NamesReport(OFF)
    state = machine.name_server.state()
    flaws = tuple(_flaws(machine, records))
    if not state.program:
        return NamesReport(MISSING, flaws=flaws)
    kind = SERVING if state.pid else IDLE
    return NamesReport(kind, state.program, _version(state.program), state.pid, flaws)


def _flaws(machine: Machine, records: Records) -> Iterator[tuple[str, str]]:
    """Yield the networks that somebody is on and that can't be served."""
    used = {end.network for record in records.attachments.all() for end in record.endpoints}
    for network in records.networks.readable():
        where = served_network(network)
        if where and network.name in used:
            why = machine.name_server.flaw(where)
            if why:
                yield network.name, why


def _version(program: str) -> str:
    """Return the last word of `aardvark-dns 1.4.0`."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_TOLD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = told.stdout.split()
    return words[-1] if words else ""

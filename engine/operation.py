"""What one operation goes by: its time, this boot, the settings, its locks and its log."""

from __future__ import annotations

from ocinet.base.events import WARNED
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.base.clock import Deadline, Process
    from ocinet.base.errors import OcinetError
    from ocinet.engine.locks import Locks
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.plan.steps import Step

    class Log(Protocol):
        """Where what was done is told."""

        def append(self, event: str, **fields: object) -> None:
            """Add one event: a short phrase, and values by name."""

    class Neighbours(Protocol):
        """Knows what another allocator has given out on an adopted bridge."""

        def __call__(self, network: Network) -> Mapping[Address, str]:
            """Return its addresses, each with who has it, as "Docker's container db".

            Asked at each attach to a network that is not managed, under the
            container's lock and no other. It raises nothing and waits briefly:
            whom it does not know of, the probe finds.
            """


def is_alive(process: Process) -> bool:
    """Tell whether a process runs, as /proc says."""
    return process.alive


def no_trace(step: Step) -> None:
    """Stand where a test may stop, fail or kill before a step."""


def no_neighbours(network: Network) -> Mapping[Address, str]:  # noqa: ARG001  the form asked for
    """Stand where nobody can be asked, as in a hook that its engine waits for."""
    return {}


class Operation(Value):
    """What one operation goes by.

    Attributes:
        deadline: of the whole operation, its waits for locks included.
        boot_id: of this boot.
        settings: the operator's, in force.
        locks: containers', and the global one.
        log: where events are told.
        trace: called before each step of a plan.
        neighbours: who else has which address of an adopted bridge.
        is_alive: tells whether a process runs.
        settings_flaw: why the settings can't be read; those above are the
            defaults then, by which nothing may be made.
    """

    deadline: Deadline
    boot_id: str
    settings: Settings
    locks: Locks
    log: Log
    trace: Callable[[Step], None] = staticmethod(no_trace)
    neighbours: Neighbours = staticmethod(no_neighbours)
    is_alive: Callable[[Process], bool] = staticmethod(is_alive)
    settings_flaw: OcinetError | None = None

    def check_settings(self) -> None:
        """Refuse to make anything by settings that are not the operator's.

        Raises:
            OcinetError: they can't be read.
        """
        if self.settings_flaw:
            raise self.settings_flaw

    def tell_warnings(self, container: Container, warnings: Iterable[str]) -> None:
        """Leave an event for each thing that could not be done for a container but need not."""
        for warning in warnings:
            self.log.append(WARNED, container=container.id, name=container.name, warning=warning)

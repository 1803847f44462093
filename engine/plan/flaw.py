"""What is left of a container's wiring, and what of it is not as its record has it."""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.link import InsideLink, Link
from ocinet.engine.model.network import Network
from ocinet.engine.plan.own_steps import Explain
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.model.bandwidth import Bandwidth


class Left(Value):
    """What is left of a container's wiring, as it was seen.

    Attributes:
        host_ends: those of the host's ends that are there.
        inside: the interfaces of its sandbox; None: nobody looks, for what is otherwise
            in there may be what the container wants.
        named: whether its name, if it has one, shows its sandbox.
        guards: names of host ends, each with the program of its filter, b"" for none.
        strict: whether it is an error where one can't be guarded.
        sysctls: of the sandbox, each with its value.
        shapes: names of host ends that are to have limits, each with those that it has.
        absent: addresses that packets are to leave with, and that the host has not.
    """

    host_ends: tuple[Link, ...]
    inside: tuple[InsideLink, ...] | None
    named: bool = True
    guards: tuple[tuple[str, bytes], ...] = ()
    strict: bool = True
    sysctls: tuple[tuple[str, str | None], ...] = ()
    shapes: tuple[tuple[str, Bandwidth | None], ...] = ()
    absent: tuple[Address, ...] = ()


class Connected(Value):
    """An endpoint, and how its interface is to be.

    Attributes:
        endpoint: as it is on record.
        network: that it is on.
        is_reached: whether published ports lead to it.
        alias: of its links of the host.
    """

    endpoint: Endpoint
    network: Network
    is_reached: bool
    alias: str


class Flaw(Value):
    """One thing that is not as a record has it.

    Attributes:
        text: what, in one line.
        steps: that put it right.
    """

    text: str
    steps: tuple[Step, ...]

    @property
    def manual(self) -> bool:
        """Whether the operator alone can mend it: by the settings, or in others' tables."""
        return all(isinstance(step, Explain) for step in self.steps)

"""The steps that have a container send nothing to some destinations.

Routes that refuse are through no interface, so they do not go with one.
"""

from __future__ import annotations

from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.request import Route
    from ocinet.engine.plan.machine import Machine


class Refuse(Step):
    """Have a sandbox refuse what is for the destinations of routes.

    Attributes:
        routes: each of a kind that refuses.
        netns: as in `AddVeth`.
        tables: of what is sent from addresses of its own, by family: each is looked up before
            the main one, and has to refuse as well.
        stays: whether it was asked for before, and is to stay if what follows fails.
    """

    routes: tuple[Route, ...]
    netns: str
    tables: tuple[tuple[int, int], ...] = ()
    stays: bool = False

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        commands = []
        for route in self.routes:
            add = f"ip -n {self.netns} -{route.destination.family} route add {route}"
            commands += [] if self.stays else [add]
            commands += [
                f"{add} table {table}"
                for family, table in self.tables
                if family == route.destination.family
            ]
        return tuple(commands)

    def apply(self, machine: Machine) -> bool:
        """Add the routes."""
        return machine.marks.refuse(machine.sandbox, self.routes)

    def inverse(self) -> Step | None:
        """Return their end; None where they stay."""
        return None if self.stays else Unrefuse(self.routes, self.netns)


class Unrefuse(Step):
    """Have a sandbox send to these destinations as to all others; see `Refuse`."""

    routes: tuple[Route, ...]
    netns: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return tuple(
            f"ip -n {self.netns} -{route.destination.family} route del {route}"
            for route in self.routes
        )

    def apply(self, machine: Machine) -> bool:
        """Delete the routes; not there is fine."""
        return machine.marks.refuse(machine.sandbox, self.routes, ended=True)

    def inverse(self) -> Step:
        """Return their beginning."""
        return Refuse(self.routes, self.netns)

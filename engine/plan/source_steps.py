"""The steps that have a container on several networks answer by the one that it was asked at."""

from __future__ import annotations

from ocinet.engine.model.link import SOURCE_PRIORITY, SourceWay
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.plan.machine import Machine


class RouteBySource(Step):
    """Have what a sandbox sends from an address leave by that address's interface.

    Without it everything that is for nobody on its own links takes the one default route, and
    what is for another network's takes that link, whoever it answers: past the NAT of
    published ports. With rp_filter=1 the request is not even taken.

    Attributes:
        ways: of all its addresses that have a gateway.
        netns: as in `AddVeth`.
    """

    ways: tuple[SourceWay, ...]
    netns: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        commands = []
        for way in self.ways:
            ip = f"ip -n {self.netns} -{way.address.address.family}"
            table = f"dev {way.ifname} table {way.table}"
            onlink = "" if way.gateway in way.address.subnet else " onlink"
            commands += [
                f"{ip} rule add priority {SOURCE_PRIORITY} from {way.address.address}"
                f" lookup {way.table}",
                f"{ip} route add {way.address.subnet} {table}",
                f"{ip} route add default via {way.gateway} {table}{onlink}",
            ]
        return tuple(commands)

    def apply(self, machine: Machine) -> bool:
        """Do it; what the kernel refuses is noted: a container gets on without, as before."""
        machine.warnings += machine.insides.route_by_source(machine.sandbox, self.ways)
        return True

    def inverse(self) -> Step | None:
        """Return None: the routes go with the interfaces, and without them the rules do nothing."""
        return None


class UnrouteBySource(Step):
    """Have what a sandbox sends from these addresses take the way of everything else.

    A rule that is left would lead whoever has that interface's name next.

    Attributes:
        ways: of addresses that go, or that have the one way that is left.
        netns: as in `AddVeth`.
    """

    ways: tuple[SourceWay, ...]
    netns: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return tuple(
            f"ip -n {self.netns} -{way.address.address.family} rule del priority"
            f" {SOURCE_PRIORITY} from {way.address.address} lookup {way.table}"
            for way in self.ways
        )

    def apply(self, machine: Machine) -> bool:
        """Do it."""
        machine.insides.unroute_by_source(machine.sandbox, self.ways)
        return True

"""The steps that make a link between two sandboxes, and take it away.

The machine has both: `sandbox` is that of the first end, `far` that of the second.
"""

from __future__ import annotations

from ocinet.engine.model.link import LINK_GROUP, Inside
from ocinet.engine.plan.own_steps import ConfigureInside
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.plan.machine import Machine


class LayCable(Step):
    """Make a veth pair, each end born in its sandbox, where it stays.

    Attributes:
        cable: which link.
        netns: how `ip -n` reaches the two sandboxes; for people alone.
    """

    cable: Cable
    netns: tuple[str, str]

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        mtu = self.cable.mtu
        near, far = (
            f"{end.ifname} address {end.mac} mtu {mtu} group {LINK_GROUP} netns {netns}"
            for end, netns in zip(self.cable.ends, self.netns, strict=True)
        )
        return (f"ip link add {near} type veth peer name {far}",)

    def apply(self, machine: Machine) -> bool:
        """Make it."""
        made = machine.insides.lay(machine.sandbox, machine.far, self.cable)
        for number, pair in enumerate(made):
            machine.pairs[_key(self.cable, number)] = pair
        return True

    def inverse(self) -> Step:
        """Return its removal."""
        return PullCable(self.cable, self.netns)


class PullCable(Step):
    """Delete what there is of a link, by either end: the other goes with it."""

    cable: Cable
    netns: tuple[str, str]

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"ip -n {self.netns[0]} link del {self.cable.ends[0].ifname}",)

    def apply(self, machine: Machine) -> bool:
        """Delete it; both ends are looked for, for each may have lost the other."""
        near, far = self.cable.ends
        gone = machine.insides.unplug(machine.sandbox, near.ifname, near.mac)
        return machine.insides.unplug(machine.far, far.ifname, far.mac) or gone

    def inverse(self) -> Step:
        """Return its making."""
        return LayCable(self.cable, self.netns)


class ConfigureEnd(Step):
    """Give one end of a link its addresses and routes, and set it up.

    Attributes:
        cable: which link.
        number: of the end: 0 or 1.
        netns: of that end's sandbox.
    """

    cable: Cable
    number: int
    netns: str

    @property
    def _inside(self) -> Inside:
        return self.cable.ends[self.number].inside(self.cable.mtu)

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return ConfigureInside(self._inside, self.netns, "").describe()

    def apply(self, machine: Machine) -> bool:
        """Enter the sandbox once, and configure it in one batch."""
        sandbox = machine.far if self.number else machine.sandbox
        pair = machine.pairs.get(_key(self.cable, self.number))
        machine.warnings += machine.insides.configure(sandbox, self._inside, pair)
        return True

    def inverse(self) -> Step | None:
        """Return None: all of it goes with the link."""
        return None


def plan_cable(cable: Cable, netns: tuple[str, str], *, lay: bool, pull: bool) -> tuple[Step, ...]:
    """Return the steps by which a link is as it is defined.

    Args:
        cable: the definition.
        netns: how `ip -n` reaches the two sandboxes.
        lay: whether it has to be made.
        pull: whether something of it is there that has to go first.
    """
    steps: list[Step] = []
    if pull:
        steps.append(PullCable(cable, netns))
    if lay:
        steps.append(LayCable(cable, netns))
    steps += [ConfigureEnd(cable, number, netns[number]) for number in (0, 1)]
    return tuple(steps)


def _key(cable: Cable, number: int) -> str:
    """Return by which name the machine knows an end that was made."""
    return f"{cable.name}/{number}"

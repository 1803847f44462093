"""Keeping from being forwarded what was not before we switched forwarding on.

Forwarding is one switch for all links of a host. Where it was off, the first network
makes a router of the host, between whatever networks it has a foot in: so what is
neither from nor to a bridge of a network is dropped, as long as it was us. Whose it was,
the value tells (`FORWARDED`). Cold: most attaches find forwarding on.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.forward_guard import ForwardGuard
from ocinet.engine.model.forwarding import FORWARD_IPV4, FORWARD_IPV6, FORWARDED
from ocinet.engine.plan.own_steps import make_table
from ocinet.engine.plan.steps import Step
from ocinet.engine.ruleset.nft import guard_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocinet.engine.model.settings import Settings
    from ocinet.engine.plan.machine import Machine

FORWARD = {4: FORWARD_IPV4, 6: FORWARD_IPV6}
_NOTE = "# what is neither from nor to a network is dropped, unless guard_forwarding = false"


class GuardForwarding(Step):
    """Drop what is neither from nor to a bridge of a network.

    Attributes:
        family: 4 or 6.
        apart: whether others' bridges that are there are kept apart, too: before
            forwarding is on. Afterwards their owners may count on it.
    """

    shared = True
    family: int
    apart: bool = True

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same, but for others' bridges."""
        return (f"{guard_text(ForwardGuard(self.family))} {_NOTE}",)

    def apply(self, machine: Machine) -> bool:
        """Note what is there, and enter it."""
        before = machine.guards.all()
        known = {guard.family: guard for guard in before}
        # Who was there before stays so, if forwarding is switched on again.
        if self.family not in known:
            bridges = machine.bridges.others() if self.apart else ()
            known[self.family] = ForwardGuard(self.family, bridges)
        # Noted first: whoever makes the table anew meanwhile has it in.
        machine.guards.put(tuple(known[family] for family in sorted(known)))
        try:
            if machine.firewall.open((), (), (known[self.family],)):
                make_table(machine)
        except OcinetError:
            machine.guards.put(before)
            raise
        return True

    def inverse(self) -> Step:
        """Return its end."""
        return UnguardForwarding(self.family)


class UnguardForwarding(Step):
    """Drop nothing any more that is none of our networks'.

    Attributes:
        family: 4 or 6.
    """

    shared = True
    family: int

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (guard_text(ForwardGuard(self.family), verb="delete"),)

    def apply(self, machine: Machine) -> bool:
        """Forget it, and take it out of our table."""
        guards = machine.guards.all()
        ended = tuple(guard for guard in guards if guard.family == self.family)
        if not ended:
            return False
        machine.guards.put(tuple(guard for guard in guards if guard.family != self.family))
        try:
            machine.firewall.close((), ended)
        except OcinetError:
            machine.guards.put(guards)  # it is in the table still
            raise
        return True

    def inverse(self) -> Step:
        """Return its beginning."""
        return GuardForwarding(self.family, apart=False)


def plan_guards(
    switched_on: Iterable[int],
    values: Mapping[int, str],
    guards: tuple[ForwardGuard, ...],
    settings: Settings,
) -> list[Step]:
    """Return the steps that guard what has to be, before forwarding is switched on.

    Args:
        switched_on: families whose forwarding is about to be switched on by us.
        values: of each family's sysctl, "" if it was not read.
        guards: that are on record.
        settings: the operator's.
    """
    steps: list[Step] = []
    if settings.guard_forwarding and settings.manage_sysctls:
        steps += map(GuardForwarding, switched_on)
    return steps + [UnguardForwarding(family) for family in _of_others(values, guards)]


def plan_guard_repair(
    values: Mapping[int, str], guards: tuple[ForwardGuard, ...], settings: Settings
) -> tuple[tuple[str, Step], ...]:
    """Return what of the guards is not as it should be, each with the step that puts it right.

    Args:
        values: of each family's sysctl.
        guards: that are on record.
        settings: the operator's.
    """
    steps: list[GuardForwarding | UnguardForwarding]
    steps = [UnguardForwarding(family) for family in _of_others(values, guards)]
    known = [guard.family for guard in guards]
    for family, value in values.items():
        if value != FORWARDED or settings.guard_forwarding == (family in known):
            continue
        if family in known:
            steps.append(UnguardForwarding(family))
        else:
            steps.append(GuardForwarding(family, apart=False))
    return tuple((guard_flaw(step), step) for step in steps)


def guard_flaw(step: GuardForwarding | UnguardForwarding) -> str:
    """Say why a step is needed."""
    what = f"IPv{step.family} packets that are neither from nor to a network are"
    if isinstance(step, GuardForwarding):
        return f"{what} not dropped, and ocinet has switched their forwarding on"
    key = FORWARD[step.family]
    return f"{what} dropped, and somebody wants them forwarded: by the settings, or by {key}"


def _of_others(values: Mapping[int, str], guards: tuple[ForwardGuard, ...]) -> list[int]:
    """Return the families that are guarded, and that somebody else has switched on since."""
    return [
        guard.family for guard in guards if values.get(guard.family, "") not in ("", "0", FORWARDED)
    ]

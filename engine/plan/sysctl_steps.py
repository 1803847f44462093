"""The step that sets kernel parameters in a sandbox."""

from __future__ import annotations

from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.endpoint import InsideSysctl
    from ocinet.engine.plan.machine import Machine


class SetInside(Step):
    """Give kernel parameters of a sandbox their values.

    Attributes:
        sysctls: that are set.
        netns: as in `AddVeth`.
    """

    sysctls: tuple[InsideSysctl, ...]
    netns: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        by_path = "/" in self.netns  # which `ip netns exec` does not take
        enter = f"nsenter --net={self.netns}" if by_path else f"ip netns exec {self.netns}"
        return tuple(f"{enter} sysctl -w '{known.key}={known.value}'" for known in self.sysctls)

    def apply(self, machine: Machine) -> bool:
        """Set them."""
        wanted = tuple((known.key, known.value) for known in self.sysctls)
        machine.marks.sysctls(machine.sandbox, wanted)
        return True

    def inverse(self) -> Step | None:
        """Return what puts those back that do not go with the interface."""
        return restoring(self.sysctls, self.netns)


def restoring(sysctls: tuple[InsideSysctl, ...], netns: str) -> SetInside | None:
    """Return the step that gives parameters the values that they had; None without any."""
    former = tuple(
        known.replace(value=known.before, before=known.value)
        for known in sysctls
        if known.before is not None
    )
    return SetInside(former, netns) if former else None

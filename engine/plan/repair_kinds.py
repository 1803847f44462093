"""Of which kind a repair is: the few words that figures count repairs by."""

from __future__ import annotations

from ocinet.engine.plan.closing import CloseBridge
from ocinet.engine.plan.guard import GuardForwarding, UnguardForwarding
from ocinet.engine.plan.name_steps import WriteNames
from ocinet.engine.plan.own_steps import ConfigureInside, NameSandbox, OpenFirewall, RaiseLoopback
from ocinet.engine.plan.passage_steps import AcceptForward, JoinZone
from ocinet.engine.plan.port_steps import AddVeth, GuardPort, JoinBridge, SetHairpin, Unplug
from ocinet.engine.plan.refusal_steps import Refuse
from ocinet.engine.plan.shaping_steps import Shape
from ocinet.engine.plan.shared_steps import MakeBridge, MakeTable, RouteLoopback, SetSysctl
from ocinet.engine.plan.source_steps import RouteBySource
from ocinet.engine.plan.sysctl_steps import SetInside
from ocinet.engine.plan.uplink_steps import FollowUplinks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.plan.flaw import Flaw
    from ocinet.engine.plan.steps import Step

TABLE, SYSCTL, NAME, LEFTOVER, OTHER = "table", "sysctl", "name", "leftover", "other"
_KINDS: dict[str, tuple[type[Step], ...]] = {
    TABLE: (MakeTable, OpenFirewall),
    "bridge": (MakeBridge,),
    "closing": (CloseBridge, RouteLoopback),
    SYSCTL: (SetSysctl, SetInside, GuardForwarding, UnguardForwarding),
    "passage": (AcceptForward, JoinZone),
    "port": (AddVeth, JoinBridge, GuardPort, SetHairpin, Shape, Unplug),
    "sandbox": (ConfigureInside, RaiseLoopback, RouteBySource, Refuse),
    NAME: (NameSandbox, WriteNames),
    "uplinks": (FollowUplinks,),
}
# What nobody claims is removed, not put back.
KINDS = (*_KINDS, LEFTOVER, OTHER)


def kinds_of(flaws: Iterable[Flaw]) -> list[str]:
    """Return the kind of each flaw: that of the first step that puts it right."""
    return [_kind(flaw.steps[0]) if flaw.steps else OTHER for flaw in flaws]


def _kind(step: Step) -> str:
    for kind, steps in _KINDS.items():
        if isinstance(step, steps):
            return kind
    return OTHER

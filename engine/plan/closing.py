"""Keeping a network closed while our table is not there.

Somebody flushes the ruleset, or restarts a service that does: from then on forwarding and
`route_localnet` are on, and nothing says who reaches whom, until the table is made again.
So a bridge bears filters of its own (`ruleset.filters`), and an internal network's packets
have a routing rule that leads nowhere. Both are set when the bridge is made, not for each
container. Cold: most attaches find the bridge there.
"""

from __future__ import annotations

from errno import EAFNOSUPPORT, EOPNOTSUPP

from ocinet.base.errors import KernelError
from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.model.network import Network
from ocinet.engine.model.routing import OUR_PROTOCOL, RoutingRule
from ocinet.engine.plan.port_steps import bytecode
from ocinet.engine.plan.shared_steps import DeviceStep, put_filters
from ocinet.engine.plan.steps import Step
from ocinet.engine.ruleset.filters import filters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.settings import Settings
    from ocinet.engine.plan.machine import Machine

_FAMILIES = (4, 6)
# After the table of the host's own addresses, which has 0, before whatever others have: an
# internal network reaches the host.
_PRIORITY = 1


class CloseBridge(DeviceStep):
    """Set what keeps a managed network's bridge closed without our table.

    Attributes:
        filters: that it is to bear.
        internal: whether nothing of it is forwarded anywhere.
        strict: whether it is an error that this kernel has no such filters; else it is
            told, and the network does without.
    """

    filters: BridgeFilters
    internal: bool
    strict: bool = False

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        parts = (("ingress", self.filters.ingress), ("egress", self.filters.egress))
        return (
            f"tc qdisc replace dev {self.device} clsact",
            *(
                f"tc filter replace dev {self.device} {way} pref 1 handle 0x6f63 bpf"
                f" direct-action bytecode '{bytecode(program)}'"
                for way, program in parts
                if program
            ),
            *(rule.command("add") for rule in nowhere(self.device) if self.internal),
        )

    def apply(self, machine: Machine) -> bool:
        """Set them; False if they are. What this kernel has no filters for, is told."""
        filters = self.filters
        past = machine.bridge_filters.unmarked() if filters.egress else ()
        if past and past[0].startswith("flowtable"):
            machine.warnings.append(explain_flowtable(self.device, past[0]))
            filters = filters.replace(egress=b"")
        elif past:
            # Our table is of another version, or edited: nothing would pass. `check` makes it
            # anew, and then closes the bridge.
            filters = filters.replace(egress=None)
        if self.strict:
            changed = machine.bridge_filters.put(self.device, filters)
        else:
            changed = put_filters(machine, self.device, filters)
        if self.internal:
            changed = self._lead_nowhere(machine) or changed
        return changed

    def _lead_nowhere(self, machine: Machine) -> bool:
        """Have nothing of it forwarded; False if it is so. All of it, or nothing."""
        added = []
        try:
            for rule in nowhere(self.device):
                if _added(machine, rule):
                    added.append(rule)
        except KernelError:
            for rule in added:
                machine.routing_rules.remove(rule)
            raise
        return bool(added)

    def inverse(self) -> Step | None:
        """Return the end of its rules; the filters go with the bridge."""
        return ForgetBridge(self.device) if self.internal else None


class ForgetBridge(DeviceStep):
    """Remove the routing rules of a bridge that is gone, or internal no more."""

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return tuple(rule.command("del") for rule in nowhere(self.device))

    def apply(self, machine: Machine) -> bool:
        """Remove them; not there is fine."""
        for rule in nowhere(self.device):
            machine.routing_rules.remove(rule)
        return True

    def inverse(self) -> Step | None:
        """Return None: who makes the bridge again sets them."""
        return None


def _added(machine: Machine, rule: RoutingRule) -> bool:
    try:
        return machine.routing_rules.add(rule)
    except KernelError as error:
        # IPv6 is off from the boot on: then nothing of it is forwarded either.
        if rule.family == 6 and error.errno in (EAFNOSUPPORT, EOPNOTSUPP):
            return False
        raise


def nowhere(device: str) -> tuple[RoutingRule, ...]:
    """Return the rules by which nothing that comes from a bridge is forwarded."""
    return tuple(
        RoutingRule(family, _PRIORITY, action="blackhole", iif=device, protocol=OUR_PROTOCOL)
        for family in _FAMILIES
    )


def plan_closing(networks: Iterable[Network], settings: Settings) -> list[Step]:
    """Return the steps that close bridges of ours, when they are made.

    Args:
        networks: managed ones.
        settings: the operator's.
    """
    return [
        CloseBridge(
            network.device, filters_of(network, closed=settings.close_bridges), network.internal
        )
        for network in networks
    ]


def explain_flowtable(device: str, flowtable: str) -> str:
    """Return why a bridge has no filter for what is sent to it, beside somebody's flowtable."""
    return (
        f"{flowtable} leads packets past all chains, so {device} can't tell what has"
        " passed our table: whenever that is flushed, it is open until the next attach"
    )


def plan_unclosed(
    network: Network,
    there: BridgeFilters,
    unmarked: tuple[str, ...],
    missing: tuple[RoutingRule, ...],
    settings: Settings,
) -> tuple[CloseBridge, ...]:
    """Return the step that closes a managed network's bridge, if it is open.

    Args:
        network: whose bridge is there.
        there: its filters of ours.
        unmarked: what has packets reach it without a mark: by flowtables it can't be closed.
        missing: those of its rules, if it is internal, that are not there.
        settings: the operator's.
    """
    past = any(what.startswith("flowtable") for what in unmarked)
    wanted = filters_of(network, closed=settings.close_bridges and not past)
    if wanted == there and not (network.internal and missing):
        return ()
    return (CloseBridge(network.device, wanted, network.internal),)

"""Steps that have packets of containers go as the host's routes say of its own, and undo it."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.routing import RoutingRule, UplinkRules
from ocinet.engine.plan.steps import Step, as_nft
from ocinet.engine.ruleset import uplinks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.plan.machine import Machine


class FollowUplinks(Step):
    """Mark connections and their answers, with routing rules for these marks; say what leaves.

    Attributes:
        rules: all that the second table is to hold.
        missing: rules that are to be added.
        surplus: rules of ours that mean nothing any more.
    """

    shared = True
    rules: UplinkRules
    missing: tuple[RoutingRule, ...] = ()
    surplus: tuple[RoutingRule, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        text = uplinks.table_text(self.rules)
        return (
            *(rule.command("add") for rule in self.missing),
            as_nft(text),
            *(rule.command("del") for rule in self.surplus),
        )

    def apply(self, machine: Machine) -> bool:
        """Do it: a rule is there before the first packet bears its mark."""
        try:
            for rule in self.missing:
                machine.routing_rules.add(rule)
            machine.uplinks.replace(self.rules)
        except OcinetError:
            for rule in self.missing:
                machine.routing_rules.remove(rule)
            raise
        for rule in self.surplus:
            machine.routing_rules.remove(rule)
        return True

    def inverse(self) -> Step:
        """Return the removal of all of it."""
        return UnfollowUplinks()


class UnfollowUplinks(Step):
    """Let packets of containers go as if no route said anything of sources."""

    shared = True

    def describe(self) -> tuple[str, ...]:
        """Return the command that removes the table; the rules are those for its marks."""
        return (as_nft(uplinks.table_text(UplinkRules())),)

    def apply(self, machine: Machine) -> bool:
        """Remove the table, and whatever rules of ours there are."""
        machine.uplinks.replace(UplinkRules())
        ours = [rule for rule in machine.routing_rules.rules() if rule.is_ours]
        for rule in ours:
            machine.routing_rules.remove(rule)
        return bool(ours)

    def inverse(self) -> Step | None:
        """Return None: the next attach that publishes does it anew."""
        return None

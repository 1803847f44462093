"""Steps that have a bridge's packets pass the tables of others, and their undoing."""

from __future__ import annotations

from ocinet.base.errors import OcinetError, SystemFailure
from ocinet.engine.plan.shared_steps import DeviceStep
from ocinet.engine.plan.steps import Step
from ocinet.engine.ruleset import nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.passage import Passage
    from ocinet.engine.plan.machine import Machine


class AcceptForward(DeviceStep):
    """Accept a bridge's traffic where chains of iptables' drop it.

    Attributes:
        managed: accept both directions; else only connections to published ports,
            for the bridge's owner decides about all others.
        chains: where the rules go, as in `ForwardDrop.accept_in`.
        isolation: as there.
    """

    managed: bool
    chains: tuple[str, ...]
    isolation: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return tuple(
            command
            for chain in self.chains
            for command in nft.forward_accept_commands(
                self.device,
                managed=self.managed,
                chain=chain,
                isolation=self.isolation,
            )
        )

    def apply(self, machine: Machine) -> bool:
        """Add the rules; False if they are all there."""
        try:
            return machine.forward_accepts.add(self.device, self.chains, managed=self.managed)
        except OcinetError:
            machine.forward_accepts.remove(self.device)  # of the family that went well
            raise

    def inverse(self) -> Step:
        """Return their removal."""
        return UnacceptForward(self.device, self.managed, self.chains, self.isolation)


class UnacceptForward(DeviceStep):
    """Remove a bridge's accept rules from the other tables."""

    managed: bool
    chains: tuple[str, ...]
    isolation: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        accept = self.inverse().describe()
        return tuple(command.replace(" -I ", " -D ") for command in accept)

    def apply(self, machine: Machine) -> bool:
        """Remove the rules."""
        machine.forward_accepts.remove(self.device)
        return True

    def inverse(self) -> Step:
        """Return their adding."""
        return AcceptForward(self.device, self.managed, self.chains, self.isolation)


class JoinZone(DeviceStep):
    """Have firewalld take a bridge into the zone that is there for ours.

    Attributes:
        passage: what should pass then.
        required: whether it is an error where it does not. Else a network is wired all the
            same, and it is told, as with chains that are never touched.
    """

    passage: Passage
    required: bool = False

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset.firewalld import join_command  # for few hosts

        return (" ".join(join_command(self.device)),)

    def apply(self, machine: Machine) -> bool:
        """Ask firewalld for it; False if it would not."""
        try:
            left = machine.forward_accepts.join_zone(self.passage)
        except OcinetError as error:
            if self.required:
                raise
            machine.warnings.append(f"{error}, and drops packets of {self.device}")
            return False
        from ocinet.engine.ruleset.firewalld import explain

        # What is published is nobody's zone's: the plan has told it.
        told = [explain(drop, drop.zoned, self.device) for drop in left
                if drop.zoned and not drop.zoned.published]  # fmt: skip
        if told and self.required:
            raise SystemFailure("", "; ".join(told))
        machine.warnings.extend(told)
        return True

    def inverse(self) -> Step:
        """Return the leaving of it."""
        return LeaveZone(self.device, self.passage)


class LeaveZone(DeviceStep):
    """Take a bridge out of firewalld's zone again.

    Attributes:
        passage: what should pass while it is in.
    """

    passage: Passage

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset.firewalld import leave_command

        return (" ".join(leave_command(self.device)),)

    def apply(self, machine: Machine) -> bool:
        """Ask firewalld for it; one that is not in is fine."""
        machine.forward_accepts.leave_zone(self.device)
        return True

    def inverse(self) -> Step:
        """Return the joining."""
        return JoinZone(self.device, self.passage)

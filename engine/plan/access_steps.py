"""The step by which containers may, or may not any more, talk to each other."""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.engine.plan.own_steps import make_table
from ocinet.engine.plan.steps import Step, as_nft
from ocinet.engine.ruleset.access_sets import ADMIT, ALLOW, LEAVE
from ocinet.engine.ruleset.elements import Element

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.plan.machine import Machine

_OF_INTERVALS = frozenset(kind for sets in (ALLOW, ADMIT, LEAVE) for kind in sets.values())


class ChangeAccess(Step):
    """Take elements of who may talk to whom out of our table, then enter others.

    Attributes:
        removed: that go; missing ones are fine.
        added: that come; those that are in are fine.
    """

    removed: tuple[Element, ...]
    added: tuple[Element, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        text = nft.access_text("delete", self.removed) + nft.access_text("add", self.added)
        return (as_nft(text),) if text else ()

    def apply(self, machine: Machine) -> bool:
        """Do it; all others' elements are entered as well, if the table vanished just now."""
        if self.removed:
            machine.elements.delete(self.removed)
        if self.added:
            try:
                entered = machine.elements.add(self.added)
            except ConflictError:
                self._take_out_of_the_dead(machine)
                entered = machine.elements.add(self.added)
            if not entered:
                make_table(machine)
                machine.elements.add(self.added)
        return bool(self.removed or self.added)

    def _take_out_of_the_dead(self, machine: Machine) -> None:
        """Take out what an earlier one at the same address has left: no two have an address."""
        own = {(element.set, element.key[0]) for element in self.added}
        machine.elements.delete(
            tuple(
                element
                for element in machine.elements.all()
                if element.set in _OF_INTERVALS and (element.set, element.key[0]) in own
            )
        )

    def inverse(self) -> Step:
        """Return the change back."""
        return ChangeAccess(self.added, self.removed)


class ForgetRefused(Step):
    """Forget what was refused from addresses, and to them, before another one has them."""

    addresses: tuple[Address, ...]

    def describe(self) -> tuple[str, ...]:
        """Return nothing: nft knows of no command that does this by address."""
        return ()

    def apply(self, machine: Machine) -> bool:
        """Delete the entries."""
        machine.elements.forget_refused(self.addresses)
        return True

    def inverse(self) -> Step | None:
        """Return None: what was counted is of who is gone."""
        return None

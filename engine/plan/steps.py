"""What the steps are that plans are made of.

A step is a frozen value. It describes itself as the `ip`, `nft` or `sysctl`
commands that do the same, applies itself to a `Machine`, and names its
inverse. What to do is decided by this room's other modules; a step decides nothing.

They are apart by who needs them, for each is a class that a hook makes anew: one container's
own in `own_steps` and `port_steps`, those that take it down in `removal_steps`, and what all share
in `shared_steps`.
"""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.plan.machine import Machine


def ready_address(interface: Interface) -> str:
    """Spell an address as `ip addr add` takes it, ready for use at once."""
    return f"{interface} {'nodad' if interface.address.family == 6 else 'brd +'}"


def as_nft(text: str) -> str:
    """Return the command that gives nft a text."""
    return f"nft -f - <<'END'\n{text.rstrip()}\nEND"


class Step(Value):
    """One change to the machine.

    Attributes:
        shared: whether others may come to use what it makes.
    """

    shared = False

    def used_by(self, record: Attachment) -> bool:
        """Tell whether somebody else's attachment needs what a shared step makes."""
        return bool(record.endpoints)

    def describe(self) -> tuple[str, ...]:
        """Return the shell commands that do the same, in order."""
        raise NotImplementedError

    def apply(self, machine: Machine) -> bool:
        """Do it; False if it was already so, and there is nothing to undo.

        Raises:
            OcinetError: it can't be done; nothing of this step is left.
        """
        raise NotImplementedError

    def inverse(self) -> Step | None:
        """Return the step that takes it back; None if another step's inverse does."""
        raise NotImplementedError

"""Applying a plan: a loop that remembers how to take back what it did."""

from __future__ import annotations

from ocinet.base.errors import KernelError, OcinetError, failures, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Attachments


_UNDO_S = 5.0  # with the hook's own deadline still less than the registered one


class Journal:
    """What an operation did so far, and how to undo it.

    Args:
        operation: by whose time, locks and log it goes.
        machine: that the steps work on.
        attachments: tell who uses what is shared.
        container_id: whom it is done for.
    """

    def __init__(
        self, operation: Operation, machine: Machine, attachments: Attachments, container_id: str
    ) -> None:
        self._operation = operation
        self._machine = machine
        self._attachments = attachments
        self._container_id = container_id
        self._undo: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def push(self, undo: Callable[..., object], *args: object) -> None:
        """Remember the call that takes back what was just done."""
        self._undo.append((undo, args))

    def apply(self, steps: tuple[Step, ...]) -> None:
        """Do the steps in order.

        Raises:
            OcinetError: of the first step that fails; `undo` is up to the caller.
        """
        for step in steps:
            # Between steps alone, where it is known what there is to undo.
            self._operation.deadline.check("")
            self._operation.trace(step)
            try:
                changed = self._do(step)
            except KernelError as error:
                # The kernel may have done it. Of what is shared nobody knows whether it was there.
                if error.is_lost and not step.shared:
                    self._push_inverse(step)
                raise
            # What was there already is no work of ours to take back.
            if changed:
                self._push_inverse(step)

    def _push_inverse(self, step: Step) -> None:
        inverse = step.inverse()
        if inverse is not None:
            self.push(self._take_back, inverse)

    def _do(self, step: Step) -> bool:
        if not step.shared:
            return step.apply(self._machine)
        # Looking and making are one act: of two first attaches, the second must not empty the
        # table that the first has made.
        with self._operation.locks.shared():
            changed = step.apply(self._machine)
        if changed:  # the operator's machine, not only the container's: so it is said
            # The text of a whole table follows these two lines.
            command = " ".join(step.describe()[0].splitlines()[:2])
            self._operation.log.append(
                "host changed", container=self._container_id, command=command
            )
        return changed

    def _take_back(self, step: Step) -> None:
        """Do an inverse; a shared one only while nobody else uses what it takes away."""
        if not step.shared:
            step.apply(self._machine)
            return
        # The first attach of a network may fail after a second one has come to its bridge. A bridge
        # that is deleted lets its ports go without a word: eth0 would lead nowhere.
        with self._operation.locks.shared():
            if not any(
                step.used_by(record)
                for record in self._attachments.all()
                if record.container.id != self._container_id
            ):
                step.apply(self._machine)

    def undo(self) -> None:
        """Take everything back, last first, going on past errors.

        What can't be taken back is told in the event log: the first error, the
        one that led here, is the one to raise.
        """
        # A deadline that is over may be why we are here, and undoing has locks to wait for.
        self._operation.deadline.extend(_UNDO_S)
        for take_back, args in reversed(self._undo):
            try:
                take_back(*args)
            # Of the system as well, as where a module can't be loaded: the rest has to go.
            except (OcinetError, OSError) as error:
                self._operation.log.append("undo failed", error=str(error))
        self._undo.clear()


def go_through(
    operation: Operation, machine: Machine, steps: tuple[Step, ...], what: str = ""
) -> None:
    """Do every step, going on past errors, and raise them together at the end.

    Args:
        operation: whose trace sees each step.
        machine: that the steps work on.
        steps: in order.
        what: could not be done, if one fails.

    Raises:
        OcinetError: what failed.
    """
    errors = []
    for step in steps:
        try:
            operation.trace(step)
            step.apply(machine)
        except OcinetError as error:
            errors.append(error)
        except OSError as error:
            errors.append(told("", error))
    failures(what, errors)

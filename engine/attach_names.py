"""The part of an attach that has to do with names: of the container, for it, and of others."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.naming import plan_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.journal import Journal
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.network import Network
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.plan.wiring import Wiring
    from ocinet.engine.storage import Records


_PATIENCE_S = 2.0  # for the lock of a file that tells of others


class AttachNames:
    """What of an attach is about names.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the sandbox.
        records: what there is.
        journal: of the attach.
        before: the record of what is there already.
        rootfs: where the container's files are, if it has not entered them yet.
    """

    def __init__(
        self,
        operation: Operation,
        machine: Machine,
        records: Records,
        journal: Journal,
        before: Attachment,
        rootfs: Rootfs | None,
    ) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._journal = journal
        self._before = before
        self._rootfs = rootfs
        self._unserved: tuple[tuple[str, str], ...] = ()
        self._contested: tuple[tuple[str, Contested], ...] = ()

    def served(self, wiring: Wiring, networks: tuple[Network, ...]) -> Wiring:
        """Return a wiring with the steps that have its container found by name.

        Args:
            wiring: of the container.
            networks: that it is on by now and was not before.
        """
        asked = self._before.endpoints or any(network.dns for network in networks)
        if not asked or not self._operation.settings.names:
            return wiring
        from ocinet.engine.serving import with_names

        wiring, self._unserved = with_names(
            wiring, self._before, self._machine, self._records.networks
        )
        return wiring

    def steps(self, record: Attachment) -> tuple[Step, ...]:
        """Return the steps that tell the container names, if it is to find others by now."""
        before = self._before
        same = len(record.endpoints) == len(before.endpoints)
        if same and record.resolution == before.resolution:
            self._machine.unnamed = before.unnamed
            return ()
        return plan_names(self._machine, self._records, record.container, record, self._rootfs)

    def recorded(self, record: Attachment) -> None:
        """Be ready for an undo: to be called before any step, when the record is written."""
        if record.served:
            self._journal.push(self._give_back)

    def tell_container(self, wiring: Wiring) -> Wiring:
        """Write the container's files, and return the wiring as its name servers know it."""
        self._enter_links(wiring.record)
        if self._machine.unserved:
            from ocinet.engine.serving import without_unserved

            wiring = without_unserved(wiring, self._machine)
        self._journal.apply(self.steps(wiring.record))
        return wiring

    def tell_others(self, record: Attachment) -> None:
        """Tell of names that others have, and those who find it by their own /etc/hosts."""
        if record.served and not self._before.served:
            from ocinet.engine.plan.served_names import unserved_names

            self._machine.warnings += unserved_names(record)
        # Who hangs with another's file in hand is no reason for this one not to start.
        operation = self._operation.replace(locks=self._operation.locks.patient(_PATIENCE_S))
        self._contested = contested = self._machine.take_contested()
        if contested:
            from ocinet.engine.contested import settle_contested

            settle_contested(operation, self._machine, self._records, record, contested)
        unserved = [*self._machine.unserved, *(network for network, _why in self._unserved)]
        if unserved:
            from ocinet.engine.peers import note_unserved

            try:
                note_unserved(self._records, record, unserved)
            except OcinetError as error:  # as on a full /run: no reason for it not to start
                on = ", ".join(unserved)
                self._machine.warnings.append(f"nobody on {on} finds it by name: {error}")
        if not self._records.linked.is_empty():
            from ocinet.engine.linked_names import attached

            is_new = not self._before.endpoints
            attached(operation, self._machine, self._records, record, is_new=is_new)

    def tell_unserved(self) -> None:
        """Leave an event of networks whose names can't be served."""
        if self._unserved:
            from ocinet.engine.serving import tell_unserved

            tell_unserved(self._operation, self._machine, self._unserved)

    def _enter_links(self, record: Attachment) -> None:
        """Have those whom the container has links to tell it from now on when they change."""
        before = self._before
        if record.resolution == before.resolution:
            return
        from ocinet.engine.linked_names import enter_links

        self._journal.push(enter_links, self._records, before, record)
        try:
            enter_links(self._records, record, before)
        except OcinetError as error:  # likewise
            self._machine.warnings.append(
                f"its links stay as they are when who they lead to comes or goes: {error}"
            )

    def _give_back(self) -> None:
        """Have those found by their aliases again that the container would have been called."""
        if contested := (*self._contested, *self._machine.take_contested()):
            from ocinet.engine.waiting_names import give_back

            give_back(
                self._operation, self._machine, self._records, self._before.container.id, contested
            )

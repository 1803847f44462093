"""Taking a container off one of its networks, while it stays on the others."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError, collect, failures
from ocinet.engine.detach import Detach
from ocinet.engine.journal import go_through
from ocinet.engine.lan_ends import forget_host_sides, take_ends_away
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.naming import plan_names
from ocinet.engine.passing import Passing
from ocinet.engine.plan.detach import plan_detach
from ocinet.engine.plan.disconnect import plan_disconnect
from ocinet.engine.port_owners import close_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.disconnect import Parting
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


class Disconnect:
    """Takes one network from a container that runs.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with its sandbox.
        records: what is taken down, and who holds what.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._detach = Detach(operation, machine, records)

    def disconnect(self, container_id: str, network: str) -> Attachment:
        """Take it off; what is left is on record, and without a network still known.

        Args:
            container_id: of the sandbox's owner, whole.
            network: its name.

        Returns:
            The record of what is left.

        Raises:
            NotFoundError: it is not on that network.
            OcinetError: something could not be removed. Its record stays then, for a
                second try.
        """
        attachments = self._records.attachments
        with self._operation.locks.container(container_id):
            record = attachments.get(container_id)
            if record and record.state != ATTACHED:  # a killed attach's: nobody is at work on it
                record = self._detach.roll_back(record)
            if record is None or network not in [end.network for end in record.endpoints]:
                names = ", ".join(end.network for end in record.endpoints) if record else ""
                why = f"it is not on the network {network}"
                raise NotFoundError("", why, f"it is on {names}" if names else "see: ocinet ps")
            on = dict.fromkeys(endpoint.network for endpoint in record.endpoints)
            found = tuple(filter(None, map(self._records.networks.find, on)))
            netns = record.netns_name or self._machine.sandbox.path
            self._part(plan_disconnect(record, network, found, netns))
        self._operation.log.append(
            "disconnected",
            container=container_id,
            name=record.container.name,
            network=network,
        )
        return attachments.get(container_id) or record

    def _part(self, parting: Parting) -> None:
        """Take down what goes, then keep the record of what stays, then give up what was had."""
        gone, kept = parting.gone, parting.kept
        held = self._records.ports.held(gone.container.id, gone.ports)
        firewall = self._machine.firewall
        before = firewall.observe() if held else None
        steps = (*parting.before, *plan_detach(gone, held))
        if gone.access is not None:
            from ocinet.engine.access import Access

            whole = gone.replace(endpoints=(*kept.endpoints, *gone.endpoints))
            steps = (*Access(self._records, gone.container.id).close(whole, kept), *steps)
        errors: list[OcinetError] = []
        collect(errors, go_through, self._operation, self._machine, steps)
        collect(errors, take_ends_away, self._operation, self._machine, gone)
        failures("", errors)
        if before:
            Passing(self._machine, self._records.passages, before.generation).closed()
        # Before its addresses and ports are free: from then on they may be another one's.
        self._records.attachments.put(kept)
        if before:
            collect(errors, close_again, firewall, held, before)
        collect(errors, self._detach.leave_uplinks, gone)
        self._detach.release(gone)
        collect(errors, forget_host_sides, self._operation, self._machine, self._records, gone)
        # What is not done of this, `check` sees by the record.
        collect(errors, go_through, self._operation, self._machine, parting.after)
        self._tell_names(kept, gone)
        failures("", errors)

    def _tell_names(self, kept: Attachment, gone: Attachment) -> None:
        """Have the container know itself by an address that it has left."""
        machine, records = self._machine, self._records
        if not records.linked.is_empty():
            from ocinet.engine.linked_names import parted

            parted(self._operation, machine, records, kept, gone)
        if not kept.endpoints:
            return
        try:
            steps = plan_names(machine, records, kept.container, kept)
            go_through(self._operation, machine, steps)
        except OcinetError as error:  # nothing of the network depends on it
            machine.warnings.append(str(error))

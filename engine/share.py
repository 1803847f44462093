"""Sandboxes that containers share: counting a member in, and telling whose one is."""

from __future__ import annotations

from errno import EEXIST

from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, KernelError, NotFoundError, OcinetError, RequestError
from ocinet.engine.containers import with_member
from ocinet.engine.known import find_record
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import ATTACHED, Attachment
from ocinet.engine.settle import Settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


class Share:
    """Counts containers as members of sandboxes that others own.

    Args:
        operation: by whose time, locks and log it goes.
        machine: where the sandboxes are.
        records: of all containers.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._attachments = records.attachments
        self._settle = Settle(operation, machine, records)
        self._liveness = Liveness(machine.links, records.attachments, operation)

    def join(
        self, container: Container, target: str, identity: str, *, stopped: bool = False
    ) -> tuple[Attachment, bool]:
        """Count a container as a member of the sandbox that it shares.

        Args:
            container: the member.
            target: the owner, or another member: an id, a name, or an id's start.
            identity: of the open sandbox that the container is in.
            stopped: whether the target may have, as in a pod, whose sandbox is nobody's.

        Returns:
            The member's record, and whether it is new.

        Raises:
            NotFoundError: the target is not known, has stopped or is not attached.
            RequestError: the container is in another sandbox than the target.
        """
        # Under a lock of its own, which is free again before the owner's is taken: never two.
        self._leave_own(container, identity)
        owner = find_record(self._attachments, target)
        # container:MEMBER means the member's owner: one record has the sandbox.
        owner_id = owner.member_of or owner.container.id
        with self._operation.locks.container(owner_id):
            # Found without its lock, so looked at again.
            current = self._owner(owner_id, target, identity, stopped=stopped)
            if owner_id == container.id:
                raise RequestError("", "it can't share its own sandbox")
            known = self._attachments.get(container.id)
            # Its other hook and each reconciling come here again, and change nothing.
            if known and known.member_of == owner_id and known.container == container:
                return known, False
            member = self.count_in(current, container)
        return member, True

    def count_in(self, owner: Attachment, container: Container) -> Attachment:
        """Put a member on record, and return its record; needs the owner's lock."""
        member = Attachment(
            container=container,
            mode="container",
            state=ATTACHED,
            sandbox=owner.sandbox,
            boot_id=self._operation.boot_id,
            time=now(),
            member_of=owner.container.id,
        )
        # The member's own record goes first: without it nothing would ever count the member out.
        self._attachments.put(member)
        self._attachments.put(with_member(owner, container))
        if not self._records.linked.is_empty():
            from ocinet.engine.linked_names import came

            came(self._operation, self._machine, self._records, member)
        if owner.access is not None:
            from ocinet.engine.access import relink

            relink(self._operation, self._machine, self._records, owner, came=(container,))
        return member

    def _leave_own(self, container: Container, identity: str) -> None:
        """End what the container owns of an earlier life, in another sandbox."""
        with self._operation.locks.container(container.id):
            known = self._attachments.get(container.id)
            if known and not known.member_of and not self._liveness.is_of(known, identity):
                self._settle.settle(container, identity)

    def _owner(self, owner_id: str, target: str, identity: str, *, stopped: bool) -> Attachment:
        """Return the owner's record, if it can have a member in this sandbox."""
        current = self._attachments.get(owner_id)
        # As Docker, which joins no container that does not run.
        left = current is not None and current.left and not stopped
        if current is None or left or current.boot_id != self._operation.boot_id:
            raise NotFoundError("", f"the container {target} has stopped", f"start {target} first")
        if current.state != ATTACHED:
            raise NotFoundError(
                "", f"the container {target} is not attached yet", f"attach {target} first"
            )
        if not self._liveness.is_of(current, identity):
            raise RequestError(
                "",
                f"it is not in the sandbox of {target}, and can't be moved there any more",
                f"start it there: with podman's --network=container:{target}, or "
                f"ocinet hooks add BUNDLE --net container:{target}",
            )
        return current

    def explained(self, error: OcinetError, container: Container, identity: str) -> OcinetError:
        """Say whose sandbox it is, where an interface is there because somebody else is."""
        if not isinstance(error, KernelError) or error.errno != EEXIST:
            return error
        # The kernel says no more than EEXIST. Of a pod's second container whoever started it has to
        # hear that the first one has the sandbox, and what to ask for.
        for record in self._attachments.all():
            other = record.container
            if other.id == container.id or record.member_of:
                continue
            if self._liveness.is_of(record, identity):
                return ConflictError(
                    "",
                    f"it shares the sandbox of {other.name}, which is wired already",
                    f"ask for container:{other.name}, or for another interface with ifname=",
                )
        return error

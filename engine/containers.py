"""The containers that are known: looked up, and looked at."""

from __future__ import annotations

from ocinet.engine.known import find_record
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import ATTACHED, Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.link import InsideLink, Link
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Attachments


class Containers:
    """What is recorded of containers, and what the kernel has of them.

    Args:
        operation: by whose locks and log it goes.
        machine: where their links are.
        attachments: their records.
    """

    def __init__(self, operation: Operation, machine: Machine, attachments: Attachments) -> None:
        self._operation = operation
        self._machine = machine
        self._attachments = attachments
        self._liveness = Liveness(machine.links, attachments, operation)

    def get(self, container_id: str) -> Attachment | None:
        """Return the record of a whole id, or None."""
        return self._attachments.get(container_id)

    def find(self, target: str) -> Attachment:
        """Return the container that a person means; see `find_record`."""
        return find_record(self._attachments, target)

    def all(self) -> tuple[Attachment, ...]:
        """Return every record that can be read, by time."""
        return self._attachments.all()

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the records that can't be read, each with the reason."""
        return self._attachments.unreadable()

    def of_sandbox(self, identity: str) -> Attachment | None:
        """Return the record of a sandbox that is there, a member's left out."""
        for record in self._attachments.all():
            if not record.member_of and self._liveness.is_of(record, identity):
                return record
        return None

    def is_dead(self, record: Attachment) -> bool:
        """Tell whether nobody lives in a record's sandbox any more."""
        return self._liveness.is_dead(record)

    def is_wired(self, container: Container, identity: str) -> bool:
        """Tell whether a container's process is known, complete, in this very sandbox.

        For who comes second, by whatever door the first one came.
        """
        known = self._attachments.get(container.id)
        return (
            known is not None
            and known.state == ATTACHED
            and known.container.process == container.process
            and self._liveness.is_of(known, identity)
        )

    def left_behind(self, container_id: str) -> tuple[Attachment, ...]:
        """Return whom a container has left in its former sandbox; see `stranded`."""
        from ocinet.engine.stranded import left_behind  # for those who are asked to restart

        return left_behind(self._attachments, self._liveness, container_id)

    def note_rejoin(self, member: Attachment) -> bool:
        """Note that a member is restarted to be with its owner again; False: it must not be."""
        from ocinet.engine.stranded import note_try

        with self._operation.locks.container(member.member_of):
            return note_try(self._attachments, member.container.id)

    def take_back_rejoin(self, member: Attachment) -> None:
        """Note that a member was not restarted after all, and may be in this life of its owner."""
        from ocinet.engine.stranded import take_back_try

        with self._operation.locks.container(member.member_of):
            take_back_try(self._attachments, member.container.id)

    def host_links(self, record: Attachment) -> tuple[Link, ...]:
        """Return those of the host's ends of a container that are there."""
        return self._machine.host_ends(record)

    def inside(self, sandbox: seams.Sandbox) -> tuple[InsideLink, ...]:
        """Return all interfaces of a sandbox as they are, by their index.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel would not say.
        """
        return self._machine.insides.look_inside(sandbox)


def with_member(owner: Attachment, container: Container) -> Attachment:
    """Return an owner's record with one more member, or the same one anew."""
    member = Member(container.id, container.name, container.bundle, container.process)
    others = tuple(known for known in owner.members if known.id != container.id)
    return owner.replace(members=(*others, member))

"""What is recorded of a container, made to agree with the sandbox that it is in now.

A container that comes again may have an earlier life on record: a half-made
attach, an end that nobody told of, or the very same sandbox. Needs the lock of
the container that is settled.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import ATTACHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.detach import Detach
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


class Settle:
    """Ends, rolls back or follows what is recorded.

    Args:
        operation: by whose time, locks and log it goes.
        machine: where the wiring is.
        records: of all containers.

    Attributes:
        returned_from: the record of an earlier life that members go on with: whoever comes
            back is looked for where it was.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._names = machine.names
        self._attachments = records.attachments
        self._machine = machine
        self._records = records
        self.returned_from: Attachment | None = None
        self._liveness = Liveness(machine.links, records.attachments, operation)

    def settle(self, container: Container, identity: str) -> Attachment | None:
        """Return the record of this very sandbox, having undone any other one.

        Args:
            container: as it is now.
            identity: of the open sandbox that it is in.

        Returns:
            None if nothing of it is wired.

        Raises:
            ConflictError: the id is that of a live container in another sandbox.
        """
        known = self._attachments.get(container.id)
        if known is None:
            return None
        if not self._liveness.is_of(known, identity):
            if self._liveness.lives(known):
                raise refuse_other_life(known)
        elif known.state == ATTACHED:
            return self._follow(known, container)
        # A publish, or a second network, that was killed: the container runs, and keeps the rest.
        elif known.done_endpoints or known.done_ports:
            return self._detach().roll_back(known)
        self.end(known)
        return None

    def _follow(self, known: Attachment, container: Container) -> Attachment:
        """Keep a record true of the container as it is now; return it."""
        process = container.process
        gone = bool(process and not self._operation.is_alive(process))  # a member asks
        if known.container == container and known.left == gone:
            return known
        before = known.container.process
        # Who was first may have been a passing process: early attach meets runc's own in a
        # container's cgroup. The name must not show that one, nor end with it.
        if known.netns_name and before and process and not gone:
            self._names.move(known.netns_name, before, process)
        former, known = known, known.replace(container=container, left=gone)
        self._attachments.put(known)
        if former.container.name != container.name:
            from ocinet.engine.renaming import follow_name  # once in a while, if ever

            follow_name(self._operation, self._machine, self._records, former, known)
        return known

    def end(self, known: Attachment) -> None:
        """Take an earlier life down; its members lose their network, and that is told."""
        # Asked first: with the record goes who its members are.
        members = self._liveness.living_members(known)
        left = [self._attachments.get(member.id) for member in members]
        lost = {member.name: member.process for member in members}
        if known.state == ATTACHED and self._liveness.lives(known):  # in a sandbox that is no pod's
            lost = {known.container.name: known.container.process, **lost}
        self._detach().take_down(known)
        if lost:
            from ocinet.engine.stranded import restart_command, strand  # for those alone

            self.returned_from = known
            # They live on where nothing of ours is any more: who looks for them finds it said.
            strand(self._attachments, (record for record in left if record))
            commands = [restart_command(name, process) for name, process in lost.items()]
            self._operation.log.append(
                "members lost their network",
                container=known.container.id,
                name=known.container.name,
                members=", ".join(lost),
                hint=" && ".join(commands),
            )

    def leave_former_sandbox(self, known: Attachment, identity: str) -> None:
        """End a membership of an earlier life, whose end nobody told us of.

        Under the former owner's lock, so before any other is taken.

        Raises:
            ConflictError: that life goes on.
        """
        if not self._liveness.is_of(known, identity):
            if self._liveness.lives(known):
                raise refuse_other_life(known)
            # As a person would, whatever bundle it was of: that life is known to be over.
            self._detach().detach(known.container.id, bundle=None, force=False)

    def owner(self, container: Container, known: Attachment | None, identity: str) -> Container:
        """Return who has the record of a sandbox that the container may be a member of."""
        if known and known.member_of and self._liveness.is_of(known, identity):
            # One sandbox, one record: what a member asks for is wired under its owner's.
            owner = self._attachments.get(known.member_of)
            if owner:
                return owner.container
        return container

    def _detach(self) -> Detach:
        from ocinet.engine.detach import Detach  # for those alone who had another life

        return Detach(self._operation, self._machine, self._records)


def refuse_other_life(known: Attachment) -> ConflictError:
    """Return the error for an id that a live container in another sandbox has."""
    process = known.container.process
    of_process = f" (process {process.pid})" if process else ""
    bundle = f" from {known.container.bundle}" if known.container.bundle else ""
    return ConflictError(
        "",
        f"the id is in use by a running container{bundle}{of_process}",
        "ids are unique only within one runtime and root: use another id",
    )

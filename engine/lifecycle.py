"""What hooks call: each act of a container's life, under its locks, in the four modes.

The order of its locks is in `locks`.

Attaching and detaching are imported by who does it: a hook does one of them, and a
tenth of what it takes would be to load the other.
"""

from __future__ import annotations

from ocinet.base.clock import now, took_ms, uptime_s
from ocinet.base.errors import OcinetError, told
from ocinet.base.files import exists
from ocinet.engine.assembly import begin_operation, machine_on, open_host, open_records
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import ATTACHED, Attachment
from ocinet.engine.model.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from ocinet.base.paths import Paths
    from ocinet.engine.attach import Attach
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.resolution import Resolution
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.operation import Neighbours, Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.pods import Pods
    from ocinet.engine.records.attachments import AttachmentStore
    from ocinet.engine.settle import Settle
    from ocinet.engine.storage import Records

DEFAULT_TIMEOUT_S = 20.0


class Lifecycle:
    """Wires sandboxes and takes their wiring down: all that a container's life asks for.

    Use it in a `with` block, which closes its sockets.

    Args:
        paths: of the installation.
        operation: by whose time, settings, locks and log it goes.
        host: that it works on.
        records: what is persisted.
        to_close: closes the sockets that were opened.

    Attributes:
        warnings: what attaches could not do but need not, one line each.
    """

    def __init__(
        self,
        paths: Paths,
        operation: Operation,
        host: Host,
        records: Records,
        to_close: tuple[Callable[[], None], ...] = (),
    ) -> None:
        self._paths = paths
        self.operation = operation
        self.host = host
        self.records = records
        self.to_close = to_close
        self.machine = machine_on(host, records, operation)
        self._liveness = Liveness(self.machine.links, records.attachments, operation)
        self.warnings: list[str] = []
        self._began_s = 0.0  # the act that is under way

    @classmethod
    def open(
        cls,
        paths: Paths,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        neighbours: Neighbours | None = None,
        settings: Settings | None = None,
        attachments: AttachmentStore | None = None,
        patience_s: float | None = None,
    ) -> Self:
        """Build an engine on the real machine.

        Args:
            paths: of the installation.
            timeout_s: seconds that one operation may take.
            patience_s: seconds of these that it waits for one lock; None: all.
            neighbours: see `operation.Neighbours`.
            settings: those in force; None: whatever the files say now.
            attachments: a store of theirs that is kept; None: one of its own.
        """
        operation = begin_operation(
            paths,
            timeout_s=timeout_s,
            neighbours=neighbours,
            settings=settings,
            patience_s=patience_s,
        )
        host, to_close = open_host(paths, operation.deadline)
        records = open_records(paths, operation, host, attachments)
        return cls(paths, operation, host, records, to_close)

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the sockets."""
        for close in self.to_close:
            close()

    def attach(
        self,
        container: Container,
        request: Request,
        sandbox: seams.Sandbox,
        rootfs: Rootfs | None = None,
    ) -> Attachment:
        """Give a container what it asks for, in its sandbox.

        Can be repeated: what is there stays, and networks and ports that are new are added.

        Args:
            container: who asks.
            request: what for.
            sandbox: its own, or the one that it shares.
            rootfs: where the container's files are, if it has not entered them yet.

        Raises:
            OcinetError: it can't be done; kernel and state are as before.
        """
        self._began_s = uptime_s()
        try:
            return self._attach_or_tell(container, request, sandbox, rootfs)
        except OcinetError as error:
            from ocinet.engine.share import Share

            share = Share(self.operation, self.machine, self.records)
            explained = share.explained(error, container, sandbox.identity)
            failure = explained.within(f"cannot attach {container.name}")
            self.operation.log.append(
                "attach failed", container=container.id, name=container.name, door=container.door,
                cause=failure.cause, took_ms=took_ms(self._began_s), error=str(failure),
            )  # fmt: skip
            raise failure from error

    def _attach_or_tell(
        self,
        container: Container,
        request: Request,
        sandbox: seams.Sandbox,
        rootfs: Rootfs | None,
    ) -> Attachment:
        try:
            attachment = self._attach(container, request, sandbox, rootfs)
        except OSError as error:  # as where a module can't be loaded: it is undone by now
            raise told("", error) from error
        if request.keep_ports:
            from ocinet.engine.kept import keep_ports  # for who asks for it

            self.warnings += keep_ports(self._paths, self.operation, attachment, request.publish)
        if exists(f"{self._paths.config}/links"):
            from ocinet.engine.plugging import plug_all  # where links of two are defined at all

            self.warnings += plug_all(self.operation, self.host, self.records, container)
        return attachment

    def _attach(
        self,
        container: Container,
        request: Request,
        sandbox: seams.Sandbox,
        rootfs: Rootfs | None,
    ) -> Attachment:
        self.operation.check_settings()
        # A runtime has made the sandbox by now, and nobody can exchange it: this mode is either so
        # already, or can't be had.
        if request.mode == "host" or sandbox.is_host:
            from ocinet.engine.attach_checks import check_host

            check_host(request, sandbox)
            # Never written: there is nothing of ours that would have to be taken down.
            return Attachment(container, "host", ATTACHED, "", self.operation.boot_id, now())
        if rootfs and rootfs.shares:
            # A pod's members may start at once: who comes second has to find the first's record.
            with self.operation.locks.pod(sandbox.identity):
                return self._attach_inside(container, request, sandbox, rootfs)
        return self._attach_inside(container, request, sandbox, rootfs)

    def _attach_inside(
        self,
        container: Container,
        request: Request,
        sandbox: seams.Sandbox,
        rootfs: Rootfs | None,
    ) -> Attachment:
        """Attach in a sandbox that is not the host's; needs the pod's lock if it is another's."""
        from ocinet.engine.plan.wiring import is_satisfied
        from ocinet.engine.settle import Settle

        settle = Settle(self.operation, self.machine, self.records)
        known = self.records.attachments.get(container.id)
        if known and known.member_of:
            settle.leave_former_sandbox(known, sandbox.identity)
        if request.mode == "container":
            return self._join(container, request.target, sandbox, rootfs)
        shares = rootfs.shares if rootfs else ""
        pods = self._pods(settle) if shares else None
        if pods and not (known and self._liveness.is_of(known, sandbox.identity)):
            known = pods.join(container, shares, sandbox.identity)
            if known:
                self._tell_names(known, rootfs)
        owner = settle.owner(container, known, sandbox.identity)
        if known and known.member_of and request.resolution:
            self._tell_names(known, rootfs, request.resolution)
            request = request.replace(resolution=None)
        with self.operation.locks.container(owner.id):
            # Under the lock: since its namespace was opened the process may have gone, and its pid
            # be another's.
            if container.process:
                sandbox.check(container.process)
            # runc runs prestart and createRuntime both, and watcher and hook may both come: whoever
            # is second finds it wired, or finishes what the first one was killed at.
            known = settle.settle(owner, sandbox.identity)
            if known and is_satisfied(request, known):
                return self._mend(known, sandbox)
            wiring = self._attach_in(sandbox, owner, known, rootfs)
            attachment = wiring.run(request, settle.returned_from)
            if pods:
                attachment = pods.hold(attachment, shares)
            self.warnings += wiring.warnings
        self._log_attached(attachment)
        return attachment

    def _pods(self, settle: Settle) -> Pods:
        from ocinet.engine.pods import Pods  # for those alone

        return Pods(self.operation, self.machine, self.records, settle)

    def _mend(self, known: Attachment, sandbox: seams.Sandbox) -> Attachment:
        """See that what is recorded is there; it may be a member that asks."""
        from ocinet.engine.mend import Mend  # a first attach has no use for it

        machine = machine_on(self.host, self.records, self.operation, sandbox)
        mend = Mend(self.operation, machine, self.records)
        mended = mend.repair(known, mend.compare(known)) or known
        self.warnings += machine.warnings
        return mended

    def _attach_in(
        self,
        sandbox: seams.Sandbox,
        container: Container,
        known: Attachment | None,
        rootfs: Rootfs | None = None,
    ) -> Attach:
        from ocinet.engine.attach import Attach

        machine = machine_on(self.host, self.records, self.operation, sandbox)
        return Attach(self.operation, machine, self.records, container, known, rootfs)

    def _join(
        self,
        container: Container,
        target: str,
        sandbox: seams.Sandbox,
        rootfs: Rootfs | None,
    ) -> Attachment:
        from ocinet.engine.share import Share

        share = Share(self.operation, self.machine, self.records)
        member, is_new = share.join(container, target, sandbox.identity)
        if is_new:
            self._tell_names(member, rootfs)
            self._log_attached(member)
        return member

    def _tell_names(
        self, member: Attachment, rootfs: Rootfs | None, wishes: Resolution | None = None
    ) -> None:
        from ocinet.engine.naming import tell_member

        tell_member(self.operation, self.machine, self.records, member, rootfs, wishes)

    def tell_names(self, container_id: str) -> None:
        """Have a container find itself in files that could not name it when it was attached.

        Args:
            container_id: of a sandbox's owner, whole; nothing is done for any other.

        Raises:
            OcinetError: its record can't be read or written.

        Effects:
            What can't be done is an event; see `naming.tell_late`.
        """
        from ocinet.engine.naming import tell_late

        tell_late(self.operation, self.machine, self.records, container_id)

    def plan(
        self, container: Container, request: Request, sandbox: seams.Sandbox
    ) -> tuple[Step, ...]:
        """Return the steps that `attach` would do, having changed nothing that stays.

        Raises:
            OcinetError: as `attach` would before its first step.
        """
        from ocinet.engine.plan.wiring import is_satisfied

        if request.mode == "host" or sandbox.is_host:
            return ()
        try:
            self.operation.check_settings()
            with self.operation.locks.container(container.id):
                known = self._done_in(container, sandbox)
                if request.mode == "container" or (known and is_satisfied(request, known)):
                    return ()
                return self._attach_in(sandbox, container, known).plan(request)
        except OcinetError as error:
            raise error.within(f"cannot attach {container.name}") from error

    def _done_in(self, container: Container, sandbox: seams.Sandbox) -> Attachment | None:
        """Return what is complete of a container in this very sandbox."""
        known = self.records.attachments.get(container.id)
        if known and not self._liveness.is_of(known, sandbox.identity):
            if self._liveness.lives(known):
                from ocinet.engine.settle import refuse_other_life

                raise refuse_other_life(known)
            return None
        # What is half-made stays as it is: a plan undoes nothing.
        return known and known.done

    def detach(self, container_id: str, *, bundle: str | None = None, force: bool = False) -> bool:
        """Take a container's wiring down, from its record alone.

        Args:
            container_id: the whole id.
            bundle: where the request comes from a runtime's poststop: it does
                nothing but leave an event if the record is of another bundle, or
                its process is alive, for then it is not this container that
                stopped. None means that a person asks, and that is enough.
            force: forget the record even if something of it can't be removed.

        Returns:
            False if there was nothing to do.

        Raises:
            OcinetError: what could not be removed; all else is, but the record.
        """
        from ocinet.engine.detach import Detach

        before = len(self.machine.warnings)
        try:
            detach = Detach(self.operation, self.machine, self.records)
            done = detach.detach(container_id, bundle=bundle, force=force)
            self.warnings += self.machine.warnings[before:]
        except (OcinetError, OSError) as error:
            known = error if isinstance(error, OcinetError) else told("", error)
            failure = known.within(f"cannot detach {container_id}")
            self.operation.log.append(
                "detach failed", container=container_id, cause=failure.cause, error=str(failure)
            )
            raise failure from error
        if done:
            self._tell_flaw()
        return done

    def ended(self, container_id: str) -> bool:
        """Detach a container of which it is said that it has ended; not if it lives.

        As `detach`, and False as well if there was nothing to do.
        """
        # "" is no bundle that could differ, and not None, which would be a person's word: so what
        # decides is whether the process lives.
        return self.detach(container_id, bundle="")

    def _tell_flaw(self) -> None:
        """Leave an event where something is taken down without the operator's settings."""
        if self.operation.settings_flaw:
            self.operation.log.append("settings ignored", error=str(self.operation.settings_flaw))

    def _log_attached(self, attachment: Attachment) -> None:
        container = attachment.container
        self.operation.log.append(
            "attached",
            container=container.id,
            name=container.name,
            door=container.door,
            took_ms=took_ms(self._began_s),
            mode=attachment.mode,
            networks=[endpoint.network for endpoint in attachment.endpoints],
            addresses=[str(own.address) for end in attachment.endpoints for own in end.addresses],
        )

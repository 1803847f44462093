"""The engine: what all doors call, each act under its locks, in the four modes.

Locks, in the order in which they may be held together: container (one of 256
files, by hash of the id), network, ports, global. A member of a shared sandbox
works under its owner's lock, never under two.
"""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import OcinetError, RequestError
from ocinet.engine.assembly import begin_operation, machine_on, open_host, open_records
from ocinet.engine.attach import Attach, network_of
from ocinet.engine.detach import Detach
from ocinet.engine.journal import Journal
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import ATTACHED, Attachment
from ocinet.engine.model.request import Request
from ocinet.engine.observe import observe
from ocinet.engine.plan.networks import plan_networks
from ocinet.engine.plan.wiring import is_satisfied
from ocinet.engine.settle import Settle, refuse_other_life
from ocinet.engine.storage import recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.paths import Paths
    from ocinet.engine.addresses import Addresses
    from ocinet.engine.containers import Containers
    from ocinet.engine.gc import Leftover
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.request import Publish
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.networks import Networks
    from ocinet.engine.operation import Neighbours, Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Records

DEFAULT_TIMEOUT_S = 20.0


class Engine:
    """Wires sandboxes and takes their wiring down.

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
        self.machine = machine = machine_on(host, records, operation)
        self._settle = Settle(operation, machine, records)
        self._liveness = Liveness(machine.links, records.attachments, operation)
        self.warnings: list[str] = []

    @classmethod
    def open(
        cls,
        paths: Paths,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        neighbours: Neighbours | None = None,
        settings: Settings | None = None,
    ) -> Engine:
        """Build an engine on the real machine.

        Args:
            paths: of the installation.
            timeout_s: seconds that one operation may take.
            neighbours: see `operation.Neighbours`.
            settings: those in force; None: whatever the files say now.
        """
        operation = begin_operation(
            paths, timeout_s=timeout_s, neighbours=neighbours, settings=settings
        )
        host, to_close = open_host(paths)
        return cls(paths, operation, host, open_records(paths, operation, host), to_close)

    def __enter__(self) -> Engine:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the sockets."""
        for close in self.to_close:
            close()

    @property
    def containers(self) -> Containers:
        """The containers that are known, as people and the watcher deal with them."""
        from ocinet.engine.containers import Containers  # not on the hook's path

        return Containers(self.operation, self.machine, self.records.attachments)

    @property
    def networks(self) -> Networks:
        """The networks, as people deal with them."""
        from ocinet.engine.networks import Networks  # not on the hook's path

        return Networks(self.operation, self.machine, self.records)

    @property
    def addresses(self) -> Addresses:
        """The addresses, as people deal with them."""
        from typing import cast

        from ocinet.engine.addresses import Addresses, LeaseBook
        from ocinet.ipam.reservation import ReservationStore

        # Transactions see the store as `Leases`; it is both.
        book = cast("LeaseBook", self.records.leases)
        deadline = self.operation.deadline
        return Addresses(book, ReservationStore(self._paths, deadline=deadline))

    def open_sandbox(self, record: Attachment) -> Sandbox:
        """Open the sandbox of a container that is known; to be closed.

        Raises:
            NotFoundError: it is gone.
        """
        from ocinet.engine.kernel.sandbox import open_recorded

        return open_recorded(record, self._paths)

    def attach(self, container: Container, request: Request, sandbox: seams.Sandbox) -> Attachment:
        """Give a container what it asks for, in its sandbox.

        Can be repeated: what is there already is left as it is, and networks and
        ports that are new in the request are added.

        Raises:
            OcinetError: it can't be done; kernel and state are as before.
        """
        try:
            return self._attach(container, request, sandbox)
        except OcinetError as error:
            from ocinet.engine.share import Share

            share = Share(self.operation, self.machine, self.records)
            explained = share.explained(error, container, sandbox.identity)
            told = explained.within(f"cannot attach {container.name}")
            self.operation.log.append(
                "attach failed",
                container=container.id,
                name=container.name,
                door=container.door,
                error=str(told),
            )
            raise told from error

    def _attach(self, container: Container, request: Request, sandbox: seams.Sandbox) -> Attachment:
        self.operation.check_settings()
        if request.mode == "host":
            return self._confirm_host(container, sandbox)
        if sandbox.is_host:
            raise RequestError(
                "",
                "it uses the host's network, where nothing is to be wired",
                "start it with a network namespace of its own",
            )
        known = self.records.attachments.get(container.id)
        if known and known.member_of:
            self._settle.leave_former_sandbox(known, sandbox.identity)
        if request.mode == "container":
            return self._join(container, request.target, sandbox)
        owner = self._settle.owner(container, known, sandbox.identity)
        with self.operation.locks.container(owner.id):
            if container.process:
                sandbox.check(container.process)
            known = self._settle.settle(owner, sandbox.identity)
            if known and is_satisfied(request, known):
                return known
            wiring = self._attach_in(sandbox, owner, known)
            attachment = wiring.run(request)
            self.warnings += wiring.warnings
        self._log_attached(attachment)
        return attachment

    def _attach_in(
        self, sandbox: seams.Sandbox, container: Container, known: Attachment | None
    ) -> Attach:
        machine = machine_on(self.host, self.records, self.operation, sandbox)
        return Attach(self.operation, machine, self.records, container, known)

    def _confirm_host(self, container: Container, sandbox: seams.Sandbox) -> Attachment:
        if not sandbox.is_host:
            raise RequestError(
                "",
                "it has a network namespace of its own, which can't be "
                "exchanged for the host's any more",
                "start it without one: ocinet hooks add BUNDLE --net host",
            )
        return Attachment(container, "host", ATTACHED, "", self.operation.boot_id, now())

    def _join(self, container: Container, target: str, sandbox: seams.Sandbox) -> Attachment:
        from ocinet.engine.share import Share

        share = Share(self.operation, self.machine, self.records)
        member, is_new = share.join(container, target, sandbox.identity)
        if is_new:
            self._log_attached(member)
        return member

    def plan(
        self, container: Container, request: Request, sandbox: seams.Sandbox
    ) -> tuple[Step, ...]:
        """Return the steps that `attach` would do, having changed nothing that stays.

        Raises:
            OcinetError: as `attach` would before its first step.
        """
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
                raise refuse_other_life(known)
            return None
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
            OcinetError: what could not be removed; all else is. The record
                stays, for a second try.
        """
        try:
            detach = Detach(self.operation, self.machine, self.records)
            done = detach.detach(container_id, bundle=bundle, force=force)
        except OcinetError as error:
            told = error.within(f"cannot detach {container_id}")
            self.operation.log.append("detach failed", container=container_id, error=str(told))
            raise told from error
        if done:
            self._tell_flaw()
        return done

    def ended(self, container_id: str) -> bool:
        """Detach a container of which it is said that it has ended; not if it lives.

        Returns:
            False if there was nothing to do.

        Raises:
            OcinetError: as `detach`.
        """
        return self.detach(container_id, bundle="")

    def prepare(self, name: str) -> bool:
        """Make a network ready for its first container, and whole again after a flush.

        Each attach does it as well, but a first one takes many times as long.

        Args:
            name: of the network; the default one is defined by it, if it is not yet.

        Returns:
            False if there was nothing to do.

        Raises:
            OcinetError: it can't be done; what was done of it stays for the
                first attach to go on with.

        Effects:
            The bridge, forwarding, our firewall table and what is in it.
        """
        self.operation.check_settings()
        operation, machine, records = self.operation, self.machine, self.records
        try:
            networks = (network_of(name, operation, machine, records.networks),)
            observed = observe(machine, networks, lambda: recorded(records, operation.boot_id))
            if observed.firewall.table and all(state.link for state in observed.devices):
                return False
            steps = plan_networks(networks, (), observed, operation.settings)
            Journal(operation, machine, records.attachments, "").apply(steps)
        except OcinetError as error:
            raise error.within(f"cannot prepare the network {name}") from error
        return True

    def publish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Publish ports of a container that runs.

        Args:
            target: an id, a name, or an id's start.
            publishes: as in a request.

        Raises:
            OcinetError: it can't be done; what was published stays so.
        """
        known = self.containers.find(target)
        container = known.container
        if not known.endpoints:
            raise RequestError(
                f"cannot publish ports of {container.name}",
                "it is on no network of ocinet's",
                f"ocinet attach {container.name} --net bridge",
            )
        with self.open_sandbox(known) as sandbox:
            return self.attach(container, Request("bridge", publish=publishes), sandbox)

    def unpublish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Take published ports of a container back.

        Args:
            target: an id, a name, or an id's start.
            publishes: a host port of 0 means every one that leads to the
                container port; no host address means whatever it is.

        Raises:
            NotFoundError: one of them is not published; nothing has changed then.
        """
        from ocinet.engine.unpublish import unpublish

        container_id = self.containers.find(target).container.id
        return unpublish(self.operation, self.machine, self.records, container_id, publishes)

    def gc(self, *, dry_run: bool = False) -> tuple[Leftover, ...]:
        """Remove everything of ours that nobody holds; see `gc.collect`."""
        from ocinet.engine.gc import collect

        leftovers = collect(self.operation, self.machine, self.records, dry_run=dry_run)
        if any(leftover.removed for leftover in leftovers):
            self._tell_flaw()
        return leftovers

    def _tell_flaw(self) -> None:
        """Leave an event where something is taken down without the operator's settings."""
        if self.operation.settings_flaw:
            self.operation.log.append("settings ignored", error=str(self.operation.settings_flaw))

    def _log_attached(self, attachment: Attachment) -> None:
        self.operation.log.append(
            "attached",
            container=attachment.container.id,
            name=attachment.container.name,
            door=attachment.container.door,
            mode=attachment.mode,
            networks=[endpoint.network for endpoint in attachment.endpoints],
            addresses=[
                str(interface.address)
                for endpoint in attachment.endpoints
                for interface in endpoint.addresses
            ],
        )

"""The engine: attach and detach under their locks, in the four modes.

Locks, in the order in which they may be held together: container (one of 256
files, by hash of the id), network, ports, global. A member of a shared sandbox
works under its owner's lock, never under two.
"""

from __future__ import annotations

from errno import EEXIST

from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, KernelError, NotFoundError, OcinetError, RequestError
from ocinet.engine.assembly import make_parts
from ocinet.engine.attach import Attach, is_satisfied, refuse_other_life, with_member
from ocinet.engine.detach import detach, is_of, lives, living_members, roll_back, take_down
from ocinet.engine.journal import Journal, go_through
from ocinet.engine.kernel.sandbox import open_recorded
from ocinet.engine.model.attachment import ATTACHED, Attachment
from ocinet.engine.model.request import Request
from ocinet.engine.observe import observe
from ocinet.engine.plan.detach import close_ports
from ocinet.engine.plan.networks import plan_networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.engine.assembly import Neighbours, Parts
    from ocinet.engine.gc import Finding
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.request import Publish
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.plan.seams import Sandbox
    from ocinet.engine.plan.steps import Step

DEFAULT_TIMEOUT_S = 20.0


class Engine:
    """Wires sandboxes and takes their wiring down.

    Use it in a `with` block, which closes its sockets.

    Args:
        parts: see `parts.make_parts`.

    Attributes:
        warnings: what attaches could not do but need not, one line each.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
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
            neighbours: see `parts.Neighbours`.
            settings: those in force; None: whatever the files say now.
        """
        return cls(make_parts(paths, timeout_s=timeout_s, neighbours=neighbours, settings=settings))

    def __enter__(self) -> Engine:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the sockets."""
        self.parts.close()

    def attach(self, container: Container, request: Request, sandbox: Sandbox) -> Attachment:
        """Give a container what it asks for, in its sandbox.

        Can be repeated: what is there already is left as it is, and networks and
        ports that are new in the request are added.

        Raises:
            OcinetError: it can't be done; kernel and state are as before.
        """
        what = f"cannot attach {container.name}"
        try:
            attachment = self._attach(container, request, sandbox)
        except OcinetError as error:
            told = self._explained(error, container, sandbox).within(what)
            self.parts.log.append(
                "attach failed",
                container=container.id,
                name=container.name,
                door=container.door,
                error=str(told),
            )
            raise told from error
        return attachment

    def _explained(self, error: OcinetError, container: Container, sandbox: Sandbox) -> OcinetError:
        """Say whose sandbox it is, where an interface is there because somebody else is."""
        if not isinstance(error, KernelError) or error.errno != EEXIST:
            return error
        for record in self.parts.attachments.all():
            other = record.container
            if other.id == container.id or record.member_of:
                continue
            if is_of(self.parts, record, sandbox.identity):
                return ConflictError(
                    "",
                    f"it shares the sandbox of {other.name}, which is wired already",
                    f"ask for container:{other.name}, or for another interface with ifname=",
                )
        return error

    def _attach(self, container: Container, request: Request, sandbox: Sandbox) -> Attachment:
        self.parts.check_settings()
        if request.mode == "host":
            return self._confirm_host(container, sandbox)
        if sandbox.is_host:
            raise RequestError(
                "",
                "it uses the host's network, where nothing is to be wired",
                "start it with a network namespace of its own",
            )
        known = self.parts.attachments.get(container.id)
        if known and known.member_of:
            self._leave_former_sandbox(known, sandbox)
        if request.mode == "container":
            return self._join(container, request.target, sandbox)
        owner = self._owner_of(container, known, sandbox)
        with self.parts.container_lock(owner.id):
            if container.process:
                sandbox.check(container.process)
            known = self._settle(owner, sandbox)
            if known and is_satisfied(request, known):
                return known
            wiring = Attach(self.parts, owner, sandbox, known)
            attachment = wiring.run(request)
            self.warnings += wiring.warnings
        self._log_attached(attachment)
        return attachment

    def _confirm_host(self, container: Container, sandbox: Sandbox) -> Attachment:
        if not sandbox.is_host:
            raise RequestError(
                "",
                "it has a network namespace of its own, which can't be "
                "exchanged for the host's any more",
                "start it without one: ocinet hooks add BUNDLE --net host",
            )
        return Attachment(container, "host", ATTACHED, "", self.parts.boot_id, now())

    def _leave_former_sandbox(self, known: Attachment, sandbox: Sandbox) -> None:
        """End a membership of an earlier life, whose end nobody told us of.

        Under the former owner's lock, so before any other is taken.
        """
        if not is_of(self.parts, known, sandbox.identity):
            if lives(self.parts, known):
                raise refuse_other_life(known)
            detach(self.parts, known.container.id, bundle=None, force=False)

    def _owner_of(
        self, container: Container, known: Attachment | None, sandbox: Sandbox
    ) -> Container:
        """Return who has the record of a sandbox that the container is a member of."""
        if known and known.member_of and is_of(self.parts, known, sandbox.identity):
            owner = self.parts.attachments.get(known.member_of)
            if owner:
                return owner.container
        return container

    def _settle(self, container: Container, sandbox: Sandbox) -> Attachment | None:
        """Return the record of this very sandbox, having undone any other one.

        Raises:
            ConflictError: the id is that of a live container in another sandbox.
        """
        known = self.parts.attachments.get(container.id)
        if known is None:
            return None
        same = is_of(self.parts, known, sandbox.identity)
        if same and known.state == ATTACHED:
            gone = bool(container.process and not container.process.alive)  # a member asks
            if known.container != container or known.left != gone:
                before = known.container.process
                if known.netns_name and before and container.process and not gone:
                    self.parts.names.move(known.netns_name, before, container.process)
                known = known.replace(container=container, left=gone)
                self.parts.attachments.put(known)
            return known
        if same and (known.done_endpoints or known.done_ports):
            return roll_back(self.parts, known)
        if not same and lives(self.parts, known):
            raise refuse_other_life(known)
        stranded = living_members(self.parts, known)
        take_down(self.parts, known)
        if stranded:
            names = ", ".join(member.name for member in stranded)
            self.parts.log.append(
                "members lost their network",
                container=container.id,
                name=container.name,
                members=names,
                hint=f"restart {names}",
            )
        return None

    def _join(self, container: Container, target: str, sandbox: Sandbox) -> Attachment:
        """Count a container as a member of the sandbox that it shares."""
        with self.parts.container_lock(container.id):
            known = self.parts.attachments.get(container.id)
            if known and not known.member_of and not is_of(self.parts, known, sandbox.identity):
                self._settle(container, sandbox)
        owner = self.parts.attachments.find(target)
        owner_id = owner.member_of or owner.container.id
        with self.parts.container_lock(owner_id):
            current = self.parts.attachments.get(owner_id)
            if current is None or current.left or current.boot_id != self.parts.boot_id:
                raise NotFoundError(
                    "", f"the container {target} has stopped", f"start {target} first"
                )
            if current.state != ATTACHED:
                raise NotFoundError(
                    "", f"the container {target} is not attached yet", f"attach {target} first"
                )
            if not is_of(self.parts, current, sandbox.identity):
                raise RequestError(
                    "",
                    f"it is not in the sandbox of {target}, and can't be moved there any more",
                    f"start it there: with podman's --network=container:{target}, or "
                    f"ocinet hooks add BUNDLE --net container:{target}",
                )
            if owner_id == container.id:
                raise RequestError("", "it can't share its own sandbox")
            known = self.parts.attachments.get(container.id)
            if known and known.member_of == owner_id and known.container == container:
                return known
            member = Attachment(
                container=container,
                mode="container",
                state=ATTACHED,
                sandbox=sandbox.identity,
                boot_id=self.parts.boot_id,
                time=now(),
                member_of=owner_id,
            )
            # The member's own record goes first: without it nothing would
            # ever count the member out.
            self.parts.attachments.put(member)
            self.parts.attachments.put(with_member(current, container))
        self._log_attached(member)
        return member

    def plan(self, container: Container, request: Request, sandbox: Sandbox) -> tuple[Step, ...]:
        """Return the steps that `attach` would do, having changed nothing that stays.

        Raises:
            OcinetError: as `attach` would before its first step.
        """
        if request.mode == "host" or sandbox.is_host:
            return ()
        try:
            self.parts.check_settings()
            with self.parts.container_lock(container.id):
                known = self.parts.attachments.get(container.id)
                if known and not is_of(self.parts, known, sandbox.identity):
                    if lives(self.parts, known):
                        raise refuse_other_life(known)
                    known = None
                if known:
                    known = known.done
                if request.mode == "container" or (known and is_satisfied(request, known)):
                    return ()
                return Attach(self.parts, container, sandbox, known).plan(request)
        except OcinetError as error:
            raise error.within(f"cannot attach {container.name}") from error

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
            done = detach(self.parts, container_id, bundle=bundle, force=force)
        except OcinetError as error:
            told = error.within(f"cannot detach {container_id}")
            self.parts.log.append("detach failed", container=container_id, error=str(told))
            raise told from error
        if done:
            self._tell_flaw()
        return done

    def wired(self, container: Container, sandbox: Sandbox) -> bool:
        """Tell whether a container's process is known, complete, in this very sandbox.

        For who comes second, by whatever door the first one came.
        """
        known = self.parts.attachments.get(container.id)
        return (
            known is not None
            and known.state == ATTACHED
            and known.container.process == container.process
            and is_of(self.parts, known, sandbox.identity)
        )

    def ended(self, container_id: str) -> bool:
        """Detach a container of which it is said that it has ended; not if it lives.

        Returns:
            False if there was nothing to do.

        Raises:
            OcinetError: as `detach`.
        """
        return self.detach(container_id, bundle="")

    def prepare(self, network: str) -> bool:
        """Make a network ready for its first container, and whole again after a flush.

        Each attach does it as well, but a first one takes many times as long.

        Args:
            network: its name; the default one is defined by it, if it is not yet.

        Returns:
            False if there was nothing to do.

        Raises:
            OcinetError: it can't be done; what was done of it stays for the
                first attach to go on with.

        Effects:
            The bridge, forwarding, our firewall table and what is in it.
        """
        self.parts.check_settings()
        what = f"cannot prepare the network {network}"
        try:
            wanted = (self.parts.networks.get(network),)
            observed = observe(self.parts, wanted)
            if observed.firewall.table and all(one.link for one in observed.devices):
                return False
            steps = plan_networks(wanted, (), observed, self.parts.settings)
            Journal(self.parts, self.parts.machine(), "").apply(steps)
        except OcinetError as error:
            raise error.within(what) from error
        return True

    def rename(self, container_id: str, name: str) -> bool:
        """Know a container by another name from now on; its sandbox's name stays.

        Returns:
            False if it is not known.
        """
        known = self.parts.attachments.get(container_id)
        if known is None:
            return False
        with self.parts.container_lock(known.member_of or container_id):
            known = self.parts.attachments.get(container_id)
            if known is None or known.container.name == name:
                return False
            renamed = known.container.replace(name=name)
            self.parts.attachments.put(known.replace(container=renamed))
            owner = self.parts.attachments.get(known.member_of) if known.member_of else None
            if owner:
                self.parts.attachments.put(with_member(owner, renamed))
        self.parts.log.append("renamed", container=container_id, name=name)
        return True

    def publish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Publish ports of a container that runs.

        Args:
            target: an id, a name, or an id's start.
            publishes: as in a request.

        Raises:
            OcinetError: it can't be done; what was published stays so.
        """
        known = self.parts.attachments.find(target)
        container = known.container
        if not known.endpoints:
            raise RequestError(
                f"cannot publish ports of {container.name}",
                "it is on no network of ocinet's",
                f"ocinet attach {container.name} --net bridge",
            )
        with open_recorded(known, self.parts.paths) as sandbox:
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
        container_id = self.parts.attachments.find(target).container.id
        with self.parts.container_lock(container_id):
            record = self.parts.attachments.get(container_id)
            if record is None:
                raise NotFoundError(f"cannot unpublish ports of {target}", "it was just detached")
            going = []
            for wish in publishes:
                matches = [
                    port
                    for port in record.ports
                    if port.serves(wish)
                    or (not wish.host_address and port.replace(host_address=None).serves(wish))
                ]
                if not matches:
                    raise NotFoundError(
                        f"cannot unpublish ports of {record.container.name}",
                        f"{f'{wish.host_port}:' if wish.host_port else ''}"
                        f"{wish.container_port}/{wish.protocol} is not published",
                        "see: ocinet ps",
                    )
                going += matches
            gone = tuple(dict.fromkeys(going))
            go_through(self.parts, self.parts.machine(), close_ports(gone), "")
            record = record.replace(ports=tuple(one for one in record.ports if one not in gone))
            self.parts.attachments.put(record)
            self.parts.ports.release(container_id, gone)
        self.parts.log.append("unpublished", container=container_id, ports=len(gone))
        return record

    def gc(self, *, dry_run: bool = False) -> tuple[Finding, ...]:
        """Remove everything of ours that nobody holds; see `gc.collect`."""
        from ocinet.engine.gc import collect

        findings = collect(self.parts, dry_run=dry_run)
        if any(one.removed for one in findings):
            self._tell_flaw()
        return findings

    def remove_network(self, name: str) -> None:
        """Remove a network that no container is on; see `removal.remove_network`."""
        from ocinet.engine.remove_network import remove_network

        remove_network(self.parts, name)

    def _tell_flaw(self) -> None:
        """Leave an event where something is taken down without the operator's settings."""
        if self.parts.settings_flaw:
            self.parts.log.append("settings ignored", error=str(self.parts.settings_flaw))

    def _log_attached(self, attachment: Attachment) -> None:
        self.parts.log.append(
            "attached",
            container=attachment.container.id,
            name=attachment.container.name,
            door=attachment.container.door,
            mode=attachment.mode,
            networks=[endpoint.network for endpoint in attachment.endpoints],
            addresses=[
                str(one.address) for endpoint in attachment.endpoints for one in endpoint.addresses
            ],
        )

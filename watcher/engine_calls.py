"""What the watcher has `ocinet.engine` do: each call with an engine of its own.

The calls can be repeated and come in any order: the truth is what the records
and the kernel say at the time, not what was said before.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ocinet.base.clock import boot_id
from ocinet.base.events import EventLog
from ocinet.engine.changes import Changes
from ocinet.engine.engine import Engine
from ocinet.engine.held_ports import HeldPorts
from ocinet.engine.model.attachment import ATTACHED, Container
from ocinet.engine.model.naming import UNSTARTED
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.restore import has_ipv6
from ocinet.watcher.access_calls import AccessCalls

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.base.paths import Paths
    from ocinet.engine.check import Finding
    from ocinet.engine.gc import Leftover
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.engine.model.scope import Scope
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.operation import Neighbours
    from ocinet.picture.values import Picture
    from ocinet.watcher.life import Life, Losses
    from ocinet.watcher.observed import ObservedContainer
    from ocinet.watcher.pace import Hold

DOOR = "watcher"
_KEEP_S = 60.0  # a thousand containers may have lost their bridge
_PATIENCE_S = 5.0  # for a lock whose holder is stopped or hangs: meanwhile nobody is looked at


def _say_nothing(container_id: str, warning: str) -> None:
    """Stand where nobody listens."""


class EngineCalls:
    """Attaches and detaches by way of `ocinet.engine`; any thread may use it.

    Args:
        paths: of the installation.
        neighbours: knows what the engines have given out on bridges of theirs.
        settings: returns those in force, whatever the files say meanwhile.
        warn: told of a container's id, and what could not be done for it but
            need not; without, the event log alone is.
    """

    def __init__(
        self,
        paths: Paths,
        neighbours: Neighbours,
        settings: Callable[[], Settings],
        warn: Callable[[str, str], None] = _say_nothing,
    ) -> None:
        self._paths = paths
        self._neighbours = neighbours
        self._settings = settings
        self._warn = warn
        # For `keep` alone, which one thread does at a time, several times after each change.
        self._attachments = AttachmentStore(paths)
        # Of who looks, beside who keeps: it has each record decoded once, not at each look.
        self._seen = AttachmentStore(paths)
        self.access = AccessCalls(paths, self._engine)
        self._leavers: set[str] = set()  # ids of who has left members behind, in any life
        self._looking = Lock()  # the page's thread and that of figures do; the store is for one

    def attach(
        self,
        container: ObservedContainer,
        request: Request,
        life: Life,
        *,
        anew: bool,
        early: bool = False,
    ) -> Attachment | None:
        """Wire a container, unless it is wired, by whatever door.

        Args:
            container: as it was observed.
            request: what it asks for.
            life: its process and sandbox.
            anew: whether it may have been wired by less than that request.
            early: whether it has yet to be started: what is written to its files then is
                written once more at its start.

        Returns:
            The record, or None if there was nothing to do.

        Raises:
            OcinetError: it can't be done; all is as it was.
        """
        name = request.name or container.name
        recorded = Container(container.id, name, "", life.process, DOOR)
        with self._engine() as engine:
            if not anew and engine.containers.is_wired(recorded, life.sandbox.identity):
                if not early:  # by podman 5's hook, or before it had files
                    engine.tell_names(container.id)
                return None
            before = engine.containers.get(container.id) if anew else None
            # Docker writes /etc/hosts once more between create and start, from 26 on.
            rootfs = UNSTARTED if early else None
            after = engine.attach(recorded, request, life.sandbox, rootfs)
            for warning in engine.warnings:
                self._warn(container.id, warning)
            return None if before and _is_same(before, after) else after

    def _engine(self) -> Engine:
        return Engine.open(self._paths, neighbours=self._neighbours, settings=self._settings())

    def guard(self, container_id: str, sandbox: Sandbox) -> Losses | None:
        """Listen for the loss of a container's addresses of IPv6; to be closed.

        Those that were lost before are back, then.

        Returns:
            None if it has none.

        Raises:
            OcinetError: the sandbox can't be entered, or an address was refused.
        """
        with self._engine() as engine:
            losses = engine.guard_ipv6(container_id, sandbox)
            if losses:
                try:
                    engine.restore_ipv6(container_id, sandbox)
                except BaseException:
                    losses.close()
                    raise
            return losses

    def restore(self, container_id: str, *, started: bool) -> bool:
        """Put back addresses of IPv6 that a container has lost; False if it has them.

        Args:
            container_id: whole.
            started: whether it is to find itself by name now, which an early attach could not
                have it for good: it had no files yet, or Docker has written them since.

        Raises:
            OcinetError: its sandbox can't be entered, an address was refused, or its record
                can't be written.
        """
        record = AttachmentStore(self._paths).get(container_id)
        if record is None or not (has_ipv6(record) or (started and record.unnamed)):
            return False
        with self._engine() as engine:
            try:
                if not has_ipv6(record):
                    return False
                with engine.open_sandbox(record) as sandbox:
                    return engine.restore_ipv6(container_id, sandbox)
            finally:  # neither waits for the other's luck
                if started:
                    engine.tell_names(container_id)

    def is_known(self, container_id: str) -> bool:
        """Tell whether a container is wired, all of it, and its process lives.

        By its record alone: reconciling asks this of every container that runs,
        and an engine would open its sockets for each.
        """
        record = AttachmentStore(self._paths).get(container_id)
        if record is None or record.state != ATTACHED or record.boot_id != boot_id():
            return False
        process = record.container.process
        return bool(process and process.alive)

    def naming_of(self, container_id: str) -> tuple[str, bool]:
        """Return the name of a container's record, or "", and whether its files lack it yet."""
        record = AttachmentStore(self._paths).get(container_id)
        return (record.container.name, record.unnamed) if record else ("", False)

    def left_behind(self, container_id: str) -> tuple[Attachment, ...]:
        """Return the members that a container has left in its former sandbox.

        Raises:
            OcinetError: a record can't be read.
        """
        known = AttachmentStore(self._paths).get(container_id)
        # Who ends and comes back once more has a record that knows nothing of its former lives.
        if known is None or not (known.left_behind or container_id in self._leavers):  # nearly all
            return ()
        with self._engine() as engine:
            members = engine.containers.left_behind(container_id)
            # Those of whom somebody is left by now: who has gone for good is asked for no more.
            left = {record.member_of for record in engine.containers.all() if record.stranded}
        self._leavers = left
        return members

    def note_rejoin(self, member: Attachment) -> bool:
        """Note that a member is restarted; False: not in this life of its owner's any more.

        Raises:
            OcinetError: its record can't be written.
        """
        with self._engine() as engine:
            return engine.containers.note_rejoin(member)

    def take_back_rejoin(self, member: Attachment) -> None:
        """Note that a member was not restarted after all, for its engine went away meanwhile.

        Raises:
            OcinetError: its record can't be written.
        """
        with self._engine() as engine:
            engine.containers.take_back_rejoin(member)

    def ended(self, container_id: str) -> bool:
        """Take a container's wiring down, unless it lives.

        Returns:
            Whether there was something to do.

        Raises:
            OcinetError: something of it can't be removed.
        """
        with self._engine() as engine:
            return engine.ended(container_id)

    def rename(self, container_id: str, name: str) -> bool:
        """Know a container by another name; False if it is not known.

        Raises:
            OcinetError: its record can't be read or written.
        """
        with self._engine() as engine:
            return engine.rename(container_id, name)

    def tell(self, event: str, container_id: str, name: str, error: str) -> None:
        """Add to the event log what did not get as far as the engine."""
        log = EventLog(self._paths.run)
        log.append(event, container=container_id, name=name, door=DOOR, error=error)

    def prepare(self) -> bool:
        """Make the default network ready for its first container; False if it is.

        Raises:
            OcinetError: it can't be made ready.
        """
        with self._engine() as engine:
            return engine.prepare(DEFAULT_NETWORK)

    def changes(self) -> Changes:
        """Begin to listen to what others change; to be closed.

        Raises:
            OcinetError: the kernel lets nobody listen.
        """
        return Changes(self._paths)

    def hold_ports(self) -> HeldPorts:
        """Begin to hold published ports; to be closed.

        Raises:
            OcinetError: nobody tells of what is published.
        """
        return HeldPorts(self._paths)

    def keep(
        self, scope: Scope, may_repair: Callable[[str, str], bool], give_way: Callable[[], None]
    ) -> tuple[Finding, ...]:
        """Compare what is recorded with what is there, and put it right.

        Args:
            scope: what is looked at.
            may_repair: whether a thing is put right, by whose it is and what.
            give_way: called between two containers; it may call this for what can't wait.

        Returns:
            What was found.

        Raises:
            OcinetError: it can't be looked at.
        """
        with Engine.open(
            self._paths,
            timeout_s=_KEEP_S,
            patience_s=_PATIENCE_S,
            neighbours=self._neighbours,
            settings=self._settings(),
            attachments=self._attachments,
        ) as engine:
            return engine.check(scope=scope, may_repair=may_repair, give_way=give_way)

    def tell_hold(self, hold: Hold, hint: str) -> None:
        """Add to the event log what is not repaired any more for a while."""
        EventLog(self._paths.run).append(
            "repair held",
            name=hold.container,
            what=hold.what,
            for_s=hold.for_s,
            why="somebody undoes it each time",
            hint=hint,
        )

    def picture(self) -> dict[str, Any]:
        """Return all that is there, as the JSON value that `ocinet topology` prints.

        Raises:
            OcinetError: the kernel would not say, or something can't be read.
        """
        from ocinet.picture.as_json import encode  # for who looks

        return encode(self.look())

    def look(self) -> Picture:
        """Return the picture of this host, as it is now.

        Raises:
            OcinetError: the kernel would not say, or something can't be read.
        """
        from ocinet.picture.observe import take  # for who looks

        settings = self._settings()
        with (
            self._looking,
            Engine.open(self._paths, settings=settings, attachments=self._seen) as engine,
        ):
            return take(engine, self._paths.run)

    def collect(self) -> tuple[Leftover, ...]:
        """Remove everything of ours that nobody holds.

        Raises:
            OcinetError: something can't be read.
        """
        with self._engine() as engine:
            return engine.gc(dry_run=False)


def _is_same(before: Attachment, after: Attachment) -> bool:
    return (before.endpoints, before.ports, before.resolution, before.access) == (
        after.endpoints,
        after.ports,
        after.resolution,
        after.access,
    )

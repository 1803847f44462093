"""What is done about one container: jobs, which can be repeated and come in any order.

Each follows from what the engine shows of the container now, from its record and
from the kernel, and not from what was said before. `dispatch` says when they
are done.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EACCES
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from ocinet.base.errors import KernelError, OcinetError, RequestError
from ocinet.base.events import ENDED_UNSERVED, IMAGE_IGNORED, NOT_SERVED
from ocinet.request.podman_hooks import pod_hook
from ocinet.watcher.life import open_life
from ocinet.watcher.observed import NONE, SHARED, UNTOLD
from ocinet.watcher.policy import LEAVE, decide, needs_image
from ocinet.watcher.rejoining import LeftBehind, Rejoining

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.life import Life, Losses
    from ocinet.watcher.observed import ObservedContainer
    from ocinet.watcher.policy import Decision
    from ocinet.watcher.remembered import Remembered
    from ocinet.watcher.sight import Sight

_EARLY = "early"  # the door of who is wired before its start


class ContainerEngine(Protocol):
    """What has to be asked of Docker or Podman."""

    def listed(self) -> tuple[ObservedContainer, ...]:
        """List all containers."""

    def created(self, container_id: str) -> ObservedContainer | None:
        """Return what one that was created is to be like."""

    def kept(self, container_id: str) -> ObservedContainer | None:
        """Return what one is to be like now, by the engine's files, if they can be read."""

    def glance(self, container_id: str) -> ObservedContainer | None:
        """Return what is known of one without waiting."""

    def started(self, container_id: str) -> ObservedContainer | None:
        """Return all about one that is said to have started."""

    def inspect(self, container_id: str) -> ObservedContainer | None:
        """Return all about one."""

    def restart(self, container_id: str) -> None:
        """Restart one."""


class Attacher(LeftBehind, Protocol):
    """What has to be done to a container."""

    def attach(
        self, container: ObservedContainer, request: Request, life: Life, *, anew: bool, early: bool
    ) -> Attachment | None:
        """Wire it, unless it is wired; anew: more of it may have to be; early: not started yet."""

    def guard(self, container_id: str, sandbox: Sandbox) -> Losses | None:
        """Listen for the loss of its addresses of IPv6; None if it has none."""

    def restore(self, container_id: str, *, started: bool) -> bool:
        """Put back addresses of IPv6 that it has lost; once started, have its files name it."""

    def is_known(self, container_id: str) -> bool:
        """Tell whether it is wired and lives."""

    def naming_of(self, container_id: str) -> tuple[str, bool]:
        """Return the name that it is known by, or "", and whether its files have yet to say it."""

    def ended(self, container_id: str) -> bool:
        """Take its wiring down, unless it lives."""

    def rename(self, container_id: str, name: str) -> bool:
        """Know it by another name."""

    def tell(self, event: str, container_id: str, name: str, error: str) -> None:
        """Leave word where people look for it when this process's log is elsewhere."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Where an engine's list and the records do not agree.

    Attributes:
        unsettled: ids of those that run, may be for us, and are not wired.
        renamed: ids of those that are wired, and have another name by now.
        unnamed: ids of those that are wired, and whose files have yet to name them.
        deserted: ids of those that are wired, and have left members behind.
    """

    unsettled: tuple[str, ...]
    renamed: tuple[str, ...]
    unnamed: tuple[str, ...]
    deserted: tuple[str, ...] = ()


class ContainerJobs:
    """All that is done about one engine's containers; the workers call this.

    Args:
        engine: shows containers.
        attacher: wires them.
        remembered: of this engine's containers.
        sight: whether their processes can be seen.
        settings: returns those in force.
        log: bound to the engine.

    Attributes:
        sight: as given.
        rejoining: what is done about members whose owner is elsewhere.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        attacher: Attacher,
        remembered: Remembered,
        sight: Sight,
        settings: Callable[[], Settings],
        log: Any,
    ) -> None:
        self._engine = engine
        self.sight = sight
        self.rejoining = Rejoining(engine, attacher, remembered, settings, log)
        self._attacher = attacher
        self._remembered = remembered
        self._settings = settings
        self._log = log

    def observe(self, container_id: str) -> None:
        """Remember what a container that was created is to be like."""
        try:
            self._remembered.containers.put(container_id, self._engine.created(container_id))
        except OcinetError as error:
            self._log.debug("container not inspected", container=container_id, error=str(error))

    def attach_early(self, container_id: str, life: Life) -> Losses | None:
        """Wire a container that is being started.

        Args:
            container_id: whole.
            life: its process and its sandbox, which is closed.

        Returns:
            What tells that Docker has turned its IPv6 off, until it has started; None
            if it has none.

        Raises:
            SystemFailure: the engine does not answer.
        """
        with life.sandbox:
            # Its networks may have been changed since it was observed; and it may be
            # started before anybody has.
            container = (
                self._engine.kept(container_id)
                or self._remembered.containers.get(container_id)
                or self._engine.glance(container_id)
            )
            if container is None or container.mode != NONE:
                return None
            try:
                self._attach_amidst(container, life)
                losses = self._attacher.guard(container_id, life.sandbox)
            except OcinetError as error:
                # When it has started, it is tried once more, and said aloud.
                self._log.debug("not attached early", container=container_id, error=str(error))
                return None
            self._remembered.early.add(container_id)
            return losses

    def _attach_amidst(self, container: ObservedContainer, life: Life) -> None:
        """Attach a container that Docker may just now turn IPv6 off in: once more, then."""
        try:
            self._attach(container, life, door=_EARLY)
        except KernelError as error:
            if error.errno != EACCES:  # "IPv6 is disabled on this device"
                raise
            self._attach(container, life, door=_EARLY)

    def restore(self, container_id: str, *, started: bool) -> None:
        """Put back lost addresses of IPv6; once it has started, have a container's files name it.

        Raises:
            OcinetError: they can't be.
        """
        if self._attacher.restore(container_id, started=started):
            self._log.info("addresses of IPv6 restored", container=container_id)

    def settle(self, container_id: str, *, again: bool = False) -> None:
        """Make a container's wiring what it should be, by what its engine shows now.

        Args:
            container_id: whole.
            again: whether it was tried before, so that nothing but the engine's
                own answer counts.

        Raises:
            OcinetError: it can't be done.
        """
        early = self._remembered.early
        was_early = early.is_awaited(container_id)
        if early.started(container_id) and self._attacher.is_known(container_id):
            self.restore(container_id, started=True)
            self._log.debug("container looked at", container=container_id, mode=NONE)
            return
        observe = self._engine.inspect if again else self._engine.started
        container = observe(container_id)
        self._remembered.containers.put(container_id, container)
        if container is None or not container.running:
            self.end(container_id, forget=container is None)
        elif container.mode in (NONE, SHARED):
            life = open_life(container, lambda: self._engine.inspect(container_id), self.sight)
            if life:  # else it has just ended, and an event will say so
                self.sight.saw()
                with life.sandbox:
                    self._attach(container, life, door="start")
                if was_early:  # by less than it asks for, and before it had files
                    self.restore(container_id, started=True)
        else:
            self._say_what_is_odd(container, self._decide(container))
        if container:
            self._log.debug("container looked at", container=container_id, mode=container.mode)

    def end(self, container_id: str, *, forget: bool) -> None:
        """Take down the wiring of a container that is said to have ended; forget: and be removed.

        Raises:
            OcinetError: something of it can't be removed.
        """
        if self._attacher.ended(container_id):
            self._log.info("container detached", container=container_id)
        if self._remembered.complaints.take_back(container_id, NOT_SERVED):
            self._attacher.tell(ENDED_UNSERVED, container_id, "", "")
        self._remembered.early.forget(container_id)
        if forget:
            self._remembered.forget(container_id)

    def tell_not_served(self, container_id: str, error: OcinetError) -> None:
        """Leave word of a container that can't be wired, for `ocinet inspect` and `ps --all`."""
        container = self._remembered.containers.get(container_id)
        name = container.name if container else ""
        self._attacher.tell(NOT_SERVED, container_id, name, str(error))

    def rename(self, container_id: str) -> None:
        """Know a container by the name that it has now.

        Raises:
            OcinetError: the engine does not answer, or its record can't be written.
        """
        container = self._engine.inspect(container_id)
        self._remembered.containers.put(container_id, container)
        if container and container.mode in (NONE, SHARED):
            request = self._decide(container).request
            self._attacher.rename(container_id, (request and request.name) or container.name)

    def compare(self) -> Differences:
        """Compare the engine's whole list with what is wired, and forget who is gone.

        Raises:
            SystemFailure: the engine does not answer.
        """
        listed = {container.id: container for container in self._engine.listed()}
        self._remembered.keep_only(listed.keys())
        observed = self._remembered.containers.ids()
        for container in listed.values():
            if container.mode == SHARED:
                # So that its jobs take turns with its owner's.
                self._remembered.containers.put(container.id, container)
            elif container.mode == NONE and container.id not in observed:
                self.observe(container.id)
        unsettled, renamed, unnamed, deserted = [], [], [], []
        for container in listed.values():
            if not container.running or container.mode not in (NONE, SHARED, UNTOLD):
                continue
            if not self._attacher.is_known(container.id):
                unsettled.append(container.id)
                continue
            name, is_unnamed = self._attacher.naming_of(container.id)
            if name != container.name:
                renamed.append(container.id)
            if is_unnamed:  # a hook or an early attach wired it, and no start was told
                unnamed.append(container.id)
            if self.rejoining.concerns(container.id):
                deserted.append(container.id)
        return Differences(tuple(unsettled), tuple(renamed), tuple(unnamed), tuple(deserted))

    def _attach(self, container: ObservedContainer, life: Life, *, door: str) -> None:
        decision = self._decide(container)
        self._say_what_is_odd(container, decision)
        if decision.request is None:
            return
        if decision.act == "join" and not self._is_ours(container.target):
            return
        began = monotonic()
        early = self._remembered.early
        anew = container.whole and early.is_partial(container.id)
        attachment = self._attacher.attach(
            container, decision.request, life, anew=anew, early=door == _EARLY
        )
        if anew or not container.whole:
            early.set_partial(container.id, partial=not container.whole)
        if attachment:
            self._remembered.complaints.take_back(container.id, NOT_SERVED)
            self._log.info(
                "container attached",
                container=container.id,
                name=container.name,
                mode=attachment.mode,
                networks=[endpoint.network for endpoint in attachment.endpoints],
                addresses=[
                    str(address)
                    for endpoint in attachment.endpoints
                    for address in endpoint.addresses
                ],
                door=door,
                duration_ms=round((monotonic() - began) * 1000, 1),
            )

    def _decide(self, container: ObservedContainer) -> Decision:
        # podman's hook is registered: a member that asks wires the pod, before its first
        # instruction. Whatever it were given here, unasked, would be there beside that or before.
        hook = pod_hook() if container.infra and container.mode == NONE else ""
        if hook:
            why = f"it keeps a pod's sandbox, which podman's hook {hook} wires when a member asks"
            self._remembered.complaints.say(container.id, "container left alone", why, level="info")
            return LEAVE
        images, image, manifest = self._remembered.images, container.image, container.manifest
        carried = images.carried(image, manifest) if needs_image(container) else frozenset()
        return decide(container, carried, self._settings())

    def _is_ours(self, owner_id: str) -> bool:
        """Tell whether a sandbox that others share is wired by us, or is to be.

        Raises:
            SystemFailure: the engine does not answer.
        """
        if self._attacher.is_known(owner_id):
            return True
        owner = self._remembered.containers.get(owner_id)
        if owner is None:
            # Podman tells what happened within 250 ms in one breath: the member may be
            # looked at before its owner is, and nothing would tell of the member again.
            owner = self._engine.inspect(owner_id)
            self._remembered.containers.put(owner_id, owner)
        try:
            return bool(owner and self._decide(owner).request)
        except RequestError:
            return False  # the owner's matter

    def _say_what_is_odd(self, container: ObservedContainer, decision: Decision) -> None:
        complaints = self._remembered.complaints
        if decision.dropped:
            why = f"the image carries {', '.join(decision.dropped)}"
            if complaints.say(container.id, IMAGE_IGNORED, why):
                self._attacher.tell(IMAGE_IGNORED, container.id, container.name, why)
        if decision.why:
            complaints.say(container.id, "container left alone", decision.why)

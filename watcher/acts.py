"""What is done about one engine's containers: on what it tells, and by its list.

Events are hints. Each only says where to look; what is done follows from what
the engine shows then, from the records, and from the kernel. So it does not
matter if they are late, lost, repeated or out of order, and the whole list is
looked through when there is reason to believe that some were lost.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from ocinet.base.errors import ExhaustedError, OcinetError, RequestError
from ocinet.watcher.life import open_life
from ocinet.watcher.observed import NONE, SHARED, UNTOLD
from ocinet.watcher.policy import decide, needs_image

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.life import Life
    from ocinet.watcher.observed import Event, ObservedContainer
    from ocinet.watcher.policy import Carried, Decision
    from ocinet.watcher.workers import Workers

NOT_SERVED = "container not served"
_MOST_IMAGES = 256


class Asked(Protocol):
    """What has to be asked of an engine."""

    @property
    def kind(self) -> str:
        """What it is: docker or podman."""

    def listed(self) -> tuple[ObservedContainer, ...]:
        """List all containers."""

    def look(self, container_id: str) -> ObservedContainer | None:
        """Return what one is to be like."""

    def glance(self, container_id: str) -> ObservedContainer | None:
        """Return what is known of one without waiting."""

    def started(self, container_id: str) -> ObservedContainer | None:
        """Return all about one that is said to have started."""

    def inspect(self, container_id: str) -> ObservedContainer | None:
        """Return all about one."""

    def carried(self, image: str) -> Carried:
        """Return labels and annotations of an image."""


class Wires(Protocol):
    """What has to be done to a container."""

    def attach(
        self, shown: ObservedContainer, request: Request, life: Life, *, anew: bool
    ) -> Attachment | None:
        """Wire it, unless it is wired; anew: more of it may have to be."""

    def is_known(self, container_id: str) -> bool:
        """Tell whether it is wired and lives."""

    def name_of(self, container_id: str) -> str:
        """Return the name that it is known by, or ""."""

    def ended(self, container_id: str) -> bool:
        """Take its wiring down, unless it lives."""

    def rename(self, container_id: str, name: str) -> bool:
        """Know it by another name."""


class Finds(Protocol):
    """What has to be found before the engine tells of it."""

    def expect(self, container_id: str, found: Callable[[Life], None]) -> None:
        """Look for a container's sandbox, and give it to `found`, to be closed there."""

    def forget(self, container_id: str) -> None:
        """Look no more for a container's sandbox."""


class Acts:
    """All that is done about one engine's containers.

    Args:
        asked: the engine.
        wires: does it.
        workers: where it is done.
        lookout: finds sandboxes before the engine tells of them; None: no early
            attach.
        settings: returns those in force.
        log: bound to the engine.

    Attributes:
        retries_s: seconds to wait before each further try.
    """

    retries_s = (0.5, 2.0, 10.0)

    def __init__(
        self,
        asked: Asked,
        wires: Wires,
        workers: Workers,
        lookout: Finds | None,
        settings: Callable[[], Settings],
        log: Any,
    ) -> None:
        self._asked = asked
        self._wires = wires
        self._workers = workers
        self._lookout = lookout
        self._settings = settings
        self._log = log
        self._guard = threading.Lock()
        self._shown: dict[str, ObservedContainer] = {}  # those that we may have to do with
        self._said: dict[str, dict[str, str]] = {}  # by event, the last why: not to be said again
        self._carried: dict[str, Carried] = {}  # by image
        self._partly: set[str] = set()  # wired by what a list tells: without ports
        self._early_ones: set[str] = set()  # wired early, and not told to have started yet

    # What the stream's thread calls: it only queues.

    def told(self, event: Event) -> None:
        """Have done what an event gives reason to."""
        act, container = event.act, event.container_id
        if act == "create":
            # An answer may wait for a start that has overtaken it: one worker may, not all.
            self._workers.submit("look", f"look {container}", lambda: self._look(container))
        elif act == "start":
            self._settle(container)
        elif act in ("die", "destroy"):
            self._end(container, forget=act == "destroy")
        elif act == "rename":
            self._rename(container)
        elif act == "connect":
            self._connecting(event)
        elif act == "disconnect" and event.network == NONE:
            self._end(container, forget=False)  # all that a create that fails tells

    def _settle(self, container: str, attempt: int = 0) -> None:
        delay_s = self.retries_s[attempt - 1] if attempt else 0
        self._queue(container, "settle", lambda: self._settled(container, attempt), delay_s)

    def _rename(self, container: str) -> None:
        self._queue(container, "rename", lambda: self._renamed(container))

    def _end(self, container: str, *, forget: bool) -> None:
        if self._lookout:
            self._lookout.forget(container)
        self._queue(container, f"end {forget}", lambda: self._ended(container, forget=forget))

    def _connecting(self, event: Event) -> None:
        """A container is about to be started, if its network is none."""
        container = event.container_id
        if event.network != NONE:
            self._keep(container, None)  # by hand: it is no longer as it was shown
        elif self._lookout and self._settings().early_attach:
            self._lookout.expect(container, lambda life: self._found(container, life))

    def _found(self, container: str, life: Life) -> None:
        """Queue what has to be done with a sandbox; the lookout's thread calls this."""
        name = f"early {life.sandbox.identity}"
        if not self._queue(container, name, lambda: self._early(container, life)):
            life.sandbox.close()

    def _queue(
        self, container: str, name: str, job: Callable[[], None], delay_s: float = 0
    ) -> bool:
        def guarded() -> None:
            try:
                job()
            except OcinetError as error:
                self._say_once(container, NOT_SERVED, str(error), level="error")

        name = f"{name} {container}"  # members share a key with their owner
        return self._workers.submit(self._key(container), name, guarded, delay_s=delay_s)

    def _key(self, container: str) -> Hashable:
        """Members of a sandbox take turns with its owner."""
        with self._guard:
            shown = self._shown.get(container)
        return shown.target if shown and shown.mode == SHARED else container

    # What is known of containers.

    def _keep(self, container: str, shown: ObservedContainer | None) -> None:
        """Remember what a container is like, if it may be for us; None: forget."""
        with self._guard:
            if shown and shown.mode in (NONE, SHARED):
                self._shown[container] = shown
            else:
                self._shown.pop(container, None)

    def _look(self, container: str) -> None:
        """See what a container that was created is to be like."""
        try:
            self._keep(container, self._asked.look(container))
        except OcinetError as error:
            self._log.debug("container not inspected", container=container, error=str(error))

    def _carried_by(self, shown: ObservedContainer) -> Carried:
        """Return what a container's image carries, as far as that matters."""
        if not needs_image(shown):
            return frozenset()
        with self._guard:
            if shown.image in self._carried:
                return self._carried[shown.image]
        carried = self._asked.carried(shown.image) if shown.image else None
        if carried is not None:  # not to know may be for now only
            with self._guard:
                while len(self._carried) >= _MOST_IMAGES:
                    del self._carried[next(iter(self._carried))]
                self._carried[shown.image] = carried
        return carried

    def _say_once(self, container: str, event: str, why: str, *, level: str = "warning") -> None:
        """Log what is the matter with a container, but not what was just said."""
        with self._guard:
            said = self._said.setdefault(container, {})
            if said.get(event) == why:
                return
            said[event] = why
            shown = self._shown.get(container)
        name = shown.name if shown else ""
        getattr(self._log, level)(event, container=container, name=name, why=why)

    # What the workers do.

    def _early(self, container: str, life: Life) -> None:
        """Wire a container that is being started."""
        with life.sandbox:
            with self._guard:
                shown = self._shown.get(container)
            if shown is None:  # it is being started before anybody looked
                shown = self._asked.glance(container)
            if shown is None or shown.mode != NONE:
                return
            try:
                self._wire(shown, life, door="early")
            except OcinetError as error:
                # When it has started, it is tried once more, and said aloud.
                self._log.debug("not attached early", container=container, error=str(error))
            else:
                with self._guard:
                    self._early_ones.add(container)

    def _settled(self, container: str, attempt: int) -> None:
        """Make a container's wiring what it should be, by what its engine shows now."""
        try:
            if self._is_done(container):
                self._log.debug("container looked at", container=container, mode=NONE)
                return
            ask = self._asked.inspect if attempt else self._asked.started
            shown = ask(container)
            self._keep(container, shown)
            if shown is None or not shown.running:
                self._ended(container, forget=shown is None)
            elif shown.mode in (NONE, SHARED):
                life = open_life(shown, lambda: self._asked.inspect(container))
                if life:  # else it has just ended, and an event will say so
                    with life.sandbox:
                        self._wire(shown, life, door="start")
            else:
                self._say_what_is_odd(shown, self._decide(shown))
            if shown:
                self._log.debug("container looked at", container=container, mode=shown.mode)
        except OcinetError as error:
            if type(error) is RequestError:
                raise  # what is asked for does not change
            self._retry(container, attempt, error)

    def _is_done(self, container: str) -> bool:
        """Tell whether all of a container was wired early, since when it has but started."""
        with self._guard:
            early = container in self._early_ones
            self._early_ones.discard(container)
            partly = container in self._partly
        return early and not partly and self._wires.is_known(container)

    def _retry(self, container: str, attempt: int, error: OcinetError) -> None:
        """Try again in a while; when that was often enough, the error is said aloud."""
        if attempt == len(self.retries_s):
            raise error
        if attempt and isinstance(error, RequestError | ExhaustedError):
            # Somebody has to do something; whatever else fails may pass by itself.
            self._say_once(container, NOT_SERVED, str(error), level="error")
        self._log.debug("to be tried again", container=container, error=str(error))
        self._settle(container, attempt + 1)

    def _wire(self, shown: ObservedContainer, life: Life, *, door: str) -> None:
        decision = self._decide(shown)
        self._say_what_is_odd(shown, decision)
        if decision.request is None or (decision.act == "join" and not self._is_ours(shown.target)):
            return
        began = monotonic()
        with self._guard:
            anew = shown.whole and shown.id in self._partly
        attachment = self._wires.attach(shown, decision.request, life, anew=anew)
        with self._guard:
            if not shown.whole:
                self._partly.add(shown.id)
            elif anew:
                self._partly.discard(shown.id)
            if attachment:
                self._said.get(shown.id, {}).pop(NOT_SERVED, None)
        if attachment:
            self._log.info(
                "container attached",
                container=shown.id,
                name=shown.name,
                mode=attachment.mode,
                networks=[one.network for one in attachment.endpoints],
                addresses=[str(one) for end in attachment.endpoints for one in end.addresses],
                door=door,
                duration_ms=round((monotonic() - began) * 1000, 1),
            )

    def _decide(self, shown: ObservedContainer) -> Decision:
        return decide(shown, self._carried_by(shown), self._settings())

    def _is_ours(self, owner: str) -> bool:
        """Tell whether a sandbox that others share is wired by us, or is to be."""
        if self._wires.is_known(owner):
            return True
        with self._guard:
            shown = self._shown.get(owner)
        try:
            return bool(shown and self._decide(shown).request)
        except RequestError:
            return False  # the owner's matter

    def _say_what_is_odd(self, shown: ObservedContainer, decision: Decision) -> None:
        if decision.dropped:
            self._say_once(
                shown.id, "image's keys ignored", f"the image carries {', '.join(decision.dropped)}"
            )
        if decision.why:
            self._say_once(shown.id, "container left alone", decision.why)

    def _ended(self, container: str, *, forget: bool) -> None:
        if self._wires.ended(container):
            self._log.info("container detached", container=container)
        with self._guard:
            self._partly.discard(container)
            self._early_ones.discard(container)
            if forget:
                self._shown.pop(container, None)
                self._said.pop(container, None)

    def _renamed(self, container: str) -> None:
        """Know a container by the name that it has now."""
        shown = self._asked.inspect(container)
        self._keep(container, shown)
        if shown and shown.mode in (NONE, SHARED):
            asked = self._decide(shown).request
            self._wires.rename(container, (asked and asked.name) or shown.name)

    # The whole list.

    def reconcile(self) -> None:
        """Compare all containers of the engine with what is wired.

        Raises:
            SystemFailure: the engine does not answer.
        """
        listed = {one.id: one for one in self._asked.listed()}
        with self._guard:
            for known in (self._shown, self._said):
                for container in [one for one in known if one not in listed]:
                    del known[container]
            self._partly &= listed.keys()
            self._early_ones &= listed.keys()
            looked_at = set(self._shown)
        for shown in listed.values():
            if shown.mode == SHARED:
                self._keep(shown.id, shown)  # whose turn its member takes
            elif shown.mode == NONE and shown.id not in looked_at:
                self._look(shown.id)
        for shown in listed.values():
            may_be_ours = shown.running and shown.mode in (NONE, SHARED, UNTOLD)
            if may_be_ours and not self._wires.is_known(shown.id):
                self._settle(shown.id)
            elif may_be_ours and self._wires.name_of(shown.id) != shown.name:
                self._rename(shown.id)

"""When something is done about one engine's containers: on what it tells, and by its list.

Events are hints. Each only says where to look: it queues a job, and that job asks
anew for everything. So it does not matter if they are late, lost, repeated or
out of order, and the whole list is looked through when there is reason to
believe that some were lost. What can't be done is tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocinet.base.errors import ExhaustedError, OcinetError, RequestError
from ocinet.base.events import NOT_SERVED
from ocinet.watcher.observed import NONE
from ocinet.watcher.rejoining import REJOIN_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.container_jobs import ContainerJobs
    from ocinet.watcher.life import Life, Losses
    from ocinet.watcher.observed import Event
    from ocinet.watcher.remembered import Remembered
    from ocinet.watcher.sight import Sight
    from ocinet.watcher.workers import Workers


class SandboxFinder(Protocol):
    """What has to be found before the engine tells of it."""

    def expect(self, container_id: str, deliver: Callable[[Life], None]) -> None:
        """Look for a container's sandbox, and give it to `deliver`, to be closed there."""

    def tell_parent(self, container_id: str, parent: str) -> None:
        """Look below a cgroup, too, that a container has asked for as its parent."""

    def has_appeared(self, container_id: str) -> bool:
        """Tell whether a container's cgroup was made in this life of its."""

    def guard(self, container_id: str, losses: Losses, lost: Callable[[], None]) -> None:
        """Have it told when a sandbox loses an address, until it is released or forgotten."""

    def release(self, container_id: str) -> None:
        """Guard a container's addresses no more."""

    def forget(self, container_id: str) -> None:
        """Look no more for a container's sandbox, nor guard its addresses."""


class Dispatch:
    """Queues jobs about one engine's containers; none of its calls waits for one.

    Args:
        jobs: what is done.
        remembered: of this engine's containers.
        workers: where it is done.
        finder: finds sandboxes before the engine tells of them; None: no early
            attach.
        settings: returns those in force.
        log: bound to the engine.

    Attributes:
        retries_s: seconds to wait before each further try.
    """

    retries_s = (0.5, 2.0, 10.0)

    def __init__(
        self,
        jobs: ContainerJobs,
        remembered: Remembered,
        workers: Workers,
        finder: SandboxFinder | None,
        settings: Callable[[], Settings],
        log: Any,
    ) -> None:
        self._jobs = jobs
        self._remembered = remembered
        self._workers = workers
        self._finder = finder
        self._settings = settings
        self._log = log

    @property
    def sight(self) -> Sight:
        """Whether the processes of the engine's containers can be seen."""
        return self._jobs.sight

    def receive(self, event: Event) -> None:
        """Queue what an event gives reason to; the stream's thread calls this."""
        act, container_id = event.act, event.container_id
        if act == "create":
            # Docker answers no inspect while it starts the container (one lock for both),
            # in a crowd for seconds: one worker may wait for that, not all.
            self._workers.submit("look", f"look {container_id}", lambda: self._look(container_id))
        elif act == "start":
            self._settle(container_id)
        elif act in ("die", "destroy"):
            self._end(container_id, forget=act == "destroy")
        elif act == "rename":
            self._rename(container_id)
        elif act == "connect":
            self._expect(container_id, event.network)
        elif act == "disconnect" and event.network == NONE:
            # Where the runtime's create fails, Docker tells this alone: no start, no die.
            self._end(container_id, forget=False)

    def appeared(self, container_id: str) -> None:
        """Look for the sandbox of a container whose cgroup was made, if it is one for us.

        The finder's thread calls this. Docker 28 tells of the connection to `none` too
        late, and of a restart nothing before.
        """
        container = self._remembered.containers.get(container_id)
        if container and container.mode == NONE:
            self._look_out(container_id)

    def _look(self, container_id: str) -> None:
        """Observe a container that was created; its start may have overtaken this."""
        self._jobs.observe(container_id)
        if self._finder is None:
            return
        container = self._remembered.containers.get(container_id)
        if container and container.mode == NONE and container.cgroup_parent:
            self._finder.tell_parent(container_id, container.cgroup_parent)
        if self._finder.has_appeared(container_id):
            self.appeared(container_id)

    def reconcile(self) -> None:
        """Compare all containers of the engine with what is wired, and queue what follows.

        It waits for the engine, so it is a job itself.

        Raises:
            SystemFailure: the engine does not answer.
        """
        differences = self._jobs.compare()
        for container_id in differences.unsettled:
            self._settle(container_id)
        for container_id in differences.deserted:
            self._rejoin(container_id)
        for container_id in differences.renamed:
            self._rename(container_id)
        for container_id in differences.unnamed:
            self._restore(container_id, started=True)

    def _settle(self, container_id: str, attempt: int = 0) -> None:
        delay_s = self.retries_s[attempt - 1] if attempt else 0
        self._queue(container_id, "settle", lambda: self._try(container_id, attempt), delay_s)

    def _rejoin(self, owner_id: str) -> None:
        """Have whom it left in its former sandbox brought along, if that is wished.

        In a while: who falls over again and again takes nobody along each time. And not in its
        own turn, for a member may take long to end.
        """
        name, look = f"rejoin {owner_id}", self._jobs.rejoining.look
        self._workers.submit(name, name, lambda: look(owner_id), delay_s=REJOIN_S)

    def _rename(self, container_id: str) -> None:
        self._queue(container_id, "rename", lambda: self._jobs.rename(container_id))

    def _end(self, container_id: str, *, forget: bool) -> None:
        if self._finder:
            self._finder.forget(container_id)

        def end() -> None:
            self._release(container_id)  # an early attach that was under way has it guarded
            self._jobs.end(container_id, forget=forget)

        self._queue(container_id, f"end {forget}", end)

    def _expect(self, container_id: str, network: str) -> None:
        """Look for the sandbox of a container that is about to be started, if its network is none.

        Docker tells of the connection more than 100 ms before the container's first
        process runs; version 28 only once the runtime has created the container,
        10 to 30 ms before: `appeared` came first then.
        """
        if network != NONE:
            # By hand: it is no longer as it was observed.
            self._remembered.containers.forget(container_id)
        elif not self._remembered.early.is_awaited(container_id):
            self._look_out(container_id)

    def _look_out(self, container_id: str) -> None:
        if self._finder and self._settings().early_attach:
            self._finder.expect(container_id, lambda life: self._attach_early(container_id, life))

    def _attach_early(self, container_id: str, life: Life) -> None:
        """Queue an early attach; the finder's thread calls this."""
        name = f"early {life.sandbox.identity}"
        if not self._queue(container_id, name, lambda: self._wire_early(container_id, life)):
            life.sandbox.close()

    def _wire_early(self, container_id: str, life: Life) -> None:
        """Wire a container, and have its addresses guarded until it has started."""
        losses = self._jobs.attach_early(container_id, life)
        if losses and self._finder:
            self._finder.guard(
                container_id, losses, lambda: self._restore(container_id, started=False)
            )

    def _restore(self, container_id: str, *, started: bool) -> None:
        name = "name" if started else "restore"
        restore = self._jobs.restore
        self._queue(container_id, name, lambda: restore(container_id, started=started))

    def _release(self, container_id: str) -> None:
        if self._finder:
            self._finder.release(container_id)

    def _queue(
        self, container_id: str, name: str, job: Callable[[], None], delay_s: float = 0
    ) -> bool:
        """Queue a job in its container's turn; members of a sandbox take turns with its owner."""

        def guarded() -> None:
            try:
                job()
            except OcinetError as error:
                self._say_not_served(container_id, error)

        turn = self._remembered.containers.owner_of(container_id)
        # Members share a turn with their owner, so the name has to say whose job it is.
        return self._workers.submit(turn, f"{name} {container_id}", guarded, delay_s=delay_s)

    def _try(self, container_id: str, attempt: int) -> None:
        """Settle a container, or try again in a while, until that was often enough."""
        try:
            self._jobs.settle(container_id, again=attempt > 0)
            self._release(container_id)
            if self._jobs.rejoining.concerns(container_id):
                self._rejoin(container_id)
        except OcinetError as error:
            if type(error) is RequestError:
                raise  # what is asked for does not change
            if attempt == len(self.retries_s):
                raise
            if attempt and isinstance(error, RequestError | ExhaustedError):
                # Somebody has to do something; whatever else fails may pass by itself.
                self._say_not_served(container_id, error)
            self._log.debug("to be tried again", container=container_id, error=str(error))
            self._settle(container_id, attempt + 1)

    def _say_not_served(self, container_id: str, error: OcinetError) -> None:
        if self._remembered.complaints.say(container_id, NOT_SERVED, str(error), level="error"):
            self._jobs.tell_not_served(container_id, error)

"""Members of a sandbox whose owner has come back in another one: restarted, if that is wished.

Nobody can be moved into another sandbox; a restart by its engine brings a member there. Once
in each life of its owner's, and never more often than here is said: where the owner falls over
again and again, its members are not to do so, too.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Protocol

from ocinet.base.errors import OcinetError
from ocinet.watcher.observed import SHARED
from ocinet.watcher.policy import needs_image, wants_rejoin

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.observed import ObservedContainer
    from ocinet.watcher.remembered import Remembered

REJOINED, REJOIN_FAILED = "rejoined", "rejoin failed"
REJOIN_S = 1.0  # that an owner has been back for
_MOST, _WITHIN_S = 5, 600.0  # restarts of one member


class Restarter(Protocol):
    """What has to be asked of Docker or Podman."""

    def inspect(self, container_id: str) -> ObservedContainer | None:
        """Return all about a container; None if it has none such."""

    def restart(self, container_id: str) -> None:
        """Restart a container."""


class LeftBehind(Protocol):
    """What has to be known of who was left behind."""

    def left_behind(self, container_id: str) -> tuple[Attachment, ...]:
        """Return the members that a container has left in its former sandbox."""

    def note_rejoin(self, member: Attachment) -> bool:
        """Note that a member is restarted; False: not in this life of its owner's any more."""

    def take_back_rejoin(self, member: Attachment) -> None:
        """Note that a member was not restarted after all: it may be tried again."""

    def tell(self, event: str, container_id: str, name: str, error: str) -> None:
        """Leave word where people look for it when this process's log is elsewhere."""


class Rejoining:
    """Restarts the members of one engine's that want to be with their owner again.

    Args:
        engine: shows containers, and restarts them.
        known: who was left behind.
        remembered: of this engine's containers.
        settings: returns those in force.
        log: bound to the engine.
    """

    def __init__(
        self,
        engine: Restarter,
        known: LeftBehind,
        remembered: Remembered,
        settings: Callable[[], Settings],
        log: Any,
    ) -> None:
        self._engine = engine
        self._known = known
        self._remembered = remembered
        self._settings = settings
        self._log = log
        self._restarted_at: dict[str, list[float]] = {}  # one job of an owner at a time is here

    def concerns(self, owner_id: str) -> bool:
        """Tell whether a container has left anybody behind.

        Raises:
            OcinetError: a record can't be read.
        """
        return bool(self._known.left_behind(owner_id))

    def look(self, owner_id: str) -> None:
        """Restart whom a container has left behind, of those who want it; what fails is told."""
        try:
            members = self._known.left_behind(owner_id)
        except OcinetError as error:
            self._log.error(REJOIN_FAILED, container=owner_id, error=str(error))
            return
        for member in members:
            try:
                self._rejoin(member)
            except OcinetError as error:
                container = member.container
                self._log.error(REJOIN_FAILED, container=container.id, error=str(error))
                self._known.tell(REJOIN_FAILED, container.id, container.name, str(error))

    def _rejoin(self, member: Attachment) -> None:
        container_id, name = member.container.id, member.container.name
        shown = self._engine.inspect(container_id)
        if shown is None or shown.mode != SHARED or not shown.running:
            return  # another engine's, or by now not left behind any more
        images = self._remembered.images
        carried = images.carried(shown.image, shown.manifest) if needs_image(shown) else frozenset()
        if not wants_rejoin(shown, carried, self._settings()):
            return  # it was told when it was left behind, and `check` tells of it
        if not self._may_restart(container_id):
            why = f"it was restarted {_MOST} times in {_WITHIN_S:.0f} s, and its owner came back"
            if self._remembered.complaints.say(container_id, "rejoin held", why):
                self._known.tell(REJOIN_FAILED, container_id, name, f"{why} once more")
            return
        if not self._known.note_rejoin(member):
            return
        try:
            self._engine.restart(container_id)
        except OcinetError:
            if not self._answers(container_id):  # when it is back, all is compared anew
                self._known.take_back_rejoin(member)
            raise
        self._log.info(REJOINED, container=container_id, name=name)
        self._known.tell(REJOINED, container_id, name, "")

    def _answers(self, container_id: str) -> bool:
        try:
            self._engine.inspect(container_id)
        except OcinetError:
            return False
        return True

    def _may_restart(self, container_id: str) -> bool:
        """Count a restart in, unless there were too many lately."""
        now = monotonic()
        lately = [at for at in self._restarted_at.pop(container_id, []) if at > now - _WITHIN_S]
        may = len(lately) < _MOST
        self._restarted_at[container_id] = [*lately, now] if may else lately
        return may

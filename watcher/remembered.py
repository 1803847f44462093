"""What is remembered of one engine's containers, each thing by an owner with its own lock.

All of it could be forgotten at any time: it saves questions to the engine, and
people from reading the same twice. What is true is asked of the engine, of the
records and of the kernel.

KnownContainers   those that we may have to do with, as they were observed last
EarlyAttaches     who was wired before the engine told of the start
ImageKeys         what images carry
Complaints        what was said, not to be said again
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocinet.watcher.observed import NONE, SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, Literal

    from ocinet.watcher.observed import ObservedContainer
    from ocinet.watcher.policy import Carried

_MOST_IMAGES = 256


class KnownContainers:
    """Containers that we may have to do with, as they were observed last."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._observed: dict[str, ObservedContainer] = {}

    def get(self, container_id: str) -> ObservedContainer | None:
        """Return a container as it was observed last; None if it never was, or is not for us."""
        with self._guard:
            return self._observed.get(container_id)

    def ids(self) -> set[str]:
        """Return the ids of all."""
        with self._guard:
            return set(self._observed)

    def owner_of(self, container_id: str) -> str:
        """Return whose sandbox a container lives in, as far as it is known: its own, else."""
        container = self.get(container_id)
        return container.target if container and container.mode == SHARED else container_id

    def put(self, container_id: str, container: ObservedContainer | None) -> None:
        """Remember what a container is like, if it may be for us; None: it is not there."""
        if container is None or container.mode not in (NONE, SHARED):
            self.forget(container_id)
            return
        with self._guard:
            self._observed[container_id] = container

    def forget(self, container_id: str) -> None:
        """Forget a container."""
        with self._guard:
            self._observed.pop(container_id, None)

    def keep_only(self, container_ids: Collection[str]) -> None:
        """Forget all others."""
        with self._guard:
            for container_id in self._observed.keys() - container_ids:
                del self._observed[container_id]


class EarlyAttaches:
    """Who was wired before the engine told of the start, and whether by all that it asks for."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._not_told: set[str] = set()  # that they have started
        self._partial: set[str] = set()  # wired by what a list tells: without ports

    def add(self, container_id: str) -> None:
        """Remember that a container was wired early."""
        with self._guard:
            self._not_told.add(container_id)

    def is_awaited(self, container_id: str) -> bool:
        """Tell whether a container was wired early, and not yet told to have started."""
        with self._guard:
            return container_id in self._not_told

    def set_partial(self, container_id: str, *, partial: bool) -> None:
        """Remember whether a container was wired by less than it asks for."""
        with self._guard:
            if partial:
                self._partial.add(container_id)
            else:
                self._partial.discard(container_id)

    def is_partial(self, container_id: str) -> bool:
        """Tell whether a container was wired by less than it asks for."""
        with self._guard:
            return container_id in self._partial

    def started(self, container_id: str) -> bool:
        """Take note of a start; tell whether all of the container was wired for it."""
        with self._guard:
            was_early = container_id in self._not_told
            self._not_told.discard(container_id)
            return was_early and container_id not in self._partial

    def forget(self, container_id: str) -> None:
        """Forget a container: its life has ended."""
        with self._guard:
            self._not_told.discard(container_id)
            self._partial.discard(container_id)

    def keep_only(self, container_ids: Collection[str]) -> None:
        """Forget all others."""
        with self._guard:
            self._not_told.intersection_update(container_ids)
            self._partial.intersection_update(container_ids)


class ImageKeys:
    """What images carry: it never changes, for their digests are their contents'.

    Args:
        ask: by an image's id, and its manifest; None if it can't be told.
    """

    def __init__(self, ask: Callable[[str, str], Carried]) -> None:
        self._ask = ask
        self._guard = threading.Lock()
        self._carried: dict[str, Carried] = {}

    def carried(self, image: str, manifest: str) -> Carried:
        """Return labels and annotations of an image; None if they can't be told now."""
        digest = manifest or image
        with self._guard:
            if digest in self._carried:
                return self._carried[digest]
        carried = self._ask(image, manifest) if image else None
        if carried is not None:  # not to know may be for now only
            with self._guard:
                while len(self._carried) >= _MOST_IMAGES:
                    del self._carried[next(iter(self._carried))]
                self._carried[digest] = carried
        return carried


class Complaints:
    """Says what is the matter with containers, but not what was just said.

    Args:
        containers: know their names.
        log: bound to the engine.
    """

    def __init__(self, containers: KnownContainers, log: Any) -> None:
        self._containers = containers
        self._log = log
        self._guard = threading.Lock()
        self._reasons: dict[str, dict[str, str]] = {}  # by container and event, the last one

    def say(
        self,
        container_id: str,
        event: str,
        why: str,
        *,
        level: Literal["info", "warning", "error"] = "warning",
    ) -> bool:
        """Log an event of a container with its reason, if that is another one than the last.

        Returns:
            Whether it was.
        """
        with self._guard:
            reasons = self._reasons.setdefault(container_id, {})
            if reasons.get(event) == why:
                return False
            reasons[event] = why
        container = self._containers.get(container_id)
        name = container.name if container else ""
        getattr(self._log, level)(event, container=container_id, name=name, why=why)
        return True

    def take_back(self, container_id: str, event: str) -> bool:
        """Let an event be news again, whatever its reason; False if it was none."""
        with self._guard:
            return self._reasons.get(container_id, {}).pop(event, None) is not None

    def forget(self, container_id: str) -> None:
        """Forget what was said of a container."""
        with self._guard:
            self._reasons.pop(container_id, None)

    def keep_only(self, container_ids: Collection[str]) -> None:
        """Forget what was said of all others."""
        with self._guard:
            for container_id in self._reasons.keys() - container_ids:
                del self._reasons[container_id]


class Remembered:
    """All that is remembered of one engine's containers.

    Args:
        ask_image: see `ImageKeys`.
        log: bound to the engine.

    Attributes:
        containers, early, images, complaints: see the module.
    """

    def __init__(self, ask_image: Callable[[str, str], Carried], log: Any) -> None:
        self.containers = KnownContainers()
        self.early = EarlyAttaches()
        self.images = ImageKeys(ask_image)
        self.complaints = Complaints(self.containers, log)

    def forget(self, container_id: str) -> None:
        """Forget a container that has been removed."""
        self.containers.forget(container_id)
        self.early.forget(container_id)
        self.complaints.forget(container_id)

    def keep_only(self, container_ids: Collection[str]) -> None:
        """Forget all containers but these."""
        self.containers.keep_only(container_ids)
        self.early.keep_only(container_ids)
        self.complaints.keep_only(container_ids)

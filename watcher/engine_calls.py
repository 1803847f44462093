"""What the watcher has `ocinet.engine` do: each call with an engine of its own.

The calls can be repeated and come in any order: the truth is what the records
and the kernel say at the time, not what was said before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.clock import boot_id
from ocinet.engine.engine import Engine
from ocinet.engine.model.attachment import ATTACHED, Container
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.records.attachments import AttachmentStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.paths import Paths
    from ocinet.engine.gc import Leftover
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.operation import Neighbours
    from ocinet.watcher.life import Life
    from ocinet.watcher.observed import ObservedContainer

DOOR = "watcher"


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

    def attach(
        self, container: ObservedContainer, request: Request, life: Life, *, anew: bool
    ) -> Attachment | None:
        """Wire a container, unless it is wired, by whatever door.

        Args:
            container: as it was observed.
            request: what it asks for.
            life: its process and sandbox.
            anew: whether it may have been wired by less than that request.

        Returns:
            The record, or None if there was nothing to do.

        Raises:
            OcinetError: it can't be done; all is as it was.
        """
        name = request.name or container.name
        recorded = Container(container.id, name, "", life.process, DOOR)
        with self._engine() as engine:
            if not anew and engine.containers.is_wired(recorded, life.sandbox.identity):
                return None
            before = engine.containers.get(container.id) if anew else None
            after = engine.attach(recorded, request, life.sandbox)
            for warning in engine.warnings:
                self._warn(container.id, warning)
            same = before and (before.endpoints, before.ports) == (after.endpoints, after.ports)
            return None if same else after

    def _engine(self) -> Engine:
        return Engine.open(self._paths, neighbours=self._neighbours, settings=self._settings())

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

    def name_of(self, container_id: str) -> str:
        """Return the name that a container is recorded under, or ""."""
        record = AttachmentStore(self._paths).get(container_id)
        return record.container.name if record else ""

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
            return engine.containers.rename(container_id, name)

    def prepare(self) -> bool:
        """Make the default network ready for its first container; False if it is.

        Raises:
            OcinetError: it can't be made ready.
        """
        with self._engine() as engine:
            return engine.prepare(DEFAULT_NETWORK)

    def collect(self) -> tuple[Leftover, ...]:
        """Remove everything of ours that nobody holds.

        Raises:
            OcinetError: something can't be read.
        """
        with self._engine() as engine:
            return engine.gc(dry_run=False)

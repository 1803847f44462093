"""Which ports of the host are held while they are published, and since when they are not."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.value import Value
from ocinet.engine.model.listener import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.attachment import Attachment


class Turn(Value):
    """What changes when one container's record does.

    Attributes:
        let_go: nobody has these published any more.
        take: nobody had these before.
    """

    let_go: frozenset[Place] = frozenset()
    take: frozenset[Place] = frozenset()


def places_of(record: Attachment | None, boot_id: str) -> frozenset[Place]:
    """Return what is published by a record: of another boot, or none, that is nothing."""
    if record is None or record.boot_id != boot_id:
        return frozenset()
    return frozenset(
        Place(rule.protocol, rule.host_address or Address(rule.address.family, 0), rule.host_port)
        for rule in record.ports
    )


class Wanted:
    """Who has which places published, as far as it was told."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[Place]] = {}
        # A port may be two containers' for a moment, where one takes it over from the dead.
        self._count: dict[Place, int] = {}

    @property
    def containers(self) -> tuple[str, ...]:
        """The ids of those that have something."""
        return tuple(self._of)

    def tell(self, container_id: str, places: frozenset[Place]) -> Turn:
        """Note what a container has by now, and return what changes with it."""
        before = self._of.pop(container_id, frozenset())
        if places:
            self._of[container_id] = places
        take = frozenset(self._counted(places - before, 1, at=1))
        return Turn(frozenset(self._counted(before - places, -1, at=0)), take)

    def _counted(self, places: Iterable[Place], by: int, *, at: int) -> list[Place]:
        """Count places up or down; return those that have come to a number."""
        reached = []
        for place in places:
            count = self._count.pop(place, 0) + by
            if count:
                self._count[place] = count
            if count == at:
                reached.append(place)
        return reached

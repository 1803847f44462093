"""To whom links by name lead: looked up, for hosts files and for who may connect by them."""

from __future__ import annotations

from ocinet.base.names import SHOWN_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.engine.model.attachment import Attachment, Container, Member

    class Attached(Protocol):
        """What is asked of containers' records; see `storage.Attachments`."""

        def get(self, container_id: str) -> Attachment | None:
            """Return a container's record, or None."""

        def all(self) -> tuple[Attachment, ...]:
            """Return every record that can be read, by time."""

    class Index(Protocol):
        """What is asked of the index of links; see `storage.Linked`."""

        def targets(self) -> tuple[str, ...]:
            """List what there is a link to."""

        def note(self, target: str, container_id: str) -> None:
            """Note who a target is, if there is a link to it."""

        def noted(self, target: str) -> str:
            """Return who was noted last; "" for nobody."""

    class Called(Protocol):
        """What is asked of who is called how; see `storage.Mentions`."""

        def called(self, network: str, name: str) -> tuple[str, ...]:
            """Return the ids of the containers that are called so."""

    class Records(Protocol):
        """Those of `storage.Records` that tell of it: what is needed of them stands on this."""

        @property
        def attachments(self) -> Attached:
            """Containers' records."""

        @property
        def linked(self) -> Index:
            """Who has a link to what."""

        @property
        def mentions(self) -> Callable[[], Called]:
            """Return who is called how."""


def find_target(records: Records, target: str, *, everywhere: bool) -> Attachment | None:
    """Return the record of a link's target, if it is attached by now; the first of that name.

    Args:
        records: of all containers.
        target: as its user has written it.
        everywhere: whether one that is not noted is looked for in all records.
    """
    attachments = records.attachments
    known = records.linked.noted(target)
    record = attachments.get(known) if known else None
    if record is None or not is_called(record, target):
        record = attachments.get(target)
    if record is None and everywhere:
        called = (each for each in attachments.all() if is_called(each, target))
        record = next(called, None)
        if record:
            records.linked.note(target, record.container.id)
    if record and record.member_of:
        record = attachments.get(record.member_of)
    return record


def leads(records: Records) -> Callable[[str], str]:
    """Return what tells for one look whose sandbox a link leads to, by id; "" for nobody."""
    known: dict[str, str] = {}

    def lead(target: str) -> str:
        if target not in known:
            found = find_target(records, target, everywhere=True)
            known[target] = found.container.id if found else ""
        return known[target]

    return lead


def leads_of(
    records: Records, container_id: str, record: Attachment | None, led: tuple[str, ...] = ()
) -> Callable[[str], str]:
    """Return the same, for a container that is itself looked at as it is, or as it was.

    Args:
        records: of all.
        container_id: whose look it is.
        record: of it, as it is looked at.
        led: targets that are taken to lead to it, wherever they lead by now.
    """
    known = dict.fromkeys(led, container_id)

    def lead(target: str) -> str:
        if target not in known:
            known[target] = _lead(records, container_id, record, target)
        return known[target]

    return lead


def _lead(records: Records, own_id: str, record: Attachment | None, target: str) -> str:
    is_own = record is not None and is_called(record, target)
    if is_own and records.linked.noted(target) == own_id:
        return own_id  # also by a name that it had
    found = find_target(records, target, everywhere=True)
    if found is None:
        return ""
    if found.container.id == own_id:  # or by one in its sandbox, but no name that it gets now
        return own_id if is_own or not is_called(found, target) else ""
    # Who goes has left its names first, and its record last.
    called, name = records.mentions().called, found.container.name.lower()
    networks = dict.fromkeys(endpoint.network for endpoint in found.endpoints)
    is_there = any(found.container.id in called(network, name) for network in networks)
    return found.container.id if is_there else ""


def led_by(records: Records, record: Attachment) -> tuple[str, ...]:
    """Return what links to a container, or to one in its sandbox, may be written as."""
    known: tuple[Container | Member, ...] = (record.container, *record.members)
    return tuple(dict.fromkeys(name for each in known for name in names_of(records, each)))


def names_of(records: Records, known: Container | Member) -> tuple[str, ...]:
    """Return what links to one container may be written as."""
    # Of an id as much may be written as its user likes: what there is a link to, is asked.
    longer = (target for target in records.linked.targets() if _begins(known.id, target))
    return tuple(dict.fromkeys((known.name, known.id, known.id[:SHOWN_ID], *longer)))


def is_called(record: Attachment, target: str) -> bool:
    """Tell whether a link's target is a container, by name, by id, or by what is shown of one.

    Not by less: db, cafe and bad begin ids as well, whose containers nobody means.
    """
    container = record.container
    return target in (container.name, container.id) or _begins(container.id, target)


def _begins(container_id: str, target: str) -> bool:
    return len(target) >= SHOWN_ID and container_id.startswith(target)

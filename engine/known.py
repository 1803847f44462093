"""Which of the containers that are known is meant by an id, a name, or an id's start."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, RequestError
from ocinet.base.names import check_container, did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.storage import Attachments


def find_record(attachments: Attachments, target: str) -> Attachment:
    """Return the container that a person means: by id, by name, or by an id's start.

    Raises:
        NotFoundError: there is none; tells the nearest names.
        RequestError: several ids begin so, or several have that name.
    """
    # Ids and names become parts of paths, so nothing else is looked for.
    check_container(target, "container")
    # First, as it reads one file, where a name has to be looked for in all.
    exact = attachments.get(target)
    if exact is not None:
        return exact
    everyone = attachments.all()
    meant = choose_record(everyone, target)
    if meant is not None:
        return meant
    known = [name for record in everyone for name in (record.container.name, record.container.id)]
    raise NotFoundError(
        "", f"no container {target} is known", did_you_mean(target, known) or "see: ocinet ps"
    )


def choose_record(records: Sequence[Attachment], target: str) -> Attachment | None:
    """Return who is meant: by the id, else by the name, else by the id's start; None: nobody.

    Raises:
        RequestError: several ids begin so, or several have that name.
    """
    for matches in (
        [record for record in records if record.container.id == target],
        [record for record in records if record.container.name == target],
        [record for record in records if record.container.id.startswith(target)],
    ):
        if len(matches) > 1:
            ids = ", ".join(record.container.id[:12] for record in matches)
            raise RequestError("", f"{target} is not unique: {ids}", "give the whole id")
        if matches:
            return matches[0]
    return None

"""All that is there and recorded, for who shows it again and again: by few lists.

It changes nothing, enters no sandbox, and asks no question for one container: what `check` finds
besides takes three times as long.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.sight import Overview, Sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ocinet.engine.addresses import Addresses
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.link import Link
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.storage import Records


class _Listed:
    """The links of one list, for who asks for them by name."""

    def __init__(self, overview: Overview) -> None:
        self._links = {counted.link.ifname: counted.link for counted in overview.links}

    def link(self, ifname: str) -> Link | None:
        """Return the link of that name, or None."""
        return self._links.get(ifname)


def take_sight(
    look_over: Callable[[], Overview],
    firewall: seams.Firewall,
    records: Records,
    addresses: Addresses,
    operation: Operation,
) -> Sight:
    """Return what is there and recorded.

    Args:
        look_over: at the host's links.
        firewall: is asked whether our table is there.
        records: of all containers and networks.
        addresses: tell how full networks are.
        operation: by whose boot, and processes, it is told who lives.

    Raises:
        OcinetError: a state directory can't be read.
    """
    known = records.attachments.all()
    damaged = len(records.attachments.ids()) > len(known)  # or one has come just now
    networks = records.networks.readable()
    # Only now: an attach that ended between would be on record, and not be among the links.
    overview = look_over()
    known = tuple(_still_there(known, overview, records))
    links: Any = _Listed(overview)  # of the seam, all that liveness asks for
    liveness = Liveness(links, records.attachments, operation)
    dead = frozenset(record.container.id for record in known if liveness.is_dead(record))
    living = tuple(record for record in known if record.container.id not in dead)
    return Sight(
        overview=overview,
        records=known,
        networks=networks,
        usage=tuple(addresses.leases.usage(network.name, network.pools) for network in networks),
        dead=dead,
        lost=_lost(firewall, living),
        unreadable=records.networks.unreadable(),
        # All are read once more where one can't be: not for every look.
        unread=records.attachments.unreadable() if damaged else (),
    )


def _still_there(
    known: Iterable[Attachment], overview: Overview, records: Records
) -> Iterator[Attachment]:
    """Return records, less those that were taken down before their links were looked at."""
    names = {counted.link.ifname for counted in overview.links}
    for record in known:
        if names.issuperset(end.host_ifname for end in record.endpoints if end.host_ifname):
            yield record
            continue
        try:
            now = records.attachments.get(record.container.id)
        except OcinetError:
            now = record  # it was read a moment ago
        if now:
            yield now


def _lost(firewall: seams.Firewall, living: tuple[Attachment, ...]) -> tuple[str, ...]:
    """Return that our table is gone, where somebody's attach has made it in this boot."""
    if not any(record.state == ATTACHED and record.endpoints for record in living):
        return ()
    try:
        there = firewall.observe().table
    except OcinetError as error:
        return (f"our table can't be looked at: {error}",)
    return () if there else ("the table inet ocinet is gone",)

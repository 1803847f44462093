"""From what the tables hold and what they are to hold to what has to be done: pure.

Order counts. An address is there before the routes that say it; a peer that has moved is found
at its new place before the old one is forgotten; an entry that another one replaces is
not taken away first.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, ENOENT, ESRCH
from typing import Any

from ocinet.base.value import Value
from ocinet.cluster.plane import messages
from ocinet.cluster.plane.desired import Tables, Way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ocinet.base.address import Interface
    from ocinet.cluster.plane.desired import Forward, Neighbour

GONE = (ENOENT, ESRCH, EADDRNOTAVAIL)  # how the kernel says that what is to go is not there


class Act(Value):
    """One message to the kernel.

    Attributes:
        what: it makes or takes away, for people.
        made: or taken away.
        message: encoded, without a number yet.
        fine: errors by which all is as it should be, and nothing had to be done.
    """

    what: str
    made: bool
    message: bytes
    fine: tuple[int, ...] = ()


class Place(Value):
    """Where the tables are.

    Attributes:
        ifname: of the link that leads to the others, for people.
        ifindex: of it.
        bearer: the index of the link that bears the addresses.
        onlink: whether whom a route goes by is on the link whatever the addresses say.
    """

    ifname: str
    ifindex: int
    bearer: int
    onlink: bool = True


class Difference(Value):
    """What is not as it should be.

    Attributes:
        missing: wished, and not there.
        foreign: there, and not wished.
        ours: those of the foreign routes that were made by a data plane.
    """

    missing: Tables
    foreign: Tables
    ours: frozenset[Way] = frozenset()


def difference(wished: Tables, there: Tables, ours: frozenset[Way]) -> Difference:
    """Compare what is wished with what is there."""
    return Difference(_less(wished, there), _less(there, wished), ours & there.ways - wished.ways)


def _less(some: Tables, others: Tables) -> Tables:
    return Tables(
        some.addresses - others.addresses,
        some.neighbours - others.neighbours,
        some.forwards - others.forwards,
        some.ways - others.ways,
    )


def told(found: Difference, place: Place) -> tuple[str, ...]:
    """Return what is not as it should be, a line each for people."""
    lines = []
    for title, tables in (("is missing", found.missing), ("is not the cluster's", found.foreign)):
        for entries in (tables.addresses, tables.forwards, tables.neighbours, tables.ways):
            lines += [f"{_spelled(entry, place)} {title}" for entry in _in_order(entries)]
    return tuple(lines)


def acts(found: Difference, place: Place) -> tuple[Act, ...]:
    """Return what has to be done, in order."""
    return (
        *_new(found.missing.addresses, lambda it: messages.put_address(place.bearer, it), place),
        *_new(found.missing.forwards, lambda it: messages.put_forward(place.ifindex, it), place),
        *_new(
            found.missing.neighbours, lambda it: messages.put_neighbour(place.ifindex, it), place
        ),
        *_routed(found, place),
        *_clearing(found, place),
    )


def _routed(found: Difference, place: Place) -> Iterator[Act]:
    missing = {(way.prefix, way.metric) for way in found.missing.ways}
    replaced = {way for way in found.ours if (way.prefix, way.metric) in missing}
    instead = {(way.prefix, way.metric) for way in replaced}
    yield from _gone(found.foreign.ways - replaced,
                     lambda it: messages.delete_route(place.ifindex, it), place)  # fmt: skip
    yield from _new(
        found.missing.ways,
        lambda it: messages.put_route(
            place.ifindex, it, instead=(it.prefix, it.metric) in instead, onlink=place.onlink
        ),
        place,
    )


def _clearing(found: Difference, place: Place) -> Iterator[Act]:
    anew = {entry.address for entry in found.missing.neighbours}
    former = frozenset(entry for entry in found.foreign.neighbours if entry.address not in anew)
    at = place.ifindex
    yield from _gone(found.foreign.forwards, lambda it: messages.delete_forward(at, it), place)
    yield from _gone(former, lambda it: messages.delete_neighbour(at, it), place)
    yield from _gone(found.foreign.addresses,
                     lambda it: messages.delete_address(place.bearer, it), place)  # fmt: skip


def _new(entries: Iterable[Any], encode: Callable[[Any], bytes], place: Place) -> Iterator[Act]:
    for entry in _in_order(entries):
        yield Act(_spelled(entry, place), made=True, message=encode(entry))


def _gone(entries: Iterable[Any], encode: Callable[[Any], bytes], place: Place) -> Iterator[Act]:
    for entry in _in_order(entries):
        told = _spelled(entry, place)
        yield Act(told, made=False, message=encode(entry), fine=GONE)


def _in_order(entries: Iterable[Any]) -> list[Any]:
    return sorted(entries, key=str)


def _spelled(entry: Interface | Forward | Neighbour | Way, place: Place) -> str:
    if isinstance(entry, Way):
        return f"{entry} dev {place.ifname}"
    title = "" if hasattr(entry, "mac") else "address "
    return f"{title}{entry} on {place.ifname}"

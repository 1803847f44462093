"""How a route is held: of a container's record, of a network, and of a link."""

from __future__ import annotations

from ocinet.base.records import ADDRESS, NUMBER, SUBNET, Defaulted, Record, one_of, optional
from ocinet.engine.model.request import REFUSING, Route

ROUTE = Record(
    Route,
    destination=SUBNET,
    gateway=optional(ADDRESS),
    metric=Defaulted(NUMBER, 0),
    kind=Defaulted(one_of("unicast", *REFUSING), "unicast"),
)

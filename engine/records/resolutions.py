"""How an attachment's record holds what its container's user wished of resolvers and names.

{"servers": ["192.0.2.53"], "search": [], "options": ["ndots:2"],
 "hosts": [{"name": "db", "address": "192.0.2.7"}, {"name": "up", "address": null}]}
"""

from __future__ import annotations

from ocinet.base.records import ADDRESS, TEXT, Record, listed, optional
from ocinet.engine.model.resolution import AddedHost, Resolution

RESOLUTION = Record(
    Resolution,
    servers=listed(ADDRESS),
    search=listed(TEXT),
    options=listed(TEXT),
    hosts=listed(Record(AddedHost, name=TEXT, address=optional(ADDRESS))),
)

"""How an attachment's record holds what its container's user wished of resolvers and names.

{"servers": ["192.0.2.53"], "search": [], "options": ["ndots:2"],
 "hosts": [{"name": "db", "address": "192.0.2.7"}, {"name": "up", "address": null}],
 "hostname": "web1", "aliases": [{"name": "www", "network": ""}],
 "links": [{"target": "postgres", "name": "db"}]}
"""

from __future__ import annotations

from ocinet.base.records import ADDRESS, TEXT, Defaulted, Record, listed, optional
from ocinet.engine.model.resolution import AddedHost, Alias, LinkedName, Resolution

RESOLUTION = Record(
    Resolution,
    servers=listed(ADDRESS),
    search=listed(TEXT),
    options=listed(TEXT),
    hosts=listed(Record(AddedHost, name=TEXT, address=optional(ADDRESS))),
    hostname=Defaulted(TEXT, ""),
    aliases=Defaulted(listed(Record(Alias, name=TEXT, network=TEXT)), ()),
    links=Defaulted(listed(Record(LinkedName, target=TEXT, name=TEXT)), ()),
)

"""How an attachment's record holds who may talk to whom.

{"allow": [{"name": "db", "subnet": null, "protocol": "tcp", "first": 5432, "last": 5432}],
 "expose": null, "egress": [], "listens": null}
"""

from __future__ import annotations

from ocinet.base.records import NUMBER, SUBNET, TEXT, Defaulted, Record, listed, one_of, optional
from ocinet.engine.model.access import Access, Allowance
from ocinet.engine.model.request import PROTOCOLS

_ALLOWANCE = Record(
    Allowance,
    name=TEXT,
    subnet=optional(SUBNET),
    protocol=one_of("", *PROTOCOLS),
    first=NUMBER,
    last=NUMBER,
)
_LIST = optional(listed(_ALLOWANCE))
ACCESS = Record(Access, allow=_LIST, expose=_LIST, egress=_LIST, listens=Defaulted(_LIST, None))

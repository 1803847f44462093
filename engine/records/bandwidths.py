"""How an attachment's record holds the limits of an endpoint's bandwidth.

{"inward": {"rate": 10000000, "burst": 32768}, "outward": null}
"""

from __future__ import annotations

from ocinet.base.records import NUMBER, Record, optional
from ocinet.engine.model.bandwidth import Bandwidth, Limit

_LIMIT = Record(Limit, rate=NUMBER, burst=NUMBER)
BANDWIDTH = Record(Bandwidth, inward=optional(_LIMIT), outward=optional(_LIMIT))

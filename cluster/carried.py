"""Who was known before etcd lost its data, until told of again, or another has its share: pure.

etcd may be wiped, or be an older copy of itself. All hosts write back what they are, each when it
hears of it. Nobody may be cut off meanwhile, nor one who is not up to do so.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.cluster import keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.base.address import Subnet
    from ocinet.cluster.store import Entry

_ROOMS = ("config", "hosts", "shares")  # without the first, no share is of a pool


def carry(name: str, before: Mapping[str, Entry], now: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the hosts and shares, and their pools, that were there and are not any more.

    Args:
        name: of the cluster.
        before: what there was, and what was carried then.
        now: what there is.
    """
    return {
        key: entry
        for key, entry in before.items()
        if key not in now and _parts(name, key)[0] in _ROOMS
    }


def settle(name: str, carried: Mapping[str, Entry], now: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return what has to be carried still.

    Not what is there again, nor hosts that were forgotten since, nor shares of which another one
    has a part by now.
    """
    if not carried:
        return {}
    forgotten = {host for room, host in (_parts(name, key) for key in now) if room == "forgotten"}
    taken = [prefix for prefix in (_prefix(name, key) for key in now) if prefix]
    left = {}
    for key, entry in carried.items():
        room, host = _parts(name, key)
        prefix = _prefix(name, key)
        if key in now or (room == "hosts" and host in forgotten):
            continue
        if prefix and any(prefix.overlaps(other) for other in taken):
            continue
        left[key] = entry
    return left


def _parts(name: str, key: str) -> tuple[str, str]:
    room, _, rest = key.removeprefix(keys.root(name)).partition("/")
    return room, rest


def _prefix(name: str, key: str) -> Subnet | None:
    room, rest = _parts(name, key)
    if room != "shares":
        return None
    try:
        return keys.share_of(rest)
    except RequestError:
        return None

"""What containers of a cluster's networks are called, as hosts write it to each other.

    /ocinet/v1/prod/names/6f1c0a52-…/lan/0     {"containers": [{"id": "4f0c…", "own": ["web"], …}]}

A host writes of its own containers alone, a network's in as many parts as it takes. What it writes
is believed as far as its own shares go: no other address gets a name by it.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.jsontext import dumps, loads
from ocinet.base.names import check_network
from ocinet.base.records import ADDRESS, TEXT, Defaulted, Record, listed, parsed
from ocinet.base.value import Value
from ocinet.cluster import keys
from ocinet.cluster.decode import is_id
from ocinet.cluster.store import LONGEST_VALUE
from ocinet.engine.model.elsewhere import Elsewhere, read_wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ocinet.base.address import Subnet
    from ocinet.cluster.model import Host, Peer
    from ocinet.cluster.store import Entry

LONGEST = LONGEST_VALUE  # bytes of a part
MOST_PARTS = 16
_ROOM = "names"
_HEAD = len('{"containers": []}')
_NAME_SHOWN = 180  # of a host, where an id of 9 letters may follow


class Place(Value):
    """Whose a key is.

    Attributes:
        host: its id.
        network: the name of a network there.
        part: from 0.
    """

    host: str
    network: str
    part: int


def key_of(cluster: str, place: Place) -> str:
    """Return the key of a part."""
    return f"{keys.root(cluster)}{_ROOM}/{place.host}/{place.network}/{place.part}"


def is_name(cluster: str, key: str) -> bool:
    """Tell whether a key is one of names; it may be none of ours all the same."""
    return key.startswith(f"{keys.root(cluster)}{_ROOM}/")


def place_of(cluster: str, key: str) -> Place:
    """Read a key.

    Raises:
        RequestError: it is none, or not spelled as we do.
    """
    words = key.removeprefix(f"{keys.root(cluster)}{_ROOM}/").split("/")
    if len(words) != len(("host", "network", "part")) or not is_id(words[0]):
        raise RequestError("", "it is no key of names")
    if words[2] not in map(str, range(MOST_PARTS)):
        raise RequestError("", f"it is none of {MOST_PARTS} parts")
    return Place(words[0], check_network(words[1]), int(words[2]))


def parts_of(containers: Iterable[Elsewhere]) -> tuple[tuple[bytes, ...], int]:
    """Return what stands in the parts of a network, and how many containers have no room there."""
    parts: list[list[str]] = []
    size = LONGEST
    left_out = 0
    for container in containers:
        text = dumps(_CONTAINER.write(container))
        if size + len(text) + 2 > LONGEST:
            if len(parts) == MOST_PARTS or len(text) + _HEAD > LONGEST:
                left_out += 1
                continue
            parts.append([])
            size = _HEAD
        parts[-1].append(text)
        size += len(text) + 2
    return tuple(f'{{"containers": [{", ".join(part)}]}}'.encode() for part in parts), left_out


def read_part(data: bytes) -> tuple[Elsewhere, ...]:
    """Read a part; whose it is, is not in it.

    Raises:
        RequestError: it is none.
    """
    found: tuple[Elsewhere, ...] = _PART.read(loads(data, "", LONGEST))
    return found


def names_of(me: Host, peers: Iterable[Peer]) -> dict[str, str]:
    """Return how all hosts are called, by their ids: on each host alike, no two by one name."""
    hosts = (me, *(peer.host for peer in peers))
    known = [host.name for host in hosts]
    return {
        host.id: host.name[:_NAME_SHOWN]
        if known.count(host.name) == 1
        else f"{host.name[:_NAME_SHOWN]}-{host.id[:8]}"
        for host in hosts
    }


def believed(
    told: Iterable[Elsewhere], where: str, shares: tuple[Subnet, ...]
) -> tuple[Elsewhere, ...]:
    """Return who can be on a host, of those that it tells of: by addresses of its own alone."""
    found = []
    for each in told:
        own = tuple(at for at in each.addresses if any(at in share for share in shares))
        try:
            found.append(each.replace(where=where, addresses=own).check())
        except RequestError:
            continue
    return tuple(found)


def by_host(cluster: str, entries: Iterable[Entry]) -> dict[str, dict[Place, Entry]]:
    """Return the entries of names by their hosts; what is none is left out."""
    found: dict[str, dict[Place, Entry]] = {}
    for entry in entries:
        try:
            place = place_of(cluster, entry.key)
        except RequestError:
            continue
        found.setdefault(place.host, {})[place] = entry
    return found


def differing(
    cluster: str, stands: Mapping[Place, Entry], wanted: Mapping[Place, bytes]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return what has to be written by its key, and the keys that have to go."""
    written = {
        key_of(cluster, place): data
        for place, data in wanted.items()
        if place not in stands or stands[place].value != data
    }
    return written, tuple(key_of(cluster, place) for place in stands if place not in wanted)


def _elsewhere(**fields: Any) -> Elsewhere:
    return Elsewhere(where="", **fields)


_WISHES = listed(parsed(read_wish))
_CONTAINER = Record(
    _elsewhere,
    id=TEXT,
    addresses=listed(ADDRESS),
    own=listed(TEXT),
    aliases=listed(TEXT),
    since=TEXT,
    allow=Defaulted(_WISHES, ()),
    expose=Defaulted(_WISHES, ()),
)
_PART = Record(lambda containers: containers, containers=listed(_CONTAINER))

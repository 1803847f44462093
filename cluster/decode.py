"""What stands in etcd, read as what an enemy may have written: whoever has etcd's password.

A value that is too long, malformed, or says what cannot be, is a `RequestError` that names the
field. Nothing of it gets into a path, a command or the kernel but as a checked value.
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.base.jsontext import dumps, loads
from ocinet.base.names import check_network, is_hostname
from ocinet.base.records import (
    ADDRESS,
    NUMBER,
    SUBNET,
    Defaulted,
    Record,
    listed,
    one_of,
    optional,
    parsed,
)
from ocinet.base.value import Value
from ocinet.cluster.model import (
    BACKENDS,
    MAX_VNI,
    ROLES,
    Cluster,
    Host,
    Pool,
    Share,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST = 4096  # bytes of a value; ours have some 400
MOST_POOLS = 8
MOST_BITS = 24  # of a pool's prefix to its shares': 16 million are enough, and a search has an end
LONGEST_SHARE = {4: 30, 6: 112}  # the bridge's address, a container's, and the two that IPv4 takes
_SMALLEST_MTU = {4: 68, 6: 1280}
_LARGEST_MTU = 65535
_HEX = frozenset("0123456789abcdef")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_KEY_LENGTH = 44  # WireGuard's, 32 bytes in base64


class Alive(Value):
    """That a host is heard: what its lease keeps in etcd.

    Attributes:
        session: random, made at each start of its agent.
        boot: the kernel's id of its boot.
        since: RFC 3339, by its own clock.
    """

    session: str
    boot: str
    since: str


class Forgotten(Value):
    """That a host is no member any more, for when it comes back.

    Attributes:
        nonce: of the host that is meant.
        when: RFC 3339.
        by: the id of the host on which it was said.
    """

    nonce: str
    when: str
    by: str


def is_id(text: str) -> bool:
    """Tell whether it is a host's id: a UUID in lower case."""
    parts = text.split("-")
    return list(map(len, parts)) == [8, 4, 4, 4, 12] and _HEX.issuperset("".join(parts))


def read_cluster(data: bytes) -> Cluster:
    """Read a cluster.

    Raises:
        RequestError: it is none.
    """
    cluster: Cluster = _CLUSTER.read(loads(data, "", LONGEST))
    check_pools(cluster.pools)
    smallest = max(_SMALLEST_MTU[family] for family in cluster.families)
    if cluster.mtu is not None and not smallest <= cluster.mtu <= _LARGEST_MTU:
        raise RequestError("", f"mtu: {cluster.mtu} is not from {smallest} to {_LARGEST_MTU}")
    return cluster


def check_pools(pools: tuple[Pool, ...]) -> None:
    """Refuse pools that can't be cut into shares, or of which two overlap.

    Raises:
        RequestError: tells which, and why.
    """
    if not 0 < len(pools) <= MOST_POOLS:
        raise RequestError("", f"it has {len(pools)} pools, and not 1 to {MOST_POOLS}")
    for place, pool in enumerate(pools):
        if pool.prefix.overlaps(_UNUSABLE[pool.prefix.family]):
            raise RequestError("", f"the pool {pool.prefix} is not of hosts' addresses")
        check_length(pool, pool.share_length)
        for other in pools[:place]:
            if other.prefix.overlaps(pool.prefix):
                raise RequestError("", f"the pools {other.prefix} and {pool.prefix} overlap")


def check_length(pool: Pool, length: int) -> None:
    """Refuse a size of shares that a pool can't be cut into.

    Raises:
        RequestError: tells from what to what it may be.
    """
    shortest = pool.prefix.prefixlen
    longest = min(LONGEST_SHARE[pool.prefix.family], shortest + MOST_BITS)
    if not shortest <= length <= longest:
        raise RequestError("", f"a share of {pool.prefix} can't be a /{length}",
                           f"say one from /{shortest} to /{longest}")  # fmt: skip


def read_host(host_id: str, data: bytes) -> Host:
    """Read what stands under a host's key.

    Raises:
        RequestError: it is none, or another one's.
    """
    host: Host = _HOST.read(loads(data, "", LONGEST))
    if host.id != host_id:
        raise RequestError("", f"id: it is that of {host.id}")
    if not 0 < len(host.underlay) <= 2 or len({at.family for at in host.underlay}) < len(
        host.underlay
    ):
        raise RequestError("", "underlay: it is not one address of a family, or one of each")
    return host


def read_share(prefix: Subnet, data: bytes) -> Share:
    """Read what stands under a share's key.

    Raises:
        RequestError: it is none, or another one's.
    """
    share: Share = _SHARE.read(loads(data, "", LONGEST))
    if share.prefix != prefix:
        raise RequestError("", f"prefix: it is {share.prefix}")
    return share


def read_alive(data: bytes) -> Alive:
    """Read what stands under the key that a lease keeps.

    Raises:
        RequestError: it is something else.
    """
    alive: Alive = _ALIVE.read(loads(data, "", LONGEST))
    return alive


def read_forgotten(data: bytes) -> Forgotten:
    """Read what tells a host that it was forgotten.

    Raises:
        RequestError: it is something else.
    """
    forgotten: Forgotten = _FORGOTTEN.read(loads(data, "", LONGEST))
    return forgotten


def written(value: Cluster | Host | Share | Alive | Forgotten) -> bytes:
    """Return what stands for a value in etcd; `read_…` read it again."""
    return dumps(KINDS[type(value)].write(value)).encode()


def _name(text: str) -> str:
    if not is_hostname(text):
        raise RequestError("", f"{text[:80]!r} is no hostname")
    return text


def _id(text: str) -> str:
    if not is_id(text):
        raise RequestError("", f"{text[:80]!r} is no host's id")
    return text


def _id_or_none(text: str) -> str:
    return _id(text) if text else text


def _token(text: str) -> str:
    """Read what is random, or a time: it is compared, and shown to people."""
    if len(text) > 64 or not all(letter.isalnum() or letter in "-:." for letter in text):
        raise RequestError("", f"{text[:80]!r} is no token")
    return text


def _mac(text: str) -> str:
    parts = text.split(":")
    if list(map(len, parts)) != [2] * 6 or not _HEX.issuperset("".join(parts)):
        raise RequestError("", f"{text[:40]!r} is no MAC address")
    # Neither a multicast address, nor one that belongs to a manufacturer's card.
    if int(parts[0], 16) & 3 != 2:
        raise RequestError("", f"{text} is not locally administered")
    return text


def _public_key(text: str) -> str:
    if len(text) != _KEY_LENGTH or not _BASE64.issuperset(text):
        raise RequestError("", f"{text[:60]!r} is no public key")
    return text


def _roles(names: tuple[str, ...]) -> frozenset[str]:
    # A role that a later version knows is none of ours to refuse.
    return frozenset(names).intersection(ROLES)


def _reachable(address: Address) -> Address:
    value, unusable = address.value, _UNUSABLE[address.family]
    if address in unusable or address.is_loopback or address.is_link_local or value == 0:
        raise RequestError("", f"{address} is no address by which others reach a host")
    return address


def _number(first: int, last: int) -> Any:
    def read(value: Any) -> int:
        number = int(NUMBER.read(value))
        if not first <= number <= last:
            raise RequestError("", f"{number} is not from {first} to {last}")
        return number

    return type(NUMBER)(read, NUMBER.write)


def _make_host(**fields: Any) -> Host:
    return Host(**{**fields, "roles": _roles(fields["roles"])})


# Multicast; of IPv4 all from there on, as class E and broadcast follow it.
_UNUSABLE = {4: Subnet.parse("224.0.0.0/3"), 6: Subnet.parse("ff00::/8")}
_GENERATION = _number(1, (1 << 63) - 1)
_TOKEN = parsed(_token)
_POOL = Record(Pool, prefix=SUBNET, share_length=_number(0, 128))
_CLUSTER = Record(
    Cluster,
    name=parsed(check_network),
    pools=listed(_POOL),
    backend=one_of(*BACKENDS),
    vni=_number(1, MAX_VNI),
    port=_number(0, 65535),
    mtu=optional(NUMBER),
    version=_GENERATION,
    created_by=parsed(_id_or_none),
)
_HOST = Record(
    _make_host,
    id=parsed(_id),
    name=parsed(_name),
    underlay=listed(type(ADDRESS)(lambda value: _reachable(ADDRESS.read(value)), str)),
    mac=parsed(_mac),
    public_key=optional(parsed(_public_key)),
    roles=type(ADDRESS)(listed(parsed(lambda text: text[:64])).read, sorted),
    nonce=_TOKEN,
    version=_GENERATION,
    generation=_GENERATION,
)
_SHARE = Record(Share, prefix=SUBNET, host=parsed(_id), generation=Defaulted(_GENERATION, 1))
_ALIVE = Record(Alive, session=_TOKEN, boot=_TOKEN, since=_TOKEN)
_FORGOTTEN = Record(Forgotten, nonce=_TOKEN, when=_TOKEN, by=parsed(_id_or_none))
# What else writes them to a file.
KINDS: dict[type, Record] = {
    Cluster: _CLUSTER,
    Host: _HOST,
    Share: _SHARE,
    Alive: _ALIVE,
    Forgotten: _FORGOTTEN,
}

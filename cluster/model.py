"""A cluster, its hosts and their shares, and what a data plane is told: values alone.

Cluster  prod, of the pool 10.42.0.0/16 in shares of /24
Share    10.42.3.0/24 is host 6f1c…'s, for good: until it leaves or is forgotten
Host     6f1c…: its name, where the others reach it, its MAC
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.value import Value

BACKENDS = ("vxlan", "routes", "wireguard")
CONTAINERS = "containers"  # the role of who has some; without it, a share is the host's alone
ROLES = (CONTAINERS,)
VERSION = 1  # of what stands in etcd: who finds a higher one does not touch it

DEFAULT_VNI = 4242
DEFAULT_PORTS = {"vxlan": 4789, "wireguard": 51820, "routes": 0}
MAX_VNI = (1 << 24) - 1  # RFC 7348


class Pool(Value):
    """Addresses that are cut into shares.

    Attributes:
        prefix: all of them.
        share_length: the prefix length of a share, unless its host asked for another one.
    """

    prefix: Subnet
    share_length: int


class Cluster(Value):
    """What all its hosts have in common; written once, by who made it.

    Attributes:
        name: as that of a network.
        pools: one at least. A host has one share of each family, out of the first pool of that
            family which has room.
        backend: one of `BACKENDS`.
        vni: of VXLAN, 1 to `MAX_VNI`; it is part of the device's name, too.
        port: UDP, on the underlay; 0 where the backend has none.
        mtu: bytes of a container's packet; None: what is left of the underlay's.
        version: of what stands in etcd.
        created_by: the id of the host that made it.
    """

    name: str
    pools: tuple[Pool, ...]
    backend: str = "vxlan"
    vni: int = DEFAULT_VNI
    port: int = DEFAULT_PORTS["vxlan"]
    mtu: int | None = None
    version: int = VERSION
    created_by: str = ""

    @property
    def families(self) -> tuple[int, ...]:
        """Those that it has a pool of: 4, 6 or both."""
        return tuple(sorted({pool.prefix.family for pool in self.pools}))


class Host(Value):
    """A machine of a cluster's.

    Attributes:
        id: a UUID made of the machine id; stays as long as that does, whatever its addresses.
        name: for people; it may change.
        underlay: where the others reach it; at most one of each family, one at least.
        mac: of its VXLAN device, as 02:1f:…; made of the id, so it stays, too.
        public_key: WireGuard's, base64; None without.
        roles: a subset of `ROLES`.
        nonce: random, made when it first joined: a machine with the same id and another
            nonce is a clone of it.
        version: of what it understands.
        generation: counts up with each change that it wrote of itself, from 1.
    """

    id: str
    name: str
    underlay: tuple[Address, ...]
    mac: str
    public_key: str | None = None
    roles: frozenset[str] = frozenset(ROLES)
    nonce: str = ""
    version: int = VERSION
    generation: int = 1


class Share(Value):
    """A part of a pool, and whose it is.

    Attributes:
        prefix: as it was cut.
        host: the id of its owner.
        generation: of the join by which it has it: 1, unless it was written back since.
    """

    prefix: Subnet
    host: str
    generation: int = 1


class Peer(Value):
    """Another host, as a data plane is told of it.

    Attributes:
        host: where it is.
        shares: what lies behind it, in order.
        heard: whether its lease is alive. Only for who tells people: the way to it stays as
            it is until it leaves or is forgotten.
    """

    host: Host
    shares: tuple[Subnet, ...]
    heard: bool = True


class Mine(Value):
    """This host, as its data plane is told of it.

    Attributes:
        host: as it is written in etcd.
        shares: one of each family, in order.
        cluster: whose they are.
    """

    host: Host
    shares: tuple[Subnet, ...]
    cluster: Cluster

"""What a data plane's links and tables are to hold, from this host and its peers: pure.

The base address of a peer's share stands for the peer: what is for the share goes to that
address, that address has the peer's MAC, and that MAC lies behind the peer's underlay address.
Three entries a peer, none of which the kernel would have to ask anybody for.
"""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.value import Value
from ocinet.cluster.model import Cluster, Mine, Peer
from ocinet.cluster.plane.believed import Unreached, named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Of the routes that a data plane makes, by which it knows them again. Nobody else's: see
# /etc/iproute2/rt_protos, and rtnetlink.h, which leaves those above 4 to routing daemons.
ROUTE_PROTOCOL = 111
_BITS = {4: 32, 6: 128}


class Neighbour(Value):
    """Whose MAC an address of a link has, as the kernel is told for good.

    Attributes:
        address: on the link.
        mac: as 02:1f:….
        lasting: whether the kernel keeps it unasked; what it learned itself is not so.
    """

    address: Address
    mac: str
    lasting: bool = True

    def __str__(self) -> str:
        """Render it for people."""
        return f"neighbour {self.address} at {self.mac}"


class Forward(Value):
    """To which host frames for a MAC go: an entry of a VXLAN device's forwarding table.

    Attributes:
        mac: of the other host's device.
        host: its underlay address.
    """

    mac: str
    host: Address

    def __str__(self) -> str:
        """Render it for people."""
        return f"frames for {self.mac} to {self.host}"


class Way(Value):
    """A route to another host's share, or out of one's own device.

    Attributes:
        prefix: the share.
        via: whom it goes by; None: it is on the link itself.
        source: which address the host's own packets bear; None: the kernel's choice.
        ifindex: of the link, where that is not the one in question.
        metric: 0: the kernel's.
    """

    prefix: Subnet
    via: Address | None = None
    source: Address | None = None
    ifindex: int = 0
    metric: int = 0

    def __str__(self) -> str:
        """Render it for people."""
        return f"route {self.prefix}{f' via {self.via}' if self.via else ''}"


class Tables(Value):
    """What a link and the tables about it hold.

    Attributes:
        addresses: that the link bears.
        neighbours: on it.
        forwards: behind it, of VXLAN.
        ways: by it.
    """

    addresses: frozenset[Interface] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    forwards: frozenset[Forward] = frozenset()
    ways: frozenset[Way] = frozenset()


def device_of(cluster: Cluster) -> str:
    """Return the name of the device by which a cluster's packets come and go.

    At most 12 characters. Of the backend `routes`, which has no device, nobody asks.
    """
    return f"ocx-{cluster.vni}"


def underlay_of(mine: Mine) -> Address:
    """Return where the others reach this host: the first of its underlay addresses."""
    return mine.host.underlay[0]


def underlay_to(peer: Peer, family: int) -> Address | None:
    """Return where a peer is reached over the underlay of a family, if it is."""
    return next((at for at in peer.host.underlay if at.family == family), None)


def own_source(mine: Mine, family: int) -> Address | None:
    """Return the address in its share that the host's own packets to others' shares bear.

    The base of the share, which is no container's (the gateway is the next one, on a bridge that
    may not be there yet). A peer takes nothing from this host that bears another one.
    """
    return next((share.first for share in mine.shares if share.family == family), None)


def own_addresses(mine: Mine) -> frozenset[Interface]:
    """Return the addresses of the device: of each share its base, alone on it."""
    return frozenset(Interface(share.first, _BITS[share.family]) for share in mine.shares)


def vxlan_tables(mine: Mine, peers: Iterable[Peer]) -> tuple[Tables, tuple[Unreached, ...]]:
    """Return what is to be in the tables of this host's VXLAN device, and who is not reached.

    Args:
        mine: this host; without a share it has no address to speak with, and so no way.
        peers: all others.
    """
    family = underlay_of(mine).family
    neighbours, forwards, ways, unreached = set(), set(), set(), []
    for peer in peers:
        shares = [share for share in peer.shares if own_source(mine, share.family)]
        if not shares:
            continue
        at = underlay_to(peer, family)
        if at is None:
            unreached.append(Unreached(named(peer), _no_family(family)))
            continue
        bases: dict[int, Address] = {}
        forwards.add(Forward(peer.host.mac, at))
        for share in shares:
            base = bases.setdefault(share.family, share.first)
            neighbours.add(Neighbour(base, peer.host.mac))
            ways.add(Way(share, base, own_source(mine, share.family)))
    return Tables(
        own_addresses(mine), frozenset(neighbours), frozenset(forwards), frozenset(ways)
    ), tuple(unreached)


def route_tables(
    mine: Mine, peers: Iterable[Peer], link: int, on_link: tuple[Subnet, ...]
) -> tuple[Tables, tuple[Unreached, ...]]:
    """Return the routes by which others' shares are reached over a link that all are on.

    Args:
        mine: this host.
        peers: all others.
        link: the index of the one that bears this host's underlay address.
        on_link: the subnets that the host is in by that link.
    """
    ways, unreached = set(), []
    for peer in peers:
        for share in peer.shares:
            source = own_source(mine, share.family)
            at = underlay_to(peer, share.family)
            if source is None:
                continue
            if at is None:
                unreached.append(Unreached(named(peer), _no_family(share.family)))
            elif not any(at in subnet for subnet in on_link):
                unreached.append(Unreached(named(peer), (
                    f"{at} is not on the link of {underlay_of(mine)}, so no plain route leads to"
                    " it: a cluster over routers takes the backend vxlan"
                )))  # fmt: skip
            else:
                ways.add(Way(share, at, source, link))
    return Tables(own_addresses(mine), ways=frozenset(ways)), tuple(dict.fromkeys(unreached))


def tunnel_tables(mine: Mine, peers: Iterable[Peer]) -> Tables:
    """Return what is to be at a device that knows by itself who is behind it, as WireGuard's."""
    ways = frozenset(
        Way(share, None, source)
        for peer in peers
        for share in peer.shares
        if (source := own_source(mine, share.family))
    )
    return Tables(own_addresses(mine), ways=ways)


def _no_family(family: int) -> str:
    return (
        f"it has no underlay address of IPv{family}: have it join with one, or this host with"
        f" one of IPv{10 - family}"
    )

"""What is there, as few lists tell it: links and what has passed them, records, who is gone."""

from __future__ import annotations

from ocinet.base.address import Interface
from ocinet.base.value import Value
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.link import Link
from ocinet.engine.model.network import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.ipam.pool import Usage


class Counters(Value):
    """What has passed a link since it was made, as the kernel counts (rtnl_link_stats64)."""

    rx_bytes: int
    rx_packets: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_dropped: int


class CountedLink(Value):
    """A link of the host, with its counters.

    Attributes:
        link: as the kernel describes it.
        counters: of it; None where the kernel gave none.
        refused: packets that its filters dropped; None where it has none.
    """

    link: Link
    counters: Counters | None
    refused: int | None = None


class Overview(Value):
    """The host's links, each list asked for once.

    Attributes:
        links: all of them, by the kernel's order.
        addresses: of all of them, each with its link's index.
        uplinks: names of the links of the default routes, IPv4's first.
    """

    links: tuple[CountedLink, ...]
    addresses: tuple[tuple[int, Interface], ...] = ()
    uplinks: tuple[str, ...] = ()


class Sight(Value):
    """What is there and what is recorded, at about one moment.

    Attributes:
        overview: of the links.
        records: of all containers that can be read, by time.
        networks: that can be read, by name.
        usage: of the pools of each network, in the same order.
        dead: ids of those in whose sandbox nobody lives.
        lost: what all share and is gone, or can't be looked at, one line each.
        unreadable: networks' names, each with why it can't be read.
        unread: likewise containers' ids.
    """

    overview: Overview
    records: tuple[Attachment, ...]
    networks: tuple[Network, ...]
    usage: tuple[tuple[Usage, ...], ...]
    dead: frozenset[str] = frozenset()
    lost: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    unread: tuple[tuple[str, str], ...] = ()

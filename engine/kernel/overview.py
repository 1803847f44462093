"""All links of the host with what has passed them: a list of each kind, whoever is on them.

No question for one link: of a thousand containers that would be a thousand, at every look.
"""

from __future__ import annotations

import posix
from struct import Struct

from ocinet.engine.kernel import filter_messages, link_messages
from ocinet.engine.kernel.bridges import Bridges
from ocinet.engine.kernel.links import list_addresses
from ocinet.engine.model.sight import CountedLink, Counters, Overview
from ocinet.engine.netlink.framing import attributes
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

_IFLA_STATS64 = 23
_HEADER = 16  # struct ifinfomsg
# The head of struct rtnl_link_stats64: packets, bytes, errors and drops, in and out.
_STATS = Struct("=8Q")
_ROUTES6 = "/proc/thread-self/net/ipv6_route"
_PREFIXLEN, _METRIC, _DEVICE = 1, 5, 9  # columns, hexadecimal but for the last
_LONGEST = 1 << 20  # bytes of it: the default route stands at its head or its end


def look_over() -> Overview:
    """Return the links of the thread's namespace, their addresses, and the uplinks.

    Raises:
        KernelError: the kernel would not say.
    """
    with NetlinkSocket(NETLINK_ROUTE, strict=True) as socket:
        refused = {}
        for body in socket.dump(filter_messages.dump_disciplines(1, 0)):
            drops = filter_messages.decode_drops(body)
            if drops:
                refused[drops[0]] = drops[1]
        links = []
        for body in socket.dump(link_messages.dump_counted_links(1)):
            found = attributes(body, _HEADER)  # once: of a thousand links they are 50,000
            link = link_messages.decode_link(body, found)
            links.append(CountedLink(link, decode_counters(found), refused.get(link.ifindex)))
        addresses = list_addresses(socket, 0)
    return Overview(tuple(links), tuple(addresses), _uplinks())


def decode_counters(found: dict[int, bytes]) -> Counters | None:
    """Decode what has passed a link from an RTM_NEWLINK's attributes; None if it is not told."""
    told = found.get(_IFLA_STATS64, b"")
    if len(told) < _STATS.size:
        return None
    rx_packets, tx_packets, rx_bytes, tx_bytes, _, _, rx_dropped, tx_dropped = _STATS.unpack_from(
        told
    )
    return Counters(rx_bytes, rx_packets, rx_dropped, tx_bytes, tx_packets, tx_dropped)


def _uplinks() -> tuple[str, ...]:
    """Return the links of the best default routes, IPv4's first, each once."""
    names = (Bridges().uplink(), _uplink6())
    return tuple(dict.fromkeys(name for name in names if name))


def _uplink6() -> str:
    """Return the link of the best IPv6 default route, or ""."""
    try:
        fd = posix.open(_ROUTES6, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:  # a kernel without IPv6
        return ""
    try:
        told = b""
        while part := posix.read(fd, _LONGEST):
            told += part
    finally:
        posix.close(fd)
    routes = [line.split() for line in told.decode().splitlines()]
    defaults = [
        (int(route[_METRIC], 16), route[_DEVICE])
        for route in routes
        # `lo` has those that lead nowhere.
        if len(route) > _DEVICE
        and route[_PREFIXLEN] == "00"
        and not route[0].strip("0")
        and route[_DEVICE] != "lo"
    ]
    return min(defaults)[1] if defaults else ""

"""Bridges, for who is handed an object: what it asks `bridge` to do.

`bridge` brings pyroute2 along, which costs 150 ms, and most attaches find their
bridge as it should be: so it is imported by the act that needs it.
"""

from __future__ import annotations

import posix

from ocinet.engine.kernel.links import list_links
from ocinet.engine.model.link import is_our_group
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface, Subnet

_ROUTES = "/proc/thread-self/net/route"  # IPv4's main table, with the names of its links
_DESTINATION, _METRIC, _MASK = 1, 6, 7  # columns
_LONGEST = 1 << 20


class Bridges:
    """Bridges of the namespace that the thread is in; see `bridge` for what is promised."""

    def make_bridge(
        self, ifname: str, mac: str, mtu: int, addresses: tuple[Interface, ...]
    ) -> bool:
        """Make a bridge of ours, or finish one."""
        from ocinet.engine.kernel import bridge

        return bridge.make_bridge(ifname, mac, mtu, addresses)

    def remove_bridge(self, ifname: str) -> bool:
        """Remove a bridge of ours that has no ports."""
        from ocinet.engine.kernel import bridge

        return bridge.remove_bridge(ifname)

    def uplink(self) -> str:
        """Return the link of the best IPv4 default route, or "": without pyroute2."""
        try:
            fd = posix.open(_ROUTES, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:  # a kernel without /proc/net, or a /proc that hides it
            return ""
        try:
            lines = posix.read(fd, _LONGEST).decode().splitlines()[1:]
        finally:
            posix.close(fd)
        routes = [line.split() for line in lines]
        defaults = [
            (int(route[_METRIC]), route[0])
            for route in routes
            if len(route) > _MASK and route[_DESTINATION] == route[_MASK] == "00000000"
        ]
        return min(defaults)[1] if defaults else ""

    def uplink_mtu(self) -> int:
        """Return the MTU of the link that the default route goes through."""
        from ocinet.engine.kernel import bridge

        return bridge.uplink_mtu()

    def advertised_uplinks(self) -> tuple[str, ...]:
        """Return the links whose IPv6 default route a router advertised."""
        from ocinet.engine.kernel import bridge

        return bridge.advertised_uplinks()

    def others(self) -> tuple[str, ...]:
        """Return the bridges of the host that are not ours, by name, sorted: without pyroute2.

        Raises:
            KernelError: the kernel would not say.
        """
        with NetlinkSocket(NETLINK_ROUTE, strict=True) as asked:
            links = list_links(asked)
        names = (
            link.ifname for link in links if link.kind == "bridge" and not is_our_group(link.group)
        )
        return tuple(sorted(names))

    def occupied_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets that the host has for itself."""
        from ocinet.engine.kernel import bridge

        return bridge.occupied_subnets()

    def routed_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets that the main table sends elsewhere, or nowhere."""
        from ocinet.engine.kernel import bridge

        return bridge.routed_subnets()

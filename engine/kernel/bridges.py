"""Bridges, for who is handed an object: what it asks `bridge` to do.

`bridge` brings pyroute2 along, which costs 150 ms, and most attaches find their
bridge as it should be: so it is imported by the act that needs it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface, Subnet


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

    def uplink_mtu(self) -> int:
        """Return the MTU of the link that the default route goes through."""
        from ocinet.engine.kernel import bridge

        return bridge.uplink_mtu()

    def advertised_uplinks(self) -> tuple[str, ...]:
        """Return the links whose IPv6 default route a router advertised."""
        from ocinet.engine.kernel import bridge

        return bridge.advertised_uplinks()

    def occupied_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets that the host has a route to or an address in."""
        from ocinet.engine.kernel import bridge

        return bridge.occupied_subnets()

"""Looking at the host before a plan is made. Reads only."""

from __future__ import annotations

from ocinet.engine import sysctl
from ocinet.engine.plan import FORWARD_IPV4, FORWARD_IPV6, DeviceState, Observed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model import Network
    from ocinet.engine.parts import Parts


def observe(parts: Parts, networks: tuple[Network, ...], *, publishing: bool) -> Observed:
    """Return what a plan for these networks has to know.

    Args:
        parts: of the engine.
        networks: each once.
        publishing: whether ports are to be opened.
    """
    firewall = parts.firewall.observe()
    devices = tuple(
        _device(parts, network, publishing=publishing, dropped=bool(firewall.forward_drop))
        for network in networks
    )
    fresh = any(not device.link for device in devices)
    ipv6_forward = ""
    ra_uplinks: tuple[tuple[str, str], ...] = ()
    if any(6 in network.families for network in networks):
        ipv6_forward = sysctl.read(FORWARD_IPV6) or ""
        if ipv6_forward == "0":
            ra_uplinks = _ra_uplinks()
    return Observed(
        devices=devices,
        firewall=firewall,
        recorded=((), ()) if firewall.table else parts.recorded(),
        ip_forward=sysctl.read(FORWARD_IPV4) or "",
        ipv6_forward=ipv6_forward,
        foreign_drop=parts.firewall.observe_foreign() if fresh else (),
        ra_uplinks=ra_uplinks,
    )


def _device(parts: Parts, network: Network, *, publishing: bool, dropped: bool) -> DeviceState:
    name = network.device
    link = parts.kernel.link(name)
    mtu = network.mtu or (link.mtu if link else _uplink_mtu())
    localnet = sysctl.read(f"net/ipv4/conf/{name}/route_localnet") if publishing and link else None
    return DeviceState(
        device=name,
        link=link,
        addresses=parts.kernel.addresses(link.ifindex) if link else (),
        mtu=mtu,
        route_localnet=localnet or "",
        forward_accepted=dropped and parts.firewall.forward_accepted(name),
    )


def _uplink_mtu() -> int:
    from ocinet.engine import bridge

    return bridge.uplink_mtu()


def _ra_uplinks() -> tuple[tuple[str, str], ...]:
    """Return the links whose default route a router advertised, unless they keep it."""
    from ocinet.engine import bridge

    settings = (
        (ifname, sysctl.read(f"net/ipv6/conf/{ifname}/accept_ra") or "")
        for ifname in bridge.advertised_uplinks()
    )
    return tuple((ifname, value) for ifname, value in settings if value == "1")

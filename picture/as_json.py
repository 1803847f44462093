"""A picture as a JSON value: what `docs/topology.md` promises of each key."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.picture.values import (
        Container,
        Figures,
        Interface,
        Network,
        Picture,
        Pool,
        Published,
        Uplink,
        Wire,
    )


def encode(picture: Picture) -> dict[str, Any]:
    """Return a picture as a JSON object; what is not so, or not known, is null."""
    return {
        "taken_at": picture.taken_at,
        "hostname": picture.hostname,
        "uplinks": [_encode_uplink(uplink) for uplink in picture.uplinks],
        "networks": [_encode_network(network) for network in picture.networks],
        "containers": [_encode_container(container) for container in picture.containers],
        "flaws": [{"what": flaw.what, "hint": flaw.hint or None} for flaw in picture.flaws],
    }


def _encode_uplink(uplink: Uplink) -> dict[str, Any]:
    return {
        "name": uplink.name,
        "state": uplink.state,
        "addresses": [str(address) for address in uplink.addresses],
        "figures": _encode_figures(uplink.figures),
    }


def _encode_network(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "bridge": network.bridge or None,
        "kind": network.kind,
        "adopted": network.adopted,
        "internal": network.internal,
        "state": network.state,
        "why": network.why or None,
        "hint": network.hint or None,
        "mtu": network.mtu or None,
        "pools": [_encode_pool(pool) for pool in network.pools],
        "figures": _encode_figures(network.figures),
    }


def _encode_pool(pool: Pool) -> dict[str, Any]:
    return {
        "family": pool.family,
        "subnet": str(pool.subnet),
        "gateway": str(pool.gateway) if pool.gateway else None,
        "size": pool.size,
        "used": pool.used,
        "reserved": pool.reserved,
    }


def _encode_container(container: Container) -> dict[str, Any]:
    return {
        "id": container.id,
        "name": container.name,
        "door": container.door or None,
        "mode": container.mode or None,
        "state": container.state,
        "why": container.why or None,
        "hint": container.hint or None,
        "since": container.since or None,
        "shares": container.shares or None,
        "interfaces": [_encode_interface(interface) for interface in container.interfaces],
        "published": [_encode_published(published) for published in container.published],
        "links": [_encode_wire(wire) for wire in container.wires],
    }


def _encode_interface(interface: Interface) -> dict[str, Any]:
    return {
        "name": interface.name,
        "host_end": interface.host_end,
        "network": interface.network,
        "mac": interface.mac,
        "addresses": [str(address) for address in interface.addresses],
        "state": interface.state,
        "figures": _encode_figures(interface.figures),
        "most_in": interface.most_in or None,
        "most_out": interface.most_out or None,
    }


def _encode_wire(wire: Wire) -> dict[str, Any]:
    return {
        "link": wire.link,
        "name": wire.name,
        "addresses": [str(address) for address in wire.addresses],
        "peer": wire.peer,
    }


def _encode_published(published: Published) -> dict[str, Any]:
    return {
        "host_address": str(published.host_address) if published.host_address else None,
        "host_port": published.host_port,
        "address": str(published.address),
        "port": published.port,
        "protocol": published.protocol,
        "network": published.network or None,
        "count": published.count,
    }


def _encode_figures(figures: Figures | None) -> dict[str, int | None] | None:
    if figures is None:
        return None
    return {
        "rx_bytes": figures.rx_bytes,
        "rx_packets": figures.rx_packets,
        "rx_dropped": figures.rx_dropped,
        "tx_bytes": figures.tx_bytes,
        "tx_packets": figures.tx_packets,
        "tx_dropped": figures.tx_dropped,
        "refused": figures.refused,
    }

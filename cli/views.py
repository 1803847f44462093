"""Our data under the names that docker's and podman's templates have for them.

What `--format '{{…}}'` is applied to: whoever has `docker inspect -f` in a script can
keep what stands behind it. `--format json` stays as it is, ours.
"""

from __future__ import annotations

from ocinet.cli.template import Map
from ocinet.engine.records.attachments import encode_whole
from ocinet.engine.records.networks import encode as encode_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.network import Network

RUNS = ("alive", "attaching", "left", "stranded")
_ANYWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # shown, not bound
_DRIVER, _SCOPE = "bridge", "local"


def _pid_of(record: Attachment) -> int:
    return record.container.process.pid if record.container.process else 0


def view_container(record: Attachment, owner: Attachment, told: dict[str, Any]) -> dict[str, Any]:
    """Return a container as `docker inspect` has it, and under our own names besides.

    Args:
        record: the container's.
        owner: of its sandbox, or the same.
        told: what `inspect` tells beside the record; its status among it.
    """
    status = told["status"]
    networks = Map(
        (end.network, _view_endpoint(end, _aliases(owner, end.network))) for end in owner.endpoints
    )
    first: dict[str, Any] = next(iter(networks.values()), {})
    shared = ("IPAddress", "IPPrefixLen", "Gateway", "MacAddress", "GlobalIPv6Address")
    return {
        **encode_whole(record),
        **told,
        "Id": record.container.id,
        "Name": record.container.name,
        "State": {"Status": status, "Running": status in RUNS, "Pid": _pid_of(record)},
        "HostConfig": {"NetworkMode": record.mode, **_view_resolution(record, owner)},
        "NetworkSettings": {
            "Networks": networks,
            "Ports": _view_ports(owner),
            "SandboxKey": f"/run/netns/{owner.netns_name}" if owner.netns_name else owner.path,
            **{name: first.get(name, "") for name in shared},
        },
    }


def _aliases(record: Attachment, network: str) -> list[str]:
    wished = record.resolution.aliases if record.resolution else ()
    return [alias.name for alias in wished if alias.network in ("", network)]


def _view_resolution(record: Attachment, owner: Attachment) -> dict[str, list[str]]:
    wishes = record.resolution or owner.resolution
    return {
        "Dns": [str(server) for server in wishes.servers] if wishes else [],
        "DnsSearch": list(wishes.search) if wishes else [],
        "DnsOptions": list(wishes.options) if wishes else [],
        "ExtraHosts": [f"{added.name}:{added.address or 'host-gateway'}" for added in wishes.hosts]
        if wishes
        else [],
        "Links": [f"{linked.target}:{linked.name}" for linked in wishes.links] if wishes else [],
    }


def _view_endpoint(endpoint: Endpoint, aliases: list[str]) -> dict[str, Any]:
    by_family = {at.address.family: at for at in reversed(endpoint.addresses)}
    gateways = {
        route.destination.family: str(route.gateway)
        for route in endpoint.routes
        if not route.destination.prefixlen
    }
    four, six = by_family.get(4), by_family.get(6)
    return {
        "NetworkID": endpoint.network,
        "IPAddress": str(four.address) if four else "",
        "IPPrefixLen": four.prefixlen if four else 0,
        "Gateway": gateways.get(4, ""),
        "GlobalIPv6Address": str(six.address) if six else "",
        "GlobalIPv6PrefixLen": six.prefixlen if six else 0,
        "IPv6Gateway": gateways.get(6, ""),
        "MacAddress": endpoint.mac,
        "Interface": endpoint.ifname,
        "Aliases": aliases,
    }


def _view_ports(record: Attachment) -> Map:
    ports = Map()
    for rule in record.ports:
        host = str(rule.host_address or _ANYWHERE[rule.address.family])
        bound = {"HostIp": host, "HostPort": str(rule.host_port)}
        ports.setdefault(f"{rule.port}/{rule.protocol}", []).append(bound)
    return ports


def view_network(network: Network, containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a network as `docker network inspect` and podman's have it.

    Args:
        network: defined.
        containers: as `network inspect` tells of them; or their names alone.
    """
    subnets = [
        {"Subnet": str(pool.subnet), "Gateway": str(pool.gateway) if pool.gateway else ""}
        for pool in network.pools
    ]
    six = any(pool.subnet.family == 6 for pool in network.pools)
    return {
        **encode_network(network),
        "ID": network.name,
        "Id": network.name,
        "Name": network.name,
        "Driver": network.driver,
        "Scope": _SCOPE,
        "CreatedAt": network.created,
        "Created": network.created,
        "Internal": network.internal,
        "EnableIPv6": six,
        "IPv6": six,
        "Labels": Map(network.labels),
        "IPAM": {"Driver": "default", "Config": subnets},
        "Subnets": subnets,
        "NetworkInterface": network.parent or network.device,
        "Options": _options(network),
        "Containers": Map((known["id"], _view_user(known)) for known in containers),
    }


def _options(network: Network) -> Map:
    """Return a network's `-o`, as docker has them."""
    told = {"parent": network.parent, f"{network.driver}_mode": network.mode}
    return Map((key, value) for key, value in told.items() if value)


def _view_user(known: dict[str, Any]) -> dict[str, Any]:
    addresses: list[str] = known.get("addresses", [])
    return {
        "Name": known["name"],
        "MacAddress": known.get("mac", ""),
        "IPv4Address": next((text for text in addresses if ":" not in text), ""),
        "IPv6Address": next((text for text in addresses if ":" in text), ""),
    }

"""Values for tests: what a test does not care about is filled in, the rest it says by keyword.

A builder is named for its value; `network(mtu=1400)` differs from `network()` in
that alone. What a test is about, as a parser's result, it writes out in full.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Process, boot_id
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.link import Link
from ocinet.engine.model.network import Network, NetworkRules
from ocinet.engine.model.request import EndpointRequest, Publish, Request, Route
from ocinet.ipam.lease import Holder, Lease
from ocinet.ipam.pool import Pool, Range

if TYPE_CHECKING:
    from pathlib import Path

    from ocinet.engine.model.request import Protocol

NETWORK = "lan"
BOOT = "0f4bd9ba-9c01-4a5e-8f6b-1f5be1d1f0a1"
WEB_ID = "6f2a" + "0" * 60
DB_ID = "77b1" + "0" * 60
TIME = "2025-01-31T12:00:00.000Z"


def subnets(*texts: str) -> tuple[Subnet, ...]:
    """Return subnets."""
    return tuple(Subnet.parse(text) for text in texts)


def span(first: str, last: str) -> Range:
    """Return a part of a pool, from one address to another."""
    return Range(Address.parse(first), Address.parse(last))


def make_pool(subnet: str, gateway: str = "", *ranges: str) -> Pool:
    """Return a pool; a range is written FIRST-LAST."""
    return Pool(
        Subnet.parse(subnet),
        Address.parse(gateway) if gateway else None,
        tuple(span(*text.split("-")) for text in ranges),
    )


def network(name: str = NETWORK, *texts: str, **changes: Any) -> Network:
    """Return a network of ours on `br-NAME`; each subnet's first address is its gateway's."""
    parsed = subnets(*(texts or ("10.9.0.0/24",)))
    pools = tuple(Pool(subnet, subnet.first + 1) for subnet in parsed)
    return Network(name, f"br-{name}", pools, created=TIME).replace(**changes)


def network_rules(device: str, *texts: str, **changes: Any) -> NetworkRules:
    """Return what the firewall has to know of a network with these subnets."""
    return NetworkRules(device, subnets(*texts)).replace(**changes)


def make_holder(container: str, ifname: str = "eth0", sandbox: str = "4:1") -> Holder:
    """Return an endpoint of a container."""
    return Holder(container, ifname, sandbox, f"oc{container}{ifname}"[:15], Process(7, 9), BOOT)


def lease(address: str = "10.9.0.5", container: str = "web", **changes: Any) -> Lease:
    """Return the lease of a container's address."""
    holder = make_holder(container)
    return Lease(NETWORK, Address.parse(address), holder, TIME).replace(**changes)


def tcp(host_port: int, port: int = 80, protocol: Protocol = "tcp") -> Publish:
    """Return the wish for one published port."""
    return Publish(protocol, None, host_port, port)


def udp(host_port: int, port: int = 80) -> Publish:
    """Return the wish for one published port of UDP."""
    return tcp(host_port, port, "udp")


def on(*networks: str, publish: tuple[Publish, ...] = (), **options: Any) -> Request:
    """Return the request for these networks, as `on("lan", publish=(tcp(8080),))`.

    Args:
        networks: their names.
        publish: ports.
        options: of every one of the networks.
    """
    endpoints = tuple(EndpointRequest(name, **options) for name in networks)
    return Request("bridge", endpoints=endpoints, publish=publish)


def container(name: str = "web", process: Process | None = None, **changes: Any) -> Container:
    """Return a container, of a process that is nobody's unless one is given."""
    process = process or Process(42, 7)
    return Container(f"{name}-id", name, f"/bundles/{name}", process, "hook").replace(**changes)


def endpoint(network: str = NETWORK, address: str = "10.9.0.5/24", **changes: Any) -> Endpoint:
    """Return an endpoint on a network."""
    return Endpoint(
        network=network,
        device=f"br-{network}",
        ifname="eth0",
        host_ifname="oc0123456789abc",
        mac="02:6f:63:00:00:05",
        mtu=1500,
        addresses=(Interface.parse(address),),
        routes=(Route(Subnet.parse("0.0.0.0/0"), Address.parse("10.9.0.1")),),
        host_ifindex=7,
    ).replace(**changes)


def access_record(name: str, *addresses: str, network: str = "apart") -> Attachment:
    """Return the record of a container with single addresses on a network."""
    held = tuple(Interface.parse(f"{text}/{128 if ':' in text else 32}") for text in addresses)
    return record(f"{name}-id", name, endpoints=(endpoint(network, addresses=held),))


def port(
    host_port: int, container_port: int = 80, to: str = "10.9.0.5", *, at: str = "", **changes: Any
) -> PortRule:
    """Return a published port.

    Args:
        host_port: on the host.
        container_port: in the container.
        to: the container's address.
        at: the host's address; "" is all of them.
        changes: what else differs, as `protocol="udp"`.
    """
    host_address = Address.parse(at) if at else None
    rule = PortRule("tcp", host_address, host_port, Address.parse(to), container_port)
    return rule.replace(**changes)


def link(ifname: str = "br-lan", kind: str = "bridge", **changes: Any) -> Link:
    """Return a link that is up."""
    return Link(7, ifname, kind, 1500, "02:6f:63:00:00:07", up=True).replace(**changes)


def record(container_id: str = WEB_ID, name: str = "web", **changes: Any) -> Attachment:
    """Return the record of a container whose process is this one."""
    process = Process.of(os.getpid())
    return Attachment(
        container=container(name, process, id=container_id, bundle="/run/bundles/web"),
        mode="bridge",
        state=ATTACHED,
        sandbox="",
        boot_id=boot_id(),
        time=TIME,
        endpoints=(endpoint(),),
    ).replace(**changes)


def processes(root: Path, *found: tuple[str, str]) -> str:
    """Make a /proc with these processes, each by name and network namespace; ours is `host`."""
    for number, (comm, network) in enumerate((("self", "host"), *found)):
        process = root / ("self" if not number else str(number))
        (process / "ns").mkdir(parents=True)
        (process / "comm").write_text(f"{comm}\n")
        (process / "ns/net").symlink_to(network)
    return str(root)

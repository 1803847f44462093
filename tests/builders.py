"""Values for tests: what a test does not care about is filled in, the rest it says by keyword."""

from __future__ import annotations

import os
from typing import Any

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Process, boot_id, now
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import EndpointRequest, Publish, Request, Route
from ocinet.ipam.lease import Holder
from ocinet.ipam.pool import Pool, Range

NETWORK = "lan"
BOOT = "0f4bd9ba-9c01-4a5e-8f6b-1f5be1d1f0a1"
WEB_ID = "6f2a" + "0" * 60
DB_ID = "77b1" + "0" * 60
TIME = "2025-01-31T12:00:00.000Z"


def lan(name: str = "lan", third: int = 9, **changes: Any) -> Network:
    """Return the definition of 10.THIRD.0.0/24 on a bridge of its own."""
    subnet = Subnet.parse(f"10.{third}.0.0/24")
    pool = Pool(subnet, subnet.first + 1)
    return Network(name, f"br-{name}", (pool,), created=now()).replace(**changes)


def tcp(host_port: int, port: int = 80, protocol: str = "tcp") -> Publish:
    """Return the wish for one published port."""
    return Publish(protocol, None, host_port, port)  # type: ignore[arg-type]


def on(*networks: str, publish: tuple[Publish, ...] = (), **options: Any) -> Request:
    """Return the request for these networks."""
    wishes = tuple(EndpointRequest(name, **options) for name in networks)
    return Request("bridge", endpoints=wishes, publish=publish)


def make_pool(subnet: str, gateway: str = "", *ranges: str) -> Pool:
    """Return a pool; a range is written FIRST-LAST."""
    return Pool(
        Subnet.parse(subnet),
        Address.parse(gateway) if gateway else None,
        tuple(
            Range(Address.parse(first), Address.parse(last))
            for first, last in (text.split("-") for text in ranges)
        ),
    )


def make_holder(container: str, ifname: str = "eth0", sandbox: str = "4:1") -> Holder:
    """Return an endpoint of a container."""
    return Holder(container, ifname, sandbox, f"oc{container}{ifname}"[:15], Process(7, 9), BOOT)


def endpoint(network: str = "lan", address: str = "10.9.0.5/24", **changes: Any) -> Endpoint:
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


def record(container_id: str = WEB_ID, name: str = "web", **changes: Any) -> Attachment:
    """Return the record of a container whose process is this one."""
    process = Process.of(os.getpid())
    return Attachment(
        container=Container(container_id, name, "/run/bundles/web", process, "hook"),
        mode="bridge",
        state="attached",
        sandbox="",
        boot_id=boot_id(),
        time=TIME,
        endpoints=(endpoint(),),
    ).replace(**changes)


def port(host_port: int, container_port: int, **changes: Any) -> PortRule:
    """Return a published port of 10.9.0.5."""
    return PortRule("tcp", None, host_port, Address.parse("10.9.0.5"), container_port).replace(
        **changes
    )

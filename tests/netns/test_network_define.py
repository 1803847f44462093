"""Networks on a real host: its routes are kept clear of, its bridges adopted as they are."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import pings, run
from hosts.namespace.wired_host import PATHS, WiredHost
from ocinet.base.errors import ConflictError, NotFoundError, RequestError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.create_network import CreateNetwork
from ocinet.engine.engine import Engine
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.new_network import NetworkOptions
from ocinet.engine.records.networks import NetworkStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocinet.engine.model.network import Network

from ocinet.base.address import Subnet


def paths_in(directory: Path) -> Paths:
    return Paths(f"{directory}/etc", f"{directory}/var", f"{directory}/run")


@contextmanager
def creation_in(directory: Path) -> Iterator[CreateNetwork]:
    with Engine.open(paths_in(directory), settings=Settings()) as engine:
        yield CreateNetwork.on(engine.machine, engine.operation, engine.records)


def create(directory: Path, name: str, options: NetworkOptions) -> Network:
    with creation_in(directory) as creation:
        return creation.create(name, options)


def default(directory: Path) -> Network:
    with creation_in(directory) as creation:
        return creation.default()


def make_bridge(ifname: str, *addresses: str) -> None:
    run(f"ip link add {ifname} type bridge")
    run(f"ip link set {ifname} up")
    for address in addresses:
        run(f"ip addr add {address} dev {ifname}")


@in_namespaces
def test_default_network_keeps_clear_of_routes_and_addresses(tmp_path: Path) -> None:
    """An address, a route and a blackhole in the pool: the first /24 that meets none."""
    make_bridge("br0", "10.72.0.9/24")
    run("ip route add 10.72.1.0/25 dev br0")
    run("ip route add blackhole 10.72.2.0/24")
    run("ip route add default via 10.72.0.1")

    network = default(tmp_path)

    assert str(network.pools[0].subnet) == "10.72.3.0/24"
    assert default(tmp_path) == network


@in_namespaces
def test_create_of_a_subnet_that_the_host_routes_names_it(tmp_path: Path) -> None:
    """The error says which route is in the way."""
    make_bridge("br0", "10.1.0.1/16")
    options = NetworkOptions(subnets=(Subnet.parse("10.1.5.0/24"),))

    with pytest.raises(ConflictError, match=r"10\.1\.5\.0/24 overlaps 10\.1\.0\.0/16"):
        create(tmp_path, "lan", options)


@in_namespaces
def test_subnet_within_a_route_of_the_hosts_is_reached(tmp_path: Path) -> None:
    """The bridge's prefix is the longer one: a container and the host meet on it."""
    run("ip route add blackhole 10.0.0.0/8")
    options = NetworkOptions(subnets=(Subnet.parse("10.200.0.0/24"),))
    with Engine.open(PATHS) as engine:
        engine.networks.create("vpn", options)
    with WiredHost() as host:
        web = host.up("web", on("vpn"))
        assert [str(address) for address in web.endpoints[0].addresses] == ["10.200.0.2/24"]
        assert host.pings("web", "10.200.0.1")
        assert pings("10.200.0.2", os.getpid())
    assert str(default(tmp_path).pools[0].subnet) == "172.16.0.0/24"


@in_namespaces
def test_create_unmanaged_reads_the_bridge(tmp_path: Path) -> None:
    """Subnet and gateway are those that it bears, link-local ones left out."""
    make_bridge("docker0", "172.17.0.1/16")

    network = create(tmp_path, "dock", NetworkOptions(device="docker0", unmanaged=True))

    assert [(str(pool.subnet), str(pool.gateway)) for pool in network.pools] == [
        ("172.17.0.0/16", "172.17.0.1")
    ]


@in_namespaces
def test_create_takes_over_no_link_of_anybody_else(tmp_path: Path) -> None:
    """A managed network wants a name that is free; an adopted one wants a bridge."""
    make_bridge("docker0")
    run("ip link add v0 type veth peer name v1")

    with pytest.raises(ConflictError, match="docker0 that ocinet did not make"):
        create(tmp_path, "a", NetworkOptions(device="docker0"))
    with pytest.raises(RequestError, match="v0 is no bridge but veth"):
        create(tmp_path, "a", NetworkOptions(device="v0", unmanaged=True))
    with pytest.raises(NotFoundError, match="there is no bridge br9"):
        create(tmp_path, "a", NetworkOptions(device="br9", unmanaged=True))
    assert NetworkStore(paths_in(tmp_path)).names() == ()


@in_namespaces
def test_default_network_where_etc_is_read_only_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """Who only looks is not stopped; once it is defined, nothing has to be written."""
    etc = tmp_path / "etc"
    etc.mkdir()
    run(f"mount -t tmpfs none {etc}")
    run(f"mount -o remount,ro {etc}")
    with pytest.raises(
        SystemFailure, match=r"cannot define the network bridge.*Read-only"
    ) as caught:
        default(tmp_path)
    assert "ocinet network create bridge" in caught.value.hint
    assert NetworkStore(paths_in(tmp_path)).all() == ()
    run(f"mount -o remount,rw {etc}")
    defined = default(tmp_path)
    run(f"mount -o remount,ro {etc}")
    assert default(tmp_path) == defined

"""Whatever a container wishes, and whoever mends it, a bridge of others passes what it did."""

from __future__ import annotations

import pytest

from builders import make_pool, network, on
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, link_json, run
from hosts.namespace.segment import make_bridge, neighbour
from hosts.namespace.wired_host import WiredHost, open_sandbox
from ocinet.base.errors import RequestError
from ocinet.engine.kernel.links import Links
from ocinet.engine.model.link import Veth

POOL = make_pool("10.6.0.0/24", "10.6.0.1", "10.6.0.100-10.6.0.199")


def _adopt(host: WiredHost, **changes: object) -> None:
    with host.engine() as engine:
        dock = network("dock", device="br0", pools=(POOL,), managed=False, **changes)
        engine.records.networks.add(dock)


def _mtu(ifname: str, pid: int | None = None) -> int:
    link = link_json(ifname, pid)
    assert link
    return int(link["mtu"])


@in_namespaces
def test_attach_with_less_than_the_bridges_is_refused() -> None:
    """One port with less is less for all, and below 1280 the end of the bridge's IPv6."""
    with WiredHost() as host:
        make_bridge(address="10.6.0.1/24")
        run("ip addr add fd00:6::1/64 dev br0 nodad")
        with neighbour("10.6.0.9/24"):
            _adopt(host)
            evil = host.start("evil")
            for mtu in (1000, 1400, 9000):
                with pytest.raises(RequestError, match=r"MTU of .* br0"):
                    host.attach(evil, on("dock", mtu=mtu))
            host.attach(evil, on("dock", mtu=1500))
            assert _mtu("br0") == 1500
            assert "fd00:6::1" in run("ip -6 addr show dev br0")

            with Links() as links, open_sandbox(host.start("other")) as sandbox:
                links.add_veth(Veth("ocx", "eth0", "br0", mtu=1000), sandbox)
            assert _mtu("br0") == 1000
            assert "fd00:6::1" not in run("ip -6 addr show dev br0")


@in_namespaces
def test_attach_by_a_definition_with_less_gets_the_bridges() -> None:
    """An earlier version let one be defined so."""
    with WiredHost() as host:
        make_bridge(address="10.6.0.1/24")
        with neighbour("10.6.0.9/24"):
            _adopt(host, mtu=1000)
            host.up("web", on("dock"))
            assert _mtu("br0") == 1500
            assert _mtu("eth0", host.sleepers["web"].pid) == 1500


@pytest.mark.parametrize("gone", [False, True])
@in_namespaces
def test_repair_on_a_bridge_that_has_grown_does_not_shrink_it(gone: bool) -> None:
    """A host end that joins again, or is made anew, has the bridge's; the inside what it had."""
    with WiredHost() as host:
        make_bridge(address="10.6.0.1/24")
        with neighbour("10.6.0.9/24") as pid:
            _adopt(host)
            (end,) = host.up("web", on("dock")).endpoints
            run("ip link del br0")
            run("ip link set v0 mtu 9000")
            run("ip link set eth0 mtu 9000", pid=pid)
            if gone:
                run(f"ip link del {end.host_ifname}")
            make_bridge(address="10.6.0.1/24")
            run("ip link set v0 master br0")
            assert _mtu("br0") == 9000
            with host.engine() as engine:
                assert all(finding.repaired for finding in engine.check(repair=True))
                assert engine.check() == ()
            assert _mtu("br0") == _mtu(end.host_ifname) == 9000
            assert _mtu("eth0", host.sleepers["web"].pid) == 1500
            assert host.pings("web", "10.6.0.9")


@in_namespaces
def test_gateway_that_is_a_siblings_is_told() -> None:
    """It may be a router; or one that was picked to be in the middle."""
    with WiredHost() as host:
        (end,) = host.up("router").endpoints
        address = end.addresses[0].address
        led = host.start("led")
        with host.engine() as engine, open_sandbox(led) as sandbox:
            engine.attach(led, on("lan", gateway=address), sandbox)
            warned = engine.warnings
        assert [line for line in warned if f"{address} is router's" in line]
        with entered(host.sleepers["led"].pid):
            (default,) = [route for route in ip_json("route") if route["dst"] == "default"]
        assert default["gateway"] == str(address)

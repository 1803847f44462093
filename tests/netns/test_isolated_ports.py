"""A network whose containers do not reach each other: by the bridge, nor by way of the host."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from builders import network, on, tcp
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.segment import make_bridge
from hosts.namespace.segment import neighbour as neighbour_on
from hosts.namespace.uplinked_host import NEIGHBOUR, UPLINK, UplinkedHost
from hosts.namespace.wired_host import WiredHost
from hosts.waiting import wait_until

GATEWAY = "10.7.0.1"


def _add_apart(host: WiredHost) -> None:
    with host.engine() as engine:
        engine.records.networks.add(network("apart", "10.7.0.0/24", siblings=False))


def _connects(host: WiredHost, name: str, address: str, port: int) -> bool:
    with entered(host.sleepers[name].pid):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with client:
        client.settimeout(1)
        return client.connect_ex((address, port)) == 0


@in_namespaces
def test_siblings_do_not_reach_each_other_and_do_without_the_flag() -> None:
    """Not by the bridge; the host, the outside and published ports all the same."""
    with UplinkedHost() as host:
        for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
            path.write_text("0")
        _add_apart(host)
        host.up_serving("web", on("apart", publish=(tcp(8080),)))
        host.up("other", on("apart"))
        assert not host.pings("other", "10.7.0.2")
        assert not _connects(host, "other", "10.7.0.2", 80)
        assert host.pings("other", GATEWAY)
        assert host.pings("other", NEIGHBOUR)
        assert _connects(host, "other", UPLINK, 8080)
        assert _connects(host, "web", UPLINK, 8080)

        # As somebody would who has CAP_NET_ADMIN: the others are on the link, he says.
        for name in ("web", "other"):
            run("ip route replace 10.7.0.0/24 dev eth0", pid=host.sleepers[name].pid)
        assert not host.pings("other", "10.7.0.2")
        for port in _ports():
            run(f"bridge link set dev {port} isolated off")
        wait_until(lambda: host.pings("other", "10.7.0.2"), "it asks for the MAC once more")


def _ports() -> list[str]:
    lines = run("ip -o link show master br-apart").splitlines()
    return [line.split(": ")[1].partition("@")[0] for line in lines]


@in_namespaces
def test_siblings_do_not_reach_each_other_through_the_host() -> None:
    """Sent to the gateway, it would come back by the same bridge, which is no port."""
    with UplinkedHost() as host:
        for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
            path.write_text("0")
        _add_apart(host)
        for name in ("web", "other"):
            host.up(name, on("apart"))
        for name in ("web", "other"):
            pid = host.sleepers[name].pid
            run("ip route flush root 10.7.0.0/24 dev eth0", pid=pid)
            run(f"ip route add {GATEWAY} dev eth0", pid=pid)
            run(f"ip route replace default via {GATEWAY}", pid=pid)
        assert not host.pings("other", "10.7.0.2")
        run("nft", "add element inet ocinet same { br-apart . br-apart }")
        run("tc filter del dev br-apart egress")
        assert host.pings("other", "10.7.0.2")


@pytest.mark.parametrize(
    "fault", ["bridge link set dev END isolated off", "ip link set END nomaster"]
)
@in_namespaces
def test_flag_that_is_gone_is_told_and_comes_back(fault: str) -> None:
    """Also where the port has left its bridge, and the flag with it."""
    with WiredHost() as host:
        _add_apart(host)
        (end,) = host.up("web", on("apart")).endpoints
        assert "isolated on" in run(f"bridge -d link show dev {end.host_ifname}")
        run(fault.replace("END", end.host_ifname))
        with host.engine() as engine:
            (finding,) = engine.check(repair=True)
            assert finding.repaired
            assert engine.check() == ()
        assert "isolated on" in run(f"bridge -d link show dev {end.host_ifname}")


@in_namespaces
def test_adopted_bridge_keeps_ours_apart_and_lets_them_reach_its_others() -> None:
    """What others have there is no isolated port."""
    with WiredHost() as host:
        make_bridge(address="10.6.0.1/24")
        with host.engine() as engine:
            dock = network("dock", "10.6.0.0/24", device="br0", managed=False, siblings=False)
            engine.records.networks.add(dock)
        with neighbour_on("10.6.0.200/24"):
            for name in ("web", "other"):
                host.up(name, on("dock"))
            assert host.pings("web", "10.6.0.200")
            assert host.pings("web", "10.6.0.1")
            assert not host.pings("web", "10.6.0.3")

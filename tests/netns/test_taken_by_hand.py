"""Attach on a bridge of our own, where somebody has taken an address by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import network, on
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import link_json, run
from hosts.namespace.segment import MAC, is_forwarding, neighbour
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError
from ocinet.engine.kernel.bridge_ports import port_names
from ocinet.engine.kernel.filters import Filters
from ocinet.engine.kernel.links import Links


def told() -> list[str]:
    """Return the addresses that were passed over, as the event log has them."""
    lines = map(json.loads, Path(f"{PATHS.run}/events.jsonl").read_text().splitlines())
    return [line["address"] for line in lines if line["event"] == "address in use by another"]


@in_namespaces
def test_attach_passes_over_what_a_plugged_in_neighbour_bears() -> None:
    """Whether or not the host has ever heard of it; asked for by its number it is refused."""
    with WiredHost() as host:
        host.up("first")
        assert host.addresses("first") == ["10.9.0.2/24"]
        with neighbour("10.9.0.3/24", "10.9.0.5/24", bridge="br-lan", ifname="vm0"):
            host.up("web")
            host.up("db")

            assert host.addresses("web") == ["10.9.0.4/24"]
            assert host.addresses("db") == ["10.9.0.6/24"]
            assert host.pings("web", "10.9.0.3")
            assert told() == ["10.9.0.3", "10.9.0.5"]
            with pytest.raises(ConflictError, match=f"in use already: {MAC} answers for it"):
                host.up("thief", on("lan", addresses=(Address.parse("10.9.0.3"),)))
        wait_until(lambda: link_json("vm0") is None, "the neighbour is gone")
        host.up("last", on("lan", addresses=(Address.parse("10.9.0.3"),)))
        assert host.pings("last", "10.9.0.2")


@in_namespaces
def test_address_taken_inside_of_a_guarded_container_is_given_out() -> None:
    """It can't be used there, and who is given it is met at it."""
    with WiredHost() as host:
        host.up("liar")
        run("ip addr add 10.9.0.3/24 dev eth0", pid=host.sleepers["liar"].pid)

        host.up("web")

        assert host.addresses("web") == ["10.9.0.3/24"]
        assert host.pings("web", "10.9.0.1")
        assert run("ip neigh show 10.9.0.3 dev br-lan").split()[2] == "02:6f:0a:09:00:03"
        assert told() == []


@in_namespaces
def test_address_taken_inside_of_a_container_without_guard_is_passed_over() -> None:
    """There a container has whatever addresses it likes."""
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("free", "10.7.0.0/24", guard=False))
        host.up("first", on("free"))
        run("ip addr add 10.7.0.3/24 dev eth0", pid=host.sleepers["first"].pid)

        host.up("web", on("free"))

        assert host.addresses("web") == ["10.7.0.4/24"]
        assert told() == ["10.7.0.3"]


@in_namespaces
def test_who_is_on_a_bridge_is_told_alike_with_and_without_sysfs() -> None:
    """/sys may be another namespace's, with a bridge of the same name."""
    run("ip link add br-lan type bridge")
    run("ip link add br-dmz type bridge")
    names = [f"oc{number:013x}" for number in range(3)]
    for name in (*names, "tap0"):
        run(f"ip link add {name} type veth peer name p{name[-4:]}")
        run(f"ip link set {name} master br-{'dmz' if name == 'tap0' else 'lan'}")
    with Links() as links:
        lan, dmz = (links.link(f"br-{name}") for name in ("lan", "dmz"))
        assert lan
        assert dmz
        filters = Filters(links, lambda: ())

        def found() -> list[list[str]]:
            bridges = (lan, dmz, lan.replace(ifname="gone"))
            return [sorted(filters.port_names(bridge)) for bridge in bridges]

        assert sorted(port_names("br-lan")) == names
        assert port_names("lo") == port_names("gone") == []
        by_ioctl = found()
        run("mount -t sysfs sysfs /sys")
        assert found() == by_ioctl == [names, ["tap0"], []]
        assert sorted(filters.port_names(lan.replace(ifindex=9999))) == names  # another's /sys
        run("ip link set tap0 master br-lan")
        assert sorted(filters.port_names(lan)) == [*names, "tap0"]


@in_namespaces
def test_attach_passes_over_what_is_borne_behind_the_oldest_of_a_thousand_ports() -> None:
    """A frame to all of them is dropped for those that come last, the oldest."""
    with WiredHost() as host:
        host.up("first")
        with neighbour("10.9.0.3/24", bridge="br-lan", ifname="vm0"), Sleeper() as crowd:
            ends, peer = range(1015), f"type veth peer netns {crowd.pid} name"
            pairs = [f"link add v{end} up master br-lan {peer} p{end}" for end in ends]
            for pid in (None, crowd.pid):  # nobody shall tell a thousand others of his groups
                run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1", pid=pid)
            run("ip -batch -", given="\n".join(pairs))
            up = [f"link set p{end} up" for end in ends]
            run("ip -batch -", given="\n".join(up), pid=crowd.pid)
            wait_until(lambda: is_forwarding("v1014"), "the bridge sends to all", timeout_s=30)
            host.up("web")
        assert host.addresses("web") == ["10.9.0.4/24"]
        assert told() == ["10.9.0.3"]

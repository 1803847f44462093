"""What a container can ask for, on runc and crun: addresses, MAC, MTU, routes, bridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import host_ends, refused, register, start, stop
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V6, OUTSIDE_V4, OUTSIDE_V6
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab

# Like a host's own bridge: it has the MAC of its network card, the lowest of its ports'.
_HAND_MADE_BRIDGE = """\
link add br9 mtu 1300 type bridge
link add nic address 52:54:00:12:34:56 mtu 1300 type veth peer name wire
link set nic master br9 up
address add 10.9.0.254/24 dev br9
link set br9 up
"""
LAN4, LAN6 = "10.9.0.0/24", "fd00:9::/64"


def _network(lab: Lab, *words: str, name: str = "lan") -> None:
    lab.ocinet("network", "create", *words, name)


@each_runtime
def test_start_with_everything_given_gets_all_of_it(lab: Lab, runtime: str) -> None:
    """Several addresses of both families, MAC, MTU, interface name, gateway and routes."""
    _network(lab, "--subnet", LAN4, "--subnet", LAN6)
    container = start(
        lab, runtime, "web", "--net", "lan", "--ip", "10.9.0.5", "--ip", "10.9.0.6",
        "--ip6", "fd00:9::5", "--ip6", "fd00:9::6", "--mac-address", "02:11:22:33:44:55",
        "--mtu", "1400", "--ifname", "lan0", "--gateway", "10.9.0.254",
        "--route", "192.0.2.0/24 via 10.9.0.9", "--route", "10.77.0.0/16",
        "--route", "2001:db8:77::/48 via fd00:9::9",
    )  # fmt: skip

    inside = container.namespace
    assert inside.addresses("lan0") == [
        "10.9.0.5/24", "10.9.0.6/24", "fd00:9::5/64", "fd00:9::6/64",
    ]  # fmt: skip
    link = inside.links()["lan0"]
    assert (link["address"], link["mtu"], link["operstate"]) == ("02:11:22:33:44:55", 1400, "UP")
    assert _routes(container) == {
        ("10.9.0.0/24", None), ("default", "10.9.0.254"),
        ("192.0.2.0/24", "10.9.0.9"), ("10.77.0.0/16", None),
    }  # fmt: skip
    assert _routes(container, v6=True) >= {
        ("fd00:9::/64", None), ("default", "fd00:9::1"), ("2001:db8:77::/48", "fd00:9::9"),
    }  # fmt: skip
    for address in ("10.9.0.5", "10.9.0.6", "fd00:9::5", "fd00:9::6"):
        assert lab.pings(address)


def _routes(container: Container, *, v6: bool = False) -> set[tuple[str, str | None]]:
    routes = container.namespace.routes(v6=v6)
    return {(route["dst"], route.get("gateway")) for route in routes}


@each_runtime
def test_start_on_dual_stack_network_has_ipv6_at_first_instruction(lab: Lab, runtime: str) -> None:
    """No duplicate detection delays the address, and router advertisements are refused."""
    _network(lab, "--subnet", LAN4, "--subnet", LAN6)
    script = (
        f"nc -w 2 {OUTSIDE_V6} 80 </dev/null; echo; ip -6 -o addr show eth0; ip -6 route; "
        "cat /proc/sys/net/ipv6/conf/eth0/accept_ra"
    )
    bundle = register(lab, "web", "--net", "lan", args=("sh", "-c", script))
    outside = lab.outside.serve("tcp", 80)

    answer, *lines, accept_ra = lab.runtime(runtime).run_to_end(bundle).stdout.splitlines()

    assert '"server": "outside"' in answer
    assert [reply.peer[0] for reply in outside.seen()] == [LAB_V6]
    assert any("inet6 fd00:9::2/64 scope global" in line for line in lines)
    assert any(line.startswith("default via fd00:9::1") for line in lines)
    assert not any(word in line for line in lines for word in ("tentative", "dadfailed", "dynamic"))
    assert accept_ra == "0"


@each_runtime
def test_start_on_internal_network_has_no_way_out(lab: Lab, runtime: str) -> None:
    """Neighbours and the host are there, the outside is not, nor a default route."""
    _network(lab, "--subnet", LAN4, "--internal")
    web = start(lab, runtime, "web", "--net", "lan")
    log = start(lab, runtime, "log", "--net", "lan")

    assert _routes(web) == {("10.9.0.0/24", None)}
    assert log.namespace.pings("10.9.0.2")
    assert lab.pings("10.9.0.2")
    web.namespace.run("ip", "route", "add", "default", "via", "10.9.0.1")
    assert not web.namespace.pings(OUTSIDE_V4)


@each_runtime
def test_start_beside_what_is_plugged_in_by_hand_leaves_it_its_address(
    lab: Lab, runtime: str
) -> None:
    """A veth on our own bridge, whose other end nobody has heard of yet."""
    _network(lab, "--subnet", LAN4, "--bridge", "br-lan")
    web = start(lab, runtime, "web", "--net", "lan")
    lab.run("ip", "netns", "add", "vm")
    plug = """\
link add vm0 type veth peer name eth0 netns vm
link set vm0 master br-lan up
netns exec vm ip addr add 10.9.0.3/24 dev eth0
netns exec vm ip link set eth0 up
"""
    for line in plug.splitlines():
        lab.run("ip", *line.split())
    wait_until(lambda: web.namespace.pings("10.9.0.3"), "what is plugged in")

    db = start(lab, runtime, "db", "--net", "lan")

    assert db.namespace.addresses("eth0") == ["10.9.0.4/24"]
    assert db.namespace.pings("10.9.0.3")
    (told,) = lab.events("address in use by another")
    assert (told["network"], told["address"]) == ("lan", "10.9.0.3")
    lab.run("ip", "link", "del", "vm0")
    lab.run("ip", "netns", "del", "vm")


@each_runtime
def test_start_on_adopted_bridge_leaves_the_bridge_as_it_is(lab: Lab, runtime: str) -> None:
    """Prefix and gateway come from the bridge, whose settings and MAC never change."""
    lab.run("ip", "-batch", "-", stdin=_HAND_MADE_BRIDGE)
    _network(lab, "--bridge", "br9", "--unmanaged", "--ip-range", "10.9.0.64-10.9.0.65")
    before = _shape(lab, "br9")

    web, log = (start(lab, runtime, name, "--net", "lan") for name in ("web", "log"))
    third = refused(lab, runtime, register(lab, "third", "--net", "lan"))

    assert [each.namespace.addresses("eth0") for each in (web, log)] == [
        ["10.9.0.64/24"], ["10.9.0.65/24"],
    ]  # fmt: skip
    assert ("default", "10.9.0.254") in _routes(web)
    assert web.namespace.links()["eth0"]["mtu"] == 1300
    assert web.namespace.pings("10.9.0.65")
    assert web.namespace.pings("10.9.0.254")
    assert "no address is free on lan" in third
    assert _shape(lab, "br9") == before
    stop(web)
    stop(log)
    assert _shape(lab, "br9") == before
    lab.ocinet("network", "rm", "lan")
    assert _shape(lab, "br9") == before
    lab.run("ip", "-batch", "-", stdin="link delete br9\nlink delete nic\n")


def _shape(lab: Lab, ifname: str) -> tuple[object, ...]:
    link = lab.links()[ifname]
    words = ("address", "mtu", "group", "flags", "operstate")
    return (*(str(link.get(word)) for word in words[:3]), lab.addresses(ifname))


@each_runtime
def test_start_in_range_takes_its_addresses_one_after_another(lab: Lab, runtime: str) -> None:
    """A freed address is not given again at once, and the range is never left."""
    _network(lab, "--subnet", LAN4, "--ip-range", "10.9.0.128/29", "--gateway", "10.9.0.129")
    seen = []
    for number in range(3):
        container = start(lab, runtime, f"c{number}", "--net", "lan")
        seen += container.namespace.addresses("eth0")
        stop(container)

    assert seen == ["10.9.0.128/24", "10.9.0.130/24", "10.9.0.131/24"]


@each_runtime
def test_start_under_reserved_name_gets_its_address_again(lab: Lab, runtime: str) -> None:
    """A reservation holds for the name, whatever the id; others don't get the address."""
    _network(lab, "--subnet", "10.9.0.0/29")
    lab.ocinet(
        "reservation", "add", "lan", "web", "--ip", "10.9.0.2", "--mac-address", "02:aa:00:00:00:01"
    )
    other = start(lab, runtime, "other", "--net", "lan")
    assert other.namespace.addresses("eth0") == ["10.9.0.3/29"]
    for container_id in ("first-life", "second-life"):
        container = start(lab, runtime, container_id, "--net", "lan", "--name", "web")

        assert container.namespace.addresses("eth0") == ["10.9.0.2/29"]
        assert container.namespace.links()["eth0"]["address"] == "02:aa:00:00:00:01"
        stop(container)
    thief = register(lab, "thief", "--net", "lan", "--ip", "10.9.0.2")
    assert "10.9.0.2 is reserved for web" in refused(lab, runtime, thief)
    lab.ocinet("reservation", "rm", "lan", "web")


@each_runtime
def test_restart_under_the_same_id_is_reachable_at_once(lab: Lab, runtime: str) -> None:
    """A container that comes back at its address is met at its new MAC's link, not the old."""
    _network(lab, "--subnet", LAN4)
    words = ("--net", "lan", "--ip", "10.9.0.5")
    bundle = register(lab, "web", *words)
    for _ in range(3):
        container = lab.runtime(runtime).run(bundle)
        container.namespace.serve("tcp", 80)

        assert lab.reaches("tcp", "10.9.0.5", 80)
        container.namespace.close()
        stop(container)
    assert host_ends(lab) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--subnet", "10.9.0.0/31"), ["10.9.0.1/31"]),
        (("--subnet", "10.9.0.0/16", "--gateway", "10.9.255.254"), ["10.9.0.1/16"]),
        (("--subnet", LAN6), ["fd00:9::2/64"]),
    ],
    ids=["/31", "/16", "IPv6 alone"],
)
def test_start_on_network_of_any_size_gets_an_address_that_works(
    lab: Lab, words: tuple[str, ...], told: list[str]
) -> None:
    """The smallest, the widest, and one of IPv6 alone."""
    _network(lab, *words)

    container = start(lab, "runc", "web", "--net", "lan")

    assert container.namespace.addresses("eth0") == told
    assert lab.pings(told[0].partition("/")[0])

"""Where packets of containers go, how fast and by which parameters, asked for at their doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import install, keys
from hosts.engine.hooked_runtime import host_ends, start, stop
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import OUTSIDE_V4, UPLINK

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

SECOND = "198.51.100.9"


def _shapers(lab: Lab) -> list[str]:
    return sorted(name for name in lab.links() if name.startswith("oi"))


@each_runtime
def test_bundle_says_where_how_fast_and_with_which_address(lab: Lab, runtime: str) -> None:
    """By flags of `hooks add`: it is so at the first instruction, and gone with the container."""
    lab.run("ip", "address", "add", f"{SECOND}/24", "dev", UPLINK)
    lab.ocinet("network", "create", "lan", "--route", "10.66.0.0/16,blackhole", "-o", "metric=300")
    lab.outside.serve("tcp", 7000)
    web = start(
        lab, runtime, "web", "--net", "lan", "--route", "prohibit 10.67.0.0/16",
        "--sysctl", "net.ipv4.conf.IFNAME.log_martians=1", "--sysctl", "net.core.somaxconn=99",
        "--bandwidth", "in=20mbit", "--bandwidth", "out=8mbit burst 64k",
        "--egress-address", SECOND,
    )  # fmt: skip

    inside = web.namespace
    routes = {route["dst"]: route for route in inside.routes()}
    assert routes["10.66.0.0/16"]["type"] == "blackhole"
    assert routes["10.67.0.0/16"]["type"] == "prohibit"
    assert routes["default"]["metric"] == 300
    assert inside.run("sysctl", "-n", "net.ipv4.conf.eth0.log_martians").stdout == "1\n"
    assert inside.run("sysctl", "-n", "net.core.somaxconn").stdout == "99\n"
    assert inside.ask("tcp", OUTSIDE_V4, 7000).peer[0] == SECOND
    (end,), (shaper,) = host_ends(lab), _shapers(lab)
    assert "rate 20Mbit" in lab.run("tc", "qdisc", "show", "dev", end, "root").stdout
    assert "rate 8Mbit burst 64" in lab.run("tc", "qdisc", "show", "dev", shaper, "root").stdout
    told = lab.ocinet("explain", "web", "10.67.1.1", check=False).stdout
    assert "it has the route prohibit 10.67.0.0/16" in told
    assert lab.ocinet("check").stdout == ""

    lab.ocinet("attach", "web", "--net", "lan", "--bandwidth", "out=none")
    assert _shapers(lab) == []
    assert lab.records()["web"]["endpoints"][0]["bandwidth"]["outward"] is None
    assert inside.ask("tcp", OUTSIDE_V4, 7000).peer[0] == SECOND

    stop(web)
    assert host_ends(lab) == _shapers(lab) == []
    assert SECOND not in lab.run("nft", "list", "ruleset").stdout
    lab.run("ip", "address", "del", f"{SECOND}/24", "dev", UPLINK)


@each_runtime
def test_podman_annotations_say_the_same(lab: Lab, runtime: str) -> None:
    """A route that refuses, a parameter and a limit are there for the first process."""
    podman = install(lab, runtime)
    asked = keys(
        net="bridge", routes="unreachable 203.0.113.0/24", bandwidth="16mbit",
        sysctl="net.ipv4.conf.IFNAME.arp_ignore=1",
    )  # fmt: skip
    script = "ip route get 203.0.113.7; cat /proc/sys/net/ipv4/conf/eth0/arp_ignore"

    told = podman("run", "--network=none", *asked, IMAGE, "sh", "-c", f"{script} 2>&1")

    assert told.stdout.splitlines()[-1] == "1"
    assert "via" not in told.stdout
    podman("rm", "--all")
    assert _shapers(lab) == []

"""What a network takes over from the uplink, and what it must leave alone there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.lab.machine import LAB_V4, OUTSIDE_V4, OUTSIDE_V6, UPLINK
from hosts.lab.namespace import Unreachable
from hosts.lab.topology import OUTSIDE_SERVICE, Question, Topology, detach_all, run_attached
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

_NETWORK_MTU = 1300
_PARTS = ("bridge", "host end", "eth0")
# A router advertisement (RFC 4861, 4.2): hop limit 64, no flags, lifetime in
# seconds; sent with hop limit 255 to all nodes. The kernel adds the checksum.
_ADVERTISE = """\
import socket, struct, sys
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, int(sys.argv[1]), 0, 0)
sender.sendto(packet, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
"""


def _mtu(lab: Lab, container: str) -> dict[str, int]:
    """Return the MTU of a container's two ends and of the bridge."""
    record = lab.ocinet("inspect", container).json()[0]
    (endpoint,) = record["endpoints"]
    inside = lab.run("ip", "-n", container, "-j", "link", "show", "eth0").json()[0]
    links = lab.links()
    return {
        "bridge": links[endpoint["device"]]["mtu"],
        "host end": links[endpoint["host_ifname"]]["mtu"],
        "eth0": inside["mtu"],
    }


def test_attach_behind_small_uplink_gets_its_mtu(lab: Lab) -> None:
    """A tunnel's MTU goes on to bridge and container, so that no packet is too big on its way."""
    lab.run("ip", "link", "set", UPLINK, "mtu", "1400")

    run_attached(lab, "web", "bridge")

    assert _mtu(lab, "web") == {"bridge": 1400, "host end": 1400, "eth0": 1400}
    lab.run("ip", "link", "set", UPLINK, "mtu", "1500")
    detach_all(lab)


def test_uplink_that_changes_its_mtu_is_followed_when_nobody_is_on_the_network(lab: Lab) -> None:
    """Down and up; while somebody is, `check` tells, and others come to what they have."""
    lab.ocinet("network", "create", "--mtu", str(_NETWORK_MTU), "fixed")
    run_attached(lab, "web", "bridge")
    run_attached(lab, "own", "fixed")
    assert lab.ocinet("check").stdout == ""
    lab.run("ip", "link", "set", UPLINK, "mtu", "1400")
    told = lab.ocinet("check", "--repair", check=False)
    assert (told.status, "passes 1500 bytes" in told.stdout) == (1, True)
    assert told.stdout.rstrip().splitlines()[-1].endswith("no")
    assert "ocinet network inspect bridge" in told.stdout
    run_attached(lab, "beside", "bridge")
    assert _mtu(lab, "beside") == _mtu(lab, "web") == dict.fromkeys(_PARTS, 1500)

    for mtu in (1400, 1500):
        lab.run("ip", "link", "set", UPLINK, "mtu", str(mtu))
        detach_all(lab)
        run_attached(lab, f"at{mtu}", "bridge")
        run_attached(lab, f"fixed{mtu}", "fixed")
        assert _mtu(lab, f"at{mtu}") == dict.fromkeys(_PARTS, mtu)
        assert _mtu(lab, f"fixed{mtu}") == dict.fromkeys(_PARTS, _NETWORK_MTU)
        assert lab.ocinet("check").stdout == ""
    detach_all(lab)


def test_attach_to_network_with_mtu_gets_that_one(lab: Lab) -> None:
    """A network's own MTU wins over the uplink's."""
    lab.ocinet("network", "create", "--mtu", str(_NETWORK_MTU), "lan")

    run_attached(lab, "web", "lan")

    expected = {"bridge": _NETWORK_MTU, "host end": _NETWORK_MTU, "eth0": _NETWORK_MTU}
    assert _mtu(lab, "web") == expected
    detach_all(lab)


def _advertised(lab: Lab) -> bool:
    return any(
        route["dst"] == "default" and route.get("protocol") == "ra" for route in lab.routes(v6=True)
    )


def _advertise(lab: Lab, lifetime_s: int) -> None:
    """Have outside say that it is a router, or with 0, that it is none any more."""
    lab.outside.run("/usr/bin/python3", "-I", "-S", "-c", _ADVERTISE, str(lifetime_s))
    wait_until(lambda: _advertised(lab) is bool(lifetime_s), "the advertisement's effect")


def test_attach_with_ipv6_keeps_advertised_default_route(lab: Lab) -> None:
    """Forwarding would make the kernel deaf to its router: accept_ra=2 goes first, and is told."""
    lab.run("ip", "-6", "route", "delete", "default")
    _advertise(lab, 1800)
    lab.ocinet("network", "create", "--ipv6", "lan")

    container = run_attached(lab, "web", "lan")

    assert lab.sysctl("net/ipv6/conf/all/forwarding") == "10"
    assert lab.sysctl(f"net/ipv6/conf/{UPLINK}/accept_ra") == "2"
    assert _advertised(lab)
    world = Topology(lab, {"web": container.namespace}, {"web": "lan"})
    world.serve("outside")
    out = Question("web", "outside", OUTSIDE_SERVICE, family=6)
    assert world.ask(out) == "outside sees uplink"
    _advertise(lab, 0)  # it still listens
    _advertise(lab, 1800)
    detach_all(lab)
    # without the guard, forwarding takes the route away
    lab.set_sysctl("net/ipv6/conf/all/forwarding", "0")
    lab.set_sysctl(f"net/ipv6/conf/{UPLINK}/accept_ra", "1")
    assert _advertised(lab)
    lab.set_sysctl("net/ipv6/conf/all/forwarding", "1")
    assert not _advertised(lab)
    lab.run("ip", "-6", "route", "add", "default", "via", OUTSIDE_V6)


@pytest.fixture
def second_address(lab: Lab) -> Iterator[tuple[str, str]]:
    """Give the uplink another address of each family, and let outside serve."""
    addresses = ("198.51.100.9", "2001:db8:100::9")
    for address, length in zip(addresses, ("24", "64"), strict=True):
        lab.run("ip", "address", "add", f"{address}/{length}", "dev", UPLINK)
    lab.outside.serve("tcp", 7000)
    yield addresses
    for address, length in zip(addresses, ("24", "64"), strict=True):
        lab.run("ip", "address", "del", f"{address}/{length}", "dev", UPLINK)


def test_network_with_egress_addresses_leaves_with_them(
    lab: Lab, second_address: tuple[str, str]
) -> None:
    """Of either family; what reaches a published port, and another network, is not concerned."""
    egress = ",".join(second_address)
    lab.ocinet("network", "create", "--ipv6", "--egress-address", egress, "lan")
    lab.ocinet("network", "create", "dmz")
    web = run_attached(lab, "web", "lan", "8080:80")
    other = run_attached(lab, "other", "dmz")
    web.namespace.serve("tcp", 80)
    assert web.namespace.ask("tcp", OUTSIDE_V4, 7000).peer[0] == second_address[0]
    assert web.namespace.ask("tcp", OUTSIDE_V6, 7000).peer[0] == second_address[1]
    assert other.namespace.ask("tcp", OUTSIDE_V4, 7000).peer[0] == LAB_V4
    assert lab.outside.ask("tcp", LAB_V4, 8080).peer[0] == OUTSIDE_V4
    assert other.namespace.ask("tcp", LAB_V4, 8080).server == "web"
    assert web.namespace.ask("tcp", LAB_V4, 8080).server == "web"
    assert not lab.events("attached with a warning")
    assert lab.ocinet("check").stdout == ""
    lab.run("nft", "flush", "ruleset")
    lab.ocinet("check", "--repair")
    assert web.namespace.ask("tcp", OUTSIDE_V4, 7000).peer[0] == second_address[0]
    detach_all(lab)
    lab.ocinet("network", "rm", "lan", "dmz")
    assert "198.51.100.9" not in lab.run("nft", "list", "ruleset").stdout


def _route_with(lab: Lab, *source: str) -> None:
    """Have the default routes say these sources, of each family, or none."""
    for family, via in (("4", OUTSIDE_V4), ("6", OUTSIDE_V6)):
        said = [address for address in source if (":" in address) == (family == "6")]
        words = ["src", *said] if said else []
        lab.run("ip", f"-{family}", "route", "del", "default")
        lab.run("ip", f"-{family}", "route", "add", "default", "via", via, *words)


def test_route_that_says_a_source_is_followed(lab: Lab, second_address: tuple[str, str]) -> None:
    """Containers leave as the host does; a network's own address goes before; a change is told."""
    _route_with(lab, *second_address)
    lab.ocinet("network", "create", "--ipv6", "lan")
    lab.ocinet("network", "create", "--egress-address", LAB_V4, "own")
    web, own = run_attached(lab, "web", "lan"), run_attached(lab, "own", "own")
    for address in ("192.0.2.7", "2001:db8:77::7"):
        lab.outside.run("ip", "address", "add", address, "dev", "lo")

    def seen(of: Namespace) -> tuple[str, str]:
        four, six = (of.ask("tcp", far, 7000) for far in ("192.0.2.7", "2001:db8:77::7"))
        return four.peer[0], six.peer[0]

    assert seen(lab) == second_address
    assert seen(web.namespace) == second_address
    # The uplink's own subnet has a route that says nothing.
    assert lab.ask("tcp", OUTSIDE_V4, 7000).peer[0] == LAB_V4
    assert web.namespace.ask("tcp", OUTSIDE_V4, 7000).peer[0] == LAB_V4
    assert own.namespace.ask("tcp", "192.0.2.7", 7000).peer[0] == LAB_V4
    assert lab.ocinet("check").stdout == ""

    _route_with(lab)
    told = lab.ocinet("check", check=False)
    assert (told.status, "is not followed" in told.stdout) == (1, True)
    lab.ocinet("check", "--repair")
    assert "ocinet-uplinks" not in lab.run("nft", "list", "tables").stdout
    assert web.namespace.ask("tcp", "192.0.2.7", 7000).peer[0] == LAB_V4
    detach_all(lab)
    lab.ocinet("network", "rm", "lan", "own")


def test_egress_address_that_the_host_has_not_is_told_and_the_hint_works(lab: Lab) -> None:
    """As one that another host of a pair has at the moment; the network comes up all the same."""
    lab.outside.serve("tcp", 7000)
    lab.ocinet("network", "create", "--egress-address", "198.51.100.7", "lan")
    web = run_attached(lab, "web", "lan")
    with pytest.raises(Unreachable):
        web.namespace.ask("tcp", OUTSIDE_V4, 7000, timeout_s=0.3)
    (told,) = lab.events("attached with a warning")
    command = told["warning"].rpartition(": ")[2].replace("LINK", UPLINK)
    lab.run(*command.split())
    assert web.namespace.ask("tcp", OUTSIDE_V4, 7000).peer[0] == "198.51.100.7"
    assert lab.ocinet("check").stdout == ""
    lab.run("ip", "address", "del", "198.51.100.7/32", "dev", UPLINK)
    detach_all(lab)

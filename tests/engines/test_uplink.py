"""What a network takes over from the uplink, and what it must leave alone there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.lab.machine import OUTSIDE_V6, UPLINK
from hosts.lab.topology import OUTSIDE_SERVICE, Question, Topology, detach_all, run_attached
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

_NETWORK_MTU = 1300
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

    assert lab.sysctl("net/ipv6/conf/all/forwarding") == "1"
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

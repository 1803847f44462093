"""What a sandbox's interface has after it was configured, as `ip` and its neighbours see it."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from contract.insides import DEFAULT4, DEFAULT6, DUAL, IPV4, VETH
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import addresses_json, ip_json, link_json, pings, run
from hosts.waiting import wait_until
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Deadline, Process
from ocinet.base.errors import KernelError
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.sandbox import Sandbox, entered
from ocinet.engine.model.link import Inside, Pair
from ocinet.engine.model.request import Route
from ocinet.engine.netlink.framing import Answer, Refusal
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

MAC = VETH.mac
OPERSTATE = bytes.fromhex("05001000")  # the head of IFLA_OPERSTATE


@contextmanager
def wired(stp: str = "stp_state 0") -> Iterator[tuple[Insides, Sandbox, int]]:
    """Yield the insides, a sandbox with a link on a bridge with two addresses, and its pid."""
    run(f"ip link add br0 type bridge {stp}")
    run("ip addr add 10.9.0.1/24 dev br0")
    run("ip addr add fd00:9::1/64 dev br0 nodad")
    run("ip link set br0 up")
    with Sleeper() as sleeper:
        process = Process.of(sleeper.pid)
        assert process is not None
        with Sandbox.open_process(process) as sandbox, Links() as links:
            links.add_veth(VETH, sandbox)
            yield Insides(links), sandbox, sleeper.pid
            # A test may want all of it once more, before the kernel has taken the sandbox down.
            links.delete_links((VETH.host_ifname,))
    run("ip link del br0")


def sysctl(pid: int, key: str) -> str:
    return run(f"sysctl -n {key}", pid=pid).strip()


def sent(pid: int) -> int:
    """Return how many frames the sandbox's end has sent."""
    [link] = json.loads(run("ip -s -j link show dev eth0", pid=pid))
    count: int = link["stats64"]["tx"]["packets"]
    return count


def shown(routes: list[dict[str, Any]]) -> list[tuple[str, str | None, str]]:
    return [(route["dst"], route.get("gateway"), route["dev"]) for route in routes]


@in_namespaces
def test_configure_ipv4_looks_like_dockers_bridge() -> None:
    """One address with its broadcast, one default route, `lo` up, no IPv6 at all."""
    with wired() as (insides, sandbox, pid):
        assert insides.configure(sandbox, IPV4) == ()

        [address] = addresses_json("eth0", pid)
        assert address["local"] == "10.9.0.5"
        assert address["prefixlen"] == 24
        assert address["broadcast"] == "10.9.0.255"
        assert address["scope"] == "global"
        assert run("ip route", pid=pid).split("\n") == [
            "default via 10.9.0.1 dev eth0 ",
            "10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.5 ",
            "",
        ]
        for ifname in ("eth0", "lo"):
            link = link_json(ifname, pid)
            assert link is not None
            assert {"UP", "LOWER_UP"} <= set(link["flags"])
        assert sysctl(pid, "net.ipv6.conf.eth0.disable_ipv6") == "1"
        assert sysctl(pid, "net.ipv4.conf.eth0.arp_notify") == "1"


@in_namespaces
def test_configure_dual_stack_is_usable_at_once() -> None:
    """No address is tentative, the link-local one neither; advertised routes are refused."""
    with wired() as (insides, sandbox, pid):
        assert insides.configure(sandbox, DUAL) == ()

        addresses = addresses_json("eth0", pid)
        assert {address["local"] for address in addresses} >= {"10.9.0.5", "fd00:9::5"}
        [global6] = [address for address in addresses if address["local"] == "fd00:9::5"]
        assert global6["nodad"] is True
        assert not [
            address for address in addresses if address.get("tentative") and address != global6
        ]
        assert ("default", "fd00:9::1", "eth0") in shown(ip_json("-6 route", pid))
        assert ("default", "10.9.0.1", "eth0") in shown(ip_json("route", pid))
        assert sysctl(pid, "net.ipv6.conf.eth0.accept_ra") == "0"
        assert sysctl(pid, "net.ipv6.conf.eth0.ndisc_notify") == "1"
        assert "::1" in {address["local"] for address in addresses_json("lo", pid)}


def _connected_s(family: int) -> float:
    """Return the seconds that a first connection takes."""
    with wired() as (insides, sandbox, _pid):
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        with socket.socket(kind, socket.SOCK_STREAM) as server:
            server.bind(("10.9.0.1" if family == 4 else "fd00:9::1", 0))
            server.listen()
            insides.configure(sandbox, DUAL)
            with entered(sandbox):
                client = socket.socket(kind, socket.SOCK_STREAM)
            before = time.monotonic()
            client.settimeout(5)
            client.connect(server.getsockname())
            took_s = time.monotonic() - before
            client.close()
    return took_s


@in_namespaces
@pytest.mark.parametrize("family", [4, 6])
def test_configure_carries_packets_at_once(family: int) -> None:
    """The first connection, right after: no carrier, ARP or DAD is waited for.

    A lost first packet would be sent again after a second. On a busy machine one may be: the
    kernel's link watch, which lets a link send, is a work of its own.
    """
    assert any(_connected_s(family) < 0.5 for _try in range(3))


@in_namespaces
def test_configure_announces_every_address_on_the_bridge() -> None:
    """Gratuitous ARP and unsolicited NA get through to the bridge itself and to another port.

    The kernel's own ones, of the moment that the link goes up, are dropped by
    a bridge port that has not seen its carrier yet.
    """
    with wired() as (insides, sandbox, _pid):
        run("ip link add port type veth peer name neighbour")
        run("ip link set port master br0 up")
        run("ip link set neighbour up")
        while "LOWER_UP" not in (link_json("neighbour") or {})["flags"]:
            time.sleep(0.01)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as capture:
            insides.configure(sandbox, DUAL)
            seen = announcements(capture, 0.5)
    for ifname in ("br0", "neighbour"):
        assert (ifname, "ARP", "10.9.0.5") in seen
        assert (ifname, "NA", "fd00:9::5") in seen


def announcements(capture: socket.socket, timeout_s: float) -> set[tuple[str, str, str]]:
    """Return who heard which announcement of MAC's within some time."""
    capture.settimeout(0.05)
    end = time.monotonic() + timeout_s
    found = set()
    while time.monotonic() < end:
        try:
            frame, sender = capture.recvfrom(2048)
        except TimeoutError:
            continue
        if frame[6:12] != bytes.fromhex(MAC.replace(":", "")):
            continue
        (ethertype,) = struct.unpack_from("!H", frame, 12)
        if ethertype == 0x0806 and frame[28:32] == frame[38:42]:
            found.add((sender[0], "ARP", socket.inet_ntop(socket.AF_INET, frame[28:32])))
        elif ethertype == 0x86DD and frame[20] == 58 and frame[54] == 136:
            found.add((sender[0], "NA", socket.inet_ntop(socket.AF_INET6, frame[62:78])))
    return found


class SlowSocket(NetlinkSocket):
    """A socket that shows some links as not running yet, for some time.

    Attributes:
        slow: by index, how many answers are yet to say so.
        asked: the indexes of the links that were asked for, in order.
    """

    slow: dict[int, int]
    asked: list[int]

    def look_up(self, questions: bytes, count: int) -> tuple[list[Answer], list[Refusal]]:
        """Ask for real, and change the answer."""
        answers, refusals = super().look_up(questions, count)
        for place, answer in enumerate(answers):
            ifindex = int.from_bytes(answer.body[4:8], sys.byteorder)
            self.asked.append(ifindex)
            if self.slow.get(ifindex, 0):
                self.slow[ifindex] -= 1
                body = answer.body.replace(OPERSTATE + b"\x06", OPERSTATE + b"\x02")
                answers[place] = answer.replace(body=body)
        return answers, refusals


@in_namespaces
@pytest.mark.parametrize("late", ["oc1", "br0"])
@pytest.mark.parametrize("announce", [True, False])
def test_configure_waits_for_the_port_and_its_bridge_to_carry_packets(
    late: str, announce: bool
) -> None:
    """Who starts after it must not lose the first packets; linkwatch may be late."""
    with wired() as (insides, sandbox, _pid):
        found = insides._host.link(late)
        assert found is not None
        insides._host.close()
        insides._host._opened = socket_ = SlowSocket(NETLINK_ROUTE)
        socket_.asked, socket_.slow = [], {found.ifindex: 5}
        assert insides.configure(sandbox, IPV4.replace(announce=announce)) == ()
        assert socket_.slow == {found.ifindex: 0}
        # With an announcement goes one question more, for the port's state.
        assert socket_.asked.count(found.ifindex) == 6 + (announce and late == "oc1")


@in_namespaces
def test_configure_announces_only_where_it_is_asked_for() -> None:
    """An announcement goes to every port of the bridge, which a thousand containers would feel."""
    with wired() as (insides, sandbox, pid):
        assert insides.configure(sandbox, IPV4.replace(announce=False)) == ()
        assert sent(pid) == 0
        assert insides.configure(sandbox, IPV4) == ()
        assert sent(pid) > 0


@in_namespaces
def test_configure_of_a_pair_just_made_looks_nothing_up() -> None:
    """What its making told is enough; the outcome is the same."""
    run("ip link add br0 address 02:00:00:00:00:09 type bridge")
    run("ip link set br0 up")
    with Sleeper() as sleeper:
        process = Process.of(sleeper.pid)
        assert process is not None
        with Sandbox.open_process(process) as sandbox, Links() as links:
            insides, pair = Insides(links), links.add_veth(VETH, sandbox)
            host, bridge = link_json("oc1"), link_json("br0")
            inside = link_json("eth0", sleeper.pid)
            assert host is not None
            assert bridge is not None
            assert inside is not None
            assert pair == Pair(host["ifindex"], inside["ifindex"], bridge["ifindex"], MAC)
            assert insides.configure(sandbox, IPV4, pair) == ()
        assert [address["local"] for address in addresses_json("eth0", sleeper.pid)] == ["10.9.0.5"]


@in_namespaces
def test_configure_without_a_carrier_warns_and_goes_on() -> None:
    """It is bounded by the operation's time, which leaves some for what follows."""
    with wired() as (insides, sandbox, pid):
        found = insides._host.link("oc1")
        assert found is not None
        insides._host.close()
        insides._host._opened = socket_ = SlowSocket(NETLINK_ROUTE)
        socket_.asked, socket_.slow = [], {found.ifindex: 10**6}
        deadline = Deadline(2.5)
        [warning] = Insides(insides._host, deadline).configure(sandbox, IPV4)
        assert warning == "cannot announce the addresses of eth0: no carrier"
        assert 0 < deadline.left_s < 2
        assert socket_.asked.count(found.ifindex) > 20
        assert "10.9.0.5" in {address["local"] for address in addresses_json("eth0", pid)}


@in_namespaces
def test_configure_waits_for_a_spanning_tree_that_is_in_time() -> None:
    """Who starts after it reaches the bridge at once."""
    with wired(stp="stp_state 1 forward_delay 200") as (insides, sandbox, pid):
        assert insides.configure(sandbox, IPV4) == ()
        assert pings("10.9.0.1", pid)


@in_namespaces
def test_configure_on_a_bridge_with_a_slow_spanning_tree_tells_of_it_at_once() -> None:
    """Which bridge, how long, and what helps; it is not waited for in vain."""
    with wired(stp="stp_state 1") as (insides, sandbox, pid):
        deadline = Deadline(20)
        [warning] = Insides(insides._host, deadline).configure(sandbox, IPV4)
        assert warning.startswith("br0 has STP on and passes nothing to or from eth0 for 30 s")
        assert deadline.left_s > 5
        run("ip link set br0 type bridge stp_state 0")  # which ports of before don't feel
        run("ip link set oc1 nomaster")
        run("ip link set oc1 master br0")
        assert insides.configure(sandbox, IPV4) == ()
        assert pings("10.9.0.1", pid)


@in_namespaces
def test_configure_on_a_bridge_that_is_down_does_not_wait() -> None:
    """It will not carry anything, whatever we wait for."""
    with wired() as (insides, sandbox, _pid):
        run("ip link set br0 down")
        assert insides.configure(sandbox, IPV4) == ()


@in_namespaces
def test_configure_new_holder_of_an_address_is_known_to_neighbours_at_once() -> None:
    """The host's entry of the address has the new MAC, without a packet of its own."""
    with wired() as (insides, sandbox, _pid):
        insides.configure(sandbox, IPV4)  # first, for a carrier that comes empties the table
        run("ip neigh replace 10.9.0.5 lladdr 02:00:00:00:00:99 dev br0 nud reachable")
        insides.configure(sandbox, IPV4)

        def known() -> list[str]:
            return [entry["lladdr"] for entry in ip_json("neigh show 10.9.0.5 dev br0")]

        wait_until(lambda: known() == [MAC], "the new MAC is known", timeout_s=2)


@in_namespaces
def test_configure_twice_is_fine() -> None:
    """Already so is success; nothing is there twice."""
    with wired() as (insides, sandbox, pid):
        insides.configure(sandbox, DUAL)
        before = shown(ip_json("route", pid)), len(addresses_json("eth0", pid))
        insides.configure(sandbox, DUAL)
        assert (shown(ip_json("route", pid)), len(addresses_json("eth0", pid))) == before


@in_namespaces
def test_configure_extra_routes_of_every_kind() -> None:
    """On the link, and via a gateway that only such a route makes reachable."""
    routes = (
        Route(Subnet.parse("10.50.0.0/16"), Address.parse("10.40.0.1")),
        Route(Subnet.parse("10.40.0.0/24")),
        Route(Subnet.parse("fd00:50::/64"), Address.parse("fd00:9::7")),
        Route(Subnet.parse("fd00:60::/64")),
        Route(Subnet.parse("fd00:70::/64"), Address.parse("fe80::1")),
    )
    with wired() as (insides, sandbox, pid):
        insides.configure(sandbox, DUAL.replace(routes=(*DUAL.routes, *routes)))
        found = shown(ip_json("route", pid)) + shown(ip_json("-6 route", pid))
        for route in routes:
            gateway = str(route.gateway) if route.gateway else None
            assert (str(route.destination), gateway, "eth0") in found
        [plain] = [route for route in ip_json("route", pid) if route["dst"] == "10.50.0.0/16"]
        assert plain["flags"] == []


@in_namespaces
def test_configure_gateway_outside_of_every_prefix_is_taken_to_be_on_the_link() -> None:
    """A host address (/32, /128) with a gateway somewhere else."""
    inside = Inside(
        "eth0",
        (Interface.parse("10.9.0.5/32"), Interface.parse("fd00:9::5/128")),
        (
            Route(Subnet.parse("0.0.0.0/0"), Address.parse("10.200.0.1")),
            Route(Subnet.parse("::/0"), Address.parse("fd00:200::1")),
        ),
        ipv6=True,
    )
    with wired() as (insides, sandbox, pid):
        insides.configure(sandbox, inside)
        [default4] = ip_json("route show default", pid)
        [default6] = ip_json("-6 route show default", pid)
        assert (default4["gateway"], default4["flags"]) == ("10.200.0.1", ["onlink"])
        assert (default6["gateway"], default6["flags"]) == ("fd00:200::1", ["onlink"])
        [address] = [
            address for address in addresses_json("eth0", pid) if address["family"] == "inet"
        ]
        assert "broadcast" not in address


@in_namespaces
def test_configure_default_route_of_another_interface_is_not_replaced() -> None:
    """It is refused, and said which."""
    with wired() as (insides, sandbox, pid):
        run("ip link add other type bridge", pid=pid)
        run("ip addr add 10.8.0.2/24 dev other", pid=pid)
        run("ip link set other up", pid=pid)
        run("ip route add default via 10.8.0.1 dev other", pid=pid)
        with pytest.raises(KernelError, match=r"route 0\.0\.0\.0/0 via 10\.9\.0\.1") as caught:
            insides.configure(sandbox, IPV4)
        assert caught.value.errno == errno.EEXIST
        assert "another such route" in str(caught.value)
        assert shown(ip_json("route show default", pid)) == [("default", "10.8.0.1", "other")]


@in_namespaces
def test_configure_refused_route_tells_which_and_why() -> None:
    """With the kernel's own words."""
    bad = Route(Subnet.parse("10.50.0.0/16"), Address.parse("10.9.0.255"))
    with wired() as (insides, sandbox, _pid):
        with pytest.raises(KernelError) as caught:
            insides.configure(sandbox, IPV4.replace(routes=(bad,)))
        assert "cannot route 10.50.0.0/16 via 10.9.0.255 through eth0" in str(caught.value)
        assert "Nexthop has invalid gateway" in str(caught.value)


@in_namespaces
def test_configure_interface_that_is_not_there_is_told() -> None:
    """Its name is in the error."""
    with (
        wired() as (insides, sandbox, _pid),
        pytest.raises(KernelError, match="cannot configure eth7: it is not in the sandbox"),
    ):
        insides.configure(sandbox, IPV4.replace(ifname="eth7"))


@in_namespaces
def test_configure_ipv6_where_the_sandbox_has_it_off() -> None:
    """Docker makes its sandboxes so."""
    with wired() as (insides, sandbox, pid):
        run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1", pid=pid)
        assert insides.configure(sandbox, DUAL) == ()
        assert "fd00:9::5" in {address["local"] for address in addresses_json("eth0", pid)}
        assert "::1" in {address["local"] for address in addresses_json("lo", pid)}


@in_namespaces
def test_configure_read_only_proc_sys_warns_and_goes_on() -> None:
    """What is not needed for packets to flow must not stop a container."""
    with wired() as (insides, sandbox, pid):
        run("mount --bind /proc/sys /proc/sys")
        run("mount -o remount,bind,ro /proc/sys")
        assert insides.configure(sandbox, IPV4) == ()  # IPv6 that stays on is in nobody's way
        assert "10.9.0.5" in {address["local"] for address in addresses_json("eth0", pid)}
        warnings = insides.configure(sandbox, DUAL)
        assert len(warnings) == 3
        assert all("Read-only" in warning and "sysctl -w" in warning for warning in warnings)
        # ARP needs no /proc: it is announced all the same.
        assert sysctl(pid, "net.ipv4.conf.eth0.arp_notify") == "1"


@in_namespaces
def test_configure_fifty_routes_go_in_more_than_one_request() -> None:
    """Every one of them arrives."""
    routes = tuple(Route(Subnet.parse(f"10.{number}.0.0/16")) for number in range(50, 150))
    with wired() as (insides, sandbox, pid):
        insides.configure(sandbox, IPV4.replace(routes=routes))
        assert len(ip_json("route", pid)) == 101


@in_namespaces
def test_configure_leaves_the_thread_where_it_was() -> None:
    """After success, after a refusal; and in a thread that is not the first."""

    def home() -> int:
        return os.stat("/proc/thread-self/ns/net").st_ino

    with wired() as (insides, sandbox, _pid):
        before = home()
        insides.configure(sandbox, IPV4)
        assert home() == before
        with pytest.raises(KernelError):
            insides.configure(sandbox, IPV4.replace(ifname="eth7"))
        assert home() == before
        seen = []

        def configure() -> None:
            insides.configure(sandbox, IPV4)
            seen.append(home())

        thread = threading.Thread(target=configure)
        thread.start()
        thread.join()
        assert seen == [before]


@in_namespaces
def test_loopback_up_sets_lo_up_and_nothing_else() -> None:
    """The whole of mode none."""
    with wired() as (insides, sandbox, pid):
        insides.loopback_up(sandbox)
        insides.loopback_up(sandbox)
        flags = {link["ifname"]: "UP" in link["flags"] for link in ip_json("link", pid)}
        assert flags == {"lo": True, "eth0": False}
        assert {address["local"] for address in addresses_json("lo", pid)} == {"127.0.0.1", "::1"}


@in_namespaces
def test_look_inside_sees_what_ip_sees() -> None:
    """Links, addresses and routes; of another link's nothing."""
    with wired() as (insides, sandbox, pid):
        insides.configure(sandbox, DUAL)
        # The kernel's own comes when its link watch has seen the carrier.
        wait_until(lambda: len(addresses_json("eth0", pid)) == 3, "all addresses are there")
        lo, eth0 = insides.look_inside(sandbox)
        assert (lo.ifname, eth0.ifname) == ("lo", "eth0")
        assert (eth0.up, eth0.mac, eth0.mtu) == (True, MAC, 1500)
        expected = {
            f"{address['local']}/{address['prefixlen']}" for address in addresses_json("eth0", pid)
        }
        assert {str(address) for address in eth0.addresses} == expected
        assert {str(address) for address in lo.addresses} == {"127.0.0.1/8", "::1/128"}
        assert {DEFAULT4, DEFAULT6, Route(Subnet.parse("10.9.0.0/24"))} <= set(eth0.routes)

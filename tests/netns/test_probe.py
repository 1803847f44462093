"""Asking a bridge of the kernel's own who uses an address."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.segment import MAC, make_bridge, neighbour
from ocinet.base.address import Address
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.probe import NEAR, Segment, open_filtered
from ocinet.engine.model.link import Link

V4, V6 = Address.parse("10.1.0.2"), Address.parse("fd00:1::2")
FREE_V4, FREE_V6 = Address.parse("10.1.0.3"), Address.parse("fd00:1::3")
ENDLESS = (50.0,)  # whoever gets back before the test's own limit was answered


def find_users(
    known: Link,
    addresses: tuple[Address, ...],
    waits_s: tuple[float, ...],
    asked: tuple[str, ...] = (),
) -> dict[Address, str]:
    """Ask once, and close."""
    segment = Segment(known, asked)
    try:
        return segment.users(addresses, waits_s)
    finally:
        segment.close()


def bridge() -> Link:
    """Return br0 as the kernel shows it."""
    with Links() as links:
        found = links.link("br0")
    assert found is not None
    return found


@pytest.mark.parametrize("address", [V4, V6])
@in_namespaces
def test_users_of_a_used_address_names_its_mac_at_once(address: Address) -> None:
    """The user answers, and nobody waits any longer."""
    make_bridge()
    with neighbour("10.1.0.2/24", "fd00:1::2/64"):
        assert find_users(bridge(), (address,), ENDLESS) == {address: MAC}


@in_namespaces
def test_users_of_free_addresses_finds_none() -> None:
    """Silence means free, once it has been listened for as long as was said."""
    make_bridge()
    with neighbour("10.1.0.2/24", "fd00:1::2/64"):
        started = time.monotonic()
        assert find_users(bridge(), (FREE_V4, FREE_V6), NEAR) == {}
        assert time.monotonic() - started >= sum(NEAR)


@pytest.mark.parametrize("address", [V4, V6])
@in_namespaces
def test_users_asks_who_is_behind_the_ports_that_are_told(address: Address) -> None:
    """And nobody else. A port that is down, or gone, keeps nobody from the others."""
    make_bridge()
    with neighbour("10.1.0.2/24", "fd00:1::2/64"), neighbour("10.1.0.9/24", ifname="v1"):
        run("ip link add v2 master br0 type veth peer name p2")
        known, several = bridge(), ("v2", "gone", "v1", "v0")
        assert find_users(known, (address,), NEAR, ("v1",)) == {}
        assert find_users(known, (address,), ENDLESS, several) == {address: MAC}


@in_namespaces
def test_users_of_several_tells_the_used_one() -> None:
    """All are asked for together; what is free among them keeps nobody."""
    make_bridge()
    with neighbour("10.1.0.2/24", "fd00:1::2/64"):
        assert find_users(bridge(), (FREE_V4, V6), ENDLESS) == {V6: MAC}
        assert find_users(bridge(), (V4, FREE_V6), ENDLESS) == {V4: MAC}


@in_namespaces
def test_users_asks_at_each_turn_again() -> None:
    """Who could not answer the first question is asked a second time."""
    make_bridge()
    with neighbour("10.1.0.2/24") as pid:
        run("nft add table netdev late", pid=pid)
        chain = "{ type filter hook ingress device eth0 priority 0 ; }"
        run(f"nft add chain netdev late in {chain}", pid=pid)
        run("nft add rule netdev late in ether type arp quota until 30 bytes drop", pid=pid)

        assert find_users(bridge(), (V4,), (0.01, 50.0)) == {V4: MAC}


@in_namespaces
def test_users_hears_what_the_hosts_firewall_drops() -> None:
    """Neither a closed firewall nor a bridge without IPv6 makes a used address look free."""
    make_bridge()
    with neighbour("10.1.0.2/24", "fd00:1::2/64"):
        run("nft add table inet closed")
        run("nft add chain inet closed in { type filter hook input priority -300 ; policy drop ; }")
        run("nft add table arp closed")
        run("nft add chain arp closed in { type filter hook input priority 0 ; policy drop ; }")
        run("sysctl -qw net.ipv6.conf.br0.disable_ipv6=1")

        assert find_users(bridge(), (V4, FREE_V6), ENDLESS) == {V4: MAC}
        assert find_users(bridge(), (FREE_V4, V6), ENDLESS) == {V6: MAC}


@in_namespaces
def test_users_on_a_snooping_bridge_works_before_and_after_it_has_learned() -> None:
    """Where multicast goes to members alone, the user of an address is one."""
    make_bridge("mcast_snooping 1", "mcast_querier 1", "mcast_query_response_interval 10")
    with neighbour("10.1.0.2/24", "fd00:1::2/64"):
        end = time.monotonic() + 0.5  # the bridge floods for the first 0.1 s
        while time.monotonic() < end:
            assert find_users(bridge(), (V6,), (1.0,)) == {V6: MAC}
        assert "ff02::1:ff00:2" in run("bridge mdb show")


@in_namespaces
def test_users_leaves_no_trace_in_anybodys_cache() -> None:
    """The neighbour learns of no address that was only asked for, nor does the host."""
    make_bridge()
    with neighbour("10.1.0.2/24", "fd00:1::2/64") as pid:
        find_users(bridge(), (V4, V6), ENDLESS)
        find_users(bridge(), (FREE_V4, FREE_V6), NEAR)

        for seen in (run("ip neigh", pid=pid), run("ip neigh")):
            assert not [line for line in seen.splitlines() if "lladdr" in line]


@pytest.mark.parametrize("state", ["ip link set br0 down", "ip link del br0", "true"])
@in_namespaces
def test_users_on_a_bridge_without_anybody_finds_none(state: str) -> None:
    """A bridge that is down, gone, or has no ports is no failure of the question."""
    make_bridge()
    known = bridge()
    run(state)
    assert find_users(known, (V4, V6), NEAR) == {}


_CLAIM = """
import socket, sys
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(int(sys.argv[1], 16)))
heard.bind(("eth0", 0))
print("ready", flush=True)
while bytes.fromhex(sys.argv[3]) not in heard.recv(200):
    pass  # the bridge reports its multicast groups too
heard.send(bytes.fromhex(sys.argv[2]))
"""


def users_beside_a_claim(address: Address, claim: str, waits_s: tuple[float, ...]) -> object:
    """Ask for an address where somebody sends a frame when the question comes."""
    make_bridge()
    with neighbour() as pid:
        protocol = claim.split()[2]
        words = ["nsenter", "-n", "-t", str(pid), sys.executable, "-c", _CLAIM]
        words += [protocol, claim, address.packed.hex()]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            return find_users(bridge(), (address,), waits_s)


@pytest.mark.parametrize(
    ("address", "claim"),
    [
        (V4, "ffffffffffff 0242ac110002 0806 0001 0800 06 04 0001"
             "0242ac110002 00000000 000000000000 0a010002"),
        (V6, "3333ff000002 0242ac110002 86dd 60000000 0018 3a ff" + "00" * 16
             + "ff0200000000000000000001ff000002 8700 0000 00000000"
             + "fd000001000000000000000000000002"),
    ],
)  # fmt: skip
@in_namespaces
def test_users_hears_who_asks_for_the_same_address(address: Address, claim: str) -> None:
    """Two that are about to take one address don't both get it (RFC 5227 section 2.1.1)."""
    assert users_beside_a_claim(address, claim, ENDLESS) == {address: MAC}


@in_namespaces
def test_users_goes_by_no_other_address() -> None:
    """What somebody says of an address that was not asked for makes none look used."""
    announced = ("ffffffffffff 0242ac110002 0806 0001 0800 06 04 0002"
                 "0242ac110002 0a010002 000000000000 0a010002")  # fmt: skip
    assert users_beside_a_claim(FREE_V4, announced, (0.5,)) == {}


_CHATTER = """
import socket
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
head = bytes.fromhex("ffffffffffff 0242ac110002".replace(" ", ""))
udp = bytes.fromhex("60000000 0008 11 ff") + bytes(32) + bytes.fromhex("8800") + bytes(30)
echo = bytes.fromhex("60000000 0008 3a ff") + bytes(32) + bytes.fromhex("8000") + bytes(30)
advertised = bytes.fromhex("60000000 0018 3a ff") + bytes(32) + bytes.fromhex("8800") + bytes(22)
solicited = bytes.fromhex("60000000 0018 3a ff") + bytes(32) + bytes.fromhex("8700") + bytes(22)
for protocol, packet in (
    ("0800", bytes(46)), ("86dd", udp), ("86dd", echo), ("88cc", bytes(46)),
    ("86dd", advertised), ("86dd", solicited), ("0806", bytes(46)),
):
    out.send(head + bytes.fromhex(protocol) + packet)
"""


@in_namespaces
def test_open_filtered_lets_nothing_else_in() -> None:
    """What else a bridge carries can't crowd an answer out of the socket's buffer."""
    make_bridge()
    with neighbour() as pid:
        run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", pid=pid)
        run("sysctl -qw net.ipv6.conf.br0.disable_ipv6=1")
        packets = open_filtered("br0")
        try:
            words = ("nsenter", "-n", "-t", str(pid), sys.executable, "-c", _CHATTER)
            subprocess.run(words, check=True)
            packets.settimeout(5)
            heard = [packets.recv(200) for _ in range(3)]
            packets.settimeout(0)
            with pytest.raises(BlockingIOError):
                packets.recv(200)
        finally:
            packets.close()

        assert [frame[12:14].hex() for frame in heard] == ["86dd", "86dd", "0806"]
        assert [frame[54] for frame in heard[:2]] == [136, 135]


_ASK = """
from ocinet.base.errors import KernelError
from ocinet.base.address import Address
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.probe import Segment
with Links() as links:
    link = links.link("br0")
try:
    Segment(link).users((Address.parse("10.1.0.2"), Address.parse("fd00:1::2")), (0.01,))
except KernelError as error:
    print(error)
"""


@pytest.mark.needs("setpriv")
@in_namespaces
def test_users_without_the_privilege_says_what_it_needs() -> None:
    """A hardened unit that forgot it gets one clear line."""
    make_bridge()
    words = ("setpriv", "--bounding-set=-net_raw", sys.executable, "-c", _ASK)
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "cannot ask on br0 who uses 10.1.0.2, fd00:1::2: Operation not permitted (hint: it needs"
        " CAP_NET_RAW, and AF_PACKET where a unit has RestrictAddressFamilies)\n"
    )


@in_namespaces
def test_ports_are_those_of_the_one_bridge() -> None:
    """Another bridge's ports and links that are none are left out."""
    make_bridge()
    run("ip link add br1 type bridge")
    run("ip link add a0 type veth peer name a1")
    run("ip link add b0 type veth peer name b1")
    run("ip link set a0 master br0")
    run("ip link set a1 master br0 up")
    run("ip link set b0 master br1")

    with Links() as links:
        found = links.ports(bridge())

    assert sorted((port.ifname, port.kind, port.up) for port in found) == [
        ("a0", "veth", False), ("a1", "veth", True),
    ]  # fmt: skip

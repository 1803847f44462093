"""Containers of two hosts over ocinet's VXLAN, over flannel's, and by plain routes.

Each contestant has two hosts with a container each, wired alike by `ip` on one underlay. They
differ in what lies between the hosts alone: ocinet's data plane with all that it closes, or
without the table that does it, the same devices as flannel makes them (v0.25, backend vxlan) and
nothing of that kind, or two routes.
Readings are taken in turns, in random order, as those of `datapath`.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from arena import Command, inside, spawn
from ocinet.base.address import Address, Subnet
from ocinet.base.paths import Paths
from ocinet.cluster.model import Cluster, Host, Mine, Peer, Pool
from ocinet.cluster.plane.vxlan import Vxlan
from samples import Key, Sample, Target
from traffic import Ends, on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Record = Callable[[Sample], None]

NAME = "overlay"
_OURS, _OPEN = "ocinet VXLAN", "ocinet VXLAN, not closed"
_FLANNEL, _ROUTES = "flannel VXLAN", "plain routes"
_ROUND_TRIP, _CONNECTION, _STREAM = "round trip", "connection", "stream"
_APPLY, _APPLY_CPU, _AGAIN, _AGAIN_CPU = "apply", "apply cpu", "apply again", "apply again cpu"
_READINGS = (
    (_CONNECTION, "us", Ends.connection_us, 40),
    (_ROUND_TRIP, "us", Ends.round_trip_us, 40),
    (_STREAM, "Gbit/s", Ends.stream_gbit, 16),
)
_BUILDS, _QUICK_BUILDS = 6, 2
_PEERS, _QUICK_PEERS = (10, 100, 1000), (10, 100)
_PASSES, _QUICK_PASSES = 9, 3
_VNI, _MTU = 42, 1450


def _beside(who: str, other: str, measure: str) -> Target:
    ours, others = Key(NAME, who, measure), Key(NAME, other, measure)
    keys = (ours, others) if measure == _STREAM else (others, ours)
    must, aim = (0.6, None) if other == _ROUTES else (0.93, 0.98)  # what VXLAN itself takes
    if who == _OPEN:
        must, aim = 0.98, 1.0
    what = f"{measure} of containers of two hosts, {who} / {other}"
    return Target(what, lambda samples: samples.paired_ratio(*keys), must, aim, at_least=True)


TARGETS = (
    *(_beside(who, other, measure)
      for who, other in ((_OPEN, _FLANNEL), (_OURS, _FLANNEL), (_OURS, _ROUTES))
      for measure in (_ROUND_TRIP, _CONNECTION, _STREAM)),
    Target("a pass over 1,000 peers that finds nothing to do",
           lambda samples: samples.median(Key(NAME, _OURS, _AGAIN, 1000)), 500, 150, unit="ms"),
)  # fmt: skip


class _World(NamedTuple):
    """Two hosts with a container each.

    Attributes:
        hosts: descriptors of their network namespaces.
        containers: those of the containers.
    """

    hosts: tuple[int, int]
    containers: tuple[int, int]


def run(record: Record, *, quick: bool) -> None:
    """Record what packets take from host to host, and what a data plane does for its peers.

    Raises:
        BenchError: an operation fails.
    """
    for _ in range(_QUICK_BUILDS if quick else _BUILDS):
        with ExitStack() as build:
            ends = {}
            for name, connect in (
                (_OURS, _by_ocinet),
                (_OPEN, _by_ocinet_open),
                (_FLANNEL, _by_flannel),
                (_ROUTES, _by_ip),
            ):
                world = build.enter_context(_world())
                directory = Path(build.enter_context(tempfile.TemporaryDirectory()))
                for number in (1, 2):
                    with inside(world.hosts[number - 1]):
                        connect(number, directory)
                server = "10.42.2.9"
                ends[name] = build.enter_context(Ends(*world.containers, target=(server, 80)))
            _take_turns(record, ends)
    _passes(record, _QUICK_PEERS if quick else _PEERS, _QUICK_PASSES if quick else _PASSES)


def _take_turns(record: Record, ends: dict[str, Ends]) -> None:
    with on_one_cpu():
        for measure, unit, take, turns in _READINGS:
            for each in ends.values():
                take(each)  # neighbours get to know each other
            for _ in range(turns):
                for name in random.sample(list(ends), len(ends)):
                    record(Sample(NAME, name, measure, 0, take(ends[name]), unit))


def _passes(record: Record, counts: Sequence[int], passes: int) -> None:
    """Record what making the way to so many peers takes, and a pass that finds all of it there."""
    for count in counts:
        with ExitStack() as build:
            host = build.enter_context(_namespace())
            directory = build.enter_context(tempfile.TemporaryDirectory())
            cluster, peers = _cluster(), tuple(map(_peer, range(3, count + 3)))
            plane = Vxlan(cluster, Paths(run=f"{directory}/run"))
            mine = Mine(_peer(1).host, _peer(1).shares, cluster)
            with inside(host):
                _ip("link add eth0 type veth peer name far0", "address add 192.0.2.1/24 dev eth0",
                    "link set eth0 up", "link set lo up")  # fmt: skip
                for _ in range(passes):
                    for wall, cpu in ((_APPLY, _APPLY_CPU), (_AGAIN, _AGAIN_CPU)):
                        began, used = time.perf_counter(), sum(os.times()[:4])
                        plane.apply(mine, peers)
                        ms = (time.perf_counter() - began) * 1000
                        record(Sample(NAME, _OURS, wall, count, ms, "ms"))
                        spent = (sum(os.times()[:4]) - used) * 1000
                        record(Sample(NAME, _OURS, cpu, count, spent, "ms"))
                    plane.remove()


def _cluster() -> Cluster:
    return Cluster("bench", (Pool(Subnet.parse("10.42.0.0/16"), 26),), vni=_VNI)


def _peer(number: int) -> Peer:
    mac = f"02:1f:00:00:{number >> 8:02x}:{number & 255:02x}"
    # The first two are those of the worlds; the others' underlay is anywhere.
    at = Address(4, (192 << 24) + (2 << 8) + number if number < 3 else (203 << 24) + number)
    third, fourth = (number, 0) if number < 3 else (8 + (number >> 2), number << 6 & 255)
    return Peer(Host(f"{number:08x}-x", f"h{number}", (at,), mac),
                (Subnet(4, (10 << 24) + (42 << 16) + (third << 8) + fourth, 24 if number < 3
                        else 26),))  # fmt: skip


def _by_ocinet(number: int, directory: Path) -> None:
    mine, peer = _peer(number), _peer(3 - number)
    cluster = _cluster()
    plane = Vxlan(cluster, Paths(run=f"{directory}/run{number}"))
    plane.apply(Mine(mine.host, mine.shares, cluster), (peer,))


def _by_ocinet_open(number: int, directory: Path) -> None:
    _by_ocinet(number, directory)
    spawn(Command(("/usr/sbin/nft", "delete", "table", "inet", f"ocinet-ocx-{_VNI}")))


def _by_flannel(number: int, _directory: Path) -> None:
    """As backend/vxlan of flannel makes it: device.go, vxlan_network.go."""
    other, device = 3 - number, "flannel.1"
    mac = f"02:aa:00:00:00:0{other}"
    _ip(f"link add {device} address 02:aa:00:00:00:0{number} mtu {_MTU} type vxlan id 1"
        f" dev under0 local 192.0.2.{number} dstport 8472 nolearning",
        f"address add 10.42.{number}.0/32 dev {device}",
        f"link set {device} up",
        f"neigh replace 10.42.{other}.0 lladdr {mac} dev {device} nud permanent",
        f"route add 10.42.{other}.0/24 via 10.42.{other}.0 dev {device} onlink")  # fmt: skip
    spawn(Command(("/sbin/bridge", "fdb", "append", mac, "dst", f"192.0.2.{other}", "dev", device)))


def _by_ip(number: int, _directory: Path) -> None:
    other = 3 - number
    _ip(f"route add 10.42.{other}.0/24 via 192.0.2.{other}")


@contextmanager
def _world() -> Iterator[_World]:
    with ExitStack() as stack:
        hosts = (stack.enter_context(_namespace()), stack.enter_context(_namespace()))
        containers = (stack.enter_context(_namespace()), stack.enter_context(_namespace()))
        with inside(hosts[0]):
            _ip(f"link add under0 type veth peer name under0 netns {_path(hosts[1])}")
        for number, host, container in zip((1, 2), hosts, containers, strict=True):
            _wire(number, host, container)
        yield _World(hosts, containers)


def _wire(number: int, host: int, container: int) -> None:
    """Have a host on the underlay, with a bridge, forwarding, tracked connections, a container."""
    with inside(host):
        _ip("link set lo up", f"address add 192.0.2.{number}/24 dev under0", "link set under0 up",
            f"link add br0 mtu {_MTU} type bridge", f"address add 10.42.{number}.1/24 dev br0",
            "link set br0 up",
            f"link add c0 mtu {_MTU} type veth peer name eth0 mtu {_MTU} netns {_path(container)}",
            "link set c0 master br0 up")  # fmt: skip
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        chain = "type filter hook forward priority 0; ct state established,related accept;"
        spawn(
            Command(
                ("/usr/sbin/nft", "-f", "-"), stdin=f"table inet t {{ chain f {{ {chain} }}; }}"
            )
        )
    with inside(container):
        _ip("link set lo up", f"address add 10.42.{number}.9/24 dev eth0", "link set eth0 up",
            f"route add default via 10.42.{number}.1")  # fmt: skip


@contextmanager
def _namespace() -> Iterator[int]:
    """Hold a new network namespace; it is gone with the descriptor."""
    sleeper = subprocess.Popen(
        ["/usr/bin/unshare", "--net", "/bin/sh", "-c", "echo ready; exec sleep infinity"],
        stdout=subprocess.PIPE,
    )
    try:
        assert sleeper.stdout is not None
        sleeper.stdout.readline()
        fd = os.open(f"/proc/{sleeper.pid}/ns/net", os.O_RDONLY)
    finally:
        sleeper.kill()
        sleeper.communicate()
    try:
        yield fd
    finally:
        os.close(fd)


def _path(netns: int) -> str:
    return f"/proc/{os.getpid()}/fd/{netns}"


def _ip(*lines: str) -> None:
    spawn(Command(("/sbin/ip", "-batch", "-"), stdin="\n".join(lines)))

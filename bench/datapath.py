"""What packets cost: between containers of one network, and to published ports.

Siblings, two containers on one bridge, are compared with a bare bridge and a table of
one rule that has connections tracked, as any host with a firewall has them tracked, with
Docker's own bridge, with a network made by `docker network create` on the same host, with
CNI's, with ours and CNI's with the guard of a container's frames turned round, and with ours
where containers are kept apart (`--icc=false`) but for these two;
x is `net.bridge.bridge-nf-call-iptables`, which sends bridged packets through the
firewall. The bridges are built several times, since where the kernel happens to put
things makes half a percent. Each reading is the median of a burst, and the contestants
take turns.

Published ports are asked by a neighbour of the host. That port is asked that was
published last: of as many containers (x) with one each, or of one container with as
many (x, "connection ports").
"""

from __future__ import annotations

import os
import random
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from arena import IFNAME, Arena, BenchError, Command, inside
from contestants import Cni, Contestant, Netavark, Ocinet
from engine_contestants import IMAGE, Docker, can_run_docker
from machine import Machine, make_image, remove_cgroups
from samples import Key, Missing, Sample, Target
from traffic import HOST, Ends, join_neighbour, on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from arena import Container, Operation
    from samples import Samples

    Record = Callable[[Sample], None]

NAME = "datapath"
_OURS, _UNGUARDED, _BARE = "ocinet", "ocinet, no guard", "bare bridge"
_APART = "ocinet, apart"
_CNI, _CNI_GUARDED = "CNI bridge", "CNI bridge, macspoofchk"
_DOCKER, _DOCKER_OWN = "Docker bridge", "Docker network"
_ROUND_TRIP, _CONNECTION, _STREAM = "sibling round trip", "sibling connection", "sibling stream"
_TO_CONTAINERS, _TO_PORTS = "connection", "connection ports"
_MANY = 1000  # a bridge takes 1,023 ports
_BUILDS, _QUICK_BUILDS = 6, 2
_READINGS = (
    (_CONNECTION, "us", Ends.connection_us, 40),
    (_ROUND_TRIP, "us", Ends.round_trip_us, 40),
    (_STREAM, "Gbit/s", Ends.stream_gbit, 12),
)
_ROUNDS, _QUICK_ROUNDS = 80, 30
_COUNTS, _QUICK_MOST = (1, 100, _MANY), 100  # of containers, and of ports
_PEERS_COUNTS, _PEERS_PORTS = (1, 100, 300), (1, 100)  # CNI takes minutes for a thousand
_AT_ONCE = 4


def _faster(what: str, measure: str, other: str, bounds: tuple[float, float | None], *,
            nf: int, other_nf: int) -> Target:  # fmt: skip
    """Return the target of being faster than another, by times or by amounts."""
    ours, others = Key(NAME, _OURS, measure, nf), Key(NAME, other, measure, other_nf)
    keys = (ours, others) if measure == _STREAM else (others, ours)

    def reading(samples: Samples) -> float:
        return samples.paired_ratio(*keys)

    return Target(what, reading, *bounds, at_least=True)


def _flat(what: str, measure: str, contestant: str) -> Target:
    many, one = (Key(NAME, contestant, measure, x) for x in (_MANY, 1))
    return Target(what, lambda samples: samples.ratio(many, one), 1.1, 1.0)


TARGETS = (
    _flat("connection to a published port, 1,000 containers with one / 1", _TO_CONTAINERS,
          "ocinet-1p"),
    _flat("connection to a published port, one container with 1,000 / 1", _TO_PORTS, _OURS),
    *(
        _faster(f"{what} container↔container / a bare bridge, bridge-nf {nf}", measure, _BARE,
                (0.95, 1.0), nf=nf, other_nf=nf)
        for what, measure in (("round trips", _ROUND_TRIP), ("new connections", _CONNECTION),
                              ("TCP throughput", _STREAM))
        for nf in (1, 0)
    ),
    _faster("new connections container↔container / Docker's bridge, bridge-nf 1", _CONNECTION,
            _DOCKER, (1.05, None), nf=1, other_nf=1),
    _faster("new connections container↔container, bridge-nf 0 / Docker's bridge as it comes",
            _CONNECTION, _DOCKER, (1.2, None), nf=0, other_nf=1),
    *(
        _faster(f"{what} container↔container, guarded / not, bridge-nf {nf}", measure, _UNGUARDED,
                bounds, nf=nf, other_nf=nf)
        for what, measure, bounds in (("new connections", _CONNECTION, (0.97, 1.0)),
                                      ("TCP throughput", _STREAM, (0.98, 1.0)))
        for nf in (1, 0)
    ),
)  # fmt: skip


class _BareBridge(Contestant):
    """A bridge and its veth pairs, and one rule so that connections are tracked."""

    _BRIDGE = "br0"

    def prepare(self) -> list[Command]:
        """Make the bridge and the rule."""
        bridge = (f"link add {self._BRIDGE} type bridge\nlink set {self._BRIDGE} up\n"
                  f"address add 10.93.0.1/16 dev {self._BRIDGE}\n")  # fmt: skip
        rule = "ct state established,related accept"
        chain = f"chain forward {{ type filter hook forward priority 0; {rule}; }}"
        return [
            Command(("/sbin/ip", "-batch", "-"), stdin=bridge),
            Command(("/usr/sbin/nft", "-f", "-"), stdin=f"table inet bare {{ {chain}; }}"),
        ]

    def attach(self, container: Container) -> Operation:
        """Make a pair, and set up the inner end."""
        name, host = f"v{container.number}", container.number + 2
        outer = (f"link add {name} type veth peer name {IFNAME} netns {container.pid}\n"
                 f"link set {name} master {self._BRIDGE} up\n")  # fmt: skip
        inner = (f"address add 10.93.0.{host}/16 dev {IFNAME}\nlink set {IFNAME} up\n"
                 "route add default via 10.93.0.1\n")  # fmt: skip
        enter = ("/usr/bin/nsenter", f"--net={container.netns}")
        yield Command(("/sbin/ip", "-batch", "-"), stdin=outer)
        yield Command((*enter, "/sbin/ip", "-batch", "-"), stdin=inner)


class _Pair(NamedTuple):
    """Two siblings, and the host that they are on.

    Attributes:
        contestant: who wired them.
        host: descriptor of the host's network namespace.
        ends: the siblings.
    """

    contestant: str
    host: int
    ends: Ends

    def set_bridge_nf(self, nf: int) -> None:
        """Have bridged packets pass the firewall of this host, or not."""
        with inside(self.host):
            Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text(f"{nf}")


@contextmanager
def _opened(path: Path | str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _arena_pair(contestant: Contestant, name: str) -> Iterator[_Pair]:
    with ExitStack() as stack:
        arena = stack.enter_context(Arena(contestant))
        for number in range(2):
            arena.attach(number)
        client, server, host = (
            stack.enter_context(_opened(f"/proc/{pid}/ns/net"))
            for pid in (*_sandboxes(arena), arena.pid)
        )
        yield _Pair(name, host, stack.enter_context(Ends(client, server)))


def _sandboxes(arena: Arena) -> list[int]:
    """Return the processes of an arena's sandboxes."""
    children = Path(f"/proc/{arena.pid}/task/{arena.pid}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]


@contextmanager
def _docker_pair(docker: Docker, name: str, network: str, first_port: int) -> Iterator[_Pair]:
    with ExitStack() as stack:
        paths = ["/proc/1/ns/net"]
        for port in (first_port, first_port + 1):
            container = docker("run", "--detach", f"--network={network}", f"--publish={port}:80",
                               IMAGE, "/bin/sh", "/wait").strip()  # fmt: skip
            stack.callback(docker, "rm", "--force", container)
            pid = docker("inspect", "--format={{.State.Pid}}", container).strip()
            paths.append(f"/proc/{pid}/ns/net")
        host, client, server = (
            stack.enter_context(_opened(docker.machine.path(path))) for path in paths
        )
        yield _Pair(name, host, stack.enter_context(Ends(client, server)))


def run(record: Record, *, quick: bool) -> None:
    """Record times of connections and round trips, and the throughput.

    Raises:
        Missing: there is no hook.
        BenchError: an operation fails.
    """
    if not Ocinet(1).is_here():
        raise Missing("there is no hook in .venv: make venv")
    _siblings(record, _QUICK_BUILDS if quick else _BUILDS)
    _published(record, quick=quick)


def _siblings(record: Record, builds: int) -> None:
    with ExitStack() as stack:
        docker = None
        if can_run_docker():
            stack.callback(remove_cgroups)
            docker = Docker(_DOCKER, is_bridge=True)
            directory = Path(stack.enter_context(TemporaryDirectory()))
            image = make_image(directory, {"wait": "exec sleep 86400\n"})
            docker.prepare(stack.enter_context(Machine()), image)
            docker("network", "create", "own")
        for _ in range(builds):
            with ExitStack() as build:
                chosen = [(_BareBridge(_BARE), _BARE), (Ocinet(1), _OURS),
                          (Ocinet(1, guard=False), _UNGUARDED),
                          (Ocinet(1, apart=True), _APART)]  # fmt: skip
                if Cni(0).is_here():
                    chosen += [(Cni(0), _CNI), (Cni(0, guard=True), _CNI_GUARDED)]
                pairs = [build.enter_context(_arena_pair(*one))
                         for one in random.sample(chosen, len(chosen))]  # fmt: skip
                if docker:
                    pairs += [build.enter_context(_docker_pair(docker, *one)) for one in (
                        (_DOCKER, "bridge", 8080), (_DOCKER_OWN, "own", 8090))]  # fmt: skip
                _take_turns(record, pairs)


def _take_turns(record: Record, pairs: Sequence[_Pair]) -> None:
    with on_one_cpu():
        for nf, (measure, unit, take, turns) in product((1, 0), _READINGS):
            for pair in pairs:
                pair.set_bridge_nf(nf)
                take(pair.ends)  # neighbours get to know each other
            for _ in range(turns):
                for pair in random.sample(pairs, len(pairs)):
                    value = take(pair.ends)
                    record(Sample(NAME, pair.contestant, measure, nf, value, unit))


class _Filled(NamedTuple):
    """What is asked at a published port.

    Attributes:
        contestant: who publishes it.
        containers: how many there are with as many ports as the contestant has.
        key: what is recorded.
    """

    contestant: Contestant
    containers: int
    key: Key

    @contextmanager
    def ends(self) -> Iterator[Ends]:
        """Fill an arena, and connect a neighbour to the port that is the last."""
        with ExitStack() as stack:
            arena = stack.enter_context(Arena(self.contestant))
            arena.attach(0)  # makes bridge and tables
            crowd = arena.attach_all(1, self.containers - 1, _AT_ONCE)
            if crowd.failures:
                raise BenchError(f"{crowd.failures} failed: {crowd.first_error}")
            outer, inner = self.contestant.published(self.containers - 1)[-1]
            neighbour = Arena(Contestant("neighbour"))
            server, client, host = (
                stack.enter_context(_opened(f"/proc/{pid}/ns/net"))
                for pid in (_sandboxes(arena)[-1], stack.enter_context(neighbour).pid, arena.pid)
            )
            join_neighbour(host, client)
            yield stack.enter_context(Ends(client, server, inner, (HOST, outer)))


def _published(record: Record, *, quick: bool) -> None:
    rounds, most = (_QUICK_ROUNDS, _QUICK_MOST) if quick else (_ROUNDS, _MANY)
    for contestant, containers, ports in (
        (Ocinet, _COUNTS, _COUNTS),
        (Cni, _PEERS_COUNTS, _PEERS_PORTS),
        (Netavark, _PEERS_COUNTS, _PEERS_PORTS),
    ):
        one = contestant(1)
        if not one.is_here():
            continue
        _ask(record, rounds, [_Filled(one, count, Key(NAME, one.name, _TO_CONTAINERS, count))
                              for count in containers if count <= most])  # fmt: skip
        name = one.name.removesuffix("-1p")
        _ask(record, rounds, [_Filled(contestant(count), 1, Key(NAME, name, _TO_PORTS, count))
                              for count in ports if count <= most])  # fmt: skip


def _ask(record: Record, rounds: int, chosen: Sequence[_Filled]) -> None:
    with ExitStack() as stack:
        asked = [(one, stack.enter_context(one.ends())) for one in chosen]
        with on_one_cpu():
            for _, ends in asked:
                ends.connection_us()
            for _ in range(rounds):
                for one, ends in random.sample(asked, len(asked)):
                    record(Sample(*one.key, ends.connection_us(), "us"))

"""Hosts of a cluster, with a real etcd: what joining, peers and names take, and what grows.

join        of a real host beside others: the act, from what is asked of etcd to what is kept, and
            the command
reach       from the start of a new host's agent until containers of all others had answers
name        from the end of an attach until the name server of another host knows the name
attach      by the hook, on a cluster's network and on one of a single host, in turns
memory, cpu in a minute, cpu of a join, converge
            of 10, 100 and 1,000 hosts, of which one is real and one process plays the others

All machines are namespaces of this one, with tmpfs on /run and /var/lib: nobody waits for a disk,
where a join waits for etcd's and for its own.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from arena import PATH, Arena, Command, record_cost
from cluster_field import (
    CLUSTER,
    Field,
    Host,
    usage_of,
    wait_for_answers,
    wait_for_name,
    wait_for_way,
)
from contestants import OCINET, Ocinet
from samples import Key, Missing, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Record = Callable[[Sample], None]

NAME = "cluster"
_ACT, _COMMAND = "the act", "the command"
_OURS, _LONE = "a cluster's network", "a single host's network"
_AGENT, _ETCD = "the agent", "etcd"
_START, _JOIN, _JOIN_ALL = "agent's start: its ways", "a join: one host's way", "a join: all know"
_BACK, _BACK_ALL = "etcd's return: one host's way", "etcd's return: all know"
_CONVERGE = "converge"
_COUNTS, _QUICK_COUNTS = (10, 100, 1000), (10, 100)
_JOINS, _QUICK_JOINS = 7, 3
_REACHES, _QUICK_REACHES = 15, 3
_NAMES, _QUICK_NAMES = 30, 5
_ATTACHES, _QUICK_ATTACHES = 100, 10
_RETURNS, _QUICK_RETURNS = 2, 1
_REST_S, _QUICK_REST_S = 30, 10
_CALM_S = 8.0  # what an agent keeps of the others it writes five seconds after the last time
_AWAY_S, _PAUSE_S = 20.0, 5.0  # then each asks again every five seconds, as after a day
_AARDVARK = ("/usr/lib/podman/aardvark-dns", "/usr/libexec/podman/aardvark-dns")


def _at(contestant: str, measure: str, hosts: int) -> Key:
    return Key(NAME, contestant, measure, hosts)


def _of(contestant: str, measure: str, hosts: int = 0) -> Callable[..., float]:
    return lambda samples: samples.median(_at(contestant, measure, hosts))


def _beside(measure: str) -> Callable[..., float]:
    ours, lone = (Key(NAME, name, measure) for name in (_OURS, _LONE))
    return lambda samples: samples.paired_ratio(ours, lone)


TARGETS = (
    *(Target(f"join of a cluster of {count:,} hosts, the act", _of(_ACT, "join", count), 50, 20,
             unit="ms") for count in _COUNTS),
    Target("a new host, from its agent's start until all others' containers had an answer",
           _of(_AGENT, "reach", 4), 500, 250, unit="ms"),
    Target("a new name, from the end of the attach until it is found on another host",
           _of(_AGENT, "name", 2), 500, 100, unit="ms"),
    Target(f"hook attach, {_OURS} / {_LONE}", _beside("attach"), 1.05, 1.0),
    Target("the same, CPU time of the hook", _beside("attach cpu"), 1.05, 1.0),
    Target("1,000 hosts: memory of the agent", _of(_AGENT, "memory", 1000), 100, 60, unit="MB"),
    Target("1,000 hosts: CPU time of the agent in a minute",
           _of(_AGENT, "cpu in a minute", 1000), 600, 60, unit="ms"),
    Target("1,000 hosts: from a join to a host's way there",
           _of(_JOIN, _CONVERGE, 1000), 500, 250, unit="ms"),
)  # fmt: skip


def run(record: Record, *, quick: bool) -> None:
    """Record all of it.

    Raises:
        Missing: there is no etcd, or no ocinet.
        BenchError: something fails, or does not come to be.
    """
    if not shutil.which("etcd", path=PATH):
        raise Missing("etcd: apt-get install etcd-server")
    if not Ocinet(0).is_here():
        raise Missing("there is no hook in .venv: make venv")
    _few(record, *((_QUICK_REACHES, _QUICK_NAMES) if quick else (_REACHES, _NAMES)))
    _attaches(record, _QUICK_ATTACHES if quick else _ATTACHES)
    for count in _QUICK_COUNTS if quick else _COUNTS:
        with Field() as field:
            _Crowd(record, field, count).measure(quick=quick)


def _few(record: Record, reaches: int, names: int) -> None:
    """Measure what takes several real hosts."""
    with ExitStack() as stack:
        field = stack.enter_context(Field())
        hosts = [field.add_host(name) for name in ("a", "b", "c")]
        inner = []
        for host in hosts:
            host.join_by_command_ms()
            host.start_agent()
            host.make_network()
            host.attach(f"first-{host.name}")
            netns = host.netns(f"first-{host.name}")
            stack.callback(os.close, netns)
            inner.append(netns)
        for host in hosts:
            host.wait_for_peers(len(hosts) - 1)
        if any(map(os.path.exists, _AARDVARK)):
            gateway = hosts[0].gateway("first-a")
            for number in range(names):
                hosts[1].attach(f"n{number}")
                began = time.monotonic()
                took_s = wait_for_name(inner[0], gateway, f"n{number}") - began
                record(Sample(NAME, _AGENT, "name", 2, took_s * 1000, "ms"))
        _reach(record, field.add_host("late"), inner, reaches)


def _reach(record: Record, late: Host, askers: Sequence[int], rounds: int) -> None:
    """Have a host come, be reached, and go again."""
    for _ in range(rounds):
        late.join_by_command_ms()
        (share,) = late.shares()
        began = time.monotonic()
        late.start_agent()
        took_s = wait_for_answers(askers, share) - began
        record(Sample(NAME, _AGENT, "reach", len(askers) + 1, took_s * 1000, "ms"))
        late.stop_agent()
        late.leave()


class _ClusterOcinet(Ocinet):
    """The hook, on a network whose subnet is a share; etcd and the agent run beside it."""

    def __init__(self) -> None:
        super().__init__(0)
        self.name = _OURS

    def prepare(self) -> list[Command]:
        """Have a cluster of this host alone, and its network."""
        registration, _network = super().prepare()
        url = "http://192.0.2.1:2379"
        script = f"""\
set -e
ip link add under0 type veth peer name under1
ip link set under1 up
ip address add 192.0.2.1/24 dev under0
ip link set under0 up
etcd --data-dir /run/etcd --listen-client-urls {url} --advertise-client-urls {url} \\
    > /run/etcd.log 2>&1 < /dev/null &
until {OCINET} cluster init {CLUSTER} --pool 10.92.0.0/15 --share-length 16 --etcd {url} \\
    2> /run/init.log; do sleep 0.1; done
{OCINET} cluster join {CLUSTER} --etcd {url} --name bench
{OCINET} cluster run > /run/agent.log 2>&1 < /dev/null &
until grep -q '"state": "member"' /run/ocinet/cluster.json 2> /dev/null; do sleep 0.1; done
{OCINET} network create --cluster {CLUSTER} bench
"""
        return [registration, Command(("/bin/sh", "-c", script), self._environment)]


def _attaches(record: Record, rounds: int) -> None:
    """Have both kinds of network take turns, in random order in every round."""
    lone = Ocinet(0)
    lone.name = _LONE
    with ExitStack() as stack:
        arenas = [stack.enter_context(Arena(one)) for one in (_ClusterOcinet(), lone)]
        for arena in arenas:  # the first attach makes bridge and tables
            arena.attach(0)
            arena.detach(0)
        for number in range(1, 1 + rounds):
            for arena in random.sample(arenas, len(arenas)):
                name = arena.contestant.name
                record_cost(record, Key(NAME, name, "attach"), arena.attach(number))
                record_cost(record, Key(NAME, name, "detach"), arena.detach(number))


class _Crowd:
    """A real host among so many.

    Args:
        record: takes each reading.
        field: where there is nobody yet.
        count: of hosts, with the real one.
    """

    def __init__(self, record: Record, field: Field, count: int) -> None:
        self._record, self._field, self._count = record, field, count
        self._host = field.add_host("real")
        self._others = field.others()
        self._others.grow(count - 1)
        self._known = count - 1
        self._rests: dict[str, float] = {}

    def measure(self, *, quick: bool) -> None:
        """Record all that depends on how many there are."""
        host = self._host
        for _ in range(_QUICK_JOINS if quick else _JOINS):
            for contestant, join in ((_ACT, host.join_ms), (_COMMAND, host.join_by_command_ms)):
                self._note(contestant, "join", join(), "ms")
                host.leave()
        host.join_by_command_ms()
        began = time.monotonic()
        host.start_agent()
        host.wait_for_peers(self._known)
        self._note(_START, _CONVERGE, (time.monotonic() - began) * 1000, "ms")
        time.sleep(_CALM_S)
        self._rest(_QUICK_REST_S if quick else _REST_S)
        for _ in range(_QUICK_JOINS if quick else _JOINS):
            self._one_joins()
        for _ in range(_QUICK_RETURNS if quick else _RETURNS):
            self._etcd_returns()

    def _note(self, contestant: str, measure: str, value: float, unit: str) -> None:
        self._record(Sample(NAME, contestant, measure, self._count, value, unit))

    def _both(self) -> tuple[tuple[str, int], ...]:
        return ((_AGENT, self._host.agent), (_ETCD, self._field.etcd))

    def _rest(self, seconds: float) -> None:
        """Leave them alone for a while: leases are kept, and nothing else."""
        before = {name: usage_of(pid).cpu_ms for name, pid in self._both()}
        time.sleep(seconds)
        for name, pid in self._both():
            used = usage_of(pid)
            spent_ms = (used.cpu_ms - before[name]) * 60 / seconds
            self._rests[name] = spent_ms
            self._note(name, "cpu in a minute", spent_ms, "ms")
            self._note(name, "memory", used.memory_mb, "MB")

    def _one_joins(self) -> None:
        before = {name: usage_of(pid).cpu_ms for name, pid in self._both()}
        began = time.monotonic()
        self._converge(_JOIN, _JOIN_ALL)
        time.sleep(_CALM_S)
        passed_s = time.monotonic() - began
        for name, pid in self._both():
            # What is done every minute anyway is not the join's.
            at_rest_ms = self._rests[name] * passed_s / 60
            self._note(
                name, "cpu of a join", usage_of(pid).cpu_ms - before[name] - at_rest_ms, "ms"
            )

    def _etcd_returns(self) -> None:
        """Have etcd be away, and be told of a join by everybody once it is back."""
        self._field.kill_etcd()
        # Anywhere in that pause.
        time.sleep(random.uniform(_AWAY_S, _AWAY_S + _PAUSE_S))  # noqa: S311  # no secret
        self._field.start_etcd()
        self._converge(_BACK, _BACK_ALL)
        unheard = self._unheard()
        self._others.calm()
        self._host.wait_for_peers(self._known)
        unheard = max(unheard, self._unheard())
        self._note(_AGENT, "peers not heard after etcd's return", unheard, "")
        self._note(_ETCD, "most memory after its return", usage_of(self._field.etcd).most_mb, "MB")
        self._note(_ETCD, "cpu of its return", usage_of(self._field.etcd).cpu_ms, "ms")
        time.sleep(_CALM_S)

    def _unheard(self) -> int:
        return sum(not peer["heard"] for peer in self._host.told().get("peers", ()))

    def _converge(self, one: str, everybody: str) -> None:
        """Have one more join, and record when the real host has a way, and when all know of it."""
        address, at = self._others.join()
        self._known += 1
        way_at = wait_for_way(self._host.machine, address)
        self._note(one, _CONVERGE, max(0.0, way_at - at) * 1000, "ms")
        self._note(everybody, _CONVERGE, max(0.0, self._others.heard() - at) * 1000, "ms")

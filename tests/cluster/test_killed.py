"""Joining and leaving, killed at any call: the next one finishes it, and nothing is lost."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hosts.cluster.host import ClusterHost
    from hosts.cluster.world import World

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(600)]

_MOST = 60


def _kill_at(host: ClusterHost, calls: str, number: int, *words: str) -> bool:
    """Run a command that is killed at the nth of these calls; return whether it was."""
    done = host.run(
        "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}",
        "-e", f"inject={calls}:signal=KILL:when={number}", host.command, *words,
        check=False, timeout_s=60,
    )  # fmt: skip
    return done.status != 0


@pytest.mark.parametrize("calls", ["sendto", "fsync", "rename,renameat,renameat2,link,linkat"])
def test_join_killed_at_any_call_is_finished_by_the_next(world: World, calls: str) -> None:
    """At each of them in turn, by another host each: no two have one share, none is left over."""
    world.start_etcd()
    a = world.add_host("a")
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    kills = 0
    for number in range(1, _MOST):
        host = world.add_host(f"h{number}", f"10.90.0.{number + 1}")
        words = ("cluster", "join", "prod", "--name", host.name, "--etcd", world.urls)
        killed = _kill_at(host, calls, number, *words)
        kills += killed
        (share,) = host.join("--etcd", world.urls)
        standing = world.members[0].keys("/ocinet/v1/prod/shares/")
        assert [told["prefix"] for told in standing.values() if told["host"] == _id(host)] == [
            share
        ]
        assert len(standing) == number
        if not killed:
            break
    assert kills >= 2, "nothing was killed"
    assert number < _MOST - 1


@pytest.mark.parametrize("calls", ["sendto", "fsync", "unlink,unlinkat", "rename,renameat"])
def test_leave_killed_at_any_call_is_finished_by_the_next(world: World, calls: str) -> None:
    """And is never written back meanwhile."""
    world.start_etcd()
    a = world.add_host("a")
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    kills = 0
    # Of what is sent, most is netlink's, one call as the other.
    for number in range(1, _MOST, 4 if calls == "sendto" else 1):
        a.join("--etcd", world.urls)
        a.ocinet("network", "create", "--cluster", "prod", "web")
        killed = _kill_at(a, calls, number, "cluster", "leave")
        kills += killed
        if killed:
            again = a.ocinet("cluster", "leave", check=False)
            assert again.status == 0 or "in no cluster" in again.stderr, again
        assert list(world.members[0].keys()) == ["/ocinet/v1/prod/config"]
        assert a.ocinet("network", "ls", "-q").stdout == ""
        assert a.run("ls", "/var/lib/ocinet/cluster").stdout.split() == ["nonce"]
        if not killed:
            break
    assert kills >= 2, "nothing was killed"
    assert not killed, "it has more calls than were tried"


def test_agent_killed_while_it_starts_is_what_it_was(world: World) -> None:
    """At whatever moment: the next one makes of it what it has to be."""
    world.start_etcd()
    a, b = world.add_host("a"), world.add_host("b")
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    a.join("--etcd", world.urls)
    (share,) = b.join("--etcd", world.urls)
    for number in range(1, 40, 4):
        words = [
            *a.entering(), "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto,sendmsg",
            "-e", f"inject=sendto,sendmsg:signal=KILL:when={number}", a.command, "cluster", "run",
        ]  # fmt: skip
        process = subprocess.Popen(
            words, env=a.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        process.wait(60)
    a.start_agent()
    assert share in [route["dst"] for route in a.routes()]


def _id(host: ClusterHost) -> str:
    return str(host.status()["host"]["id"])

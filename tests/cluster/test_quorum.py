"""etcd of several members: only a majority gives shares, and hosts go on with whoever answers."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.cluster.host import ClusterHost
    from hosts.cluster.world import World

pytestmark = pytest.mark.timeout(300)  # a lease is half a minute, and CI is busy
_S = 60


def _init(world: World, host: ClusterHost, *words: str) -> None:
    host.ocinet("cluster", "init", "prod", *words, "--etcd", world.urls)


def _shares(world: World, number: int = 0) -> list[str]:
    standing = world.members[number].keys("/ocinet/v1/prod/shares/")
    return sorted(str(told["prefix"]) for told in standing.values())


def test_minority_gives_no_share_and_the_majority_does(world: World) -> None:
    """A host that reaches one member of three alone waits; nothing is given twice in the end."""
    world.start_etcd(3)
    a, b = world.add_host("a"), world.add_host("b")
    _init(world, a, "--pool", "10.42.0.0/23", "--share-length", "24")
    cut_off, *others = world.members
    world.split(cut_off.name)
    # By its own loopback, as it were: who is on the minority's side.
    alone = _beside(world, cut_off.name)
    told = subprocess.run(
        [*alone.entering(), alone.command, "cluster", "join", "prod", "--name", "alone",
         "--underlay", "10.90.0.9", "--etcd", cut_off.url],
        env=alone.environment, text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert told.returncode != 0
    assert "etcd does not answer" in told.stderr
    urls = ",".join(member.url for member in others)
    shares = [host.join("--etcd", urls, timeout_s=90)[0] for host in (a, b)]
    world.mend(cut_off.name)
    wait_until(lambda: _shares(world) == sorted(shares), "the members agree", timeout_s=_S)
    error = alone.refused("cluster", "join", "prod", "--underlay", "10.90.0.9",
                          "--etcd", cut_off.url)  # fmt: skip
    assert "no /24 is left" in error


def test_agent_leaves_a_member_that_has_no_majority(world: World) -> None:
    """A watch there would be silent for ever; the next endpoint tells what has come since."""
    world.start_etcd(3)
    a, b = world.add_host("a"), world.add_host("b")
    _init(world, a, "--pool", "10.42.0.0/16")
    first = world.members[0]
    a.join("--etcd", ",".join(member.url for member in world.members))
    a.start_agent()
    assert a.told()["etcd"]["endpoint"] == first.url
    first.signal(signal.SIGSTOP)
    try:
        b.join("--etcd", world.members[1].url)
        wait_until(lambda: "b" in a.peers(), "a knows b by another member", timeout_s=120)
        a.wait_for_state("member", timeout_s=_S)
    finally:
        first.signal(signal.SIGCONT)


def test_two_of_five_members_may_fail(world: World) -> None:
    """Joins go on, and agents."""
    world.start_etcd(5)
    a, b = world.add_host("a"), world.add_host("b")
    _init(world, a, "--pool", "10.42.0.0/16")
    a.join("--etcd", world.urls)
    a.start_agent()
    for member in world.members[:2]:
        member.stop()
    b.join("--etcd", world.urls, timeout_s=90)
    wait_until(lambda: "b" in a.peers(), "a knows b", timeout_s=120)
    a.wait_for_state("member", timeout_s=_S)


def _beside(world: World, name: str) -> ClusterHost:
    """Return a host that reaches one member by a cable of its own, whoever is on the link."""
    alone = world.add_host("alone", "10.90.0.9")
    world.split("alone")
    world.join_pair("alone", name)
    return alone

"""Joining: one transaction, so that no share is ever two hosts'."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hosts.cluster.world import World

pytestmark = pytest.mark.timeout(300)  # a lease is half a minute, and CI is busy


def _init(world: World, host: str = "a", *words: str) -> None:
    pools = words or ("--pool", "10.42.0.0/16")
    world.hosts[host].ocinet("cluster", "init", "prod", *pools, "--etcd", world.urls)


def test_join_gives_each_host_a_share_of_its_own(world: World) -> None:
    """What stands in etcd, what is kept, and what is printed say the same."""
    world.start_etcd()
    a, b = world.add_host("a"), world.add_host("b")
    _init(world)
    (share_a,), (share_b,) = a.join("--etcd", world.urls), b.join("--etcd", world.urls)
    assert share_a != share_b
    stands = world.members[0].keys("/ocinet/v1/prod/shares/")
    assert sorted(each["prefix"] for each in stands.values()) == sorted([share_a, share_b])  # type: ignore[type-var]
    kept = json.loads(a.path("/var/lib/ocinet/cluster/prod.json").read_text())
    assert kept["shares"] == [share_a]
    assert kept["host"]["underlay"] == [a.address]


def test_join_by_ten_of_a_pool_of_four_tells_six_that_it_is_full(world: World) -> None:
    """Whoever is faster, none of them has what another has."""
    world.start_etcd()
    hosts = [world.add_host(f"h{number}") for number in range(10)]
    _init(world, "h0", "--pool", "10.42.0.0/22", "--share-length", "24")
    joins = [
        subprocess.Popen(
            [
                *host.entering(),
                host.command,
                "cluster",
                "join",
                "prod",
                "--name",
                host.name,
                "--etcd",
                world.urls,
            ],
            env=host.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for host in hosts
    ]
    told = [(join.communicate(timeout=60), join.returncode) for join in joins]
    shares = [out.strip() for (out, _), status in told if status == 0]
    errors = [err for (_, err), status in told if status]
    assert sorted(shares) == [f"10.42.{number}.0/24" for number in range(4)]
    assert len(errors) == 6
    assert all(status in (0, 5) for _, status in told)
    assert all("no /24 is left of 10.42.0.0/22" in error for error in errors)
    assert len(world.members[0].keys("/ocinet/v1/prod/hosts/")) == 4


def test_join_again_is_what_it_was(world: World) -> None:
    """Also with another name, which is another generation."""
    world.start_etcd()
    a = world.add_host("a")
    _init(world)
    first = a.join("--etcd", world.urls)
    assert a.join() == first
    a.ocinet("cluster", "join", "prod", "--name", "other")
    (host,) = world.members[0].keys("/ocinet/v1/prod/hosts/").values()
    assert (host["name"], host["generation"]) == ("other", 2)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("join", "prod"), "it has to be said where etcd is"),
        (("join", "prod", "--etcd", "http://10.90.0.1:1"), "etcd does not answer"),
        (("join", "prod", "--etcd", "ftp://x"), "neither http nor https"),
        (("join", "prod", "--etcd", "http://x", "--user", "x"), "a password go together"),
        (("join", "prod", "--etcd", "https://x", "--ca", "ca.pem"), "not an absolute path"),
        (("join", "a b", "--etcd", "http://x"), "no name of a cluster"),
        (("init", "prod", "--etcd", "http://x"), "say --pool"),
        (("init", "prod", "--etcd", "http://x", "--pool", "10.42.0.1/16"), "did you mean"),
        (("init", "prod", "--etcd", "http://x", "--pool", "10.42.0.0/16", "--share-length", "64"),
         "no pool of IPv6"),
        (("leave",), "this host is in no cluster"),
        (("forget", "x"), "this host is in no cluster"),
        (("status",), "this host is in no cluster"),
        (("run",), "this host is in no cluster"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told_in_a_line_and_what_helps(
    world: World, words: tuple[str, ...], why: str
) -> None:
    """At once: a typo is not waited for."""
    assert why in world.add_host("a").refused("cluster", *words)


def test_password_that_goes_unencrypted_is_told(world: World) -> None:
    """At the join, with what helps; it is taken all the same."""
    world.start_etcd()
    a, etcd = world.add_host("a"), world.members[0]
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    etcd.ctl("user", "add", "root:secret")
    etcd.ctl("user", "grant-role", "root", "root")
    etcd.ctl("auth", "enable")
    a.path("/etc/ocinet/password").write_text("secret\n")
    user = ("--user", "root", "--password-file", "/etc/ocinet/password")
    said = a.ocinet("cluster", "join", "prod", "--etcd", world.urls, *user).stderr
    assert f"the password of root goes to {world.urls} for all on the way to read" in said
    assert "https://" in said

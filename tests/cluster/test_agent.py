"""The agent: what this host is in etcd, and what it makes of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.cluster.host import ClusterHost
    from hosts.cluster.world import World

pytestmark = pytest.mark.timeout(300)  # a lease is half a minute, and CI is busy
_S = 30


def _two(world: World, *init: str, count: int = 1) -> tuple[ClusterHost, ClusterHost]:
    """Return two members whose agents run."""
    world.start_etcd(count)
    a, b = world.add_host("a"), world.add_host("b")
    pools = init or ("--pool", "10.42.0.0/16")
    a.ocinet("cluster", "init", "prod", *pools, "--etcd", world.urls)
    for host in (a, b):
        host.join("--etcd", world.urls)
    for host in (a, b):
        host.start_agent()
    return a, b


def _wait_for_peer(
    host: ClusterHost, name: str, *, heard: bool = True, timeout_s: float = _S
) -> dict[str, object]:
    def there() -> dict[str, object]:
        peer = host.peers().get(name, {})
        return peer if peer.get("heard") == heard else {}

    return wait_until(there, f"{host.name} knows {name}", timeout_s=timeout_s)


def _share(host: ClusterHost) -> str:
    return str(host.status()["host"]["shares"][0])


def _routes(host: ClusterHost) -> list[str]:
    return sorted(route["dst"] for route in host.routes() if route["dst"].startswith("10.42."))


def test_agents_make_the_way_from_container_to_container(world: World) -> None:
    """A network on each share, its gateway answers the other host's, with its own address."""
    a, b = _two(world)
    for host in (a, b):
        host.ocinet("network", "create", "--cluster", "prod", "web")
        host.run("ip", "netns", "add", "c1")
        host.ocinet("attach", "netns:/run/netns/c1", "--name", "c1", "--net", "web")
    _wait_for_peer(a, "b")
    addresses = [host.records()["c1"]["endpoints"][0]["addresses"][0] for host in (a, b)]
    to_b = addresses[1].partition("/")[0]
    inside = ("ip", "netns", "exec", "c1")
    assert a.run(*inside, "busybox", "ping", "-c", "1", "-W", "5", to_b).status == 0
    assert a.run(*inside, "cat", "/sys/class/net/eth0/mtu").stdout.strip() == "1450"


def test_new_peer_is_known_everywhere_and_one_that_leaves_is_gone(world: World) -> None:
    """By the watch, not by waiting for a look."""
    a, b = _two(world)
    _wait_for_peer(a, "b")
    wait_until(lambda: _routes(a) == [_share(b)], "the way to b", timeout_s=_S)
    b.ocinet("cluster", "leave")
    wait_until(lambda: not a.peers(), "b is gone", timeout_s=_S)
    wait_until(lambda: not _routes(a), "the way to b is gone", timeout_s=_S)
    wait_until(lambda: not b.agent_runs, "the agent of who has left ends", timeout_s=_S)
    assert list(world.members[0].keys("/ocinet/v1/prod/shares/")) != []
    assert "in no cluster" in b.refused("cluster", "status")


def test_peer_that_is_not_heard_is_told_and_its_ways_stay(world: World) -> None:
    """Only who leaves or is forgotten loses them."""
    a, b = _two(world)
    wait_until(lambda: _routes(a) == [_share(b)], "the way to b", timeout_s=_S)
    b.kill_agent()
    share = _share(b)
    _wait_for_peer(a, "b", heard=False, timeout_s=90)  # a lease is half a minute
    assert _routes(a) == [share]


def test_way_that_somebody_took_away_is_made_again(world: World) -> None:
    """As the kernel tells of it."""
    a, b = _two(world)
    share = _share(b)
    wait_until(lambda: _routes(a) == [share], "the way to b", timeout_s=_S)
    a.run("ip", "route", "del", share)
    wait_until(lambda: _routes(a) == [share], "the way to b, again", timeout_s=_S)


def test_etcd_that_is_away_is_told_and_nothing_waits_for_it_but_joining(world: World) -> None:
    """No start of a container asks it."""
    a, b = _two(world)
    wait_until(lambda: _routes(a) == [_share(b)], "the way to b", timeout_s=_S)
    world.stop_etcd()
    told = a.wait_for_state("waiting", "etcd does not answer")
    assert told["etcd"]["error"]
    assert (
        "only joining, leaving and news of others wait"
        in a.ocinet("cluster", "status", check=False).stdout
    )
    a.ocinet("network", "create", "--cluster", "prod", "web")
    a.run("ip", "netns", "add", "c1")
    a.ocinet("attach", "netns:/run/netns/c1", "--name", "c1", "--net", "web")
    assert _routes(a)[-1:] == [_share(b)] or _share(b) in _routes(a)
    assert "etcd does not answer" in b.refused("cluster", "leave")
    world.restart_etcd()
    a.wait_for_state("member")
    _wait_for_peer(a, "b")


def test_host_that_boots_without_etcd_has_its_ways(world: World) -> None:
    """What etcd had is kept here, too."""
    a, b = _two(world)
    share = _share(b)
    wait_until(lambda: _routes(a) == [share], "the way to b", timeout_s=_S)
    world.stop_etcd()
    a.boot()
    a.run("ip", "link", "del", "ocx-4242")
    assert _routes(a) == []
    a.start_agent(wait=False)
    wait_until(lambda: _routes(a) == [share], "the way to b, after the boot", timeout_s=_S)


def test_host_that_boots_is_a_member_again_within_its_lease(world: World) -> None:
    """Who was heard by its id before was itself: its lease ends, and it is no clone."""
    a, _b = _two(world)
    a.boot()
    a.start_agent(wait=False)
    a.wait_for_state("waiting", "heard by this host's id")
    a.wait_for_state("member", timeout_s=90)


def test_host_of_another_address_is_followed(world: World) -> None:
    """It says so itself, as another generation."""
    a, b = _two(world)
    _wait_for_peer(a, "b")
    b.set_address("10.90.0.77")
    wait_until(lambda: a.peers()["b"]["underlay"] == ["10.90.0.77"], "b's address", timeout_s=_S)

    def moved() -> bool:
        return "dst 10.90.0.77" in a.run("bridge", "fdb", "show", "dev", "ocx-4242").stdout

    wait_until(moved, "frames for b to its new address", timeout_s=_S)


@pytest.mark.parametrize("how", ["wiped", "deleted"])
def test_etcd_that_lost_everything_is_told_it_again(world: World, how: str) -> None:
    """By each host what it has; nobody is cut off meanwhile, nor who is not up to tell it."""
    a, b = _two(world)
    shares = [_share(a), _share(b)]
    wait_until(lambda: _routes(a) == [shares[1]], "the way to b", timeout_s=_S)
    b.kill_agent()
    before = world.members[0].keys("/ocinet/v1/prod/shares/")
    if how == "wiped":
        world.stop_etcd()
        for member in world.members:
            member.wipe()
        world.restart_etcd()
    else:
        world.members[0].ctl("del", "--prefix", "/ocinet/")

    def told_again() -> bool:
        return len(world.members[0].keys("/ocinet/v1/prod/shares/")) == 1

    wait_until(told_again, "a's share is written back", timeout_s=_S)
    a.wait_for_state("member")
    assert _routes(a) == [shares[1]]
    b.start_agent()
    wait_until(lambda: world.members[0].keys("/ocinet/v1/prod/shares/") == before,
               "b's share is written back", timeout_s=_S)  # fmt: skip
    _wait_for_peer(a, "b")


def test_host_that_is_not_reached_is_told_and_it_is_not_well(world: World) -> None:
    """By state and exit status, beside who it is, why, and what helps."""
    a, b = _two(world)
    wait_until(lambda: _routes(a) == [_share(b)], "the way to b", timeout_s=_S)
    b.ocinet("cluster", "join", "prod", "--underlay", "fd90::2")
    told = a.wait_for_state("hindered", "not all other hosts are reached: b (")
    assert "no underlay address of IPv4" in told["why"]
    assert told["unreached"]
    shown = a.ocinet("cluster", "status", check=False)
    assert shown.status == 1
    assert "state    hindered: not all other hosts are reached" in shown.stdout
    assert "not reached: b (" in shown.stderr
    assert '"not reached"' in a.log()
    b.ocinet("cluster", "join", "prod", "--underlay", "10.90.0.2")
    a.wait_for_state("member")
    assert a.ocinet("cluster", "status").status == 0


def test_way_that_can_not_be_made_is_told_and_it_is_not_well(world: World) -> None:
    """As by another device of that name, until it is gone."""
    a, b = _two(world)
    wait_until(lambda: _routes(a) == [_share(b)], "the way to b", timeout_s=_S)
    assert a.stop_agent() == 0
    a.run("ip", "link", "del", "ocx-4242")
    a.run("ip", "link", "add", "ocx-4242", "type", "bridge")
    a.start_agent(wait=False)
    a.wait_for_state("hindered", "ocx-4242")
    assert a.ocinet("cluster", "status", check=False).status == 1
    a.run("ip", "link", "del", "ocx-4242")
    a.wait_for_state("member")
    assert _share(b) in _routes(a)


def test_etcd_that_is_full_is_told_with_what_helps(world: World) -> None:
    """It answers, and takes nothing: neither silence nor another reason."""
    world.start_etcd(1, "--quota-backend-bytes=300000")
    a, etcd = world.add_host("a"), world.members[0]
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    a.join("--etcd", world.urls)
    a.start_agent()
    for number in range(40):
        etcd.ctl("put", f"fill{number}", "x" * 20_000, check=False)
    assert "NOSPACE" in str(etcd.ctl("alarm", "list"))
    a.kill_agent()
    a.start_agent(wait=False)
    told = a.wait_for_state("waiting", "database space exceeded")
    assert "etcdctl alarm list" in told["hint"]
    assert a.log().count('"nothing is written to etcd"') == 1
    b = world.add_host("b")
    refused = b.refused("cluster", "join", "prod", "--name", "b", "--etcd", world.urls)
    assert "database space exceeded" in refused
    etcd.ctl("del", "--prefix", "fill")
    etcd.compact()
    etcd.ctl("defrag")
    etcd.ctl("alarm", "disarm")
    a.wait_for_state("member")


def test_agent_that_can_keep_nothing_for_a_boot_goes_on(world: World) -> None:
    """As on a full disk: it is said once, and all that is not about that is told and done."""
    world.start_etcd()
    a, b = world.add_host("a"), world.add_host("b")
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    for host in (a, b):
        host.join("--etcd", world.urls)
    a.run("mkdir", "/var/lib/ocinet/cluster/prod.known")
    a.start_agent()
    b.start_agent()
    _wait_for_peer(a, "b")
    b.ocinet("cluster", "join", "prod", "--name", "renamed")
    _wait_for_peer(a, "renamed")
    assert a.log().count('"what is known is not kept"') == 1
    assert a.told()["state"] == "member"


def test_config_that_nobody_can_read_takes_no_way(world: World) -> None:
    """It is told, nothing is written, and all is as it was until it can be read."""
    a, b = _two(world)
    wait_until(lambda: _routes(a) == [_share(b)], "the way to b", timeout_s=_S)
    etcd = world.members[0]
    key = "/ocinet/v1/prod/config"
    config = etcd.ctl("get", key, "--print-value-only")
    assert config is not None
    etcd.ctl("put", key, "garbage")
    told = a.wait_for_state("waiting", "the cluster prod in etcd can't be read")
    assert "update ocinet" in told["hint"]
    a.ocinet("network", "create", "--cluster", "prod", "web")  # the kernel tells: it looks anew
    assert _share(b) in _routes(a)
    assert etcd.ctl("get", key, "--print-value-only") == "garbage\n"
    etcd.ctl("put", key, config.strip())
    a.wait_for_state("member")
    etcd.ctl("put", f"{key}/later", "{}")
    etcd.ctl("put", "/ocinet/v1/prod/config/", "{}")
    b.ocinet("cluster", "join", "prod", "--name", "renamed")  # whatever came before, a has seen
    _wait_for_peer(a, "renamed")
    assert _share(b) in _routes(a)
    assert a.told()["state"] == "member"


def test_share_that_is_another_ones_by_now_closes_the_network(world: World) -> None:
    """What runs is kept; nobody new is let on, and is told why; until it is put right."""
    a, b = _two(world)
    a.ocinet("network", "create", "--cluster", "prod", "web")
    for name in ("c1", "c2"):
        a.run("ip", "netns", "add", name)
    a.ocinet("attach", "netns:/run/netns/c1", "--name", "c1", "--net", "web")
    share = _share(a)
    a.kill_agent()
    etcd = world.members[0]
    key = next(key for key, told in etcd.keys("/ocinet/v1/prod/shares/").items()
               if told["prefix"] == share)  # fmt: skip
    other = b.status()["host"]["id"]
    etcd.ctl("put", key, f'{{"prefix": "{share}", "host": "{other}"}}')
    a.start_agent(wait=False)
    a.wait_for_state("failed", f"{share} is host b's by now")
    wait_until(lambda: "closed" in a.ocinet("network", "ls").stdout, "closed", timeout_s=_S)
    error = a.refused("attach", "netns:/run/netns/c2", "--name", "c2", "--net", "web")
    assert f"{share} is host b's by now" in error
    assert list(a.records()) == ["c1"]
    assert f"{share} was this host's" in a.refused("cluster", "join", "prod")
    etcd.ctl("del", key)
    a.wait_for_state("member")
    a.ocinet("attach", "netns:/run/netns/c2", "--name", "c2", "--net", "web")


def test_changes_that_were_compacted_are_listed_anew(world: World) -> None:
    """Whoever was away for long begins from the beginning."""
    a, b = _two(world)
    _wait_for_peer(a, "b")
    world.split("a")
    c = world.add_host("c")
    c.join("--etcd", world.urls)
    world.members[0].compact()
    world.mend("a")
    _wait_for_peer(a, "c", heard=False)
    assert b.peers().keys() == {"a", "c"}


def test_host_that_was_cut_off_for_longer_than_its_lease_comes_back(world: World) -> None:
    """Nobody has its share meanwhile, its ways stay, and it is heard again by itself."""
    a, b = _two(world)
    share = _share(b)
    wait_until(lambda: _routes(a) == [share], "the way to b", timeout_s=_S)
    world.split("b")
    etcd = world.members[0]
    for key in etcd.keys("/ocinet/v1/prod/alive/"):  # it is no dict's; as if it had been an hour
        if key.endswith(b.status()["host"]["id"]):
            etcd.ctl("del", key)
    _wait_for_peer(a, "b", heard=False)
    assert _routes(a) == [share]
    b.wait_for_state("waiting", "etcd does not answer", timeout_s=90)
    world.mend("b")
    b.wait_for_state("member", timeout_s=90)
    _wait_for_peer(a, "b", timeout_s=90)
    assert _routes(b) == [_share(a)]


@pytest.mark.parametrize("etcd", ["there", "away"])
def test_agent_that_is_stopped_changes_nothing(world: World, etcd: str) -> None:
    """All ways stay; nobody takes what it told last for true; another one may be started."""
    a, b = _two(world)
    share = _share(b)
    wait_until(lambda: _routes(a) == [share], "the way to b", timeout_s=_S)
    if etcd == "away":
        world.split("etcd1")
        a.wait_for_state("waiting", timeout_s=90)
    assert "one agent is enough" in a.refused("cluster", "run")
    assert a.stop_agent() == 0
    assert _routes(a) == [share]
    assert a.told() == {}
    a.start_agent(wait=etcd == "there")

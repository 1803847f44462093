"""Containers of a cluster find each other by name, whichever host they are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.cluster.host import ClusterHost
    from hosts.cluster.world import World

pytestmark = pytest.mark.needs("aardvark-dns", "busybox")

_S = 30


def _hosts(world: World, *names: str, icc: str = "true") -> list[ClusterHost]:
    """Return members whose agents run, with a network on each share."""
    world.start_etcd()
    hosts = [world.add_host(name) for name in names]
    hosts[0].ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    for host in hosts:
        host.serve_names()
        host.join("--etcd", world.urls)
        host.ocinet("network", "create", "--cluster", "prod", "web", f"--icc={icc}")
        host.start_agent()
    return hosts


def _up(host: ClusterHost, name: str, *words: str) -> str:
    """Start a container of no runtime's, and return its address."""
    host.run("ip", "netns", "add", name)
    host.ocinet("attach", f"netns:/run/netns/{name}", "--name", name, "--net", "web", *words)
    return str(host.records()[name]["endpoints"][0]["addresses"][0]).partition("/")[0]


def _down(host: ClusterHost, name: str) -> None:
    host.ocinet("detach", name)
    host.run("ip", "netns", "del", name)


def _found(host: ClusterHost, asker: str, name: str) -> list[str]:
    """Return where a name leads to, by the name server of the asker's network."""
    record = host.records()[asker]["endpoints"][0]
    gateway = str(record["routes"][0]["gateway"])
    words = ("ip", "netns", "exec", asker, "busybox", "nslookup", "-type=a", name, gateway)
    told = host.run(*words, check=False).stdout
    lines = told.partition("Name:")[2].splitlines()
    return [line.split()[-1] for line in lines if line.startswith("Address")]


def _wait_found(host: ClusterHost, asker: str, name: str, *wanted: str) -> None:
    wait_until(
        lambda: sorted(_found(host, asker, name)) == sorted(wanted),
        f"{asker} on {host.name} finds {name} at {wanted}",
        timeout_s=_S,
    )


def test_name_leads_to_whichever_host_its_container_is_on(world: World) -> None:
    """By name and alias; a service that moves keeps both, and is found at its new address alone."""
    a, b, c = _hosts(world, "a", "b", "c")
    _up(a, "client")
    at_b = _up(b, "shop", "--alias", "cart")
    _wait_found(a, "client", "shop", at_b)
    _wait_found(a, "client", "cart", at_b)
    _down(b, "shop")
    at_c = _up(c, "shop", "--alias", "cart")
    _wait_found(a, "client", "shop", at_c)
    _wait_found(a, "client", "cart", at_c)
    c.ocinet("detach", "shop")
    _wait_found(a, "client", "shop")


def test_name_that_is_had_elsewhere_is_waited_for(world: World) -> None:
    """The second is told, and gets it once the first has gone."""
    a, b = _hosts(world, "a", "b")
    at_a, _ = _up(a, "shop"), _up(b, "client")
    _wait_found(b, "client", "shop", at_a)
    told = b.run("ip", "netns", "add", "shop")
    told = b.ocinet("attach", "netns:/run/netns/shop", "--name", "shop", "--net", "web")
    assert (
        "a container on another host"
        in told.stderr + b.path("/run/ocinet/events.jsonl").read_text()
    )
    assert _found(b, "client", "shop") == [at_a]
    _down(a, "shop")
    at_b = str(b.records()["shop"]["endpoints"][0]["addresses"][0]).partition("/")[0]
    _wait_found(b, "client", "shop", at_b)


def test_names_stay_while_etcd_is_away_and_after_it_has_lost_all(world: World) -> None:
    """What comes meanwhile is told once it is back."""
    a, b = _hosts(world, "a", "b")
    _up(a, "client")
    at_b = _up(b, "shop")
    _wait_found(a, "client", "shop", at_b)
    world.stop_etcd()
    a.wait_for_state("waiting", "etcd does not answer")
    late = _up(b, "late")
    assert _found(a, "client", "shop") == [at_b]
    for member in world.members:
        member.wipe()
    world.restart_etcd()
    a.wait_for_state("member", timeout_s=90)
    _wait_found(a, "client", "late", late)
    _wait_found(a, "client", "shop", at_b)


def test_names_written_by_an_enemy_lead_nowhere_but_to_its_own(world: World) -> None:
    """An address of another's share, a name of the host's, a line in a name: none is found."""
    a, b = _hosts(world, "a", "b")
    at_a = _up(a, "client")
    at_b = _up(b, "shop")
    _wait_found(a, "client", "shop", at_b)
    (key,) = [key for key in world.members[0].keys("/ocinet/v1/prod/names/") if _is_of(b, key)]
    gateway = at_a.rpartition(".")[0] + ".1"
    bad = [("x", gateway, "evil"), ("y", at_a, "stolen"), ("z", "192.0.2.1", "far"),
           ("u", at_b, "two,names"), ("v", at_b, "line\\n10.0.0.1"), ("w", at_b, "localhost"),
           ("ok", at_b, "fine")]  # fmt: skip
    value = ", ".join(
        f'{{"id": "{one}", "addresses": ["{at}"], "own": ["{name}"], "aliases": [], "since": ""}}'
        for one, at, name in bad
    )
    b.kill_agent()
    world.members[0].ctl("put", key, f'{{"containers": [{value}]}}')
    _wait_found(a, "client", "fine", at_b)
    for name in ("evil", "stolen", "far", "two", "localhost", "shop"):
        assert _found(a, "client", name) in ([], ["127.0.0.1"])
    world.members[0].ctl("put", key, "[" * 100_000)
    _wait_found(a, "client", "fine")


def test_names_that_come_one_after_another_are_all_found(world: World) -> None:
    """None of them is lost among changes that are told together."""
    a, b = _hosts(world, "a", "b")
    _up(a, "client")
    came = {name: _up(b, name) for name in (f"s{number}" for number in range(5))}
    for name, at in came.items():
        _wait_found(a, "client", name, at)


def test_lists_of_who_may_connect_hold_across_hosts(world: World) -> None:
    """Closed, unless the user of either says otherwise; judged where it arrives."""
    a, b = _hosts(world, "a", "b", icc="false")
    _up(a, "client", "--allow", "shop:80")
    _up(a, "other")
    at_b = _up(b, "shop")
    b.start("ip", "netns", "exec", "shop", "busybox", "nc", "-ll", "-p", "80", "-e", "busybox",
            "true")  # fmt: skip
    _wait_found(a, "client", "shop", at_b)

    def connects(who: str) -> bool:
        words = ("busybox", "nc", "-w", "2", at_b, "80", "-e", "busybox", "true")
        return a.run("ip", "netns", "exec", who, *words, check=False).status == 0

    wait_until(lambda: connects("client"), "client reaches shop", timeout_s=_S)
    assert not connects("other")


def _is_of(host: ClusterHost, key: str) -> bool:
    return str(host.status()["host"]["id"]) in key

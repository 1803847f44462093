"""What doctor, explain and topology say of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.cluster.host import ClusterHost
    from hosts.cluster.world import World

_S = 30


def _two(world: World) -> tuple[ClusterHost, ClusterHost, str]:
    """Return two members, with containers in-a and in-b, and the address of in-b."""
    world.start_etcd()
    a, b = world.add_host("a"), world.add_host("b")
    a.ocinet("cluster", "init", "prod", "--pool", "10.42.0.0/16", "--etcd", world.urls)
    for host in (a, b):
        host.join("--etcd", world.urls)
        host.ocinet("network", "create", "--cluster", "prod", "web")
        host.start_agent()
        host.run("ip", "netns", "add", f"in-{host.name}")
        words = (f"netns:/run/netns/in-{host.name}", "--name", f"in-{host.name}", "--net", "web")
        host.ocinet("attach", *words)
    address = str(b.records()["in-b"]["endpoints"][0]["addresses"][0]).partition("/")[0]
    known = a.path("/run/ocinet/names/elsewhere/web")
    wait_until(
        lambda: known.exists() and address in known.read_text(), "in-b is told", timeout_s=_S
    )
    kept = a.path("/var/lib/ocinet/cluster/prod.known")
    wait_until(kept.exists, "what etcd has is kept", timeout_s=_S)
    return a, b, address


def _of_cluster(host: ClusterHost) -> list[str]:
    told = host.ocinet("doctor", check=False, timeout_s=90).stdout.splitlines()
    return [line for line in told if line.startswith(("cluster", "host a", "host b"))]


def test_explain_tells_on_which_host_it_is_and_whether_the_way_there_leads(world: World) -> None:
    """By its name; the real packet arrives, and where a port is closed it says which."""
    a, b, address = _two(world)
    told = a.ocinet("explain", "in-a", "in-b", check=False)
    assert told.status == 0, told.stdout
    share = b.status()["host"]["shares"][0]
    assert (
        f"{address} is in {share}, the share of b at {b.address}, by vxlan over UDP" in told.stdout
    )
    assert "at the far end of the way there, answers" in told.stdout
    _close(b)
    told = a.ocinet("explain", "in-a", "in-b", check=False)
    assert told.status == 1
    assert "UDP port 4789 is closed between the two hosts" in told.stdout


def test_doctor_finds_nothing_amiss_and_then_what_is(world: World) -> None:
    """A closed port, an agent that ended, etcd that is away: each with what helps."""
    a, b, _address = _two(world)
    assert _of_cluster(a) == []
    _close(b)
    (line,) = _of_cluster(a)
    assert line.startswith(f"host b: {b.address} answers, and ")
    assert "open UDP port 4789" in line
    b.run("nft", "delete", "table", "inet", "closed")
    world.stop_etcd()
    a.wait_for_state("waiting", "etcd does not answer")
    assert any("etcd does not answer" in line for line in _of_cluster(a))
    a.kill_agent()
    assert any("the agent does not run" in line for line in _of_cluster(a))


def test_network_on_anothers_share_is_refused_or_told(world: World) -> None:
    """Asked for, it is refused; one that the settings' pools had to give, doctor names."""
    a, _b, _address = _two(world)
    error = a.refused("network", "create", "--subnet", "10.42.200.0/24", "astray")
    assert "10.42.200.0/24 is of the pool 10.42.0.0/16 of cluster prod" in error
    assert "--cluster prod" in error
    settings = a.path("/etc/ocinet/ocinet.toml.d/60-pools.toml")
    settings.write_text('pools = ["10.42.200.0/24"]\n')
    settings.chmod(0o600)
    a.ocinet("network", "create", "astray")
    done = a.ocinet("doctor", check=False)
    assert "network astray" in done.stdout + done.stderr
    assert "10.42.200.0/24 is of the cluster's pool 10.42.0.0/16" in done.stdout + done.stderr
    a.ocinet("network", "rm", "astray")


def test_topology_has_the_other_hosts_and_their_shares(world: World) -> None:
    """Below the tree, and in JSON; not where one container or network is asked for."""
    a, b, _address = _two(world)
    (share,), (own,) = (host.status()["host"]["shares"] for host in (b, a))
    tree = a.ocinet("topology").stdout
    assert tree.endswith(f"cluster prod by vxlan: a has {own}\n  b at {b.address}: {share}\n")
    (host,) = a.ocinet("topology", "--format", "json").json()["cluster"]["hosts"]
    assert (host["name"], host["shares"], host["heard"]) == ("b", [share], True)
    assert "cluster" not in a.ocinet("topology", "in-a", "--format", "json").json()


def _close(host: ClusterHost) -> None:
    host.run("nft", "add", "table", "inet", "closed")
    chain = "{ type filter hook input priority -200; policy accept; udp dport 4789 drop; }"
    host.run("nft", f"add chain inet closed in {chain}")

"""Destinations that packets leave for with the container's own address, and the way back in."""

from __future__ import annotations

import socket

import pytest

from builders import on, subnets
from hosts.namespace.bridged_host import without
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UPLINK, UplinkedHost
from ocinet.base.address import Address
from ocinet.base.errors import BusyError, ConflictError, NotFoundError
from ocinet.engine.networks import Networks
from ocinet.engine.plan.new_network import NetworkOptions
from ocinet.engine.records.networks import NetworkStore

POOL, FAR, OTHER = "10.42.0.0/16", "10.42.7.9", "203.0.113.7"
INSIDE = "10.42.3.0/24"
POOL_6, FAR_6, INSIDE_6 = "fd42::/16", "fd42:7::9", "fd42:3::/64"
ASKED = ("192.0.2.9", "fd00:99::9")


def meet(host: UplinkedHost, client: str, server: str, at: str, bound: str = "") -> str:
    """Return whom a server sees when a client asks it there; "" if it is asked by nobody."""
    family = socket.AF_INET6 if ":" in at else socket.AF_INET
    with entered(host.sleepers[server].pid):
        listener = socket.create_server(("", 0), family=family)
    with entered(host.sleepers[client].pid):
        asker = socket.socket(family)
    with listener, asker:
        asker.bind((bound, 0))
        listener.settimeout(10)
        asker.settimeout(4)
        try:
            asker.connect((at, listener.getsockname()[1]))
        except TimeoutError:
            return ""
        peer, address = listener.accept()
        peer.close()
    return str(address[0])


def wired(host: UplinkedHost, **changes: object) -> str:
    """Have a network with those destinations, and a container on it; return its address."""
    pid = host.sleepers["neighbour"].pid
    for address in (FAR, OTHER):
        run(f"ip addr add {address}/32 dev lo", pid=pid)
    run(f"ip route add {INSIDE} via {UPLINK}", pid=pid)
    options = NetworkOptions(
        subnets=subnets(INSIDE), unmasked=subnets(POOL), joined=("up0",)
    ).replace(**changes)
    with host.engine() as engine:
        engine.networks.create("far", options)
    record = host.up("web", on("far"))
    return str(record.endpoints[0].addresses[0].address)


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_each_rule_is_what_decides(family: int) -> None:
    """Each of a family's; `web` has asked for an address to leave with, which is for others."""
    with UplinkedHost() as host:
        pid = host.sleepers["neighbour"].pid
        for command in ("addr add fd00:99::2/64 dev eth0 nodad", f"addr add {FAR_6}/128 dev lo",
                        f"route add {INSIDE_6} via fd00:99::1"):  # fmt: skip
            run(f"ip -6 {command}", pid=pid)
        for command in ("addr add fd00:99::1/64 dev up0 nodad", "route add default via fd00:99::2",
                        f"addr add {ASKED[1]}/64 dev up0 nodad"):  # fmt: skip
            run(f"ip -6 {command}")
        run(f"ip addr add {ASKED[0]}/24 dev up0")
        wired(host, subnets=subnets(INSIDE, INSIDE_6), unmasked=subnets(POOL, POOL_6))
        record = host.up("asking", on("far", egress=tuple(map(Address.parse, ASKED))))
        own = str(record.endpoints[0].addresses[0 if family == 4 else 1].address)
        far, word = (FAR, "ip") if family == 4 else (FAR_6, "ip6")
        assert meet(host, "asking", "neighbour", far) == own
        for chain in ("chosen", "postrouting"):
            with without(chain, f"{word} saddr . {word} daddr @unmasked{family} accept"):
                assert meet(host, "asking", "neighbour", far) not in (own, "")
        assert meet(host, "neighbour", "asking", own, far) == far
        with without("forward", f"oifname . {word} saddr . iifname @joined{family} jump joined"):
            assert meet(host, "neighbour", "asking", own, far) == ""


@in_namespaces
def test_packets_to_unmasked_destinations_bear_the_containers_address() -> None:
    """Of that network alone, to those alone; also after a flush that was repaired."""
    with UplinkedHost() as host:
        web = wired(host)
        host.up("db")
        assert meet(host, "web", "neighbour", FAR) == web
        assert meet(host, "web", "neighbour", OTHER) == UPLINK
        assert meet(host, "db", "neighbour", FAR) == UPLINK
        run("nft flush set inet ocinet unmasked4")
        assert meet(host, "web", "neighbour", FAR) == UPLINK
        with host.engine() as engine:
            assert engine.check(repair=True)
            assert not engine.check()
        assert meet(host, "web", "neighbour", FAR) == web


@in_namespaces
def test_a_joined_link_lets_those_destinations_in_and_nobody_else() -> None:
    """To that network, from that link, with those addresses."""
    with UplinkedHost() as host:
        web = wired(host)
        lan = str(host.up("db").endpoints[0].addresses[0].address)
        run(f"ip route add {lan} via {UPLINK}", pid=host.sleepers["neighbour"].pid)
        assert meet(host, "neighbour", "web", web, FAR) == FAR
        assert meet(host, "neighbour", "web", web, OTHER) == ""
        assert meet(host, "neighbour", "web", web, NEIGHBOUR) == ""
        assert meet(host, "neighbour", "db", lan, FAR) == ""


@in_namespaces
def test_without_a_joined_link_nobody_gets_in() -> None:
    """An address alone opens nothing."""
    with UplinkedHost() as host:
        web = wired(host, joined=())
        assert meet(host, "web", "neighbour", FAR) == web
        assert meet(host, "neighbour", "web", web, FAR) == ""


@in_namespaces
def test_who_is_kept_apart_is_met_from_a_joined_link_only_as_allowed() -> None:
    """As by its siblings: what they may not, those behind the link may not either."""
    with UplinkedHost() as host:
        web = wired(host, siblings=False)
        assert meet(host, "neighbour", "web", web, FAR) == ""
        with without("joined", "oifname . oifname @closed goto among"):
            assert meet(host, "neighbour", "web", web, FAR) == FAR
        assert meet(host, "web", "neighbour", FAR) == web


@in_namespaces
def test_removed_network_leaves_no_destination() -> None:
    """Neither its own nor what it was joined by."""
    with UplinkedHost() as host:
        wired(host)
        assert host.stop("web")
        with host.engine() as engine:
            engine.networks.remove("far")
        assert "10.42" not in run("nft list ruleset")


@in_namespaces
def test_own_networks_address_is_unaffected_by_another_networks_destinations() -> None:
    """A network whose egress address is said has it for all but those."""
    with UplinkedHost() as host:
        run("ip addr add 192.0.2.9/24 dev up0")
        web = wired(host, egress=(Address.parse("192.0.2.9"),))
        assert meet(host, "web", "neighbour", FAR) == web
        assert meet(host, "web", "neighbour", OTHER) == "192.0.2.9"


@in_namespaces
def test_routes_that_say_a_source_do_not_count_for_unmasked_destinations() -> None:
    """The table that follows them passes what is for these."""
    with UplinkedHost() as host:
        run("ip addr add 192.0.2.5/24 dev up0")
        run(f"ip route replace default via {NEIGHBOUR} src 192.0.2.5")
        web = wired(host)
        assert meet(host, "web", "neighbour", OTHER) == "192.0.2.5"
        assert meet(host, "web", "neighbour", FAR) == web
        host.up("other", on("dmz"))  # of which nothing of the kind is said
        assert meet(host, "other", "neighbour", FAR) == "192.0.2.5"


@in_namespaces
def test_network_is_removed_under_the_lock_by_which_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who closes it has read it by then, and would write it again."""
    remove = NetworkStore.remove
    tried: list[str] = []

    def removed(store: NetworkStore, name: str) -> bool:
        with host.engine() as other:
            hurried = other.operation.replace(locks=other.operation.locks.patient(0.1))
            with pytest.raises(BusyError):
                Networks(hurried, other.machine, other.records).close(name, "it moves")
        tried.append(name)
        return remove(store, name)

    with UplinkedHost() as host:
        monkeypatch.setattr(NetworkStore, "remove", removed)
        with host.engine() as engine:
            engine.networks.remove("dmz")
            assert tried == ["dmz"]
            with pytest.raises(NotFoundError):
                engine.networks.close("dmz", "it moves")


@in_namespaces
def test_a_closed_network_keeps_who_is_there_and_takes_nobody_new() -> None:
    """With the reason, which an attach tells; until it is open again."""
    with UplinkedHost() as host:
        host.up("web")
        with host.engine() as engine:
            assert engine.networks.close("lan", "its subnet is another host's")
            assert not engine.networks.close("lan", "its subnet is another host's")
        with pytest.raises(ConflictError, match="lan takes no new containers: its subnet is an"):
            host.up("late")
        assert host.pings("web", NEIGHBOUR)
        with host.engine() as engine:
            assert not engine.check()
            assert engine.networks.close("lan", "")
        host.attach(host.container("late", host.sleepers["late"].pid), on("lan"))
        assert host.pings("late", NEIGHBOUR)

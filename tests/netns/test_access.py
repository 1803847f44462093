"""Who may talk to whom on a network that keeps its containers apart: with real packets."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp
from hosts.namespace.apart_host import NEIGHBOUR_6, Apart, asking, both
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UPLINK
from hosts.namespace.wired_host import PATHS
from hosts.waiting import wait_until
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import uptime_s
from ocinet.engine.access import Access
from ocinet.engine.egress_names import KEPT_S, follow
from ocinet.engine.model.resolution import LinkedName, Resolution
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.access import may_be_left_for
from ocinet.engine.refusals import encode_refused
from ocinet.engine.renaming import rename
from ocinet.watcher.access_calls import AccessCalls
from ocinet.watcher.engine_calls import EngineCalls

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request

_UDP = socket.SOCK_DGRAM


@in_namespaces
def test_nobody_reaches_anybody_who_has_not_said_so() -> None:
    """Of either family, by any protocol; the host and the outside all the same."""
    with Apart() as host:
        four, six = host.with_pair(asking(), asking())
        host.listen("db", 80)
        assert host.is_kept_from("web", four, 80)
        assert host.is_kept_from("web", six, 80)
        assert not host.pings("web", four)
        assert not host.pings("web", six)
        host.listen("db", 53, _UDP)
        assert host.is_silent("web", four, 53)
        assert host.pings("web", "10.7.0.1")
        assert host.pings("web", "fd00:7::1")
        assert host.pings("web", NEIGHBOUR)


@pytest.mark.parametrize(
    ("web", "db"),
    [
        (asking(allow="db:80"), asking()),
        (asking(allow="10.7.0.0/24:80,fd00:7::/64"), asking()),
        (asking(), asking(expose="80")),
        (asking(), asking(expose="80/tcp@web")),
        (asking(), asking(expose="79-81@10.7.0.0/30,79-81@fd00:7::/120")),
    ],
    ids=["a name", "subnets", "to all", "to a name", "to subnets"],
)
@in_namespaces
def test_who_says_so_connects_and_by_nothing_else(web: Request, db: Request) -> None:
    """One side's word is enough. Its direction, port and protocol alone; answers come back."""
    with Apart() as host:
        four, six = host.with_pair(web, db)
        own, _ = both(host.up("other", asking(allow="nobody")))
        host.listen("db", 80)
        host.listen("web", 80)
        for address in (four, six, four, six):  # twice: no redirect leads past the host
            assert host.reaches("web", address, 80)
        assert host.is_kept_from("web", four, 22)
        web_four = host.addresses("web")[0].partition("/")[0]
        assert host.is_kept_from("db", web_four, 80)
        if db.access is None or "@" in repr(db):
            assert host.is_kept_from("other", four, 80)
        assert host.is_kept_from("web", own, 80)
        host.listen("db", 80, _UDP)
        assert host.is_silent("web", four, 80)


@in_namespaces
def test_all_of_one_and_udp_are_allowed() -> None:
    """Without a port everything is, ping as well; with a protocol, that one alone."""
    with Apart() as host:
        four, six = host.with_pair(asking(allow="db"), asking())
        host.up("dns", asking(allow="db:53/udp"))
        assert host.pings("web", four)
        assert host.pings("web", six)
        host.listen("db", 53, _UDP)
        assert host.sends("web", four, 53)
        assert host.sends("dns", four, 53)
        assert host.sends("dns", six, 53)
        host.listen("db", 53)
        assert host.is_kept_from("dns", four, 53)
        assert not host.pings("dns", four)


def _linked(*targets: str) -> Request:
    links = tuple(LinkedName(target, "store") for target in targets)
    return on("apart").replace(resolution=Resolution(links=links))


@pytest.mark.parametrize("first", ["web", "db"])
@in_namespaces
def test_link_opens_what_its_target_exposes_by_its_engine(first: str) -> None:
    """Whichever comes first, and after the target's restart; to who has the link alone."""
    exposing = asking().replace(exposed=("80/tcp", "53/udp"))
    with Apart() as host:
        host.up("other", asking())
        if first == "web":
            host.up("web", _linked("db"))
        address, six = both(host.up("db", exposing))
        if first == "db":
            host.up("web", _linked("db"))
        host.listen("db", 80)
        host.listen("db", 22)
        assert host.reaches("web", address, 80)
        assert host.reaches("web", six, 80)
        assert host.is_kept_from("web", address, 22)
        assert host.is_kept_from("other", address, 80)
        host.listen("web", 80)
        assert host.is_kept_from("db", host.addresses("web")[0].partition("/")[0], 80)
        host.stop("db")
        host.up("between", asking())
        again, _ = both(host.up("db", exposing))
        host.listen("db", 80)
        assert again != address
        assert host.reaches("web", again, 80)
        run("nft flush ruleset")
        with host.engine() as engine:
            engine.check(repair=True)
        assert host.reaches("web", again, 80)
        host.stop("web")
        assert not [line for line in run("nft list table inet ocinet").splitlines()
                    if again in line and " . " in line]  # fmt: skip


@in_namespaces
def test_link_opens_nothing_that_its_targets_user_keeps_to_others() -> None:
    """Whose word goes before its image's; and where no port is known, it is told."""
    with Apart() as host:
        web = host.up("web", _linked("db", "store"))
        db = asking(expose="80@api").replace(exposed=("80/tcp",))
        address, _ = both(host.up("db", db))
        host.listen("db", 80)
        assert host.is_kept_from("web", address, 80)
        host.up("store", asking())
        with host.engine() as engine:
            told = Access(engine.records, web.container.id).unknown(web)
        assert [line for line in told if line.startswith("the link of web to store opens nothing")]
        assert not [line for line in told if "to db" in line]


@in_namespaces
def test_name_is_followed_to_another_address_and_the_former_one_is_closed() -> None:
    """Whichever starts first; who gets the former address is another one."""
    with Apart() as host:
        host.up("web", asking(allow="db:80"))
        first = both(host.up("db", asking()))
        host.listen("db", 80)
        assert host.reaches("web", first[0], 80)
        host.stop("db")
        host.attach(
            host.start("other"),
            on("apart", addresses=()).replace(
                endpoints=(on("apart").endpoints[0].replace(addresses=_addresses(first[0])),)
            ),
        )
        host.listen("other", 80)
        second = both(host.up("db", asking()))
        assert second[0] != first[0]
        host.listen("db", 80)
        assert host.reaches("web", second[0], 80)
        assert host.reaches("web", second[1], 80)
        assert host.is_kept_from("web", first[0], 80)
        host.stop("web")
        host.up("web", asking())
        assert host.is_kept_from("web", second[0], 80)


def _addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(map(Address.parse, texts))


@in_namespaces
def test_without_the_table_it_is_closed_and_comes_back_by_repair() -> None:
    """What was allowed is so again; nothing is left when all have gone."""
    with Apart() as host:
        four, six = host.with_pair(asking(allow="db:80,10.7.0.0/24:22"), asking(expose="81"))
        host.listen("db", 80)
        assert host.reaches("web", four, 80)
        run("nft flush ruleset")
        for address in (four, six):
            assert host.is_kept_from("web", address, 80)
            assert not host.pings("web", address)
        with host.engine() as engine:
            assert all(finding.repaired for finding in engine.check(repair=True))
            assert engine.check() == ()
        assert host.reaches("web", four, 80)
        assert host.reaches("web", six, 80)
        run("nft flush set inet ocinet pair4")
        with host.engine() as engine:
            assert "pair4 lacks 1 element" in engine.check(repair=True)[0].what
        assert host.reaches("web", four, 80)
        host.stop("web")
        host.stop("db")
        left = run("nft list table inet ocinet")
        assert "10.7.0.2" not in left.replace("refused", "")
        assert not run("find /run/ocinet/access -type l")


@in_namespaces
def test_address_of_another_opens_nothing() -> None:
    """The guard of its port lets nobody send as somebody else."""
    with Apart() as host:
        four, _ = host.with_pair(asking(allow="db:80"), asking())
        web = host.addresses("web")[0].partition("/")[0]
        host.up("thief", asking())
        host.listen("db", 80)
        run(f"ip addr add {web}/32 dev eth0", pid=host.sleepers["thief"].pid)
        assert host.is_kept_from("thief", four, 80, source=web)


@in_namespaces
def test_wishes_change_while_it_runs() -> None:
    """Attached again with other words: what is said no more is closed, also what was open."""
    with Apart() as host:
        four, _ = host.with_pair(asking(allow="db:80"), asking())
        web = host.container("web", host.sleepers["web"].pid)
        host.listen("db", 80)
        host.listen("db", 81)
        assert host.reaches("web", four, 80)
        host.attach(web, asking(allow="db:81"))
        assert host.is_kept_from("web", four, 80)
        assert host.reaches("web", four, 81)
        host.attach(web, asking(allow="none"))
        assert host.is_kept_from("web", four, 81)
        host.attach(web, asking(expose="80"))
        with host.engine() as engine:
            assert engine.check() == ()


@in_namespaces
def test_published_port_is_open_to_siblings() -> None:
    """It is to everybody; not where bridged packets meet NAT, for there it is bridged then."""
    with Apart() as host:
        for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
            path.write_text("0")
        host.up_serving("db", on("apart", publish=(tcp(8080),)))
        host.up("web", asking())
        assert host.reaches("web", UPLINK, 8080)


@in_namespaces
def test_what_is_refused_is_counted_by_who_and_to_where_and_told() -> None:
    """With the command that shows why, which has the one that opens it."""
    with Apart() as host:
        four, six = host.with_pair(asking(allow="cache"), asking())
        calls = EngineCalls(PATHS, lambda _network: {}, Settings).access
        calls.tell_refused()  # from here on
        assert host.is_kept_from("web", four, 5432)
        assert host.is_kept_from("web", six, 5432)
        assert not host.pings("web", four)
        with host.engine() as engine:
            refused = engine.refused()
            record = engine.containers.find("db")
            shown = encode_refused(refused, record, engine.containers.all())
        web = host.addresses("web")[0].partition("/")[0]
        counted = {(str(each.source), str(each.target), each.door) for each in refused}
        assert counted >= {(web, four, "5432/tcp"), (web, four, "icmp")}
        assert {each.door for each in refused if str(each.target) == six} == {"5432/tcp"}
        assert all(each["from"] == "web" and each["to"] == "db" for each in shown)
        calls.tell_refused()
        (told,) = _events("refused")
        assert (told["name"], told["hint"].split()[:3]) == ("web", ["ocinet", "explain", "web"])
        assert "db 5432/tcp" in told["what"]
        calls.tell_refused()
        assert len(_events("refused")) == 1

        with host.engine() as engine:
            explained = engine.explain("web", "db", protocol="tcp", port=5432)
        assert not explained.ok
        remedy = next(hop.remedy for hop in explained.hops if not hop.ok)
        assert remedy == "ocinet attach web --net apart --allow cache,db:5432/tcp"
        access = asking(allow=remedy.rpartition(" ")[2])
        host.listen("db", 5432)
        host.attach(host.container("web", host.sleepers["web"].pid), access)
        assert host.reaches("web", four, 5432)
        host.stop("web")
        with host.engine() as engine:
            assert engine.refused() == ()


def _events(name: str) -> list[dict[str, str]]:
    lines = Path("/run/ocinet/events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


@in_namespaces
def test_explain_of_what_may_not_leave_says_what_lets_it() -> None:
    """By address, beside what is said already."""
    with Apart() as host:
        host.up("web", asking("lan", egress="198.51.100.0/24:443"))
        with host.engine() as engine:
            explained = engine.explain("web", NEIGHBOUR, protocol="tcp", port=25)
        remedy = next(hop.remedy for hop in explained.hops if not hop.ok)
        said = "198.51.100.0/24:443/tcp,192.0.2.2:25/tcp"
        assert remedy == f"ocinet attach web --net lan --egress {said}"


@in_namespaces
def test_host_that_tells_who_is_kept_apart_of_a_shorter_way_would_part_them() -> None:
    """Why redirects are dropped: without that, the next connection finds nobody."""
    with Apart() as host:
        _, six = host.with_pair(asking(allow="db"), asking())
        host.listen("db", 80)
        for _again in range(3):
            assert host.reaches("web", six, 80)
        listed = json.loads(run("nft -j list chain inet ocinet passed"))["nftables"]
        handles = [what["rule"]["handle"] for what in listed if "rule" in what]
        run(f"nft delete rule inet ocinet passed handle {handles[0]}")
        wait_until(lambda: host.is_kept_from("web", six, 80), "it believes what it is told")


@in_namespaces
def test_packets_of_one_that_is_kept_leave_to_what_is_said_alone() -> None:
    """None: not by a port that somebody else publishes; siblings, answers and the host pass."""
    with Apart() as host:
        host.up_serving("shop", on("dmz", publish=(tcp(8080),)))
        host.up_serving("web", asking("lan", egress="none").replace(publish=(tcp(8081),)))
        host.up_serving("db", on("lan"))
        assert not host.pings("web", NEIGHBOUR)
        assert host.is_kept_from("web", UPLINK, 8080)
        assert host.pings("web", "10.9.0.1")
        assert host.reaches("web", "10.9.0.3", 80)
        assert host.reaches("neighbour", UPLINK, 8081)
        web = host.container("web", host.sleepers["web"].pid)
        host.attach(web, asking("lan", egress="dmz:80"))
        assert host.reaches("web", UPLINK, 8080)
        assert not host.pings("web", NEIGHBOUR)
        host.attach(web, asking("lan", egress="192.0.2.0/24"))
        assert host.pings("web", NEIGHBOUR)
        assert host.is_kept_from("web", UPLINK, 8080)
        host.attach(web, asking("lan", egress="192.0.2.0/24:81"))
        assert not host.pings("web", NEIGHBOUR)
        host.attach(web, asking("lan", allow="192.0.2.2"))
        assert host.pings("web", NEIGHBOUR)
        host.attach(web, asking("lan", allow="none", egress="any"))
        assert host.pings("web", NEIGHBOUR)
        assert host.reaches("web", UPLINK, 8080)
        # It opens nothing: of another network, what is not published stays closed.
        assert host.is_kept_from("web", "10.8.0.2", 80)


@in_namespaces
def test_nothing_leaves_by_ipv6_either() -> None:
    """To the host's own address on another link it does, as that is the host's."""
    with Apart() as host:
        host.up("web", asking(egress="none"))
        host.lead_out_by_ipv6()
        host.up("free", asking())
        assert host.pings("free", NEIGHBOUR_6)
        assert not host.pings("web", NEIGHBOUR_6)
        host.attach(host.container("web", host.sleepers["web"].pid), asking(egress="fd00:99::/64"))
        assert host.pings("web", NEIGHBOUR_6)


@in_namespaces
def test_what_has_no_effect_yet_or_at_all_is_told() -> None:
    """A name that nobody has, and a network where all talk to each other anyway."""
    with Apart() as host:
        host.up("web", asking(allow="db"))
        host.up("shop", asking("lan", allow="db"))
        events = Path("/run/ocinet/events.jsonl").read_text()
        assert "nobody on apart is called db yet" in events
        assert "ocinet.allow and ocinet.expose open nothing on lan" in events
        assert "called" not in events[events.index("open nothing") :]
        with host.engine() as engine:
            loose = network("loose", "10.6.0.0/24", siblings=False, guard=False)
            engine.records.networks.add(loose)
            vault = network("vault", "10.5.0.0/24", siblings=False, internal=True)
            engine.records.networks.add(vault)
        host.up("free", asking("loose", expose="80"))
        host.up("safe", asking("vault", expose="80"))
        events = Path("/run/ocinet/events.jsonl").read_text()
        assert "loose has no guard" in events
        assert "vault is internal" in events


@in_namespaces
def test_name_is_what_it_is_called_by_now() -> None:
    """Renamed while it runs, as `docker rename` does; also by the next attach."""
    with Apart() as host:
        host.up("web", asking(allow="db:80"))
        host.up("shop", asking(allow="cache:80"))
        four, _ = both(host.up("db", asking()))
        host.listen("db", 80)
        assert host.reaches("web", four, 80)
        with host.engine() as engine:
            rename(engine.operation, engine.machine, engine.records, "db-id", "cache")
        assert host.is_kept_from("web", four, 80)
        assert host.reaches("shop", four, 80)
        host.attach(host.container("db", host.sleepers["db"].pid), asking())
        assert host.reaches("web", four, 80)
        assert host.is_kept_from("shop", four, 80)


@in_namespaces
def test_what_a_kill_leaves_is_collected() -> None:
    """Names of who has no record, and elements that no record says."""
    with Apart() as host:
        host.up("web", asking(allow="db:80"))
        with host.engine() as engine:
            engine.records.mentions().enter("gone-id", "apart", ("db",), ("web",))
            engine.records.attachments.put(engine.containers.find("web").replace(access=None))
            engine.records.mentions().enter("web-id", "apart", ("web",), ("db",))
        run("nft add element inet ocinet pair4 { 10.7.0.2 . 10.7.0.9 . tcp . 80 }")
        assert [(kind, name.split()[0]) for kind, name in host.gc()] == [
            ("element", "pair4"),
            ("name", "apart/db"),
            ("name", "apart/web"),
        ]
        assert host.gc() == []


@in_namespaces
def test_dns_names_are_followed_as_their_answers_change() -> None:
    """Once the watcher has looked them up: two answers stay open for a while, then the last."""
    answers = {"api.example.com": ("192.0.2.2",)}

    def resolve(name: str) -> tuple[Address, ...]:
        return _addresses(*answers[name])

    with Apart() as host:
        run("ip addr add 192.0.2.3/24 dev eth0", pid=host.sleepers["neighbour"].pid)
        host.up("web", asking("lan", egress="api.example.com"))
        told = Path("/run/ocinet/events.jsonl").read_text()
        assert "nothing leaves for api.example.com until the watcher has looked it up" in told
        assert not host.pings("web", "192.0.2.2")
        calls = EngineCalls(PATHS, lambda _network: {}, Settings).access
        calls.follow_names(resolve)
        assert host.pings("web", "192.0.2.2")
        assert not host.pings("web", "192.0.2.3")
        host.up("shop", asking("lan", egress="api.example.com"))  # known by now
        assert host.pings("shop", "192.0.2.2")
        with host.engine() as engine:
            assert engine.check() == ()
        host.stop("shop")

        answers["api.example.com"] = ("192.0.2.3",)
        calls.follow_names(resolve)  # it was looked up a moment ago
        assert not host.pings("web", "192.0.2.3")
        again = EngineCalls(PATHS, lambda _network: {}, Settings).access
        again.follow_names(resolve)
        assert host.pings("web", "192.0.2.3")
        assert host.pings("web", "192.0.2.2")
        with host.engine() as engine:
            later_s = int(uptime_s()) + KEPT_S + 1
            now = {"api.example.com": resolve("api.example.com")}
            follow(engine.operation, engine.machine, engine.records, now, later_s, {})
        assert not host.pings("web", "192.0.2.2")
        assert host.pings("web", "192.0.2.3")
        with host.engine() as engine:
            assert engine.check() == ()
        host.stop("web")
        assert not run("find /run/ocinet/access -type l")
        again.follow_names(resolve)
        assert json.loads(Path("/run/ocinet/egress-names.json").read_text()) == {}


@in_namespaces
def test_dns_names_that_nobody_answers_hold_up_no_others() -> None:
    """An answer is entered before the next name is asked for; a round ends, another goes on."""
    clock_s, asked = uptime_s(), []

    def resolve(name: str) -> tuple[Address, ...] | None:
        nonlocal clock_s
        asked.append((name, host.pings("web", "192.0.2.2")))
        clock_s += 20 if name.startswith("dead") else 2
        return None if name.startswith("dead") else _addresses("192.0.2.2")

    with Apart() as host:
        dead = ",".join(f"dead-{number}.example.com" for number in range(4))
        host.up("web", asking("lan", egress="api.example.com"))
        host.up("db", asking("lan", egress=dead))
        calls = AccessCalls(PATHS, host.engine, lambda: clock_s)
        while len(asked) < 5:
            before = len(asked)
            calls.follow_names(resolve)
            assert 1 <= len(asked) - before <= 2
        names = [name for name, _ in asked]
        assert "api.example.com" in names[:2]
        assert all(opened for _, opened in asked[2:])


@in_namespaces
def test_dns_name_is_followed_once_nobody_is_at_work_on_its_container_any_more() -> None:
    """Not only when the answer changes next."""
    with Apart() as host:
        web = host.up("web", asking("lan", egress="api.example.com"))
        calls = EngineCalls(PATHS, lambda _network: {}, Settings).access
        with host.engine() as engine, engine.operation.locks.container(web.container.id):
            calls.follow_names(lambda _name: _addresses("192.0.2.2"))
            assert not host.pings("web", "192.0.2.2")
        calls.follow_names(lambda _name: None)
        assert host.pings("web", "192.0.2.2")
        with host.engine() as engine:
            later_s = int(uptime_s()) + KEPT_S + 1  # who could not tell has not said it is gone
            follow(engine.operation, engine.machine, engine.records, {}, later_s, {})
        assert host.pings("web", "192.0.2.2")


@pytest.mark.parametrize(
    "place", ["127.0.0.1", "169.254.169.254", UPLINK, "10.8.0.2", "10.9.0.1", "::1", "fe80::1"]
)
def test_dns_name_opens_nothing_of_the_host_and_of_networks(place: str) -> None:
    """Whoever answers for it says where it leads to; the address itself may be written."""
    own = set(_addresses("192.0.2.1", "10.9.0.1", "10.8.0.1"))
    inside = (Subnet.parse("10.8.0.0/24"), Subnet.parse("10.9.0.0/24"))
    (address,) = _addresses(place)
    assert not may_be_left_for(address, own, inside)
    assert may_be_left_for(Address.parse("192.0.2.2"), own, inside)


@in_namespaces
def test_dns_name_that_leads_to_another_network_opens_nothing_and_is_told() -> None:
    """Not even what is published there, which the address would be let through to."""
    with Apart() as host:
        host.up_serving("shop", on("dmz", publish=(tcp(8080),)))
        host.up("web", asking("lan", egress="evil.example.com"))
        calls = EngineCalls(PATHS, lambda _network: {}, Settings).access
        calls.follow_names(lambda _name: _addresses("10.8.0.2", "192.0.2.2"))
        assert host.pings("web", "192.0.2.2")
        assert host.is_kept_from("web", UPLINK, 8080)
        for _twice in range(2):
            EngineCalls(PATHS, lambda _network: {}, Settings).access.follow_names(
                lambda _name: None
            )
        assert host.pings("web", "192.0.2.2")  # who could not tell has not said no
        (unanswered, _again) = _events("name not looked up")
        assert "IPAddressAllow=RESOLVER" in unanswered["hint"]
        (told,) = _events("name opens nothing")
        assert told["what"] == "evil.example.com leads to 10.8.0.2"


@in_namespaces
def test_dns_name_without_an_address_is_told_once_and_again_when_it_has_lost_one() -> None:
    """As one that is misspelt; what it had stays open for its five minutes."""
    with Apart() as host:
        host.up("web", asking("lan", egress="api.exmaple.com"))

        def look(*found: str, later_s: int = 0) -> list[object]:
            answers = {"api.exmaple.com": _addresses(*found)}
            with host.engine() as engine:
                now_s = int(uptime_s()) + later_s
                follow(engine.operation, engine.machine, engine.records, answers, now_s, {})
            return [told["what"] for told in _events("name opens nothing")]

        nowhere = "api.exmaple.com leads nowhere"
        assert look() == [nowhere]
        assert look() == [nowhere]
        assert look("192.0.2.2") == [nowhere]
        assert host.pings("web", "192.0.2.2")
        assert look() == [nowhere]
        assert look(later_s=KEPT_S + 1) == [nowhere] * 2
        assert not host.pings("web", "192.0.2.2")


@in_namespaces
def test_attach_that_is_killed_at_any_step_leaves_nothing_open() -> None:
    """Behind each step of it; gc takes out what was entered, and its names."""
    with Apart() as host:
        host.up("db", asking())
        clean = _entered()
        for number in range(1, 40):
            container, seen = host.start("web"), 0
            child = os.fork()
            if not child:

                def killed(_step: object, number: int = number) -> None:
                    nonlocal seen
                    seen += 1
                    if seen == number:
                        os._exit(9)

                host.attach(container, asking(allow="db:80", egress="none"), killed)
                os._exit(0)
            _pid, status = os.waitpid(child, 0)
            host.sleepers.pop("web").end()
            host.gc()
            assert _entered() == clean, number
            if not status:
                break
        else:
            raise AssertionError("it never came to its end")


@in_namespaces
def test_two_that_end_at_once_leave_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one whose names are gone first, while the other goes as a whole."""
    with Apart() as host:
        host.up("other", asking())
        clean = _entered()
        host.with_pair(asking(allow="db:80"), asking())
        leave = Access.leave

        def left(access: Access, *records: Attachment | None) -> None:
            leave(access, *records)
            monkeypatch.undo()
            assert host.stop("db")

        monkeypatch.setattr(Access, "leave", left)
        assert host.stop("web")
        assert _entered() == clean


def _entered() -> tuple[str, str]:
    sets = ("pair4", "pair6", "kept4", "kept6")
    listed = "".join(run(f"nft list set inet ocinet {name}") for name in sets)
    return listed, run("find /run/ocinet/access -type l")

"""`ocinet explain` on runc and crun containers: it names the cause, and a real packet agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import OUTSIDE_V4

if TYPE_CHECKING:
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab

DUAL = ("--net", "dual")


@pytest.fixture
def web(lab: Lab) -> Container:
    """A container that serves at a published port, on a network of both families."""
    lab.ocinet("network", "create", "dual", "--subnet=10.9.0.0/24", "--subnet=fd09::/64")
    container = start(lab, "runc", "web", *DUAL, "-p", "8080:80", "-p", "5353:53/udp")
    container.namespace.serve("tcp", 80)
    return container


def explain(lab: Lab, start_at: str, end: str, *flags: str) -> dict[str, Any]:
    """Return what is told of a way, and check that nothing of the telling is left."""
    done = lab.ocinet("explain", start_at, end, "--format", "json", *flags, check=False)
    told: dict[str, Any] = done.json()
    assert done.status == (0 if told["ok"] else 1)
    assert "trace" not in lab.run("nft", "list", "tables").stdout
    assert "octap" not in lab.run("ip", "link").stdout
    return told


def ends_at(told: dict[str, Any]) -> str:
    """Return what the last station says that the packet does not get past."""
    return str([hop["what"] for hop in told["hops"] if not hop["ok"]][-1])


def chains(told: dict[str, Any]) -> set[str]:
    """Return the base chains whose rules it met."""
    return {rule["chain"] for rule in told["rules"] if rule["chain"]}


@each_runtime
def test_ways_that_are_open_are_told_as_open(lab: Lab, runtime: str) -> None:
    """Between containers, out, to the host, and in at a published port; and with rules met."""
    web = start(lab, runtime, "web", "-p", "8080:80")
    web.namespace.serve("tcp", 80)
    start(lab, runtime, "db")

    for way in (("db", "web"), ("db", "web:80"), ("web", "host"), ("host", "web:80")):
        assert explain(lab, *way)["answer"] == "answered", way
    out = explain(lab, "web", "outside")
    assert out["answer"] == "arrived"
    assert {"inet ocinet forward", "inet ocinet postrouting"} <= chains(out)
    back = explain(lab, "outside", "host:8080")
    assert back["answer"] == "answered"
    assert "web" in [hop["place"] for hop in back["hops"]]
    assert [rule for rule in back["rules"] if rule["answer"]]
    assert explain(lab, "web", OUTSIDE_V4)["answer"] == "answered"


def test_nothing_leaves_for_outside_and_nothing_stays_half_open(lab: Lab, web: Container) -> None:
    """The packet is kept at the last rule; the one that came in is given up by a reset."""
    lab.outside.run("nft", "add table inet seen")
    chain = "{ type filter hook prerouting priority -500; }"
    lab.outside.run("nft", f"add chain inet seen in {chain}")
    for prefix in ("ip saddr 198.18.0.0/15", "ip daddr 198.18.0.0/15"):
        lab.outside.run("nft", f"add rule inet seen in {prefix} counter")
    assert explain(lab, "web", "outside")["ok"]
    assert explain(lab, "outside", "host:8080")["ok"]
    listed = lab.outside.run("nft", "list", "table", "inet", "seen").stdout
    assert listed.count("counter packets 0 bytes 0") == 2
    assert "198.18.0.1" not in web.namespace.run("ss", "-Htan").stdout


def test_who_drops_it_is_named_by_chain_and_rule(lab: Lab, web: Container) -> None:
    """An iptables policy, a rule of an admin's table behind it, and our own isolation."""
    start(lab, "runc", "far", "--net", "bridge")
    apart = explain(lab, "far", "web:80")
    assert "inet ocinet forward" in ends_at({"hops": apart["hops"][:-1]})
    assert apart["why"] == "it is dropped in inet ocinet forward"

    lab.run("nft", "add table inet adm")
    lab.run("nft", "add chain inet adm fw { type filter hook forward priority 10; }")
    lab.run("nft", "add rule inet adm fw tcp dport 80 counter drop")
    told = explain(lab, "outside", "host:8080")
    assert told["why"] == "it is dropped in inet adm fw"
    (drop,) = [hop for hop in told["hops"] if "inet adm fw" in hop["what"] and not hop["ok"]]
    assert drop["what"] == "inet adm fw: tcp dport 80 drop → drop"
    lab.run(*drop["remedy"].split())
    assert explain(lab, "outside", "host:8080")["ok"]
    lab.run("nft", "delete table inet adm")

    lab.run("iptables", "-P", "FORWARD", "DROP")
    told = explain(lab, "web", "outside")
    assert told["why"] == "it is dropped in ip filter FORWARD"
    lab.ocinet("check", "--repair", check=False)
    assert explain(lab, "web", "outside")["ok"]
    lab.run("nft", "delete", "table", "ip", "filter")


def test_what_is_no_rule_is_named_too(lab: Lab, web: Container) -> None:
    """Forwarding, a bridge, an interface's route, a listener, reverse path filtering."""
    start(lab, "runc", "db", *DUAL)
    assert ends_at(explain(lab, "db", "web:81")) == "nobody listens at port 81/tcp"
    assert ends_at(explain(lab, "outside", "host:9999")) == "nobody listens at port 9999/tcp"

    lab.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    told = explain(lab, "web", "outside")
    assert "forwards nothing: net.ipv4.ip_forward is 0" in [hop["what"] for hop in told["hops"]]
    lab.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    device = next(each for each in lab.links() if each.startswith("ocbr-"))
    lab.run("ip", "link", "set", device, "down")
    told = explain(lab, "db", "web:80")
    assert f"{device} is down" in [hop["what"] for hop in told["hops"]]
    assert not told["ok"]
    lab.run("ip", "link", "set", device, "up")

    web.namespace.run("ip", "route", "del", "default")
    told = explain(lab, "web", "outside")
    assert told["answer"] == "unsent"
    assert ends_at(told) == "no way to 198.18.0.1: Network is unreachable"
    web.namespace.run("ip", "route", "add", "default", "via", "10.9.0.1")


def test_ipv6_and_udp_are_walked_as_well(lab: Lab, web: Container) -> None:
    """A datagram that is delivered need not be answered."""
    start(lab, "runc", "db", *DUAL)
    assert explain(lab, "db", "web:80", "-6")["answer"] in ("answered", "refused")
    assert explain(lab, "db", "web", "-6")["answer"] == "answered"
    assert explain(lab, "web", "outside", "-6")["answer"] == "arrived"
    assert ends_at(explain(lab, "db", "web:53/udp")) == "nobody listens at port 53/udp"
    web.namespace.serve("udp", 53)
    assert explain(lab, "db", "web:53/udp")["ok"]
    assert explain(lab, "outside", "host:5353/udp")["ok"]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (("web", "nobody:80"), "no container nobody is known"),
        (("outside", "web"), "what comes from outside is for a port"),
        (("web", "host:80/sctp"), "'sctp' is no protocol that can be tried"),
    ],
)
def test_ways_that_are_none_are_refused(
    lab: Lab, web: Container, way: tuple[str, str], why: str
) -> None:
    """One line that says what, why, and what to do."""
    done = lab.ocinet("explain", *way, check=False)
    assert done.status in (2, 3)
    assert why in done.stderr
    assert f"cannot explain the way from {way[0]} to {way[1]}" in done.stderr or "sctp" in way[1]

"""explain, doctor and status, run as commands are, on a host with an uplink and containers."""

from __future__ import annotations

import io
import json
import os
import socket
from typing import Any

import pytest

from builders import network, on, tcp, udp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UplinkedHost
from hosts.namespace.wired_host import PATHS
from ocinet.base.events import EventLog
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main
from ocinet.watcher.bulletin import LISTENING, Bulletin

ENVIRONMENT = {
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
}


class Host(UplinkedHost):
    """With `web`, which serves at 8080, and `db` beside it."""

    def __init__(self) -> None:
        super().__init__()
        with self.engine() as engine:
            engine.records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        self.up_serving("web", on("six", publish=(tcp(8080), udp(5353, 53))))
        self.up("db", on("six"))

    def say(self, *words: str) -> tuple[int, str]:
        """Run a command; return its status, and what it printed."""
        out, err = io.StringIO(), io.StringIO()
        streams = Streams(io.StringIO(), out, err)
        status = main(list(words), Console(ENVIRONMENT, streams=streams, is_root=True))
        return status, out.getvalue() + err.getvalue()

    def told(self, *words: str) -> Any:
        """Run a command, and return its JSON."""
        return json.loads(self.say(*words, "--format", "json")[1])

    def ends(self, start: str, end: str, *flags: str) -> str:
        """Return in one line what became of a packet."""
        return str(self.told("explain", start, end, *flags)["why"])


ARRIVES = "it arrives, and the answer comes back"


@in_namespaces
def test_explain_of_open_ways_names_rules_and_who_listens() -> None:
    """To a container, the host, the outside and a neighbour, and in at a published port."""
    with Host() as host:
        for way in (("db", "web"), ("db", "web:80"), ("db", "host"), ("host", "web:80"),
                    ("web", NEIGHBOUR), ("outside", "host:8080"), ("db", "web", "-6")):  # fmt: skip
            assert host.ends(*way) == ARRIVES, way
        assert (
            host.ends("web", "outside") == "it arrives at the last rule, and was kept from leaving"
        )
        status, shown = host.say("explain", "outside", "host:8080")
        assert status == 0
        assert "ok    host: inet ocinet publish: dnat ip to" in shown
        assert "ok    web: somebody listens at" in shown
        assert "ok    host: answer: passes every rule, and would leave" in shown
        assert "trace" not in run("nft list tables")


@in_namespaces
def test_explain_of_closed_ways_names_the_cause() -> None:
    """Rules of ours and others', nobody who listens, no route, forwarding, a bridge, a pair."""
    with Host() as host:
        host.up("far")
        assert host.ends("far", "web:80") == "it is dropped in inet ocinet forward"
        assert host.ends("db", "web:81") == "it is refused"
        assert host.ends("outside", "host:9999") == "it is refused"
        assert host.ends("db", "web:53/udp") == "it is refused"
        assert host.ends("host", "203.0.113.9:53/udp") == "no answer comes"
        run("nft add table inet adm")
        run("nft add chain inet adm fw { type filter hook forward priority 10 ; }")
        run("nft add rule inet adm fw tcp dport 80 drop")
        (drop,) = [hop for hop in host.told("explain", "outside", "host:8080")["hops"]
                   if not hop["ok"]]  # fmt: skip
        assert drop["what"] == "inet adm fw: tcp dport 80 drop → drop"
        assert drop["remedy"] == "nft insert rule inet adm fw oifname br-six accept"
        run("nft delete table inet adm")
        run("iptables-nft -P FORWARD DROP")
        assert host.ends("web", "outside") == "it is dropped in ip filter FORWARD"
        run("iptables-nft -P FORWARD ACCEPT")

        pid = host.sleepers["db"].pid
        run("ip route del default", pid=pid)
        assert host.ends("db", "outside") == "it is not sent: Network is unreachable"
        run("sysctl -qw net.ipv4.ip_forward=0")
        assert (
            "forwards nothing: net.ipv4.ip_forward is 0" in host.say("explain", "web", "outside")[1]
        )
        run("sysctl -qw net.ipv4.ip_forward=1")
        run("ip link set br-six down")
        assert "br-six is down" in host.say("explain", "db", "web:80")[1]
        run("ip link del br-six")
        assert "the bridge br-six is gone" in host.say("explain", "db", "web:80")[1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("web", "nobody"), "no container nobody is known"),
        (("outside", "web"), "what comes from outside is for a port"),
        (("db", "host", "-6"), ""),
        (("db", "web:80/sctp"), "'sctp' is no protocol"),
    ],
)
@in_namespaces
def test_explain_of_what_is_no_way_says_so(words: tuple[str, ...], why: str) -> None:
    """In one line; a host's address of IPv6 is on the bridge."""
    with Host() as host:
        status, told = host.say("explain", *words)
        assert (status != 0) is bool(why)
        assert why in told


@in_namespaces
def test_explain_without_a_way_out_says_so() -> None:
    """Nothing comes from outside where there is no default route."""
    with Host() as host:
        run("ip route del default")
        assert "there is no default route" in host.say("explain", "outside", "web:80")[1]
        assert "the host has no address" in host.say("explain", "outside", "host:8080")[1]


@in_namespaces
def test_doctor_names_causes_in_order_and_then_nothing() -> None:
    """A bridge that is down, a full network, a route in the way, a service behind a port."""
    with Host() as host:
        Bulletin(PATHS.run).ready()
        status, told = host.say("doctor")
        assert (status, told) == (
            1, "web: outside to host:5353/udp: nobody listens at port 53/udp\n",
        )  # fmt: skip
        with host.engine() as engine:
            engine.records.networks.add(network("tiny", "10.6.0.0/30"))
        host.up("only", on("tiny"))
        run("ip route add blackhole 10.7.0.192/26")
        run("ip link set br-six down")
        found = host.told("doctor")
        whats = [each["what"] for each in found]
        assert "10.6.0.0/30 is full: 1 held, 0 reserved" in whats
        assert any(
            "a route sends 10.7.0.192/26 of its 10.7.0.0/24 elsewhere" in each for each in whats
        )
        down = whats.index("the bridge br-six is down")
        assert down < next(at for at, each in enumerate(whats) if " to host" in each)


@in_namespaces
def test_doctor_names_a_black_hole_and_what_helps() -> None:
    """Short packets get out, long ones are lost, and a rule keeps that from their sender."""
    with Host() as host:
        run("ip link set up0 mtu 1400")
        run("nft add table inet adm")
        run("nft add chain inet adm out { type filter hook output priority 0 ; }")
        run("nft add rule inet adm out meta l4proto icmp drop")
        found = {each["what"]: each["remedy"] for each in host.told("doctor")}
        lost = "web to outside: IPv4 packets of 1500 bytes are lost, and it is not told"
        remedy = found[f"{lost}: inet adm out: meta l4proto icmp drop → drop"]
        run(*remedy.split())
        assert not [each for each in host.told("doctor") if "are lost" in each["what"]]


@in_namespaces
def test_check_names_services_behind_published_ports() -> None:
    """Once each, with the process and what helps, as doctor and status do; others it leaves out."""
    with Host() as host:
        assert host.say("check") == (0, "")
        with (
            socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True),
            socket.create_server(("127.0.0.1", 8081)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            datagrams.bind(("127.0.0.1", 5353))
            status, told = host.say("check")
            assert status == 1
            found = host.told("check", "web")
            whats = {each["what"]: each["why_not"] for each in found}
            wanted = "the host listens at {} too, which is published by it"
            assert sorted(whats) == [wanted.format("*:8080"), wanted.format("127.0.0.1:5353")]
            helps = f"process {os.getpid()} ("
            for what, port in zip(sorted(whats), ("8080:80/tcp", "5353:53/udp"), strict=True):
                assert whats[what].startswith(helps)
                assert whats[what].endswith(f"move it, or ocinet unpublish web {port}")
                assert what in told
                assert what in host.say("status")[1]
            assert host.say("check", "--repair")[0] == 1
            assert host.say("check", "db") == (0, "")
            assert wanted.format("*:8080") in [each["what"] for each in host.told("doctor")]
        assert host.say("check") == (0, "")


@in_namespaces
def test_status_shows_containers_networks_watcher_and_errors() -> None:
    """With words and as JSON, and changes nothing."""
    with Host() as host:
        bulletin = Bulletin(PATHS.run)
        bulletin.watched(["/run/docker.sock", "/run/other.sock"])
        bulletin.changed("/run/docker.sock", LISTENING, kind="docker")
        bulletin.heard("/run/docker.sock")
        bulletin.changed("/run/other.sock", "does not answer", "Connection refused")
        EventLog(PATHS.run).append(
            "attach failed", container="x1", name="x", door="hook", error="why"
        )
        shown = host.told("status")
        assert (shown["containers"]["alive"], shown["containers"]["failed"]) == (2, 1)
        assert shown["watcher"]["state"] == "starting"
        bulletin.ready()
        status, told = host.say("status")
        assert status == 0
        assert "docker    /run/docker.sock   listening for" in told
        assert "Connection refused" in told
        assert "2 attached, 1 failed, 0 drifted, 0 left over" in told
        assert "six    br-six   10.7.0.0/24" in told
        assert "ago  x: why" in told
        run("ip link set br-six down")
        host.sleepers.pop("db").end()
        told = host.say("status")[1]
        assert "the bridge br-six is down" in told
        assert "hint: ocinet check --repair" in told
        assert "hint: ocinet gc" in told
        assert "drifted" not in host.say("status", "--no-check")[1]

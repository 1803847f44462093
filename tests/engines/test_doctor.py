"""`ocinet doctor` on runc and crun containers: each cause is named, with what helps against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hosts.engine.hooked_podman import install
from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4, OUTSIDE_V6
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab


@pytest.fixture
def web(lab: Lab) -> Container:
    """A container that is reached at its published port, on a machine with a door."""
    install(lab, "runc")
    container = start(lab, "runc", "web", "-p", "8080:80")
    container.namespace.serve("tcp", 80)
    return container


def examine(lab: Lab) -> list[dict[str, Any]]:
    """Return what is found."""
    done = lab.ocinet("doctor", "--format", "json", check=False)
    found: list[dict[str, Any]] = done.json()
    assert done.status == (1 if found else 0)
    return found


def told(lab: Lab) -> set[tuple[str, str]]:
    """Return places and what is wrong there."""
    return {(each["place"], each["what"]) for each in examine(lab)}


@each_runtime
def test_machine_that_is_well_has_nothing_to_say(lab: Lab, runtime: str) -> None:
    """Two containers, a published port that answers; and it has changed nothing."""
    install(lab, runtime)
    web = start(lab, runtime, "web", "-p", "8080:80")
    web.namespace.serve("tcp", 80)
    start(lab, runtime, "log")
    before = lab.run("nft", "list", "ruleset").stdout, lab.run("ip", "link").stdout
    assert lab.ocinet("doctor").stdout == (
        "nothing stops containers from being reached or from getting out\n"
    )
    assert (lab.run("nft", "list", "ruleset").stdout, lab.run("ip", "link").stdout) == before


def test_machine_without_a_door_is_told(lab: Lab) -> None:
    """Whoever starts containers there gets no network, and is told where he asks."""
    (found,) = examine(lab)
    assert "nothing is registered, and nobody watches" in found["what"]
    assert "ocinet hooks install --podman" in found["remedy"]


def test_each_cause_is_named_before_its_symptoms(lab: Lab, web: Container) -> None:
    """The bridge that is down comes first; its remedy mends what follows from it, too."""
    lab.run("ip", "link", "set", "ocinet0", "down")
    found = examine(lab)
    assert found[0]["what"] == "the bridge ocinet0 is down"
    assert [each for each in found if each["what"].startswith("web to host")]
    program, *words = found[0]["remedy"].split()
    assert program == "ocinet"
    lab.ocinet(*words)
    assert examine(lab) == []
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"


def test_others_rules_limits_and_routes_are_named(lab: Lab, web: Container) -> None:
    """What an admin's table drops, a route that takes the subnet over, a pool without room."""
    lab.run("nft", "add table inet adm")
    lab.run("nft", "add chain inet adm fw { type filter hook forward priority 10; }")
    lab.run("nft", 'add rule inet adm fw oifname "uplink" drop')
    way = 'web to outside:443/tcp: inet adm fw: oifname "uplink" drop → drop'
    assert ("web", way) in told(lab)
    lab.run("nft", "delete table inet adm")

    lab.run("ip", "route", "add", "blackhole", "10.72.0.192/26")
    expected = "a route sends 10.72.0.192/26 of its 10.72.0.0/24 elsewhere, as a VPN's does"
    assert ("network bridge", expected) in told(lab)
    lab.run("ip", "route", "del", "blackhole", "10.72.0.192/26")

    lab.ocinet("network", "create", "tiny", "--subnet=10.9.0.0/30")
    start(lab, "runc", "only", "--net", "tiny")
    full = "10.9.0.0/30 is full: 1 held, 0 reserved"
    assert ("network tiny", full) in told(lab)


def test_who_does_not_listen_and_who_listens_besides_is_named(lab: Lab, web: Container) -> None:
    """A published port that leads to nobody, and a service of the host behind another one."""
    start(lab, "runc", "idle", "-p", "9090:90")
    lab.serve("tcp", 8080)
    found = dict(told(lab))
    assert found["idle"] == "outside to host:9090/tcp: nobody listens at port 90/tcp"
    assert "the host listens at *:8080 too" in found["web"]


def test_siblings_that_do_not_reach_each_other_are_named(lab: Lab, web: Container) -> None:
    """Each reaches the host and the outside, and is reached: only a packet between them tells."""
    start(lab, "runc", "db")
    assert examine(lab) == []
    lab.run("nft", "add table bridge adm")
    lab.run("nft", "add chain bridge adm fw { type filter hook forward priority 0; policy drop; }")
    [found] = examine(lab)
    assert "bridge adm fw: policy → drop" in found["what"]
    assert {"web to db", "db to web"} & {found["what"].partition(":")[0]}
    lab.run("sh", "-c", found["remedy"])
    assert examine(lab) == []
    lab.run("nft", "delete table bridge adm")
    assert examine(lab) == []


def test_port_at_an_address_that_has_gone_is_named(lab: Lab) -> None:
    """As with another lease of DHCP: it is published, and nobody comes by there."""
    install(lab, "runc")
    lab.run("ip", "address", "add", "203.0.113.77/32", "dev", "lo")
    start(lab, "runc", "web", "-p", "203.0.113.77:8080:80")
    lab.run("ip", "address", "del", "203.0.113.77/32", "dev", "lo")
    told_of = "8080/tcp is published at 203.0.113.77, which the host has not got any more"
    assert ("web", told_of) in told(lab)


def _table(family: str, chain: str, *rules: str) -> str:
    made = f"add table {family} adm", f"add chain {family} adm fw {{ {chain} }}"
    return f"nft '{'; '.join([*made, *rules])}'"


def _drops(hook: str) -> str:
    return f"type filter hook {hook} priority 0; policy drop;"


_WRONG = "lladdr 02:00:00:00:00:99 dev {} nud permanent"
_UNTRACKED = "type filter hook prerouting priority -300;"


@pytest.mark.parametrize(
    ("cause", "told_of", "cure"),
    [
        (_table("netdev", _drops('egress device "uplink"')),
         "web to outside:443/tcp: netdev adm fw", "nft delete table netdev adm"),
        (_table("netdev", _drops('ingress device "END"')),
         "netdev adm fw looks at what passes END (ingress)", "nft delete table netdev adm"),
        ("tc qdisc add dev END root tbf rate 8bit burst 10 latency 1ms",
         "a queue of END (tbf) has dropped ", ""),
        (f"ip neigh replace BESIDE {_WRONG.format('ocinet0')}",
         "takes BESIDE, db's, to be at 02:00:00:00:00:99", ""),
        (f"ip -n web neigh replace 10.72.0.1 {_WRONG.format('eth0')}",
         "takes 10.72.0.1 to be at 02:00:00:00:00:99", ""),
        (f"ip -n web neigh replace BESIDE {_WRONG.format('eth0')}",
         "takes BESIDE to be at 02:00:00:00:00:99", ""),
        (_table("ip", _UNTRACKED, "add rule ip adm fw notrack"),
         "ip adm fw: notrack: what no connection is kept of", "nft delete table ip adm"),
        (f"ip netns exec web {_table('ip', _drops('output'))}",
         "has a chain of its own, ip adm fw (output, drop)",
         "ip netns exec web nft delete table ip adm"),
        (f"ip netns exec web {_table('ip', _drops('input'))}",
         "has a chain of its own, ip adm fw (input, drop)",
         "ip netns exec web nft delete table ip adm"),
        ("ip rule add from OWN prohibit pref 100", "has no way to 198.18.0.1: Permission denied",
         "ip rule del pref 100"),
        ("ip -n web rule add to BESIDE prohibit pref 100", "no way to BESIDE: Permission denied",
         "ip -n web rule del pref 100"),
    ],
)  # fmt: skip
def test_what_is_in_no_trace_is_named(
    lab: Lab, web: Container, cause: str, told_of: str, cure: str
) -> None:
    """Devices' own rules, queues, neighbours set by hand, untracked packets, rules in the sandbox.

    It is told no more once the command that is told with it has run, or its undoing.
    """
    db = start(lab, "runc", "db")
    own, beside = (each.namespace.addresses("eth0")[0].split("/")[0] for each in (web, db))
    [end] = (each["host_ifname"] for each in lab.records()["web"]["endpoints"])

    def meant(text: str) -> str:
        return text.replace("END", end).replace("BESIDE", beside).replace("OWN", own)

    lab.run("sh", "-c", meant(cause))
    found = [each for each in examine(lab) if meant(told_of) in each["what"]]
    assert found
    assert found[0]["remedy"]
    lab.run("sh", "-c", cure or found[0]["remedy"])
    assert examine(lab) == []


def test_what_is_told_for_roots_shell_has_what_a_container_has_chosen_quoted(
    lab: Lab, web: Container
) -> None:
    """It calls its links as it likes, and a command is told for each."""
    db = start(lab, "runc", "db")
    beside = db.namespace.addresses("eth0")[0].split("/")[0]
    link = "'a;false'"
    for made in (
        f"link add {link} up type bridge",
        f"route add {beside} dev {link}",
        f"neigh replace {beside} {_WRONG.format(link)}",
    ):
        lab.run("sh", "-c", f"ip -n web {made}")
    remedy = f"ip netns exec web ip neigh del {beside} dev {link}"
    assert remedy in [each["remedy"] for each in examine(lab)]


def test_chain_of_the_uplink_that_drops_nothing_is_no_finding(lab: Lab, web: Container) -> None:
    """A real packet passes it, and is kept behind it."""
    lab.run("sh", "-c", _table("netdev", 'type filter hook egress device "uplink" priority 0;'))
    assert examine(lab) == []
    rule = "nft add rule netdev adm fw ip protocol tcp drop"
    lab.run(*rule.split())
    [found] = examine(lab)
    dropped = "web to outside:443/tcp: netdev adm fw: ip protocol tcp drop → drop"
    assert (found["what"], found["remedy"]) == (
        dropped, "see who wants it: nft -a list chain netdev adm fw"
    )  # fmt: skip
    lab.run("nft", "delete", "table", "netdev", "adm")


def test_each_way_has_its_own_time_however_many_there_are(lab: Lab) -> None:
    """On a machine that is well, with more networks than could be tried in one operation's time."""
    install(lab, "runc")
    lab.path("/etc/ocinet/ocinet.toml.d/60-time.toml").write_text("lock_timeout_s = 3\n")
    for number in range(5):
        lab.make_network(f"lan{number}", f"10.9.{number}.0/24")
        start(lab, "runc", f"web{number}", "--net", f"lan{number}")
    assert examine(lab) == []


def test_server_of_names_that_answers_nobody_is_named(lab: Lab, web: Container) -> None:
    """Somebody listens at a container's port 53, and says nothing."""
    start(lab, "runc", "dns").namespace.serve("udp", 53)
    silent = "import socket, time; s = socket.socket(type=2); s.bind(('', 53)); time.sleep(999)"
    mute = start(lab, "runc", "mute")
    mute.namespace.start("/usr/bin/python3", "-c", silent)
    wait_until(lambda: ":53 " in mute.namespace.run("ss", "-Hlun").stdout, "it listens")
    assert lab.ocinet("explain", "web", "dns:53/udp").status == 0
    told_of = lab.ocinet("explain", "web", "mute:53/udp", check=False)
    assert told_of.status == 1
    assert "somebody listens at 0.0.0.0:53, and answers no question" in told_of.stdout


def test_network_of_ipv6_alone_is_tried_by_that(lab: Lab) -> None:
    """One that is well has nothing to say; one that is not, says so."""
    install(lab, "runc")
    lab.make_network("six", "fd00:66::/64")
    start(lab, "runc", "web", "--net", "six")
    start(lab, "runc", "db", "--net", "six")
    assert examine(lab) == []
    lab.run("ip", "-6", "route", "del", "default")
    [found] = examine(lab)
    assert "web to outside:443/tcp: has no way to 2001:2::1" in found["what"]
    lab.run("ip", "-6", "route", "add", "default", "via", OUTSIDE_V6)

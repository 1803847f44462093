"""Where another firewall drops what passes through the host: iptables, dockerd, nft.

Bridged packets pass the firewall in these tests (bridge-nf-call-iptables is 1),
so that siblings meet the other table, too.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from hosts.lab.topology import (
    EVERY,
    OUTSIDE_SERVICE,
    SERVICE,
    SILENT,
    Question,
    Topology,
    attach,
    bridge_netfilter,
    detach_all,
    make_world,
    run_attached,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab
    from hosts.lab.topology import Family

OUT = Question("web", "outside", OUTSIDE_SERVICE)
SIBLING = Question("web", "sibling", SERVICE)
PUBLISHED = Question("outside", "uplink", EVERY)
PUBLISHED_UDP = PUBLISHED._replace(protocol="udp")
HAIRPIN = Question("web", "uplink", EVERY)
PASSING = {
    OUT: "outside sees uplink",
    SIBLING: "sibling sees web",
    PUBLISHED: "web sees outside",
    PUBLISHED_UDP: "web sees outside",
    HAIRPIN: "web sees lan gateway",
}
FAMILIES: tuple[Family, ...] = (4, 6)
STOPPED = dict.fromkeys(PASSING, SILENT)


def _drop_forwarded(lab: Lab) -> None:
    """Have iptables drop what it doesn't know, as an admin or Docker would."""
    for tool in ("iptables", "ip6tables"):
        lab.run(tool, "--policy", "FORWARD", "DROP")


def _leave(lab: Lab) -> None:
    """Remove what ocinet made, and see that the other table has nothing of it any more."""
    detach_all(lab)
    lab.ocinet("network", "rm", "lan")
    assert _rules(lab) == []


def _drop_tables(lab: Lab) -> None:
    """Remove what iptables made, for `_drop_forwarded` or for dockerd."""
    for line in lab.run("nft", "list", "tables").stdout.splitlines():
        if line != "table inet ocinet":
            lab.run("nft", "delete", *line.split())


def _rules(lab: Lab, chain: str = "FORWARD", tool: str = "iptables") -> list[str]:
    """Return our rules in an iptables chain."""
    listed = lab.run(tool, "--list-rules", chain).stdout.splitlines()
    return [rule for rule in listed if "ocinet:" in rule]


def _assert_answers(world: Topology, expected: Mapping[Question, str]) -> None:
    assert world.ask_all(dict(expected)) == expected


def _make_world(lab: Lab, *, ipv6: bool = False) -> Topology:
    bridge_netfilter(lab, on=True)
    world = make_world(lab, "web", "sibling", ipv6=ipv6)
    world.serve()
    return world


def _events(lab: Lab) -> list[dict[str, str]]:
    told = lab.run("cat", "/run/ocinet/events.jsonl").stdout
    return [json.loads(line) for line in told.splitlines()]


@pytest.mark.parametrize("rule", ["", "-j REJECT", "-m conntrack --ctstate NEW -j DROP"])
def test_attach_under_a_chain_that_drops_lets_our_bridge_pass(lab: Lab, rule: str) -> None:
    """Out, among siblings, in through a published port: by two tagged rules per family."""
    if rule:  # as RHEL's iptables-services has it, with the policy left at ACCEPT
        for tool in ("iptables", "ip6tables"):
            lab.run(tool, "--append", "FORWARD", *rule.split())
    else:
        _drop_forwarded(lab)
    world = _make_world(lab, ipv6=True)
    passing = {
        question._replace(family=family): answer
        for question, answer in PASSING.items()
        for family in FAMILIES
    }

    _assert_answers(world, passing)

    for tool in ("iptables", "ip6tables"):
        ours = _rules(lab, tool=tool)
        assert [rule.split()[2] for rule in ours] == ["-o", "-i"]
        for added in ours:
            lab.run(tool, "--delete", *shlex.split(added)[1:])
    assert set(world.ask_all(dict.fromkeys(passing, SILENT)).values()) <= {SILENT, "refused"}
    _leave(lab)
    _drop_tables(lab)


def test_attach_after_policy_became_drop_mends_the_whole_network(lab: Lab) -> None:
    """A policy that turned to drop stops what is wired; the next attach lets it pass again."""
    world = _make_world(lab)
    _assert_answers(world, PASSING)
    _drop_forwarded(lab)
    _assert_answers(world, STOPPED)

    run_attached(lab, "late", "lan")

    _assert_answers(world, PASSING)
    _leave(lab)
    _drop_tables(lab)


def test_remove_network_takes_its_accept_rules_out(lab: Lab) -> None:
    """The rules stay while the network does, also without containers, and go with it."""
    _drop_forwarded(lab)
    lab.ocinet("network", "create", "lan")
    run_attached(lab, "web", "lan")
    detach_all(lab)
    assert len(_rules(lab)) == 2

    lab.ocinet("network", "rm", "lan")

    assert _rules(lab) == []
    _drop_tables(lab)


def test_attach_told_not_to_accept_explains_and_touches_no_foreign_table(lab: Lab) -> None:
    """`forward_accept = false`: plan and event tell what drops and what would let it pass."""
    lab.run("mkdir", "-p", "/etc/ocinet")
    lab.path("/etc/ocinet/ocinet.toml").write_text("forward_accept = false\n")
    _drop_forwarded(lab)
    before = _foreign_rules(lab)

    world, planned = _plan_and_attach(lab)

    assert _foreign_rules(lab) == before
    assert "iptables -I" not in planned
    _assert_explained(lab, world, planned, "ip filter FORWARD drops ")
    _leave(lab)
    _drop_tables(lab)


def _foreign_rules(lab: Lab) -> list[str]:
    """Return everything in tables that are not ours."""
    tables = lab.run("nft", "list", "tables").stdout.splitlines()
    others = [table.split() for table in tables if table != "table inet ocinet"]
    return [lab.run("nft", "list", *table).stdout for table in others]


def _plan_and_attach(lab: Lab) -> tuple[Topology, str]:
    """Attach one container that publishes a port; return what `plan` showed before."""
    lab.ocinet("network", "create", "lan")
    container = lab.runc.run(lab.bundle("web"))
    words = ("--net", "lan", "--publish", f"{EVERY}:80")
    planned = lab.ocinet("plan", f"pid:{container.pid}", *words).stdout
    attach(container, "lan", f"{EVERY}:80")
    world = Topology(lab, {"web": container.namespace}, {"web": "lan"})
    world.serve("web", "outside")
    return world, planned


def _assert_explained(lab: Lab, world: Topology, planned: str, what: str) -> None:
    """Plan and event tell what drops; the command that they give lets packets pass."""
    (comment,) = (line for line in planned.splitlines() if line.startswith(f"# {what}"))
    # Besides, the container's read-only root has no place for a resolv.conf.
    warnings = [event["warning"] for event in _events(lab) if "warning" in event]
    (warning,) = (text for text in warnings if text.startswith(what))
    assert comment == f"# {warning}"
    _assert_answers(world, {OUT: SILENT, PUBLISHED: SILENT})
    lab.run("sh", "-e", "-c", warning[warning.index("nft insert") :])
    _assert_answers(world, {OUT: PASSING[OUT], PUBLISHED: PASSING[PUBLISHED]})


def test_attach_beside_foreign_dropping_table_explains_what_to_add(lab: Lab) -> None:
    """A table of nobody we know is not touched; the command that is told lets packets pass."""
    rules = """
        table inet corporate {
            chain passing {
                type filter hook forward priority 10; policy drop;
            }
        }"""
    lab.run("nft", "-f", "-", stdin=rules)
    before = _foreign_rules(lab)

    world, planned = _plan_and_attach(lab)

    assert _foreign_rules(lab) == before
    _assert_explained(lab, world, planned, "inet corporate passing drops ")
    lab.run("nft", "delete", "table", "inet", "corporate")
    _leave(lab)


def test_attach_beside_dockerd_passes_its_rules_and_survives_its_restart(lab: Lab) -> None:
    """Docker's drop policy and isolation stop nothing of ours, nor does a new dockerd."""
    baseline = lab.baseline
    with lab.docker() as docker:
        world = _make_world(lab)
        _assert_answers(world, PASSING)
        _assert_apart(world, docker)
        assert len(_rules(lab, "DOCKER-USER")) == 5
        assert _rules(lab) == []
    _assert_answers(world, PASSING)
    with lab.docker():
        _assert_answers(world, PASSING)
    _leave(lab)
    assert _rules(lab, "DOCKER-USER") == []
    _drop_tables(lab)
    lab.baseline = baseline


def _assert_apart(world: Topology, docker: Docker) -> None:
    """Ours and Docker's containers don't reach each other, but by what they publish."""
    theirs = docker.run("--publish=9090:80", network="bridge")
    beside = Topology(
        world.lab,
        {"web": world.places["web"], "theirs": theirs.namespace},
        {"web": "lan", "theirs": "docker0"},
    )
    beside.serve("theirs", protocols=("tcp",))
    _assert_answers(
        beside,
        {
            Question("web", "theirs", SERVICE): SILENT,
            Question("theirs", "web", SERVICE): SILENT,
            # each side masquerades what leaves its own bridges
            Question("theirs", "uplink", EVERY): "web sees lan gateway",
            Question("web", "uplink", 9090): "theirs sees docker0 gateway",
            Question("outside", "uplink", 9090): "theirs sees outside",
        },
    )


def test_start_dockerd_after_attach_stops_nothing_and_a_drop_policy_is_mended(lab: Lab) -> None:
    """A dockerd that comes later stops nothing; a policy that turns to drop is mended."""
    baseline = lab.baseline
    world = _make_world(lab)
    with lab.docker():
        _assert_answers(world, PASSING)
        lab.run("iptables", "--policy", "FORWARD", "DROP")
        assert world.ask(OUT, expected=SILENT) == SILENT

        run_attached(lab, "late", "lan")

        _assert_answers(world, PASSING)
        assert len(_rules(lab, "DOCKER-USER")) == 5
    _leave(lab)
    assert _rules(lab, "DOCKER-USER") == []
    _drop_tables(lab)
    lab.baseline = baseline


@pytest.mark.parametrize("proxy", [True, False])
def test_adopt_docker0_containers_live_beside_dockers_own(lab: Lab, proxy: bool) -> None:
    """On docker0, ours and Docker's reach each other, and both publish."""
    with lab.docker(f"--userland-proxy={str(proxy).lower()}") as docker:
        theirs = docker.run("--publish=9090:80", network="bridge")
        lab.ocinet(
            "network", "create", "lan", "--bridge", "docker0", "--unmanaged",
            "--ip-range", "172.17.200.0/24",
        )  # fmt: skip
        ours = run_attached(lab, "web", "lan", f"{EVERY}:80")
        world = Topology(
            lab, {"web": ours.namespace, "theirs": theirs.namespace},
            {"web": "docker0", "theirs": "docker0"},
        )  # fmt: skip
        world.serve()
        _assert_answers(
            world,
            {
                Question("web", "theirs", SERVICE): "theirs sees web",
                Question("theirs", "web", SERVICE): "web sees theirs",
                PUBLISHED: "web sees outside",
                OUT: "outside sees uplink",
                Question("theirs", "outside", OUTSIDE_SERVICE): "outside sees uplink",
                Question("outside", "uplink", 9090): "theirs sees outside",
                Question("theirs", "uplink", EVERY): "web sees docker0 gateway",
                Question("host", "loopback", EVERY): "web sees docker0 gateway",
                HAIRPIN: "web sees docker0 gateway",
            },
        )
        assert world.address("web").startswith("172.17.200.")
        detach_all(lab)
        lab.ocinet("network", "rm", "lan")
        assert _rules(lab, "DOCKER-USER") == []
        assert world.ask(Question("outside", "uplink", 9090)) == "theirs sees outside"


def test_adopted_bridge_that_keeps_its_containers_apart_is_told(lab: Lab) -> None:
    """Not opened, for its owner may mean it; whoever runs the command that is told opens it."""
    bridge_netfilter(lab, on=True)
    lab.run("ip", "link", "add", "br-own", "type", "bridge")
    lab.run("ip", "address", "add", "10.98.0.1/24", "dev", "br-own")
    lab.run("ip", "link", "set", "br-own", "up")
    lab.ocinet("network", "create", "own", "--bridge=br-own", "--unmanaged")
    lab.run("iptables", "--policy", "FORWARD", "DROP")
    one, other = (lab.make_netns(name) for name in ("one", "other"))
    told = lab.ocinet("attach", "netns:/run/netns/one", "--net=own", "--ip=10.98.0.5").stderr
    lab.ocinet("attach", "netns:/run/netns/other", "--net=own", "--ip=10.98.0.6")

    assert "ip filter FORWARD drops what containers on br-own send each other" in told
    assert not other.pings("10.98.0.5")
    assert one.pings("10.98.0.1")
    lab.run(*shlex.split(told.partition("packets pass it too: ")[2].partition(", or for")[0]))
    assert other.pings("10.98.0.5")
    assert "send each other" not in lab.ocinet("attach", "one", "--net=own").stderr
    lab.ocinet("detach", "one", "other")
    for name in ("one", "other"):
        lab.run("ip", "netns", "delete", name)
    lab.ocinet("network", "rm", "own")
    lab.run("ip", "link", "delete", "br-own")
    for tool in ("iptables", "ip6tables"):
        lab.run(
            "nft", "delete", "table", "ip" if tool == "iptables" else "ip6", "filter", check=False
        )

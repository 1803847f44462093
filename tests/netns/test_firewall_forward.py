"""Our accept rules where another table drops what is forwarded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.bridged_host import (
    ADOPTED,
    EVERY,
    HOST,
    NEIGHBOUR,
    OTHER,
    BridgedHost,
    address,
)
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.ruleset import nft

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("iptables-nft")
_DOCKER = """\
*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o old -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i old ! -o old -j ACCEPT
-A FORWARD -i old -o old -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i old ! -o old -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o old -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""


@contextmanager
def opened() -> Iterator[ForwardAccepts]:
    """Yield our rules in others' tables."""
    with NetfilterSocket() as netfilter:
        yield ForwardAccepts(netfilter)


def _docker() -> None:
    """Make the rules that dockerd makes, as if `old` was its bridge, in both families."""
    for tool in ("iptables-nft-restore", "ip6tables-nft-restore"):
        run(tool, given=_DOCKER)


def _rules(chain: str, tool: str = "iptables-nft") -> list[str]:
    return [line for line in run(tool, "-S", chain).splitlines() if "ocinet:" in line]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("bridge_nf", [False, True])
@in_namespaces
def test_managed_bridge_passes_a_drop_policy_with_our_rules_and_not_without(
    family: int, bridge_nf: bool
) -> None:
    """Out, in through a published port, and among siblings; still isolated by our own table."""
    host, neighbour = HOST[family], NEIGHBOUR[family]
    with BridgedHost(bridge_nf=bridge_nf) as world, opened() as accepts:
        world.enter()
        world.serve_all()
        _docker()
        out = ("a", neighbour, 7000), f"neighbour {host}"
        published = ("neighbour", host, EVERY), f"a {neighbour}"
        sibling = ("b", address("a", family), 80), f"a {address('b', family)}"
        assert not accepts.is_accepted("lan")
        assert [world.ask_in_vain(*out[0]), world.ask_in_vain(*published[0])] == ["", ""]
        ask = world.ask_in_vain if bridge_nf else world.ask
        assert ask(*sibling[0]) == ("" if bridge_nf else sibling[1])
        assert accepts.add("lan", managed=True)
        assert accepts.is_accepted("lan")
        for question, answer in (out, published, sibling):
            assert world.ask(*question) == answer
        assert world.ask_in_vain("neighbour", address("a", family), 80) == ""
        accepts.remove("lan")
        assert [world.ask_in_vain(*out[0]), world.ask_in_vain(*published[0])] == ["", ""]


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_managed_bridge_does_not_get_into_dockers_network_by_our_rules(family: int) -> None:
    """Docker's isolation holds against us as well; what is published there is open."""
    with BridgedHost(bridge_nf=True) as world, opened() as accepts:
        world.enter()
        world.serve_all()
        _docker()
        inside, published = address("o", family), (HOST[family], ADOPTED)
        accepts.add("old", managed=False)
        accepts.add("lan", managed=True)
        assert world.ask_in_vain("a", inside, 80) == ""
        assert world.ask("a", *published) == f"o {address('a', family)}"
        for tool in ("iptables-nft", "ip6tables-nft"):  # the guard
            run(tool, "-F", "DOCKER-ISOLATION-STAGE-2")
        assert world.ask("a", inside, 80) == f"o {address('a', family)}"


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_adopted_bridge_is_opened_for_published_ports_alone(family: int) -> None:
    """A published port gets through; the rest is as its owner has it."""
    with BridgedHost(bridge_nf=True) as world, opened() as accepts:
        world.enter()
        world.serve_all()
        _docker()
        published = ("neighbour", HOST[family], ADOPTED)
        assert world.ask_in_vain(*published) == ""
        assert accepts.add("old", managed=False)
        assert world.ask(*published) == f"o {NEIGHBOUR[family]}"
        assert world.ask_in_vain("neighbour", address("o", family), 80) == ""
        assert world.ask("o", NEIGHBOUR[family], 7000) == f"neighbour {address('o', family)}"
        # Nor do our rules lead out of it past its owner's isolation.
        for tool in ("iptables-nft", "ip6tables-nft"):
            run(tool, "-I", "DOCKER-ISOLATION-STAGE-2", "-o", "dmz", "-j", "DROP")
        assert world.ask_in_vain("o", HOST[family], OTHER) == ""


@in_namespaces
def test_add_goes_into_dockers_chain_once_and_remove_takes_it_out() -> None:
    """The rules stand above what is in DOCKER-USER, tagged; a second time changes nothing."""
    _docker()
    before = run("iptables-nft", "-S"), run("ip6tables-nft", "-S")
    with opened() as accepts:
        accepts.remove("ocinet0")
        assert accepts.add("ocinet0", managed=True)
        assert not accepts.add("ocinet0", managed=True)
        assert accepts.add("ocinet1", managed=True)
        for tool in ("iptables-nft", "ip6tables-nft"):
            listed = run(tool, "-S", "DOCKER-USER").splitlines()
            assert "-j RETURN" in listed[-1]
            assert len(_rules("DOCKER-USER", tool)) == 6
            assert _rules("FORWARD", tool) == []
        accepts.remove("ocinet1")
        assert accepts.is_accepted("ocinet0")
        assert not accepts.is_accepted("ocinet")
        accepts.remove("ocinet0")
        accepts.remove("ocinet0")
    assert (run("iptables-nft", "-S"), run("ip6tables-nft", "-S")) == before


@in_namespaces
def test_add_without_docker_goes_into_forward_of_the_family_that_drops() -> None:
    """Without Docker's chain, two rules are in FORWARD, and none where IPv6 is not dropped."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    run("ip6tables-nft", "-P", "FORWARD", "ACCEPT")
    with opened() as accepts:
        assert accepts.add("ocinet0", managed=True)
        assert accepts.is_accepted("ocinet0")
    assert [rule.split()[2] for rule in _rules("FORWARD")] == ["-o", "-i"]
    assert _rules("FORWARD", "ip6tables-nft") == []


@in_namespaces
def test_add_where_nothing_drops_adds_nothing() -> None:
    """Other tables are left alone unless they must be touched."""
    run("iptables-nft", "-P", "FORWARD", "ACCEPT")
    with opened() as accepts:
        assert accepts.is_accepted("ocinet0")
        assert not accepts.add("ocinet0", managed=True)
    assert _rules("FORWARD") == []


@pytest.mark.parametrize(
    "loss",
    [
        ("-F",),
        ("-F", "DOCKER-USER"),
        ("-D", "FORWARD", "-j", "DOCKER-USER"),
        ("-D", "DOCKER-USER", "2"),
    ],
)
@in_namespaces
def test_lost_rules_are_seen_at_once_and_come_back(loss: tuple[str, ...]) -> None:
    """A flush, a broken way into Docker's chain, half a removal: the next attach mends it."""
    _docker()
    with opened() as accepts:
        accepts.add("ocinet0", managed=False)
        run("iptables-nft", *loss)
        assert not accepts.is_accepted("ocinet0")
        assert accepts.add("ocinet0", managed=False)
        assert accepts.is_accepted("ocinet0")
        assert len(_rules("DOCKER-USER") + _rules("FORWARD")) in (2, 4)


@in_namespaces
def test_rules_have_the_text_that_a_plan_shows() -> None:
    """The commands of a plan, run in a shell, make the same rules."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    for managed in (True, False):
        with opened() as accepts:
            accepts.add("ocinet0", managed=managed)
            applied = run("iptables-nft", "-S")
            accepts.remove("ocinet0")
        for line in nft.forward_accept_commands("ocinet0", managed=managed):
            run("sh", "-c", line)
        assert run("iptables-nft", "-S") == applied
        run("iptables-nft", "-F")


@in_namespaces
def test_failing_iptables_is_told_with_its_own_words() -> None:
    """A programs that fails is told with what it said, on one line and not at any length."""
    with pytest.raises(SystemFailure, match=r"iptables-nft failed: .*NOTHING") as failed:
        programs.run((programs.find("iptables", "iptables-nft"), "-S", "NOTHING"))
    assert "\n" not in str(failed.value)

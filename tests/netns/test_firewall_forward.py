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
from ocinet.base.address import Address
from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.model.passage import Passage
from ocinet.engine.ruleset import nft

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.model.passage import ForwardDrop

pytestmark = pytest.mark.needs("iptables-nft")
_DOCKER = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o old -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o old -j DOCKER
-A FORWARD -i old ! -o old -j ACCEPT
-A FORWARD -i old -o old -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i old ! -o old -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o old -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""
_DOCKER_INTERNAL = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -i old -o old -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 ! -s SUBNET -o old -j DROP
-A DOCKER-ISOLATION-STAGE-1 ! -d SUBNET -i old -j DROP
-A DOCKER-USER -j RETURN
COMMIT
"""
_DOCKER_28 = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i old -o old -j DROP
-A DOCKER-BRIDGE -o old -j DOCKER
-A DOCKER-CT -o old -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i old -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i old ! -o old -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o old -j DROP
COMMIT
"""
_DOCKER_29 = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-INTERNAL - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i old -o old -j DROP
-A DOCKER-BRIDGE -o old -j DOCKER
-A DOCKER-CT -o old -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i old -j ACCEPT
COMMIT
"""
_DOCKER_29_INTERNAL = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-INTERNAL - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-INTERNAL ! -s SUBNET -o old -j DROP
-A DOCKER-INTERNAL ! -d SUBNET -i old -j DROP
COMMIT
"""
# As its own documentation has them, with `old` for a network's bridge: what it was up to 27,
# what it is in 28, and in 29 with the iptables back end; with an internal network alone.
_VERSIONS = {
    "27": _DOCKER, "27 internal": _DOCKER_INTERNAL, "28": _DOCKER_28,
    "29": _DOCKER_29, "29 internal": _DOCKER_29_INTERNAL,
}  # fmt: skip
_SUBNETS = {4: "10.6.0.0/24", 6: "fd00:6::/64"}


@contextmanager
def opened() -> Iterator[ForwardAccepts]:
    """Yield our rules in others' tables."""
    with NetfilterSocket() as netfilter:
        yield ForwardAccepts(netfilter)


def _docker(version: str = "27") -> None:
    """Make the rules that dockerd makes, as if `old` was its bridge, in both families."""
    for family, tool in ((4, "iptables-nft-restore"), (6, "ip6tables-nft-restore")):
        run(tool, given=_VERSIONS[version].replace("SUBNET", _SUBNETS[family]))


def _rules(chain: str, tool: str = "iptables-nft") -> list[str]:
    return [line for line in run(tool, "-S", chain).splitlines() if "ocinet:" in line]


def _judge(
    accepts: ForwardAccepts, device: str, *, managed: bool = True
) -> tuple[ForwardDrop, ...]:
    """Return who drops packets of a bridge of both families; of an adopted one, to its ports."""
    addresses = tuple(map(Address.parse, ("10.9.0.128", "fd00:9::80")))
    return accepts.judge(Passage(device, 0, addresses, out=managed, managed=managed))


def _add(accepts: ForwardAccepts, device: str, *, managed: bool) -> bool:
    """Put our rules for a bridge where its packets are dropped."""
    drops = _judge(accepts, device, managed=managed)
    return accepts.add(device, tuple(drop.accept_in for drop in drops), managed=managed)


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
        assert _judge(accepts, "lan")
        assert [world.ask_in_vain(*out[0]), world.ask_in_vain(*published[0])] == ["", ""]
        ask = world.ask_in_vain if bridge_nf else world.ask
        assert ask(*sibling[0]) == ("" if bridge_nf else sibling[1])
        assert _add(accepts, "lan", managed=True)
        assert not _judge(accepts, "lan")
        for question, answer in (out, published, sibling):
            assert world.ask(*question) == answer
        assert world.ask_in_vain("neighbour", address("a", family), 80) == ""
        accepts.remove("lan")
        assert [world.ask_in_vain(*out[0]), world.ask_in_vain(*published[0])] == ["", ""]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("version", _VERSIONS)
@in_namespaces
def test_managed_bridge_does_not_get_into_dockers_network_by_our_rules(
    family: int, version: str
) -> None:
    """Docker's isolation holds against us as well; what is published there is open."""
    with BridgedHost(bridge_nf=True) as world, opened() as accepts:
        world.enter()
        world.serve_all()
        _docker(version)
        inside, published = address("o", family), (HOST[family], ADOPTED)
        _add(accepts, "old", managed=False)
        _add(accepts, "lan", managed=True)
        assert world.ask("a", NEIGHBOUR[family], 7000) == f"neighbour {HOST[family]}"
        assert world.ask_in_vain("a", inside, 80) == ""
        assert world.ask("a", *published) == f"o {address('a', family)}"
        for tool in ("iptables-nft", "ip6tables-nft"):  # the guards
            for chain in nft.DOCKER_ISOLATION:
                if f"-N {chain}\n" in run(tool, "-S"):
                    run(tool, "-F", chain)
        assert world.ask("a", inside, 80) == f"o {address('a', family)}"


@pytest.mark.parametrize("before", ["", "27"])
@in_namespaces
def test_rules_of_before_docker_or_of_another_version_are_renewed(before: str) -> None:
    """Docker that comes after them, or comes with other chains, would be passed by."""
    with BridgedHost(bridge_nf=True) as world, opened() as accepts:
        world.enter()
        world.serve_all()
        if before:
            _docker(before)
        else:
            run("iptables-nft", "-P", "FORWARD", "DROP")
        assert _add(accepts, "lan", managed=True)
        # A dockerd that starts inserts its jumps, and can't delete a chain that we go to.
        text = _DOCKER_29.replace("-A FORWARD", "-I FORWARD")
        for chain in ("FORWARD", "DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"):
            if before:
                run("iptables-nft", "-F", chain)
        text = text.replace(":DOCKER-USER - [0:0]\n", "" if before else ":DOCKER-USER - [0:0]\n")
        run("iptables-nft-restore", "--noflush", given=text)
        (drop,) = (drop for drop in _judge(accepts, "lan") if drop.chain.startswith("ip "))
        assert drop.outdated
        assert _add(accepts, "lan", managed=True)
        assert not [drop for drop in _judge(accepts, "lan") if drop.chain.startswith("ip ")]
        assert world.ask_in_vain("a", address("o", 4), 80) == ""
        assert world.ask("a", NEIGHBOUR[4], 7000) == f"neighbour {HOST[4]}"


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
        assert _add(accepts, "old", managed=False)
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
        assert _add(accepts, "ocinet0", managed=True)
        assert not _add(accepts, "ocinet0", managed=True)
        assert _add(accepts, "ocinet1", managed=True)
        for tool in ("iptables-nft", "ip6tables-nft"):
            listed = run(tool, "-S", "DOCKER-USER").splitlines()
            assert "-j RETURN" in listed[-1]
            assert len(_rules("DOCKER-USER", tool)) == 10
            assert _rules("FORWARD", tool) == []
        accepts.remove("ocinet1")
        assert not _judge(accepts, "ocinet0")
        assert _judge(accepts, "ocinet")
        accepts.remove("ocinet0")
        accepts.remove("ocinet0")
    assert (run("iptables-nft", "-S"), run("ip6tables-nft", "-S")) == before


@in_namespaces
def test_add_without_docker_goes_into_forward_of_the_family_that_drops() -> None:
    """Without Docker's chain, two rules are in FORWARD, and none where IPv6 is not dropped."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    run("ip6tables-nft", "-P", "FORWARD", "ACCEPT")
    with opened() as accepts:
        assert _add(accepts, "ocinet0", managed=True)
        assert not _judge(accepts, "ocinet0")
    assert [rule.split()[2] for rule in _rules("FORWARD")] == ["-o", "-i"]
    assert _rules("FORWARD", "ip6tables-nft") == []


@in_namespaces
def test_add_where_nothing_drops_adds_nothing() -> None:
    """Other tables are left alone unless they must be touched."""
    run("iptables-nft", "-P", "FORWARD", "ACCEPT")
    with opened() as accepts:
        assert not _judge(accepts, "ocinet0")
        assert not _add(accepts, "ocinet0", managed=True)
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
        _add(accepts, "ocinet0", managed=False)
        run("iptables-nft", *loss)
        assert _judge(accepts, "ocinet0", managed=False)
        assert _add(accepts, "ocinet0", managed=False)
        assert not _judge(accepts, "ocinet0", managed=False)
        assert len(_rules("DOCKER-USER") + _rules("FORWARD")) in (2, 4)


@in_namespaces
def test_rules_have_the_text_that_a_plan_shows() -> None:
    """The commands of a plan, run in a shell, make the same rules."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    for managed in (True, False):
        with opened() as accepts:
            _add(accepts, "ocinet0", managed=managed)
            applied = run("iptables-nft", "-S")
            accepts.remove("ocinet0")
        for line in nft.forward_accept_commands("ocinet0", managed=managed):
            run("sh", "-c", line)
        assert run("iptables-nft", "-S") == applied
        run("iptables-nft", "-F")


@in_namespaces
def test_failing_iptables_is_told_with_its_own_words() -> None:
    """A program that fails is told with what it said, on one line and not at any length."""
    with pytest.raises(SystemFailure, match=r"iptables-nft failed: .*--nonsense") as failed:
        programs.run((programs.find("iptables", "iptables-nft"), "--nonsense"))
    assert "\n" not in str(failed.value)

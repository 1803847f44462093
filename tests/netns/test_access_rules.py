"""Each rule of who may talk to whom, proven by packets that fare otherwise without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from builders import tcp
from hosts.namespace.apart_host import NEIGHBOUR_6, Apart, asking
from hosts.namespace.bridged_host import chains_of_table, without
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UPLINK

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.request import Request

    # Ask a host of a family, told what is to be expected: whoever must come is waited for.
    Ask = Callable[[Apart, int, bool], bool]

_TRIES = 5  # of a ping on a busy machine
_DB = {4: "10.7.0.3", 6: "fd00:7::3"}
_OUT = {4: NEIGHBOUR, 6: NEIGHBOUR_6}
_OWN = ("among", "leaving", "refused", "refused_port")  # the chains of access
_PROVEN_ELSEWHERE = {("joined", "oifname . oifname @closed goto among")}  # by test_unmasked.py
_ICMP, _TCP = {4: "1", 6: "58"}, "6"
_ECHO = {4: str(8 << 8), 6: str(128 << 8)}  # type and code


class Proof(NamedTuple):
    """What a rule is for.

    Attributes:
        chain: that it is in.
        rule: as it is written; `IP` and `F` stand for a family's word and number.
        ask: who asks what.
        whole: what comes of it with the whole table; without the rule it is the other.
        families: of which it is asked.
    """

    chain: str
    rule: str
    ask: Ask
    whole: bool = True
    families: tuple[int, ...] = (4, 6)

    def rule_of(self, family: int) -> str:
        """Return the rule of a family."""
        return self.rule.replace("IP ", {4: "ip ", 6: "ip6 "}[family]).replace("F", str(family))


class World(NamedTuple):
    """What `web` and `db` say, and the rules that it is decided by."""

    web: Request
    db: Request
    proofs: tuple[Proof, ...]


def _reaches(host: Apart, address: str, port: int, expected: bool) -> bool:
    if expected:
        return host.reaches("web", address, port)
    return not host.is_kept_from("web", address, port)


def _connects(host: Apart, family: int, expected: bool) -> bool:
    return _reaches(host, _DB[family], 80, expected)


def _connects_by_a_published_port(host: Apart, _family: int, expected: bool) -> bool:
    for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
        path.write_text("0")  # else it is bridged, and met by no rule of these
    return _reaches(host, UPLINK, 8080, expected)


def _pings(host: Apart, address: str, expected: bool) -> bool:
    return any(host.pings("web", address) for _try in range(_TRIES if expected else 1))


def _gets_out(host: Apart, family: int, expected: bool) -> bool:
    return _pings(host, _OUT[family], expected)


def _gets_by_icmp(host: Apart, family: int, expected: bool) -> bool:
    return _pings(host, _DB[family], expected)


def _counted(family: int) -> list[tuple[str, str]]:
    """Return the protocol and port of what web was refused of db."""
    listed = run(f"nft -n list set inet ocinet refused{family}")
    entered = re.findall(r"(\S+) \. (\S+) \. (\S+) \. (\S+) ", listed)
    return [(protocol, port) for _web, db, protocol, port in entered if db == _DB[family]]


def _is_counted_by_port(host: Apart, family: int, _expected: bool) -> bool:
    run(f"nft flush set inet ocinet refused{family}")
    assert host.is_kept_from("web", _DB[family], 80)
    return (_TCP, "80") in _counted(family)


def _is_counted_once(host: Apart, family: int, _expected: bool) -> bool:
    run(f"nft flush set inet ocinet refused{family}")
    assert host.is_kept_from("web", _DB[family], 80)
    return [protocol for protocol, _port in _counted(family)].count(_TCP) == 1


def _is_counted_by_type(host: Apart, family: int, _expected: bool) -> bool:
    run(f"nft flush set inet ocinet refused{family}")
    assert not host.pings("web", _DB[family])
    return (_ICMP[family], _ECHO[family]) in _counted(family)


_HEAD = "IP saddr . IP daddr . meta l4proto . th"
_TO_PORT = f"{_HEAD} dport"
WORLDS = {
    "a name's port": World(asking(allow="db:80"), asking(), (
        Proof("forward", "iifname . oifname @closed goto among", _connects),
        Proof("among", f"{_TO_PORT} @pairF accept", _connects),
    )),
    "a name": World(asking(allow="db"), asking(), (
        Proof("among", "IP saddr . IP daddr @pairF_all accept", _connects),
    )),
    "to all": World(asking(), asking(expose="80"), (
        Proof("among", "IP daddr . meta l4proto . th dport @exposeF accept", _connects),
    )),
    "to subnets": World(asking(allow="10.7.0.0/24:80,fd00:7::/64"), asking(), (
        Proof("among", f"{_TO_PORT} @allowF accept", _connects),
    )),
    "from subnets": World(asking(), asking(expose="79-81@10.7.0.0/30,79-81@fd00:7::/120"), (
        Proof("among", "IP daddr . IP saddr . meta l4proto . th dport @admitF accept", _connects),
    )),
    "published": World(asking(), asking().replace(publish=(tcp(8080),)), (
        Proof("among", "ct status dnat accept", _connects_by_a_published_port, families=(4,)),
    )),
    "nothing": World(asking(), asking(), (
        Proof("among", "goto refused", _connects, whole=False),
        Proof("refused", "meta l4proto { tcp, udp, sctp } jump refused_port", _is_counted_by_port),
        Proof("refused_port", f"update @refusedF {{ {_TO_PORT} }}", _is_counted_by_port),
        Proof("refused_port", "drop", _is_counted_once),
        Proof("refused", f"update @refusedF {{ {_HEAD} sport }}", _is_counted_by_type),
        Proof("refused", "drop", _gets_by_icmp, whole=False),
    )),
    "where packets may leave for": World(
        asking(egress="192.0.2.0/24,fd00:99::/64"), asking(),
        (Proof("leaving", f"{_TO_PORT} @leaveF return", _gets_out),),
    ),
    "whom one that is kept may talk to": World(
        asking(egress="none", allow="192.0.2.2,fd00:99::2"), asking(),
        (Proof("leaving", f"{_TO_PORT} @allowF return", _gets_out),),
    ),
    "that nothing leaves": World(asking(egress="none"), asking(), (
        Proof("forward", "IP saddr @keptF jump leaving", _gets_out, whole=False),
        Proof("leaving", "goto refused", _gets_out, whole=False),
    )),
}  # fmt: skip


@pytest.mark.parametrize("said", WORLDS)
@in_namespaces
def test_rule_is_what_decides(said: str) -> None:
    """With the whole table it is so; with this one rule cut out it is the other way round."""
    web, db, proofs = WORLDS[said]
    with Apart() as host:
        host.lead_out_by_ipv6()
        assert host.with_pair(web, db) == (_DB[4], _DB[6])
        host.listen("db", 80)
        for proof in proofs:
            for family in proof.families:
                assert proof.ask(host, family, proof.whole) is proof.whole, proof
                with without(proof.chain, proof.rule_of(family)):
                    assert proof.ask(host, family, not proof.whole) is not proof.whole, proof


def test_every_rule_of_access_is_proven_by_its_absence() -> None:
    """No rule is in these chains, or leads to them, that the tests would not miss."""
    chains = chains_of_table()
    every = {
        (chain, rule)
        for chain in chains
        for rule in chains[chain]
        if chain in _OWN or rule.rpartition(" ")[2] in _OWN
    }
    proven = {
        (proof.chain, proof.rule_of(family))
        for world in WORLDS.values()
        for proof in world.proofs
        for family in proof.families
    }
    assert proven | _PROVEN_ELSEWHERE == every

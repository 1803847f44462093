"""The firewall's elements, as `nft` shows what we encoded."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
from typing import TYPE_CHECKING, Any, Literal
from unittest import mock

import pytest

from builders import network_rules, port
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.table import Firewall, make_table
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.network import NetworkRules
from ocinet.engine.model.observed import FirewallState
from ocinet.engine.model.passage import Passage
from ocinet.engine.plan.networks import explain_forward_drop
from ocinet.engine.ruleset import nft

if TYPE_CHECKING:
    from pathlib import Path

LAN = network_rules("ocinet0", "10.9.0.0/24", "fd00:9::/64")
VAULT = network_rules("ocbr-0a1b2c3d", "10.8.0.0/24", internal=True)
ADOPTED = network_rules("docker0", "172.17.0.0/16", isolated=False, masquerade=False)
WEB = port(8080, 80, "10.9.0.2")
WEB6 = port(8080, 80, "fd00:9::2")
DNS = port(5353, 53, "10.9.0.2", at="127.0.0.1", protocol="udp")


_PROTOCOLS: tuple[Literal["tcp", "udp", "sctp"], ...] = ("tcp", "udp", "sctp")


def _plain(value: Any) -> Any:
    """Return nft's JSON without handles, and with the elements of a set in order."""
    if isinstance(value, dict):
        return {
            key: sorted(map(_plain, item), key=json.dumps) if key == "elem" else _plain(item)
            for key, item in value.items()
            if key != "handle"
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value


def ruleset_json() -> list[Any]:
    """Return all that nft shows, in a form that can be compared."""
    return list(_plain(json.loads(run("nft", "-j", "list", "ruleset"))["nftables"]))


def elements(name: str) -> list[str]:
    """Return the elements of a set or map as `nft list` writes them, sorted."""
    kind = "map" if name.startswith("publish") else "set"
    text = run("nft", "list", kind, "inet", "ocinet", name)
    if "elements = {" not in text:
        return []
    listed = text.split("elements = {")[1].split("}")[0]
    return sorted(" ".join(element.split()) for element in listed.split(","))


def _rules() -> int:
    return sum("rule" in entry for entry in ruleset_json())


@in_namespaces
def test_open_enters_what_nft_shows_as_meant() -> None:
    """Each element is in its set, in nft's own words."""
    with Firewall() as firewall:
        make_table(firewall)
        firewall.open((LAN, VAULT, ADOPTED), (WEB, WEB6, DNS))
    assert {name: elements(name) for name in (
        "bridges", "isolated", "internal", "same", "home4", "home6", "masquerade4", "masquerade6",
        "publish4", "publish6", "publish4_at", "publish6_at",
    )} == {
        "bridges": ['"docker0"', '"ocbr-0a1b2c3d"', '"ocinet0"'],
        "isolated": ['"ocbr-0a1b2c3d"', '"ocinet0"'],
        "internal": ['"ocbr-0a1b2c3d"'],
        "same": ['"docker0" . "docker0"', '"ocbr-0a1b2c3d" . "ocbr-0a1b2c3d"',
                 '"ocinet0" . "ocinet0"'],
        "home4": ['10.8.0.0/24 . "ocbr-0a1b2c3d"', '10.9.0.0/24 . "ocinet0"',
                  '172.17.0.0/16 . "docker0"'],
        "home6": ['fd00:9::/64 . "ocinet0"'],
        "masquerade4": ["10.9.0.0/24"],
        "masquerade6": ["fd00:9::/64"],
        "publish4": ["tcp . 8080 : 10.9.0.2 . 80"],
        "publish6": ["tcp . 8080 : fd00:9::2 . 80"],
        "publish4_at": ["udp . 127.0.0.1 . 5353 : 10.9.0.2 . 53"],
        "publish6_at": [],
    }  # fmt: skip


def _any_network(number: int, dice: random.Random) -> NetworkRules:
    prefix4, prefix6 = dice.randint(16, 31), dice.randint(32, 127)
    four = (10 << 24 | number << 16 | dice.getrandbits(16)) >> 32 - prefix4 << 32 - prefix4
    six = (0xFD00 << 112 | number << 96 | dice.getrandbits(96)) >> 128 - prefix6 << 128 - prefix6
    return NetworkRules(
        device=f"ocbr-{number:08x}",
        subnets=tuple(dice.sample((Subnet(4, four, prefix4), Subnet(6, six, prefix6)),
                                  dice.randint(1, 2))),
        isolated=dice.random() < 0.7,
        internal=dice.random() < 0.3,
        masquerade=dice.random() < 0.7,
        egress=tuple(dice.sample((Address(4, 3 << 30 | number), Address(6, 1 << 125 | number)),
                                 dice.randint(0, 2))),
    )  # fmt: skip


def _any_port(dice: random.Random) -> PortRule:
    family = dice.choice((4, 6))
    bits = 32 if family == 4 else 128
    host = Address(family, dice.getrandbits(bits)) if dice.random() < 0.5 else None
    return PortRule(
        protocol=dice.choice(_PROTOCOLS), host_address=host, host_port=dice.randint(1, 65535),
        address=Address(family, dice.getrandbits(bits)), port=dice.randint(1, 65535),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@in_namespaces
def test_open_is_what_the_text_of_a_plan_does(seed: int) -> None:
    """Networks and ports of every kind end up the same, encoded or through `nft -f -`."""
    dice = random.Random(seed)  # noqa: S311  -- it is for variety, not for secrets
    networks = tuple(_any_network(number, dice) for number in range(1, 20))
    ports = tuple({(port.protocol, port.host_address, port.host_port): port
                   for port in (_any_port(dice) for _ in range(60))}.values())  # fmt: skip
    run("nft", "-f", "-", given=nft.table_text() + nft.open_text(networks, ports))
    shown = ruleset_json()
    with Firewall() as firewall:
        firewall.remove_table()
        assert ruleset_json() == shown[:1]
        firewall.open(networks, ports)
        assert ruleset_json() == shown
        firewall.close(ports[:30])
        encoded = ruleset_json()
        firewall.rebuild(networks, ports)
        assert ruleset_json() == shown
        run("nft", "-f", "-", given=nft.close_text(ports[:30]))
        assert ruleset_json() == encoded
        firewall.remove_network(networks[0])
        encoded = ruleset_json()
        firewall.rebuild(networks, ports[30:])
        run("nft", "-f", "-", given=nft.remove_network_text(networks[0]))
        assert ruleset_json() == encoded


@in_namespaces
def test_subnets_at_the_ends_of_the_address_space_are_entered_whole() -> None:
    """A subnet that starts at 0 or ends with the last address has no neighbour to mark its end."""
    subnets = tuple(map(Subnet.parse, ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")))
    rules = NetworkRules("ocinet0", subnets)
    with Firewall() as firewall:
        firewall.open((rules,), ())
        assert elements("masquerade4") == ["0.0.0.0/1", "128.0.0.0/1"]
        assert elements("masquerade6") == ["8000::/1", "::/1"]
        firewall.remove_network(rules)
        assert elements("masquerade4") == elements("masquerade6") == elements("home6") == []


@in_namespaces
def test_neighbouring_subnets_stay_apart() -> None:
    """Taking a network out leaves the one whose addresses begin where its own end."""
    first, second = (network_rules(f"ocbr-{number}", f"10.9.{number}.0/24") for number in (0, 1))
    with Firewall() as firewall:
        firewall.open((first, second), ())
        firewall.remove_network(first)
        assert elements("masquerade4") == ["10.9.1.0/24"]
        assert elements("home4") == ['10.9.1.0/24 . "ocbr-1"']


@in_namespaces
def test_open_of_a_network_that_is_in_changes_nothing() -> None:
    """Every container of a network enters it."""
    with Firewall() as firewall:
        assert firewall.open((LAN, VAULT), ())
        before = ruleset_json()
        assert not firewall.open((LAN, VAULT), ())
        assert ruleset_json() == before


@pytest.mark.parametrize("port", [WEB, WEB6, DNS])
@in_namespaces
def test_open_of_a_port_that_is_in_is_refused_and_nothing_is_entered(port: PortRule) -> None:
    """The error tells where the port leads; the other ports and the network are not in either."""
    other = WEB.replace(host_port=1)
    shown = f"[{port.address}]" if port.address.family == 6 else str(port.address)
    with Firewall() as firewall:
        firewall.open((LAN,), (port,))
        before = ruleset_json()
        with pytest.raises(ConflictError) as refused:
            firewall.open((VAULT,), (other, port))
        assert f"port {port.host_port}/{port.protocol}" in str(refused.value)
        assert f"{shown}:{port.port}" in str(refused.value)
        assert ruleset_json() == before


@in_namespaces
def test_open_of_a_subnet_that_overlaps_another_is_refused() -> None:
    """What the kernel refuses as an overlap is told as one."""
    with Firewall() as firewall:
        firewall.open((LAN,), ())
        wider = network_rules("ocbr-1", "10.9.0.0/16")
        with pytest.raises(ConflictError, match="overlaps"):
            firewall.open((wider,), ())


@in_namespaces
def test_open_without_a_table_makes_it() -> None:
    """The first attach after a flush brings the table back, and says that it was gone."""
    with Firewall() as firewall:
        assert firewall.open((LAN,), (WEB,))
        run("nft", "flush", "ruleset")
        assert firewall.open((LAN,), (WEB,))
        assert elements("publish4") == ["tcp . 8080 : 10.9.0.2 . 80"]
        assert _rules() == nft.table_text().count("\n\t\t") - _lines_that_are_no_rules()


def _lines_that_are_no_rules() -> int:
    lines = [line.strip() for line in nft.table_text().splitlines() if line.startswith("\t\t")]
    of_sets = ("type ", "flags ", "size ", "timeout ", "counter")
    return sum(line.startswith(("#", *of_sets)) for line in lines)


@in_namespaces
def test_make_table_twice_makes_one() -> None:
    """Two first attaches at once do not double the rules."""
    with Firewall() as firewall:
        make_table(firewall)
        before = ruleset_json()
        make_table(firewall)
        assert ruleset_json() == before


@in_namespaces
def test_open_in_a_table_of_another_version_names_what_is_missing() -> None:
    """A table that lacks a set is not filled up, for what else may differ?"""
    run("nft", "-f", "-", given="table inet ocinet { set bridges { type ifname; }; }")
    with (
        mock.patch.object(programs, "_PLACES", ()),  # not even tried
        Firewall() as firewall,
        pytest.raises(SystemFailure, match="it has no same"),
    ):
        firewall.open((LAN,), ())


@in_namespaces
def test_rebuild_replaces_a_table_of_another_version() -> None:
    """Whatever the table was, it is exactly what is asked for after."""
    with Firewall() as firewall:
        firewall.open((LAN,), (WEB,))
        before = ruleset_json()
        run("nft", "delete", "table", "inet", "ocinet")
        run("nft", "-f", "-", given="table inet ocinet { set bridges { type ifname; }; }")
        firewall.rebuild((LAN,), (WEB,))
        assert ruleset_json() == before


@in_namespaces
def test_close_takes_out_what_is_there_and_forgives_the_rest() -> None:
    """A batch that fails on a missing element is repeated element by element."""
    ports = tuple(WEB.replace(host_port=number) for number in range(1, 6))
    with Firewall() as firewall:
        firewall.open((), (*ports, DNS))
        run("nft", "delete", "element", "inet", "ocinet", "publish4", "{ tcp . 3 }")
        firewall.close(ports)
        assert elements("publish4") == []
        assert elements("publish4_at") != []
        firewall.close(ports)
        firewall.close((*ports, DNS))
        assert elements("publish4_at") == []


@in_namespaces
def test_close_without_a_table_does_nothing() -> None:
    """After a flush there is nothing to take out, and no table is made for it."""
    with Firewall() as firewall:
        firewall.close((WEB, DNS))
        firewall.remove_network(LAN)
        firewall.remove_table()
    assert ruleset_json() == ruleset_json()[:1]


@in_namespaces
def test_remove_network_forgets_it_whatever_it_was() -> None:
    """A network that has become internal since leaves nothing behind, and others stay."""
    with Firewall() as firewall:
        firewall.open((VAULT,), ())
        before = ruleset_json()
        firewall.open((LAN,), ())
        firewall.remove_network(LAN.replace(internal=True, isolated=False))
        assert ruleset_json() == before


@in_namespaces
def test_thousand_ports_are_one_transaction_and_no_rule() -> None:
    """Rules do not grow with ports, and a batch may be larger than a socket's usual buffer."""
    ports = tuple(
        port.replace(host_port=number, host_address=at)
        for number in range(1, 2001)
        for port, at in ((WEB, None), (WEB6, Address.parse("2001:db8::1")))
    )
    with Firewall() as firewall:
        firewall.open((LAN,), (DNS,))
        before = _rules()
        # The least that the kernel lets one have, whatever is usual on this machine.
        firewall._socket._netlink.set_option(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)
        firewall.open((LAN,), ports)
        assert _rules() == before
        assert len(elements("publish4")) == len(elements("publish6_at")) == 2000
        with pytest.raises(ConflictError, match="port 1/tcp"):
            firewall.open((), ports)
        firewall.close(ports)
        assert elements("publish4") == elements("publish6_at") == []


@in_namespaces
def test_make_table_works_with_an_empty_environment() -> None:
    """A hook's PATH may be empty; nft is found all the same."""
    with mock.patch.dict(os.environ, clear=True), Firewall() as firewall:
        make_table(firewall)
        assert firewall.observe().table


@in_namespaces
def test_make_table_without_nft_says_what_to_install() -> None:
    """The error names the package."""
    with mock.patch.object(programs, "_PLACES", ("/nowhere",)), Firewall() as firewall:
        with pytest.raises(SystemFailure, match="apt-get install nftables"):
            make_table(firewall)
        with pytest.raises(SystemFailure):
            firewall.open((LAN,), ())


@in_namespaces
def test_make_table_with_a_slow_nft_takes_what_the_operation_has(tmp_path: Path) -> None:
    """As at boot of a slow machine; when the operation's time is over, it is stopped."""
    slow = tmp_path / "nft"
    slow.write_text(f'#!/bin/sh\nsleep 6\nexec {programs.find("nftables", "nft")} "$@"\n')
    slow.chmod(0o755)
    with mock.patch.object(programs, "_PLACES", (str(tmp_path),)):
        with Firewall(deadline=Deadline(0.3)) as hurried:
            with pytest.raises(SystemFailure, match=r"cannot run nft.*left of the time"):
                make_table(hurried)
            assert not hurried.observe().table
        with Firewall(deadline=Deadline(120)) as patient:
            make_table(patient)
            assert patient.observe().table


@in_namespaces
def test_every_text_is_accepted_by_nft() -> None:
    """What a plan shows can be given to `nft -c -f -`."""
    with Firewall() as firewall:
        run("nft", "-c", "-f", "-", given=nft.table_text())
        run("nft", "-c", "-f", "-", given=nft.rebuild_text((LAN, VAULT), (WEB, WEB6, DNS)))
        make_table(firewall)
        run("nft", "-c", "-f", "-", given=nft.open_text((LAN, VAULT), (WEB, WEB6, DNS)))
        firewall.open((LAN, VAULT), (WEB, WEB6, DNS))
        run("nft", "-c", "-f", "-", given=nft.close_text((WEB, WEB6, DNS)))
        run("nft", "-c", "-f", "-", given=nft.remove_network_text(VAULT))


@pytest.mark.needs("iptables-nft")
@in_namespaces
def test_observe_tells_what_is_there() -> None:
    """Our table, and that somebody has changed one."""
    with Firewall() as firewall:
        before = firewall.observe()
        assert not before.table
        make_table(firewall)
        assert firewall.observe() == FirewallState(table=True, generation=before.generation + 1)
        run("iptables-nft", "-P", "FORWARD", "DROP")
        assert firewall.observe().generation > before.generation + 1


@in_namespaces
def test_explanation_of_a_foreign_drop_is_a_command_that_works() -> None:
    """What it tells to run is accepted by nft, and lets the bridge's packets pass."""
    run("nft", "-f", "-", given=(
        "table inet wall { chain gate { type filter hook forward priority 5; policy drop; }; }"
    ))  # fmt: skip
    passage = Passage("ocinet0", 0, (Address.parse("10.9.0.2"),))
    with NetfilterSocket() as netfilter:
        accepts = ForwardAccepts(netfilter)
        said = explain_forward_drop(accepts.judge(passage), "ocinet0")
    assert said.startswith("inet wall gate drops")
    commands = said.split(": ", 1)[1]
    subprocess.run(["sh", "-ec", commands], check=True)
    shown = run("nft", "list", "chain", "inet", "wall", "gate")
    assert 'iifname "ocinet0" accept' in shown
    assert 'oifname "ocinet0" accept' in shown
    with NetfilterSocket() as netfilter:
        assert ForwardAccepts(netfilter).judge(passage) == ()

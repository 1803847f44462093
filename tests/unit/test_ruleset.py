"""The firewall's text: golden files, one per scenario, that also document it.

To renew them after a wanted change: `OCINET_GOLDEN=write pytest tests/unit/test_ruleset.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builders import access_record, network, network_rules, port, subnets
from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.model.routing import ReplyMark, SourceNat, UplinkRules
from ocinet.engine.plan.access import every_element
from ocinet.engine.ruleset import access_sets, network_sets, nft, uplinks
from ocinet.request.access import parse_access

_GOLDEN = Path(__file__).with_name("golden")

LAN = network_rules("ocinet0", "10.9.0.0/24")
VAULT = network_rules("ocbr-0a1b2c3d", "10.8.0.0/16", "fd00:8::/64", internal=True)
ADOPTED = network_rules("docker0", "172.17.0.0/16", isolated=False, masquerade=False)
LEAVING = network_rules(
    "ocinet0",
    "10.9.0.0/24",
    "fd00:9::/64",
    egress=(Address.parse("198.51.100.9"), Address.parse("2001:db8::9")),
)
BEYOND = network_rules("ocinet0", "10.42.3.0/24", "fd42:3::/64").replace(
    unmasked=subnets("10.42.0.0/16", "fd42::/16"), joined=("ocx-42",)
)

PORTS = (
    port(8080, 80, "10.9.0.2"),
    port(8080, 80, "fd00:9::2"),
    port(5353, 53, "10.9.0.2", at="127.0.0.1", protocol="udp"),
    port(9999, 9999, "10.9.0.2", at="192.0.2.1", protocol="sctp"),
    port(443, 8443, "fd00:9::2", at="2001:db8::1"),
    port(9000, 9000, "10.9.0.2"),
    port(9001, 9001, "10.9.0.2"),
)

MARKS = (
    ReplyMark(0x0100_0000, (Address.parse("198.51.100.2"), Address.parse("198.51.100.3"))),
    ReplyMark(0x0200_0000, (Address.parse("2001:db8::2"),)),
)

SOURCES = (
    SourceNat(
        "eth0",
        Address.parse("198.51.100.9"),
        LAN.subnets,
        subnets("198.51.100.0/24", "198.51.100.128/25"),
    ),
    SourceNat("eth0", Address.parse("2001:db8::9"), LEAVING.subnets[1:]),
)

APART = network_rules("br-apart", "10.7.0.0/24", "fd00:7::/64", siblings=False)
WEB = access_record("web", "10.7.0.2", "fd00:7::2").replace(
    access=parse_access(
        {
            "ocinet.allow": "db:5432,10.7.0.0/30,10.7.0.3:80-90/udp",
            "ocinet.egress": "198.51.100.0/24:443,198.51.100.7:25,[2001:db8::1]:53/udp",
        }
    )
)
DB = access_record("db", "10.7.0.3", "fd00:7::3").replace(
    access=parse_access({"ocinet.expose": "80,8000-8001/udp@web,22@10.7.0.0/29"})
)
NETWORKS = {"apart": network("apart", "10.7.0.0/24", "fd00:7::/64", siblings=False)}
ACCESS = every_element((WEB, DB), NETWORKS.get)
SCENARIOS = {
    "table": nft.table_text(),
    "one_network": nft.open_text((LAN,), ()),
    "dual_stack_internal": nft.open_text((VAULT,), ()),
    "adopted_bridge": nft.open_text((ADOPTED,), ()),
    "egress": nft.open_text((LEAVING,), ()),
    "unmasked": nft.open_text((BEYOND,), ()),
    "every_kind_of_port": nft.open_text((), PORTS),
    "attach_with_ports": nft.open_text((LAN, VAULT), PORTS[:2]),
    "close_ports": nft.close_text(PORTS),
    "access": nft.open_text((APART,), (), (), ACCESS),
    "remove_network": nft.remove_network_text(VAULT),
    "uplinks": uplinks.table_text(UplinkRules(MARKS, SOURCES)),
    "uplinks_sources": uplinks.table_text(UplinkRules((), SOURCES[:1])),
    "uplinks_none": uplinks.table_text(UplinkRules()),
    "rebuild": nft.rebuild_text((LAN,), PORTS[:1]),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_text_of_a_scenario_is_the_golden_one(scenario: str) -> None:
    """The text is what the golden file says, byte for byte."""
    path = _GOLDEN / f"{scenario}.nft"
    if os.environ.get("OCINET_GOLDEN") == "write":
        path.write_text(SCENARIOS[scenario])
    assert SCENARIOS[scenario] == path.read_text()


def test_golden_files_have_a_scenario_each() -> None:
    """No golden file is left over from a scenario that is gone."""
    assert {path.stem for path in _GOLDEN.glob("*.nft")} == set(SCENARIOS)


def test_open_text_of_nothing_is_empty() -> None:
    """An attach that needs no element shows no command."""
    assert nft.open_text((), ()) == ""


def test_open_text_names_a_network_once_however_often_it_is_given() -> None:
    """Two endpoints on one network enter it once."""
    assert nft.open_text((LAN, LAN), ()) == nft.open_text((LAN,), ())


def test_text_of_the_table_has_every_set_that_the_chains_look_into() -> None:
    """Each `@name` in a rule is declared, and each set that is declared is looked into."""
    text = nft.table_text()
    used = {word[1:] for word in text.split() if word.startswith("@") and "," not in word}
    by_rules = {"refused4", "refused6"}  # who enters them are the rules themselves
    assert used == {kind.name for kind in access_sets.SETS} | by_rules


@pytest.mark.parametrize("device", ['br"0', "br*", "br\\0"])
def test_open_text_with_a_device_that_nft_can_not_say_is_refused(device: str) -> None:
    """A bridge's name can't end the string that it stands in, nor become a pattern."""
    with pytest.raises(RequestError, match="can't be written"):
        nft.open_text((LAN.replace(device=device),), ())


def test_removal_of_a_network_names_all_that_any_of_its_options_entered() -> None:
    """What was entered is found whatever the options were then."""
    for internal in (False, True):
        for isolated in (False, True):
            rules = VAULT.replace(internal=internal, isolated=isolated)
            entered = set(network_sets.network_elements(rules))
            assert entered <= set(network_sets.every_network_element(VAULT.replace(names=False)))


def test_forward_accept_of_a_managed_bridge_passes_both_directions() -> None:
    """The commands put the rules at the top of Docker's chain, in this order."""
    assert nft.forward_accept_commands("ocinet0", managed=True, chain="ip filter DOCKER-USER") == (
        "iptables -I DOCKER-USER -i ocinet0 -m comment --comment ocinet:ocinet0 -j ACCEPT",
        "iptables -I DOCKER-USER -o ocinet0 -m comment --comment ocinet:ocinet0 -j ACCEPT",
    )


def test_forward_accept_keeps_managed_bridges_out_of_dockers_networks() -> None:
    """Where Docker has isolation chains, new connections go through them first."""
    rules = nft.forward_accept_rules("ocinet0", managed=True, isolation=("ONE", "TWO"))
    assert [rule[-1] for rule in rules] == ["ACCEPT", "ONE", "TWO", "ACCEPT"]
    assert " ".join(rules[1][:6]) == "-i ocinet0 -m conntrack ! --ctstate"


def test_forward_accept_of_an_adopted_bridge_passes_published_ports_alone() -> None:
    """What else gets into an adopted bridge is for its owner to say."""
    rules = nft.forward_accept_rules("docker0", managed=False)
    assert len(rules) == 2
    assert all("DNAT" in rule for rule in rules)


def test_forward_accept_commands_quote_a_strange_device_for_the_shell() -> None:
    """A plan can be pasted into a shell."""
    command = nft.forward_accept_commands("br;reboot", managed=True)[0]
    assert " -i 'br;reboot' " in command

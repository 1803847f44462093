"""What a host with two uplinks publishes at the second one's address.

    far ─ second ── uplink2 │ lab

The first uplink has the default route. What the host sends from the second one's address
looks up a table of its own, as cloud images have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4
from hosts.lab.namespace import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace, Protocol

UPLINK2, TABLE = "uplink2", "102"
HERE = {4: "203.0.113.1", 6: "2001:db8:200::1"}
SECOND = {4: "203.0.113.2", 6: "2001:db8:200::2"}
FAR = {4: "192.0.2.77", 6: "2001:db8:77::77"}
# Somebody else marks every packet, and lets none pass that has lost its mark.
_OTHERS_MARK = """\
table inet others {
	chain marking { type filter hook prerouting priority raw; meta mark set 0x00c0ffee; }
	chain minding { type filter hook forward priority 0; meta mark & 0xffffff != 0xc0ffee drop; }
}
"""


@pytest.fixture
def second(lab: Lab) -> Iterator[Namespace]:
    """Connect the second uplink, with its routes; whoever is far away is behind it."""
    neighbour = lab.add_neighbour("second", UPLINK2, (HERE[4], SECOND[4]), (HERE[6], SECOND[6]))
    for family in (4, 6):
        neighbour.run("ip", "address", "add", FAR[family], "dev", "lo")
        ways = ["default", "via", SECOND[family], "dev", UPLINK2, "table", TABLE]
        lab.run("ip", f"-{family}", "route", "add", *ways)
    lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")
    yield neighbour
    lab.ocinet("network", "rm", "--force", "lan", check=False)
    assert _our_rules(lab) == []
    lab.run("ip", "link", "del", UPLINK2)


def _rule(lab: Lab, verb: str, source: str, *more: str) -> None:
    family = "-6" if ":" in source else "-4"
    lab.run("ip", family, "rule", verb, "from", source, "lookup", TABLE, *more)


def _start(lab: Lab, runtime: str = "runc") -> Container:
    web = start(lab, runtime, "web", "--net", "lan", "-p", "8080:80", "-p", "8080:80/udp")
    for protocol in ("tcp", "udp"):
        web.namespace.serve(protocol, 80)
    return web


def _end(web: Container) -> None:
    web.end()


def _reached(far: Namespace, family: int, protocol: Protocol = "tcp") -> bool:
    try:
        told = far.ask(protocol, HERE[family], 8080, source=(FAR[family], 0), timeout_s=0.5)
    except Unreachable:
        return False
    assert (told.server, told.peer[0]) == ("web", FAR[family])
    return True


def _our_rules(lab: Lab) -> list[str]:
    told = [line for f in "46" for line in lab.run("ip", f"-{f}", "rule").stdout.splitlines()]
    return [line for line in told if "fwmark" in line]


@each_runtime
def test_ask_at_second_uplink_is_answered_by_it(lab: Lab, second: Namespace, runtime: str) -> None:
    """Of both families and protocols; by the first one as ever; and others' marks are theirs."""
    for family in (4, 6):
        _rule(lab, "add", HERE[family])
    lab.run("nft", "-f", "-", stdin=_OTHERS_MARK)
    web = _start(lab, runtime)
    for family in (4, 6):
        assert _reached(second, family)
        assert _reached(second, family, "udp")
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    lab.run("nft", "delete", "table", "inet", "others")
    assert len(_our_rules(lab)) == 2
    assert lab.ocinet("check").stdout == ""
    _end(web)
    lab.ocinet("network", "rm", "lan")
    assert _our_rules(lab) == []
    assert "ocinet-uplinks" not in lab.run("nft", "list", "tables").stdout


def test_ask_at_second_uplink_without_source_rule_is_not_answered(
    lab: Lab, second: Namespace
) -> None:
    """As of the host's own servers; and nothing is made."""
    web = _start(lab)
    assert not _reached(second, 4)
    assert "ocinet-uplinks" not in lab.run("nft", "list", "tables").stdout
    _end(web)


def test_rule_for_a_prefix_is_followed_for_each_address(lab: Lab, second: Namespace) -> None:
    """Also one beside a narrower rule that says something else."""
    _rule(lab, "add", "203.0.113.0/24", "priority", "200")
    lab.run("ip", "rule", "add", "from", "203.0.113.9", "blackhole", "priority", "100")
    lab.run("ip", "address", "add", "203.0.113.9/24", "dev", UPLINK2)
    web = _start(lab)
    assert _reached(second, 4)
    with pytest.raises(Unreachable):
        second.ask("tcp", "203.0.113.9", 8080, source=(FAR[4], 0), timeout_s=0.3)
    lab.run("ip", "rule", "del", "priority", "100")
    assert lab.ocinet("check", "--repair").status == 0
    assert second.ask("tcp", "203.0.113.9", 8080, source=(FAR[4], 0)).server == "web"
    _end(web)


def test_ask_from_elsewhere_at_second_uplinks_address_is_answered_there(
    lab: Lab, second: Namespace
) -> None:
    """The first uplink's side, another network's container: the second's table has no way there."""
    _rule(lab, "add", HERE[4])
    lab.outside.run("ip", "route", "add", HERE[4], "via", LAB_V4)
    lab.make_network("dmz", "10.8.0.0/24")
    web = _start(lab)
    other = start(lab, "runc", "other", "--net", "dmz")
    assert lab.outside.ask("tcp", HERE[4], 8080).server == "web"
    assert other.namespace.ask("tcp", HERE[4], 8080).server == "web"
    assert web.namespace.ask("tcp", HERE[4], 8080).server == "web"
    assert _reached(second, 4)
    _end(web)
    _end(other)
    lab.ocinet("network", "rm", "lan", "dmz")


def test_rules_that_come_and_go_later_are_told_and_followed(lab: Lab, second: Namespace) -> None:
    """By `check`, and by the next attach; after a flush of everything as well."""
    web = _start(lab)
    _rule(lab, "add", HERE[4])
    told = lab.ocinet("check", check=False)
    assert (told.status, "is not followed" in told.stdout) == (1, True)
    assert not _reached(second, 4)
    lab.ocinet("check", "--repair")
    assert lab.ocinet("check").stdout == ""
    assert _reached(second, 4)

    lab.run("nft", "flush", "ruleset")
    other = start(lab, "runc", "other", "--net", "lan", "-p", "8081:80")
    assert _reached(second, 4)
    _end(other)

    _rule(lab, "del", HERE[4])
    assert lab.ocinet("check", "--repair").status == 0
    assert _our_rules(lab) == []
    assert "ocinet-uplinks" not in lab.run("nft", "list", "tables").stdout
    _end(web)


def test_uplink_that_is_strict_is_told_with_what_helps(lab: Lab, second: Namespace) -> None:
    """The kernel looks the way back up by the container's address; followed, the hint works."""
    _rule(lab, "add", HERE[4])
    lab.set_sysctl(f"net/ipv4/conf/{UPLINK2}/rp_filter", "1")
    web = _start(lab)
    assert not _reached(second, 4)
    (told,) = lab.events("attached with a warning")
    command = told["warning"].rpartition(": ")[2]
    lab.run(*command.split())
    assert _reached(second, 4)
    assert lab.ocinet("check").stdout == ""
    _end(web)

"""Accept rules of ours in others' tables that nobody needs: gc finds them, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import network, on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import UplinkedHost
from hosts.namespace.wired_host import PATHS

pytestmark = pytest.mark.needs("iptables-nft")
# Of somebody who likes our tag, or has rules for our bridge.
FOREIGN = (
    "-i br-gone -m comment --comment ocinet:br-gone -j DROP",
    "-s 192.0.2.9 -i br-gone -m comment --comment ocinet:br-gone -j ACCEPT",
    "-i br-gone -j ACCEPT",
    "-m comment --comment ocinet:br-gone -j ACCEPT",
    "-i br-other -m comment --comment ocinet:br-gone -j ACCEPT",
)


def saved() -> str:
    """Return all that iptables has, as netfilter-persistent keeps it."""
    return run("iptables-save")


def rules() -> list[str]:
    """Return what is in FORWARD."""
    return run("iptables-nft", "-S", "FORWARD").splitlines()[1:]


def save_with_a_network_that_goes(host: UplinkedHost) -> str:
    """Make `gone`, attach to it beside a FORWARD that drops, remove it; return what was saved."""
    with host.engine() as engine:
        engine.records.networks.add(network("gone", "10.7.0.0/24"))
    host.up("web", on("gone"))
    host.up("db", on("lan"))
    text = saved()
    host.stop("web")
    with host.engine() as engine:
        engine.networks.remove("gone")
    assert len([rule for rule in rules() if "br-gone" in rule]) == 0
    return text


@in_namespaces
def test_rules_that_a_saved_copy_brought_back_are_removed() -> None:
    """Those of a network that is gone; a dry run shows them; what others need stays."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    with UplinkedHost() as host:
        text = save_with_a_network_that_goes(host)
        kept = rules()
        run("iptables-restore", given=text)  # as at boot
        assert len(rules()) == len(kept) + 2

        found = host.gc(dry_run=True)
        assert [kind for kind, _name in found] == ["rule", "rule"]
        assert all(name.startswith("ip filter FORWARD -") for _kind, name in found)
        assert len(rules()) == len(kept) + 2
        assert host.gc() == found
        assert rules() == kept
        assert host.gc() == []
        assert host.pings("db", "192.0.2.2")


@in_namespaces
def test_rules_that_are_there_twice_are_left_once() -> None:
    """`iptables-restore --noflush` of a saved copy doubles them."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    with UplinkedHost() as host:
        host.up("db", on("lan"))
        before = rules()
        run("iptables-restore", "--noflush", given=saved())
        assert rules() == before * 2
        assert len(host.gc()) == len(before)
        assert rules() == before
        assert host.pings("db", "192.0.2.2")


@in_namespaces
def test_foreign_rules_stay_whatever_their_comment_says() -> None:
    """Ours are known by all of their text, the tag is not enough."""
    with UplinkedHost() as host:
        for rule in FOREIGN:
            run("iptables-nft", "-A", "FORWARD", *rule.split())
        before = rules()
        assert host.gc() == []
        assert rules() == before


@in_namespaces
def test_rules_for_a_bridge_that_is_adopted_by_now_are_removed() -> None:
    """They let more in than belongs to published ports; those of its network stay."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    with UplinkedHost() as host:
        host.up("db", on("lan"))
        wide = rules()
        host.stop("db")
        with host.engine() as engine:
            engine.records.networks.remove("lan")
            engine.records.networks.add(network("lan", "10.9.0.0/24", managed=False))
        assert [kind for kind, _name in host.gc()].count("rule") == len(wide)
        assert rules() == []


@in_namespaces
def test_rules_stay_while_a_network_can_not_be_read() -> None:
    """It may be that one's; the network is told."""
    run("iptables-nft", "-P", "FORWARD", "DROP")
    with UplinkedHost() as host:
        host.up("db", on("lan"))
        before = rules()
        Path(PATHS.config, "networks/lan.json").write_text("{")
        assert [kind for kind, _name in host.gc()] == ["network"]
        assert rules() == before

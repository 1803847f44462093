"""Beside the firewalls that admins have: ufw, and nftables.service with a file of rules."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces, own_etc
from hosts.namespace.keeping import Keeping
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import IN, OUT, UplinkedHost
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = on("lan", publish=(tcp(8080),))
# Debian's file begins so; a restart of the unit loads it.
NFTABLES = """\
flush ruleset
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        RULES
        reject with icmpx admin-prohibited
    }
}
"""
ACCEPTS = 'iifname "br-lan" accept\n        oifname "br-lan" accept'


def attach_two(host: UplinkedHost) -> list[str]:
    """Attach `web`, which serves, and `db`; return the ways that nothing comes through on."""
    host.up("db", on("lan"))
    host.up_serving("web", WEB)
    return host.unreached("web", "db")


def repair(host: UplinkedHost) -> None:
    """Run `check --repair`; all that it finds is repaired."""
    with host.engine() as engine:
        assert all(finding.repaired for finding in engine.check(repair=True))
        assert engine.check() == ()


@contextmanager
def ufw_as_shipped(forward: str = "DROP") -> Iterator[None]:
    """Let ufw find its configuration as Debian ships it, but for what is not the namespace's."""
    own_etc()
    defaults = Path("/etc/default/ufw")
    changed = {"IPT_SYSCTL": "", "IPT_MODULES": "", "DEFAULT_FORWARD_POLICY": f'"{forward}"'}
    lines = [
        line for line in defaults.read_text().splitlines() if line.partition("=")[0] not in changed
    ]
    lines += [f"{name}={value}" for name, value in changed.items()]
    defaults.write_text("\n".join(lines) + "\n")
    yield


@pytest.mark.needs("ufw")
@pytest.mark.parametrize("forward", ["DROP", "REJECT"])
@in_namespaces
def test_attach_beside_ufw_passes_it_and_stays_so_when_it_is_reloaded(forward: str) -> None:
    """By rules of ours at the top of FORWARD, where ufw has none of its own."""
    with ufw_as_shipped(forward), UplinkedHost() as host:
        run("ufw", "--force", "enable")
        assert attach_two(host) == []
        run("ufw", "reload")
        assert host.unreached("web", "db") == []
        run("ufw", "--force", "disable")
        assert host.unreached("web", "db") == []
        run("ufw", "--force", "enable")
        assert host.unreached("web", "db") == []
        assert not host.warned()


@pytest.mark.needs("ufw")
@pytest.mark.parametrize("mended_by", ["check", "attach", "watcher"])
@in_namespaces
def test_ufw_enabled_while_containers_run_is_passed_after_check_or_the_next_attach(
    mended_by: str,
) -> None:
    """Until then their published ports are dead: nobody told of a change in FORWARD."""
    with ufw_as_shipped(), UplinkedHost() as host:
        assert attach_two(host) == []
        if mended_by == "watcher":
            with Keeping():
                run("ufw", "--force", "enable")
                wait_until(lambda: not host.unreached("web", "db"), "all is open", timeout_s=20)
            return
        run("ufw", "--force", "enable")
        assert IN in host.unreached("web", "db")
        if mended_by == "check":
            repair(host)
        else:
            host.up("late", on("lan"))
        assert host.unreached("web", "db") == []


@in_namespaces
def test_restarted_nftables_service_is_repaired_by_check_and_its_last_drop_is_told() -> None:
    """All tables go, ours too; with the rules that were told in the file, all ways are open."""
    rules = Path("/run/nftables.conf")
    with UplinkedHost() as host:
        rules.write_text(NFTABLES.replace("RULES", ""))
        run("nft", "-f", str(rules))
        assert OUT in attach_two(host)
        told = host.warned()[-1]
        assert told.startswith("inet filter forward drops packets of br-lan that no rule accepts")
        run("sh", "-ec", told.partition(": ")[2])
        assert host.unreached("web", "db") == []

        rules.write_text(NFTABLES.replace("RULES", ACCEPTS))
        run("nft", "-f", str(rules))
        assert host.unreached("web", "db") != []
        repair(host)
        assert host.unreached("web", "db") == []
        run("nft", "-f", str(rules))
        host.up("late", on("lan"))
        assert host.unreached("web", "db") == []


@pytest.mark.needs("iptables-nft")
@in_namespaces
def test_iptables_services_restarted_with_a_reject_at_the_end_is_opened_again() -> None:
    """RHEL's file of rules, loaded anew, takes ours along; `check --repair` brings them back."""
    rules = Path("/run/rules.v4")
    rules.write_text(
        "*filter\n:FORWARD ACCEPT [0:0]\n"
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
        "-A FORWARD -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n"
    )
    with UplinkedHost() as host:
        run("iptables-nft-restore", given=rules.read_text())
        assert attach_two(host) == []
        run("iptables-nft-restore", given=rules.read_text())
        assert OUT in host.unreached("web", "db")
        repair(host)
        assert host.unreached("web", "db") == []

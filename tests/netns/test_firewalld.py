"""Beside the real firewalld: started, reloaded, restarted, killed, told to be strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import network, on, tcp
from fakes.shell import Shell
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import Keeping
from hosts.namespace.looks import run
from hosts.namespace.real_firewalld import CONF, RealFirewalld, firewalld
from hosts.namespace.uplinked_host import BESIDE, IN, OUT, UplinkedHost
from hosts.waiting import wait_until

# Of a network with a bridge that ocinet names, and of one that has another name.
OURS, NAMED = "ocbr-1a2b3c4d", "br-lan"
WEB = on("lan", publish=(tcp(8080),))
RELOAD = "firewall-cmd --reload"
MOVE = f"firewall-cmd --permanent --zone=ocinet --change-interface={NAMED} && {RELOAD}"


def host_with(device: str) -> UplinkedHost:
    """Make a host whose network `lan` has that bridge."""
    host = UplinkedHost()
    with host.engine() as engine:
        engine.records.networks.remove("lan")
        engine.records.networks.add(network("lan", "10.9.0.0/24", device=device))
    return host


def attach_two(host: UplinkedHost) -> list[str]:
    """Attach `web`, which serves, and `db`; return the ways that nothing comes through on."""
    host.up("db", on("lan"))
    host.up_serving("web", WEB)
    return host.unreached("web", "db")


def in_our_zone(running: RealFirewalld, device: str) -> bool:
    """Tell whether firewalld says that a bridge is in our zone by its name."""
    return device in running.tell("--zone=ocinet", "--list-interfaces").split()


@in_namespaces
def test_attach_without_our_zone_tells_the_command_that_lets_packets_pass() -> None:
    """Followed to the letter, with `ocinet` the command of this tree, all ways are open."""
    with firewalld(installed=False) as running, host_with(OURS) as host:
        assert attach_two(host) == [OUT, BESIDE]
        told = host.warned()[0]
        what, _, command = told.partition(": ")
        assert what == (
            "inet firewalld filter_FORWARD (firewalld's, zone public) drops packets of"
            f" {OURS} that no rule accepts"
        )
        assert command == f"ocinet firewalld install && {RELOAD}"
        from ocinet.hooks.registration import firewalld as registered

        assert registered.install().warnings == ()
        running.tell("--reload")
        assert host.unreached("web", "db") == []


@in_namespaces
def test_hooks_install_beside_firewalld_says_what_is_missing() -> None:
    """The command that mends it is named, and followed to the letter nothing is said any more."""
    with firewalld(installed=False):
        shell = Shell(Path("/run/shell"))
        outcome = shell.run("hooks", "install", "--hooks-dir", "/run/hooks.d")
        assert "firewalld runs here and has no zone for ocinet's bridges" in outcome.err
        assert f"(hint: ocinet firewalld install && {RELOAD})" in outcome.err

        done = shell.run("firewalld", "install")
        assert done.lines == [
            "/etc/firewalld/zones/ocinet.xml", "/etc/firewalld/policies/ocinet-out.xml",
        ]  # fmt: skip
        assert done.err == f"to make firewalld take it: {RELOAD}\n"
        outcome = shell.run("hooks", "install", "--hooks-dir", "/run/hooks.d")
        assert "firewalld" not in outcome.err
        assert shell.run("firewalld", "uninstall").lines == done.lines


@in_namespaces
def test_bridge_that_the_zone_names_passes_from_the_start_and_after_each_reload() -> None:
    """Nobody asks firewalld for anything: not at attach, nor when it is started later."""
    with firewalld(installed=True) as running, host_with(OURS) as host:
        assert attach_two(host) == []
        running.tell("--reload")
        assert host.unreached("web", "db") == []
        running.restart()
        assert host.unreached("web", "db") == []
        running.stop()
        assert host.unreached("web", "db") == []
        running.start()
        assert host.unreached("web", "db") == []
        assert not host.warned()
        assert not in_our_zone(running, OURS)


@in_namespaces
def test_bridge_of_another_name_joins_at_attach_and_leaves_with_its_network() -> None:
    """By firewalld's own client; the network that goes takes its bridge out."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        assert attach_two(host) == []
        assert in_our_zone(running, NAMED)
        assert not host.warned()
        host.stop("db")
        host.stop("web")
        with host.engine() as engine:
            engine.networks.remove("lan")
        assert not in_our_zone(running, NAMED)


@in_namespaces
def test_bridge_of_a_killed_removal_leaves_the_zone_when_it_is_collected() -> None:
    """Its definition is gone, and the zone would have the next link of that name."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        host.up("db", on("lan"))
        host.stop("db")
        with host.engine() as engine:
            engine.records.networks.remove("lan")  # as far as `network rm` came
        assert in_our_zone(running, NAMED)
        assert host.gc(dry_run=True)[0] == ("bridge", NAMED)
        assert in_our_zone(running, NAMED)
        host.gc()
        assert not in_our_zone(running, NAMED)
        assert host.gc() == []


@pytest.mark.parametrize("how", ["reload", "restart"])
@pytest.mark.parametrize("mended_by", ["check", "attach"])
@in_namespaces
def test_bridge_that_a_reload_took_out_is_put_back(how: str, mended_by: str) -> None:
    """What joined at run time is lost then: `check --repair` says so, as the next attach does."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        attach_two(host)
        running.tell("--reload") if how == "reload" else running.restart()
        assert host.unreached("web", "db") == [OUT, BESIDE]
        if mended_by == "attach":
            host.up("late", on("lan"))
        else:
            with host.engine() as engine:
                joins = f"firewall-cmd --zone=ocinet --add-interface={NAMED}"
                found = engine.check(repair=True)
                assert [(finding.what, finding.repaired) for finding in found] == [(joins, True)]
                assert engine.check() == ()
        assert host.unreached("web", "db") == []


@in_namespaces
def test_network_goes_though_firewalld_died_and_left_its_rules() -> None:
    """What joined at run time is forgotten with it: there is nothing to take back."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        host.up("web", on("lan"))
        assert in_our_zone(running, NAMED)
        running.stop(leaving_rules=True)
        host.stop("web")
        with host.engine() as engine:
            engine.networks.remove("lan")
        running.start()
        assert not in_our_zone(running, NAMED)


@in_namespaces
def test_watcher_puts_a_bridge_back_into_the_zone_by_itself() -> None:
    """After a reload and after a restart: it hears that others' rules have changed."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        attach_two(host)
        with Keeping():
            for change in (lambda: running.tell("--reload"), running.restart):
                change()
                wait_until(lambda: not host.unreached("web", "db"), "all is open", timeout_s=20)
                assert in_our_zone(running, NAMED)


@in_namespaces
def test_bridge_that_somebody_has_in_another_zone_stays_there_and_it_is_told() -> None:
    """The command that is told moves it."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        running.tell("--permanent", "--zone=dmz", f"--add-interface={NAMED}")
        running.tell("--reload")
        running.tell("--zone=dmz", "--remove-forward")
        assert attach_two(host) == [OUT, BESIDE]
        assert not in_our_zone(running, NAMED)
        assert "(firewalld's, zone dmz)" in host.warned()[0]
        assert host.warned()[0].endswith(f": {MOVE}")
        run("sh", "-ec", MOVE)
        assert host.unreached("web", "db") == []


@in_namespaces
def test_forward_accept_off_leaves_firewalld_alone_and_explains() -> None:
    """The command that is told lets packets pass, also after the next reload."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        host.set_settings("forward_accept = false\n")
        assert attach_two(host) == [OUT, BESIDE]
        assert host.warned()[0].endswith(f": {MOVE}")
        run("sh", "-ec", MOVE)
        assert host.unreached("web", "db") == []
        running.tell("--reload")
        assert host.unreached("web", "db") == []


@in_namespaces
def test_policy_that_drops_is_told_by_its_name() -> None:
    """Joining our zone does not help. Before 2.0 that is seen before, and nothing is joined."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        running.tell("--permanent", "--new-policy=closed")
        for option in ("--add-ingress-zone=ANY", "--add-egress-zone=ANY", "--set-target=DROP"):
            running.tell("--permanent", "--policy=closed", option)
        running.tell("--reload")
        assert attach_two(host) == [OUT, BESIDE]
        assert all("(firewalld's, policy closed)" in told for told in host.warned())
        assert len(host.warned()) == 2
        with host.engine() as engine:
            found = engine.check(repair=True)
        assert all("policy closed" in finding.what for finding in found)
        assert not any(finding.repaired for finding in found)


@in_namespaces
def test_strict_firewalld_is_told_with_the_setting() -> None:
    """With StrictForwardPorts published ports are its own to open; ours is not the word."""
    with firewalld(installed=True) as running, host_with(OURS) as host:
        if "StrictForwardPorts" not in CONF.read_text():
            pytest.skip("this firewalld (before 2.3) knows no StrictForwardPorts")
        text = CONF.read_text().replace("StrictForwardPorts=no", "StrictForwardPorts=yes")
        CONF.write_text(text)
        running.tell("--reload")
        assert attach_two(host) == [IN]
        told = host.warned()[-1]
        assert "drops connections to published ports" in told
        run("sh", "-ec", told.partition(": ")[2])
        assert host.unreached("web", "db") == []


@in_namespaces
def test_firewalld_that_died_and_left_its_rules_is_told_and_stops_no_attach() -> None:
    """`check` does not say that it put right what it could not."""
    with firewalld(installed=True) as running, host_with(NAMED) as host:
        running.stop(leaving_rules=True)
        assert attach_two(host) == [OUT, BESIDE]
        assert "FirewallD is not running" in host.warned()[0]
        with host.engine() as engine:
            found = engine.check(repair=True)
        assert not any(finding.repaired for finding in found)
        assert all("FirewallD is not running" in finding.why_not for finding in found)

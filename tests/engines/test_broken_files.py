"""Settings or a network's file that can't be read: what was made is taken down all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.hooked_runtime import failures, register, start, stop
from hosts.engine.runtimes import each_runtime

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

TYPO = "/etc/ocinet/ocinet.toml: unknown key 'ipv7'"
DAMAGED = "/etc/ocinet/networks/dmz.json"


def break_settings(lab: Lab) -> None:
    """Put a typo into the settings."""
    lab.run("tee", "/etc/ocinet/ocinet.toml", stdin="ipv7 = true\n")


def make_networks(lab: Lab) -> None:
    """Define two networks."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    lab.ocinet("network", "create", "--subnet", "10.8.0.0/24", "dmz")


@each_runtime
def test_container_that_ends_while_the_settings_are_broken_leaves_nothing(
    lab: Lab, runtime: str
) -> None:
    """Its poststop needs none of them; the next one is not started with the defaults."""
    container = start(lab, runtime, "web", "--net", "bridge", "-p", "8080:80")
    break_settings(lab)

    stop(container)

    lab.assert_no_container_left()
    assert lab.ocinet("ps", "--all", "--quiet").stdout == ""
    [ignored] = [event for event in lab.all_events() if event["event"] == "settings ignored"]
    assert TYPO in ignored["error"]
    with pytest.raises(CommandFailed):
        start(lab, runtime, "web", "--net", "bridge")
    assert failures(lab)[-1] == (
        f"cannot attach web: cannot read {TYPO} (hint: did you mean ipv6?)"
    )
    lab.assert_no_container_left()


def test_commands_that_look_or_take_down_go_on_with_broken_settings(lab: Lab) -> None:
    """ps, detach and gc work and warn; attach, plan and network create refuse."""
    make_networks(lab)
    web = start(lab, "runc", "web", "--net", "lan")
    db = start(lab, "runc", "db", "--net", "lan")
    dead = start(lab, "runc", "dead", "--net", "lan")
    dead.kill()
    break_settings(lab)

    shown = lab.ocinet("ps", "--quiet")
    lab.ocinet("detach", "db")
    collected = lab.ocinet("gc", "--json")

    assert shown.stdout.split() == ["web", "db"]
    assert shown.stderr.startswith(f"ocinet: nothing can be attached now: cannot read {TYPO}")
    assert shown.stderr.count("\n") == 1
    assert list(db.namespace.links()) == ["lo"]
    assert [finding["name"] for finding in collected.json()] == ["dead"]
    assert lab.ocinet("network", "ls", "--quiet").stdout.split() == ["dmz", "lan"]
    pid = f"pid:{db.pid}"
    for words in (
        ("attach", pid, "--id=db", "--net=lan"), ("plan", pid, "--net=lan"),
        ("publish", "web", "8080:80"), ("network", "create", "more"),
    ):  # fmt: skip
        refused = lab.ocinet(*words, check=False)
        assert refused.status == 2, words
        assert refused.stderr.splitlines()[-2].endswith(f"cannot read {TYPO}"), words
    lab.ocinet("unpublish", "web", "8080", check=False)
    for container in (web, db, dead):
        container.delete()


def test_one_damaged_network_stops_neither_the_others_nor_gc(lab: Lab) -> None:
    """It is told of and passed over; what may be its own stays; to name it stays an error."""
    make_networks(lab)
    lost = start(lab, "runc", "lost", "--net", "dmz")
    dead = start(lab, "runc", "dead", "--net", "lan")
    dead.kill()
    bridges = {name for name in lab.links() if name.startswith("ocbr-")}
    lab.run("tee", DAMAGED, stdin="{}")

    collected = lab.ocinet("gc", "--json", check=False)
    listed = lab.ocinet("network", "ls", "--quiet")
    usage = lab.ocinet("ipam", "ls", "--json")

    assert listed.stdout.split() == ["lan"]
    for told in (listed.stderr, usage.stderr):
        assert f"ocinet: the network dmz is left out, for it can't be read: {DAMAGED}" in told
    assert [network["network"] for network in usage.json()] == ["lan"]
    assert collected.status == 1
    found = [(finding["kind"], finding["name"], finding["removed"]) for finding in collected.json()]
    assert found == [
        ("attachment", "dead", True), ("network", "dmz", False), ("damage", "lost", False)
    ]  # fmt: skip
    assert bridges <= set(lab.links())
    web = start(lab, "runc", "web", "--net", "lan")
    with pytest.raises(CommandFailed):
        start(lab, "runc", "shop", "--net", "dmz")
    assert f"cannot read the network dmz: {DAMAGED}" in failures(lab)[-1]
    for words in (("create", "dmz"), ("create", "more"), ("rm", "dmz"), ("inspect", "dmz")):
        refused = lab.ocinet("network", *words, check=False)
        assert refused.status == 1, words
        assert DAMAGED in refused.stderr
    assert lab.path(DAMAGED).read_text() == "{}"
    lost.delete()
    web.delete()
    dead.delete()
    lab.run("rm", DAMAGED)
    lab.ocinet("gc")


def cut(lab: Lab, path: str) -> None:
    """Leave the first characters of a file, as a full disk or an editor's crash does."""
    lab.run("tee", path, stdin=lab.path(path).read_text()[:10])


@each_runtime
def test_one_record_that_is_cut_off_stops_neither_the_others_nor_gc(lab: Lab, runtime: str) -> None:
    """Hook and commands name its file; what is not its own goes on; gc sets it aside."""
    make_networks(lab)
    lost = start(lab, runtime, "lost", "--net", "lan")
    web = start(lab, runtime, "web", "--net", "lan")
    path = "/run/ocinet/attachments/lost.json"
    cut(lab, path)

    shown = lab.ocinet("ps", "--quiet")
    inspected = lab.ocinet("inspect", "web", "--json")
    detached = lab.ocinet("detach", "lost", check=False)
    late = start(lab, runtime, "late", "--net", "lan")
    stop(web)
    pids = f"pid:{lost.pid}"
    attached = lab.ocinet("attach", pids, "--id=lost", "--net=lan", check=False)
    collected = lab.ocinet("gc", "--json")

    assert shown.stdout.split() == ["web"]
    told = f"ocinet: the record of lost can't be read: {path}: it is not JSON"
    assert shown.stderr.startswith(told)
    assert inspected.json()[0]["id"] == "web"
    for refused in (detached, attached):
        assert refused.status == 1
        assert f"cannot read the record of lost: {path}: it is not JSON" in refused.stderr
    assert late.namespace.addresses("eth0") != []
    [found] = collected.json()
    assert (found["kind"], found["name"], found["removed"]) == ("record", "lost", True)
    assert lab.ocinet("ps", "--quiet").stdout.split() == ["late"]
    for container in (lost, late):
        stop(container)
    lab.ocinet("gc")
    lab.run("rm", "/run/netns/lost")  # which name was given stood in the record alone
    lab.assert_no_container_left()


@each_runtime
def test_compiled_settings_that_are_cut_off_are_compiled_anew(lab: Lab, runtime: str) -> None:
    """They are a cache: a start and a stop go on, and it is whole again."""
    stop(start(lab, runtime, "web", "--net", "bridge"))
    whole = lab.path("/run/ocinet/settings.json").read_text()
    bundle = register(lab, "web", "--net", "bridge")
    cut(lab, "/run/ocinet/settings.json")

    container = lab.runtime(runtime).run(bundle)

    assert lab.path("/run/ocinet/settings.json").read_text() == whole
    cut(lab, "/run/ocinet/settings.json")
    stop(container)
    lab.assert_no_container_left()


def test_hook_that_is_told_half_a_state_says_so(lab: Lab) -> None:
    """What came in is named, and that it is no JSON; it is no fault of ocinet's."""
    for stage in ("createRuntime", "poststop"):
        told = lab.ocinet("hook", stage, stdin='{"ociVersion": "1.0.2", "id": "x"', check=False)

        assert "cannot read the container's state: it is not JSON" in told.stderr
        assert "internal error" not in told.stderr


def test_flushed_ruleset_comes_back_beside_a_damaged_network(lab: Lab) -> None:
    """Whoever is attached next restores what is recorded, as far as it can be read."""
    make_networks(lab)
    web = start(lab, "runc", "web", "--net", "lan", "-p", "8080:80")
    lost = start(lab, "runc", "lost", "--net", "dmz")
    lab.run("tee", DAMAGED, stdin="{}")
    lab.run("nft", "flush", "ruleset")

    other = start(lab, "runc", "other", "--net", "lan", "-p", "8081:80")

    with web.namespace.serve("tcp", 80, name="web"):
        assert lab.outside.ask("tcp", "198.51.100.1", 8080).server == "web"
    for container in (web, lost, other):
        stop(container)
    lab.run("rm", DAMAGED)
    lab.ocinet("gc")


def test_hooks_add_of_a_network_that_is_not_there_warns(lab: Lab) -> None:
    """It may come later, so it is no error; a typo is told at once, by whatever way it came."""
    make_networks(lab)
    asks = {"--net": ("--net", "lann"), "": ()}
    for flag, words in asks.items():
        bundle = lab.bundle("web", annotations={"ocinet.net": "dmzz"})

        told = lab.ocinet("hooks", "add", str(bundle.path), *words)

        name, meant = ("lann", "lan") if flag else ("dmzz", "dmz")
        assert told.stderr.strip() == (
            f"ocinet: it asks for the network {name}, which is not there "
            f"(hint: did you mean {meant}?)"
        )
        checked = lab.ocinet("hooks", "verify", str(bundle.path), check=False)
        assert checked.status == 1
        assert f"BAD   it asks for the network {name}, which is not there" in checked.stdout
    lab.ocinet("network", "create", "dmzz")
    assert lab.ocinet("hooks", "verify", str(bundle.path)).status == 0
    assert lab.ocinet("hooks", "add", str(bundle.path), "--net", "lan", "--net=dmz").stderr == ""
    assert lab.runc.run(bundle).namespace.addresses("eth1") != []


def test_hooks_verify_of_a_bundle_whose_target_has_gone_says_so(lab: Lab) -> None:
    """The trial shows that the hook works, not that what the bundle joins is there."""
    web = start(lab, "runc", "web", "--net", "bridge")
    bundle = register(lab, "log", "--net", "container:web")
    assert lab.ocinet("hooks", "verify", str(bundle.path)).status == 0
    with open(f"/proc/{web.pid}/ns/net"):  # or the next sandbox may get its number
        stop(web)
        gone = lab.ocinet("hooks", "verify", str(bundle.path), check=False)
        start(lab, "runc", "web", "--net", "bridge")
        other = lab.ocinet("hooks", "verify", str(bundle.path), check=False)

    assert gone.status == other.status == 1
    assert "BAD   what it asks for: no container web is known" in gone.stdout
    assert "BAD   its sandbox is not that of web any more" in other.stdout

"""install, verify and uninstall, with the podman that reads what they write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hosts.command import CommandFailed
from hosts.engine.hooked_podman import (
    DOWN_HOOK,
    DROP_IN,
    HOOKS_DIR,
    POD_HOOK,
    UP_HOOK,
    install,
    keys,
)
from hosts.lab.snapshot import files

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.lab.machine import Lab

VENDOR_DIR = "/usr/share/containers/oci/hooks.d"
MASK = f"/etc/site/hooks.d/{UP_HOOK.rpartition('/')[2]}"
ASK = keys(net="bridge")


def _verify(lab: Lab) -> list[str]:
    """Return what `hooks verify --podman` finds wrong; empty if all is well."""
    result = lab.ocinet("hooks", "verify", "--podman", "--json", check=False)
    findings = result.json()
    flaws = [finding["what"] for finding in findings if not finding["ok"]]
    assert result.status == (1 if flaws else 0)
    return flaws


def _files(lab: Lab) -> set[str]:
    """Return every file under the places that podman reads, with its content's digest."""
    return set(files(lab.path("/"), ("/etc/containers", "/usr/share/containers")))


def _edit(lab: Lab, change: Callable[[dict[str, Any]], object], path: str = UP_HOOK) -> None:
    file = lab.path(path)
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def _write(lab: Lab, path: str, text: str) -> None:
    lab.run("mkdir", "-p", path.rpartition("/")[0])
    lab.run("tee", path, stdin=text)


def _redirect(lab: Lab) -> None:
    """Let another file, later by name, give podman other hooks directories."""
    path = "/etc/containers/containers.conf.d/60-site.conf"
    _write(lab, path, '[engine]\nhooks_dir = ["/etc/site/hooks.d"]\n')


def _mask(lab: Lab) -> None:
    """Put a file of the same name into a directory that podman reads later."""
    path = "/etc/containers/containers.conf.d/60-site.conf"
    _write(lab, path, f'[engine]\nhooks_dir = ["{HOOKS_DIR}", "/etc/site/hooks.d"]\n')
    document = {
        "version": "1.0.0", "when": {"always": True}, "stages": ["createRuntime"],
        "hook": {"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null"]},
    }  # fmt: skip
    _write(lab, MASK, json.dumps(document))


# How a registration breaks so that podman starts containers without the hook,
# and without a word; and what `verify` says then.
SILENT: dict[str, tuple[Callable[[Lab], object], str]] = {
    "interpreter gone": (
        lambda lab: _edit(lab, lambda spec: spec["hook"].update(path="/no/python3")),
        "createRuntime: /no/python3: No such file or directory",
    ),
    "up hook gone": (
        lambda lab: lab.run("rm", UP_HOOK),
        f"{HOOKS_DIR} has no hook of ocinet for createRuntime",
    ),
    "drop-in gone": (
        lambda lab: lab.run("rm", DROP_IN),
        f'podman does not read it: add "{HOOKS_DIR}" to hooks_dir of its [engine] table',
    ),
    "other directories": (
        _redirect,
        "/etc/containers/containers.conf.d/60-site.conf names other hooks directories: "
        f'add "{HOOKS_DIR}" to hooks_dir of its [engine] table',
    ),
    "file of the same name": (
        _mask,
        f"{MASK} takes the place of the one in {HOOKS_DIR}: remove it",
    ),
    "condition of others": (
        lambda lab: _edit(
            lab, lambda spec: spec.update(when={"annotations": {"^org\\.example$": ".*"}})
        ),
        f"{UP_HOOK}: its condition leaves containers with ocinet.net out",
    ),
}
# How it breaks so that podman starts nothing that asks; and what `verify` says.
LOUD: dict[str, tuple[Callable[[Lab], object], str]] = {
    "no JSON": (
        lambda lab: lab.run("tee", UP_HOOK, stdin='{"version": "1.0.0",'),
        f"cannot read {UP_HOOK}: it is not JSON",
    ),
    "script gone": (
        lambda lab: _edit(
            lab, lambda spec: spec["hook"]["args"].__setitem__(3, "/no/ocinet/hooks/hook.py")
        ),
        "createRuntime: /no/ocinet/hooks/hook.py: No such file or directory",
    ),
    "unknown stage": (
        lambda lab: _edit(lab, lambda spec: spec.update(stages=["createRuntim"])),
        f"{UP_HOOK}: its stages are ['createRuntim']",
    ),
}
# What works, and is not as it must be.
LOOSE: dict[str, tuple[Callable[[Lab], object], str]] = {
    "down hook gone": (
        lambda lab: lab.run("rm", DOWN_HOOK),
        f"{HOOKS_DIR} has no hook of ocinet for poststop",
    ),
    "images trusted": (
        lambda lab: _edit(lab, lambda spec: spec["hook"]["args"].remove("--hooks-dir")),
        f"{UP_HOOK}: its arguments lack --hooks-dir: images could ask for ports of the host",
    ),
    "not anchored": (
        lambda lab: _edit(lab, lambda spec: spec.update(when={"annotations": {"ocinet": ".*"}})),
        f"{UP_HOOK}: its condition is not anchored: it meets keys of others",
    ),
    "timeout too short": (
        lambda lab: _edit(lab, lambda spec: spec["hook"].update(timeout=1)),
        "createRuntime: its timeout is 1: the hook needs up to 45 s to undo a failure",
    ),
    "writable by all": (
        lambda lab: lab.run("chmod", "0777", HOOKS_DIR),
        f"{HOOKS_DIR} can be written by everyone (mode 0777)",
    ),
}


def test_verify_of_fresh_installation_finds_nothing_and_leaves_nothing(lab: Lab) -> None:
    """Both hooks are run as podman would run them, and the machine is as before."""
    install(lab, "runc")
    before = lab.snapshot()

    told = lab.ocinet("hooks", "verify", "--podman").stdout

    assert "BAD" not in told
    assert f"{HOOKS_DIR} has the hook for createRuntime and poststop" in told
    assert "createRuntime gave eth0 10.72.0.2/24" in told
    assert "poststop left nothing behind" in told
    lab.assert_unchanged(before)


@pytest.mark.parametrize("flaw", SILENT)
def test_verify_finds_what_podman_passes_over_in_silence(lab: Lab, flaw: str) -> None:
    """The container starts, without a network and without a word: verify has the word."""
    podman = install(lab, "runc")
    break_it, said = SILENT[flaw]

    break_it(lab)

    container = podman.run(*ASK)
    assert list(container.namespace.links()) == ["lo"]
    container.remove()
    flaws = _verify(lab)
    assert said in flaws, flaws
    lab.run("rm", "-f", "/etc/containers/containers.conf.d/60-site.conf", MASK)
    lab.ocinet("hooks", "install", "--podman")
    assert _verify(lab) == []


@pytest.mark.parametrize("flaw", LOUD)
def test_verify_finds_what_stops_every_start(lab: Lab, flaw: str) -> None:
    """podman's message is its own; verify tells the file, and how to mend it."""
    podman = install(lab, "runc")
    break_it, said = LOUD[flaw]

    break_it(lab)

    with pytest.raises(CommandFailed):
        podman.run("--rm", *ASK)
    flaws = _verify(lab)
    assert any(flaw.startswith(said) for flaw in flaws), flaws
    lab.ocinet("hooks", "install", "--podman")
    assert _verify(lab) == []


@pytest.mark.parametrize("flaw", LOOSE)
def test_verify_finds_what_works_and_should_not(lab: Lab, flaw: str) -> None:
    """A registration that leaks, or opens the host, is found before anybody uses it."""
    install(lab, "runc")
    break_it, said = LOOSE[flaw]

    break_it(lab)

    flaws = _verify(lab)
    assert said in flaws, flaws


def test_verify_with_other_configuration_in_the_environment_says_so(lab: Lab) -> None:
    """CONTAINERS_CONF replaces all of podman's configuration, the drop-in with it."""
    install(lab, "runc")
    _write(lab, "/run/lab/containers.conf", "[engine]\n")

    told = lab.ocinet(
        "hooks", "verify", "--podman", env={"CONTAINERS_CONF": "/run/lab/containers.conf"},
        check=False,
    )  # fmt: skip

    assert told.status == 1
    assert "CONTAINERS_CONF=/run/lab/containers.conf replaces podman's configuration" in told.stdout


def test_install_twice_changes_nothing(lab: Lab) -> None:
    """The second installation prints no file, and writes none."""
    lab.podman("crun")
    first = lab.ocinet("hooks", "install", "--podman")
    before = _files(lab)

    second = lab.ocinet("hooks", "install", "--podman")

    assert first.stdout.split() == [UP_HOOK, DOWN_HOOK, POD_HOOK, DROP_IN]
    assert (second.stdout, second.stderr) == ("", "")
    assert _files(lab) == before


def test_uninstall_leaves_the_tree_as_it_was(lab: Lab) -> None:
    """Every file that was there is there as it was; none of ours is left; podman goes on."""
    podman = lab.podman("crun")
    _write(lab, f"{HOOKS_DIR}/10-site.json", '{"not": "ours"}')
    _write(lab, "/etc/containers/containers.conf.d/40-site.conf", "[engine]\nretry = 1\n")
    before = _files(lab)
    lab.ocinet("hooks", "install", "--podman", "--always", "--stage=prestart")
    assert _files(lab) != before

    gone = lab.ocinet("hooks", "uninstall", "--podman").stdout.split()

    assert sorted(gone) == sorted(
        [UP_HOOK.replace("createRuntime", "prestart"), DOWN_HOOK, DROP_IN]
    )
    assert _files(lab) == before
    lab.run("rm", f"{HOOKS_DIR}/10-site.json")
    container = podman.run(*ASK)
    assert list(container.namespace.links()) == ["lo"]
    container.remove()
    assert lab.ocinet("hooks", "uninstall", "--podman").stdout == ""


def test_uninstall_removes_the_directories_that_install_made(lab: Lab) -> None:
    """Also those of the drop-in; with them goes all that told of us."""
    lab.podman("crun")
    lab.run("rm", "-rf", "/etc/containers/oci")
    lab.run("sh", "-c", "rm /etc/containers/containers.conf.d/* && "
            "rmdir /etc/containers/containers.conf.d")  # fmt: skip
    before = lab.run("find", "/etc/containers").stdout

    lab.ocinet("hooks", "install", "--podman")
    installed = lab.run("find", "/etc/containers").stdout
    lab.ocinet("hooks", "uninstall", "--podman")

    assert UP_HOOK in installed
    assert lab.run("find", "/etc/containers").stdout == before


def test_uninstall_with_container_running_still_gives_all_back(lab: Lab) -> None:
    """podman keeps a container's poststop hooks from its start."""
    podman = install(lab, "crun")
    container = podman.run("--name=shop", *ASK)

    lab.ocinet("hooks", "uninstall", "--podman")

    assert lab.pings("10.72.0.2")
    container.remove()
    assert lab.records() == {}


def test_install_beside_other_directories_keeps_them(lab: Lab) -> None:
    """A site's own hooks directories go on to be read; the drop-in adds one to them."""
    podman = lab.podman("crun")
    _write(lab, "/etc/containers/containers.conf.d/40-site.conf",
           '[engine]\nhooks_dir = ["/etc/site/hooks.d"]\n')  # fmt: skip
    _write(lab, "/etc/site/hooks.d/10-site.json", json.dumps({
        "version": "1.0.0", "when": {"always": True}, "stages": ["prestart"],
        # crun fails if the state is not read.
        "hook": {
            "path": "/bin/sh",
            "args": ["sh", "-c", "cat > /dev/null; touch /run/lab/site"],
        },
    }))  # fmt: skip
    lab.ocinet("hooks", "install", "--podman")

    container = podman.run(*ASK)

    assert lab.path("/run/lab/site").exists()
    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert _verify(lab) == []
    container.remove()


def test_install_in_vendor_directory_needs_no_drop_in(lab: Lab) -> None:
    """podman reads that one by itself; only the hook files are written, and they work."""
    podman = lab.podman("crun")
    lab.run("mkdir", "-p", VENDOR_DIR)

    written = lab.ocinet("hooks", "install", "--hooks-dir", VENDOR_DIR).stdout.split()

    assert [path.rpartition("/")[0] for path in written] == [VENDOR_DIR] * 3
    container = podman.run(*ASK)
    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    container.remove()
    assert lab.ocinet("hooks", "verify", "--hooks-dir", VENDOR_DIR).status == 0


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_install_with_prestart_stage_wires_too(lab: Lab, runtime: str) -> None:
    """The stage of runtimes older than spec 1.0.2 does the same, also beside createRuntime."""
    podman = install(lab, runtime)
    both = lab.path(UP_HOOK).read_text()
    lab.ocinet("hooks", "install", "--podman", "--stage", "prestart")
    assert not lab.path(UP_HOOK).exists()

    container = podman.run(*ASK)
    lab.path(UP_HOOK).write_text(both)
    twice = podman.run(*ASK)

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert twice.namespace.addresses("eth0") == ["10.72.0.3/24"]
    assert len(lab.events("attached")) == 2
    podman.remove(container.id, twice.id)

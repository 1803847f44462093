"""`ocinet hooks add`, `remove` and `verify` on bundles as runtimes take them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from hosts.engine.hooked_runtime import register, start, stop
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.engine.bundle import Bundle
    from hosts.lab.machine import Lab

MODES = {
    "default": (),
    "network": ("--net", "lan:ip=10.9.0.5", "-p", "8080:80", "--name", "shop"),
    "several": ("--net", "lan", "--net", "bridge"),
    "prestart": ("--stage", "prestart"),
    "host": ("--net", "host"),
    "none": ("--net", "none"),
    "container": ("--net", "container:web"),
}


def _furnished(lab: Lab, container_id: str) -> Bundle:
    """Make a bundle that has hooks, annotations and sysctls of its own."""
    bundle = lab.bundle(container_id, annotations={"com.example": "ü", "ocinet.name": "mine"})
    # It reads its state: crun dies of SIGPIPE if a hook ends before that.
    other = {
        "path": "/bin/sh",
        "args": ["sh", "-c", "cat >/dev/null"],
        "env": ["A=1"],
        "timeout": 3,
    }

    def furnish(config: dict[str, Any]) -> None:
        config["hooks"] = {"createRuntime": [other], "poststop": [other], "poststart": []}
        config["linux"]["sysctl"] = {"kernel.msgmax": "8000", "net.ipv4.ping_group_range": "0 0"}
        config["x-unknown"] = {"kept": None}

    bundle.edit(furnish)
    text = json.dumps(bundle.config, indent=2, ensure_ascii=False)
    (bundle.path / "config.json").write_text(text + "\n")
    return bundle


@pytest.mark.parametrize("mode", MODES)
@each_runtime
def test_remove_after_add_restores_the_config(lab: Lab, runtime: str, mode: str) -> None:
    """Byte for byte, in every mode, before and after a life; others' hooks stay."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    if mode == "container":
        start(lab, runtime, "web")
    bundle = _furnished(lab, "box")
    path = bundle.path / "config.json"
    before = path.read_bytes()
    lab.ocinet("hooks", "add", str(bundle.path), *MODES[mode])
    added = path.read_bytes()
    lab.ocinet("hooks", "add", str(bundle.path), *MODES[mode])
    assert path.read_bytes() == added
    stop(lab.runtime(runtime).run(bundle))

    lab.ocinet("hooks", "remove", str(bundle.path))

    assert path.read_bytes() == before
    assert "nothing of ocinet's" in lab.ocinet("hooks", "remove", str(bundle.path)).stderr


@each_runtime
def test_add_again_with_other_words_replaces_the_registration(lab: Lab, runtime: str) -> None:
    """The last `add` counts; a container that runs is not touched by it."""
    bundle = register(lab, "web", "--net", "host")
    lab.ocinet("hooks", "add", str(bundle.path), "--net", "bridge", "-p", "8080:80")

    container = lab.runtime(runtime).run(bundle)
    lab.ocinet("hooks", "add", str(bundle.path), "--net", "none")

    container.namespace.serve("tcp", 80)
    assert lab.outside.reaches("tcp", LAB_V4, 8080)
    assert [len(entries) for entries in bundle.config["hooks"].values()] == [1, 1]


@each_runtime
def test_remove_while_container_runs_leaves_its_end_to_the_runtime(lab: Lab, runtime: str) -> None:
    """The runtime keeps its own copy of the hooks: the container still is detached."""
    container = start(lab, runtime, "web", "-p", "8080:80")

    lab.ocinet("hooks", "remove", str(container.bundle.path))

    stop(container)
    lab.assert_no_container_left()


def test_add_to_no_bundle_says_what_makes_one(lab: Lab) -> None:
    """A directory without a config.json is no bundle."""
    result = lab.ocinet("hooks", "add", "/run/lab", check=False)

    assert result.status != 0
    assert "there is no /run/lab/config.json" in result.stderr
    assert "hint: runc spec makes one" in result.stderr


# -- verify ---------------------------------------------------------------------


def test_verify_of_good_bundle_says_all_right_and_changes_nothing(lab: Lab) -> None:
    """The hook was run, and nothing is left of it; as text and as JSON."""
    bundle = register(lab, "web", "--net", "bridge", "-p", "8080:80")
    before = lab.snapshot()

    shown = lab.ocinet("hooks", "verify", str(bundle.path))
    told = lab.ocinet("hooks", "verify", str(bundle.path), "--format", "json").json()

    assert all(line.startswith("ok ") for line in shown.stdout.splitlines())
    assert "createRuntime gave eth0 10.72.0.2/24" in shown.stdout
    assert all(finding["ok"] for finding in told)
    assert len(told) >= 3
    lab.assert_unchanged(before)


def _each_entry(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], None]:
    def edit(config: dict[str, Any]) -> None:
        for entries in config["hooks"].values():
            for entry in entries:
                change(entry)

    return edit


def _script(entry: dict[str, Any], path: str) -> None:
    entry["args"][3] = path


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "interpreter missing": (
        _each_entry(lambda entry: entry.update(path="/opt/none/python3")),
        "/opt/none/python3: No such file or directory",
    ),
    "script missing": (
        _each_entry(lambda entry: _script(entry, "/opt/none/ocinet/hooks/hook.py")),
        "/opt/none/ocinet/hooks/hook.py: No such file or directory",
    ),
    "script others can write": (
        _each_entry(lambda entry: _script(entry, "/run/lab/ocinet/hooks/hook.py")),
        "/run/lab/ocinet/hooks/hook.py can be written by everyone (mode 0666)",
    ),
    "interpreter not executable": (
        _each_entry(lambda entry: entry.update(path="/run/lab/python3")),
        "/run/lab/python3 is not executable",
    ),
    "interpreter a link": (
        _each_entry(lambda entry: entry.update(path="/run/lab/python-link")),
        "/run/lab/python-link is a link to /usr/bin/python3",
    ),
    "no poststop": (
        lambda config: config["hooks"].pop("poststop"),
        "has no hook of ocinet for poststop",
    ),
    "no createRuntime": (
        lambda config: config["hooks"].pop("createRuntime"),
        "has no hook of ocinet for createRuntime",
    ),
    "no hook": (lambda config: config.pop("hooks"), "has no hook of ocinet for createRuntime and"),
    "twice": (
        lambda config: config["hooks"].update(poststop=config["hooks"]["poststop"] * 2),
        "poststop has it 2 times",
    ),
    "timeout missing": (_each_entry(lambda entry: entry.pop("timeout")), "its timeout is None"),
    "timeout short": (_each_entry(lambda entry: entry.update(timeout=5)), "its timeout is 5"),
    "no PATH": (_each_entry(lambda entry: entry.update(env=[])), "its environment has no PATH"),
    "other directories": (
        _each_entry(lambda entry: entry["env"].append("OCINET_RUN_DIR=/run/elsewhere")),
        "its OCINET_RUN_DIR is '/run/elsewhere'",
    ),
    "wrong stage": (
        lambda config: config["hooks"]["poststop"][0]["args"].__setitem__(4, "createRuntime"),
        "poststop: its arguments are for createRuntime",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_verify_of_bundle_with_fault_names_it(lab: Lab, fault: str) -> None:
    """Each thing that would fail at the next start is told before, with a way to mend it."""
    change, told = FAULTS[fault]
    lab.run("sh", "-c", _PLANT)
    bundle = register(lab, "web")
    bundle.edit(change)
    before = lab.snapshot()

    result = lab.ocinet("hooks", "verify", str(bundle.path), check=False)

    assert result.status == 1
    bad = [line for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert any(told in line for line in bad), result.stdout
    assert "hint: " in result.stdout
    lab.assert_unchanged(before)


_PLANT = """\
set -e
cd /run/lab
mkdir -p ocinet/hooks
echo >ocinet/hooks/hook.py
chmod 666 ocinet/hooks/hook.py
echo >python3
chmod 644 python3
ln -s /usr/bin/python3 python-link
"""


def test_verify_of_no_bundle_says_so(lab: Lab) -> None:
    """A wrong path is a finding like any other."""
    result = lab.ocinet("hooks", "verify", "/run/lab", check=False)

    assert result.status == 1
    assert "/run/lab/config.json can't be read" in result.stdout
    assert os.listdir(lab.path("/run/lab"))

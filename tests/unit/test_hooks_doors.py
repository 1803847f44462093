"""Which registrations are found on a machine, and what is seen of those that could not run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration import cdi_specs, hooks_dir
from ocinet.hooks.registration.doors import Door, registered_doors
from ocinet.hooks.registration.installation import resolve
from ocinet.hooks.registration.launcher_text import DockerFile, programs_of, render

if TYPE_CHECKING:
    from pathlib import Path

SBIN, DAEMON = "usr/local/sbin", "etc/docker/daemon.json"
LAUNCHER = f"/{SBIN}/ocinet-runtime"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's root, with a runtime, an interpreter and the hook's script."""
    for path in ("usr/sbin/runc", "usr/bin/python3", "lib/ocinet/hook.py", DAEMON):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    (tmp_path / SBIN).mkdir(parents=True)
    return tmp_path


def doors(root: Path) -> tuple[Door, ...]:
    """Look there, as who has moved none of ocinet's directories."""
    return registered_doors(["bridge"], {}, str(root))


def register_runtime(root: Path, *, named: bool = True) -> None:
    """Put a launcher there that says Docker knows it."""
    ours = Registration(
        "/usr/bin/python3", "/lib/ocinet/hook.py", ("PATH=/bin", "OCINET_RUN_DIR=/x")
    )
    text = render("/usr/sbin/runc", ours, [DockerFile(f"/{DAEMON}", "ocinet")])
    (root / LAUNCHER[1:]).write_text(text)
    if named:
        (root / DAEMON).write_text(json.dumps({"runtimes": {"ocinet": {"path": LAUNCHER}}}))


def test_nothing_is_registered(root: Path) -> None:
    """A runtime of somebody else's is no door of ours."""
    (root / SBIN / "crun-runtime").write_text("#!/bin/sh\nexec crun\n")
    (root / DAEMON).write_text('{"runtimes": {"k": {"path": "/usr/sbin/runc"}, "io": {}}}')
    assert doors(root) == ()


def test_what_is_installed_is_found_and_well(root: Path) -> None:
    """Each kind, and nothing is wrong with any."""
    ours = resolve({})
    hooks_dir.install(ours, directory=hooks_dir.HOOKS_DIR, root=str(root), environment={})
    os.makedirs(root / "etc/cdi")
    spec = cdi_specs.spec_file(cdi_specs.DIRECTORY)
    (root / spec[1:]).write_text(cdi_specs.render(ours, ["bridge"], "createRuntime"))
    register_runtime(root)
    found = doors(root)
    assert [(door.kind, door.place) for door in found] == [
        ("hooks", hooks_dir.HOOKS_DIR), ("devices", spec), ("runtime", LAUNCHER),
    ]  # fmt: skip
    # What is under a root of its own, no engine reads.
    told = [flaw.what for door in found for flaw in door.flaws if "read" not in flaw.what]
    assert told == []


def test_hook_of_an_interpreter_that_is_gone_is_told(root: Path) -> None:
    """As after an upgrade of the distribution: podman would start nothing any more."""
    ours = Registration("/usr/bin/python3.2", resolve({}).script)
    hooks_dir.install(ours, directory=hooks_dir.HOOKS_DIR, root=str(root), environment={})
    (door,) = doors(root)
    assert [flaw for flaw in door.flaws if "python3.2: No such file" in flaw.what]


def test_hook_of_one_stage_alone_is_told(root: Path) -> None:
    """Somebody has removed the other file."""
    hooks_dir.install(resolve({}), directory=hooks_dir.HOOKS_DIR, root=str(root), environment={})
    os.unlink(f"{root}{hooks_dir.hook_file(hooks_dir.HOOKS_DIR, 'poststop')}")
    (door,) = doors(root)
    assert [flaw for flaw in door.flaws if "has no hook of ocinet for poststop" in flaw.what]


@pytest.mark.parametrize("gone", ["usr/sbin/runc", "usr/bin/python3", "lib/ocinet/hook.py"])
def test_runtime_without_one_of_its_programs_is_told(root: Path, gone: str) -> None:
    """The real runtime, the interpreter, the script."""
    register_runtime(root)
    (root / gone).unlink()
    (door,) = doors(root)
    assert [flaw.what for flaw in door.flaws] == [f"{LAUNCHER} runs /{gone}, which is not there"]


def test_runtime_of_a_former_version_is_told(root: Path) -> None:
    """It hands each start on: who was created before its files were there is not named in them."""
    register_runtime(root)
    launcher = root / LAUNCHER[1:]
    before, _, rest = launcher.read_text().partition("    start)\n")
    launcher.write_text(before + rest.partition("        ;;\n    *)")[2])
    (door,) = doors(root)
    assert [flaw.what.partition(":")[0] for flaw in door.flaws] == [
        f"{LAUNCHER} is of a former ocinet"
    ]


def test_runtime_that_docker_does_not_know_any_more_is_told(root: Path) -> None:
    """And one that Docker's file alone leads to is found, wherever it lies."""
    register_runtime(root, named=False)
    (door,) = doors(root)
    assert [flaw.what for flaw in door.flaws] == [f"/{DAEMON} does not name it any more"]

    os.makedirs(root / "opt")
    os.rename(root / LAUNCHER[1:], root / "opt/oc")
    (root / DAEMON).write_text('{"runtimes": {"ocinet": {"path": "/opt/oc"}}}')
    assert doors(root) == (Door("runtime", "/opt/oc", ()),)


def test_files_of_others_that_are_damaged_keep_nothing_from_being_seen(root: Path) -> None:
    """A configuration that is no JSON or TOML is its owner's to mend."""
    register_runtime(root)
    (root / DAEMON).write_text("{")
    (root / "etc/containers").mkdir()
    (root / "etc/containers/containers.conf").write_text("[engine")
    (door,) = doors(root)
    assert [flaw.what for flaw in door.flaws] == [
        f"/{DAEMON}: it is not JSON: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)"
    ]


def test_programs_of_a_launcher_are_those_that_it_was_made_with() -> None:
    """Also where blanks are in their paths; what moves directories is none."""
    ours = Registration("/opt/my python", "/a b/hook.py", ("PATH=/bin", "OCINET_RUN_DIR=/r n"))
    launcher = render("/usr/local/my runc", ours)
    assert list(programs_of(launcher)) == ["/usr/local/my runc", "/opt/my python", "/a b/hook.py"]

"""hook and hooks: what the command hands on, and what it prints."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from unit.cli_shell import Shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle with a network namespace and nothing of ours."""
    path = tmp_path / "web"
    path.mkdir()
    config = {"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network"}]}}
    (path / "config.json").write_text(json.dumps(config))
    return path


def asks(bundle: Path) -> dict[str, str]:
    """Return the annotations of a bundle."""
    found: dict[str, str] = json.loads((bundle / "config.json").read_text()).get("annotations", {})
    return found


def add(shell: Shell, bundle: Path, *flags: str) -> None:
    """Add the hooks, or skip where this interpreter could not be registered."""
    outcome = shell.run("hooks", "add", str(bundle), *flags)
    if "others than" in outcome.err or "may write" in outcome.err:
        pytest.skip("the tree is writable by others than root")
    assert outcome.code == 0, outcome.err


def test_hooks_add_writes_what_flags_ask_for(shell: Shell, bundle: Path) -> None:
    """Flags become annotations; a second time changes nothing and says so."""
    flags = ("--net", "lan", "--ip", "10.9.0.5", "-p", "8080:80", "--name", "web")
    add(shell, bundle, *flags)
    found = asks(bundle)
    found.pop("ocinet.bundle")
    assert found == {"ocinet.net": "lan", "ocinet.ip": "10.9.0.5",
                     "ocinet.publish": "8080:80/tcp", "ocinet.name": "web"}  # fmt: skip
    assert "is like that already" in shell.run("hooks", "add", str(bundle), *flags).err
    assert shell.run("hooks", "remove", str(bundle)).code == 0
    assert asks(bundle) == {}
    assert "there is nothing of ocinet's" in shell.run("hooks", "remove", str(bundle)).err


def test_hooks_add_without_flags_keeps_what_the_bundle_asks_for(shell: Shell, bundle: Path) -> None:
    """No flag means: as its annotations say."""
    config = json.loads((bundle / "config.json").read_text())
    config["annotations"] = {"ocinet.net": "dmz"}
    (bundle / "config.json").write_text(json.dumps(config))
    add(shell, bundle)
    assert asks(bundle)["ocinet.net"] == "dmz"


def test_hooks_add_registers_the_stage_that_is_asked_for(shell: Shell, bundle: Path) -> None:
    """`--stage prestart` for old runtimes."""
    add(shell, bundle, "--stage", "prestart")
    assert set(json.loads((bundle / "config.json").read_text())["hooks"]) == {
        "prestart", "poststop"}  # fmt: skip


def test_hooks_add_with_a_wrong_flag_leaves_the_bundle_alone(shell: Shell, bundle: Path) -> None:
    """The flag is named."""
    outcome = shell.run("hooks", "add", str(bundle), "--ip", "x")
    assert outcome.code == 2
    assert outcome.err.startswith("ocinet: --ip: 'x'")
    assert asks(bundle) == {}


@pytest.mark.parametrize("command", ["install", "uninstall", "verify"])
def test_hooks_without_a_place_ask_where(shell: Shell, command: str) -> None:
    """Nothing is guessed."""
    outcome = shell.run("hooks", command)
    assert outcome.code == 2
    assert "say --podman or --hooks-dir DIR" in outcome.err


def test_hooks_verify_of_two_places_is_refused(shell: Shell, bundle: Path) -> None:
    """A bundle and podman are verified apart."""
    assert shell.run("hooks", "verify", str(bundle), "--podman").code == 2


def test_hooks_verify_of_a_bundle_without_hooks_tells_how_to_add_them(
    shell: Shell, bundle: Path
) -> None:
    """What is wrong is data, with what to do; and the exit code tells."""
    outcome = shell.run("hooks", "verify", str(bundle))
    assert outcome.code == 1
    assert outcome.lines[0].startswith("BAD   ")
    assert "(hint: " in outcome.lines[0]
    (shown,) = shell.run("hooks", "verify", str(bundle), "--json").data
    assert shown.keys() == {"ok", "what", "hint"}
    assert shown["ok"] is False


def test_hooks_uninstall_of_nothing_prints_nothing(shell: Shell, tmp_path: Path) -> None:
    """Not there is success."""
    if os.path.exists("/etc/containers/containers.conf.d/50-ocinet.conf"):
        pytest.skip("ocinet is registered with podman on this machine")
    outcome = shell.run("hooks", "uninstall", "--hooks-dir", str(tmp_path))
    assert (outcome.code, outcome.out) == (0, "")

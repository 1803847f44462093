"""runtime install and uninstall: what the command hands on, and what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fakes.shell import Shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """Return the flags that keep a launcher off the machine's own places."""
    runtime = tmp_path / "runc"
    runtime.write_text("#!/bin/sh\n")
    runtime.chmod(0o755)
    return ["--launcher", f"{tmp_path}/launcher", "--runtime", str(runtime)]


def install(shell: Shell, *words: str) -> tuple[list[str], str]:
    """Install, or skip where this interpreter could not be registered."""
    outcome = shell.run("runtime", "install", *words)
    if "can be written by" in outcome.err or "belongs to user" in outcome.err:
        pytest.skip("the tree is writable by others than root")
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines(), outcome.err


def test_install_and_uninstall_print_what_changed(
    shell: Shell, tmp_path: Path, given: list[str]
) -> None:
    """Files on stdout; what is still to be done on stderr."""
    docker = f"{tmp_path}/daemon.json"
    changed, said = install(shell, *given, "--docker", docker, "--default", "--name", "mine")
    assert changed == [f"{tmp_path}/launcher", docker]
    assert "systemctl reload docker" in said
    with open(docker) as file:
        config = json.load(file)
    assert config["default-runtime"] == "mine"
    assert config["runtimes"] == {"mine": {"path": f"{tmp_path}/launcher"}}

    assert install(shell, *given, "--docker", docker, "--name", "mine") == ([], "")
    outcome = shell.run("runtime", "uninstall", *given[:2])
    assert outcome.out.splitlines() == [docker, f"{tmp_path}/launcher"]
    assert "until it is restarted" in outcome.err
    again = shell.run("runtime", "uninstall", *given[:2])
    assert (again.code, again.out, again.err) == (0, "", "")


def test_install_without_docker_says_nothing_of_it(shell: Shell, given: list[str]) -> None:
    """podman and containerd are told by their own configuration."""
    changed, said = install(shell, *given)
    assert len(changed) == 1
    assert said == ""


def test_launcher_hands_the_moved_directories_on(
    shell: Shell, tmp_path: Path, given: list[str]
) -> None:
    """Its containers are in the same store as the command's."""
    install(shell, *given)
    text = (tmp_path / "launcher").read_text()
    for name, value in shell.environment.items():
        if name.startswith("OCINET_"):
            assert f"{name}={value}" in text
    assert "OCINET_RUN_DIR=" in text


@pytest.mark.parametrize("flag", ["--default", "--reload"])
def test_flags_of_docker_without_it_are_refused(shell: Shell, given: list[str], flag: str) -> None:
    """There is nothing else that it could mean."""
    outcome = shell.run("runtime", "install", *given, flag)
    assert outcome.code == 2
    assert "say --docker, too" in outcome.err


def test_uninstall_of_a_file_of_others_says_so(
    shell: Shell, tmp_path: Path, given: list[str]
) -> None:
    """It stays, and that is no failure."""
    (tmp_path / "launcher").write_text("#!/bin/sh\n")
    outcome = shell.run("runtime", "uninstall", *given[:2])
    assert outcome.code == 0
    assert "is not ocinet's, and stays" in outcome.err
    assert outcome.out == ""


def test_errors_have_the_exit_code_of_what_can_be_done(
    shell: Shell, tmp_path: Path, given: list[str]
) -> None:
    """A wrong request is 2, a name of another one 4."""
    (tmp_path / "daemon.json").write_text("{,}")
    wrong = shell.run("runtime", "install", *given, "--docker", f"{tmp_path}/daemon.json")
    if "can be written by" in wrong.err:
        pytest.skip("the tree is writable by others than root")
    assert wrong.code == 2
    assert "it is not JSON" in wrong.err
    (tmp_path / "daemon.json").write_text('{"runtimes": {"ocinet": {"path": "/x"}}}')
    taken = shell.run("runtime", "install", *given, "--docker", f"{tmp_path}/daemon.json")
    assert taken.code == 4
    assert not (tmp_path / "launcher").exists()

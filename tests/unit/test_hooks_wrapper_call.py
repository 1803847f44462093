"""A runtime's command line: what the parser finds, and that the launcher's shell agrees."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration.launcher_text import render
from ocinet.hooks.wrapper.runtime_call import (
    GLOBAL_OPTIONS,
    RuntimeCall,
    _split_options,
    parse_runtime_call,
)

if TYPE_CHECKING:
    from pathlib import Path

DOCKERS = (
    "--root /run/docker/runtime-runc/moby --log /b/log.json --log-format json "
    "create --bundle /b --pid-file /b/init.pid 15d51a24213d"
)


def test_dockers_call_is_understood() -> None:
    """The words that containerd's shim says, in full."""
    call = parse_runtime_call(DOCKERS.split(), "/cwd")
    assert call == RuntimeCall(
        "create", "15d51a24213d", "/b", "/b/config.json", "/b/init.pid", "/b/log.json", "json",
        ("--root", "/run/docker/runtime-runc/moby", "--log", "/b/log.json", "--log-format", "json"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "bundle"),
    [
        ("create web", "/cwd"),
        ("create --bundle /b web", "/b"),
        ("create --bundle=/b web", "/b"),
        ("create -b /b web", "/b"),
        ("create -b=/b web", "/b"),
        ("create -b/b web", "/b"),
        ("create -bundle /b web", "/b"),
        ("create --bundle b web", "/cwd/b"),
        ("create --bundle /b/ web", "/b"),
        ("create --no-pivot --pid-file --bundle -b /b web", "/b"),
        ("create --console-socket create --preserve-fds 3 --bundle /b web", "/b"),
        ("--debug --systemd-cgroup create --bundle /b -- web", "/b"),
        ("run -d --bundle /b --keep web", "/b"),
    ],
)
def test_bundle_is_found_in_every_form(words: str, bundle: str) -> None:
    """As runc's Go and crun's getopt take it; the id is the one word behind the options."""
    call = parse_runtime_call(words.split(), "/cwd")
    assert (call.bundle, call.id) == (bundle, "web")
    assert call.config == f"{bundle}/config.json"


@pytest.mark.parametrize(
    ("words", "config"),
    [("--config /x/c.json", "/x/c.json"), ("-f c.json", "/cwd/c.json"), ("-f/c", "/c")],
)
def test_config_of_cruns_choice_is_found(words: str, config: str) -> None:
    """crun reads it from where it is told, relative to where it was called."""
    call = parse_runtime_call(["create", "--bundle", "/b", *words.split(), "web"], "/cwd")
    assert (call.config, call.bundle) == (config, "/b")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--version",
        "state create",
        "delete --force run",
        "--root create state web",
        "--log run",
        "--log-level create state web",
        "--cgroup-manager create state web",
        "--criu create state web",
        "--rootless create state web",
        "-root create state web",
        "--log-format",
        "exec web create",
        "create",
        "create --bundle /b",
        "create one two",
        "run web --bundle /b",
        "restore --bundle /b web",
    ],
)
def test_what_is_no_create_is_the_runtimes_alone(words: str) -> None:
    """Other verbs, ids and values that look like ours, and what no runtime understands."""
    assert parse_runtime_call(words.split(), "/cwd") == RuntimeCall()


def test_start_says_whose_it_is() -> None:
    """The launcher lets it come here for some alone."""
    words = ["--root", "/run/docker/runtime-runc/moby", "start", "web"]
    assert parse_runtime_call(words, "/cwd") == RuntimeCall(starts="web")
    assert parse_runtime_call(["--log", "start", "state", "web"], "/") == RuntimeCall()


@pytest.mark.parametrize(
    ("words", "log", "log_format", "pid_file"),
    [
        ("create web", "", "text", ""),
        ("--log=/l --log-format=json create --pid-file=p web", "/l", "json", "/cwd/p"),
        ("-log /l -log-format text create --pid-file /p web", "/l", "text", "/p"),
    ],
)
def test_files_that_the_runtime_writes_are_found(
    words: str, log: str, log_format: str, pid_file: str
) -> None:
    """Where the errors go, and where the process's id will be."""
    call = parse_runtime_call(words.split(), "/cwd")
    assert (call.log, call.log_format, call.pid_file) == (log, log_format, pid_file)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A launcher whose runtime and whose python print which of them was run, with what."""
    directory: Path = tmp_path_factory.mktemp("launcher")
    for name in ("real", "python"):
        (directory / name).write_text(f'#!/bin/sh\nprintf "%s\\0" {name} "$@"\n')
        (directory / name).chmod(0o755)
    text = render(f"{directory}/real", Registration(f"{directory}/python", "/x/hook.py"))
    (directory / "launcher").write_text(text)
    (directory / "launcher").chmod(0o755)
    return str(directory / "launcher")


_words = st.lists(
    st.sampled_from(
        [
            "create",
            "run",
            "state",
            "web",
            "",
            "--debug",
            "--log=x",
            "--root=create",
            "-v",
            "--",
            "-",
        ]
        + [f"--{name}" for name in GLOBAL_OPTIONS]
        + ["-root", "a b", "$(exit 1)", "*", "'"]
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(_words)
def test_launcher_and_parser_agree(launcher: str, words: list[str]) -> None:
    """Every call gets to its program, whole; and all that the parser wants to see, it sees."""
    shown = subprocess.run(
        [launcher, *words], check=True, capture_output=True, text=True, env={}, timeout=10
    ).stdout.split("\0")[:-1]
    real = f"{os.path.dirname(launcher)}/real"

    _, rest = _split_options(words, GLOBAL_OPTIONS)
    if rest and rest[0] in ("create", "run"):
        assert shown == ["python", "-I", "-S", "/x/hook.py", "runtime", real, *words]
    else:
        assert shown == ["real", *words]
        assert parse_runtime_call(words, "/").verb == ""


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize(
    "option", ["root", "log", "log-format", "log-level", "criu", "rootless", "cgroup-manager"]
)
def test_value_of_an_option_is_no_verb(launcher: str, dashes: str, option: str) -> None:
    """What follows it is its value, whatever it is; the verb comes after that."""
    create = [f"{dashes}{option}", "state", "create", "web"]
    state = [f"{dashes}{option}", "create", "state", "web"]
    shown = [
        subprocess.run([launcher, *words], check=True, capture_output=True, text=True).stdout
        for words in (create, state)
    ]
    assert [words.split("\0")[0] for words in shown] == ["python", "real"]
    assert parse_runtime_call(create, "/").verb == "create"
    assert parse_runtime_call(state, "/").verb == ""

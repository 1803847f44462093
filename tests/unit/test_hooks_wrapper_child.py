"""A child in a runtime's place: status, descriptors, signals and the end of its parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ocinet.hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = next(iter(ocinet.hooks.__path__)).rsplit("/", 2)[0]
_ACT = """\
import sys
sys.path.append(sys.argv[1])
from ocinet.hooks.wrapper import runtime_process
act, program, *arguments = sys.argv[2:]
if act == "become":
    runtime_process.become(program, arguments)
said = []
status = runtime_process.run(program, arguments, lambda: said.append("meanwhile"))
import os
os.write(2, " ".join(said).encode())
os._exit(status)
"""


def argv(act: str, *command: str) -> list[str]:
    """Return the words that run or become a command as the wrapper does."""
    return [sys.executable, "-I", "-S", "-c", _ACT, _ROOT, act, *command]


def run(
    act: str, *command: str, env: dict[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run or become a command, and return what came of it."""
    return subprocess.run(
        argv(act, *command), env=env or {}, capture_output=True, text=True, check=False,
        pass_fds=pass_fds, timeout=20,
    )  # fmt: skip


@pytest.mark.parametrize("act", ["run", "become"])
def test_output_and_status_are_the_programs(act: str) -> None:
    """Both streams, and an exit status other than 0; its name is its path."""
    result = run(act, "/bin/sh", "-c", 'echo "$0 $1"; exit 9', "zero", "one")
    assert (result.stdout, result.returncode) == ("zero one\n", 9)
    shown = run(act, "/bin/cat", "/proc/self/cmdline").stdout
    assert shown == "/bin/cat\0/proc/self/cmdline\0"


def test_meanwhile_is_done_beside_the_child() -> None:
    """Before the child is waited for."""
    assert run("run", "/bin/true").stderr == "meanwhile"


def test_child_that_a_signal_killed_is_told_as_a_shell_does() -> None:
    """128 and the signal's number."""
    assert run("run", "/bin/sh", "-c", "kill -9 $$").returncode == 137


def test_program_that_is_not_there_is_status_127() -> None:
    """With one line that names it."""
    result = run("run", "/no/such/thing")
    assert result.returncode == 127
    assert result.stderr.startswith(
        "ocinet: cannot run /no/such/thing: No such file or directory\n"
    )


@pytest.mark.parametrize("act", ["run", "become"])
def test_inherited_descriptors_reach_the_program(act: str) -> None:
    """--preserve-fds counts on it."""
    reader, writer = os.pipe()
    os.write(writer, b"through")
    os.close(writer)
    assert run(act, "/bin/cat", f"/proc/self/fd/{reader}", pass_fds=(reader,)).stdout == "through"
    os.close(reader)


def ignored(shown: str) -> int:
    """Return the mask of the signals that /proc/PID/status shows as ignored."""
    return int(re.findall(r"^SigIgn:\s*(\w+)$", shown, re.MULTILINE)[0], 16)


def ignored_by_the_shell() -> int:
    """Return what a program of ours inherits as ignored, whoever started the tests."""
    command = ["/bin/cat", "/proc/self/status"]
    return ignored(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("act", ["run", "become"])
def test_signal_dispositions_are_not_pythons(act: str) -> None:
    """A container must not be born with SIGPIPE ignored, because python ignores it."""
    shown = run(act, "/bin/cat", "/proc/self/status").stdout
    status = dict(line.split(":", 1) for line in shown.splitlines())
    assert [int(status[name], 16) for name in ("SigBlk", "SigCgt")] == [0, 0]
    assert ignored(shown) == ignored_by_the_shell()


def test_ignored_signal_stays_ignored() -> None:
    """As `nohup` wants it."""
    command = "trap '' HUP; exec \"$@\""
    shown = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *argv("run", "/bin/grep", "SigIgn", "/proc/self/status")],
        env={}, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    assert ignored(shown.stdout) == ignored_by_the_shell() | 1 << (signal.SIGHUP - 1)


@pytest.mark.parametrize(("pid", "passed"), [("own", True), ("7", False), ("", False)])
def test_descriptors_meant_for_us_are_meant_for_the_child(pid: str, passed: bool) -> None:
    """LISTEN_PID says whom LISTEN_FDS are for; one of somebody else stays as it is."""
    script = (
        'if [ "$1" = own ]; then LISTEN_PID=$$; else LISTEN_PID=$1; fi; export LISTEN_PID; shift'
    )
    inner = '[ "$LISTEN_PID" = $$ ] && echo mine || echo "$LISTEN_PID"'
    shown = subprocess.run(
        ["/bin/sh", "-c", f'{script}; exec "$@"', "sh", pid, *argv("run", "/bin/sh", "-c", inner)],
        env={}, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    assert shown.stdout.strip() == ("mine" if passed else pid)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_signal_is_passed_on(name: str) -> None:
    """The child gets it, and decides; its status is what comes back."""
    inner = f"trap 'echo got; exit 3' {name}; echo ready; while :; do sleep 0.01; done"
    # A shell can't trap what it inherits as ignored, as from nohup or a script's `&`.
    command = ["/usr/bin/env", "--default-signal", *argv("run", "/bin/sh", "-c", inner)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env={"PATH": "/usr/bin:/bin"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.stdout.read() == "got\n"
    assert process.returncode == 3


def test_child_does_not_outlive_a_killed_parent() -> None:
    """Whoever kills what it started expects the runtime to be gone."""
    with subprocess.Popen(
        argv("run", "/bin/sh", "-c", "echo $$; exec sleep 1000"), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env={"PATH": "/usr/bin:/bin"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        process.kill()
        # The child had the pipe's only other end: it ends when the child does.
        assert process.stdout.read() == ""


def test_ignored_sigchld_loses_no_status() -> None:
    """Inherited so, the kernel would keep no status to wait for."""
    script = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
    result = subprocess.run(
        [sys.executable, "-c", script, *argv("run", "/bin/sh", "-c", "exit 5")],
        env={}, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert result.returncode == 5

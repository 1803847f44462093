"""The hook and the commands where stdin, stdout, stderr are closed, or have no room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from sysconfig import get_paths

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost

HOOK = f"{get_paths()['purelib']}/ocinet/hooks/hook.py"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
}
ALL = "<&- >&- 2>&-"


def closed(streams: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with streams as a shell spells them."""
    argv = ["/bin/sh", "-c", f'exec "$@" {streams}', "sh", *words]
    return subprocess.run(
        argv, input=given, capture_output=True, text=True, check=False, env=ENVIRONMENT
    )


def hook(host: WiredHost, stage: str, streams: str, net: str = "lan") -> int:
    """Run a stage of a container's life; return the exit status."""
    up = stage == "createRuntime"
    state = {
        "ociVersion": "1.0.2", "id": "web-id", "bundle": "/run/test/web",
        "status": "created" if up else "stopped", "pid": host.sleepers["web"].pid if up else 0,
        "annotations": {"ocinet.net": net, "ocinet.publish": "8080:80"},
    }  # fmt: skip
    words = (sys.executable, "-I", "-S", HOOK, stage)
    return closed(streams, *words, given=json.dumps(state)).returncode


def command(streams: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return closed(streams, sys.executable, "-m", "ocinet.cli.main", *words)


def written() -> str:
    """Return all that is in files of state."""
    paths = (path for top in (PATHS.run, PATHS.config) for path in Path(top).rglob("*"))
    return "".join(path.read_text() for path in paths if path.is_file() and not path.is_symlink())


@in_namespaces
def test_hook_whose_streams_are_closed_wires_all_the_same() -> None:
    """Neither a file nor a socket of its own takes their place."""
    with WiredHost() as host:
        host.start("web")
        assert hook(host, "createRuntime", ">&- 2>&-") == 0
        assert host.pings("web", "10.9.0.1")
        assert "8080" in run("nft list map inet ocinet publish4")
        assert hook(host, "poststop", ">&- 2>&-") == 0
        assert host.gc() == []


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", ALL, "2>/dev/full"])
@in_namespaces
def test_hook_that_can_tell_nobody_fails_and_writes_it_into_no_state(streams: str) -> None:
    """What is said goes to descriptor 2, whatever that is; the event log has it."""
    with WiredHost() as host:
        host.start("web")
        assert hook(host, "createRuntime", streams, net="lann") == 1
        assert "ocinet: cannot" not in written()
        assert hook(host, "poststop", ALL) == 0  # runc skips what comes after one that fails
        lines = Path(f"{PATHS.run}/events.jsonl").read_text().splitlines()
        assert [json.loads(line)["event"] for line in lines].count("hook failed") >= 1
        assert host.gc() == []


@pytest.mark.parametrize(("stage", "status"), [("poststop", 0), ("createRuntime", 1)])
@pytest.mark.parametrize("streams", ["2>&1", "2>/dev/full", ALL])
def test_hook_whose_code_is_gone_ends_as_its_stage_has_to(
    stage: str, status: int, streams: str, tmp_path: Path
) -> None:
    """runc skips the hooks after a poststop that fails, also where nobody can be told why."""
    script = tmp_path / "ocinet/hooks/hook.py"
    script.parent.mkdir(parents=True)
    script.write_text(Path(HOOK).read_text())
    done = closed(streams, sys.executable, "-I", "-S", str(script), stage)
    assert done.returncode == status
    assert ("ocinet: cannot load its code: " in done.stdout) == (streams == "2>&1")


@in_namespaces
def test_hook_without_stdin_says_so() -> None:
    """And does not read its own code as a state."""
    with WiredHost():
        told = closed("<&-", sys.executable, "-I", "-S", HOOK, "createRuntime")
        assert told.returncode == 1
        assert "stdin is empty" in told.stderr


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", ALL])
@in_namespaces
def test_command_whose_streams_are_closed_does_what_it_does(streams: str) -> None:
    """With the exit code that it has otherwise, of success and of failure."""
    with WiredHost() as host:
        pid = host.start("web").process.pid  # type: ignore[union-attr]  # it has just started
        attach = ("attach", f"pid:{pid}", "--name", "web", "--net", "lan", "-p", "8080:80")
        assert command(streams, *attach).returncode == 0
        assert host.pings("web", "10.9.0.1")
        for words, code in (
            (("ps",), 0), (("network", "rm", "no-such"), 3), (("detach", "web"), 0), (("gc",), 0),
        ):  # fmt: skip
            done = command(streams, *words)
            assert done.returncode == code, done
            assert "fault in ocinet" not in done.stderr


@in_namespaces
def test_command_that_asks_a_closed_stdin_takes_it_for_no() -> None:
    """A network that is in use is removed by a yes alone."""
    with WiredHost() as host:
        host.up("web", on("lan"))
        assert command("<&-", "network", "rm", "--force", "dmz").returncode == 0
        assert command(ALL, "network", "rm", "lan").returncode == 4


@pytest.mark.parametrize(("words", "code"), [(("nonsense",), 2), (("network", "rm", "no-such"), 3)])
@in_namespaces
def test_failure_that_can_not_be_told_keeps_its_exit_code(
    words: tuple[str, ...], code: int
) -> None:
    """A full disk under the log of a service does not make one failure of another."""
    assert command("2>/dev/full", *words).returncode == code

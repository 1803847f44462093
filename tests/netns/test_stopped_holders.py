"""Who holds a lock and is stopped: hook, commands and watcher give up in time, and name it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import ENVIRONMENT, Keeping
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost, snapshot
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# Runs a hook's stage with five seconds in place of forty-five, and ends as it does.
_HOOK = """\
import sys
from ocinet.engine.lifecycle import Lifecycle
from ocinet.hooks.entry.stage import main
sys.exit(main(sys.argv[1:], open_engine=lambda paths: Lifecycle.open(paths, timeout_s=5)))
"""
_HOLD = """\
import fcntl, os, signal, sys
held = open(sys.argv[1], "a")
fcntl.flock(held, fcntl.LOCK_EX)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def _lock_of(container: str) -> str:
    number = blake2s(f"{container}-id".encode(), digest_size=1).hexdigest()
    return f"locks/container-{number}"


LOCKS = {
    "container": _lock_of("db"),
    "network": "ipam/dmz/lock",
    "ports": "ports/lock",
    "shared": "locks/global",
}


@contextmanager
def stopped_holder(lock: str) -> Iterator[str]:
    """Have a process hold a lock and be stopped; it ends with the block."""
    path = Path(PATHS.run, lock)
    path.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(path)]) as holder:
        try:
            os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
            yield f"process {holder.pid} "
        finally:
            holder.send_signal(signal.SIGCONT)


def _hook(stage: str, name: str, pid: int) -> subprocess.CompletedProcess[str]:
    annotations = {"ocinet.net": "dmz", "ocinet.publish": "8081:80"}
    state = {"ociVersion": "1.0.2", "id": f"{name}-id", "bundle": "/b", "status": "created"}
    given = json.dumps({**state, "pid": pid, "annotations": annotations})
    return _run("-c", _HOOK, stage, given=given)


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return _run("-m", "ocinet.cli.main", *words)


def _run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], input=given, text=True, check=False,
                          env={**os.environ, **ENVIRONMENT}, capture_output=True)  # fmt: skip


@pytest.mark.parametrize("lock", LOCKS)
@in_namespaces
def test_hook_and_commands_name_a_stopped_holder_and_leave_nothing(lock: str) -> None:
    """And succeed once it has gone on."""
    Path(PATHS.config).mkdir(parents=True, exist_ok=True)
    with WiredHost() as host:
        host.up("web", on("lan", publish=(tcp(8080),)))
        Path(f"{PATHS.config}/ocinet.toml").write_text("lock_timeout_s = 5\n")
        pid = host.start("db").process.pid  # type: ignore[union-attr]
        attach = ("attach", f"pid:{pid}", "--id=db-id", "--name=db", "--net=dmz", "-p8081:80")
        with stopped_holder(LOCKS[lock]) as holder:
            before = snapshot()
            for done, status in ((_hook("createRuntime", "db", pid), 1), (_command(*attach), 6)):
                assert done.returncode == status
                assert f"{holder}(python3" in done.stderr
                assert "holds it, and is stopped" in done.stderr
                assert f"kill -CONT {holder.split()[1]}" in done.stderr
            assert snapshot() == before
            stopped = _hook("poststop", "web", pid)
            assert stopped.returncode == 0, "whatever happens"
        assert _hook("createRuntime", "db", pid).returncode == 0
        assert host.pings("db", "10.8.0.1")
        assert "8081" in run("nft list map inet ocinet publish4")


@in_namespaces
def test_detach_and_gc_beside_a_stopped_holder_say_what_was_left() -> None:
    """What could not be looked at is told, and the exit status says so; later nothing is left."""
    Path(PATHS.config).mkdir(parents=True, exist_ok=True)
    with WiredHost() as host:
        host.up("db", on("dmz"))
        Path(f"{PATHS.config}/ocinet.toml").write_text("lock_timeout_s = 5\n")
        host.sleepers.pop("db").end()
        with stopped_holder(LOCKS["container"]) as holder:
            detached = _command("detach", "db")
            assert detached.returncode == 6
            assert holder in detached.stderr
            collected = _command("gc")
            assert collected.returncode == 1
            assert "db" in collected.stdout + collected.stderr
        assert _command("gc").returncode == 0
        assert host.gc() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lock", ["container", "shared"])
@in_namespaces
def test_watcher_beside_a_stopped_holder_lives_says_so_and_goes_on(lock: str) -> None:
    """A container's keeps nobody else from being repaired; what all share waits for its end."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(tcp(8080),)))
        host.up("db", on("lan"))
        with Keeping() as keeping:
            with stopped_holder(LOCKS[lock]) as holder:
                run("nft flush chain inet ocinet postrouting")
                [told] = wait_until(lambda: keeping.told("not repaired"), "told", timeout_s=25)
                assert f"{holder}(python3" in told["error"]
                is_whole = "masquerade" in run("nft list chain inet ocinet postrouting")
                assert is_whole == (lock == "container")
            wait_until(
                lambda: "masquerade" in run("nft list chain inet ocinet postrouting"),
                "it is repaired", timeout_s=20,
            )  # fmt: skip
            with host.engine() as engine:
                wait_until(lambda: not engine.check(), "all is whole", timeout_s=20)

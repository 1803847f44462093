"""Daemons end with the namespaces of a test, and no run leaves one behind unnoticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts import left_behind
from hosts.namespace.isolation import in_namespaces
from hosts.waiting import has_ended, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN = """
import signal, sys
from pathlib import Path
from hosts.left_behind import begun_run
from netns.test_left_behind import daemon
with begun_run():
    daemon(Path(sys.argv[1]), "unshare", "--net")
    print("ready", flush=True)
    signal.pause()
"""


def daemon(note: Path, *within: str) -> int:
    """Start one as a name server is: nobody's child; return its id, and note it."""
    words = ("setsid", "sh", "-c", f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 1000")
    done = os.fork()
    if not done:
        os.posix_spawnp((*within, *words)[0], (*within, *words), dict(os.environ))
        os._exit(0)
    os.waitpid(done, 0)
    wait_until(note.exists, "a daemon")
    return int(note.read_text())


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _failed() -> None:
    raise AssertionError("it fails")


@pytest.mark.parametrize("at_last", [int, _failed, _killed])
def test_daemon_ends_with_the_namespaces_of_a_test(
    at_last: Callable[[], object], tmp_path: Path
) -> None:
    """However the test ends."""
    note = tmp_path / "pid"

    @in_namespaces
    def test() -> None:
        daemon(note)
        at_last()

    if at_last is int:
        test()
    else:
        with pytest.raises(pytest.fail.Exception):
            test()
    assert has_ended(int(note.read_text()))


def test_daemon_that_is_left_behind_is_found_and_ended(tmp_path: Path) -> None:
    """In whatever network it is, and even in the machine's own."""
    for number, within in enumerate(((), ("unshare", "--net"), ("unshare", "--mount"))):
        pid = daemon(tmp_path / f"pid{number}", *within)
        with pytest.raises(AssertionError, match=r"left behind: .*sleep 1000"):
            left_behind.RUN.assert_nobody_left(within_s=0.1)
        assert has_ended(pid)


def test_daemon_of_a_run_that_is_killed_ends_with_it(tmp_path: Path) -> None:
    """Nobody of that run can do it any more."""
    note = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(note)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as run:  # fmt: skip
        assert run.stdout
        assert run.stdout.readline() == "ready\n"
        pid = int(note.read_text())
        assert not has_ended(pid)
        run.kill()
        run.wait()
        wait_until(lambda: has_ended(pid), "the daemon's end")

"""Thousands of containers' lives beside one watcher; run in a machine of their own.

    bench/lives.py OCINET LIVES CHECKS

The engine is the tests' fake one, for a real one takes a quarter of a second for
each start; sandboxes, links and addresses are real, and the watcher is the command.
After each of CHECKS parts of the lives a line says how large the watcher is then:

    LIVES KILOBYTES DESCRIPTORS THREADS
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(f"{Path(__file__).resolve().parent.parent}/tests")

from fakes.engine_api import FakeDocker, Sandboxes

if TYPE_CHECKING:
    from collections.abc import Callable

_SOCKET = "/run/bench/docker.sock"
_LOG = Path("/run/bench/watcher.log")
_ATTACHMENTS = "/run/ocinet/attachments"
_SIDE_BY_SIDE = 8
_LIVES_EACH = 5  # of a container, before it is removed
_PATIENCE_S = 30


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so, or end this process."""
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what}: not after {_PATIENCE_S} s\n{_LOG.read_text()[-2000:]}")
        time.sleep(0.001)


def attached() -> int:
    """Return how many containers are attached."""
    try:
        return sum(name.endswith(".json") for name in os.listdir(_ATTACHMENTS))
    except FileNotFoundError:
        return 0


def live(docker: FakeDocker, lives: int) -> None:
    """Have containers start and stop, so many times in all."""
    for _ in range(0, lives, _SIDE_BY_SIDE * _LIVES_EACH):
        crew = [docker.create(f"c{number}") for number in range(_SIDE_BY_SIDE)]
        for _ in range(_LIVES_EACH):
            for container in crew:
                container.start()
            wait_until(lambda: attached() == _SIDE_BY_SIDE, "all attached")
            for container in crew:
                container.stop()
            wait_until(lambda: attached() == 0, "none attached")
        for container in crew:
            container.remove()


def size(pid: int) -> str:
    """Return a process's kilobytes, descriptors and threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = status.partition("VmRSS:")[2].split()[0]
    descriptors, threads = (len(os.listdir(f"/proc/{pid}/{name}")) for name in ("fd", "task"))
    return f"{kilobytes} {descriptors} {threads}"


def main(ocinet: str, lives: int, checks: int) -> None:
    """Run a watcher beside so many lives."""
    with Sandboxes() as sandboxes, FakeDocker(_SOCKET, sandboxes) as docker:
        words = [ocinet, "watch", "--engine", _SOCKET, "--log-format=json"]
        with (
            _LOG.open("w") as log,
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log) as watcher,
        ):
            wait_until(lambda: "watcher ready" in _LOG.read_text(), "the watcher")
            for check in range(1, checks + 1):
                live(docker, lives // checks)
                sandboxes.latest.clear()
                print(lives // checks * check, size(watcher.pid), flush=True)
            watcher.terminate()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

"""The watcher: when many containers start at once, through thousands of lives, and idle.

crowd    50 times `docker start`, all at once. With early attach, each container's
         first act is to look whether its network is there. Without, what counts is
         the time from Docker's event (its `timeNano`) to ocinet's ("attached" is
         logged when eth0 is up), so that nobody looks and takes the time of others.
lives    see lives.py
idle     with one container that sleeps: CPU time, and how often a thread was woken
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from engine_contestants import DockerWatcher, can_run_docker
from machine import OCINET, Machine, make_image, remove_cgroups
from samples import Key, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from samples import Samples

NAME = "watcher"
EARLY, AT_START = "early", "at start"
_CROWD, _ROUNDS, _QUICK_ROUNDS = 50, 5, 2
_LIVES, _QUICK_LIVES, _CHECKS = 10_000, 400, 10
_IDLE_S, _QUICK_IDLE_S = 30, 10
_SETTLE_S = 2
_SCRIPT = "/look"
_LOOK = """\
while read -r ifname destination _; do
    [ "$ifname $destination" = "eth0 00000000" ] && echo up
done < /proc/net/route
exec sleep 1000
"""


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Measure a crowd, the idle watchers, and many lives."""
    live(_QUICK_LIVES if quick else _LIVES, record)
    if not can_run_docker():
        return
    with ExitStack() as stack:
        stack.callback(remove_cgroups)
        directory = Path(stack.enter_context(TemporaryDirectory()))
        image = make_image(directory, {_SCRIPT.strip("/"): _LOOK})
        watchers = [DockerWatcher(EARLY), DockerWatcher(AT_START, early=False)]
        for one in watchers:
            one.prepare(stack.enter_context(Machine()), image)
            start_at_once(one, 1)  # the first makes cgroups
        for _ in range(_QUICK_ROUNDS if quick else _ROUNDS):
            for one in watchers:
                crowd(one, record)
        rest(watchers[0], _QUICK_IDLE_S if quick else _IDLE_S, record)


def crowd(one: DockerWatcher, record: Callable[[Sample], None]) -> None:
    """Start many containers at once, and remove them."""
    up, delays_ms = start_at_once(one, _CROWD)
    record(Sample(NAME, one.name, "up before the entrypoint", _CROWD, up, ""))
    for delay_ms in delays_ms:
        record(Sample(NAME, one.name, "start event to up", _CROWD, delay_ms, "ms"))


def start_at_once(one: DockerWatcher, number: int) -> tuple[int, list[float]]:
    """Start containers at once, and remove them.

    Returns:
        How many had their network before their first instruction, and for each the
        milliseconds from Docker's start event to the network.
    """
    began = int(time.time())
    containers = [one.create(_SCRIPT) for _ in range(number)]
    with ThreadPoolExecutor(number) as pool:
        list(pool.map(lambda container: one("start", container), containers))
        up_at = {container: one.time_of("attached", container) for container in containers}
        told = one("events", f"--since={began}", f"--until={int(time.time()) + 1}",
                   "--filter=event=start", "--format={{.ID}} {{.TimeNano}}")  # fmt: skip
        started_ns = dict(line.split() for line in told.splitlines())
        up = sum(one("logs", container) == "up\n" for container in containers)
    one(*one.removal, *containers)
    for container in containers:
        one.time_of("detached", container)
    return up, [(up_at[each] - int(started_ns[each]) / 1e9) * 1000 for each in containers]


def rest(one: DockerWatcher, seconds: int, record: Callable[[Sample], None]) -> None:
    """Leave a watcher alone, with one container that it has wired."""
    container = one.create(_SCRIPT)
    one("start", container)
    one.time_of("attached", container)
    time.sleep(_SETTLE_S)
    before = _spent(one.watcher)
    time.sleep(seconds)
    cpu_ms, woken = (after - then for after, then in zip(_spent(one.watcher), before, strict=True))
    record(Sample(NAME, "idle", "cpu in a minute", 0, cpu_ms * 60 / seconds, "ms"))
    record(Sample(NAME, "idle", "woken in a minute", 0, woken * 60 / seconds, ""))
    one(*one.removal, container)


def _spent(pid: int) -> tuple[float, int]:
    """Return a process's CPU time in ms, and how often its threads have waited."""
    cpu_ms, waits = 0.0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        cpu_ms += int((task / "schedstat").read_text().split()[0]) / 1e6
        status = (task / "status").read_text()
        waits += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return cpu_ms, waits


def live(lives: int, record: Callable[[Sample], None]) -> None:
    """Have a watcher see that many containers start and stop."""
    script = str(Path(__file__).with_name("lives.py"))
    with Machine() as machine:
        told = machine.run(sys.executable, script, str(OCINET), str(lives), str(_CHECKS),
                           timeout_s=lives)  # fmt: skip
    for line in told.splitlines():
        so_far, kilobytes, descriptors, threads = map(int, line.split())
        record(Sample(NAME, "lives", "memory", so_far, kilobytes / 1024, "MB"))
        record(Sample(NAME, "lives", "descriptors", so_far, descriptors, ""))
        record(Sample(NAME, "lives", "threads", so_far, threads, ""))


def _lives(measure: str) -> Callable[[Samples], list[float]]:
    def read(samples: Samples) -> list[float]:
        return [samples.median(key) for key in samples.keys(NAME, measure)]

    return read


def _growth(measure: str) -> Callable[[Samples], float]:
    """Return a reading: by how much it is more at the end than after the first part."""
    read = _lives(measure)

    def reading(samples: Samples) -> float:
        found = read(samples)
        return found[-1] - found[0] if found else float("nan")

    return reading


_MANY = "watcher, through 10,000 attaches and detaches"
_AT_ONCE = f"watcher, {_CROWD} `docker start` at once"
TARGETS = (
    Target(f"{_AT_ONCE}: p95 from the start event to eth0 up, early attach off",
           lambda samples: samples.p95(Key(NAME, AT_START, "start event to up", _CROWD)),
           150, 100, unit="ms"),
    Target(f"{_AT_ONCE}: wired before the entrypoint, early attach on",
           lambda samples: samples.median(Key(NAME, EARLY, "up before the entrypoint", _CROWD)),
           48, 50, at_least=True),
    Target(f"{_MANY}: memory", lambda samples: max(_lives("memory")(samples), default=float("nan")),
           60, None, unit="MB"),
    Target(f"{_MANY}: more memory than after 1,000", _growth("memory"), 2, 0, unit="MB"),
    Target(f"{_MANY}: more descriptors", _growth("descriptors"), 8, 0),
    Target(f"{_MANY}: more threads", _growth("threads"), 0, 0),
    Target("watcher, idle: CPU time in a minute",
           lambda samples: samples.median(Key(NAME, "idle", "cpu in a minute")), 60, 10, unit="ms"),
)  # fmt: skip

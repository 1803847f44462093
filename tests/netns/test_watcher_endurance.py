"""The watcher over thousands of containers' lives: it grows by nothing."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.engine_api import FakeDocker, Sandboxes
from fakes.engine_api.inits import Number
from hosts.name_server import names_served
from hosts.namespace.isolation import in_namespaces, leave_uncounted
from hosts.namespace.looks import ip_json
from hosts.namespace.watched import Watched
from hosts.namespace.wired_host import PATHS, records
from hosts.waiting import wait_until
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.model.settings import Settings
from ocinet.watcher.engine_calls import EngineCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from fakes.engine_api import FakeContainer
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.request import Request
    from ocinet.watcher.life import Life
    from ocinet.watcher.observed import ObservedContainer

_PATIENCE_S = 20
_SIDE_BY_SIDE = 8
_LIVES = 5  # of each container, before it is removed
# Less than what one kilobyte, descriptor or thread for each life would add.
_TOLERANCE_KB = 5120
_TOLERANCE = 12  # a connection per worker, and threads of the fake engine's for them


class Counting:
    """Wires nothing, and counts."""

    def __init__(self) -> None:
        self.attached = self.ended_lives = 0
        self.known: set[str] = set()
        self._guard = threading.Lock()

    def attach(
        self, shown: ObservedContainer, request: Request, life: Life, *, anew: bool, early: bool
    ) -> Attachment | None:
        """Count a container once for each of its lives."""
        del early
        with self._guard:
            if shown.id in self.known and not anew:
                return None
            self.known.add(shown.id)
            self.attached += 1
        container = Container(shown.id, shown.name, "", life.process, "watcher")
        return Attachment(container, request.mode, ATTACHED, life.sandbox.identity, "boot", "now")

    def left_behind(self, _container_id: str) -> tuple[Attachment, ...]:
        """Have left nobody behind."""
        return ()

    def note_rejoin(self, _member: Attachment) -> bool:
        """Have nobody to restart."""
        return False

    def take_back_rejoin(self, _member: Attachment) -> None:
        """Likewise."""

    def guard(self, _container_id: str, _sandbox: Sandbox) -> None:
        """Have nothing to guard."""

    def restore(self, _container_id: str, *, started: bool) -> bool:
        """Have nothing to restore."""
        del started
        return False

    def is_known(self, container_id: str) -> bool:
        """Tell whether it is counted."""
        return container_id in self.known

    def naming_of(self, _container_id: str) -> tuple[str, bool]:
        """Return a name that is none."""
        return "", False

    def ended(self, container_id: str) -> bool:
        """Count it out."""
        with self._guard:
            if container_id not in self.known:
                return False
            self.known.remove(container_id)
            self.ended_lives += 1
            return True

    def rename(self, _container_id: str, _name: str) -> bool:
        """Do nothing."""
        return True

    def tell(self, event: str, container_id: str, name: str, error: str) -> None:
        """Fail: all of them are served."""
        raise AssertionError((event, container_id, name, error))


class Size:
    """How large this process is: its memory, descriptors and threads."""

    def __init__(self) -> None:
        gc.collect()
        status = Path("/proc/self/status").read_text()
        self.kb = int(status.partition("VmRSS:")[2].split()[0])
        self.fds = len(os.listdir("/proc/self/fd"))
        self.threads = len(os.listdir("/proc/self/task"))

    def __repr__(self) -> str:
        return f"{self.kb} kB, {self.fds} descriptors, {self.threads} threads"


def assert_flat(before: Size, after: Size) -> None:
    """Assert that nothing has grown with the number of lives."""
    print(f"before: {before}, after: {after}")  # noqa: T201  # pytest shows it with -s
    assert after.kb <= before.kb + _TOLERANCE_KB, f"{before}, then {after}"
    assert after.fds <= before.fds + _TOLERANCE, f"{before}, then {after}"
    assert after.threads <= before.threads + _TOLERANCE, f"{before}, then {after}"


def remembered(watched: Watched) -> dict[str, int]:
    """Return how many containers and jobs the watcher still knows of, by where."""
    memory, workers = watched.remembered, watched.workers
    places: dict[str, Sized] = {
        "containers": memory.containers._observed, "complaints": memory.complaints._reasons,
        "partial": memory.early._partial, "not told": memory.early._not_told,
        "queues": workers._queues, "ready": workers._ready, "later": workers._later,
        "running": workers._running,
    }  # fmt: skip
    return {name: len(place) for name, place in places.items() if place}


def live(
    docker: FakeDocker,
    rounds: int,
    up: Callable[[int], bool],
    side_by_side: int = _SIDE_BY_SIDE,
    lives: int = _LIVES,
) -> None:
    """Start and stop containers side by side, each several times, and remove them.

    Args:
        docker: whose they are.
        rounds: how often all are started and stopped.
        up: tells whether that many are wired now.
        side_by_side: how many.
        lives: of each container, before it is removed.
    """
    crew: list[FakeContainer] = []
    for number in range(rounds):
        if not crew:
            crew = [docker.create(f"c{number}") for number in range(side_by_side)]
        for container in crew:
            container.start()
        wait_until(lambda: up(side_by_side), "all wired", timeout_s=_PATIENCE_S, interval_s=0.001)
        for container in crew:
            container.stop()
        wait_until(lambda: up(0), "none wired", timeout_s=_PATIENCE_S, interval_s=0.001)
        if (number + 1) % lives == 0:
            for container in crew:
                container.remove()
            crew = []
    for container in crew:
        container.remove()


def settle(docker: FakeDocker, watched: Watched) -> None:
    """Wait until all that was told is done, and have the list looked through."""
    watched.watch.reconcile()
    assert watched.workers.idle(_PATIENCE_S)
    assert not docker.containers


@pytest.mark.timeout(240)
def test_ten_thousand_starts_and_stops_leave_nothing() -> None:
    """5,000 lives of 1,000 containers: each is wired once, and all are forgotten."""
    run_counted(rounds=625)


@in_namespaces
def run_counted(rounds: int) -> None:
    """Let containers live beside a watcher that wires nothing."""
    leave_uncounted()
    directory = tempfile.mkdtemp(dir="/run")
    path = f"{directory}/docker.sock"
    counting = Counting()
    with (
        FakeDocker(path, lambda _id: Number(os.getpid())) as docker,
        Watched(path, counting, reconcile_interval_s=600, level="warning") as watched,
    ):

        def up(number: int) -> bool:
            return len(counting.known) == number

        first = rounds // 5
        live(docker, first, up)
        settle(docker, watched)
        before = Size()
        live(docker, rounds - first, up)
        wait_until(lambda: not remembered(watched), "removals told", timeout_s=_PATIENCE_S)
        settle(docker, watched)
        assert_flat(before, Size())
        assert counting.attached == counting.ended_lives == rounds * _SIDE_BY_SIDE
        assert docker.log.dropped == 0
        docker.faults.drop("destroy")
        live(docker, _LIVES, up)
        # The engine tells of a disconnect after each death: that may come while nothing is queued.
        wait_until(
            lambda: remembered(watched) == {"containers": _SIDE_BY_SIDE},
            "all but those whose end is not told", timeout_s=_PATIENCE_S,
        )  # fmt: skip
        settle(docker, watched)
        assert remembered(watched) == {}
        assert watched.log.getvalue() == ""
    shutil.rmtree(directory)


@pytest.mark.timeout(240)
def test_wired_lives_leave_nothing() -> None:
    """150 lives in sandboxes of their own, wired by the real engine, that are found by names."""
    run_wired(rounds=50)


@in_namespaces
def run_wired(rounds: int) -> None:
    """Let containers live beside a watcher that wires them."""
    leave_uncounted()
    directory = tempfile.mkdtemp(dir="/run")
    path = f"{directory}/docker.sock"
    current = Settings()
    calls = EngineCalls(PATHS, lambda _network: {}, lambda: current)
    calls.prepare()
    links, kept = len(ip_json("link")), records()

    def up(number: int) -> bool:
        attachments = Path(f"{PATHS.run}/attachments")
        return len(list(attachments.glob("*.json"))) == number

    with (
        names_served(),
        Sandboxes() as sandboxes,
        FakeDocker(path, sandboxes) as docker,
        Watched(
            path, calls, collect=calls.collect, reconcile_interval_s=30, level="warning"
        ) as watched,
    ):
        live(docker, rounds // 5, up, 3, rounds)
        settle(docker, watched)
        before, served = Size(), records()
        # The name server stays for as long as there is a network.
        assert all(name.startswith("names/") for name in set(served) - set(kept))
        live(docker, rounds - rounds // 5, up, 3, rounds)
        settle(docker, watched)
        wait_until(lambda: not remembered(watched), "all forgotten", timeout_s=_PATIENCE_S)
        sandboxes.latest.clear()
        assert_flat(before, Size())
        assert len(ip_json("link")) == links
        assert records() == served
        assert watched.log.getvalue() == ""
    shutil.rmtree(directory)

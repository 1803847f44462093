"""What an engine that keeps its answers back may hold up, and what it may not."""

# ruff: noqa: ARG002  # fakes are given what they have no use for
from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import structlog

from hosts.waiting import wait_until
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.model.request import Request
from ocinet.engine.model.settings import Settings
from ocinet.watcher.container_jobs import ContainerJobs
from ocinet.watcher.dispatch import Dispatch
from ocinet.watcher.observed import Event, ObservedContainer
from ocinet.watcher.remembered import Remembered
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from ocinet.watcher.life import Life

WEB = "c0ffee" * 10
_CROWD = [f"{number:064x}" for number in range(20)]
_LONG_S = 10


class BusyEngine:
    """Docker, starting a crowd: whoever inspects one of it waits for its start's end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.waiting = 0

    def listed(self) -> tuple[ObservedContainer, ...]:
        return ()

    def created(self, container_id: str) -> ObservedContainer | None:
        return self.inspect(container_id)

    def glance(self, container_id: str) -> ObservedContainer | None:
        return None

    def started(self, container_id: str) -> ObservedContainer | None:
        return self.inspect(container_id)

    def inspect(self, container_id: str) -> ObservedContainer | None:
        if container_id in _CROWD:
            self.waiting += 1
            self.begun.wait(_LONG_S)
        return ObservedContainer(
            container_id, container_id[:6], "none", pid=os.getpid(), running=True
        )


class Wiring:
    """Wires nothing, and remembers whom it was to wire."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def attach(
        self, shown: ObservedContainer, request: Request, life: Life, *, anew: bool
    ) -> Attachment | None:
        self.done.append(shown.id)
        container = Container(shown.id, shown.name, "", life.process, "watcher")
        return Attachment(container, request.mode, ATTACHED, life.sandbox.identity, "boot", "now")

    def is_known(self, container_id: str) -> bool:
        return container_id in self.done

    def name_of(self, container_id: str) -> str:
        return ""

    def ended(self, container_id: str) -> bool:
        return False

    def rename(self, container_id: str, name: str) -> bool:
        return False


def test_looks_that_wait_for_starts_hold_no_other_container_up() -> None:
    """A crowd is created and at once started: another container is wired all the same."""
    engine, wiring = BusyEngine(), Wiring()
    failures: list[BaseException] = []
    workers = Workers(4, failures.append)
    log = structlog.get_logger()
    remembered = Remembered(lambda _image: None, log)
    jobs = ContainerJobs(engine, wiring, remembered, Settings, log)
    dispatch = Dispatch(jobs, remembered, workers, None, Settings, log)
    workers.start()
    try:
        for container in _CROWD:
            dispatch.receive(Event("create", container))
        wait_until(lambda: engine.waiting > 0, "the first look", timeout_s=_LONG_S)
        dispatch.receive(Event("start", WEB))

        wait_until(lambda: wiring.done == [WEB], "the attach", timeout_s=_LONG_S / 4)

        assert not engine.begun.is_set()
        engine.begun.set()
        assert workers.idle(_LONG_S)
        assert engine.waiting == len(_CROWD)
        assert failures == []
    finally:
        engine.begun.set()
        assert workers.stop(_LONG_S)

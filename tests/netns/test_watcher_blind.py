"""An engine that lists its containers, but does not tell what happens, or badly."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import pytest

from fakes.engine_api import Answer, FakeDocker, Sandboxes
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import addresses_json, ip_json, run
from hosts.namespace.watched import Watched
from hosts.namespace.wired_host import PATHS
from hosts.waiting import wait_until
from ocinet.engine.model.settings import Settings
from ocinet.watcher.engine_calls import EngineCalls

# Two seconds alone; others may be at work. A reconciling comes after a minute only.
_WIRED_S = 15
_RECONCILE_S = 60.0


def fail(docker: FakeDocker) -> None:
    """Have no events told at all."""
    docker.faults.answer("events", Answer.error(500, "no events today"))


def run_on(docker: FakeDocker) -> None:
    """Tell events without anything between them."""
    docker.faults.feed = b""


def break_off(docker: FakeDocker) -> None:
    """End each stream before its first event."""
    docker.faults.answer("events", Answer(body=b"", status=200))


FAULTS: dict[str, Callable[[FakeDocker], None]] = {
    "500": fail,
    "no line feeds": run_on,
    "ends at once": break_off,
}


@in_namespaces
def live(fault: str) -> None:
    """Start and end containers of such an engine; each is wired, and nothing is left."""
    path = f"{tempfile.mkdtemp(dir='/run')}/docker.sock"
    calls = EngineCalls(PATHS, lambda _network: {}, Settings)
    with Sandboxes() as sandboxes, FakeDocker(path, sandboxes) as docker:
        FAULTS[fault](docker)
        watched = Watched(path, calls, collect=calls.collect, reconcile_interval_s=_RECONCILE_S)
        with watched:
            for name in ("web", "db"):
                container = docker.create(name)
                container.start()
                pid = container.pid
                wait_until(
                    lambda pid=pid: "eth0" in run("ip", "-o", "addr", pid=pid),  # type: ignore[misc]
                    f"the network of {name}",
                    timeout_s=_WIRED_S,
                )
                assert addresses_json("eth0", pid)
            for held in list(docker.containers.values()):
                held.remove(force=True)
            wait_until(
                lambda: not ip_json("link show type veth"), "the end of both", timeout_s=_WIRED_S
            )
        log = watched.log.getvalue()
    assert ("no events today" in log) == (fault == "500")
    assert log.count("no events today") <= 1, "it is said once"


@pytest.mark.parametrize("fault", FAULTS)
def test_containers_are_wired_all_the_same(fault: str) -> None:
    """By the list, which works; whoever can't be heard is said."""
    live(fault)

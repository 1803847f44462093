"""A container's first process is followed only if it still is the one that the engine meant."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from ocinet.base.errors import SystemFailure
from ocinet.watcher.life import open_life
from ocinet.watcher.observed import ObservedContainer
from ocinet.watcher.sight import Sight

# In no cgroup that bears the container's id: so the engine is asked once more.
WEB = ObservedContainer("c0ffee" * 10, "web", "none", pid=os.getpid(), running=True)
BESIDE = Sight("/run/docker.sock", None)  # an engine in our pid namespace


def open_fds() -> set[str]:
    """Return what this process has open, the listing itself left out."""
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}


def test_process_that_the_engine_names_once_more_is_followed() -> None:
    """Where cgroups say nothing, the engine's second word counts."""
    life = open_life(WEB, lambda: WEB, BESIDE)
    assert life
    with life.sandbox:
        assert life.process.pid == os.getpid()


@pytest.mark.parametrize("again", [None, replace(WEB, pid=1), replace(WEB, pid=0)])
def test_process_that_the_engine_names_no_more_is_not_followed(
    again: ObservedContainer | None,
) -> None:
    """Its id is another one's by now, and nothing of it stays open."""
    before = open_fds()
    assert open_life(WEB, lambda: again, BESIDE) is None
    assert open_fds() == before


def test_engine_that_does_not_answer_leaves_nothing_open() -> None:
    """An open namespace would live as long as the service."""

    def fail() -> ObservedContainer:
        raise SystemFailure("", "no answer")

    before = open_fds()
    with pytest.raises(SystemFailure, match="no answer"):
        open_life(WEB, fail, BESIDE)
    assert open_fds() == before

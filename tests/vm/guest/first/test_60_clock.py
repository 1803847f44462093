"""The host's clock is set by a day, to and fro, while containers and their watcher run."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from vm.guest.machine import Container, remove, run, unanswered, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY_S = 86400
_AGO_S = 120  # all is emulated
_QUARREL = "while ip link set ocinet0 down; do sleep 0.5; done"
_QUARREL_S = 300
_HELD_S = 60  # a hold is of 10 s, or of 20


@pytest.fixture(params=[_DAY_S, -_DAY_S], ids=["a day on", "a day back"])
def jump(request: pytest.FixtureRequest, pair: tuple[Container, Container]) -> Iterator[None]:
    """The clock is set, and behind the test it is right again."""
    assert unanswered(*pair, 8080) == []
    _set_clock(request.param)
    yield
    _set_clock(-request.param)


def _set_clock(by_s: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time() + by_s)


def _shown(*words: str) -> Any:
    return json.loads(run("ocinet", *words, "--format", "json"))


def _holds() -> int:
    return [event["event"] for event in _shown("events")].count("repair held")


def test_containers_are_right_when_the_clock_was_set(
    jump: None, pair: tuple[Container, Container]
) -> None:
    """All ways stay open, nothing is taken for dead, and whoever comes then is wired."""
    assert unanswered(*pair, 8080) == []
    assert _shown("check") == []
    assert _shown("gc") == []
    assert unanswered(*pair, 8080) == []
    late = Container.start("docker", "late", "-p", "8082:80")
    try:
        assert unanswered(late, pair[1], 8082) == []
        assert late.address() not in {each.address() for each in pair}
        run("nft", "delete", "table", "inet", "ocinet")
        wait_until(lambda: not unanswered(late, pair[1], 8082), "it is repaired")
    finally:
        remove("docker", "late")


def test_what_is_told_is_right_when_the_clock_was_set(
    jump: None, pair: tuple[Container, Container]
) -> None:
    """`events` has the last one last, and `status` says when an engine was heard since."""
    before = _shown("events")
    late = Container.start("docker", "late")
    late.address()
    late.remove()
    events = _shown("events")
    assert events[: len(before)] == before
    assert "late" in {event.get("name") for event in events[len(before) :]}

    def heard() -> bool:
        engines = {each["socket"]: each for each in _shown("status")["watcher"]["engines"]}
        then = datetime.fromisoformat(engines["/run/docker.sock"]["heard"])
        return abs((datetime.now(UTC) - then).total_seconds()) < _AGO_S

    wait_until(heard, "Docker was heard just now")


def test_hold_of_a_repair_ends_in_time_when_the_clock_was_set_back(
    pair: tuple[Container, Container],
) -> None:
    """What somebody undid over and over is repaired 10 s later, and not a day later."""
    before = _holds()
    quarrel = subprocess.Popen(("sh", "-c", _QUARREL))
    try:
        wait_until(lambda: _holds() > before, "a repair is held", timeout_s=_QUARREL_S)
    finally:
        quarrel.kill()
        quarrel.wait()
    _set_clock(-_DAY_S)
    try:
        wait_until(lambda: not unanswered(*pair, 8080), "it is repaired", timeout_s=_HELD_S)
    finally:
        _set_clock(_DAY_S)

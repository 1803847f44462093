"""What is believed of an engine whose processes may be out of sight, and what is told."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from ocinet.base.errors import SystemFailure
from ocinet.watcher import life, sight
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.life import open_life
from ocinet.watcher.observed import ObservedContainer
from ocinet.watcher.sight import BELOW, HIDDEN, SAME, Sight

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

# The number is that of this process, which is no container's.
WEB = ObservedContainer("c0ffee" * 10, "web", "none", pid=os.getpid(), running=True)


@pytest.fixture
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give where the engine is found, one for each look."""
    places: list[str] = []
    monkeypatch.setattr(sight, "place_of", lambda _path: places.pop(0))
    return places


@pytest.fixture
def cgroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cgroup tree with a cgroup for the container, without processes."""
    made = tmp_path / "docker" / WEB.id
    made.mkdir(parents=True)
    (made / "cgroup.procs").write_text("")
    (tmp_path / "cgroup.controllers").write_text("")
    monkeypatch.setattr(life, "Cgroups", lambda: Cgroups(str(tmp_path)))
    return made


def seen(*places: str) -> Sight:
    """Return the sight of an engine, after as many looks."""
    made = Sight("/run/docker.sock", structlog.get_logger())
    for _ in places:
        made.look()
    return made


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("place", "numbers_count", "hidden"),
    [(SAME, True, False), (BELOW, False, False), (HIDDEN, False, True)],
)
def test_numbers_count_where_the_engine_is(
    looks: list[str], place: str, numbers_count: bool, hidden: bool
) -> None:
    """Elsewhere one is nobody's, or another process's."""
    looks[:] = [place]
    found = seen(place)
    assert (found.numbers_count, found.hidden) == (numbers_count, hidden)


def test_hidden_engine_is_told_once_until_it_is_seen(
    looks: list[str], log: list[MutableMapping[str, Any]]
) -> None:
    """The stream is opened anew every minute: that is no news."""
    looks[:] = [HIDDEN, HIDDEN, SAME, HIDDEN]
    found = seen(HIDDEN, HIDDEN)
    assert [entry["event"] for entry in log] == ["engine out of sight"]
    assert "(hint: run the watcher in that one; in a container" in log[0]["error"]
    found.look()
    assert log[1]["event"] == "engine in sight again"
    found.look()
    assert log[2]["event"] == "engine out of sight"


@pytest.mark.usefixtures("log")
def test_container_that_is_seen_outweighs_a_hidden_listener(looks: list[str]) -> None:
    """A proxy may listen; its place says nothing then, until another one listens."""
    looks[:] = [HIDDEN, HIDDEN, SAME, HIDDEN]
    found = seen(HIDDEN)
    found.saw()
    assert not found.hidden
    found.look()
    assert not found.hidden, "the same as before"
    found.look()
    found.look()
    assert found.hidden


def test_engine_that_is_not_there_is_no_hidden_one(log: list[MutableMapping[str, Any]]) -> None:
    """Its socket can't be asked."""
    absent = Sight("/nowhere/docker.sock", structlog.get_logger())
    absent.look()
    assert not absent.hidden
    assert log == []


@pytest.mark.usefixtures("log", "cgroup")
@pytest.mark.parametrize("place", [BELOW, HIDDEN])
def test_number_of_another_namespace_is_not_gone_by(looks: list[str], place: str) -> None:
    """The process that has it here would be wired in the container's place."""
    looks[:] = [place]
    with pytest.raises(SystemFailure, match=f"cannot attach web: its process {os.getpid()} is not"):
        open_life(WEB, lambda: WEB, seen(place))


@pytest.mark.usefixtures("log", "cgroup")
@pytest.mark.parametrize("again", [None, replace(WEB, pid=0)])
def test_container_that_died_meanwhile_is_no_complaint(
    looks: list[str], again: ObservedContainer | None
) -> None:
    """Between the engine's answer and the look."""
    looks[:] = [HIDDEN]
    assert open_life(WEB, lambda: again, seen(HIDDEN)) is None


@pytest.mark.usefixtures("log")
def test_stale_number_of_an_engine_beside_us_is_no_complaint() -> None:
    """Podman shows one as running whose conmon was killed."""
    stale = replace(WEB, pid=2**22 - 1)
    assert open_life(stale, lambda: stale, seen()) is None

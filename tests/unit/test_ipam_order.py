"""In which order a lease, and what points at it, are written: seen at every line of an act.

What lies in the directory at a line is what a kill at that line leaves.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from builders import make_pool
from fakes.judged_store import JudgedStore, fill_disk
from ocinet.base.errors import SystemFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

FOUR = make_pool("10.9.0.0/29", "10.9.0.1")
SIX = make_pool("fd00:9::/64", "fd00:9::1")
# Where files are written, and what is written is put together.
_WRITERS = ("ocinet.ipam.", "ocinet.base.files", "ocinet.base.atomic", "ocinet.base.records")


@pytest.fixture
def world(tmp_path: Path) -> JudgedStore:
    """Return a store with leases of two containers."""
    world = JudgedStore(tmp_path)
    world.get("old", FOUR, SIX)
    world.get("other", FOUR, SIX)
    return world


def at_each_line(work: Callable[[], object], look: Callable[[], None]) -> int:
    """Do something, and look at every line of what writes files; returns how often."""
    looks = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal looks
        if not str(frame.f_globals["__name__"]).startswith(_WRITERS):
            return None
        if event == "line":
            looks += 1
            look()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return looks


def leased(world: JudgedStore) -> dict[str, str]:
    """Return the file name of each lease's holder by the lease's address, read by our own hand."""
    found = {}
    for name in os.listdir(world.path("")):
        if not name.startswith(".") and name not in ("lock", "holders"):
            with open(world.path(name), encoding="ascii") as file:
                lease = json.load(file)
            found[name] = f"{lease['container']}={lease['ifname']}"
    return found


def noted(world: JudgedStore, holder: str) -> list[str]:
    """Return what a holder's note names."""
    path = world.path(f"holders/{holder}")
    return os.readlink(path).split(",") if os.path.islink(path) else []


def last_given(world: JudgedStore) -> set[str]:
    """Return what the lock's file says was given last."""
    with open(world.path("lock"), encoding="ascii") as lock:
        return set(lock.readline().split())


def fill(world: JudgedStore) -> None:
    """Give away what is left of the IPv4 pool, and let one of its holders die."""
    for number in range(3):
        world.get(f"c{number}", FOUR)
    world.dead.add("other")


def die_and_return(world: JudgedStore) -> None:
    """Come back in a new sandbox."""
    world.dead.add("old")
    world.get("old", FOUR, SIX, sandbox="4:2")


def take_by_number(world: JudgedStore) -> None:
    """Take what a dead one has, and one more."""
    world.dead.add("old")
    world.get("new", FOUR, SIX, wanted=("10.9.0.2", "10.9.0.6"))


ACTS: dict[str, Callable[[JudgedStore], object]] = {
    "allocate": lambda world: world.get("new", FOUR, SIX),
    "allocate by number": lambda world: world.get("new", FOUR, SIX, wanted=("10.9.0.6",)),
    "allocate what is missing": lambda world: world.get("old", FOUR, SIX, wanted=("10.9.0.5",)),
    "inherit": die_and_return,
    "take over": take_by_number,
    "release": lambda world: world.free("10.9.0.2", "old"),
    "release the last": lambda world: [world.free(a, "old") for a in ("10.9.0.2", "fd00:9::2")],
}


@pytest.mark.parametrize("act", ACTS)
def test_kill_anywhere_leaves_each_lease_where_its_holder_finds_it(
    world: JudgedStore, act: str
) -> None:
    """The note comes before the lease and goes after it: no lease is held and found by nobody."""

    def look() -> None:
        for address, holder in leased(world).items():
            assert address in noted(world, holder), f"{holder} has {address} and can't find it"

    assert at_each_line(lambda: ACTS[act](world), look) > 100
    assert leased(world), "what was looked at"


def test_kill_anywhere_in_a_takeover_under_pressure_leaves_each_lease_where_its_holder_finds_it(
    world: JudgedStore,
) -> None:
    """In a full pool a note of the dead one goes after the lease has changed hands."""
    fill(world)

    def look() -> None:
        for address, holder in leased(world).items():
            assert address in noted(world, holder), f"{holder} has {address} and can't find it"

    assert at_each_line(lambda: world.get("late", FOUR), look) > 100
    assert leased(world)["10.9.0.3"] == "late=eth0"
    assert noted(world, "other=eth0") == ["fd00:9::3"]


@pytest.fixture
def no_second_lease(world: JudgedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full after one more lease."""
    fill_disk(monkeypatch, leases=1)


@pytest.mark.usefixtures("no_second_lease")
def test_kill_anywhere_in_an_undone_allocation_leaves_each_lease_where_its_holder_finds_it(
    world: JudgedStore,
) -> None:
    """What is taken back goes before the note of it."""
    seen = set()

    def look() -> None:
        for address, holder in leased(world).items():
            seen.add(address)
            assert address in noted(world, holder), f"{holder} has {address} and can't find it"

    def allocate() -> None:
        with pytest.raises(SystemFailure, match="No space left"):
            world.get("new", FOUR, SIX)

    assert at_each_line(allocate, look) > 100
    assert "10.9.0.4" in seen, "a lease that was taken back"
    assert "10.9.0.4" not in leased(world)


@pytest.mark.parametrize("act", [act for act in ACTS if "release" not in act])
def test_kill_anywhere_lets_nothing_count_as_given_that_was_not(
    world: JudgedStore, act: str
) -> None:
    """The address given last is noted after its lease: one that nobody got has its turn yet."""
    before = last_given(world)

    def look() -> None:
        assert last_given(world) <= before | leased(world).keys()

    assert at_each_line(lambda: ACTS[act](world), look) > 100


@pytest.mark.usefixtures("no_second_lease")
def test_allocate_that_is_undone_leaves_the_turn_where_it_was(world: JudgedStore) -> None:
    """The next one gets what could not be written."""
    before = last_given(world)
    with pytest.raises(SystemFailure):
        world.get("new", FOUR, SIX)

    assert last_given(world) == before

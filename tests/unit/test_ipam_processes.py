"""Several processes at one store, and processes that are killed at work."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from builders import NETWORK, make_pool
from fakes.judged_store import JudgedStore
from ocinet.base.errors import ExhaustedError
from ocinet.base.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

SMALL = make_pool("10.9.0.0/28", "10.9.0.1")  # 13 addresses
SIX = make_pool("fd00::/125", "fd00::1")  # 6 addresses


def start(work: Callable[[], Any]) -> int:
    """Run something in a child process; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def test_allocate_by_several_processes_gives_no_address_twice(tmp_path: Path) -> None:
    """Each takes its address for its own by a file that only one can make."""
    (tmp_path / "mine").mkdir()

    def work(number: int) -> None:
        world = JudgedStore(tmp_path)
        seed = number
        mine: list[tuple[str, list[str]]] = []
        for turn in range(120):
            seed = (seed * 1103515245 + 12345) % (1 << 31)
            if mine and (len(mine) > 4 or seed >> 16 & 1):
                container, addresses = mine.pop(seed % len(mine))
                for address in addresses:
                    os.unlink(tmp_path / "mine" / address)  # before the release, or it is another's
                    assert world.free(address, container)
                continue
            container = f"p{number}t{turn}"
            try:
                addresses = world.get(container, SMALL, SIX)
            except ExhaustedError:
                continue
            for address in addresses:
                os.close(os.open(tmp_path / "mine" / address, os.O_CREAT | os.O_EXCL))
            mine.append((container, addresses))
        for container, addresses in mine:
            for address in addresses:
                os.unlink(tmp_path / "mine" / address)
                assert world.free(address, container)

    children = [start(partial(work, number)) for number in range(4)]

    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    world = JudgedStore(tmp_path)
    assert world.held == {}
    assert os.listdir(world.path("holders")) == []


def test_allocate_by_many_at_once_gives_each_its_own(tmp_path: Path) -> None:
    """Fifty containers that start together have fifty addresses."""
    pool = make_pool("10.9.0.0/24", "10.9.0.1")
    children = [start(partial(JudgedStore(tmp_path).get, f"c{number}", pool))
                for number in range(50)]  # fmt: skip

    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 50
    held = JudgedStore(tmp_path).held
    assert sorted(held.values()) == sorted(f"c{number}" for number in range(50))


def killed_at(line: int, work: Callable[[], Any]) -> bool:
    """Run something in a child, killed at the n-th line of ours; False if it ended before."""
    seen = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal seen
        if "/ipam/" not in frame.f_code.co_filename and "/base/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def traced() -> None:
        sys.settrace(trace)
        work()

    _pid, status = os.waitpid(start(traced), 0)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


def test_allocate_killed_anywhere_leaves_whole_leases(tmp_path: Path) -> None:
    """After a kill at any line, every lease is whole, the lock free, and a second try complete."""

    def work(world: JudgedStore) -> None:
        world.get("c0", SMALL, SIX)

    killed = 0
    for line in range(1, 800, 7):
        world = JudgedStore(tmp_path / str(line))
        killed += killed_at(line, partial(work, world))

        assert world.store.quarantined(NETWORK) == ()
        assert len(world.held) <= 2
        got = world.get("c0", SMALL, SIX)
        assert sorted(world.held) == sorted(got), "the lease of the killed one is not lost"
        world.store.sweep(NETWORK)
        assert sorted(os.listdir(world.path(""))) == sorted([*got, "holders", "lock"])
        assert os.listdir(world.path("holders")) == ["c0=eth0"]
    assert killed > 80, "fewer lines than that: the loop no longer reaches what it is about"


def test_release_killed_anywhere_can_be_repeated(tmp_path: Path) -> None:
    """After a kill at any line, releasing again leaves nothing."""

    def work(world: JudgedStore) -> None:
        world.free("10.9.0.2", "c0")

    killed = 0
    for line in range(1, 250, 5):
        world = JudgedStore(tmp_path / str(line))
        world.get("c0", SMALL)
        killed += killed_at(line, partial(work, world))

        world.free("10.9.0.2", "c0")
        world.store.sweep(NETWORK)
        assert world.held == {}
        assert os.listdir(world.path("holders")) == []
    assert killed > 20


def test_takeover_killed_anywhere_leaves_one_holder(tmp_path: Path) -> None:
    """The address of a dead holder is never without a file, whoever's it is."""

    def work(world: JudgedStore) -> None:
        world.dead.add("dead")
        world.get("c0", SMALL, wanted=("10.9.0.9",))

    killed = 0
    for line in range(150, 900, 25):
        world = JudgedStore(tmp_path / str(line))
        world.get("dead", SMALL, wanted=("10.9.0.9",))
        killed += killed_at(line, partial(work, world))

        assert world.held["10.9.0.9"] in ("dead", "c0")
    assert killed >= 5


def test_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    """The kernel drops it, however its holder dies."""
    path = f"{tmp_path}/lock"
    ready, tell = os.pipe()

    def hold() -> None:
        with Lock(path, "it", None):
            os.write(tell, b"x")
            signal.pause()

    pid = start(hold)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    os.close(tell)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    with Lock(path, "it", None):
        pass

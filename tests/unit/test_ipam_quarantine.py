"""Lease files that can't be read: never free, set aside, told once."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from builders import NETWORK, make_pool
from fakes.judged_store import JudgedStore
from hosts.requirements import ROOT, require
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, ExhaustedError, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POOL = make_pool("10.9.0.0/29", "10.9.0.1")


def _write(content: bytes) -> Callable[[str], None]:
    def write(path: str) -> None:
        with open(path, "wb") as file:
            file.write(content)

    return write


def _bind(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.open(".", os.O_RDONLY)
        os.chdir(os.path.dirname(path))  # a path of a socket may not be long
        listener.bind(os.path.basename(path))
        os.fchdir(before)
        os.close(before)


def _of_another(path: str) -> None:
    _write(b"{}")(path)
    require(ROOT)
    os.chown(path, 12345, 12345)


def _huge(path: str) -> None:
    _write(b"")(path)
    os.truncate(path, 1 << 30)


JUNK = {
    "empty": _write(b""),
    "zeros": _write(b"\0" * 300),
    "text": _write(b"10.9.0.3 c0"),
    "another lease": _write(
        b'{"network": "lan", "address": "10.9.0.4", "container": "c", "ifname": "e"}'
    ),
    "another network": _write(
        b'{"network": "dmz", "address": "10.9.0.3", "container": "c", "ifname": "e"}'
    ),
    "huge": _huge,
    "directory": os.mkdir,
    "fifo": os.mkfifo,
    "socket": _bind,
    "dangling link": lambda path: os.symlink("/nowhere", path),
    "link": lambda path: os.symlink("/etc/passwd", path),
    "of another": _of_another,
}


@pytest.fixture
def world(tmp_path: Path) -> JudgedStore:
    """Return a store whose network exists."""
    world = JudgedStore(tmp_path)
    world.get("c0", POOL)
    return world


@pytest.fixture(params=JUNK)
def junk(request: pytest.FixtureRequest, world: JudgedStore) -> str:
    """Put junk in the place of a lease, and return the address."""
    JUNK[request.param](world.path("10.9.0.3"))
    return "10.9.0.3"


def told(world: JudgedStore) -> list[str]:
    """Return the addresses that were reported as unreadable."""
    return [fields["address"] for event, fields in world.events if event == "lease unreadable"]


def test_allocate_passes_over_what_can_not_be_read(world: JudgedStore, junk: str) -> None:
    """Whatever it is, the address is not free; not even when nothing else is."""
    got = [world.get(f"d{number}", POOL)[0] for number in range(3)]

    assert got == ["10.9.0.4", "10.9.0.5", "10.9.0.6"]
    world.dead.add("somebody")
    with pytest.raises(ExhaustedError, match="5 are held"):
        world.get("late", POOL)
    assert told(world) == [junk]
    with pytest.raises(ExhaustedError):
        world.get("late", POOL)
    assert told(world) == [junk]


def test_allocate_static_of_what_can_not_be_read_is_refused(world: JudgedStore, junk: str) -> None:
    """The error says so; the file is set aside and a tombstone keeps the name."""
    with pytest.raises(ConflictError, match=r"10\.9\.0\.3 is quarantined"):
        world.get("c1", POOL, wanted=(junk,))

    assert told(world) == [junk]
    assert os.listdir(world.path("corrupt")) == [junk]
    with pytest.raises(ConflictError, match=r"10\.9\.0\.3 is quarantined"):
        world.get("c1", POOL, wanted=(junk,))
    assert told(world) == [junk]


def test_quarantined_lists_it_and_the_others_are_untouched(world: JudgedStore, junk: str) -> None:
    """It is found by looking as well, and told once."""
    assert world.store.quarantined(NETWORK) == (junk,)
    assert world.store.quarantined(NETWORK) == (junk,)
    assert told(world) == [junk]
    assert world.held == {"10.9.0.2": "c0"}
    assert world.store.networks() == (NETWORK,)


def test_release_of_what_can_not_be_read_keeps_it(world: JudgedStore, junk: str) -> None:
    """A detach can't tell whose it is, so it stays."""
    assert world.free(junk, "c1") is False
    assert world.store.quarantined(NETWORK) == (junk,)


def test_release_quarantined_frees_it_for_good(world: JudgedStore, junk: str) -> None:
    """On purpose, by hand, it becomes an address like any other."""
    if os.path.isdir(world.path(junk)):
        with pytest.raises(SystemFailure, match="Is a directory"):
            world.store.release_quarantined(NETWORK, Address.parse(junk))
        os.rmdir(world.path(junk))
        return
    assert world.store.release_quarantined(NETWORK, Address.parse(junk)) is True
    assert world.store.release_quarantined(NETWORK, Address.parse(junk)) is False
    assert os.listdir(world.path("corrupt")) == []
    assert world.get("c1", POOL) == [junk]


def test_quarantine_keeps_the_evidence(world: JudgedStore) -> None:
    """What was in the file can still be looked at."""
    _write(b"half a lea")(world.path("10.9.0.3"))

    world.store.quarantined(NETWORK)

    with open(world.path("corrupt/10.9.0.3"), "rb") as file:
        assert file.read() == b"half a lea"
    assert world.events == [("lease unreadable", {
        "network": NETWORK, "address": "10.9.0.3", "why": "it is not JSON at character 0",
    })]  # fmt: skip


def test_quarantine_of_very_many_sets_a_few_aside(world: JudgedStore) -> None:
    """A whole directory of junk does not double itself."""
    wide = make_pool("10.9.0.0/24", "10.9.0.1")
    for number in range(100, 200):
        _write(b"junk")(world.path(f"10.9.0.{number}"))

    assert len(world.store.quarantined(NETWORK)) == 100
    assert len(os.listdir(world.path("corrupt"))) == 64
    assert len(told(world)) == 100
    world.store.quarantined(NETWORK)
    assert len(told(world)) == 100
    assert world.get("c1", wide, wanted=("10.9.0.99",)) == ["10.9.0.99"]


def test_release_quarantined_of_a_proper_lease_is_refused(world: JudgedStore) -> None:
    """A living lease, a free address and an unknown network have nothing to free."""
    for address in ("10.9.0.2", "10.9.0.3"):
        assert world.store.release_quarantined(NETWORK, Address.parse(address)) is False
    assert world.store.release_quarantined("other", Address.parse("10.9.0.2")) is False
    assert world.store.quarantined("other") == ()
    assert world.held == {"10.9.0.2": "c0"}


def test_stray_files_are_no_addresses(world: JudgedStore) -> None:
    """A file with another name takes nothing, and is not shown."""
    for name in ("notes.txt", "10.9.0", "10.9.0.3.bak", "10.9.0.03", "fd00:0::3"):
        _write(b"x")(world.path(name))

    assert world.held == {"10.9.0.2": "c0"}
    assert world.get("c1", POOL) == ["10.9.0.3"]
    assert world.store.quarantined(NETWORK) == ()

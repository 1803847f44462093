"""Leases on a disk that is full, or read-only: one clear error, nothing half made."""

from __future__ import annotations

import os

import pytest

from builders import make_pool
from fakes.judged_store import JudgedStore
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.errors import ConflictError, SystemFailure

POOL = make_pool("10.9.0.0/24", "10.9.0.1")
SIX = make_pool("fd00::/64", "fd00::1")


def refused(world: JudgedStore, container: str) -> str:
    """Allocate for a container, and return the error if it failed."""
    try:
        world.get(container, POOL, SIX)
    except SystemFailure as error:
        return str(error)
    return ""


def files(root: str) -> set[str]:
    """Return every file below a directory."""
    return {f"{path}/{name}" for path, _directories, names in os.walk(root) for name in names}


@in_namespaces
def test_allocate_on_a_full_disk_makes_nothing() -> None:
    """Whichever file there is no room for, neither lease is left; a release makes room."""
    outcomes = []
    for inodes in range(6, 22):
        os.makedirs("/run/disk", exist_ok=True)
        run(f"mount -t tmpfs -o size=1m,nr_inodes={inodes} none /run/disk")
        world = JudgedStore("/run/disk", deadline_s=1)
        try:
            world.get("first", POOL)
            before = files(world.root)
            refusal = refused(world, "second")
            if refusal:
                outcomes.append("refused")
                assert "No space left on device" in refusal
                assert set(world.held.values()) == {"first"}
                assert files(world.root) == before
            else:
                outcomes.append("given")
            assert world.free("10.9.0.2", "first")
        except SystemFailure:
            outcomes.append("too small")
            assert world.held == {}
        run("umount /run/disk")
    assert outcomes.count("refused") >= 3
    assert outcomes[0] == "too small"
    assert outcomes[-1] == "given"


@in_namespaces
def test_allocate_without_a_page_left_gives_no_empty_lease() -> None:
    """A file that can be made but not filled does not become a lease."""
    os.makedirs("/run/disk")
    run("mount -t tmpfs -o size=16k none /run/disk")
    world = JudgedStore("/run/disk", deadline_s=1)

    refusals = [refused(world, f"c{number}") for number in range(10)]

    assert "No space left on device" in refusals[-1]
    assert world.store.quarantined("lan") == ()
    for address, container in world.held.items():
        assert world.free(address, container)
    assert not refused(world, "late")


@in_namespaces
def test_allocate_on_a_read_only_disk_fails_and_looking_works() -> None:
    """The error names the file and the cause; `ls` still shows what is held."""
    os.makedirs("/run/disk")
    run("mount -t tmpfs none /run/disk")
    world = JudgedStore("/run/disk", deadline_s=1)
    world.get("c0", POOL)
    run("mount -o remount,ro /run/disk")

    for act in (lambda: world.get("c1", POOL), lambda: world.free("10.9.0.2", "c0")):
        with pytest.raises(SystemFailure, match=r"/run/disk.*Read-only file system"):
            act()
    assert world.held == {"10.9.0.2": "c0"}
    assert world.store.networks() == ("lan",)
    assert world.store.quarantined("lan") == ()


@in_namespaces
def test_quarantine_on_a_full_disk_still_keeps_the_address() -> None:
    """Without room for a tombstone, the junk itself is in the way."""
    os.makedirs("/run/disk")
    run("mount -t tmpfs -o size=1m,nr_inodes=14 none /run/disk")
    world = JudgedStore("/run/disk", deadline_s=1)
    world.get("c0", POOL)
    with open(world.path("10.9.0.3"), "wb") as file:
        file.write(b"junk")
    try:
        for number in range(20):
            os.mkdir(f"/run/disk/{number}")
    except OSError:
        pass

    for _again in range(2):
        with pytest.raises(ConflictError, match="quarantined"):
            world.get("c1", POOL, wanted=("10.9.0.3",))
    assert world.store.quarantined("lan") == ("10.9.0.3",)

"""Containers' cgroups are told of as they are made, wherever they are expected."""

from __future__ import annotations

import select
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ocinet.watcher.births import Births
from ocinet.watcher.cgroups import Cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEB, DB = "c0ffee" * 10 + "0123", "feed" * 16


@contextmanager
def born(root: Path) -> Iterator[tuple[Cgroups, Births]]:
    """Watch a tree of version 2, which may have something in it already."""
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    cgroups = Cgroups(str(root))
    with Births(cgroups) as births:
        yield cgroups, births


def told(births: Births) -> tuple[str, ...]:
    """Return what is told, by a descriptor that can be polled."""
    ready, _, _ = select.select([births], [], [], 0)
    return births.read() if ready else ()


@pytest.mark.parametrize("place", [f"docker/{WEB}", f"system.slice/docker-{WEB}.scope"])
@pytest.mark.parametrize("is_there", [True, False])
def test_cgroup_is_told_of_with_both_drivers(tmp_path: Path, place: str, is_there: bool) -> None:
    """Once, also if the directory above it is only made for it, at a stroke."""
    directory = tmp_path / place
    if is_there:
        directory.parent.mkdir()
    with born(tmp_path) as (_cgroups, births):
        assert told(births) == ()
        directory.mkdir(parents=True)
        assert told(births) == (WEB,)
        assert told(births) == ()


def test_other_cgroups_are_no_containers(tmp_path: Path) -> None:
    """Services have theirs beside, and runtimes make others within."""
    (tmp_path / "system.slice").mkdir()
    with born(tmp_path) as (_cgroups, births):
        for name in ("ssh.service", "docker.service", f"docker-{WEB}.mount", WEB[:12], f"{WEB}0"):
            (tmp_path / "system.slice" / name).mkdir()
        (tmp_path / "system.slice" / DB).write_text("no directory")
        assert told(births) == ()


def test_parent_that_goes_is_watched_again_when_it_is_back(tmp_path: Path) -> None:
    """systemd removes a slice with its last unit."""
    slice_ = tmp_path / "system.slice"
    with born(tmp_path) as (_cgroups, births):
        for container in (WEB, DB):
            (slice_ / f"docker-{container}.scope").mkdir(parents=True)
            assert told(births) == (container,)
            (slice_ / f"docker-{container}.scope").rmdir()
            slice_.rmdir()
            assert told(births) == ()


def test_place_that_is_found_later_is_watched_from_then_on(tmp_path: Path) -> None:
    """Whatever was there before is not told of."""
    with born(tmp_path) as (cgroups, births):
        (tmp_path / "ci" / "jobs" / WEB).mkdir(parents=True)
        (tmp_path / "ci" / "jobs" / WEB / "cgroup.procs").write_text("7\n")
        assert told(births) == ()
        cgroups.search([WEB])
        assert births.follow() == []
        (tmp_path / "ci" / "jobs" / DB).mkdir()
        assert told(births) == (DB,)


def test_found_place_that_goes_is_watched_level_by_level(tmp_path: Path) -> None:
    """An idle machine may have none of a daemon's own parents."""
    with born(tmp_path) as (cgroups, births):
        (tmp_path / "ci" / "jobs" / WEB).mkdir(parents=True)
        cgroups.search([WEB])
        births.follow()
        (tmp_path / "ci" / "jobs" / WEB).rmdir()
        (tmp_path / "ci" / "jobs").rmdir()
        (tmp_path / "ci").rmdir()
        assert told(births) == ()
        (tmp_path / "ci").mkdir()
        assert told(births) == ()
        (tmp_path / "ci" / "jobs").mkdir()
        assert told(births) == ()
        (tmp_path / "ci" / "jobs" / DB).mkdir()
        assert told(births) == (DB,)

"""A container's cgroup is found on both versions, with both drivers, below any parent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ocinet.watcher.cgroups import Cgroups, is_listed

if TYPE_CHECKING:
    from pathlib import Path

WEB, DB = "c0ffee" * 10 + "0123", "feed" * 16
V1, V2 = "pids/", ""
CGROUPFS, SYSTEMD = "{}", "docker-{}.scope"


def tree(root: Path, version: str) -> Cgroups:
    """Make an empty tree of a version."""
    if version == V2:
        (root / "cgroup.controllers").write_text("cpu memory pids\n")
    else:
        for controller in ("cpu", "pids", "memory"):
            (root / controller).mkdir()
    return Cgroups(str(root))


def add(root: Path, place: str, *pids: int) -> Path:
    """Make a cgroup with processes in it."""
    directory = root / place
    directory.mkdir(parents=True)
    (directory / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return directory


@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize(
    ("parent", "name", "known"),
    [
        ("docker", CGROUPFS, True),
        ("system.slice", SYSTEMD, True),
        ("ci/jobs", CGROUPFS, False),
        ("machine.slice/machine-x.slice", SYSTEMD, False),
        ("odd{name}", CGROUPFS, False),
    ],
)
def test_processes_are_found_below_any_parent(
    tmp_path: Path, version: str, parent: str, name: str, known: bool
) -> None:
    """Docker's usual places at once; others by a search, and at once from then on."""
    cgroups = tree(tmp_path, version)
    add(tmp_path, f"{version}{parent}/{name.format(WEB)}", 7, 8)
    assert cgroups.processes(WEB) == ((7, 8) if known else ())
    assert cgroups.proven == known
    cgroups.search([DB, WEB])
    assert cgroups.processes(WEB) == (7, 8)
    assert cgroups.proven
    add(tmp_path, f"{version}{parent}/{name.format(DB)}", 9)
    assert cgroups.processes(DB) == (9,)


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ("/ci/jobs", "ci/jobs/{}"),
        ("ci", "ci/{}"),
        ("odd{name}", "odd{{name}}/{}"),
        ("shop.slice", "shop.slice/docker-{}.scope"),
        ("shop-front-a.slice", "shop.slice/shop-front.slice/shop-front-a.slice/docker-{}.scope"),
    ],
)
def test_parent_that_is_told_is_looked_into_at_once(tmp_path: Path, told: str, place: str) -> None:
    """Without a search, and beside where others were found; slices are below one another."""
    cgroups = tree(tmp_path, V2)
    add(tmp_path, f"docker/{DB}", 9)
    cgroups.tell(told)
    assert cgroups.processes(DB) == (9,)
    add(tmp_path, place.format(WEB), 7)
    assert os.path.dirname(f"{tmp_path}/{place}").format() in cgroups.parents()
    assert cgroups.processes(WEB) == (7,)
    assert cgroups.processes(DB) == (9,)


@pytest.mark.parametrize("others", ["docker/{}", "system.slice/docker-{}.scope"])
def test_parent_that_is_told_proves_nothing_of_the_others(tmp_path: Path, others: str) -> None:
    """It is one container's choice: who comes after it is where the daemon puts it."""
    cgroups = tree(tmp_path, V2)
    cgroups.tell("ci")
    add(tmp_path, f"ci/{WEB}", 7)
    assert cgroups.processes(WEB) == (7,)
    cgroups.search([WEB])
    before = cgroups.proven
    add(tmp_path, others.format(DB), 9)
    assert cgroups.is_made(DB)
    assert os.path.dirname(f"{tmp_path}/{others}") in cgroups.parents()
    assert cgroups.processes(DB) == (9,)
    assert (before, cgroups.proven) == (False, True)
    assert cgroups.processes(WEB) == (7,)


def test_parent_that_is_told_outlives_those_where_nobody_came(tmp_path: Path) -> None:
    """Those that are remembered are few."""
    cgroups = tree(tmp_path, V2)
    cgroups.tell("ci")
    for number in range(15):
        cgroups.tell(f"before/{number}")
    add(tmp_path, f"ci/{WEB}", 7)
    assert cgroups.processes(WEB) == (7,)
    for number in range(15):
        cgroups.tell(f"after/{number}")
    assert cgroups.processes(WEB) == (7,)


@pytest.mark.parametrize("told", ["", "/", "../../etc", "/ci/../../x"])
def test_parent_that_is_told_leads_nowhere_else(tmp_path: Path, told: str) -> None:
    """What is no place in the tree is not looked into; nor is the tree's own top."""
    cgroups = tree(tmp_path, V2)
    before = cgroups.parents()
    cgroups.tell(told)
    assert cgroups.parents() == before


def test_one_search_finds_all(tmp_path: Path) -> None:
    """However many are expected, and wherever they are."""
    cgroups = tree(tmp_path, V2)
    add(tmp_path, f"jobs/{WEB}", 7)
    add(tmp_path, f"ci/docker-{DB}.scope", 9)
    cgroups.search([WEB, DB])
    assert (cgroups.processes(WEB), cgroups.processes(DB)) == ((7,), (9,))


def test_only_where_containers_were_found_is_looked(tmp_path: Path) -> None:
    """Looks are many, and what is looked for is mostly not there yet."""
    cgroups = tree(tmp_path, V2)
    add(tmp_path, f"system.slice/docker-{WEB}.scope", 7)
    assert cgroups.processes(WEB) == (7,)
    assert cgroups._places == [f"{tmp_path}/system.slice/docker-{{}}.scope"]


def test_container_without_a_cgroup_has_no_processes(tmp_path: Path) -> None:
    """It is not made yet, or gone; another one's is not taken for it."""
    cgroups = tree(tmp_path, V1)
    add(tmp_path, f"pids/elsewhere/{DB}", 9)
    add(tmp_path, f"pids/docker/{WEB}x", 10)
    cgroups.search([WEB])
    assert cgroups.processes(WEB) == ()
    assert not cgroups.proven
    add(tmp_path, f"pids/docker/{WEB}")
    assert cgroups.processes(WEB) == ()


def test_places_are_remembered_by_number(tmp_path: Path) -> None:
    """Parents may be as many as containers; the last ones are worth knowing."""
    cgroups = tree(tmp_path, V2)
    for number in range(40):
        add(tmp_path, f"jobs/{number}/{number:064x}", number + 1)
        cgroups.search([f"{number:064x}"])
        assert cgroups.processes(f"{number:064x}") == (number + 1,)
    assert len(cgroups._places) <= 16


def test_own_cgroup_does_not_name_a_container() -> None:
    """What a process is in is read from its own file."""
    assert not is_listed(os.getpid(), WEB)
    with open("/proc/self/cgroup") as file:
        own = file.readline().strip()
    assert is_listed(os.getpid(), own[-8:] or "0::/")
    assert not is_listed(1 << 22, WEB)

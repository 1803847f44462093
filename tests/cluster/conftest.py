"""Gives a test as many machines as it wants, on one underlay; or a world with etcd in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.cluster.world import World
from hosts.engine.bundle import Config, build_rootfs, default_config
from hosts.lab.hosts import Hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failed test's commands, machine by machine, with what they printed."""
    report = yield
    made = item.stash.get(_MADE, None)
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World):
        report.sections.append((f"commands at {call.when}", str(world.transcript)))
    if report.failed:
        item.stash[_FAILED] = True
        for number, lab in made.labs.items() if made else ():
            report.sections.append((f"host {number} at {call.when}", str(lab.transcript)))
    return report


_MADE = pytest.StashKey[Hosts]()


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The busybox rootfs of the session."""
    return build_rootfs(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def runc_config() -> Config:
    """What `runc spec` writes."""
    return default_config()


@pytest.fixture
def make_hosts(
    request: pytest.FixtureRequest, tmp_path: Path, rootfs: Path, runc_config: Config
) -> Iterator[Callable[[int], Hosts]]:
    """Makes the machines of a test; if it passed, no container may have left anything on them."""
    made: list[Hosts] = []

    def make(count: int) -> Hosts:
        made.append(Hosts(tmp_path, rootfs, runc_config, count))
        request.node.stash[_MADE] = made[0]
        return made[0]

    yield make
    for hosts in made:
        with hosts:
            hosts.delete_containers()
            if not request.node.stash.get(_FAILED, False):
                for remove in hosts.to_remove:
                    remove()
                for lab in hosts.labs.values():
                    lab.assert_no_container_left()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A link with nobody on it, removed after the test."""
    with World(tmp_path) as made:
        yield made

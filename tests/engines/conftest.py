"""Gives each test a lab, and checks that it left nothing, inside or outside."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from hosts.engine.bundle import Config, build_rootfs, default_config
from hosts.lab.machine import Lab
from hosts.lab.snapshot import LOOK, Snapshot, parse
from hosts.requirements import SEARCH_PATH, require

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failed test's commands, in order, with what they printed."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed:
        item.stash[_FAILED] = True
        if isinstance(lab, Lab):
            report.sections.append((f"commands at {call.when}", str(lab.transcript)))
    return report


def look_at_machine() -> Snapshot:
    """Take a snapshot of the machine that the tests run on."""
    shown = subprocess.run(
        LOOK, check=True, capture_output=True, text=True, env={"PATH": SEARCH_PATH}
    )
    return parse(shown.stdout)


@pytest.fixture(scope="session")
def machine_before() -> Snapshot:
    """What the machine looked like before the first lab."""
    require("ip", "nft")
    return look_at_machine()


@pytest.fixture
def machine_unchanged(machine_before: Snapshot) -> Iterator[None]:
    """Fail a test that changed the machine itself."""
    yield
    changed = machine_before.difference(look_at_machine())
    assert not changed, "the machine itself has changed:\n" + "\n".join(changed)


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The busybox rootfs of the session."""
    return build_rootfs(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def runc_config() -> Config:
    """What `runc spec` writes."""
    return default_config()


@pytest.fixture
def lab(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    rootfs: Path,
    runc_config: Config,
    machine_unchanged: None,
) -> Iterator[Lab]:
    """A private machine, removed after the test.

    Containers that the test made with runc or crun are deleted at its end. If
    it passed, nothing of a container may be left then; networks may.
    """
    with Lab(tmp_path, rootfs, runc_config) as made:
        yield made
        made.delete_containers()
        if not request.node.stash.get(_FAILED, False):
            made.assert_no_container_left()

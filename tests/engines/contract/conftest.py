"""Gives contract tests their engines: real ones in a lab, and fakes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from fakes.engine_api import Refused
from hosts.engine.driven import KINDS, Driven
from hosts.engine.driven_real import running_engine
from hosts.engine.told import client_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", params=KINDS)
def shared_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driven]:
    """An engine of each kind, for all tests that only make and remove containers."""
    with running_engine(request.param, request, tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: Driven) -> Iterator[Driven]:
    """An engine of each kind; at the end, no container is left there."""
    yield shared_engine
    with contextlib.closing(client_of(shared_engine)) as api:
        for listed in api.containers(all=True):
            with contextlib.suppress(Refused):  # podman's that have members
                shared_engine.act("rm_f", listed["Id"])
        for listed in api.containers(all=True):
            with contextlib.suppress(Refused):  # whom somebody is removing already
                shared_engine.act("rm_f", listed["Id"])
        wait_until(lambda: not api.containers(all=True), "an engine without containers")


@pytest.fixture
def api(engine: Driven) -> Iterator[Any]:
    """A docker-py client of the engine."""
    with contextlib.closing(client_of(engine)) as client:
        yield client


@pytest.fixture(params=KINDS)
def own_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driven]:
    """An engine of each kind, to be stopped; Docker's containers outlive it."""
    (tmp_path / "engine").mkdir()
    with running_engine(request.param, request, tmp_path / "engine", "--live-restore") as engine:
        yield engine

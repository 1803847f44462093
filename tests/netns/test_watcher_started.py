"""A container that has started is known by Docker's files, as long as they tell the truth."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from fakes.engine_api import FakeDocker, Sandboxes
from ocinet.base.errors import SystemFailure
from ocinet.watcher.docker_api import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes.engine_api import FakeContainer

_SOON_S = 0.2


class Scene:
    """A container in a cgroup of its own, an engine that inspects none, and its files."""

    def __init__(self, root: Path, docker: FakeDocker, container: FakeContainer) -> None:
        self.docker, self.container = docker, container
        self.client = Client(docker.path, _SOON_S)
        self.client.greet()
        self.client._root = str(root)
        self._place = root / "containers" / container.id

    def write(self, pid: int) -> None:
        """Write the files, with a first process."""
        state: dict[str, Any] = {
            "ID": self.container.id, "Name": "/web", "Config": {}, "State": {"Pid": pid},
        }  # fmt: skip
        self._place.mkdir(parents=True, exist_ok=True)
        (self._place / "config.v2.json").write_text(json.dumps(state))
        (self._place / "hostconfig.json").write_text(json.dumps({"NetworkMode": "none"}))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A started container."""
    with (
        Sandboxes(cgroups=True) as sandboxes,
        FakeDocker(str(tmp_path / "docker.sock"), sandboxes) as docker,
    ):
        container = docker.create("web")
        container.start()
        made = Scene(tmp_path / "root", docker, container)
        yield made
        made.client.forget()
        container.remove(force=True)


def test_started_is_known_by_files_while_the_engine_keeps_its_answers_back(scene: Scene) -> None:
    """It may have a crowd to start before."""
    scene.write(scene.container.pid)
    with scene.docker.faults.block("inspect"):
        shown = scene.client.started(scene.container.id)
    assert shown
    assert (shown.name, shown.mode, shown.pid) == ("web", "none", scene.container.pid)
    assert shown.running


@pytest.mark.parametrize("pid", [0, os.getpid(), 1 << 22], ids=["none", "ours", "nobody's"])
def test_started_is_asked_for_if_the_files_name_no_process_of_its(scene: Scene, pid: int) -> None:
    """They are behind, or the number is another process's by now."""
    scene.write(pid)
    shown = scene.client.started(scene.container.id)
    assert shown
    assert shown.pid == scene.container.pid
    with scene.docker.faults.block("inspect"), pytest.raises(SystemFailure):
        scene.client.started(scene.container.id)

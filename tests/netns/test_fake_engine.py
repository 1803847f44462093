"""First processes of fake containers: in namespaces, and cgroups, of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.engine_api import FakeDocker, FakePodman, Sandboxes
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.life import find_life


def _namespace(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@pytest.mark.parametrize("engine_type", [FakeDocker, FakePodman])
def test_a_container_lives_in_namespaces_of_its_own(
    tmp_path: Path, engine_type: type[FakeDocker | FakePodman]
) -> None:
    """New ones at each start; its end is the process's."""
    with (
        Sandboxes() as sandboxes,
        engine_type(str(tmp_path / "engine.sock"), inits=sandboxes) as engine,
    ):
        container = engine.create("web")
        seen = []
        for _ in range(2):
            container.start()
            pid = container.pid
            assert _namespace(pid, "net") != _namespace("self", "net")
            assert _namespace(pid, "pid") != _namespace("self", "pid")
            seen.append(_namespace(pid, "net"))
            container.stop()
            assert not os.path.exists(f"/proc/{pid}")
        assert container.pid == 0


def test_a_container_is_found_by_its_cgroup_before_it_is_started(tmp_path: Path) -> None:
    """As the watcher looks for Docker's; the cgroup goes with the container's end."""
    with (
        Sandboxes(cgroups=True) as sandboxes,
        FakeDocker(str(tmp_path / "docker.sock"), inits=sandboxes) as docker,
    ):
        container = docker.create("web")
        with container.starting():
            cgroups = Cgroups()
            cgroups.search([container.id])
            pids = cgroups.processes(container.id)
            assert container.pid in pids
            life = find_life(pids, settled=False)
            assert life
            assert life.process.pid == container.pid
            life.sandbox.close()
        cgroup = Path(sandboxes.parent, container.id)
        assert str(container.pid) in (cgroup / "cgroup.procs").read_text().split()
        container.remove(force=True)
        assert not cgroup.exists()
        parent = sandboxes.parent
    assert not os.path.exists(parent)


def test_a_process_killed_behind_the_engines_back_is_dead_for_it_later(tmp_path: Path) -> None:
    """The engine shows it running until it has been told."""
    with (
        Sandboxes() as sandboxes,
        FakeDocker(str(tmp_path / "docker.sock"), inits=sandboxes) as docker,
    ):
        container = docker.create("web")
        container.start()
        pid = container.pid
        sandboxes.latest[container.id].kill()
        assert not os.path.exists(f"/proc/{pid}")
        assert (container.status, container.pid) == ("running", pid)
        container.die(137)
        assert (container.status, container.pid) == ("exited", 0)

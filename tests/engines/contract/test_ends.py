"""What becomes of streams and containers when an engine ends and comes back."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from hosts.engine.driven import DOCKERS, NOW_AND_THEN, Driven, Fake
from hosts.engine.driven_real import running_engine
from hosts.engine.told import PATIENCE_S, Told, client_of, in_order, runs, settled, state_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("machine_unchanged")


def test_a_stream_ends_silently_with_its_engine(own_engine: Driven) -> None:
    """Stopped or killed, the engine just hangs up; then it is not there, or refuses."""
    engine = own_engine
    with Told(engine) as told:
        engine.quit()
        told.wait_for_end()
    assert _connecting(engine) == "ENOENT"
    engine.boot()
    with Told(engine) as told:
        engine.crash()
        told.wait_for_end()
    assert _connecting(engine) == "ECONNREFUSED"
    engine.boot()
    with contextlib.closing(client_of(engine)) as api:
        assert api.containers(all=True) == []


def _connecting(engine: Driven) -> str:
    """Return how connecting fails: docker-py would leave its socket open then."""
    with socket.socket(socket.AF_UNIX) as own:
        return errno.errorcode[own.connect_ex(engine.path)]


def test_deaths_while_the_engine_is_down_are_told_by_podman_alone(own_engine: Driven) -> None:
    """Docker forgets what it told, and never tells of them; podman needs no service."""
    engine = own_engine
    container = engine.create("web")
    with contextlib.closing(client_of(engine)) as api:
        engine.act("start", container)
        pid = api.inspect_container(container)["State"]["Pid"]
    engine.crash()
    if isinstance(engine, Fake):
        engine.act("die", container)
    else:
        os.kill(pid, signal.SIGKILL)
    engine.boot()
    with contextlib.closing(client_of(engine)) as api, Told(engine, since="1") as told:
        wait_until(
            lambda: state_of(api, container) == ("exited", False, False, False, 0),
            "the death's discovery", timeout_s=PATIENCE_S,
        )  # fmt: skip
        engine.act("rm_f", container)
        told.wait_for(container, engine.removal)
        acts = [act for act in told.acts(container) if act not in NOW_AND_THEN]
        assert acts == (
            ["destroy"] if engine.kind == "docker" else ["create", "init", "start", "die", "remove"]
        )


def test_live_restore_keeps_containers_while_docker_is_stopped(own_engine: Driven) -> None:
    """They run on, with the same process, and nothing is told of it."""
    engine = own_engine
    container = engine.create("web")
    engine.act("start", container)
    with contextlib.closing(client_of(engine)) as api:
        pid = api.inspect_container(container)["State"]["Pid"]
    engine.quit()
    engine.boot()
    with contextlib.closing(client_of(engine)) as api, Told(engine, since="1") as told:
        assert api.inspect_container(container)["State"]["Pid"] == pid
        engine.act("rm_f", container)
        told.wait_for(container, engine.removal)
        acts = [act for act in told.acts(container) if act not in NOW_AND_THEN]
        assert acts == (
            in_order(engine.docker, "kill die disconnect(none) destroy")
            if engine.kind == "docker"
            else ["create", "init", "start", "die", "remove"]
        )


@pytest.mark.parametrize("kind", DOCKERS)
def test_docker_stops_its_containers_with_itself(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """It tells of that, and starts again those that shall, before it can be asked."""
    (tmp_path / "engine").mkdir()
    with running_engine(kind, request, tmp_path / "engine") as engine:
        always = engine.create("always", restart="always")
        never = engine.create("never")
        engine.act("start", always)
        engine.act("start", never)
        with Told(engine) as told:
            engine.quit()
            told.wait_for_end()
            for container in (always, never):
                acts = settled(told.acts(container))
                # Docker cuts the stream off when it ends, at times before the last word.
                whole = in_order(engine.docker, "kill kill die disconnect(none) stop")
                assert acts == whole[: max(len(acts), whole.index("die") + 1)]
        engine.boot()
        with contextlib.closing(client_of(engine)) as api:
            wait_until(lambda: runs(api, always), "its start", timeout_s=PATIENCE_S)
            assert state_of(api, never) == ("exited", False, False, False, 0)
            engine.act("rm_f", always)

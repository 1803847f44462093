"""Containers by the names of their engines: Docker's, podman's, runc's and crun's."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from builders import WEB_ID, record
from fakes.shell import Shell
from ocinet.base.clock import Process
from ocinet.base.errors import NotFoundError, SystemFailure
from ocinet.cli.engine_names import EngineContainer
from ocinet.cli.targets import find_record
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import Publish, Request
from ocinet.request.runtime_files import find_containers

if TYPE_CHECKING:
    from pathlib import Path

DOCKERS = "d" * 64
PODMANS = "e" * 64


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


def running(engine: str, container_id: str, name: str) -> EngineContainer:
    """Return a container whose process is this one."""
    return EngineContainer(engine, Container(container_id, name, process=Process.of(os.getpid())))


def test_attach_of_dockers_container_is_by_its_id(shell: Shell) -> None:
    """Its record is under the engine's id, so that whoever hears of its end finds it."""
    shell.elsewhere = [running("docker", DOCKERS, "web")]

    outcome = shell.run("attach", "web", "--net", "lan")

    assert outcome.code == 0, outcome.err
    _, container, _, _ = shell.engine.calls[-1]
    assert container == Container(DOCKERS, "web", process=Process.of(os.getpid()))


def test_name_of_two_engines_is_one_error_that_names_both(shell: Shell) -> None:
    """And either of its words means that one."""
    shell.elsewhere = [running("docker", DOCKERS, "web"), running("podman", PODMANS, "web")]

    outcome = shell.run("attach", "web")

    assert outcome.code == 2
    assert "web is not unique: docker:web, podman:web" in outcome.err
    assert shell.run("attach", "podman:web").code == 0
    assert shell.engine.calls[-1][1].id == PODMANS


def test_publish_all_asks_the_engine_what_is_exposed(shell: Shell) -> None:
    """Those that are named have their own host port; what comes of the rest is docker's -P."""
    exposed = ("53/udp", "80/tcp", "8443/tcp")
    shell.elsewhere = [running("docker", DOCKERS, "web").replace(exposed=exposed)]

    outcome = shell.run("attach", "web", "-P", "-p", "8080:80")

    assert outcome.code == 0, outcome.err
    _, _, request, _ = shell.engine.calls[-1]
    assert request.publish == (
        Publish("tcp", None, 8080, 80),
        Publish("udp", None, 0, 53),
        Publish("tcp", None, 0, 8443),
    )
    shell.elsewhere = [running("docker", DOCKERS, "web").replace(exposed=())]
    assert shell.run("attach", "web", "--publish-all").code == 0
    assert shell.engine.calls[-1][2].publish == ()


def test_publish_all_of_one_whose_ports_nobody_knows_says_so(shell: Shell) -> None:
    """runc has no image; nothing is attached, and -p is named."""
    shell.elsewhere = [running("runc", "box", "box")]

    for target in ("box", f"pid:{os.getpid()}"):
        outcome = shell.run("attach", target, "-P")

        assert outcome.code == 3
        assert "nothing tells which ports" in outcome.err
        assert "hint: name them: -p PORT" in outcome.err
    assert shell.engine.calls == []


def test_two_of_one_engine_are_told_apart_by_their_ids(shell: Shell) -> None:
    """Both are podman's, so its word helps nobody."""
    shell.elsewhere = [running("podman", DOCKERS, "web"), running("podman", PODMANS, "web")]

    told = shell.run("attach", "web").err

    assert "podman:dddddddddddd, podman:eeeeeeeeeeee" in told


def test_what_ocinet_knows_comes_first(shell: Shell) -> None:
    """Of two that are called web, the one with a record is meant, unless an engine is named."""
    shell.engine.records.attachments.put(record())
    shell.elsewhere = [running("docker", DOCKERS, "web")]

    assert shell.run("inspect", "web").data[0]["id"] == WEB_ID
    outcome = shell.run("inspect", "docker:web")
    assert outcome.code == 3
    assert "hint: ocinet attach docker:web" in outcome.err


@pytest.mark.parametrize("command", [["detach"], ["publish", "80"], ["check"], ["inspect"]])
def test_command_on_one_that_is_not_wired_names_attach(shell: Shell, command: list[str]) -> None:
    """It is there, but nothing of ours is: so says the error."""
    shell.elsewhere = [running("runc", "box", "box")]
    verb, *rest = command

    outcome = shell.run(verb, "box", *rest)

    assert outcome.code == 3
    assert "box runs, but ocinet made nothing for it" in outcome.err
    assert "hint: ocinet attach box" in outcome.err


def test_container_that_does_not_run_is_to_be_started(shell: Shell) -> None:
    """What is stopped has no sandbox."""
    shell.elsewhere = [EngineContainer("docker", Container(DOCKERS, "web"))]

    outcome = shell.run("attach", "web")

    assert outcome.code == 3
    assert "docker's container web does not run" in outcome.err
    assert "docker start web" in outcome.err


def test_member_of_a_wired_sandbox_is_its_owner(shell: Shell) -> None:
    """Two records of one sandbox would make its links twice."""
    with Sandbox.open_path("/proc/self/ns/net") as sandbox:
        shell.engine.records.attachments.put(record(sandbox=sandbox.identity))
    shell.elsewhere = [running("docker", DOCKERS, "sidecar")]

    assert shell.run("attach", "sidecar", "--net", "dmz").code == 0
    assert shell.engine.calls[-1][1].id == WEB_ID


def test_sharing_with_dockers_container_records_that_one_first(
    shell: Shell, tmp_path: Path
) -> None:
    """Whose sandbox is shared is found by its record, and `docker:web` becomes its id."""
    shell.elsewhere = [running("docker", DOCKERS, "web")]
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/config.json").write_text('{"ociVersion": "1.0.2"}')

    outcome = shell.run("hooks", "add", f"{tmp_path}/bundle", "--net", "container:docker:web")

    ((_, container, request, _),) = shell.engine.calls
    assert container.id == DOCKERS
    assert request == Request("none")
    # The fake's sandboxes have no names to point a bundle at: by now it looks for the right one.
    assert f"the sandbox of {DOCKERS}" in outcome.err


def test_name_that_an_engine_which_is_down_may_have_is_not_found(shell: Shell) -> None:
    """As where no engine is; and the error says who did not answer. `-f` minds neither."""

    def look_up(_name: str, _engine: str) -> tuple[EngineContainer, ...]:
        raise SystemFailure("/run/docker.sock: cannot reach it", "Connection refused")

    with pytest.raises(NotFoundError) as refused:
        find_record(shell.engine, "web", look_up)
    assert "no container web is known; /run/docker.sock: cannot reach it" in str(refused.value)


def test_container_that_an_engine_does_not_know_names_its_list(shell: Shell) -> None:
    """runc has another word for it than docker."""
    assert "hint: see: runc list" in shell.run("inspect", "runc:web").err
    assert "hint: see: docker ps --all" in shell.run("inspect", "docker:web").err


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """Return a /run in which runc and crun have one container each, podman's among them."""
    storage = tmp_path / "storage/overlay-containers"
    bundle = f"{storage}/{PODMANS}/userdata"
    storage.mkdir(parents=True)
    entries = [{"id": PODMANS, "names": ["db"], "image": ""}]
    (storage / "containers.json").write_text(json.dumps(entries, separators=(",", ":")))
    own = Process.of(os.getpid())
    assert own
    runc, crun = tmp_path / "runc/web", tmp_path / f"crun/{PODMANS}"
    runc.mkdir(parents=True)
    crun.mkdir(parents=True)
    (runc / "state.json").write_text(
        json.dumps(
            {
                "init_process_pid": own.pid,
                "init_process_start": own.start_time,
                "config": {"labels": ["bundle=/run/bundles/web"]},
            }
        )
    )
    (crun / "status").write_text(
        json.dumps({"pid": own.pid, "process-start-time": 1, "bundle": bundle})
    )
    return tmp_path


def test_state_of_runc_tells_process_and_bundle(states: Path) -> None:
    """By the id or its start; a process that was another one's before is none of its."""
    for text in ("web", "we"):
        (found,) = find_containers(text, str(states))
        assert (found.engine, found.id, found.bundle) == ("runc", "web", "/run/bundles/web")
        assert found.process == Process.of(os.getpid())
    assert find_containers("nobody", str(states)) == ()


def test_state_of_crun_that_is_podmans_is_known_by_podmans_name(states: Path) -> None:
    """podman gives its containers names that crun has never heard of."""
    for text in ("db", PODMANS, PODMANS[:6]):
        (found,) = find_containers(text, str(states))
        assert (found.engine, found.id, found.name) == ("podman", PODMANS, "db")
        assert found.process is None  # the process with that number began at another time


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"init_process_pid": 1}'])
def test_state_that_is_none_is_passed_over(states: Path, text: str) -> None:
    """A file that is half written, or of a version to come, hides nobody else."""
    (states / "crun/odd").mkdir()
    (states / "crun/odd/status").write_text(text)
    assert [found.id for found in find_containers("web", str(states))] == ["web"]

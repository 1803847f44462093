"""What the engine is told when there is no container, and that nothing is left of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.container import IMAGE
from hosts.engine.hooked_runtime import host_ends
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import (
    LAUNCHER,
    UNDER,
    call_runtime,
    docker_under_wrapper,
    install,
    labels,
    state,
)

if TYPE_CHECKING:
    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

HOOK_STAGES = {"createRuntime", "poststop"}


def refusal(docker: Docker, *options: str, command: tuple[str, ...] = ("true",)) -> str:
    """Run a container that can't be started, and return what docker says of it."""
    result = docker("run", "--rm", UNDER, "--net=none", *options, IMAGE, *command, check=False)
    assert result.status in (125, 126, 127)
    return result.stderr


@each_runtime
def test_failed_create_leaves_nothing(lab: Lab, runtime: str) -> None:
    """An entrypoint that is not there: docker says so, and nothing was wired for it."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        for _ in range(5):
            told = refusal(docker, "-p", "8080:80", command=("no-such-thing",))
            assert "no-such-thing" in told
            lab.assert_no_container_left()
        assert lab.records() == {}
        assert host_ends(lab) == []


@each_runtime
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"nte": "lan"}, "annotation 'ocinet.nte': there is no such key (hint: did you mean net"),
        ({"Publish": "8080:80"}, "but ocinet.publish with quotes, blanks or capitals"),
        ({"net": "nowhere"}, "cannot attach bad: there is no network nowhere"),
        ({"publish": "80"}, ""),
        ({"net": "lan:ip=10.9.0.300"}, "'10.9.0.300'"),
    ],
)
def test_label_that_cannot_be_met_is_told_by_docker(
    lab: Lab, runtime: str, given: dict[str, str], why: str
) -> None:
    """Docker's error has our one line, whichever runtime does the work."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        name = ("--name=bad", *labels(**given))
        if not why:
            assert docker("run", "--rm", UNDER, "--net=none", *name, IMAGE, "true").status == 0
            return

        told = refusal(docker, *name)

        assert "OCI runtime create failed: ocinet: " in told
        assert why in told
        assert len(told.split("OCI runtime create failed")[1].splitlines()[0]) < 400
        lab.assert_no_container_left()


@each_runtime
def test_container_that_cannot_be_attached_is_deleted_again(lab: Lab, runtime: str) -> None:
    """The runtime has made it by then, and must not keep it: a port is another one's."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        lab.serve("tcp", 8080)

        told = refusal(docker, "--name=web", "-p", "8080:80")

        assert "ocinet: cannot attach web: " in told
        assert "8080" in told
        assert docker("ps", "--all", "--quiet").stdout == ""
        root = "/run/docker/runtime-runc/moby"
        assert lab.run(LAUNCHER, "--root", root, "list", "--quiet", check=False).stdout == ""
        (event,) = lab.events("attach failed")
        assert event["door"] == "wrapper"
        lab.assert_no_container_left()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_error_is_in_the_log_that_the_engine_reads(lab: Lab, log_format: str) -> None:
    """stderr belongs to the container: engines look into the runtime's log."""
    install(lab)
    bundle = lab.bundle("bad", annotations={"ocinet.nte": "lan"})
    given = ("--log", "/run/runtime.log", "--log-format", log_format)

    result = call_runtime(lab, *given, "create", "--bundle", str(bundle.path), "bad", check=False)

    assert result.status == 1
    (line,) = lab.path("/run/runtime.log").read_text().splitlines()
    (shown,) = result.stderr.splitlines()
    assert "there is no such key" in line
    if log_format == "json":
        record = json.loads(line)
        assert (record["level"], record["msg"]) == ("error", shown)
    else:
        assert line.startswith('time="')
        assert " level=error msg=\"ocinet: cannot attach bad: annotation 'ocinet.nte'" in line
    assert bundle.config["annotations"] == {"ocinet.nte": "lan"}
    assert "hooks" not in bundle.config


def test_runtime_that_is_not_there_is_named(lab: Lab) -> None:
    """Removed since: create fails with one line, and so does any other verb."""
    lab.run("cp", "/usr/sbin/runc", "/run/lab/runc")
    install(lab, "--runtime", "/run/lab/runc")
    lab.run("rm", "/run/lab/runc")
    bundle = lab.bundle("web")
    words = ("create", "--bundle", str(bundle.path), "--pid-file", "/run/web.pid", "web")

    created = call_runtime(lab, *words, check=False)

    assert created.status == 127
    assert created.stderr == "ocinet: cannot run /run/lab/runc: No such file or directory\n"
    assert call_runtime(lab, "list", check=False).status == 127
    lab.assert_no_container_left()


@each_runtime
def test_id_of_a_container_that_lives_does_it_no_harm(lab: Lab, runtime: str) -> None:
    """The runtime refuses a second container of that id; the first one keeps its network."""
    install(lab, "--runtime", runtime)
    bundle = lab.bundle("web")
    create = ("create", "--bundle", str(bundle.path))
    call_runtime(lab, *create, "--pid-file", "/run/web.pid", "web")
    before = lab.records()

    with_file = call_runtime(lab, *create, "--pid-file", "/run/2.pid", "web", check=False)
    without = call_runtime(lab, *create, "web", check=False)

    assert with_file.status == 1
    assert without.status == 1
    assert lab.records() == before
    assert lab.enter("web", state(lab, "web")["pid"]).addresses("eth0") == ["10.72.0.2/24"]
    call_runtime(lab, "delete", "--force", "web")


@each_runtime
def test_failed_create_with_hook_leaves_nothing(lab: Lab, runtime: str) -> None:
    """Without --pid-file a hook attaches; crun runs no poststop then, so we take it down."""
    install(lab, "--runtime", runtime)
    bundle = lab.bundle("web", args=("/no/such/thing",))

    failed = call_runtime(lab, "create", "--bundle", str(bundle.path), "web", check=False)

    assert failed.status == 1
    assert "/no/such/thing" in failed.stderr
    assert set(bundle.config["hooks"]) == HOOK_STAGES
    assert [event["event"] for event in lab.events()] == ["attached", "detached"]
    lab.assert_no_container_left()


def test_killed_create_takes_the_runtime_along(lab: Lab) -> None:
    """An engine that loses patience kills what it started: the runtime must not go on."""
    lab.path("/run/lab/slow").write_text("#!/bin/sh\necho $$ > /run/slow.pid\nexec sleep 1000\n")
    lab.path("/run/lab/slow").chmod(0o755)
    install(lab, "--runtime", "/run/lab/slow")
    bundle = lab.bundle("web")
    words = ("create", "--bundle", str(bundle.path), "--pid-file", "/run/web.pid", "web")

    with pytest.raises(CommandFailed, match="not done after 1 s"):
        lab.run("timeout", "--signal=KILL", "30", LAUNCHER, *words, timeout_s=1)

    pid = lab.path("/run/slow.pid").read_text().strip()
    assert "slow" not in lab.run("ps", "-o", "args=", "-p", pid, check=False).stdout
    lab.assert_no_container_left()

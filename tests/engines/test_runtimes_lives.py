"""How runc and crun call the hooks: twice, not at all, in odd order, from odd places."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.hooked_runtime import (
    host_ends,
    link_index,
    netns_names,
    refused,
    register,
    run_hook,
    start,
    state_of,
    stop,
    stopped_state,
)
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import OUTSIDE_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.command import Result
    from hosts.engine.bundle import Bundle, Config
    from hosts.lab.machine import Lab


def _rooted(lab: Lab, runtime: str, root: str, *words: str, stdout: str = "/dev/null") -> Result:
    """Run a runtime that keeps its containers under a root of its own."""
    argv = (runtime, "--root", root, *words)
    return lab.run("sh", "-c", 'exec "$@" >"$0"', stdout, *argv, check=False)


def _up_alone(config: Config) -> None:
    del config["hooks"]["poststop"]


def _down_alone(config: Config) -> None:
    del config["hooks"]["createRuntime"]


@each_runtime
def test_start_with_both_stages_wires_once(lab: Lab, runtime: str) -> None:
    """prestart finds what createRuntime made, and leaves it at that."""
    bundle = register(lab, "web", "-p", "8080:80", stage="both")

    container = lab.runtime(runtime).run(bundle)

    assert [event["event"] for event in lab.all_events()].count("attached") == 1
    assert sorted(container.namespace.links()) == ["eth0", "lo"]
    assert len(host_ends(lab)) == 1
    before, index = lab.snapshot(), link_index(container)
    for stage in ("createRuntime", "prestart"):
        assert run_hook(lab, bundle, stage, state_of(container)).status == 0
    lab.assert_unchanged(before)
    assert link_index(container) == index


@each_runtime
def test_create_without_start_is_wired_and_deleted(lab: Lab, runtime: str) -> None:
    """A container that is created and never started goes like any other."""
    container = lab.runtime(runtime).create(register(lab, "web"))

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert lab.pings("10.72.0.2")
    container.delete(force=True)
    lab.assert_no_container_left()


@each_runtime
def test_delete_force_of_running_container_leaves_nothing(lab: Lab, runtime: str) -> None:
    """`delete --force` kills and runs poststop in one go."""
    container = start(lab, runtime, "web", "-p", "8080:80")

    container.delete(force=True)

    assert host_ends(lab) == []
    assert netns_names(lab) == []
    lab.assert_no_container_left()


@each_runtime
def test_delete_after_bundle_is_gone_leaves_nothing(lab: Lab, runtime: str) -> None:
    """Detach needs the record alone. crun runs no hook without the bundle: gc does it then."""
    container = start(lab, runtime, "web", "-p", "8080:80")
    container.kill()
    shutil.rmtree(container.bundle.path)

    # What crun forks for the hook ends at once, for it can't enter the bundle; on a busy machine
    # before crun has written the state to it, and SIGPIPE kills crun 1.8.
    container.delete(force=False, check=runtime != "crun")

    if runtime == "crun":
        lab.ocinet("gc")
    lab.assert_no_container_left()


@each_runtime
def test_delete_without_up_is_silent(lab: Lab, runtime: str) -> None:
    """A poststop for what was never attached does nothing and says nothing."""
    bundle = register(lab, "web")
    bundle.edit(_down_alone)
    container = lab.runtime(runtime).run(bundle)
    before = lab.snapshot().facets["files"]

    container.kill()
    deleted = container.delete(force=False)

    assert deleted.stderr == ""
    assert lab.snapshot().facets["files"] == before
    assert lab.all_events() == []


@each_runtime
def test_start_after_life_without_poststop_takes_the_wiring_over(lab: Lab, runtime: str) -> None:
    """The next start under the id undoes what the last life left: address, port and name."""
    bundle = register(lab, "web", "--ip", "10.72.0.9", "-p", "8080:80")
    bundle.edit(_up_alone)
    for _ in range(3):
        container = lab.runtime(runtime).run(bundle)
        container.namespace.serve("tcp", 80)

        assert container.namespace.addresses("eth0") == ["10.72.0.9/24"]
        assert lab.outside.ask("tcp", "198.51.100.1", 8080).local[0] == "10.72.0.9"
        assert len(host_ends(lab)) == 1
        assert netns_names(lab) == ["web"]
        container.namespace.close()
        stop(container)
    lab.ocinet("gc")


@each_runtime
def test_start_with_missing_entrypoint_is_put_right(lab: Lab, runtime: str) -> None:
    """The create fails after the hook: what is left of it goes with gc and with the next start."""
    bundle = register(lab, "web", "-p", "8080:80", args=("/no/such/entrypoint",))
    for _ in range(2):  # the second one meets what the first has left
        with pytest.raises(CommandFailed):
            lab.runtime(runtime).run(bundle)
        lab.runtime(runtime)("delete", "--force", "web", check=False)
        wait_until(lambda: not host_ends(lab), "the end of the sandbox")

    lab.ocinet("gc")

    lab.assert_no_container_left()
    assert lab.ocinet("gc", "--format", "json").json() == []
    good = start(lab, runtime, "web", "-p", "8080:80")
    assert good.namespace.pings(OUTSIDE_V4)


@pytest.mark.parametrize("bundles", ["own bundle", "same bundle"])
@pytest.mark.parametrize(("first", "second"), [("runc", "crun"), ("crun", "runc")])
def test_start_of_same_id_under_another_root_is_refused(
    lab: Lab, first: str, second: str, bundles: str
) -> None:
    """Ids are unique only per root: the first container stays wired, whatever the other does."""
    running = register(lab, "web", "-p", "8080:80")
    started = _rooted(lab, first, "/run/a", "run", "--detach", "-b", str(running.path), "web")
    assert started.status == 0, started
    pid = int(_rooted(lab, first, "/run/a", "state", "web", stdout="/dev/stdout").json()["pid"])
    inside = lab.enter("web", pid)
    inside.serve("tcp", 80)
    other = register(lab, "web", "-p", "8080:80") if bundles == "own bundle" else running
    other.edit(lambda config: config["linux"].update(cgroupsPath=f"{lab.cgroup}/other"))
    index = inside.links()["eth0"]["link_index"]

    refusal = _rooted(lab, second, "/run/b", "run", "--detach", "-b", str(other.path), "web")

    assert refusal.status != 0
    told = [event["error"] for event in lab.all_events() if "error" in event]
    assert len(told) == 1
    assert f"the id is in use by a running container from {running.path} (process {pid})" in told[0]
    _rooted(lab, second, "/run/b", "delete", "--force", "web")
    assert run_hook(lab, other, "poststop", stopped_state("web", str(other.path))).status == 0
    assert inside.links()["eth0"]["link_index"] == index
    assert lab.outside.ask("tcp", "198.51.100.1", 8080).server == "web"
    _rooted(lab, first, "/run/a", "delete", "--force", "web")
    lab.assert_no_container_left()


@each_runtime
def test_poststop_of_live_container_is_ignored_and_told(lab: Lab, runtime: str) -> None:
    """A poststop that comes while the process lives changes nothing but the event log."""
    container = start(lab, runtime, "web")
    before = lab.snapshot()
    state = stopped_state("web", str(container.bundle.path))

    result = run_hook(lab, container.bundle, "poststop", state)

    assert (result.status, result.stderr, result.stdout) == (0, "", "")
    lab.assert_unchanged(before)
    assert lab.all_events()[-1]["event"] == "poststop ignored"


@pytest.mark.parametrize("evil", ["../evil", "../../../etc/evil", "..", "a/../../evil"])
def test_start_under_id_that_leaves_the_directory_is_refused(lab: Lab, evil: str) -> None:
    """An id with `../` in it reaches no file: not through a runtime, nor straight into the hook."""
    container = start(lab, "runc", "web")
    bundle = register(lab, "evil")
    before = lab.snapshot()
    # crun goes as far as to make /run/crun/../evil for such an id; that is its own matter.
    refusal = lab.runc("run", "--detach", "-b", str(bundle.path), evil, check=False)

    assert refusal.status != 0
    for stage, status in (("createRuntime", 1), ("poststop", 0)):
        result = run_hook(lab, bundle, stage, {**state_of(container), "id": evil})
        assert result.status == status
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert "ocinet: cannot read the container's state: " in result.stderr
    lab.assert_unchanged(before)
    assert not lab.run("find", "/run", "/etc", "/var/lib", "-name", "evil*").stdout


@each_runtime
def test_start_with_empty_environment_and_any_directory_is_wired(lab: Lab, runtime: str) -> None:
    """The hook needs no variable, and no directory to stand in."""
    bundle = register(lab, "web", "-p", "8080:80")
    bundle.edit(_without_environment)
    lab.run("mkdir", "-m", "0", "/run/lab/closed")

    words = ("run", "--detach", "--bundle", str(bundle.path), "web")
    script = 'cd /run/lab/closed; exec "$@" >/dev/null'
    lab.run("env", "-i", "PATH=/usr/sbin:/usr/bin:/bin", "sh", "-c", script, "sh", runtime, *words)

    pid = int(lab.runtime(runtime)("state", "web").json()["pid"])
    inside = lab.enter("web", pid)
    assert inside.addresses("eth0") == ["10.72.0.2/24"]
    assert inside.pings(OUTSIDE_V4)
    lab.runtime(runtime)("delete", "--force", "web")
    lab.assert_no_container_left()
    lab.run("rmdir", "/run/lab/closed")


def _without_environment(config: Config) -> None:
    for entries in config["hooks"].values():
        for entry in entries:
            entry.pop("env")


def _doomed(lab: Lab) -> Bundle:
    bundle = register(lab, "web", "--net", "nowhere")
    bundle.edit(lambda config: config["hooks"].update(poststop=config["hooks"]["poststop"] * 2))
    return bundle


@each_runtime
def test_refused_start_with_two_poststops_leaves_nothing(lab: Lab, runtime: str) -> None:
    """A poststop without a finished up, and a second one, are both fine."""
    bundle = _doomed(lab)
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert "there is no network nowhere" in told
    lab.assert_unchanged(before)

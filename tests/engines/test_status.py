"""`ocinet status`: what it shows of doors, watcher, networks and containers is what there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import install, keys
from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import docker_under_wrapper
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

DOCKER = "/run/docker.sock"


def status(lab: Lab) -> dict[str, Any]:
    """Return all of it."""
    shown: dict[str, Any] = lab.ocinet("status", "--format", "json").json()
    return shown


def engine_state(lab: Lab) -> str:
    """Return how the watcher has Docker."""
    (engine,) = [each for each in status(lab)["watcher"]["engines"] if each["socket"] == DOCKER]
    return str(engine["state"])


def test_status_of_a_new_machine_says_what_to_do(lab: Lab) -> None:
    """Nothing is registered, nobody watches, and no error of old is shown."""
    told = lab.ocinet("status").stdout
    assert "nothing is registered, and nobody watches: ocinet hooks install --podman" in told
    assert "none yet: the first attach makes one" in told
    assert "0 attached, 0 drifted, 0 left over" in told
    assert told.endswith("LAST ERRORS\n  none\n")
    assert status(lab)["doors"] == []


@each_runtime
def test_status_counts_containers_and_names_what_is_wrong(lab: Lab, runtime: str) -> None:
    """One that runs, one that ended unseen, one that was refused, and a bridge that is down."""
    start(lab, runtime, "web", "-p", "8080:80")
    start(lab, runtime, "gone").kill()
    lab.make_netns("late")
    refused = lab.ocinet("attach", "netns:/run/netns/late", "--net=lann", check=False)
    why = refused.stderr.removeprefix("ocinet: ").strip().replace("\nhint: ", " (hint: ") + ")"
    assert refused.status == 3
    lab.run("ip", "link", "set", "ocinet0", "down")

    shown = status(lab)
    containers = shown["containers"]
    assert (containers["alive"], containers["dead"], containers["failed"]) == (1, 1, 1)
    assert containers["drifted"] == [{"container": "", "what": "the bridge ocinet0 is down"}]
    assert [each["kind"] for each in containers["leftover"]] == ["attachment"]
    assert [(each["name"], each["error"]) for each in shown["errors"]] == [("late", why)]
    (network,) = shown["networks"]
    assert network["pools"] == [
        {"subnet": "10.72.0.0/24", "allocatable": 253, "held": 2, "reserved": 0}
    ]
    told = lab.ocinet("status").stdout
    assert "1 attached, 1 dead, 1 failed, 1 drifted, 1 left over" in told
    assert "hint: ocinet check --repair" in told
    assert "hint: ocinet gc" in told

    assert status(lab) == shown  # it has changed nothing
    lab.ocinet("check", "--repair")
    lab.ocinet("gc")
    assert "1 attached, 1 failed, 0 drifted, 0 left over" in lab.ocinet("status").stdout
    assert status(lab)["containers"]["drifted"] == []
    assert "drifted" not in lab.ocinet("status", "--no-check").stdout
    lab.run("ip", "netns", "delete", "late")


def test_status_tells_which_engines_the_watcher_hears(lab: Lab) -> None:
    """One that runs, one that is not there, one that goes; and a watcher that was killed."""
    with lab.watch() as watcher:
        wait_until(lambda: status(lab)["watcher"]["state"] == "ready", "a watcher that is ready")
        assert engine_state(lab) == "is not there yet"
        with lab.docker() as docker:
            wait_until(lambda: engine_state(lab) == "listening", "that Docker is heard")
            docker.run("--name=web").address()
            engine = status(lab)["watcher"]["engines"][0]
            assert (engine["kind"], engine["error"]) == ("docker", None)
            assert engine["since"] <= engine["heard"]
            assert f"{DOCKER}" in lab.ocinet("status").stdout
            docker.remove("web")
        wait_until(lambda: engine_state(lab) != "listening", "that Docker has gone")
        watcher.kill()
        shown = status(lab)["watcher"]
        assert shown["state"] == "not running"
        assert "has ended without a word; start it again: ocinet watch" in shown["error"]
        watcher.start()
        wait_until(lambda: status(lab)["watcher"]["state"] == "ready", "the next one")
        assert watcher.stop() == 0
        assert status(lab)["watcher"] == {"state": "not running", "error": None, "engines": []}


def test_status_shows_registrations_and_what_keeps_them_from_running(lab: Lab) -> None:
    """podman's hooks and Docker's runtime; then the hook's script is another one's to write."""
    podman = install(lab, "runc")
    with docker_under_wrapper(lab):
        doors = {door["kind"]: door["flaws"] for door in status(lab)["doors"]}
        assert doors == {"hooks": [], "runtime": []}
        podman("run", "--rm", "--network=none", *keys(net="bridge"), IMAGE, "true")

    (path,) = [door["place"] for door in status(lab)["doors"] if door["kind"] == "hooks"]
    hook = f"{path}/50-ocinet-createRuntime.json"
    document = json.loads(lab.run("cat", hook).stdout)
    document["hook"]["path"] = "/usr/bin/python3.2"
    lab.run("sh", "-c", f"cat > {hook}", stdin=json.dumps(document))
    assert "python3.2: No such file or directory" in lab.ocinet("status").stdout

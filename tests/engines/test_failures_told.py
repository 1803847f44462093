"""Whoever asks why a container has no network is told, whichever door it came through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import UNDER, docker_under_wrapper, labels

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

WHY = "there is no network lann (hint: make it with: ocinet network create lann)"


@each_runtime
def test_why_podmans_hook_failed_is_told_by_name_and_id(lab: Lab, runtime: str) -> None:
    """crun says nothing of it; it is told until the container has its network."""
    podman = install(lab, runtime)
    refused = podman("run", "--name=shop", "--network=none", *keys(net="lann"), IMAGE, "true",
                     check=False)  # fmt: skip
    container = podman("inspect", "--format={{.Id}}", "shop").stdout.strip()

    shown = lab.ocinet("ps", "--all")
    by_name, by_id = (lab.ocinet("inspect", text).json() for text in ("shop", container[:12]))

    assert refused.status != 0
    assert (WHY in refused.stderr) is (runtime == "runc")
    assert shown.stdout.splitlines()[1].split()[:2] == [container[:12], "shop"]
    assert shown.stderr == f"ocinet: cannot attach shop: {WHY}\n"
    assert by_name == by_id
    assert by_name[0]["failure"]["error"] == f"cannot attach shop: {WHY}"
    assert lab.ocinet("ps").stderr == ""
    lab.make_network("lann", "10.9.0.0/24")
    podman("start", "shop")
    assert lab.ocinet("ps", "--all").stderr == ""
    podman.remove("shop")


def test_why_dockers_create_failed_is_told(lab: Lab) -> None:
    """Docker shows it at once; later on it is asked for by name."""
    with docker_under_wrapper(lab) as docker:
        words = ("run", UNDER, "--net=none", "--name=shop", *labels(net="lann"), IMAGE, "true")
        docker(*words, check=False)

        assert lab.ocinet("ps", "--all").stderr == f"ocinet: cannot attach shop: {WHY}\n"
        assert lab.ocinet("inspect", "shop").json()[0]["status"] == "failed"


def test_why_the_watcher_did_not_wire_it_is_told_until_it_ends(lab: Lab) -> None:
    """A label that it refuses itself, and one that the engine does."""
    lab.make_network("lan", "10.9.0.0/24")
    with lab.docker() as docker, lab.watch() as watcher:
        typo = docker.run("--name=typo", *labels(nett="lan"))
        lann = docker.run("--name=lann", *labels(net="lann"))
        for container in (typo, lann):
            watcher.wait_until_said("container not served", container.id, timeout_s=20)

        shown = lab.ocinet("ps", "--all").stderr
        why = lab.ocinet("inspect", "typo").json()[0]["failure"]

        assert "did you mean net?" in shown
        assert "there is no network lann" in shown
        assert (why["door"], "did you mean net?" in why["error"]) == ("watcher", True)
        docker.remove(typo.id)
        watcher.wait_until_said("container looked at", docker.run("--name=last").id)
        assert "did you mean net?" not in lab.ocinet("ps", "--all").stderr

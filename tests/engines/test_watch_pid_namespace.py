"""Watcher and dockerd in different pid namespaces, where `State.Pid` is nobody's, or another's."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE
from hosts.engine.dockerd import Docker
from hosts.lab.watcher import Watcher, write_settings
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.lab.machine import Lab

APART = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
_IN_CONTAINER = (
    "run", "--rm", "--network=host", "--volume=/:/host", "--security-opt=seccomp=unconfined",
    *(f"--cap-add={name}" for name in ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH")),
)  # fmt: skip
# What the container has of the host is all but /proc, as in an image of ocinet's own.
_ENTER_HOST = ("sh", "-c", 'mount -t proc proc /host/proc && exec chroot /host "$@"', "sh")
_TOLD_S = 30  # three tries, 12.5 s, come before a container is given up
_WITHOUT_DOCKER0 = ("--bridge=none", "--iptables=false")


def test_watcher_apart_says_so_and_is_ready_once_it_can_see(lab: Lab) -> None:
    """As in a container with Docker's socket, but not `--pid=host`; then with dockerd beside it.

    Whoever is wired by another door is not taken for dead.
    """
    write_settings(lab, "reconcile_interval_s = 1\n")
    bundle = lab.bundle("hooked")
    lab.ocinet("hooks", "add", str(bundle.path))
    hooked = lab.runc.run(bundle)
    lab.ignored += ("ocinet watch",)  # it is there when the second dockerd starts
    watcher = Watcher(lab, within=APART, env={"NOTIFY_SOCKET": "/run/lab/notify"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(lab.path("/run/lab/notify")))
        manager.settimeout(0)
        try:
            with lab.docker(*_WITHOUT_DOCKER0) as docker:
                web = docker.run("--name=web")
                watcher.launch()

                assert_out_of_sight(watcher, web)
                assert lab.pings(hooked.namespace.addresses("eth0")[0].partition("/")[0])
                states = received(manager)
                assert "READY=1" not in states
                assert {"EXTEND_TIMEOUT_USEC=30000000"} < states
                web.namespace.close()
                hooked.delete()

            with Docker(lab, _WITHOUT_DOCKER0, within=beside(watcher)) as docker:
                watcher.wait_until_said("watcher ready", timeout_s=_TOLD_S)
                assert len(watcher.said("engine out of sight")) == 1
                assert len(watcher.said("engine in sight again")) == 1
                assert state_of(lab, docker.socket) == "listening"
                assert "READY=1" in received(manager)
                docker.run("--name=shop")
                assert lab.pings(address(docker, "shop"))
                docker.remove("shop")
                # By its end, or by what collects the dead each second: whoever comes first.
                wait_until(lambda: not lab.records(), "that it is taken down", timeout_s=_TOLD_S)
        finally:
            watcher.kill()


def test_containers_of_a_dockerd_in_a_namespace_below_are_found(lab: Lab) -> None:
    """Docker in Docker, watched from outside: by their cgroups, with the watcher, and before it."""
    with Docker(lab, _WITHOUT_DOCKER0, within=APART) as docker:
        docker.run("--name=before")
        with lab.watch() as watcher:
            docker.run("--name=after")
            assert lab.pings(address(docker, "before"))
            assert lab.pings(address(docker, "after"))
            assert watcher.complaints() == []


@pytest.mark.parametrize("options", [("--pid=host",), ()], ids=["host's", "own"])
def test_watcher_in_a_container_serves_with_the_hosts_pid_namespace(
    lab: Lab, options: tuple[str, ...]
) -> None:
    """As the docs have it; without, it is not ready."""
    with lab.docker(*_WITHOUT_DOCKER0) as docker:
        inside = (*_IN_CONTAINER, *options, IMAGE, *_ENTER_HOST)
        watcher = Watcher(lab, within=("docker", *inside))
        watcher.launch()
        if options:
            watcher.wait_until_said("watcher ready")
            web = docker.run("--name=web")
            assert lab.pings(web.address())
            assert watcher.said("container attached", web.id)[0]["door"] == "early"
            docker.remove("web")
            watcher.wait_until_said("container detached", web.id)
        else:
            watcher.wait_until_said("engine out of sight")
            assert watcher.said("watcher ready") == []


def assert_out_of_sight(watcher: Watcher, web: EngineContainer) -> None:
    """Fail unless it says that it can't see its engine's containers, wherever people look."""
    lab = watcher.lab
    told = watcher.wait_until_said("engine out of sight")
    assert "the engine is in another pid namespace than this watcher" in told["error"]
    assert "--pid=host" in told["error"]
    refused = watcher.wait_until_said("container not served", web.id, timeout_s=_TOLD_S)
    assert f"cannot attach web: its process {web.pid} is not to be" in refused["why"]
    shown = lab.ocinet("inspect", "web", check=False)
    assert "another pid namespace" in shown.stdout + shown.stderr
    assert list(web.namespace.links()) == ["lo"]
    assert watcher.said("watcher ready") == []
    assert state_of(lab, "/run/docker.sock") == "out of sight"


def state_of(lab: Lab, socket_path: str) -> str:
    """Return how an engine is, as the watcher tells it to `ocinet status`."""
    news = json.loads(lab.path("/run/ocinet/watcher.json").read_text())
    (found,) = (each for each in news["engines"] if each["socket"] == socket_path)
    return str(found["state"])


def beside(watcher: Watcher) -> tuple[str, ...]:
    """Return the words that run a command in the namespaces that a watcher is in."""
    (child,) = Path(f"/proc/{watcher.pid}/task/{watcher.pid}/children").read_text().split()
    return "nsenter", f"--target={child}", "--pid", "--mount", "--"


def address(docker: Docker, name: str) -> str:
    """Wait for a container's address, as it sees it: its process id is nobody's outside."""

    def shown() -> list[str]:
        looked = docker("exec", name, "ip", "-o", "-4", "address", "show", "eth0", check=False)
        words = looked.stdout.split()
        return words if "inet" in words else []

    return wait_until(shown, f"the network of {name}", timeout_s=_TOLD_S)[3].partition("/")[0]


def received(manager: socket.socket) -> set[str]:
    """Return the states that a service manager was told of, and nobody has asked for yet."""
    states: set[str] = set()
    while True:
        try:
            states.update(manager.recv(4096).decode().splitlines())
        except BlockingIOError:
            return states

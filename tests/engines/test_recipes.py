"""kube play, quadlet and compose: what docs/pods.md shows, taken from that page and run."""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_podman import install
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of
from hosts.engine.wrapped_runtime import docker_under_wrapper
from hosts.lab.machine import LAB_V4
from hosts.requirements import missing, require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.dockerd import Docker
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

_PAGE = Path(__file__).parents[2] / "docs/pods.md"
_TAG = "docker.io/library/busybox:1.36"
_LOCAL = f"localhost/{IMAGE}"  # podman 4.3 asks its registry for a newer one, or waits for it
_UNITS = "/etc/containers/systemd"
_GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"
_COMPOSE_START_S = 120


def _shown(name: str) -> str:
    """Return the file of this name that the page shows."""
    shown = re.findall(r"```\w+\n# (\S+)\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    files: dict[str, str] = dict(shown)
    return files[name]


def _podman(lab: Lab, runtime: str) -> Podman:
    """Return podman with our hooks, the page's image, and its network."""
    podman = install(lab, runtime)
    podman("tag", IMAGE, _TAG)
    lab.make_network("lan", "10.9.0.0/24")
    return podman


def _container(podman: Podman, name: str) -> EngineContainer:
    return EngineContainer(podman("inspect", "--format={{.Id}}", name).stdout.strip(), podman)


def _expect_served(lab: Lab, *ports: int) -> None:
    """Wait for the page's web servers, asked from outside the machine."""
    require("curl")
    for port in ports:
        ask = ("curl", "-sfm2", f"http://{LAB_V4}:{port}/etc/hostname")
        wait_until(partial(_succeeds, lab.outside, ask), f"port {port} answers", timeout_s=10)


def _succeeds(place: Namespace, ask: tuple[str, ...]) -> bool:
    return place.run(*ask, check=False).status == 0


@each_runtime
def test_kube_play_pod_is_wired_through_its_restart_and_gone_with_its_end(
    lab: Lab, runtime: str
) -> None:
    """Its annotations are each member's; both ports answer from outside, log has the same eth0."""
    require("catatonit")
    podman = _podman(lab, runtime)
    lab.run("tee", "/run/lab/shop.yaml", stdin=_shown("shop.yaml").replace(_TAG, _LOCAL))

    podman("kube", "play", "--network=none", "/run/lab/shop.yaml")

    web, log = (_container(podman, name) for name in ("shop-web", "shop-log"))
    assert log.namespace.addresses("eth0") == ["10.9.0.2/24"]
    # podman starts them in no order of its own: who asks first has the pod's network.
    owners = {name: lab.records()[name]["member_of"] for name in ("shop-web", "shop-log")}
    assert sorted(owners.values()) in (["", web.id], ["", log.id]), owners
    _expect_served(lab, 8080)
    podman("stop", "--time=0", "shop-log")
    _expect_served(lab, 8080)
    podman("start", "shop-log")
    assert log.current.namespace.sandbox == web.namespace.sandbox
    podman("pod", "stop", "--time=0", "shop")
    assert lab.records() == {}
    podman("pod", "start", "shop")
    _expect_served(lab, 8080)
    assert not lab.events("attach failed")
    podman("pod", "stop", "--time=0", "shop")  # for its members hear no SIGTERM
    podman("kube", "down", "/run/lab/shop.yaml")
    assert lab.records() == {}


def _start_unit(podman: Podman, unit: str) -> None:
    """Run what systemd would of a generated unit, in its order.

    All but `--cgroups=split`, which takes a cgroup that systemd has made for the unit.
    """
    text = podman.lab.run("cat", f"/run/lab/units/{unit}.service").stdout
    for kind in ("ExecStartPre", "ExecStart"):
        for line in re.findall(rf"^{kind}=/usr/bin/podman (.*)$", text, re.MULTILINE):
            words = line.replace("%t", "/run").replace("%N", unit).split()
            podman.lab.run(
                "podman", "--runtime", podman.runtime,
                *(word for word in words if word != "--cgroups=split"),
            )  # fmt: skip


@each_runtime
def test_quadlets_container_pod_and_kube_are_wired(lab: Lab, runtime: str) -> None:
    """The page's files, through podman's own generator: three units, three published ports."""
    require("catatonit")
    if version_of("podman") < (5, 0):
        pytest.skip("podman has .pod files from 5.0 on")
    podman = _podman(lab, runtime)
    if lab.run("test", "-x", _GENERATOR, check=False).status:
        missing("podman's generator is not installed")
    stall = (
        _shown("shop.yaml")
        .replace("shop", "stall")
        .replace(_TAG, _LOCAL)
        .replace("8080:80,8443:443", "8082:80")
    )
    files = {
        "web.container": _shown(f"{_UNITS}/web.container"),
        "shop.pod": _shown(f"{_UNITS}/shop.pod"),
        "front.container": _shown(f"{_UNITS}/front.container"),
        "stall.kube": _shown(f"{_UNITS}/stall.kube"),
        "stall.yaml": stall,
    }
    lab.run("mkdir", "-p", _UNITS, "/run/lab/units")
    for name, text in files.items():
        lab.run("tee", f"{_UNITS}/{name}", stdin=text)

    lab.run(_GENERATOR, *["/run/lab/units"] * 3)
    for unit in ("web", "shop-pod", "front", "stall"):
        _start_unit(podman, unit)

    _expect_served(lab, 8080, 8081, 8082)
    podman("kill", "--all")
    podman("pod", "rm", "--force", "--all", "--time=0")
    podman("rm", "--force", "--all", "--time=0")
    assert lab.records() == {}
    # podman's own: a pod's cgroup beside those of the lab.
    lab.ignored += ("libpod", "machine")


@each_runtime
def test_podman_compose_services_are_wired_and_share(lab: Lab, runtime: str) -> None:
    """annotations reach the hook; `service:web` has its address."""
    require("podman-compose")
    if version_of("podman") < (5, 0):
        pytest.skip("podman-compose of Debian 12 has no network_mode: none")
    podman = _podman(lab, runtime)
    lab.run("mkdir", "-p", "/run/lab/shop")
    lab.run("tee", "/run/lab/shop/podman-compose.yaml", stdin=_shown("podman-compose.yaml"))
    # It knows no option for podman's runtime.
    lab.run("tee", "/etc/containers/containers.conf.d/10-runtime.conf",
            stdin=f'[engine]\nruntime = "{runtime}"\n')  # fmt: skip
    compose = ("podman-compose", "--file", "/run/lab/shop/podman-compose.yaml")

    lab.run(*compose, "up", "--detach", timeout_s=_COMPOSE_START_S)

    _expect_served(lab, 8080)
    web, log = (_container(podman, f"shop_{name}_1") for name in ("web", "log"))
    assert log.namespace.sandbox == web.namespace.sandbox
    assert web.namespace.addresses("eth0") == ["10.9.0.2/24"]
    lab.run(*compose, "down", "--timeout=0", timeout_s=_COMPOSE_START_S)
    assert lab.records() == {}


@pytest.mark.parametrize("door", ["watcher", "wrapper"])
def test_docker_compose_services_are_wired_and_share(lab: Lab, door: str) -> None:
    """Labels and `ports` as in any compose file; `service:web` has its address."""
    require("docker-compose")
    with ExitStack() as stack:
        docker: Docker
        text = _shown("compose.yaml")
        if door == "watcher":
            docker = stack.enter_context(lab.docker())
            stack.enter_context(lab.watch())
        else:
            docker = stack.enter_context(docker_under_wrapper(lab))
            text = text.replace("    labels:\n", "    runtime: ocinet\n    labels:\n")
        docker("tag", IMAGE, _TAG)
        lab.make_network("lan", "10.9.0.0/24")
        lab.run("mkdir", "-p", "/run/lab/shop")
        lab.run("tee", "/run/lab/shop/compose.yaml", stdin=text)
        compose = ("docker-compose", "--file", "/run/lab/shop/compose.yaml")
        host = {"DOCKER_HOST": f"unix://{docker.socket}"}

        lab.run(*compose, "up", "--detach", env=host, timeout_s=_COMPOSE_START_S)

        _expect_served(lab, 8080)
        ids = {
            name: docker("ps", "--quiet", "--no-trunc", f"--filter=name={name}").stdout.strip()
            for name in ("web", "log")
        }
        web, log = (EngineContainer(ids[name], docker) for name in ("web", "log"))
        assert log.namespace.sandbox == web.namespace.sandbox
        assert web.namespace.addresses("eth0") == ["10.9.0.2/24"]
        lab.run(*compose, "down", "--timeout=0", env=host, timeout_s=_COMPOSE_START_S)
        lab.assert_no_container_left(settle_s=10)

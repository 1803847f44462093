"""Pods of podman's: who wires them, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.bundle import SLEEP
from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of
from hosts.lab.machine import LAB_V4
from hosts.requirements import require

if TYPE_CHECKING:
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab


def _member(podman: Podman, name: str, *options: str) -> EngineContainer:
    """Start a member of the pod."""
    stop = "--stop-signal=KILL"  # the first process of a container hears no SIGTERM
    words = ("run", "--detach", "--pod=shop", f"--name={name}", stop, *options, IMAGE, *SLEEP)
    return EngineContainer(podman(*words).stdout.strip(), podman)


def _address(podman: Podman, name: str) -> str:
    return podman("exec", name, "ip", "-4", "-o", "addr", "show", "eth0").stdout


@each_runtime
def test_member_that_asks_wires_the_pod_and_no_stop_unwires_the_rest(
    lab: Lab, runtime: str
) -> None:
    """A second one that asks is a member; who comes back finds the same address."""
    require("catatonit")
    podman = install(lab, runtime)
    lab.path("/etc/resolv.conf").write_text("nameserver 192.0.2.53\n")
    podman("pod", "create", "--name=shop", "--network=none")
    _member(podman, "plain")
    _member(podman, "one", *keys(net="bridge"))
    _member(podman, "two", *keys(net="bridge"))
    assert "10.72.0.2/24" in _address(podman, "plain")
    for name in ("one", "two"):
        hosts = podman("exec", name, "cat", "/etc/hosts").stdout
        if version_of("podman") < (5, 0):  # later ones fill it after their hooks
            assert [line for line in hosts.splitlines() if line.startswith("10.72.0.2\t")], hosts
        assert "nameserver" in podman("exec", name, "cat", "/etc/resolv.conf").stdout

    podman("stop", "--time=0", "one")
    assert "10.72.0.2/24" in _address(podman, "plain")
    podman("stop", "--time=0", "two")
    assert "10.72.0.2/24" in _address(podman, "plain")
    podman("start", "two")
    podman("start", "one")
    assert "10.72.0.2/24" in _address(podman, "one")
    assert not lab.events("attach failed")

    # Its infra container ends last, and podman calls a hook of ours for it.
    podman("pod", "rm", "--force", "--time=0", "shop")
    assert lab.records() == {}
    assert "10.72.0" not in lab.run("ip", "-o", "link", "show", "type", "veth").stdout


@each_runtime
def test_pod_whose_sandbox_is_made_anew_is_wired_by_whoever_comes_first(
    lab: Lab, runtime: str
) -> None:
    """podman restarts the infra container, then the others in any order; the port is the pod's."""
    require("catatonit")
    podman = install(lab, runtime)
    podman("pod", "create", "--name=shop", "--network=none")
    asks = keys(net="bridge", publish="8080:80")
    one, two = (_member(podman, name, *asks) for name in ("one", "two"))
    infra = podman("pod", "inspect", "shop", "--format={{.InfraContainerID}}").stdout.strip()

    podman("restart", "--time=0", infra)
    assert one.namespace.addresses("eth0")  # nothing is taken from who still lives in the old one
    podman("restart", "--time=0", "two")
    assert lab.events("members lost their network")[0]["members"].split(", ") == ["one"]
    podman("restart", "--time=0", "one")

    again = (one.current.namespace, two.current.namespace)
    assert again[0].sandbox == again[1].sandbox
    assert again[0].addresses("eth0")
    again[0].serve("tcp", 80)
    assert lab.outside.reaches("tcp", LAB_V4, 8080)
    podman("pod", "restart", "shop", timeout_s=120)
    assert not lab.events("attach failed")
    podman("pod", "rm", "--force", "--time=0", "shop")
    assert lab.records() == {}

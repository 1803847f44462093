"""`--always`: every podman container without a network gets one, and nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import OUTSIDE_V4

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

_INFRA = (f"--infra-image={IMAGE}", "--infra-command=sleep 1000")


def _make_pod(podman: Podman, name: str) -> str:
    """Make a pod without a network of podman's, and return its infra container's name."""
    cgroup = f"--cgroup-parent={podman.lab.cgroup}"
    made = podman("pod", "create", f"--name={name}", "--network=none", cgroup, *_INFRA)
    pod = made.stdout.strip()
    podman.lab.ignored += (pod,)  # podman leaves a pod's cgroup behind
    return f"{pod[:12]}-infra"


def _join(podman: Podman, pod: str, name: str, *options: str) -> None:
    """Run a member of a pod; its cgroup is the pod's."""
    command = ("--detach", f"--pod={pod}", f"--name={name}", *options, IMAGE, "sleep", "1000")
    podman.lab.run("podman", "--runtime", podman.runtime, "run", *command)


def _address(podman: Podman, name: str) -> str:
    """Return what a container itself has on its eth0, or ""."""
    shown = podman("exec", name, "ip", "-o", "-4", "address", "show", "dev", "eth0", check=False)
    return shown.stdout.split()[3] if shown.status == 0 else ""


def _links(container: EngineContainer) -> list[str]:
    return list(container.namespace.links())


@each_runtime
def test_always_plain_container_gets_the_default_network(lab: Lab, runtime: str) -> None:
    """No annotation at all: address, route, way out, and podman's name in `ocinet ps`."""
    podman = install(lab, runtime, "--always")
    lab.outside.serve("tcp", 80)

    container = podman.run("--name=shop")

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert container.namespace.reaches("tcp", OUTSIDE_V4, 80)
    assert lab.records()["shop"]["mode"] == "bridge"
    podman("restart", "--time=0", "shop")
    assert lab.records()["shop"]["status"] == "alive"
    container.remove()
    assert lab.records() == {}


@each_runtime
def test_always_container_with_a_network_of_podmans_is_left_alone(lab: Lab, runtime: str) -> None:
    """bridge, host, container: and ns: are podman's own; the hook wires and records nothing."""
    podman = install(lab, runtime, "--always")
    box = lab.make_netns("box")

    bridged = podman.run("--name=bridged", network="bridge")
    joined = podman.run(network="container:bridged")
    host = podman.run(network="host")
    named = podman.run(network="ns:/run/netns/box")

    assert bridged.namespace.addresses("eth0")[0].startswith("10.88.")
    assert joined.namespace.sandbox == bridged.namespace.sandbox
    assert host.namespace.sandbox == lab.sandbox
    assert _links(named) == ["lo"]
    assert named.namespace.sandbox == box.sandbox
    assert lab.all_events() == []
    assert "ocinet0" not in lab.links()
    podman.remove(joined.id, host.id, named.id)
    bridged.remove()
    lab.run("ip", "netns", "delete", "box")
    # podman's bridge and rules stay, as they do without us.
    lab.ignored += ("podman0", "NETAVARK", "netavark", '"nat"', '"filter"', "10.88.")


@each_runtime
def test_always_container_that_says_none_is_left_without(lab: Lab, runtime: str) -> None:
    """`ocinet.net=none` opts out: recorded, not wired."""
    podman = install(lab, runtime, "--always")

    container = podman.run("--name=shop", *keys(net="none"))

    assert _links(container) == ["lo"]
    assert lab.records()["shop"]["mode"] == "none"
    assert "ocinet0" not in lab.links()
    container.remove()


@each_runtime
def test_always_with_select_labelled_wires_who_asks_alone(lab: Lab, runtime: str) -> None:
    """The operator's `select = "labelled"` turns the default round, without a new registration."""
    podman = install(lab, runtime, "--always")
    lab.make_network("lan", "10.9.0.0/24")
    lab.run("tee", "/etc/ocinet/ocinet.toml", stdin='select = "labelled"\n')

    plain = podman.run()
    asking = podman.run(*keys(net="lan"))

    assert _links(plain) == ["lo"]
    assert asking.namespace.addresses("eth0") == ["10.9.0.2/24"]
    assert [record["id"] for record in lab.records().values()] == [asking.id]
    plain.remove()
    asking.remove()


@each_runtime
def test_always_build_steps_are_left_alone(lab: Lab, runtime: str) -> None:
    """RUN steps have no network of ours, though podman build reads the same hooks directory."""
    podman = install(lab, runtime, "--always")
    lab.run("mkdir", "/run/lab/empty")
    steps = f"FROM {IMAGE}\nRUN ip -o link\n"
    lab.run("tee", "/run/lab/Containerfile", stdin=steps)

    built = podman(
        "build", "--network=none", "--no-cache", "--ulimit=nofile=1024:1024",
        "--hooks-dir=/etc/containers/oci/hooks.d", f"--cgroup-parent={lab.cgroup}",
        "--file=/run/lab/Containerfile", "/run/lab/empty",
    )  # fmt: skip

    assert "lo: <LOOPBACK,UP" in built.stdout
    assert "eth0" not in built.stdout
    assert lab.all_events() == []
    lab.assert_unchanged()


@each_runtime
def test_always_pod_is_wired_by_its_infra_container(lab: Lab, runtime: str) -> None:
    """The infra container owns the sandbox; members share it, whichever stops first."""
    podman = install(lab, runtime, "--always")
    infra = _make_pod(podman, "pod")

    _join(podman, "pod", "one")
    _join(podman, "pod", "two", *keys(net=f"container:{infra}"))

    assert lab.records()[infra]["endpoints"][0]["addresses"] == ["10.72.0.2/24"]
    assert _address(podman, "one") == _address(podman, "two") == "10.72.0.2/24"
    assert [member["name"] for member in lab.records()[infra]["members"]] == ["two"]
    podman.remove("one")
    podman.remove("two")
    assert lab.records().keys() == {infra}
    assert lab.pings("10.72.0.2")
    podman("pod", "rm", "--force", "--time=0", "pod")


@each_runtime
def test_always_pod_that_is_stopped_and_started_is_wired_anew(lab: Lab, runtime: str) -> None:
    """podman stops and starts a pod's containers in any order; nothing is left between."""
    podman = install(lab, runtime, "--always")
    infra = _make_pod(podman, "pod")
    _join(podman, "pod", "one")
    _join(podman, "pod", "two")

    podman("pod", "stop", "--time=0", "pod")
    lab.assert_no_container_left()
    podman("pod", "start", "pod")

    [address] = lab.records()[infra]["endpoints"][0]["addresses"]
    assert _address(podman, "one") == _address(podman, "two") == address
    podman("pod", "rm", "--force", "--time=0", "pod")


@each_runtime
def test_pod_of_members_that_ask_is_wired_by_the_first(lab: Lab, runtime: str) -> None:
    """Without --always the infra container has no annotation; the first member that asks owns."""
    podman = install(lab, runtime)
    _make_pod(podman, "pod")
    _join(podman, "pod", "plain")
    assert lab.records() == {}

    _join(podman, "pod", "one", *keys(net="bridge"))
    _join(podman, "pod", "two", *keys(net="container:one"))

    assert _address(podman, "plain") == _address(podman, "two") == "10.72.0.2/24"
    podman.remove("one")
    assert _address(podman, "two") == "10.72.0.2/24"
    podman("pod", "rm", "--force", "--time=0", "pod")
    lab.ocinet("gc")  # podman calls no hook for the process that kept the sandbox

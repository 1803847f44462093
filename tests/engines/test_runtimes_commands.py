"""The operator's commands on runc and crun containers that run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import (
    host_ends,
    link_index,
    netns_names,
    register,
    start,
    stop,
)
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4, OUTSIDE_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab


@each_runtime
def test_attach_pid_of_unregistered_container_wires_and_detach_unwires_it(
    lab: Lab, runtime: str
) -> None:
    """A container that no hook has seen gets its network by its process id."""
    container = lab.runtime(runtime).run(lab.bundle("web"))
    inside = container.namespace
    target = f"pid:{container.pid}"
    before = lab.snapshot()

    lab.ocinet("attach", target, "--name", "web", "--net", "bridge", "-p", "8080:80")

    inside.serve("tcp", 80)
    assert inside.addresses("eth0") == ["10.72.0.2/24"]
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert netns_names(lab) == ["web"]
    lab.ocinet("detach", target)
    assert list(inside.links()) == ["lo"]
    assert not lab.outside.reaches("tcp", LAB_V4, 8080, timeout_s=0.3)
    assert netns_names(lab) == []
    lab.ocinet("detach", target)  # it runs, and was still known
    assert before.without_networks().difference(lab.snapshot().without_networks()) == []


@each_runtime
def test_attach_netns_path_wires_its_container(lab: Lab, runtime: str) -> None:
    """The path of a namespace's file is as good as a process."""
    box = lab.make_netns("box")
    bundle = lab.bundle("web", network="/run/netns/box")
    container = lab.runtime(runtime).run(bundle)

    told = lab.ocinet("attach", "netns:/run/netns/box", "--net", "bridge", "--json").json()

    assert "10.72.0.2/24" in container.exec("ip", "-o", "addr", "show", "eth0").stdout
    assert told["endpoints"][0]["ifname"] == "eth0"
    assert box.pings(OUTSIDE_V4)
    lab.ocinet("detach", "netns:/run/netns/box")
    assert list(box.links()) == ["lo"]
    assert netns_names(lab) == ["box"]
    stop(container)
    lab.run("ip", "netns", "delete", "box")


@each_runtime
def test_attach_known_container_adds_networks_and_ports(lab: Lab, runtime: str) -> None:
    """What is there stays; what is new comes; a second time is no change."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    container = start(lab, runtime, "web")
    inside = container.namespace
    index = link_index(container)
    for _ in range(2):
        lab.ocinet("attach", "web", "--net", "bridge", "--net", "lan", "-p", "8080:80")

        assert link_index(container) == index
        assert sorted(inside.links()) == ["eth0", "eth1", "lo"]
        assert inside.addresses("eth1") == ["10.9.0.2/24"]
        assert len(host_ends(lab)) == 2
    inside.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).local[0] == "10.72.0.2"
    stop(container)
    lab.assert_no_container_left()


@each_runtime
def test_attach_that_fails_leaves_running_container_as_it_was(lab: Lab, runtime: str) -> None:
    """A wish that can't be met costs a running container nothing."""
    container = start(lab, runtime, "web", "-p", "8080:80")
    container.namespace.serve("tcp", 80)
    inside = sorted(container.namespace.links())
    before = lab.snapshot()

    result = lab.ocinet("attach", "web", "--net", "bridge", "--net", "nowhere", check=False)

    assert result.status != 0
    assert "there is no network nowhere" in result.stderr
    lab.assert_unchanged(before)
    assert sorted(container.namespace.links()) == inside
    assert lab.outside.reaches("tcp", LAB_V4, 8080)


@each_runtime
def test_detach_running_container_then_its_poststop_is_silent(lab: Lab, runtime: str) -> None:
    """A person may unwire a live container; attach wires it again under its name."""
    container = start(lab, runtime, "web")

    lab.ocinet("detach", "web")

    assert list(container.namespace.links()) == ["lo"]
    lab.ocinet("attach", "web", "--net", "bridge")  # it is known as long as it runs
    assert container.namespace.pings(OUTSIDE_V4)
    for _ in range(2):
        lab.ocinet("detach", "web")
    again = lab.ocinet("detach", "web", check=False)
    assert again.status != 0
    assert "web" in again.stderr
    lab.ocinet("attach", f"pid:{container.pid}", "--id", "web", "--net", "bridge")
    assert container.namespace.pings(OUTSIDE_V4)
    lab.ocinet("detach", "web")
    container.kill()
    assert container.delete(force=False).stderr == ""


@each_runtime
def test_publish_and_unpublish_live_open_and_close_the_port(lab: Lab, runtime: str) -> None:
    """Ports come and go without a restart; a free one is chosen and told."""
    container = start(lab, runtime, "web")
    container.namespace.serve("tcp", 80)

    (free,) = [port["host_port"] for port in lab.ocinet("publish", "web", "80", "--json").json()]
    lab.ocinet("publish", "web", "8080:80", "127.0.0.1:8081:80")

    assert lab.outside.reaches("tcp", LAB_V4, 8080)
    assert lab.outside.reaches("tcp", LAB_V4, free)
    assert lab.reaches("tcp", "127.0.0.1", 8081)
    assert not lab.outside.reaches("tcp", LAB_V4, 8081, timeout_s=0.3)
    lab.ocinet("unpublish", "web", "8080:80")
    assert not lab.outside.reaches("tcp", LAB_V4, 8080, timeout_s=0.3)
    assert lab.outside.reaches("tcp", LAB_V4, free)
    unknown = lab.ocinet("unpublish", "web", "8080:80", check=False)
    assert unknown.status != 0
    assert "8080:80/tcp is not published" in unknown.stderr
    stop(container)
    lab.assert_no_container_left()


@each_runtime
def test_unpublish_port_leaves_it_to_another_container(lab: Lab, runtime: str) -> None:
    """A port that was given back can be had by another container."""
    web = start(lab, runtime, "web", "-p", "8080:80")
    other = start(lab, runtime, "other")
    lab.ocinet("unpublish", "web", "8080:80")

    lab.ocinet("publish", "other", "8080:80")

    other.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "other"
    stop(web)
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "other"


@each_runtime
def test_ps_shows_what_runs_and_how(lab: Lab, runtime: str) -> None:
    """Names, modes, addresses, ports and states, as a table and as JSON."""
    owner = start(lab, runtime, "web", "--name", "shop", "-p", "8080:80")
    start(lab, runtime, "log", "--net", "container:shop")
    start(lab, runtime, "idle", "--net", "none")

    listed = lab.ocinet("ps", "--format", "json").json()
    table = lab.ocinet("ps", "--noheading").stdout

    shown = {record["name"]: record for record in listed}
    assert sorted(shown) == ["idle", "log", "shop"]
    assert {name: record["mode"] for name, record in shown.items()} == {
        "idle": "none",
        "log": "container",
        "shop": "bridge",
    }
    assert {record["status"] for record in listed} == {"alive"}
    line = next(line for line in table.splitlines() if re.search(r"\bshop\b +bridge", line))
    assert owner.namespace.addresses("eth0")[0].partition("/")[0] in line.split()
    assert "8080->80/tcp" in line
    assert str(owner.pid) in line
    assert sorted(lab.ocinet("ps", "-q").stdout.split()) == ["idle", "log", "web"]
    stop(owner)
    left = {record["name"]: record for record in lab.ocinet("ps", "--json").json()}
    assert left["shop"]["status"] == "left"


@each_runtime
def test_inspect_tells_what_the_kernel_has_now(lab: Lab, runtime: str) -> None:
    """What somebody else changed in the sandbox is shown, not what was recorded."""
    container = start(lab, runtime, "web")
    container.namespace.run("ip", "address", "add", "10.72.0.77/24", "dev", "eth0")

    (shown,) = lab.ocinet("inspect", "web").json()

    links = {link["ifname"]: link for link in shown["kernel"]["sandbox"]}
    kernel = container.namespace.links()["eth0"]
    assert links["eth0"]["mac"] == kernel["address"]
    assert links["eth0"]["mtu"] == kernel["mtu"]
    assert sorted(links["eth0"]["addresses"]) == ["10.72.0.2/24", "10.72.0.77/24"]
    (host,) = shown["kernel"]["host"]
    assert host["ifindex"] == kernel["link_index"]
    assert host["alias"] == "ocinet:web/eth0"
    assert shown["status"] == "alive"


@each_runtime
def test_exec_runs_host_tools_in_the_containers_network(lab: Lab, runtime: str) -> None:
    """The host's files and programs, the container's interfaces; the status comes back."""
    container = start(lab, runtime, "web")

    for target in ("web", f"pid:{container.pid}", "netns:/run/netns/web"):
        shown = lab.ocinet("exec", target, "--", "ip", "-o", "-4", "addr", "show", "eth0").stdout
        assert "10.72.0.2/24" in shown
    assert lab.ocinet("exec", "web", "--", "sh", "-c", "exit 7", check=False).status == 7
    unknown = lab.ocinet("exec", "wbe", "--", "true", check=False)
    assert unknown.status != 0
    assert "did you mean web?" in unknown.stderr


@each_runtime
def test_plan_shows_commands_that_do_the_same_and_does_nothing(lab: Lab, runtime: str) -> None:
    """What `ocinet plan` prints, run by a shell, wires the container."""
    container = lab.runtime(runtime).run(lab.bundle("web"))
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    before = lab.snapshot()
    words = ("--id", "web", "--net", "lan", "-p", "8080:80")

    planned = lab.ocinet("plan", f"pid:{container.pid}", *words).stdout

    lab.assert_unchanged(before)
    lab.run("sh", "-ec", planned)
    container.namespace.serve("tcp", 80)
    assert container.namespace.addresses("eth0") == ["10.9.0.2/24"]
    assert container.namespace.pings(OUTSIDE_V4)
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    container.namespace.close()
    container.delete(force=True)
    # Nothing is recorded, so nothing is detached: the link goes with the sandbox.
    wait_until(lambda: not host_ends(lab), "the end of the link")
    lab.run("sh", "-c", "rm /run/netns/web; nft flush ruleset")


@each_runtime
def test_plan_of_bundle_matches_what_its_start_does(lab: Lab, runtime: str) -> None:
    """The plan of a bundle that is not started names its network and address."""
    bundle = register(lab, "web", "--ip", "10.72.0.9")
    before = lab.snapshot().without_networks()

    planned = lab.ocinet("plan", str(bundle.path)).stdout

    assert before.difference(lab.snapshot().without_networks()) == []
    assert "10.72.0.9/24" in planned
    assert "type veth peer name eth0" in planned
    container = lab.runtime(runtime).run(bundle)
    assert container.namespace.addresses("eth0") == ["10.72.0.9/24"]
    assert container.namespace.links()["eth0"]["address"] in planned


@each_runtime
def test_remove_network_with_containers_is_refused_until_they_stop(lab: Lab, runtime: str) -> None:
    """It names who is on it; after that nothing of the network is left."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    container = start(lab, runtime, "web", "--net", "lan")

    refusal = lab.ocinet("network", "rm", "lan", check=False)

    assert refusal.status != 0
    assert "web" in refusal.stderr
    assert container.namespace.pings(OUTSIDE_V4)
    stop(container)
    lab.ocinet("network", "rm", "lan")
    assert not [name for name in lab.links() if name.startswith("ocbr-")]
    assert "10.9.0.0" not in lab.ruleset()


@pytest.mark.parametrize("target", ["pid:999999999", "netns:/run/netns/none", "netns:/etc/passwd"])
def test_attach_of_nothing_says_so_and_changes_nothing(lab: Lab, target: str) -> None:
    """A process or file that is no sandbox is told."""
    before = lab.snapshot()

    result = lab.ocinet("attach", target, "--net", "bridge", check=False)

    assert result.status != 0
    assert result.stderr.startswith("ocinet: ")
    assert "fault in ocinet" not in result.stderr
    lab.assert_unchanged(before)

"""Every mode on runc and crun: what the entrypoint finds at its first instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import (
    FIRST_LOOK,
    host_ends,
    netns_names,
    register,
    start,
    stop,
)
from hosts.engine.runtimes import RUNTIMES, each_runtime
from hosts.lab.machine import LAB_V4, OUTSIDE_V4

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

STAGES = ("createRuntime", "prestart", "both")


@pytest.mark.parametrize("stage", STAGES)
@each_runtime
def test_start_on_bridge_entrypoint_finds_its_network_up(
    lab: Lab, runtime: str, stage: str
) -> None:
    """Address, routes, lo and the way out are there at the first instruction, gone at the end."""
    bundle = register(lab, "web", "--net", "bridge", args=("sh", "-c", FIRST_LOOK), stage=stage)
    outside = lab.outside.serve("tcp", 80)

    shown = lab.runtime(runtime).run_to_end(bundle).stdout

    addresses, routes, answer, flags = (part.strip() for part in shown.split("//\n"))
    assert [line.split()[1:4] for line in addresses.splitlines()] == [
        ["lo", "inet", "127.0.0.1/8"],
        ["eth0", "inet", "10.72.0.2/24"],
    ]
    assert [" ".join(line.split()) for line in routes.splitlines()] == [
        "default via 10.72.0.1 dev eth0",
        "10.72.0.0/24 dev eth0 scope link src 10.72.0.2",
    ]
    assert '"server": "outside"' in answer
    assert int(flags, 16) & 1, "lo is down"
    assert [reply.peer[0] for reply in outside.seen()] == [LAB_V4]
    lab.assert_no_container_left()


@each_runtime
def test_start_without_any_word_gets_default_network(lab: Lab, runtime: str) -> None:
    """`hooks add BUNDLE` alone is enough for a network."""
    container = start(lab, runtime, "web")

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert container.namespace.pings(OUTSIDE_V4)
    assert lab.pings("10.72.0.2")


@each_runtime
def test_start_annotated_bundle_keeps_what_it_asks_for(lab: Lab, runtime: str) -> None:
    """`hooks add BUNDLE` without flags registers the annotations that are there."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    bundle = lab.bundle("web", annotations={"ocinet.net": "lan:ip=10.9.0.7", "other": "stays"})
    lab.ocinet("hooks", "add", str(bundle.path))

    container = lab.runtime(runtime).run(bundle)

    assert container.namespace.addresses("eth0") == ["10.9.0.7/24"]


@each_runtime
def test_start_under_name_is_listed_by_ip_netns_until_it_stops(lab: Lab, runtime: str) -> None:
    """`ip netns exec NAME` works while the container runs; then the name is gone."""
    container = start(lab, runtime, "b1946ac92492d2347c6235b4d2611184", "--name", "shop")

    assert netns_names(lab) == ["shop"]
    shown = lab.run("ip", "netns", "exec", "shop", "ip", "-o", "addr", "show", "eth0").stdout
    assert container.namespace.addresses("eth0")[0] in shown
    stop(container)
    assert netns_names(lab) == []
    assert host_ends(lab) == []


@each_runtime
def test_start_without_name_is_listed_by_short_id(lab: Lab, runtime: str) -> None:
    """Without a name, the first 12 characters of the id stand for it."""
    start(lab, runtime, "b1946ac92492d2347c6235b4d2611184")

    assert netns_names(lab) == ["b1946ac92492"]


@each_runtime
def test_start_under_taken_netns_name_leaves_the_other_alone(lab: Lab, runtime: str) -> None:
    """A namespace that somebody else called `web` stays; ours has another name."""
    box = lab.make_netns("web")

    container = start(lab, runtime, "web")

    ours = [name for name in netns_names(lab) if name != "web"]
    assert len(ours) == 1
    assert ours[0].startswith("oc-")
    identity = lab.run("ip", "netns", "exec", ours[0], "stat", "-Lc", "%i", "/proc/self/ns/net")
    assert container.namespace.sandbox.endswith(f":{identity.stdout.strip()}")
    stop(container)
    assert netns_names(lab) == ["web"]
    assert list(box.links()) == ["lo"]
    lab.run("ip", "netns", "delete", "web")


@each_runtime
def test_start_on_named_networks_reaches_neighbours_but_no_other_network(
    lab: Lab, runtime: str
) -> None:
    """Containers of one network meet; those of another one are out of reach."""
    for name, subnet in (("lan", "10.9.0.0/24"), ("dmz", "10.8.0.0/24")):
        lab.ocinet("network", "create", "--subnet", subnet, name)
    web = start(lab, runtime, "web", "--net", "lan")
    log = start(lab, runtime, "log", "--net", "lan")
    spy = start(lab, runtime, "spy", "--net", "dmz")
    web.namespace.serve("tcp", 80)

    assert web.namespace.addresses("eth0") == ["10.9.0.2/24"]
    assert spy.namespace.addresses("eth0") == ["10.8.0.2/24"]
    assert log.namespace.ask("tcp", "10.9.0.2", 80).peer[0] == "10.9.0.3"
    assert not spy.namespace.reaches("tcp", "10.9.0.2", 80, timeout_s=0.3)
    assert spy.namespace.pings(OUTSIDE_V4)
    assert lab.ask("tcp", "10.9.0.2", 80).peer[0] == "10.9.0.1"


@each_runtime
def test_start_on_several_networks_has_one_interface_each(lab: Lab, runtime: str) -> None:
    """eth0, eth1, … in order; the first one leads out; all of them go."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    lab.ocinet("network", "create", "--subnet", "10.8.0.0/24", "dmz")
    both = start(lab, runtime, "web", "--net", "lan:ip=10.9.0.5", "--net", "dmz", "--net", "bridge")
    other = start(lab, runtime, "other", "--net", "dmz")
    other.namespace.serve("tcp", 80)

    inside = both.namespace
    assert [inside.addresses(f"eth{number}") for number in range(3)] == [
        ["10.9.0.5/24"], ["10.8.0.2/24"], ["10.72.0.2/24"],
    ]  # fmt: skip
    defaults = [route["gateway"] for route in inside.routes() if route["dst"] == "default"]
    assert defaults == ["10.9.0.1"]
    assert inside.ask("tcp", "10.8.0.3", 80).peer[0] == "10.8.0.2"
    assert inside.pings(OUTSIDE_V4)
    assert len(host_ends(lab)) == 4
    stop(both)
    assert len(host_ends(lab)) == 1


@each_runtime
def test_start_in_host_mode_shares_the_host_and_changes_nothing(lab: Lab, runtime: str) -> None:
    """The entrypoint is in the host's namespace, sysctls of the spec notwithstanding."""
    bundle = lab.bundle("web", args=("sh", "-c", "readlink /proc/self/ns/net; sleep 1000"))
    bundle.edit(lambda config: config["linux"].update(sysctl={"net.ipv4.ip_forward": "1"}))
    before = lab.snapshot()
    lab.ocinet("hooks", "add", str(bundle.path), "--net", "host")

    container = lab.runtime(runtime).run(bundle)

    assert container.namespace.sandbox == lab.sandbox
    assert lab.sandbox.endswith(container.output().strip()[len("net:[") : -1])
    assert lab.sysctl("net/ipv4/ip_forward") == "0"
    stop(container)
    lab.assert_unchanged(before)


@each_runtime
def test_start_in_mode_none_has_loopback_alone_until_attached(lab: Lab, runtime: str) -> None:
    """lo is up, nothing else is there, and `ocinet attach` can change that later."""
    container = start(lab, runtime, "web", "--net", "none")

    inside = container.namespace
    assert list(inside.links()) == ["lo"]
    assert inside.pings("127.0.0.1")
    assert netns_names(lab) == ["web"]
    assert "ocinet0" not in lab.links()

    lab.ocinet("attach", "web", "--net", "bridge")

    assert inside.addresses("eth0") == ["10.72.0.2/24"]
    assert inside.pings(OUTSIDE_V4)
    stop(container)
    assert netns_names(lab) == []
    assert host_ends(lab) == []


@pytest.mark.parametrize("target", ["id", "name", "short id"])
@each_runtime
def test_start_in_container_mode_shares_the_sandbox(lab: Lab, runtime: str, target: str) -> None:
    """Both are at one address and one 127.0.0.1; `ip netns` has one name for them."""
    whole = "b1946ac92492d2347c6235b4d2611184"
    owner = start(lab, runtime, whole, "--name", "web")
    said = {"id": whole, "name": "web", "short id": whole[:6]}[target]

    member = start(lab, runtime, "log", "--net", f"container:{said}")

    assert member.namespace.sandbox == owner.namespace.sandbox
    assert "10.72.0.2/24" in member.exec("ip", "-o", "addr", "show", "eth0").stdout
    owner.namespace.serve("tcp", 80, "127.0.0.1")
    assert member.namespace.ask("tcp", "127.0.0.1", 80).peer[0] == "127.0.0.1"
    assert len(host_ends(lab)) == 1
    assert netns_names(lab) == ["web"]


def test_start_member_on_the_other_runtime_shares_the_sandbox(lab: Lab) -> None:
    """A crun container joins a runc container's sandbox: the name is all it needs."""
    owner = start(lab, RUNTIMES[0], "web")

    member = start(lab, RUNTIMES[1], "log", "--net", "container:web")

    assert member.namespace.sandbox == owner.namespace.sandbox
    stop(owner)
    assert member.namespace.pings(OUTSIDE_V4)
    stop(member)
    assert host_ends(lab) == []

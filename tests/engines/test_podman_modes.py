"""Each mode through real podman, as the container and its neighbours see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import install, keys, why_not
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import require_earlier
from hosts.lab.machine import LAB_V4, LAB_V6, OUTSIDE_V4

if TYPE_CHECKING:
    from hosts.lab.machine import Lab


@each_runtime
def test_run_entrypoint_connects_outside_at_its_first_instruction(lab: Lab, runtime: str) -> None:
    """The process that the runtime starts can connect at once, masqueraded as the host."""
    podman = install(lab, runtime)
    lab.outside.serve("tcp", 80)

    told = podman("run", "--network=none", *keys(net="bridge"), IMAGE, "nc", OUTSIDE_V4, "80")

    assert f'"peer": ["{LAB_V4}", ' in told.stdout
    podman("rm", "--all")


@each_runtime
def test_run_unnamed_is_shown_under_the_name_that_podman_gave(lab: Lab, runtime: str) -> None:
    """`ocinet ps` and `ip netns` have podman's own name, which no annotation tells."""
    podman = install(lab, runtime)

    container = podman.run(*keys(net="bridge"))

    name = podman("inspect", "--format={{.Name}}", container.id).stdout.strip()
    assert lab.records()[name]["id"] == container.id
    assert lab.run("ip", "netns", "list").stdout.split()[0] == name
    inside = lab.run("ip", "netns", "exec", name, "ip", "-o", "-4", "address").stdout
    assert "eth0    inet 10.72.0.2/24" in inside
    container.remove()
    assert lab.run("ip", "netns", "list").stdout == ""
    assert lab.records() == {}


@each_runtime
def test_run_on_named_network_with_static_address_has_it(lab: Lab, runtime: str) -> None:
    """A network by name, the address asked for, the default route through its gateway."""
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")

    container = podman.run(*keys(net="lan", ip="10.9.0.77", mac="02:00:00:00:00:77", mtu="1400"))

    inside = container.namespace
    eth0 = inside.links()["eth0"]
    assert inside.addresses("eth0") == ["10.9.0.77/24"]
    assert (eth0["address"], eth0["mtu"]) == ("02:00:00:00:00:77", 1400)
    assert [route["gateway"] for route in inside.routes() if route["dst"] == "default"] == [
        "10.9.0.1"
    ]
    assert lab.pings("10.9.0.77")
    container.remove()


@each_runtime
def test_run_on_several_networks_has_an_interface_on_each(lab: Lab, runtime: str) -> None:
    """One annotation names two networks; the first has the default route."""
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    lab.make_network("dmz", "10.8.0.0/24")

    container = podman.run(*keys(net="lan:ip=10.9.0.5,ifname=front;dmz:ifname=back"))

    inside = container.namespace
    assert inside.addresses("front") == ["10.9.0.5/24"]
    assert inside.addresses("back") == ["10.8.0.2/24"]
    assert inside.routes()[0]["dev"] == "front"
    container.remove()


@each_runtime
def test_run_with_network_list_cut_by_podman_is_refused(lab: Lab, runtime: str) -> None:
    """Unquoted, podman 4 cuts the list at its comma: half the networks must not do."""
    require_earlier("podman", (5, 0), "annotations that are read as CSV")
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    before = lab.snapshot()

    refused = podman("run", "--name=shop", "--network=none",
                     "--annotation=ocinet.net=lan:ip=10.9.0.5,ifname=front;dmz", IMAGE, "true",
                     check=False)  # fmt: skip

    told = why_not(lab, refused, runtime)
    assert "cannot attach shop: ocinet.net: podman has cut it at a comma: ifname=" in told
    assert "quote it twice: --annotation '\"ocinet.net=…\"'" in told
    podman.remove("shop")
    lab.assert_unchanged(before)


@each_runtime
def test_run_publishing_is_reached_from_outside(lab: Lab, runtime: str) -> None:
    """TCP and UDP ports of the host lead to the container, which sees who asks."""
    podman = install(lab, runtime)
    container = podman.run(
        "--name=shop", *keys(net="bridge", publish="8080:80,127.0.0.1:8081:80,5353:53/udp")
    )
    servers = [container.namespace.serve("tcp", 80), container.namespace.serve("udp", 53)]

    asked = [
        lab.outside.ask("tcp", LAB_V4, 8080),
        lab.outside.ask("udp", LAB_V4, 5353),
        lab.ask("tcp", "127.0.0.1", 8081),
    ]

    assert [reply.local for reply in asked] == [
        ("10.72.0.2", 80), ("10.72.0.2", 53), ("10.72.0.2", 80),
    ]  # fmt: skip
    assert [reply.peer[0] for reply in asked[:2]] == ["198.51.100.2", "198.51.100.2"]
    assert not lab.outside.reaches("tcp", LAB_V4, 8081, timeout_s=0.2)
    for server in servers:
        server.stop()
    container.remove()
    assert not lab.outside.reaches("tcp", LAB_V4, 8080, timeout_s=0.2)


def test_run_on_dual_stack_network_is_reached_in_both_families(lab: Lab) -> None:
    """An IPv6 subnet gives the container a second address, and the port a second way."""
    podman = install(lab, "crun")
    lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")

    container = podman.run(*keys(net="lan", publish="8080:80"))

    assert container.namespace.addresses("eth0") == ["10.9.0.2/24", "fd00:9::2/64"]
    container.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.9.0.2", 80)
    assert lab.outside.ask("tcp", LAB_V6, 8080).local == ("fd00:9::2", 80)
    container.namespace.close()
    container.remove()


@each_runtime
def test_run_mode_none_is_recorded_and_can_be_attached_later(lab: Lab, runtime: str) -> None:
    """`none` leaves lo alone in the sandbox, until the operator attaches by podman's name."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *keys(net="none"))
    assert list(container.namespace.links()) == ["lo"]
    assert lab.records()["shop"]["mode"] == "none"

    lab.ocinet("attach", "shop", "--net", "bridge")

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert lab.pings("10.72.0.2")
    container.remove()


@each_runtime
def test_run_sharing_keeps_the_network_until_the_last_has_gone(lab: Lab, runtime: str) -> None:
    """podman puts the member into the sandbox, the annotation counts it: it outlives its owner."""
    podman = install(lab, runtime)
    owner = podman.run("--name=shop", *keys(net="bridge", publish="8080:80"))

    member = podman.run("--name=log", *keys(net="container:shop"), network="container:shop")

    assert member.namespace.sandbox == owner.namespace.sandbox
    assert lab.records()["log"]["member_of"] == owner.id
    podman("stop", "--time=0", "shop")
    assert lab.records()["shop"]["left"] is True
    member.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.72.0.2", 80)
    assert lab.run("ip", "netns", "exec", "shop", "true").status == 0
    member.namespace.close()
    podman("stop", "--time=0", "log")
    lab.assert_no_container_left()
    podman.remove("log")
    podman.remove("shop")


@each_runtime
def test_run_sharing_member_that_stops_first_takes_nothing_along(lab: Lab, runtime: str) -> None:
    """A member's end leaves the owner as it was."""
    podman = install(lab, runtime)
    owner = podman.run("--name=shop", *keys(net="bridge"))
    podman.run("--name=log", *keys(net=f"container:{owner.id[:12]}"), network="container:shop")

    podman.remove("log")

    assert lab.records().keys() == {"shop"}
    assert lab.records()["shop"]["members"] == []
    assert lab.pings("10.72.0.2")
    owner.remove()


@each_runtime
def test_run_joined_by_podman_alone_is_none_of_ours(lab: Lab, runtime: str) -> None:
    """Without our key the member shares the network, and is not counted."""
    podman = install(lab, runtime)
    owner = podman.run("--name=shop", *keys(net="bridge"))

    member = podman.run("--name=log", network="container:shop")

    assert member.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert lab.records().keys() == {"shop"}
    member.remove()
    assert lab.pings("10.72.0.2")
    owner.remove()


@each_runtime
def test_run_sharing_from_another_sandbox_is_refused(lab: Lab, runtime: str) -> None:
    """A hook can't move a container into another one's sandbox, and says how to start it there."""
    podman = install(lab, runtime)
    owner = podman.run("--name=shop", *keys(net="bridge"))
    before = lab.snapshot()

    refused = podman("run", "--name=log", "--network=none", *keys(net="container:shop"),
                     IMAGE, "true", check=False)  # fmt: skip

    told = why_not(lab, refused, runtime)
    assert "cannot attach log: it is not in the sandbox of shop" in told
    assert "--network=container:shop" in told
    lab.assert_unchanged(before)
    podman.remove("log")
    owner.remove()


@each_runtime
def test_run_mode_host_on_the_hosts_network_is_left_alone(lab: Lab, runtime: str) -> None:
    """`host` is met by podman's --network=host: there is nothing to wire, nor to record."""
    podman = install(lab, runtime)
    before = lab.snapshot().without_networks()

    container = podman.run("--name=shop", *keys(net="host"), network="host")

    assert container.namespace.sandbox == lab.sandbox
    assert lab.records() == {}
    container.remove()
    lab.assert_unchanged(lab.baseline)
    assert not before.difference(lab.snapshot().without_networks())


@each_runtime
def test_run_mode_host_in_a_private_sandbox_is_refused(lab: Lab, runtime: str) -> None:
    """The namespace can't be exchanged any more; the hint is podman's flag."""
    podman = install(lab, runtime)

    refused = podman("run", "--name=shop", "--network=none", *keys(net="host"), IMAGE, "true",
                     check=False)  # fmt: skip

    told = why_not(lab, refused, runtime)
    assert "cannot attach shop: it has a network namespace of its own" in told
    assert "start it with --network=host" in told
    podman.remove("shop")
    lab.assert_unchanged()


@each_runtime
def test_run_network_key_on_the_hosts_network_is_refused(lab: Lab, runtime: str) -> None:
    """A container on the host's network would get its interfaces there: it must not start."""
    podman = install(lab, runtime)

    refused = podman("run", "--name=shop", "--network=host", *keys(net="bridge"), IMAGE, "true",
                     check=False)  # fmt: skip

    assert "it uses the host's network" in why_not(lab, refused, runtime)
    podman.remove("shop")
    lab.assert_unchanged()


def test_run_beside_podmans_own_network_is_refused_by_name_of_the_interface(lab: Lab) -> None:
    """podman's eth0 stays podman's; under another name ours stands beside it."""
    podman = install(lab, "crun")
    lab.make_network("lan", "10.9.0.0/24")
    plain = podman.run("--name=plain", network="bridge")  # podman's bridge and rules are there now
    before = lab.snapshot()

    refused = podman("run", "--name=shop", "--network=bridge", *keys(net="lan"), IMAGE, "true",
                     check=False)  # fmt: skip

    told = why_not(lab, refused, "crun")
    assert "the sandbox has an interface eth0 already" in told
    assert "ifname=" in told
    podman.remove("shop")
    lab.assert_unchanged(before)
    both = podman.run(*keys(net="lan:ifname=eth1"), network="bridge")
    assert both.namespace.addresses("eth1") == ["10.9.0.2/24"]
    assert both.namespace.addresses("eth0")[0].startswith("10.88.")
    both.remove()
    plain.remove()
    lab.ignored += ("podman0", "NETAVARK", "netavark", '"nat"', '"filter"', "10.88.")

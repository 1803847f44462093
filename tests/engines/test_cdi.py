"""A network by a device: `podman run --network=none --device ocinet.dev/net=NAME`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import (
    build,
    copied_over,
    keys,
    run_image,
    wait_for_events,
    why_not,
)
from hosts.engine.runtimes import each_runtime
from hosts.lab.snapshot import files
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

SPEC = "/etc/cdi/ocinet.json"
PLACES = ("/etc/cdi", "/etc/containers", "/usr/share/containers")
WEB_PORT = 8080


def devices(*names: str) -> tuple[str, ...]:
    """Spell podman's options for the devices of some networks."""
    return tuple(f"--device=ocinet.dev/net={name}" for name in names)


def install(lab: Lab, runtime: str) -> Podman:
    """Return podman with two networks, each of which has a device; no hooks directory is."""
    podman = lab.podman(runtime)
    lab.make_network("lan", "10.9.0.0/24")
    lab.make_network("dmz", "10.8.0.0/24")
    lab.ocinet("hooks", "install", "--cdi")
    return podman


def addresses(container: EngineContainer) -> dict[str, list[str]]:
    """Return the container's IPv4 addresses by interface, as its kernel has them."""
    space = container.namespace
    shown = {name: space.addresses(name) for name in space.links() if name != "lo"}
    return {name: [address for address in found if "." in address] for name, found in shown.items()}


def default_routes(container: EngineContainer) -> list[str]:
    """Return the gateways of the container's default routes."""
    routes = container.namespace.routes()
    return [route["gateway"] for route in routes if route["dst"] == "default"]


@each_runtime
def test_run_with_a_device_is_wired_without_any_annotation(lab: Lab, runtime: str) -> None:
    """eth0 is there before the entrypoint looks, and all is gone with the container."""
    podman = install(lab, runtime)

    seen = podman(
        "run", "--rm", "--network=none", *devices("lan"), IMAGE, "ip", "-4", "-o", "address"
    ).stdout  # fmt: skip

    assert "eth0    inet 10.9.0.2/24" in seen
    wait_for_events(lab, "detached", 1)
    assert lab.records() == {}
    lab.assert_no_container_left()


@each_runtime
def test_run_with_several_devices_is_on_all_networks(lab: Lab, runtime: str) -> None:
    """eth0, eth1 in the order of the devices; the default route is the first one's."""
    podman = install(lab, runtime)

    one = podman.run("--name=one", *devices("lan", "dmz"))
    two = podman.run("--name=two", *devices("dmz", "lan", "bridge"))

    assert addresses(one) == {"eth0": ["10.9.0.2/24"], "eth1": ["10.8.0.2/24"]}
    assert default_routes(one) == ["10.9.0.1"]
    assert addresses(two) == {
        "eth0": ["10.8.0.3/24"], "eth1": ["10.9.0.3/24"], "eth2": ["10.72.0.2/24"],
    }  # fmt: skip
    assert default_routes(two) == ["10.8.0.1"]
    assert len(lab.events("attached")) == 2  # the first device's hook wires all of them
    podman.remove(one.id, two.id)
    assert lab.records() == {}


@each_runtime
def test_stop_start_and_kill_are_paired_by_the_runtimes_own_poststop(
    lab: Lab, runtime: str
) -> None:
    """Each start is wired anew, each end takes the wiring down, several devices or one."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *devices("lan", "dmz"))

    podman("stop", "--time=0", "shop")
    wait_for_events(lab, "detached", 1)
    assert lab.records() == {}
    podman("start", "shop")
    assert addresses(container.current)["eth0"][0].startswith("10.9.0.")
    podman("kill", "shop")
    wait_for_events(lab, "detached", 2)

    assert len(lab.events("attached")) == 2
    assert lab.records() == {}
    podman.remove("shop")
    assert len(lab.events("detached")) == 2


@each_runtime
def test_create_that_fails_behind_the_hook_leaves_nothing_after_gc(lab: Lab, runtime: str) -> None:
    """runc runs poststop then; crun does not, and gc takes down what it left."""
    podman = install(lab, runtime)

    failed = podman(
        "run", "--name=shop", "--network=none", *devices("lan", "dmz"), IMAGE, "/no/such",
        check=False,
    )  # fmt: skip

    assert failed.status == 127
    assert len(lab.events("attached")) == 1
    podman.remove("shop")
    assert len(lab.events("detached")) == (1 if runtime == "runc" else 0)
    found = lab.ocinet("gc", "--json").json()
    assert [finding["kind"] for finding in found] == ([] if runtime == "runc" else ["attachment"])
    assert lab.records() == {}
    lab.assert_no_container_left()


@each_runtime
def test_annotations_add_to_a_device(lab: Lab, runtime: str) -> None:
    """Address, name and published port are for the device's network, or those it names."""
    podman = install(lab, runtime)

    shop = podman.run(
        *devices("lan", "dmz"), *keys(ip="10.9.0.50", publish=f"{WEB_PORT}:80", name="shop")
    )
    side = podman.run(*devices("lan", "dmz"), *keys(net="dmz:ip=10.8.0.60,ifname=side0"))

    assert addresses(shop) == {"eth0": ["10.9.0.50/24"], "eth1": ["10.8.0.2/24"]}
    server = shop.namespace.serve("tcp", 80, name="shop")
    assert lab.outside.ask("tcp", "198.51.100.1", WEB_PORT).server == "shop"
    server.stop()
    assert addresses(side) == {"side0": ["10.8.0.60/24"], "eth0": ["10.9.0.2/24"]}
    assert "shop" in lab.records()
    podman.remove(shop.id, side.id)


@each_runtime
def test_image_cannot_ask_beside_a_device(lab: Lab, runtime: str) -> None:
    """What the image carries counts for nothing: the device alone is asked for."""
    podman = install(lab, runtime)
    image = build(podman, "hostile", {"ocinet.publish": "22:22", "ocinet.net": "host"})

    container = run_image(podman, image, *devices("lan"))

    assert addresses(container) == {"eth0": ["10.9.0.2/24"]}
    [record] = lab.records().values()
    assert record["ports"] == []
    told = [event["keys"].split(", ") for event in lab.events("image's keys ignored")]
    assert told == [keys for keys in [copied_over("ocinet.net", "ocinet.publish")] if keys]
    container.remove()


@pytest.mark.parametrize("net", ["dmz", "none", "host", "lan;dmz", "container:x"])
def test_annotation_that_contradicts_the_device_is_refused(lab: Lab, net: str) -> None:
    """One clear error, and nothing is left of the attempt."""
    podman = install(lab, "runc")
    before = lab.snapshot()

    refused = podman(
        "run", "--rm", "--network=none", *devices("lan"), *keys(net=net), IMAGE, "true", check=False
    )

    told = why_not(lab, refused, "runc")
    assert told.endswith(
        f": ocinet.net: {net!r} contradicts the device ocinet.dev/net=lan "
        "(hint: leave one of the two out)"
    )
    lab.run("rm", "/run/ocinet/events.jsonl")
    lab.assert_unchanged(before)


@each_runtime
def test_device_beside_an_installed_hook_is_wired_once(lab: Lab, runtime: str) -> None:
    """Two doors, one wish: the hooks directory leaves it to the device, `--always` or not."""
    podman = install(lab, runtime)
    for words, address in (((), "10.8.0.2/24"), (("--always",), "10.8.0.3/24")):
        lab.ocinet("hooks", "install", "--podman", *words)

        container = podman.run(*devices("dmz"), *keys(mtu="1400"))

        assert addresses(container) == {"eth0": [address]}
        assert container.namespace.links()["eth0"]["mtu"] == 1400
        container.remove()
    assert len(lab.events("attached")) == len(lab.events("detached")) == 2


def test_device_beside_a_watcher_is_wired_by_its_hook_alone(lab: Lab) -> None:
    """The watcher comes second, with the default network, and finds it done."""
    podman = install(lab, "crun")
    lab.run("mkdir", "-p", "/run/podman")
    with podman.serve(), lab.watch() as watcher:
        container = podman.run("--name=shop", *devices("dmz"), *keys(publish=f"{WEB_PORT}:80"))
        watcher.wait_until_said("container looked at", container.id)
        watcher.reload()

        assert addresses(container) == {"eth0": ["10.8.0.2/24"]}
        assert len(lab.records()["shop"]["ports"]) == 1
        assert watcher.complaints(container.id) == []
        container.remove()
        wait_until(lambda: lab.records() == {}, "the end of the record")


def test_select_labelled_does_not_keep_a_device_back(lab: Lab) -> None:
    """A device is a wish of its own; it needs no label besides."""
    podman = install(lab, "crun")
    lab.run("tee", "/etc/ocinet/ocinet.toml", stdin='select = "labelled"\n')

    container = podman.run(*devices("lan"))

    assert addresses(container) == {"eth0": ["10.9.0.2/24"]}
    container.remove()


def test_device_on_the_hosts_network_fares_as_with_a_hooks_directory(lab: Lab) -> None:
    """It is left alone, with the same words."""
    podman = install(lab, "runc")
    lab.ocinet("hooks", "install", "--podman")
    told = []
    for door in (devices("lan"), keys(net="lan")):
        lab.run("rm", "-f", "/run/ocinet/events.jsonl")
        before = lab.snapshot()

        refused = podman("run", "--rm", "--network=host", *door, IMAGE, "true", check=False)

        told.append(why_not(lab, refused, "runc").partition(": ")[2])
        lab.run("rm", "/run/ocinet/events.jsonl")
        lab.assert_unchanged(before)
        lab.run("touch", "/run/ocinet/events.jsonl")
    assert told[0] == told[1]
    assert told[0].startswith("it uses the host's network, where nothing is to be wired")


def test_device_in_another_containers_sandbox_is_counted_in_as_with_a_hooks_directory(
    lab: Lab,
) -> None:
    """Who asks for what is there already shares it, and keeps it while it runs."""
    podman = install(lab, "runc")
    lab.ocinet("hooks", "install", "--podman")
    podman.run("--name=first", *devices("lan"))
    for door in (devices("lan"), keys(net="lan")):
        second = podman.run(*door, network="container:first")
        assert addresses(second) == {"eth0": ["10.9.0.2/24"]}
        members = [member["id"] for member in lab.records()["first"]["members"]]
        assert second.id in members
        second.remove()
        assert second.id not in [member["id"] for member in lab.records()["first"]["members"]]
    podman.remove("first")


def test_install_verify_and_uninstall_leave_the_tree_as_it_was(lab: Lab) -> None:
    """One file, which verify runs; a network without a device is found; all goes again."""
    lab.podman("crun")
    lab.make_network("lan", "10.9.0.0/24")
    lab.make_network("9lives", "10.7.0.0/24")
    before = set(files(lab.path("/"), PLACES))

    first = lab.ocinet("hooks", "install", "--cdi")
    again = lab.ocinet("hooks", "install", "--cdi")

    assert first.stdout.split() == [SPEC]
    assert "the network 9lives gets no device" in first.stderr
    assert again.stdout == ""
    spec = json.loads(lab.path(SPEC).read_text())
    assert (spec["cdiVersion"], spec["kind"]) == ("0.3.0", "ocinet.dev/net")
    assert [device["name"] for device in spec["devices"]] == ["bridge", "lan"]
    good = lab.ocinet("hooks", "verify", "--cdi").stdout
    assert "BAD" not in good
    assert "createRuntime gave eth0 10.72.0.2/24" in good
    lab.make_network("dmz", "10.8.0.0/24")
    stale = lab.ocinet("hooks", "verify", "--cdi", check=False)
    assert stale.status == 1
    assert f"BAD   {SPEC} has no device for the network dmz" in stale.stdout
    lab.ocinet("hooks", "install", "--cdi")
    assert lab.ocinet("hooks", "verify", "--cdi").status == 0

    assert lab.ocinet("hooks", "uninstall", "--cdi").stdout.split() == [SPEC]
    assert not lab.path("/etc/cdi").exists()
    assert set(files(lab.path("/"), PLACES)) == before


def test_run_with_the_device_of_no_network_is_refused_by_podman(lab: Lab) -> None:
    """A typo does not mean no network."""
    podman = install(lab, "crun")

    refused = podman("run", "--rm", "--network=none", *devices("lann"), IMAGE, "true", check=False)

    assert refused.status == 126
    assert "ocinet.dev/net=lann" in refused.stderr

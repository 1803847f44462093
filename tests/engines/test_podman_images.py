"""An image can't ask for anything: podman passes its annotations on, the hook tells them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_podman import (
    UP_HOOK,
    build,
    copied_over,
    install,
    keys,
    run_image,
    why_not,
)
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import require_earlier
from hosts.lab.machine import LAB_V4

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

# What an image may try; `victim` is a container of somebody else's on `lan`.
WISHES = {
    "port": {"ocinet.publish": "22:22"},
    "port, with a network": {"ocinet.net": "lan", "ocinet.publish": "22:22"},
    "host": {"ocinet.net": "host"},
    "sandbox": {"ocinet.net": "container:victim"},
    "address": {"ocinet.net": "lan", "ocinet.ip": "10.9.0.66"},
    "address, in the list": {"ocinet.net": "lan:ip=10.9.0.66"},
    "mac and name": {"ocinet.mac": "02:00:00:00:00:66", "ocinet.name": "victim"},
    "network": {"ocinet.net": "lan"},
    "unknown key": {"ocinet.tpyo": "1"},
    "key in capitals": {"Ocinet.Publish": "22:22"},
}
_COPIES = ((5, 0), "an image's annotations in its containers")
PUBLISHER = {"ocinet.net": "lan", "ocinet.publish": "22:22"}


def _ignored(lab: Lab, container: EngineContainer) -> list[str]:
    """Return the keys that the event log tells were not honoured."""
    told = [
        event for event in lab.events("image's keys ignored") if event["container"] == container.id
    ]
    return sorted(key for event in told for key in event["keys"].split(", "))


def _as_trusted(lab: Lab) -> None:
    """Take the guard out: register the hook as one whose annotations are the user's own."""
    path = lab.path(UP_HOOK)
    document = json.loads(path.read_text())
    document["hook"]["args"].remove("--hooks-dir")
    path.write_text(json.dumps(document))


def _hide_image(podman: Podman, container: str) -> None:
    """Make the image's manifest unreadable, as in a storage that is laid out otherwise."""
    image = podman("inspect", "--format={{.Image}}", container).stdout.strip()
    place = f"/var/lib/containers/storage/overlay-images/{image}"
    podman.lab.run("mv", f"{place}/manifest", f"{place}/elsewhere")


@each_runtime
def test_run_image_with_wishes_gets_nothing_at_all(lab: Lab, runtime: str) -> None:
    """None of an image's wishes is met, by itself; the container runs, without a network."""
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    victim = podman.run("--name=victim", *keys(net="lan"))
    before = lab.snapshot()

    for number, (wish, asked) in enumerate(WISHES.items()):
        if "ocinet.net" in asked and copied_over("ocinet.net"):
            continue  # refused, as below: whose wish it is can't be told
        container = run_image(podman, build(podman, f"evil{number}", asked))
        assert list(container.namespace.links()) == ["lo"], wish
        assert lab.records().keys() == {"victim"}, wish
        assert _ignored(lab, container) == copied_over(*asked), wish
        container.remove()

    lab.assert_unchanged(before)
    victim.remove()


@each_runtime
@pytest.mark.parametrize("flags", [(), ("--always",)], ids=["asked", "always"])
def test_run_image_that_names_its_users_network_is_refused(
    lab: Lab, runtime: str, flags: tuple[str, ...]
) -> None:
    """Nobody can tell whose word it is, and no other network is given in its place."""
    require_earlier("podman", *_COPIES)
    podman = install(lab, runtime, *flags)
    lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
    image = build(podman, "evil", {"ocinet.net": "vault"})
    before = lab.snapshot()

    refused = podman("run", "--network=none", *keys(net="vault"), image, "true", check=False)

    told = why_not(lab, refused, runtime)
    assert "ocinet.net: the image carries 'vault' too" in told
    assert "or ocinet.net=none" in told
    lab.run("rm", "/run/ocinet/events.jsonl")
    lab.assert_unchanged(before)
    meant = run_image(podman, image, *keys(net=" vault"))
    assert meant.namespace.addresses("eth0") == ["10.9.0.2/24"]
    meant.remove()
    mute = run_image(podman, build(podman, "mute", {"ocinet.net": "none"}), *keys(net="none"))
    assert list(mute.namespace.links()) == ["lo"]
    mute.remove()


@each_runtime
def test_run_image_with_wishes_beside_the_users_gets_the_users_alone(
    lab: Lab, runtime: str
) -> None:
    """The user's network is given; the port, address and MAC that the image adds are not."""
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    image = build(podman, "evil", {**PUBLISHER, "ocinet.ip": "10.9.0.66", "ocinet.tpyo": "1"})

    container = run_image(podman, image, "--name=shop", *keys(net="bridge"))

    [record] = lab.records().values()
    assert (record["name"], record["ports"]) == ("shop", [])
    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert _ignored(lab, container) == copied_over("ocinet.ip", "ocinet.publish", "ocinet.tpyo")
    container.remove()


@each_runtime
def test_run_same_key_with_the_users_own_value_is_honoured(lab: Lab, runtime: str) -> None:
    """It is the image's value that counts for nothing, not the key."""
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    image = build(podman, "evil", {**PUBLISHER, "ocinet.ip": "10.9.0.66"})

    container = run_image(
        podman, image, *keys(net="lan:ifname=eth0", publish="2222:22", ip="10.9.0.5")
    )

    assert container.namespace.addresses("eth0") == ["10.9.0.5/24"]
    container.namespace.serve("tcp", 22)
    assert lab.outside.ask("tcp", LAB_V4, 2222).local == ("10.9.0.5", 22)
    assert not lab.outside.reaches("tcp", LAB_V4, 22, timeout_s=0.2)
    assert _ignored(lab, container) == []
    container.namespace.close()
    container.remove()


@each_runtime
def test_run_image_that_publishes_succeeds_without_the_guard(lab: Lab, runtime: str) -> None:
    """The attack is real: registered as trusted, the hook gives the image the host's port 22."""
    require_earlier("podman", *_COPIES)
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    image = build(podman, "evil", PUBLISHER)
    _as_trusted(lab)

    container = run_image(podman, image)

    container.namespace.serve("tcp", 22)
    assert lab.outside.ask("tcp", LAB_V4, 22).local == ("10.9.0.2", 22)
    container.namespace.close()
    container.remove()


def test_run_image_that_takes_an_address_succeeds_without_the_guard(lab: Lab) -> None:
    """So is the wish for an address that may be another's."""
    require_earlier("podman", *_COPIES)
    podman = install(lab, "crun")
    lab.make_network("lan", "10.9.0.0/24")
    image = build(podman, "evil", WISHES["address"])
    _as_trusted(lab)

    container = run_image(podman, image)

    assert container.namespace.addresses("eth0") == ["10.9.0.66/24"]
    container.remove()


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        (keys(publish="8080:80"), "ocinet.publish"),
        (keys(ip="10.72.0.9"), "a static address"),
        (keys(mac="02:00:00:00:00:66"), "a MAC"),
        (keys(name="victim"), "ocinet.name"),
        (keys(net="container:victim"), "ocinet.net=container:victim"),
        (keys(net="host"), "ocinet.net=host"),
        (keys(net="mgmt"), "ocinet.net=mgmt"),
        (keys(gateway="10.72.0.3"), "a gateway"),
        (keys(routes="10.0.0.0/8"), "routes"),
        (keys(mtu="576"), "an MTU"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_start_of_undecidable_image_is_refused_what_it_could_have_asked(
    lab: Lab, wish: tuple[str, ...], asked: str
) -> None:
    """With the image's annotations out of sight, nothing that needs trust is given."""
    podman = install(lab, "runc")
    podman("create", "--name=shop", "--network=none", *wish, "busybox", "sleep", "1000")
    _hide_image(podman, "shop")
    before = lab.snapshot()

    refused = podman("start", "shop", check=False)

    told = why_not(lab, refused, "runc")
    assert told == (
        f"cannot attach shop: {asked} may be the image's wish: what it carries can't be read "
        "(hint: set trust_annotations = true in ocinet.toml)"
    )
    lab.assert_unchanged(before)
    podman.remove("shop")


@each_runtime
def test_start_of_undecidable_image_gets_a_plain_network(lab: Lab, runtime: str) -> None:
    """The network that everyone may have harms nobody, whoever asks for it."""
    podman = install(lab, runtime)
    podman("create", "--name=shop", "--network=none", *keys(net="bridge"), "busybox", "sleep", "99")
    _hide_image(podman, "shop")

    podman("start", "shop")

    assert lab.pings("10.72.0.2")
    podman.remove("shop")


@each_runtime
def test_start_of_undecidable_image_is_trusted_where_the_operator_says_so(
    lab: Lab, runtime: str
) -> None:
    """`trust_annotations = true` is the way out that the refusal names."""
    podman = install(lab, runtime)
    podman("create", "--name=shop", "--network=none", *keys(publish="8080:80"), "busybox", "sleep",
           "1000")  # fmt: skip
    _hide_image(podman, "shop")
    lab.run("mkdir", "-p", "/etc/ocinet")
    lab.run("tee", "/etc/ocinet/ocinet.toml", stdin="trust_annotations = true\n")

    podman("start", "shop")

    assert [port["host_port"] for port in lab.records()["shop"]["ports"]] == [8080]
    podman.remove("shop")


@each_runtime
def test_run_of_rootfs_without_image_is_trusted(lab: Lab, runtime: str) -> None:
    """Without an image there is nobody else who could have asked."""
    podman = install(lab, runtime)

    podman(
        "run", "--detach", "--name=shop", "--network=none", *keys(publish="8080:80"),
        "--read-only", "--read-only-tmpfs=false", "--rootfs", str(lab.rootfs), "sleep", "1000",
    )  # fmt: skip

    assert [port["host_port"] for port in lab.records()["shop"]["ports"]] == [8080]
    podman.remove("shop")


def test_run_of_committed_image_that_inherits_wishes_gets_nothing(lab: Lab) -> None:
    """What an evil image's container was committed to is no better."""
    podman = install(lab, "crun")
    lab.make_network("lan", "10.9.0.0/24")
    first = run_image(podman, build(podman, "evil", {"ocinet.publish": "22:22"}))
    podman("commit", "--quiet", first.id, "child")

    second = run_image(podman, "localhost/child")

    assert lab.records() == {}
    assert list(second.namespace.links()) == ["lo"]
    second.remove()
    first.remove()


def test_always_image_that_asks_is_not_heard(lab: Lab) -> None:
    """With --always everyone gets the default network, and an image nothing besides."""
    podman = install(lab, "crun", "--always")

    container = run_image(podman, build(podman, "evil", {"ocinet.publish": "22:22"}))

    [record] = lab.records().values()
    assert [endpoint["network"] for endpoint in record["endpoints"]] == ["bridge"]
    assert record["ports"] == []
    container.remove()

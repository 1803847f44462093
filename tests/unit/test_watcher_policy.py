"""Which containers the watcher wires, and with what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.model.request import EndpointRequest, Publish, Request
from ocinet.engine.model.settings import Settings
from ocinet.request.annotations import DEFAULT_REQUEST
from ocinet.watcher.observed import ObservedContainer
from ocinet.watcher.policy import LEAVE, Decision, decide, needs_image

ALL, LABELLED = Settings(), Settings(select="labelled")
NOTHING: frozenset[tuple[str, str]] = frozenset()
WEB = ObservedContainer("c0ffee" * 10, "web", "none", networks=("none",))


def labelled(**labels: str) -> ObservedContainer:
    """Return the container with `ocinet.*` labels."""
    pairs = tuple((f"ocinet.{key}", text) for key, text in labels.items())
    return ObservedContainer(WEB.id, WEB.name, WEB.mode, networks=WEB.networks, labels=pairs)


def in_mode(mode: str, **changes: object) -> ObservedContainer:
    """Return the container in another mode."""
    return ObservedContainer(WEB.id, WEB.name, mode, **changes)  # type: ignore[arg-type]  # fields by name


def test_none_container_gets_the_default_network() -> None:
    """Every one does, unless the operator turned that round."""
    assert decide(WEB, NOTHING, ALL) == Decision("attach", DEFAULT_REQUEST)
    assert decide(WEB, NOTHING, LABELLED) == LEAVE


def test_labels_say_what_it_gets() -> None:
    """The keys are those of annotations."""
    wanted = Request("bridge", "", (EndpointRequest("lan", (Address.parse("10.9.0.5"),)),))
    assert decide(labelled(net="lan", ip="10.9.0.5"), NOTHING, LABELLED).request == wanted


def test_container_that_says_none_is_recorded_and_left_with_its_loopback() -> None:
    """`ocinet.net=none` is a wish like another."""
    assert decide(labelled(net="none"), NOTHING, ALL) == Decision("attach", Request("none"))


def test_kept_ports_are_published() -> None:
    """Docker keeps `-p` of a none container; it adds to what the label publishes."""
    web = ObservedContainer(
        WEB.id, "web", "none", labels=(("ocinet.publish", "8443:443,8080:80"),),
        bindings={
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": ""}],
            "53/udp": [{"HostIp": "fd00::5", "HostPort": "53"}],
        },
        exposed=("80/tcp", "90/tcp"),
    )  # fmt: skip
    request = decide(web, NOTHING, ALL).request
    assert request is not None
    assert request.publish == (
        Publish("tcp", None, 8443, 443),
        Publish("tcp", None, 8080, 80),
        Publish("tcp", Address.parse("127.0.0.1"), 0, 80),
        Publish("udp", Address.parse("fd00::5"), 53, 53),
        Publish("tcp", None, 0, 90),
    )


def test_what_it_exposes_is_told_and_published_by_nobody() -> None:
    """Links open it, where containers are kept apart; more than can be entered is none."""
    request = decide(in_mode("none", listens=("80/tcp",)), NOTHING, ALL).request
    assert request
    assert (request.exposed, request.publish) == (("80/tcp",), ())
    all_there_are = tuple(f"{port}/tcp" for port in range(1, 65536))
    request = decide(in_mode("none", listens=all_there_are), NOTHING, ALL).request
    assert request
    assert request.exposed == ()


def test_range_for_one_port_is_any_of_it() -> None:
    """As `docker run -p 8000-8010:80` has it kept."""
    web = in_mode("none", bindings={"80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}]})
    request = decide(web, NOTHING, ALL).request
    assert request
    assert request.publish == (Publish("tcp", None, 0, 80, (8000, 8010)),)


def test_keys_of_the_image_count_for_nothing() -> None:
    """The same key with another value is the user's own."""
    carried = frozenset({("ocinet.publish", "22:22"), ("ocinet.net", "host")})
    container = labelled(publish="22:22", net="lan")
    decision = decide(container, carried, ALL)
    assert decision.request == Request("bridge", "", (EndpointRequest("lan"),))
    assert decision.dropped == ("ocinet.publish",)


def test_image_that_alone_has_keys_selects_nothing() -> None:
    """With `labelled`, an image can't have its containers wired."""
    carried = frozenset({("ocinet.mtu", "576")})
    assert decide(labelled(mtu="576"), carried, LABELLED) == Decision(
        "leave", dropped=("ocinet.mtu",)
    )


@pytest.mark.parametrize("settings", [ALL, LABELLED])
def test_network_that_the_image_carries_too_is_refused(settings: Settings) -> None:
    """Its user may have meant one without a way out: the default one is not given instead."""
    carried = frozenset({("ocinet.net", "vault")})
    with pytest.raises(RequestError, match=r"ocinet\.net: the image carries 'vault' too"):
        decide(labelled(net="vault"), carried, settings)
    assert decide(labelled(net="vault "), carried, settings).act == "attach"
    told = replace(labelled(net="vault"), told=(("ocinet.net", "vault"),))
    assert decide(told, carried, settings).act == "attach", "no image gives Docker's annotations"


@pytest.mark.parametrize("settings", [ALL, LABELLED])
def test_none_that_the_image_carries_too_is_none(settings: Settings) -> None:
    """Whoever says it."""
    carried = frozenset({("ocinet.net", "none")})
    assert decide(labelled(net="none"), carried, settings).request == Request("none")


def test_label_of_a_podman_container_goes_before_its_images_annotation() -> None:
    """Of a key that stands in both, the user's counts, wherever it stands."""
    labels = (("ocinet.net", "none"), ("ocinet.net", "lan"))
    container = replace(WEB, labels=labels)
    carried = frozenset({("ocinet.net", "lan")})
    assert decide(container, carried, ALL).request == Request("none")


@pytest.mark.parametrize(
    "labels",
    [
        {"publish": "22:22"},
        {"net": "host"},
        {"ip": "10.72.0.9"},
        {"name": "db"},
        {"net": "lan"},
        {"gateway": "10.72.0.9"},
        {"routes": "10.0.0.0/8"},
        {"mtu": "576"},
    ],
)
def test_what_an_image_must_not_ask_is_refused_if_it_may_be_the_image(
    labels: dict[str, str],
) -> None:
    """The image is gone: nobody can tell. The operator may trust it all the same."""
    with pytest.raises(RequestError, match="may be the image's wish"):
        decide(labelled(**labels), None, ALL)
    assert decide(labelled(**labels), None, Settings(trust_annotations=True)).act == "attach"
    assert decide(labelled(net="bridge", ifname="web0"), None, ALL).act == "attach"


def test_typo_is_an_error() -> None:
    """It must not mean the default network."""
    with pytest.raises(RequestError, match=r"ocinet\.nett.*no such key"):
        decide(labelled(nett="lan"), NOTHING, ALL)


@pytest.mark.parametrize("mode", ["host", "bridge", "default", "web_net"])
def test_containers_with_a_network_are_left_alone(mode: str) -> None:
    """Silently, unless they bear keys that somebody will wonder about."""
    assert decide(in_mode(mode), NOTHING, ALL) == LEAVE
    decision = decide(in_mode(mode, labels=(("ocinet.net", "lan"),)), NOTHING, ALL)
    assert decision.act == "leave"
    assert decision.why == f"its network is {mode}, not none: its ocinet.* keys count for nothing"


def test_members_of_a_sandbox_are_counted() -> None:
    """Their own keys say nothing: the sandbox is another's."""
    member = in_mode("container", target="feed", labels=(("ocinet.publish", "22:22"),))
    assert decide(member, NOTHING, ALL) == Decision("join", Request("container", target="feed"))


def test_container_connected_by_hand_is_left_alone_and_told() -> None:
    """Docker would fail to make its own eth0 beside ours."""
    decision = decide(in_mode("none", networks=("lan",)), NOTHING, ALL)
    assert (decision.act, decision.request) == ("leave", None)
    assert "connected to lan by hand" in decision.why
    assert "docker network disconnect lan web" in decision.why


def test_container_with_a_device_of_ours_is_left_to_its_hook() -> None:
    """It asks for a network by that device; the default one besides would be one too many."""
    assert decide(in_mode("none", devices=("ocinet.dev/net=lan",)), NOTHING, ALL) == LEAVE
    assert decide(in_mode("none", devices=("vendor.com/gpu=0",)), NOTHING, ALL).act == "attach"


def test_build_steps_are_left_alone() -> None:
    """A build has the network that it was given."""
    assert decide(in_mode("none", build_step=True), NOTHING, ALL) == LEAVE


def test_image_matters_only_for_keys_of_ours() -> None:
    """Most containers have none, and their images are not asked for."""
    assert needs_image(labelled(net="lan"))
    assert not needs_image(in_mode("none", labels=(("my-ocinet.net", "lan"),)))

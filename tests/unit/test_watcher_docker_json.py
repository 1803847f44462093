"""What engines tell is read into values, whatever is odd about it."""

from __future__ import annotations

from typing import Any

import pytest

from ocinet.base.errors import SystemFailure
from ocinet.watcher.docker_json import parse_event, parse_inspected, parse_listed
from ocinet.watcher.observed import UNTOLD, Event, ObservedContainer

ID = "2d8a9ace25cc" * 5 + "abcd"


def inspected(**changes: Any) -> dict[str, Any]:
    """Return what dockerd 20.10 shows of a running none container, less what nobody reads."""
    document: dict[str, Any] = {
        "Id": ID,
        "Name": "/web",
        "Image": "sha256:5884",
        "State": {"Running": True, "Paused": False, "Pid": 4711},
        "Config": {
            "Image": "busybox",
            "Labels": {"ocinet.net": "lan"},
            "ExposedPorts": {"80/tcp": {}},
        },
        "HostConfig": {
            "NetworkMode": "none",
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "PublishAllPorts": False,
            "LogConfig": {"Type": "json-file"},
        },
        "NetworkSettings": {"Networks": {"none": {}}},
    }  # fmt: skip
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[last] = value
    return document


def test_inspected_container_is_read_whole() -> None:
    """Every field that is decided by."""
    assert parse_inspected(inspected()) == ObservedContainer(
        id=ID,
        name="web",
        mode="none",
        networks=("none",),
        labels=(("ocinet.net", "lan"),),
        image="sha256:5884",
        bindings={"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        pid=4711,
        running=True,
    )


def test_ports_that_are_all_to_be_published_are_the_exposed_ones() -> None:
    """`docker run -P`."""
    container = parse_inspected(inspected(HostConfig__PublishAllPorts=True))
    assert container.exposed == ("80/tcp",)


def test_cdi_devices_are_read() -> None:
    """Docker has container them among the device requests since version 25; GPUs are there, too."""
    requests = [
        {"Driver": "cdi", "DeviceIDs": ["ocinet.dev/net=lan"]},
        {"Driver": "", "Count": -1, "DeviceIDs": None},
    ]
    container = parse_inspected(inspected(HostConfig__DeviceRequests=requests))
    assert container.devices == ("ocinet.dev/net=lan",)


def test_annotations_of_podman_count_as_labels_do() -> None:
    """Podman's own inspect shows them beside the labels."""
    container = parse_inspected(inspected(Config__Annotations={"ocinet.ip": "10.0.0.5"}))
    assert container.labels == (("ocinet.net", "lan"), ("ocinet.ip", "10.0.0.5"))


def test_shared_sandbox_names_its_owner() -> None:
    """`--network container:X`."""
    container = parse_inspected(inspected(HostConfig__NetworkMode="container:feed"))
    assert (container.mode, container.target) == ("container", "feed")


BUILD_STEP = {
    "HostConfig__LogConfig": {"Type": "none"},
    "HostConfig__RestartPolicy": {"Name": ""},
    "Config__Healthcheck": {"Test": ["NONE"]},
    "Config__Image": "sha256:5884",
}


def test_build_step_is_told_by_all_its_marks() -> None:
    """The classic builder's containers; one mark less, and it is somebody's own."""
    assert parse_inspected(inspected(**BUILD_STEP)).build_step
    for mark in BUILD_STEP:
        others = {key: value for key, value in BUILD_STEP.items() if key != mark}
        assert not parse_inspected(inspected(**others)).build_step, mark


def test_name_that_could_not_be_used_gives_way_to_the_id() -> None:
    """A name becomes part of paths."""
    assert parse_inspected(inspected(Name="/../../etc")).name == ID[:12]


@pytest.mark.parametrize(
    "changes",
    [
        {"Id": "../x"}, {"Id": 7}, {"HostConfig": {}}, {"State": None}, {"Config": "x"},
        {"HostConfig__NetworkMode": None}, {"State": {"Pid": "many"}}, {"Config__Labels": ["x"]},
    ],
)  # fmt: skip
def test_nonsense_is_one_clear_error(changes: dict[str, Any]) -> None:
    """An engine that answers something else is said to."""
    with pytest.raises(SystemFailure, match="cannot read a container: it is not as the Docker API"):
        parse_inspected(inspected(**changes))


def test_listed_container_tells_neither_pid_nor_ports() -> None:
    """`GET /containers/json`, 1.41."""
    container = parse_listed(
        {
            "Id": ID,
            "Names": ["/web", "/other/web"],
            "ImageID": "sha256:5884",
            "Labels": {"a": "b"},
            "State": "paused",
            "HostConfig": {"NetworkMode": "none"},
            "NetworkSettings": {"Networks": {"none": {}}},
        }
    )
    assert container == ObservedContainer(
        ID, "web", "none", networks=("none",), labels=(("a", "b"),), image="sha256:5884",
        running=True, whole=False,
    )  # fmt: skip


def test_list_that_is_none_is_one_clear_error() -> None:
    """An item without an id is nobody's."""
    with pytest.raises(SystemFailure, match="cannot read a list of containers"):
        parse_listed({"HostConfig": {}})


def test_list_of_podman_does_not_tell_the_mode() -> None:
    """There is no HostConfig in it; the container has to be inspected."""
    container = parse_listed(
        {"Id": ID, "Names": ["/web"], "State": "running", "NetworkSettings": None}
    )
    assert (container.mode, container.running) == (UNTOLD, True)


def test_container_event_is_read() -> None:
    """Type, Action and Actor alone; the legacy keys are gone from API 1.52 on."""
    document = {
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": ID, "Attributes": {"name": "web"}},
    }
    assert parse_event(document) == Event("start", ID)


@pytest.mark.parametrize(("theirs", "ours"), [("remove", "destroy"), ("died", "die")])
def test_words_of_podman_are_translated(theirs: str, ours: str) -> None:
    """One word for one act."""
    event = parse_event({"Type": "container", "Action": theirs, "Actor": {"ID": ID}})
    assert event == Event(ours, ID)


def test_network_event_is_about_its_container() -> None:
    """The actor is the network; the container is among the attributes."""
    attributes = {"container": ID, "name": "none", "type": "null"}
    document = {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": "b86", "Attributes": attributes},
    }
    assert parse_event(document) == Event("connect", ID, network="none")


@pytest.mark.parametrize(
    "document",
    [
        {}, {"status": "start", "id": ID}, {"Type": "image", "Action": "tag", "Actor": {"ID": "x"}},
        {"Type": "container", "Action": "start", "Actor": {"ID": "../../x"}},
        {"Type": "container", "Action": "start", "Actor": {}},
        {"Type": "network", "Action": "create", "Actor": {"ID": "b86"}},
        {"Type": "network", "Action": "connect", "Actor": {"ID": "b86", "Attributes": []}},
    ],
)  # fmt: skip
def test_odd_event_is_passed_over(document: dict[str, Any]) -> None:
    """Reconciling puts right what an event did not tell."""
    assert parse_event(document) is None

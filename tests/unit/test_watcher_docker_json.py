"""What engines tell is read into values, whatever is odd about it."""

from __future__ import annotations

from typing import Any

import pytest

from ocinet.base.errors import SystemFailure
from ocinet.watcher.docker_json import (
    exposed_ports,
    parse_event,
    parse_inspected,
    parse_listed,
    split_documents,
)
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
            "CgroupParent": "/ci/jobs",
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
    assert parse_inspected(inspected(), podman=False) == ObservedContainer(
        id=ID,
        name="web",
        mode="none",
        networks=("none",),
        labels=(("ocinet.net", "lan"),),
        image="sha256:5884",
        bindings={"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        listens=("80/tcp",),
        cgroup_parent="/ci/jobs",
        pid=4711,
        running=True,
    )


def test_infra_container_of_a_pod_is_known() -> None:
    """podman says which one keeps the pod's sandbox."""
    for said in (True, False):
        assert parse_inspected({**inspected(), "IsInfra": said}, podman=True).infra is said


def test_ports_that_are_all_to_be_published_are_the_exposed_ones() -> None:
    """`docker run -P`."""
    container = parse_inspected(inspected(HostConfig__PublishAllPorts=True), podman=False)
    assert container.exposed == ("80/tcp",)
    assert parse_inspected(inspected(), podman=False).listens == ("80/tcp",)


def test_cdi_devices_are_read() -> None:
    """Docker has container them among the device requests since version 25; GPUs are there, too."""
    requests = [
        {"Driver": "cdi", "DeviceIDs": ["ocinet.dev/net=lan"]},
        {"Driver": "", "Count": -1, "DeviceIDs": None},
    ]
    container = parse_inspected(inspected(HostConfig__DeviceRequests=requests), podman=False)
    assert container.devices == ("ocinet.dev/net=lan",)


def test_annotations_of_podman_count_as_labels_do() -> None:
    """Podman's own inspect shows them beside the labels."""
    shown = inspected(Config__Annotations={"ocinet.ip": "10.0.0.5"})
    container = parse_inspected(shown, podman=True)
    assert container.labels == (("ocinet.net", "lan"), ("ocinet.ip", "10.0.0.5"))


def test_annotations_of_docker_are_their_users() -> None:
    """No image can give them; what a label says as well, they say for sure."""
    container = parse_inspected(
        inspected(HostConfig__Annotations={"ocinet.net": "dmz"}), podman=False
    )
    assert container.labels == (("ocinet.net", "lan"),)
    assert container.told == (("ocinet.net", "dmz"),)
    podmans = parse_inspected(inspected(HostConfig__Annotations={"ocinet.net": "dmz"}), podman=True)
    assert podmans.told == (), "those of its image are among them"


def test_shared_sandbox_names_its_owner() -> None:
    """`--network container:X`."""
    container = parse_inspected(inspected(HostConfig__NetworkMode="container:feed"), podman=False)
    assert (container.mode, container.target) == ("container", "feed")


def test_manifest_of_the_platform_that_runs_is_read() -> None:
    """Docker tells it of images in containerd's store, since API 1.48."""
    told = {"ImageManifestDescriptor": {"digest": "sha256:77", "size": 405}}
    assert parse_inspected(inspected(**told), podman=False).manifest == "sha256:77"
    listed = {"Id": ID, "Names": ["/web"], "HostConfig": {"NetworkMode": "none"}}
    assert parse_listed({**listed, **told}).manifest == "sha256:77"
    assert parse_listed({**listed, "ImageManifestDescriptor": None}).manifest == ""


BUILD_STEP = {
    "HostConfig__LogConfig": {"Type": "none"},
    "HostConfig__RestartPolicy": {"Name": "no"},
    "HostConfig__PortBindings": None,
    "Config__Healthcheck": {"Test": ["NONE"]},
    "Config__Image": "sha256:5884",
}


def test_build_step_is_told_by_all_its_marks() -> None:
    """The classic builder's containers; one mark less, and it is somebody's own."""
    assert parse_inspected(inspected(**BUILD_STEP), podman=False).build_step
    early = {**BUILD_STEP, "HostConfig__RestartPolicy": {"Name": ""}}  # Docker 20.10
    assert parse_inspected(inspected(**early), podman=False).build_step
    for mark in BUILD_STEP:
        others = {key: value for key, value in BUILD_STEP.items() if key != mark}
        assert not parse_inspected(inspected(**others), podman=False).build_step, mark


def test_name_that_could_not_be_used_gives_way_to_the_id() -> None:
    """A name becomes part of paths."""
    assert parse_inspected(inspected(Name="/../../etc"), podman=False).name == ID[:12]


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
        parse_inspected(inspected(**changes), podman=False)


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


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ('{"a": 1}\n{"b": "}\\n{"}\n', [{"a": 1}, {"b": "}\n{"}]),
        ('{"a": 1}{"b": [{"c": 2}]}', [{"a": 1}, {"b": [{"c": 2}]}]),
        ('\r\n{"a": "ü"}\r\n \n{"b": 2}', [{"a": "ü"}, {"b": 2}]),
        ('{"a": \n{"b": 2}\n', [{"b": 2}]),
        ('{"cut off": {"a\n{"b": 2}', [{"b": 2}]),
        ("<html>502 Bad Gateway</html>\n[1]\n", [[1]]),
        ('{"never": "ends', []),
        ("", []),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_documents_of_a_stream_are_told_apart(text: str, documents: list[Any], size: int) -> None:
    """With line feeds or without, wherever the stream is cut; what is none is passed over."""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(split_documents(parts)) == documents


def test_documents_come_as_soon_as_they_are_whole() -> None:
    """Nothing waits for what comes after it."""
    parts = iter(['{"a": 1}', '{"b"', ": 2}"])
    told = split_documents(parts)
    assert next(told) == {"a": 1}
    assert next(parts) == '{"b"'


def test_stream_that_never_makes_sense_fills_no_memory() -> None:
    """After a megabyte of nothing, what comes next is read again."""
    parts = ['{"', *["x" * 100_000] * 11, '{"a": 1}']
    assert list(split_documents(parts)) == [{"a": 1}]


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


def test_exposed_ports_are_the_containers_and_the_images() -> None:
    """Each once."""
    container: dict[str, Any] = {"Config": {"ExposedPorts": {"81/tcp": {}, "80/tcp": {}}}}
    image: dict[str, Any] = {"Config": {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}}

    assert exposed_ports(container, image) == ("81/tcp", "80/tcp", "53/udp")
    assert exposed_ports({"Config": None}, {}) == ()
    with pytest.raises(SystemFailure, match="not as the Docker API has it"):
        exposed_ports({"Config": 7})

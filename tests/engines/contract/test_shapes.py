"""What engines show of a container, asked for it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from fakes.engine_api import FakeDocker, Refused
from hosts.engine.driven import BAD_COMMAND, DOCKERS, NOW_AND_THEN, PODMANS, Fake
from hosts.engine.driven_real import RealDocker
from hosts.engine.told import PATIENCE_S, Told, client_of, item_of, runs, state_of, word_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hosts.engine.driven import Driven
    from hosts.engine.told import Document

pytestmark = pytest.mark.usefixtures("machine_unchanged")
ONLY_DOCKER = pytest.mark.parametrize("shared_engine", DOCKERS, indirect=True, scope="module")
ONLY_PODMAN = pytest.mark.parametrize("shared_engine", PODMANS, indirect=True, scope="module")
_LABELS = {"color": "blue"}


def test_inspect_and_list_follow_a_life(engine: Driven, api: Any) -> None:
    """Status, flags and pid are those of the engine in every state.

    Podman 5 calls it stopped what was not cleaned up yet: some 100 ms, or none.
    """
    container = engine.create("web")
    seen = [(state_of(api, container), item_of(api, container)["State"])]
    for act in ("start", "pause", "unpause", "kill"):
        engine.act(act, container)
        seen.append((state_of(api, container), item_of(api, container)["State"]))
    if engine.kind == "podman" and engine.podman.stopped_in:
        wait_until(lambda: item_of(api, container)["State"] == "exited", "the cleanup")
        seen[-1] = (state_of(api, container), item_of(api, container)["State"])
    assert seen == [
        (("created", False, False, False, 0), "created"),
        (("running", True, False, False, 1), "running"),
        (("paused", True, True, False, 1), "paused"),
        (("running", True, False, False, 1), "running"),
        (("exited", False, False, False, 0), "exited"),
    ]
    assert api.inspect_container(container)["State"]["ExitCode"] == 137


def _inspected(engine: Driven, api: Any, container: str) -> Document:
    """Return what the watcher has the engine show: podman in its own shape."""
    if engine.kind == "docker":
        shown = api.inspect_container(container)
    else:
        response = api.get(f"{api.base_url}/v4.0.0/libpod/containers/{container}/json")
        response.raise_for_status()
        shown = response.json()
    document: Document = shown
    return document


@ONLY_DOCKER
def test_what_waits_for_its_restart_is_shown_running_without_a_process(engine: Driven) -> None:
    """So it is the pid that tells whether a container runs."""
    container = engine.create("web", restart="always")
    engine.act("start", container)
    assert engine.state_between_lives(container) == ("restarting", True, False, True, 0)


def test_names_are_spelled_as_the_engine_spells_them(engine: Driven, api: Any) -> None:
    """Docker's shapes have a slash before names, and podman's own one has none."""
    container = engine.create("web")
    assert api.inspect_container(container)["Name"] == "/web"
    assert item_of(api, container)["Names"] == ["/web"]
    assert _inspected(engine, api, container)["Name"] == (
        "/web" if engine.kind == "docker" else "web"
    )
    assert api.inspect_container("web")["Id"] == container
    assert api.inspect_container(container[:12])["Id"] == container


def test_docker_keeps_the_ports_of_a_container_without_a_network(engine: Driven, api: Any) -> None:
    """Docker keeps what shall be published though nothing is; podman discards the binding.

    Podman 5 keeps the container's port alone, and the wish for all.
    """
    bindings = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    bound = _inspected(engine, api, engine.create("bound", port_bindings=bindings))
    every = _inspected(engine, api, engine.create("all", publish_all=True, exposed=("53/udp",)))
    none = _inspected(engine, api, engine.create("none"))
    host, config = bound["HostConfig"], every["Config"]
    if engine.kind == "docker":
        assert host["PortBindings"] == bindings
        assert bound["Config"]["ExposedPorts"] == {"80/tcp": {}}
        assert config["ExposedPorts"] == {"53/udp": {}}
        assert none["HostConfig"]["PortBindings"] is None
    else:
        assert host["PortBindings"] == none["HostConfig"]["PortBindings"] == {}
        assert "ExposedPorts" not in config
    keeps = engine.kind == "podman" and engine.podman.keeps_ports
    assert every["HostConfig"]["PublishAllPorts"] is (engine.kind == "docker" or keeps)
    assert none["HostConfig"]["PublishAllPorts"] is False
    assert "ExposedPorts" not in none["Config"]
    assert bound["NetworkSettings"]["Ports"] == ({"80/tcp": None} if keeps else {})
    assert every["NetworkSettings"]["Ports"] == {}


def test_host_config_is_the_engines(engine: Driven, api: Any) -> None:
    """What a container was given is told, and what the engine adds, as it adds it."""
    host = _inspected(engine, api, engine.create("web"))["HostConfig"]
    own = _inspected(engine, api, engine.create("own", cgroup_parent="/engine-contract"))
    loud = _inspected(engine, api, engine.create("loud", log_driver="none"))
    assert host["NetworkMode"] == "none"
    assert host["AutoRemove"] is False
    assert own["HostConfig"]["CgroupParent"] == "/engine-contract"
    unasked = (engine.docker if engine.kind == "docker" else engine.podman).restart
    assert host["RestartPolicy"] == {"Name": unasked, "MaximumRetryCount": 0}
    if engine.kind == "docker":
        assert host["CgroupParent"] == ""
        assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
        assert loud["HostConfig"]["LogConfig"]["Type"] == "none"
        assert host["Runtime"] == "runc"
    else:
        compat = api.inspect_container("web")["HostConfig"]
        assert compat["LogConfig"] == {"Type": "json-file", "Config": None}
        assert compat["Runtime"] == "oci"
        assert host["LogConfig"]["Type"] == "k8s-file"


@ONLY_DOCKER
def test_devices_are_kept_as_they_were_asked_for(engine: Driven, api: Any) -> None:
    """CDI devices are among the device requests, whether Docker knows CDI or not."""
    asked = engine.create("web", devices=("ocinet.dev/net=bridge",))
    (request,) = api.inspect_container(asked)["HostConfig"]["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["ocinet.dev/net=bridge"])
    plain = engine.create("plain")
    assert api.inspect_container(plain)["HostConfig"]["DeviceRequests"] is None


def test_an_images_labels_become_the_containers(engine: Driven, api: Any) -> None:
    """They are merged into its own, which win, and the image itself shows them."""
    engine.add_image("labelled", {"color": "red", "size": "xl"})
    container = engine.create("web", image="labelled", labels=_LABELS)
    shown, listed = _inspected(engine, api, container), item_of(api, container)
    assert shown["Config"]["Labels"] == listed["Labels"] == {"color": "blue", "size": "xl"}
    name = "labelled" if engine.kind == "docker" else "localhost/labelled:latest"
    assert shown["Config"]["Image"] == listed["Image"] == name
    image = api.inspect_image(listed["ImageID"])
    assert image["Config"]["Labels"] == {"color": "red", "size": "xl"}
    assert image["Id"] == listed["ImageID"] == api.inspect_container(container)["Image"]
    if engine.kind == "docker":
        assert shown["Image"] == image["Id"]
    else:
        own = api.get(f"{api.base_url}/v4.0.0/libpod/images/{shown['Image']}/json").json()
        assert image["Id"] == f"sha256:{shown['Image']}" == f"sha256:{own['Id']}"
        assert own["Labels"] == own["Config"]["Labels"] == {"color": "red", "size": "xl"}
        assert own["Annotations"] == {}
    without = engine.create("plain")
    assert _inspected(engine, api, without)["Config"]["Labels"] in ({}, None)
    assert item_of(api, without)["Labels"] == {}


def test_networks_are_shown_as_the_engine_has_them(engine: Driven, api: Any) -> None:
    """Docker shows none and host as networks, in lists too; podman's lists tell no mode."""
    modes = ("none", "host", "bridge", "container:web")
    names = ("web", "host", "bridge", "member")
    seen = {}
    for name, mode in zip(names, modes, strict=True):
        container = engine.create(name, network_mode=mode)
        engine.act("start", container)
        shown = api.inspect_container(container)
        listed = item_of(api, container)
        seen[name] = (
            shown["HostConfig"]["NetworkMode"],
            sorted(shown["NetworkSettings"]["Networks"] or ()),
            listed.get("HostConfig"),
            sorted(listed["NetworkSettings"]["Networks"] or ()),
            bool(shown["NetworkSettings"]["SandboxKey"]),
        )
        engine.act("stop", container) if name in ("host", "bridge") else None
    shared = f"container:{api.inspect_container('web')['Id']}"
    if engine.kind == "docker":
        assert seen == {
            "web": ("none", ["none"], {"NetworkMode": "none"}, ["none"], True),
            "host": ("host", ["host"], {"NetworkMode": "host"}, ["host"], True),
            "bridge": ("bridge", ["bridge"], {"NetworkMode": "bridge"}, ["bridge"], True),
            "member": (shared, [], {"NetworkMode": shared}, [], False),
        }
    elif engine.podman.shows_none:
        assert seen == {
            "web": ("none", ["none"], None, ["none"], True),
            "host": ("host", ["host"], None, ["host"], False),
            "bridge": ("bridge", ["podman"], None, ["podman"], True),
            "member": (shared, ["none"], None, ["none"], True),
        }
    else:
        assert seen == {
            "web": ("none", [], None, [], False),
            "host": ("host", [], None, [], False),
            "bridge": ("bridge", ["podman"], None, ["podman"], True),
            "member": (shared, [], None, [], False),
        }


@ONLY_DOCKER
def test_docker_fills_in_an_endpoint_while_a_container_runs(engine: Driven, api: Any) -> None:
    """Its ids come with the start; the network's stays after the end, and so in the list."""
    container = engine.create("web")
    seen = []
    for act in ("", "start", "kill"):
        if act:
            engine.act(act, container)
        for shown in (api.inspect_container(container), item_of(api, container)):
            endpoint = shown["NetworkSettings"]["Networks"]["none"]
            seen.append((bool(endpoint["NetworkID"]), bool(endpoint["EndpointID"])))
    assert seen == [(False, False)] * 2 + [(True, True)] * 2 + [(True, False)] * 2


@ONLY_DOCKER
def test_docker_lists_the_addresses_that_it_gave_out(engine: Driven, api: Any) -> None:
    """A network's inspect has its members' addresses, its list has no members."""
    container = engine.create("web", network_mode="bridge")
    engine.act("start", container)
    (listed,) = api.networks(filters={"driver": "bridge"})
    assert listed["Options"]["com.docker.network.bridge.name"] == "docker0"
    assert listed["Options"]["com.docker.network.bridge.default_bridge"] == "true"
    assert listed["Containers"] == {}
    shown = api.inspect_network(listed["Id"])["Containers"][container]
    address = api.inspect_container(container)["NetworkSettings"]["Networks"]["bridge"]
    assert shown["Name"] == "web"
    assert shown["IPv4Address"] == f"{address['IPAddress']}/{address['IPPrefixLen']}"
    assert address["IPAddress"].startswith("172.17.0.")
    assert shown["EndpointID"] == address["EndpointID"]


def test_a_failed_start_leaves_a_created_container(engine: Driven, api: Any) -> None:
    """It is as if it had not been started, but for what Docker notes of the failure."""
    container = engine.create("web", command=BAD_COMMAND)
    engine.act("fail", container)
    assert state_of(api, container) == ("created", False, False, False, 0)
    assert item_of(api, container)["State"] == "created"
    state = api.inspect_container(container)["State"]
    if engine.kind == "docker":
        assert state["ExitCode"] == 127
        assert state["Error"].startswith(engine.docker.start_error)
        endpoint = item_of(api, container)["NetworkSettings"]["Networks"]["none"]
        kept = (api.inspect_container(container)["NetworkSettings"]["SandboxKey"],
                endpoint["NetworkID"], endpoint["EndpointID"])  # fmt: skip
        assert all(kept) if not engine.docker.connects_late else not any(kept)
    else:
        assert state["ExitCode"] == 0
        assert ("attempted to invoke a command" in state["Error"]) == (
            engine.podman.keeps_start_error
        )


def test_what_there_is_not_is_404(engine: Driven, api: Any) -> None:
    """Unknown containers, images and networks are told apart from everything else."""
    asked: dict[str, Callable[[], object]] = {
        "No such container: nope": lambda: api.inspect_container("nope"),
        "no image": lambda: api.inspect_image("nope"),
        "network nope not found": lambda: api.inspect_network("nope"),
    }
    podman = (
        'no container with name or ID "nope" found: no such container',
        "failed to find image nope: docker.io/library/nope: No such image",
        "unable to find network with name or ID nope: network not found",
    )
    for (docker, ask), other in zip(asked.items(), podman, strict=True):
        with pytest.raises(NotFound) as raised:
            ask()
        assert raised.value.status_code == 404
        if engine.kind == "docker":
            no_image = engine.docker.no_image.format("nope")
            assert raised.value.explanation == docker.replace("no image", no_image)
        else:
            assert raised.value.explanation == other
    assert api.containers(all=True, filters={"id": ["0123456789ab"]}) == []


def test_refusals_tell_why_by_their_status(engine: Driven) -> None:
    """What can't be done in a container's state is refused, and tells nothing."""
    engine.create("web")
    engine.create("member", network_mode="container:web")
    refused: list[tuple[str, Callable[[], object]]] = [
        ("kill", lambda: engine.act("kill", "web")),
        ("pause", lambda: engine.act("pause", "web")),
        ("create", lambda: engine.create("web")),
        ("image", lambda: engine.create("shop", image="nope")),
        ("remove", lambda: engine.act("remove", "member")),
    ]
    engine.act("start", "web")
    engine.act("start", "member")
    engine.act("kill", "web")
    statuses = {}
    with Told(engine) as told:
        for name, act in refused:
            with pytest.raises(Refused) as raised:
                act()
            statuses[name] = raised.value.status
        last = engine.create("last")
        told.wait_for(last, "create")
        words = [word_of(event) for event in told.events]
        # Podman may be about to tell of the death that came before.
        late = (*NOW_AND_THEN, "die")
        assert [word for word in words if word not in late] == ["create"]
    improper = 409 if engine.kind == "docker" else 500
    kill = engine.podman.kill_conflict if engine.kind == "podman" else improper
    assert statuses == dict.fromkeys(statuses, improper) | {"image": 404, "kill": kill}
    assert len(statuses) == len(refused)
    if engine.kind == "docker":
        engine.act("kill", "member")
        with pytest.raises(Refused) as raised:
            engine.act("start", "member")
        assert raised.value.status == 409
        with pytest.raises(Refused) as raised:
            engine.act("connect", "last", "bridge")
        assert raised.value.status == 400


@ONLY_PODMAN
def test_podman_starts_the_owner_of_a_members_sandbox(engine: Driven, api: Any) -> None:
    """A member whose owner has stopped is refused by Docker; podman starts both."""
    owner = engine.create("web")
    member = engine.create("member", network_mode="container:web")
    engine.act("start", owner)
    engine.act("kill", owner)
    engine.act("start", member)
    assert runs(api, owner)
    assert runs(api, member)
    with pytest.raises(Refused) as raised:
        engine.act("rm_f", owner)
    assert raised.value.status == 500
    engine.act("rm_f", member)


def test_a_start_blocks_inspect_and_podmans_list(engine: Driven, api: Any) -> None:
    """Docker's list goes on while a container starts; all else waits until it has."""
    container = engine.create("web")
    finished: list[str] = []

    def ask(name: str, work: Callable[[Any], Document]) -> None:
        with contextlib.closing(client_of(engine)) as client:
            shown = work(client)
            state = shown["State"]
            finished.append(name)
            told[name] = state if isinstance(state, str) else state["Status"]

    told: dict[str, str] = {}
    asks: list[tuple[str, Callable[[Any], Document]]] = [
        ("inspect", lambda client: client.inspect_container(container)),
        ("list", lambda client: item_of(client, container)),
    ]
    threads = [threading.Thread(target=ask, args=question) for question in asks]
    with engine.starting(container):
        for thread in threads:
            thread.start()
        if engine.kind == "docker":
            wait_until(lambda: finished[:1] == ["list"], "the list", timeout_s=PATIENCE_S)
        else:
            time.sleep(0.2)  # what is shown is that nothing happens
            assert finished == []
    for thread in threads:
        thread.join(PATIENCE_S)
    assert told["inspect"] == "running"
    assert told["list"] == ("created" if engine.kind == "docker" else "running")


@ONLY_DOCKER
def test_docker_shows_a_build_step_by_five_marks(engine: Driven, api: Any) -> None:
    """No log, no health check, no word on ports and restarts, and an image by its id."""
    with building(engine, api) as step:
        shown = api.inspect_container(step)
        listed = item_of(api, step)
    assert shown["HostConfig"]["LogConfig"]["Type"] == "none"
    assert shown["HostConfig"]["NetworkMode"] == "none"
    assert shown["HostConfig"]["PortBindings"] is None
    assert shown["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    assert shown["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert shown["Config"]["Image"] == shown["Image"] == listed["Image"] == listed["ImageID"]
    assert shown["Image"].startswith("sha256:")


@contextlib.contextmanager
def building(engine: Driven, api: Any) -> Iterator[str]:
    """Have a step of an image's build, running; gives its id."""
    if isinstance(engine, Fake):
        assert isinstance(engine.engine, FakeDocker)
        step = engine.engine.create_build_step()
        step.start()
        yield step.id
        return
    assert isinstance(engine, RealDocker)
    context = engine.lab.path("/run/lab/context")
    context.mkdir()
    (context / "Dockerfile").write_text("FROM busybox\nRUN sleep 1000\n")
    build = engine.lab.start(
        "env", "DOCKER_BUILDKIT=0", "docker", "build", "--network=none", "/run/lab/context"
    )
    with build:
        wait_until(lambda: api.containers(), "a step of the build", timeout_s=PATIENCE_S)
        yield api.containers()[0]["Id"]

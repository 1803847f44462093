"""What podman's service answers: in Docker's shapes, and in those of its own API.

Keys that neither the watcher nor docker-py has a use for are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fakes.engine_api import docker_shapes
from fakes.engine_api.queries import spell_time
from fakes.engine_api.values import NONE, Endpoint, Network

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.engine_api.container import FakeContainer
    from fakes.engine_api.podman import FakePodman, PodmanContainer
    from fakes.engine_api.values import Image
    from fakes.engine_api.versions import PodmanVersion

_COMPAT_NAMES = {"podman": "bridge"}
_STORAGE = "/var/lib/containers/storage/overlay-containers"


def version(says: PodmanVersion) -> dict[str, Any]:
    """Return `GET /version`."""
    details = {"APIVersion": says.version}
    engine = {"Name": "Podman Engine", "Version": says.version, "Details": details}
    return {
        "Platform": {"Name": "linux/amd64/debian-12"},
        "Components": [engine, {"Name": "Conmon", "Version": "2.1.6", "Details": {}}],
        "Version": says.version,
        "ApiVersion": says.api,
        "MinAPIVersion": "1.24",
        "Os": "linux",
        "Arch": "amd64",
    }


def info(engine: FakePodman) -> dict[str, Any]:
    """Return `GET /info`."""
    return docker_shapes.counts(engine) | {
        "ID": "fake",
        "Driver": "overlay",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "1",
        "DockerRootDir": "/var/lib/containers/storage",
        "DefaultRuntime": "runc",
        "Runtimes": {"crun": {"path": "/usr/bin/crun"}, "runc": {"path": "/usr/bin/runc"}},
        "LiveRestoreEnabled": False,
        "ServerVersion": engine.says.version,
    }


def image(shown: Image) -> dict[str, Any]:
    """Return `GET /images/NAME/json`."""
    return docker_shapes.image(shown) | {"RepoTags": [f"localhost/{shown.name}:latest"]}


def libpod_image(shown: Image) -> dict[str, Any]:
    """Return `GET /libpod/images/NAME/json`."""
    labels = dict(shown.labels) or None
    return {
        "Id": shown.id,
        "RepoTags": [f"localhost/{shown.name}:latest"],
        "Config": {"Labels": labels} if labels else {},
        "Labels": labels,
        "Annotations": dict(shown.annotations),
        "ManifestType": "application/vnd.oci.image.manifest.v1+json",
    }


def network(shown: Network, containers: Iterable[FakeContainer]) -> dict[str, Any]:
    """Return `GET /networks/ID`; podman's default network is shown by Docker's name."""
    document = docker_shapes.network(shown, containers)
    return document | {"Name": _COMPAT_NAMES.get(shown.name, shown.name), "Options": {}}


def listed(container: PodmanContainer) -> dict[str, Any]:
    """Return an item of `GET /containers/json`, which tells no mode."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image_name,
        "ImageID": f"sha256:{container.image.id}",
        "Command": " ".join(container.spec.command),
        "Created": container.created_ns // 10**9,
        "Ports": [],
        "Labels": container.labels,
        "State": _status(container, "list"),
        "Status": container.status.capitalize(),
        "NetworkSettings": {"Networks": _networks(container) or None},
        "Mounts": [],
        "Name": "",
        "Config": None,
        "NetworkingConfig": None,
        "Platform": None,
        "AdjustCPUShares": False,
    }


def inspected(container: PodmanContainer) -> dict[str, Any]:
    """Return `GET /containers/ID/json`."""
    spec = container.spec
    host = _host_config(container)
    return {
        "Id": container.id,
        "Created": spell_time(container.created_ns),
        "Path": spec.command[0],
        "Args": list(spec.command[1:]),
        "State": _state(container),
        "Image": f"sha256:{container.image.id}",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": host | {"LogConfig": {"Type": "json-file", "Config": None}, "Runtime": "oci"},
        "Mounts": [],
        "Config": _config(container),
        "NetworkSettings": {
            "SandboxID": "",
            "SandboxKey": _sandbox_key(container),
            "Ports": dict.fromkeys(_kept_ports(container)),
            "Networks": _networks(container),
        },
    }


def libpod_inspected(container: PodmanContainer) -> dict[str, Any]:
    """Return `GET /libpod/containers/ID/json`."""
    spec = container.spec
    document: dict[str, Any] = {
        "Id": container.id,
        "Created": spell_time(container.created_ns),
        "Path": spec.command[0],
        "Args": list(spec.command[1:]),
        "State": _state(container) | {"OciVersion": "1.0.2-dev"},
        "Image": container.image.id,
        "ImageName": container.image_name,
        "Pod": spec.pod,
        "StaticDir": f"{_STORAGE}/{container.id}/userdata",
        "OCIRuntime": spec.runtime,
        "Name": container.name,
        "RestartCount": container.restart_count,
        "Driver": "overlay",
        "Dependencies": [container.shared_with] if container.shared_with else [],
        "NetworkSettings": {
            "SandboxID": "",
            "SandboxKey": _sandbox_key(container),
            "Ports": dict.fromkeys(_kept_ports(container)),
        },
        "IsInfra": spec.infra,
        "IsService": False,
        "Config": _config(container) | {"Annotations": _annotations(container)},
        "HostConfig": _host_config(container) | {"LogConfig": {"Type": "k8s-file", "Config": None}},
    }
    networks = _networks(container)
    if networks:
        document["NetworkSettings"]["Networks"] = networks
    if container.was_started:
        document["OCIConfigPath"] = f"{_STORAGE}/{container.id}/userdata/config.json"
        document["State"]["CgroupPath"] = f"{spec.cgroup_parent}/libpod-{container.id}"
    return document


def _annotations(container: PodmanContainer) -> dict[str, str]:
    return {
        "io.container.manager": "libpod",
        "io.podman.annotations.publish-all": "FALSE",
        **container.image.annotations,
        **container.spec.annotations,
    }


def _host_config(container: PodmanContainer) -> dict[str, Any]:
    spec = container.spec
    says = container.engine.says
    alone = not container.endpoints  # ports are discarded then
    return {
        "NetworkMode": container.mode,
        "PortBindings": {} if alone else dict(spec.port_bindings or {}),
        "RestartPolicy": {
            "Name": spec.restart or says.restart,
            "MaximumRetryCount": spec.restarts_max,
        },
        "AutoRemove": spec.auto_remove,
        "PidMode": "private",
        "Privileged": False,
        "PublishAllPorts": spec.publish_all and says.keeps_ports,
        "CgroupParent": spec.cgroup_parent,
    }


def _kept_ports(container: PodmanContainer) -> tuple[str, ...]:
    """Return the ports that it still knows of a container without a network."""
    return tuple(container.spec.port_bindings or ()) if container.engine.says.keeps_ports else ()


def _config(container: PodmanContainer) -> dict[str, Any]:
    ports = _kept_ports(container)
    exposed: dict[str, Any] = {"ExposedPorts": {port: {} for port in ports}} if ports else {}
    return exposed | {
        "Hostname": container.id[:12],
        "Cmd": list(container.spec.command),
        "Image": container.image_name,
        "Labels": container.labels,
    }


def _status(container: PodmanContainer, where: str) -> str:
    """Return a container's state as the list or inspect shows it."""
    is_stopped = container.status == "exited" and not container.is_cleaned_up
    return (
        "stopped" if is_stopped and where in container.engine.says.stopped_in else container.status
    )


def _state(container: PodmanContainer) -> dict[str, Any]:
    return docker_shapes.state(container) | {"Status": _status(container, "inspect")}


def _owner(container: PodmanContainer) -> PodmanContainer:
    """Return whose network is shown: since 5, of a member's its owner's."""
    owner = container.owner if container.engine.says.shows_none else None
    return cast("PodmanContainer", owner) if owner else container


def _sandbox_key(container: PodmanContainer) -> str:
    shown = _owner(container)
    if not shown.runs:
        return ""
    if shown.endpoints:
        return f"/run/netns/netns-{shown.id[:12]}"
    has_own = shown.engine.says.shows_none and shown.spec.network_mode == NONE
    return f"/proc/{shown.pid}/ns/net" if has_own else ""


def _networks(container: PodmanContainer) -> dict[str, Any]:
    container = _owner(container)
    if container.engine.says.shows_none and not container.endpoints and not container.shared_with:
        alone = Network(container.spec.network_mode, "null")
        return {alone.name: docker_shapes.endpoint(Endpoint(alone)) | {"NetworkID": alone.name}}
    return {
        name: docker_shapes.endpoint(endpoint) | {"NetworkID": name, "EndpointID": ""}
        for name, endpoint in container.endpoints.items()
    }

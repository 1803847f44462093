"""What podman 4.3's service answers: in Docker's shapes, and in those of its own API.

Keys that neither the watcher nor docker-py has a use for are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.engine_api import docker_shapes
from fakes.engine_api.queries import spell_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.engine_api.container import FakeContainer
    from fakes.engine_api.podman import FakePodman, PodmanContainer
    from fakes.engine_api.values import Image, Network

API = "1.41"
VERSION = "4.3.1"
_COMPAT_NAMES = {"podman": "bridge"}
_STORAGE = "/var/lib/containers/storage/overlay-containers"


def version() -> dict[str, Any]:
    """Return `GET /version`."""
    engine = {"Name": "Podman Engine", "Version": VERSION, "Details": {"APIVersion": VERSION}}
    return {
        "Platform": {"Name": "linux/amd64/debian-12"},
        "Components": [engine, {"Name": "Conmon", "Version": "2.1.6", "Details": {}}],
        "Version": VERSION,
        "ApiVersion": API,
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
        "ServerVersion": VERSION,
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
        "State": container.status,
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
        "State": docker_shapes.state(container),
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
            "Ports": {},
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
        "State": docker_shapes.state(container) | {"OciVersion": "1.0.2-dev"},
        "Image": container.image.id,
        "ImageName": container.image_name,
        "Pod": spec.pod,
        "StaticDir": f"{_STORAGE}/{container.id}/userdata",
        "OCIRuntime": spec.runtime,
        "Name": container.name,
        "RestartCount": container.restart_count,
        "Driver": "overlay",
        "Dependencies": [container.shared_with] if container.shared_with else [],
        "NetworkSettings": {"SandboxID": "", "SandboxKey": _sandbox_key(container), "Ports": {}},
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
    alone = not container.endpoints  # ports are discarded then
    return {
        "NetworkMode": container.mode,
        "PortBindings": {} if alone else dict(spec.port_bindings or {}),
        "RestartPolicy": {"Name": spec.restart, "MaximumRetryCount": spec.restarts_max},
        "AutoRemove": spec.auto_remove,
        "PidMode": "private",
        "Privileged": False,
        "PublishAllPorts": False,
        "CgroupParent": spec.cgroup_parent,
    }


def _config(container: PodmanContainer) -> dict[str, Any]:
    return {
        "Hostname": container.id[:12],
        "Cmd": list(container.spec.command),
        "Image": container.image_name,
        "Labels": container.labels,
    }


def _sandbox_key(container: PodmanContainer) -> str:
    there = container.endpoints and container.runs
    return f"/run/netns/netns-{container.id[:12]}" if there else ""


def _networks(container: PodmanContainer) -> dict[str, Any]:
    return {
        name: docker_shapes.endpoint(endpoint) | {"NetworkID": name, "EndpointID": ""}
        for name, endpoint in container.endpoints.items()
    }

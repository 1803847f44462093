"""What dockerd answers, in the Docker Engine API's shapes, version 1.41.

Keys that neither the watcher nor docker-py has a use for are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.engine_api.queries import spell_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.engine_api.container import FakeContainer
    from fakes.engine_api.docker import DockerContainer, FakeDocker
    from fakes.engine_api.engine import FakeEngine
    from fakes.engine_api.values import Endpoint, Image, Network
    from fakes.engine_api.versions import DockerVersion


def version(says: DockerVersion) -> dict[str, Any]:
    """Return `GET /version`."""
    details = {"ApiVersion": says.api}
    engine = {"Name": "Engine", "Version": says.version, "Details": details}
    return {
        "Platform": {"Name": ""},
        "Components": [engine, {"Name": "containerd", "Version": "1.6.20~ds1", "Details": {}}],
        "Version": says.version,
        "ApiVersion": says.api,
        "MinAPIVersion": says.least_api,
        "Os": "linux",
        "Arch": "amd64",
    }


def counts(engine: FakeEngine) -> dict[str, int]:
    """Return what `GET /info` tells of the containers' number."""
    states = [container.status for container in engine.containers.values()]
    return {
        "Containers": len(states),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": states.count("exited") + states.count("created"),
    }


def info(engine: FakeDocker) -> dict[str, Any]:
    """Return `GET /info`."""
    return counts(engine) | {
        "ID": "FAKE:FAKE:FAKE:FAKE",
        "Driver": "overlay2",
        "CgroupDriver": engine.cgroup_driver,
        "CgroupVersion": engine.cgroup_version,
        "DockerRootDir": "/var/lib/docker",
        "DefaultRuntime": "runc",
        "Runtimes": {"runc": {"path": "runc"}},
        "LiveRestoreEnabled": engine.live_restore,
        "ServerVersion": engine.says.version,
    }


def image(shown: Image) -> dict[str, Any]:
    """Return `GET /images/NAME/json`."""
    return {
        "Id": f"sha256:{shown.id}",
        "RepoTags": [f"{shown.name}:latest"],
        "RepoDigests": [],
        "Config": {"Labels": dict(shown.labels) or None},
        "Os": "linux",
    }


def network(shown: Network, containers: Iterable[FakeContainer]) -> dict[str, Any]:
    """Return `GET /networks/ID`, or its item of `GET /networks`, with no containers."""
    config = [{"Subnet": str(shown.subnet)}] if shown.subnet else []
    members = {}
    for container in containers:
        endpoint = container.endpoints.get(shown.name)
        if endpoint and endpoint.id:
            members[container.id] = {
                "Name": container.name,
                "EndpointID": endpoint.id,
                "MacAddress": "",
                "IPv4Address": _with_length(endpoint),
                "IPv6Address": "",
            }
    return {
        "Name": shown.name,
        "Id": shown.id,
        "Scope": "local",
        "Driver": shown.driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": config},
        "Internal": False,
        "Containers": members,
        "Options": dict(shown.options),
        "Labels": {},
    }


def _with_length(endpoint: Endpoint) -> str:
    subnet = endpoint.network.subnet
    return f"{endpoint.address}/{subnet.prefixlen}" if subnet else ""


def listed(container: DockerContainer) -> dict[str, Any]:
    """Return an item of `GET /containers/json`."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.spec.image,
        "ImageID": f"sha256:{container.image.id}",
        "Command": " ".join(container.spec.command),
        "Created": container.created_ns // 10**9,
        "Ports": [],
        "Labels": container.labels,
        "State": container.status,
        "Status": container.status.capitalize(),
        "HostConfig": {"NetworkMode": container.mode},
        "NetworkSettings": {"Networks": _networks(container)},
        "Mounts": [],
    }


def inspected(container: DockerContainer) -> dict[str, Any]:
    """Return `GET /containers/ID/json`."""
    return {
        "Id": container.id,
        "Created": spell_time(container.created_ns),
        "Path": container.spec.command[0],
        "Args": list(container.spec.command[1:]),
        "State": state(container),
        "Image": f"sha256:{container.image.id}",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": _host_config(container),
        "Mounts": [],
        "Config": _config(container),
        "NetworkSettings": _network_settings(container),
    }


def state(container: FakeContainer) -> dict[str, Any]:
    """Return the `State` of an inspected container."""
    restarting = container.status == "restarting"
    return {
        "Status": container.status,
        "Running": container.runs or restarting,
        "Paused": container.status == "paused",
        "Restarting": restarting,
        "OOMKilled": container.oom_killed,
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": spell_time(container.started_ns),
        "FinishedAt": spell_time(container.finished_ns),
    }


def _host_config(container: DockerContainer) -> dict[str, Any]:
    spec = container.spec
    bindings = None if spec.port_bindings is None else dict(spec.port_bindings)
    devices = [device_request(spec.devices)] if spec.devices else None
    restart = container.engine.says.restart
    return {
        "LogConfig": {"Type": spec.log_driver, "Config": {}},
        "NetworkMode": container.mode,
        "PortBindings": bindings,
        "RestartPolicy": {"Name": spec.restart or restart, "MaximumRetryCount": spec.restarts_max},
        "AutoRemove": spec.auto_remove,
        "PidMode": "",
        "Privileged": False,
        "PublishAllPorts": spec.publish_all,
        "Runtime": spec.runtime,
        "CgroupParent": spec.cgroup_parent,
        "Memory": spec.memory,
        "DeviceRequests": devices,
    }


def device_request(devices: Iterable[str]) -> dict[str, Any]:
    """Return an item of `HostConfig.DeviceRequests` for CDI devices."""
    return {
        "Driver": "cdi",
        "Count": 0,
        "DeviceIDs": list(devices),
        "Capabilities": None,
        "Options": None,
    }


def _config(container: DockerContainer) -> dict[str, Any]:
    spec = container.spec
    config: dict[str, Any] = {
        "Hostname": container.id[:12],
        "Cmd": list(spec.command),
        "Image": spec.image,
        "Labels": container.labels,
    }
    ports = (*spec.exposed, *(spec.port_bindings or ()))
    if ports:
        config["ExposedPorts"] = {port: {} for port in sorted(ports)}
    if spec.healthcheck:
        config["Healthcheck"] = dict(spec.healthcheck)
    return config


def _network_settings(container: DockerContainer) -> dict[str, Any]:
    host = container.spec.network_mode == "host"
    key = "default" if host else container.sandbox_id[:12]
    return {
        "SandboxID": container.sandbox_id,
        "SandboxKey": f"/var/run/docker/netns/{key}" if container.sandbox_id else "",
        "Ports": {},
        "Networks": _networks(container),
    }


def _networks(container: DockerContainer) -> dict[str, Any]:
    return {name: endpoint(joined) for name, joined in container.endpoints.items()}


def endpoint(shown: Endpoint) -> dict[str, Any]:
    """Return an item of `NetworkSettings.Networks`."""
    subnet = shown.network.subnet
    there = bool(shown.address and subnet)
    return {
        "NetworkID": shown.network_id,
        "EndpointID": shown.id,
        "Gateway": str(next(subnet.hosts())) if there and subnet else "",
        "IPAddress": shown.address,
        "IPPrefixLen": subnet.prefixlen if there and subnet else 0,
        "MacAddress": "",
    }

"""Images, networks and wishes as a fake engine keeps them, and its refusal."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


NONE, HOST, BRIDGE, DEFAULT = "none", "host", "bridge", "default"
SHARED = "container:"


class Refused(Exception):
    """The engine does not do it.

    Attributes:
        status: of HTTP, as the real engine answers.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def new_id() -> str:
    """Return an id as engines give them: 64 hexadecimal digits."""
    return uuid.uuid4().hex + uuid.uuid4().hex


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        name: as it is asked for.
        labels: Docker merges them into its containers'.
        annotations: of its manifest; podman merges them into its containers'.
        id: without "sha256:".
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=new_id)


@dataclass
class Network:
    """A network of the engine's.

    Attributes:
        driver: null, host or bridge; what network events call its type.
        subnet: whose first address is the bridge's; None without addresses.
    """

    name: str
    driver: str
    subnet: IPv4Network | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=new_id)
    used: set[str] = field(default_factory=set)

    def allocate(self) -> str:
        """Return an address that nobody has, or ""."""
        if self.subnet is None:
            return ""
        hosts = (str(self.subnet[number]) for number in itertools.count(2))
        address = next(host for host in hosts if host not in self.used)
        self.used.add(address)
        return address


@dataclass
class Endpoint:
    """A container's end of a network; without ids while it does not run."""

    network: Network
    network_id: str = ""
    id: str = ""
    address: str = ""

    def up(self) -> None:
        """Make it what a running container has."""
        self.network_id, self.id = self.network.id, new_id()
        self.address = self.network.allocate()

    def down(self) -> None:
        """Make it what a container keeps that has ended."""
        self.network.used.discard(self.address)
        self.id = self.address = ""


@dataclass(frozen=True)
class Spec:
    """What a container is created with; what the CLI and its users leave out.

    Attributes:
        port_bindings: as {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}.
        exposed: as ("80/tcp",).
        restart: no, always, unless-stopped, on-failure; "" as API clients have it.
        restarts_max: with on-failure; 0: no limit.
        memory: limit in bytes; 0: none.
        devices: Docker's: CDI devices, as ("ocinet.dev/net=bridge",).
        pod: podman's: the id of its pod.
        infra: podman's: whether it is the pod's own.
        healthcheck: `Config.Healthcheck`, or None for none.
    """

    network_mode: str = NONE
    image: str = "busybox"
    command: tuple[str, ...] = ("sleep", "1000")
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    port_bindings: Mapping[str, Any] | None = None
    publish_all: bool = False
    exposed: tuple[str, ...] = ()
    restart: str = ""
    restarts_max: int = 0
    auto_remove: bool = False
    cgroup_parent: str = ""
    runtime: str = "runc"
    log_driver: str = "json-file"
    healthcheck: Mapping[str, Any] | None = None
    memory: int = 0
    devices: tuple[str, ...] = ()
    pod: str = ""
    infra: bool = False

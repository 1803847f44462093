"""What was observed of a container, and what an engine's event says: values alone.

An engine is Docker or Podman here. What it shows is JSON, which `docker_json`
reads; what follows from it, `policy` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NONE = "none"
SHARED = "container"
UNTOLD = ""  # Podman's lists have no network mode


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """A container as its engine shows it, or keeps it in its files.

    Attributes:
        id: whole.
        name: without Docker's slash; the id's first 12 characters where it is
            none that we could use.
        mode: none, host, container, or a network of the engine's; in Podman's
            lists, untold.
        target: with mode container, whose sandbox it is: an id, or a name.
        networks: of the engine's that it is connected to.
        labels: and, of Podman, annotations; those of its image among them.
        told: Docker's annotations, which no image can give.
        image: the image's id.
        manifest: digest of the image's manifest, if its engine tells: the id may be
            that of an index of several, one for each platform.
        bindings: `HostConfig.PortBindings`.
        exposed: ports that are to be published although nothing binds them (-P).
        listens: all that it exposes.
        devices: CDI devices that it asks for.
        pid: of its first process; 0 if it does not run.
        build_step: whether it is a step of an image's build; or may be, if a list tells.
        cgroup_parent: that it asks for, as `--cgroup-parent` has it; "" for the engine's own.
        infra: whether it is what keeps a pod's sandbox.
        whole: False if it comes from a list, which tells no bindings and no pid.
    """

    id: str
    name: str
    mode: str
    target: str = ""
    networks: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    image: str = ""
    manifest: str = ""
    bindings: Mapping[str, Any] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    pid: int = 0
    running: bool = False
    build_step: bool = False
    cgroup_parent: str = ""
    infra: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a container, or is said to have.

    Attributes:
        act: create, start, die, destroy, rename, connect, disconnect, or another
            word of the engine's.
        container_id: whole.
        network: with connect and disconnect, the network's name.
    """

    act: str
    container_id: str
    network: str = ""

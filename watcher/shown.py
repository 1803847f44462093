"""What engines tell: containers as they are, and that something has happened.

The shapes are those of the Docker Engine API 1.41 (`GET /containers/json`,
`/containers/ID/json`, `/events`) and of Podman's own one (`/libpod/…`). Nothing
of their JSON goes further in than this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.names import check_container
from ocinet.request.docker_files import DockerContainer, cdi_devices, is_build_step

NONE = "none"
SHARED = "container"
UNTOLD = ""
_SHARED_PREFIX = "container:"
_ALIASES = {"died": "die", "remove": "destroy"}  # Podman's words


@dataclass(frozen=True, slots=True)
class Shown:
    """A container as its engine shows it.

    Attributes:
        id: whole.
        name: without Docker's slash; the id's first 12 characters where it is
            none that we could use.
        mode: none, host, container, or a network of the engine's; in Podman's
            lists, untold.
        target: with mode container, whose sandbox it is: an id, or a name.
        networks: of the engine's that it is connected to.
        labels: and, of Podman, annotations.
        image: the image's id.
        bindings: `HostConfig.PortBindings`.
        exposed: ports that are to be published although nothing binds them (-P).
        devices: CDI devices that it asks for.
        pid: of its first process; 0 if it does not run.
        build_step: whether it is a step of an image's build; or may be, if a list tells.
        whole: False if it comes from a list, which tells no bindings and no pid.
    """

    id: str
    name: str
    mode: str
    target: str = ""
    networks: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    image: str = ""
    bindings: Mapping[str, Any] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    pid: int = 0
    running: bool = False
    build_step: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a container, or is said to have.

    Attributes:
        act: create, start, die, destroy, rename, connect, disconnect, or another
            word of the engine's.
        container: the whole id.
        network: with connect and disconnect, the network's name.
    """

    act: str
    container: str
    network: str = ""


def parse_listed(document: Mapping[str, Any]) -> Shown:
    """Read one item of `GET /containers/json`.

    Raises:
        SystemFailure: it is none.
    """
    with _Reading("a list of containers"):
        container_id = check_container(document["Id"])
        mode, target = _mode((document.get("HostConfig") or {}).get("NetworkMode", UNTOLD))
        names = document.get("Names") or [""]
        return Shown(
            id=container_id,
            name=_name(names[0], container_id),
            mode=mode,
            target=target,
            networks=_networks(document),
            labels=_pairs(document.get("Labels")),
            image=document.get("ImageID") or "",
            running=document.get("State") in ("running", "paused"),
            # As the builder does; whoever else names an image by its whole id is
            # wired when it has been inspected.
            build_step=str(document.get("Image")).startswith("sha256:"),
            whole=False,
        )
    raise AssertionError  # pragma: no cover  # the block returns or raises


def parse_inspected(document: Mapping[str, Any]) -> Shown:
    """Read `GET /containers/ID/json`, of Docker, or Podman's own one.

    Raises:
        SystemFailure: it is none.
    """
    with _Reading("a container"):
        container_id = check_container(document["Id"])
        host, config, state = document["HostConfig"], document["Config"], document["State"]
        mode, target = _mode(host["NetworkMode"])
        exposed = config.get("ExposedPorts") or () if host.get("PublishAllPorts") else ()
        return Shown(
            id=container_id,
            name=_name(document.get("Name", ""), container_id),
            mode=mode,
            target=target,
            networks=_networks(document),
            labels=_pairs(config.get("Labels")) + _pairs(config.get("Annotations")),
            image=document.get("Image") or "",
            bindings=host.get("PortBindings") or {},
            exposed=tuple(exposed),
            devices=cdi_devices(host),
            pid=int(state.get("Pid") or 0),
            running=bool(state.get("Running") or state.get("Paused")),
            build_step=is_build_step(host, config, document.get("Image") or ""),
        )
    raise AssertionError  # pragma: no cover  # the block returns or raises


def show_kept(container_id: str, kept: DockerContainer) -> Shown:
    """Return a container as Docker's files have it; whether it still runs, they don't say."""
    mode, target = _mode(kept.mode)
    return Shown(
        id=container_id,
        name=kept.name or container_id[:12],
        mode=mode,
        target=target,
        networks=kept.networks,
        labels=kept.keys,
        image=kept.image,
        bindings=kept.bindings,
        exposed=kept.exposed,
        devices=kept.devices,
        build_step=kept.build_step,
        pid=kept.pid,
    )


def parse_event(document: Mapping[str, Any]) -> Event | None:
    """Read one line of `GET /events`; None if it is about no container of its own.

    What is odd about it is passed over: reconciling puts right what an event
    did not tell.
    """
    actor = document.get("Actor")
    if not isinstance(actor, dict):
        return None
    kind, act = document.get("Type"), str(document.get("Action", ""))
    attributes = actor.get("Attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    network = ""
    if kind == "container":
        container = actor.get("ID")
        act = _ALIASES.get(act, act)
    elif kind == "network":
        container = attributes.get("container")
        network = str(attributes.get("name", ""))
    else:
        return None
    try:
        check_container(container if isinstance(container, str) else "")
    except RequestError:
        return None
    return Event(act, str(container), network)


class _Reading:
    """Turns what an odd document raises into an error that says so."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        """Explain what went wrong."""
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError | RequestError):
            why = f"it is not as the Docker API has it: {type(error).__name__}: {error}"
            raise SystemFailure(f"cannot read {self._what}", why) from error


def _mode(text: str) -> tuple[str, str]:
    if text.startswith(_SHARED_PREFIX):
        return SHARED, text[len(_SHARED_PREFIX) :]
    return text, ""


def _name(text: str, container_id: str) -> str:
    try:
        return check_container(text.removeprefix("/"))
    except RequestError:
        return container_id[:12]


def _networks(document: Mapping[str, Any]) -> tuple[str, ...]:
    networks = (document.get("NetworkSettings") or {}).get("Networks") or {}
    return tuple(networks)


def _pairs(given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(text)) for key, text in (given or {}).items())

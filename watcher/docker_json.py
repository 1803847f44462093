"""Reading what engines answer and tell: their JSON into the values of `observed`.

The shapes are those of the Docker Engine API 1.41 (`GET /containers/json`,
`/containers/ID/json`, `/events`) and of Podman's own one (`/libpod/…`). Nothing
of their JSON goes further in than this module.
"""

from __future__ import annotations

from json import JSONDecoder
from typing import TYPE_CHECKING

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.names import check_container
from ocinet.request.docker_files import cdi_devices, is_build_step
from ocinet.watcher.observed import SHARED, UNTOLD, Event, ObservedContainer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ocinet.request.docker_files import DockerContainer

_LONGEST_EVENT = 1 << 20  # characters; one with all the labels that Docker allows has fewer
_SHARED_PREFIX = "container:"
_ALIASES = {"died": "die", "remove": "destroy"}  # Podman's words


def parse_listed(document: Mapping[str, Any]) -> ObservedContainer:
    """Read one item of `GET /containers/json`.

    Raises:
        SystemFailure: it is none.
    """
    with _Reading("a list of containers"):
        container_id = check_container(document["Id"])
        mode, target = _mode((document.get("HostConfig") or {}).get("NetworkMode", UNTOLD))
        names = document.get("Names") or [""]
        return ObservedContainer(
            id=container_id,
            name=_name(names[0], container_id),
            mode=mode,
            target=target,
            networks=_networks(document),
            labels=_pairs(document.get("Labels")),
            image=document.get("ImageID") or "",
            manifest=_manifest(document),
            running=document.get("State") in ("running", "paused"),
            # As the builder does; whoever else names an image by its whole id is
            # wired when it has been inspected.
            build_step=str(document.get("Image")).startswith("sha256:"),
            whole=False,
        )


def parse_inspected(document: Mapping[str, Any], *, podman: bool) -> ObservedContainer:
    """Read `GET /containers/ID/json`, of Docker, or Podman's own one.

    Args:
        document: the answer.
        podman: whether it is Podman's: its annotations may be the image's.

    Raises:
        SystemFailure: it is none.
    """
    with _Reading("a container"):
        container_id = check_container(document["Id"])
        host, config, state = document["HostConfig"], document["Config"], document["State"]
        mode, target = _mode(host["NetworkMode"])
        listens = tuple(map(str, config.get("ExposedPorts") or ()))
        return ObservedContainer(
            id=container_id,
            name=_name(document.get("Name", ""), container_id),
            mode=mode,
            target=target,
            networks=_networks(document),
            labels=_pairs(config.get("Labels")) + _pairs(config.get("Annotations")),
            told=() if podman else _pairs(host.get("Annotations")),
            image=document.get("Image") or "",
            manifest=_manifest(document),
            bindings=host.get("PortBindings") or {},
            exposed=listens if host.get("PublishAllPorts") else (),
            listens=listens,
            devices=cdi_devices(host),
            pid=int(state.get("Pid") or 0),
            running=bool(state.get("Running") or state.get("Paused")),
            build_step=is_build_step(host, config, document.get("Image") or ""),
            cgroup_parent=str(host.get("CgroupParent") or ""),
            infra=bool(document.get("IsInfra")),
        )


def exposed_ports(*documents: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ports that containers or images expose by what inspecting them told.

    Raises:
        SystemFailure: one of them is no such document.
    """
    with _Reading("what is exposed"):
        found: dict[str, None] = {}
        for document in documents:
            config = document.get("Config") or {}
            found |= dict.fromkeys(config.get("ExposedPorts") or ())
        return tuple(map(str, found))


def observe_kept(container_id: str, kept: DockerContainer) -> ObservedContainer:
    """Return a container as Docker's files have it; whether it still runs, they don't say."""
    mode, target = _mode(kept.mode)
    return ObservedContainer(
        id=container_id,
        name=kept.name or container_id[:12],
        mode=mode,
        target=target,
        networks=kept.networks,
        labels=kept.keys,
        told=kept.told,
        image=kept.image,
        manifest=kept.manifest,
        bindings=kept.bindings,
        exposed=kept.exposed,
        listens=kept.listens,
        devices=kept.devices,
        build_step=kept.build_step,
        cgroup_parent=kept.cgroup_parent,
        pid=kept.pid,
    )


def split_documents(texts: Iterable[str]) -> Iterator[Any]:
    """Yield the JSON documents that a stream of text has, one after the other.

    Docker ends each with a line feed, but proxies have been seen to take it away. A line
    that is no JSON is passed over.

    Args:
        texts: cut anywhere.
    """
    decode = JSONDecoder().raw_decode
    rest = ""
    for text in texts:
        rest = (rest + text).lstrip()
        while rest:
            try:
                document, end = decode(rest)
            except (ValueError, RecursionError):
                _, has_ended, after = rest.partition("\n")
                if not has_ended:
                    rest = rest if len(rest) < _LONGEST_EVENT else ""
                    break  # the other part of it is still to come
                rest = after.lstrip()
                continue
            yield document
            rest = rest[end:].lstrip()


def parse_event(document: Mapping[str, Any]) -> Event | None:
    """Read one line of `GET /events`; None if it is about no container of its own.

    What is odd about it is passed over: reconciling puts right what an event
    did not tell.
    """
    actor = document.get("Actor")
    if not isinstance(actor, dict):
        return None
    # Not by `status`, `id` and `from`, which API 1.52 no longer has.
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


def _manifest(document: Mapping[str, Any]) -> str:
    """Return what Docker tells since API 1.48, of images in containerd's store."""
    return str((document.get("ImageManifestDescriptor") or {}).get("digest") or "")


def _pairs(labels: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(text)) for key, text in (labels or {}).items())

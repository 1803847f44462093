"""What Docker's own files tell of a container: its network mode, labels and ports.

The `config.json` that Docker makes for a container without a network is the
same as for one on a bridge, so who it is must be read where Docker keeps it. By
file alone: asking its API about a container that it is just starting waits for
ever, and at boot containers start before the API listens.

    ROOT/containers/ID/config.v2.json    {"ID", "Name": "/web", "Image": "sha256:…",
                                          "Driver": "overlay2", "Config": {"Labels": {}},
                                          "State": {"Pid": 812},
                                          "NetworkSettings": {"Networks": {"none": {}}}}
    ROOT/containers/ID/hostconfig.json   {"NetworkMode": "none", "PortBindings": {}}
    ROOT/image/DRIVER/imagedb/content/sha256/HEX    the image's config

Images of containerd's store are in its content store, where all that an image is made
of lies by its digest. Where that is, the bundle tells, by a link that containerd makes:

    BUNDLE/work -> CONTAINERD/io.containerd.runtime.v2.task/moby/ID
    CONTAINERD/io.containerd.content.v1.content/blobs/sha256/HEX
                                the manifest: {"config": {"digest": "sha256:…"}}, or the config
"""

from __future__ import annotations

import posix

from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.jsontext import MAX_BYTES, loads, text_pairs
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.request.bounded_reads import read_file, read_input
from ocinet.request.config_json import hooks_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Json = dict[str, Any]

NONE = "none"
_SETKEY = "libnetwork-setkey"
# What every container has of its own there, unless its user mounts another one.
_OWN_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
_NAMESPACES = ("moby", "plugins.moby")  # that Docker calls its own in containerd
_SHA256 = "sha256:"
_TASKS = "/io.containerd.runtime.v2.task/"
_BLOBS = "/io.containerd.content.v1.content/blobs/sha256"
_HEX = frozenset("0123456789abcdef")
_ID_LENGTH = 64


class DockerContainer(Value):
    """A container as Docker's files have it.

    Attributes:
        name: without Docker's slash; "" if it is none that we could use.
        mode: `--network`: none, host, bridge, container:ID, a network's name.
        networks: that it is connected to.
        keys: labels; its image's among them.
        told: annotations, which Docker takes from its user alone.
        bindings: `HostConfig.PortBindings`.
        exposed: ports that are to be published although nothing binds them (-P).
        listens: all that it exposes.
        devices: CDI devices that it asks for.
        build_step: whether it is a step of an image's build.
        networking: False if Docker was told to keep its hands off its sandbox.
        root: Docker's data directory.
        driver: the storage driver.
        image: the image's id.
        manifest: the digest of its manifest, where its image is in containerd's store.
        cgroup_parent: as `--cgroup-parent` has it; "" for Docker's own.
        pid: of its first process; Docker writes it before it tells of a start. That
            one may have ended since; 0 if it was seen to end.
    """

    name: str = ""
    mode: str = ""
    networks: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    bindings: Mapping[str, Any] = {}  # nobody changes what a `Value` holds
    exposed: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    build_step: bool = False
    networking: bool = True
    root: str = ""
    driver: str = ""
    image: str = ""
    manifest: str = ""
    cgroup_parent: str = ""
    pid: int = 0

    def carried(self, bundle: str) -> frozenset[tuple[str, str]] | None:
        """Return every pair of texts in the image's config, labels among them.

        Args:
            bundle: the container's.

        Returns:
            None if it can't be told: the image is gone, or nowhere where we look.
        """
        if self.manifest:
            return carried_in_containerd(_containerd_of(bundle), self.manifest)
        if "/" in self.driver:
            return None
        try:
            path = f"{self.root}/image/{self.driver}/imagedb/content/sha256/{_hex(self.image)}"
            return frozenset(text_pairs(read_file(path, MAX_BYTES), path))
        except (OcinetError, OSError, LookupError):
            return None


def carried_in_containerd(containerd: str, manifest: str) -> frozenset[tuple[str, str]] | None:
    """Return every pair of texts in the config of an image in containerd's content store.

    Args:
        containerd: its data directory.
        manifest: its digest; of an image for several platforms, that of the one which
            runs, for no other's labels are the container's.

    Returns:
        None if it can't be told.
    """
    blobs = f"{containerd}{_BLOBS}"
    try:
        path = f"{blobs}/{_hex(manifest)}"
        config = _only(loads(read_file(path, MAX_BYTES), path), "config")
        path = f"{blobs}/{_hex(_only(config, 'digest'))}"
        return frozenset(text_pairs(read_file(path, MAX_BYTES), path))
    except (OcinetError, OSError, LookupError, TypeError, AttributeError):
        return None


def find_docker(config: Json, container_id: str) -> DockerContainer | None:
    """Find out what Docker knows of a container.

    Args:
        config: of the bundle.
        container_id: whole.

    Returns:
        None if it is none of Docker's, or its files are not as they are known
        to be; `is_dockers` tells these two apart.
    """
    if len(container_id) != _ID_LENGTH or not _HEX.issuperset(container_id):
        return None
    found = (read_docker(root, container_id) for root in dict.fromkeys(_roots(config)))
    return next((container for container in found if container), None)


def read_docker(root: str, container_id: str) -> DockerContainer | None:
    """Read what Docker knows of a container from its data directory.

    Args:
        root: the data directory.
        container_id: whole, and safe as a file name.

    Returns:
        None if it is not there, or not as it is known to be.
    """
    directory = f"{root}/containers/{container_id}"
    try:
        state = _read(f"{directory}/config.v2.json")
        if state["ID"] == container_id:
            return _parse(state, _read(f"{directory}/hostconfig.json"), root)
    except (OcinetError, OSError, LookupError, TypeError, AttributeError):
        pass
    return None


def is_dockers(config: Json, bundle: str) -> bool:
    """Tell whether a bundle is Docker's, for all that it looks like.

    Not only containers: Docker runs its plugins with the default runtime, too.
    """
    parts = bundle.rsplit("/", 2)
    return (
        (len(parts) == 3 and parts[1] in _NAMESPACES)
        or any(is_setkey(entry) for _, entry in hooks_of(config))
        or any(len(root) > 1 for root in _mounted_roots(config))
    )


def is_setkey(entry: object) -> bool:
    """Tell the hook by which Docker, up to 25, takes hold of a container's sandbox."""
    arguments = entry.get("args") if isinstance(entry, dict) else None
    return isinstance(arguments, list) and arguments[:1] == [_SETKEY]


def _containerd_of(bundle: str) -> str:
    """Return containerd's data directory; no directory if the bundle does not tell."""
    try:
        return posix.readlink(f"{bundle}/work").partition(_TASKS)[0]
    except OSError:
        return ""


def _only(document: Json, name: str) -> Any:
    """Return the value of a key, which must be there in one spelling.

    Docker's parser takes keys in any case, and the last one: with a second spelling an
    image could show us another config than the one that is used.

    Raises:
        LookupError: it is not there, or twice.
    """
    values = [value for key, value in document.items() if key.casefold() == name]
    if len(values) != 1:
        raise LookupError(name)
    return values[0]


def _hex(digest: str) -> str:
    """Return a digest's own part, which is safe as a file name.

    Raises:
        LookupError: it is none of SHA-256.
    """
    digits = digest.removeprefix(_SHA256)
    if digits == digest or not digits or not _HEX.issuperset(digits):
        raise LookupError(digest)
    return digits


def _roots(config: Json) -> Iterator[str]:
    """Yield where Docker's data directory may be, the surest first.

    The root file system lies below it with every storage driver; only with
    containerd's image store it may lie elsewhere.
    """
    root = config.get("root")
    path = root.get("path") if isinstance(root, dict) else None
    if isinstance(path, str) and path.startswith("/"):
        while (path := path.rpartition("/")[0]) != "":
            yield path
    yield from _mounted_roots(config)


def _mounted_roots(config: Json) -> Iterator[str]:
    """Yield what ROOT is by the mounts of `ROOT/containers/ID/hosts` and its like.

    The ID there may be another container's: whoever shares X's network has X's files.
    """
    mounts = config.get("mounts")
    for mount in mounts if isinstance(mounts, list) else ():
        if not isinstance(mount, dict) or mount.get("destination") not in _OWN_FILES:
            continue
        parts = str(mount.get("source", "")).rsplit("/", 3)
        if len(parts) == 4 and parts[1] == "containers" and len(parts[2]) == _ID_LENGTH:
            yield parts[0]


def _read(path: str) -> Json:
    """Read a file of Docker's; one that somebody else could have written is none."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC)
    try:
        status = posix.fstat(fd)
        if status.st_uid != posix.geteuid() or status.st_mode & 0o022:
            raise RequestError("", f"{path} may be somebody else's")
        document = loads(read_input(fd), path)
    finally:
        posix.close(fd)
    if not isinstance(document, dict):
        raise TypeError
    return document


def _parse(state: Json, host: Json, root: str) -> DockerContainer:
    config = state["Config"]
    listens = tuple(map(str, config.get("ExposedPorts") or ()))
    return DockerContainer(
        name=_name(state.get("Name")),
        mode=host["NetworkMode"],
        cgroup_parent=str(host.get("CgroupParent") or ""),
        networks=tuple((state.get("NetworkSettings") or {}).get("Networks") or {}),
        keys=_pairs(config.get("Labels")),
        told=_pairs(host.get("Annotations")),
        bindings=host.get("PortBindings") or {},
        exposed=listens if host.get("PublishAllPorts") else (),
        listens=listens,
        devices=cdi_devices(host),
        build_step=is_build_step(host, config, str(state.get("Image", ""))),
        networking=not config.get("NetworkDisabled"),
        root=root,
        driver=str(state.get("Driver", "")),
        image=str(state.get("Image", "")),
        manifest=str((state.get("ImageManifest") or {}).get("digest", "")),
        pid=int((state.get("State") or {}).get("Pid") or 0),
    )


def _pairs(labels: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(text)) for key, text in (labels or {}).items())


def cdi_devices(host: Json) -> tuple[str, ...]:
    """Return the CDI devices that a `HostConfig` asks for; Docker has them since 25."""
    return tuple(
        str(name)
        for request in host.get("DeviceRequests") or ()
        if request.get("Driver") == "cdi"
        for name in request.get("DeviceIDs") or ()
    )


def is_build_step(host: Json, config: Json, image: str) -> bool:
    """Tell the steps of Docker's classic builder, which are containers like anybody's.

    No mark alone would do, but nobody's container has all five: the builder
    names the image of the step before by its id, keeps no log and no health
    check, and says nothing of ports and restarts. For the latter Docker 20.10 writes
    "", 26 `no`, which is also what the docker command says; of ports the command and
    compose send an empty list, where the builder has none. BuildKit's steps are no
    containers.

    Args:
        host: `HostConfig`, as in a file or from the API.
        config: `Config`, likewise.
        image: the image's id.
    """
    return (
        (host.get("LogConfig") or {}).get("Type") == "none"
        and (config.get("Healthcheck") or {}).get("Test") == ["NONE"]
        and (host.get("RestartPolicy") or {}).get("Name") in ("", "no")
        and host.get("PortBindings") is None
        and config.get("Image") == image
    )


def _name(name: object) -> str:
    try:
        return check_container(name.removeprefix("/")) if isinstance(name, str) else ""
    except RequestError:
        return ""

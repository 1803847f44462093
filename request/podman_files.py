"""What podman's storage tells of a container: its name, and its image's annotations.

podman merges the annotations of an image's manifest into the container's, so an
image could ask for a published port of the host. What it asks is recognised
here, by file: calling podman from a hook dead-locks, it holds the container's
lock meanwhile. The layout is that of containers/storage:

    ROOT/overlay-containers/ID/userdata             the bundle
    ROOT/overlay-containers/containers.json         [{"id", "names", "image", …}]
    ROOT/overlay-containers/volatile-containers.json   the same, of `--rm` containers
    ROOT/overlay-images/IMAGE/manifest              the one in use, and, named
    ROOT/overlay-images/IMAGE/=BASE64               `manifest-DIGEST`, every one; and the
                                                    config, as `sha256:IMAGE`
"""

from __future__ import annotations

import posix
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.jsontext import MAX_BYTES, loads, text_pairs
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.request.bounded_reads import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LISTS = ("containers.json", "volatile-containers.json")
_LONGEST_LIST = 64 << 20  # some 100,000 containers
_HEX = frozenset("0123456789abcdef")


class Origin(Value):
    """Where a container comes from.

    Attributes:
        name: the container's in podman, or "".
        carried: every pair of texts in the image's manifests, annotations
            among them; empty without an image; None if it can't be told.
    """

    name: str = ""
    carried: frozenset[tuple[str, str]] | None = None


def origin_of(container_id: str, bundle: str) -> Origin:
    """Find out where a container comes from, by its bundle.

    Returns:
        `Origin()` where the bundle is not podman's, or its storage is not as
        it is known to be. Never raises: not to know is an answer.
    """
    root, containers, tail = bundle.rpartition("-containers/")
    if not containers or tail != f"{container_id}/userdata":
        return Origin()
    try:
        record = _find_record(f"{root}-containers", container_id)
        image = record.get("image") or ""
        name = _container_name(record.get("names"))
    except (OcinetError, OSError, AttributeError, LookupError, TypeError):
        return Origin()
    try:
        # Made of a plain directory (`podman run --rootfs`), it has no image that could ask.
        return Origin(name, _carried(f"{root}-images", image) if image else frozenset())
    except (OcinetError, OSError, TypeError):
        return Origin(name)


def exposed_by_image(container_id: str, bundle: str) -> tuple[str, ...] | None:
    """Return the ports that a container's image exposes, as `80/tcp`.

    Returns:
        None if it can't be told. Never raises: not to know is an answer.
    """
    root, _, _ = bundle.rpartition("-containers/")
    try:
        image = _find_record(f"{root}-containers", container_id)["image"]
        name = b2a_base64(f"sha256:{image}".encode(), newline=False).decode()
        path = f"{root}-images/{image}/={name}"
        exposed = loads(read_file(path, MAX_BYTES), path)["config"].get("ExposedPorts")
        return tuple(map(str, exposed or ()))
    except (OcinetError, OSError, AttributeError, LookupError, TypeError):
        return None


def find_named(directory: str, name: str) -> str:
    """Return the id of the container that has a name in podman, or "".

    Args:
        directory: of its storage, as `/var/lib/containers/storage/overlay-containers`.
        name: whole.

    Never raises: not to know is an answer.
    """
    for path in _LISTS:
        try:
            data = read_file(f"{directory}/{path}", _LONGEST_LIST)
            entries = loads(data, path, _LONGEST_LIST)
            for entry in entries:
                if name in entry.get("names", ()):
                    return check_container(entry["id"])
        except (OcinetError, OSError, AttributeError, LookupError, TypeError):
            continue
    return ""


def _container_name(names: object) -> str:
    """Return the first name if it is one that we could use, else ""."""
    try:
        return check_container(names[0]) if isinstance(names, list) and names else ""
    except (OcinetError, TypeError):
        return ""


def _find_record(directory: str, container_id: str) -> dict[str, Any]:
    """Return a container's entry in the lists, without parsing those of the others.

    The quotes of texts inside a text are escaped, so the start of an entry
    can't occur in a name or label. Entries are told by it, because parsing the
    whole list would make a start slower with each container there is.
    """
    start = f'{{"id":"{container_id}"'.encode()
    for name in _LISTS:
        try:
            data = read_file(f"{directory}/{name}", _LONGEST_LIST)
        except FileNotFoundError:
            continue
        begin = data.find(start)
        if begin >= 0:
            end = data.find(b',{"id":"', begin)
            last = data[begin:].rstrip(b" \r\n\t").removesuffix(b"]")
            record: dict[str, Any] = loads(data[begin:end] if end >= 0 else last, name)
            return record
    raise LookupError(container_id)


def _carried(images: str, image: str) -> frozenset[tuple[str, str]]:
    """Collect the pairs of all manifests that an image is stored with.

    podman uses one of them, which depends on how the image was named. Its parser takes
    `annotations` in any case and joins repeated ones, so to look for that one key would
    leave an image a way past. Nor does it mind bytes that are not UTF-8.
    """
    if not image or not _HEX.issuperset(image):
        raise RequestError("", f"{image[:80]!r} is no image id")
    pairs: set[tuple[str, str]] = set()
    manifests = [name for name in posix.listdir(f"{images}/{image}") if _is_manifest(name)]
    if "manifest" not in manifests:
        raise RequestError("", f"image {image} has no manifest")
    for name in manifests:
        pairs |= text_pairs(read_file(f"{images}/{image}/{name}", MAX_BYTES), name)
    return frozenset(pairs)


def _is_manifest(name: str) -> bool:
    if name.startswith("="):
        try:
            return a2b_base64(name[1:]).startswith(b"manifest")
        except (Base64Error, ValueError):
            return False
    return name.startswith("manifest")

"""What a bundle's `config.json` says (OCI runtime-spec, config.md)."""

from __future__ import annotations

import posix

from ocinet.base.errors import SystemFailure
from ocinet.base.jsontext import loads
from ocinet.base.names import is_hostname
from ocinet.request.bounded_reads import read_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocinet.engine.model.naming import Rootfs

CONFIG = "config.json"
UP_STAGES = ("createRuntime", "prestart")
DOWN_STAGE = "poststop"
FLAGS = ("-I", "-S")
DEVICE = "--device="  # what a hook's arguments name the network of a CDI device by
_SCRIPT_TAIL = "/ocinet/hooks/hook.py"


def read_config(bundle: str) -> bytes:
    """Return a bundle's `config.json`, or one byte more of it than we would parse.

    Raises:
        SystemFailure: it can't be read.
    """
    path = f"{bundle}/{CONFIG}"
    try:
        # Not blocking: a FIFO of that name would hold the hook, and the container with it.
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error
    try:
        return read_input(fd, f"cannot read {path}", CONFIG)
    finally:
        posix.close(fd)


def rootfs_of(bundle: str) -> Rootfs | None:
    """Return where a container's files are, if it has mounts of its own.

    Raises:
        RequestError: `config.json` is not JSON, or too long.
        SystemFailure: it can't be read.
    """
    return rootfs_in(loads(read_config(bundle), f"cannot read {bundle}/{CONFIG}"), bundle)


def rootfs_in(config: Any, bundle: str) -> Rootfs | None:
    """Return where a container's files are by its config, if it has mounts of its own."""
    from ocinet.engine.model.naming import Rootfs  # the wrapper reads configs of others, too

    try:
        path, namespaces = config["root"]["path"], config["linux"]["namespaces"]
        apart = any(entry["type"] == "mount" for entry in namespaces)
        hostname = config.get("hostname", "")
        shared = [entry.get("path", "") for entry in namespaces if entry["type"] == "network"]
    except (KeyError, TypeError, AttributeError):
        return None
    if not (apart and isinstance(path, str) and isinstance(hostname, str)):
        return None
    path = path if path.startswith("/") else f"{bundle}/{path}"
    shares = shared[0] if shared and isinstance(shared[0], str) else ""
    return Rootfs(path, hostname if is_hostname(hostname) else "", shares)


def has_private_sandbox(bundle: str) -> bool:
    """Tell whether a bundle asks the runtime for a network namespace of its own.

    Raises:
        RequestError: `config.json` is not JSON, or too long.
        SystemFailure: it can't be read.
    """
    return is_private(loads(read_config(bundle), f"cannot read {bundle}/{CONFIG}"))


def is_private(config: Any) -> bool:
    """Tell whether a `config.json` asks for a network namespace of its own."""
    try:
        namespaces = config["linux"]["namespaces"]
        paths = [entry.get("path", "") for entry in namespaces if entry["type"] == "network"]
    except (KeyError, TypeError, AttributeError):
        return False
    # With podman, that is `--network=none` alone. Docker's config is the same for a container on a
    # bridge: there its own files tell (`docker_files`).
    return paths == [""]


def hooks_of(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every hook entry with its stage; what is no list of them is passed over."""
    hooks = config.get("hooks")
    for stage, listed in hooks.items() if isinstance(hooks, dict) else ():
        for entry in listed if isinstance(listed, list) else ():
            yield stage, entry


def is_our_hook(entry: object) -> bool:
    """Tell whether a hook entry is one that `Registration.entry` made, of any version."""
    arguments = entry.get("args") if isinstance(entry, dict) else None
    return (
        isinstance(arguments, list)
        and len(arguments) > 3
        and tuple(arguments[1:3]) == FLAGS
        and str(arguments[3]).endswith(_SCRIPT_TAIL)
    )

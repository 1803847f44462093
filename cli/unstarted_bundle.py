"""A bundle that is not started yet: what its annotations ask for, and a sandbox to plan in."""

from __future__ import annotations

import os
from ctypes import CDLL, get_errno
from threading import Thread

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.jsontext import MAX_BYTES, loads
from ocinet.base.names import check_container
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.request.annotations import NAME, is_ours

_CLONE_NEWNET = 0x40000000  # sched.h


def read_bundle(path: str, container_id: str = "") -> tuple[Container, dict[str, str]]:
    """Read what a bundle asks for.

    Args:
        path: of the directory that has a `config.json`.
        container_id: "" means the directory's name.

    Returns:
        The container, and its `ocinet.*` annotations.

    Raises:
        RequestError: `config.json` makes no sense.
        SystemFailure: it can't be read.
    """
    what = f"cannot read {path}/config.json"
    try:
        with open(f"{path}/config.json", "rb") as file:
            config = loads(file.read(MAX_BYTES + 1), what)
    except OSError as error:
        raise SystemFailure(what, error.strerror or str(error)) from error
    annotations = config.get("annotations") if isinstance(config, dict) else None
    annotations = annotations if isinstance(annotations, dict) else {}
    ours = {key: value for key, value in annotations.items() if is_ours(key)}
    for key, value in ours.items():
        if not isinstance(value, str):
            raise RequestError(what, f"the annotation {key!r} is no text")
    whole = os.path.abspath(path)
    own_id = check_container(container_id or os.path.basename(whole))
    return Container(own_id, ours.get(NAME, own_id[:12]), whole), ours


def empty_sandbox(name: str) -> Sandbox:
    """Make a network namespace that lives as long as it is open.

    A thread of its own goes there and ends, for a thread that went could be
    left in the wrong namespace.

    Args:
        name: what `ip netns` will call the real one. The plan's commands say it:
            a path under /proc would mean whoever runs them.
    """
    opened: list[Sandbox] = []
    failed: list[int] = []

    def leave() -> None:
        if CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
            failed.append(get_errno())
        else:
            opened.append(Sandbox.open_path("/proc/thread-self/ns/net"))

    thread = Thread(target=leave)
    thread.start()
    thread.join()
    if not opened:
        why = os.strerror(failed[0]) if failed else "it could not be opened"
        raise SystemFailure("cannot make a sandbox to plan in", why)
    sandbox = opened[0]
    sandbox.path = name
    return sandbox

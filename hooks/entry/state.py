"""The state that a runtime hands to a hook on stdin (OCI runtime-spec, runtime.md).

    {"ociVersion": "1.0.2-dev", "id": "web", "status": "creating", "pid": 4711,
     "bundle": "/srv/web", "annotations": {"ocinet.net": "lan"}}

Runtimes differ: at poststop `pid` is absent (runc, podman) or 0 (crun);
`annotations` is absent when there are none; `status` is `creating` or
`created` before the start; some crun releases name the wrong bundle.
"""

from __future__ import annotations

import posix

from ocinet.base.errors import RequestError
from ocinet.base.files import exists
from ocinet.base.jsontext import loads
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.request.config_json import CONFIG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_WHAT = "cannot read the container's state"
_PID_MAX = 1 << 22  # PID_MAX_LIMIT of the kernel
_PATH_MAX = 4096
_BUILD_PREFIX = "buildah-"


class State(Value):
    """One state document.

    Attributes:
        id: the runtime's full id; safe as a file name.
        pid: of the container's first process in our pid namespace; None if it
            has none (any more).
        bundle: absolute, or "".
        annotations: all of them, not only ours.
        status: creating, created, running or stopped, as the runtime puts it.
    """

    id: str
    pid: int | None = None
    bundle: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    status: str = ""


def parse_state(data: bytes) -> State:
    """Read a state document.

    Raises:
        RequestError: it is empty, too long, not JSON, or not a state.
    """
    if not data.strip():
        raise RequestError(_WHAT, "stdin is empty", "a runtime calls this, with the state on stdin")
    document = loads(data, _WHAT)
    if not isinstance(document, dict):
        raise RequestError(_WHAT, "it is no JSON object")
    try:
        return State(
            id=check_container(_text(document, "id")),
            pid=_pid(document.get("pid")),
            bundle=_bundle(document),
            annotations=_annotations(document.get("annotations")),
            status=_text(document, "status", ""),
        )
    except RequestError as error:
        raise error.within(_WHAT) from error


def _text(document: dict[str, Any], key: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise RequestError("", f"{key} is {'missing' if value is None else 'no text'}")
    return value


def _pid(value: object) -> int | None:
    if value is None or (type(value) is int and value == 0):
        return None
    if type(value) is not int or not 0 < value <= _PID_MAX:
        raise RequestError("", f"pid is {str(value)[:20]!r}")
    if value == 1:  # what createContainer and startContainer hooks get: it means the host's init
        raise RequestError("", "pid is 1: the hook runs inside the container",
                           "register it as createRuntime")  # fmt: skip
    return value


def _bundle(document: dict[str, Any]) -> str:
    bundle = _text(document, "bundle", "")
    if "\0" in bundle or len(bundle) > _PATH_MAX:
        raise RequestError("", "bundle is no path")
    return bundle if bundle.startswith("/") else ""


def _annotations(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise RequestError("", "annotations is no JSON object")
    for key, text in value.items():
        if not isinstance(text, str):
            raise RequestError("", f"annotation {key[:60]!r} is no text")
    return tuple(value.items())


def is_build_step(state: State) -> bool:
    """Tell containers of `podman build` and `buildah run`: they are named after their bundle."""
    bundle = state.bundle.rpartition("/")[2]
    return bool(bundle) and state.id == _BUILD_PREFIX + bundle


def find_bundle(state: State) -> str:
    """Return the bundle of a container that is being created.

    A runtime runs the hook in the bundle, so the working directory stands in
    for a bundle that has no `config.json`. Not to be asked at poststop: runc
    runs it wherever its caller was.

    Returns:
        An absolute path, or "" if there is no bundle to be seen.
    """
    if state.bundle and exists(f"{state.bundle}/{CONFIG}"):
        return state.bundle
    if exists(CONFIG):
        return posix.getcwd()
    return state.bundle

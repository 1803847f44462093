"""Up: a container that is being created is given what it asks for.

Apart from `stage`, because whoever stops has no use for it.
"""

from __future__ import annotations

import posix

from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.events import WARNED
from ocinet.base.files import exists
from ocinet.engine.model.attachment import Container
from ocinet.hooks.entry.engine_access import open_logged, open_sandbox
from ocinet.hooks.entry.report import logged
from ocinet.hooks.entry.request_of import request_of
from ocinet.hooks.entry.state import find_bundle
from ocinet.request.annotations import SANDBOX
from ocinet.request.config_json import CONFIG, rootfs_of
from ocinet.request.podman_files import Origin, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.events import EventLog
    from ocinet.base.paths import Paths
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.request import Request
    from ocinet.hooks.entry.call import Call
    from ocinet.hooks.entry.engine_access import OpenEngine
    from ocinet.hooks.entry.state import State


_FILLED_LATER = (
    "podman 5 writes the container's /etc/hosts after its hooks, so what add-host says is not in"
    " it: give podman itself --add-host, or --no-hosts"
)


def attach_created(
    state: State,
    call: Call,
    paths: Paths,
    log: EventLog,
    open_engine: OpenEngine,
) -> None:
    """Attach a container that is being created, if it asks for it.

    Args:
        state: of the container.
        call: how the hook was called.
        paths: of the installation.
        log: is told what fails before the engine is asked.
        open_engine: builds it.

    Raises:
        OcinetError: it can't be done; the container must not start.
    """
    state = state.replace(bundle=find_bundle(state))
    origin = (
        # Who wrote our entry into the bundle could write all of it: nothing in it is an image's.
        origin_of(state.id, state.bundle) if call.from_hooks_dir else Origin(carried=frozenset())
    )
    name = origin.name or state.id[:12]
    try:
        request = request_of(state, call, origin, paths, log)
        if request is None:
            return
        name = request.name or name
        process = _process_of(state)
        sandbox = _open_sandbox(process, state, call, request)
    except OcinetError as error:
        what = f"cannot attach {name}"
        raise logged(
            error, log, "hook failed", what=what, container=state.id, name=name, act="attach"
        ) from error
    container = Container(state.id, name, state.bundle, process, "hook")
    with sandbox, open_logged(open_engine, paths, log, container) as engine:
        rootfs = _rootfs_of(state, log, name)
        # It logs what fails in there itself.
        record = engine.attach(container, request, sandbox, rootfs)
    if record.unnamed and record.resolution and record.resolution.hosts:
        log.append(WARNED, container=state.id, name=name, warning=_FILLED_LATER)


def _rootfs_of(state: State, log: EventLog, name: str) -> Rootfs | None:
    """Return where the container's files are; None where its bundle does not tell."""
    try:
        return rootfs_of(state.bundle) if exists(f"{state.bundle}/{CONFIG}") else None
    except OcinetError as error:  # it has what it asked for; what is missing is names
        log.append(WARNED, container=state.id, name=name, warning=str(error))
        return None


def _process_of(state: State) -> Process:
    """Return the container's first process.

    Raises:
        RequestError: there is none, or its id is another one's by now.
    """
    if state.pid is None:
        raise RequestError("", "the state has no pid", "register the hook as createRuntime")
    process = Process.of(state.pid)
    own = Process.of(posix.getpid())
    if process is None:
        raise RequestError("", f"process {state.pid} is gone")
    # Pids come again, within minutes where there are 32768: the process that the runtime means
    # was there before it started the hook.
    if own and process.start_time > own.start_time:
        raise RequestError("", f"process {state.pid} is younger than this hook: it is another one")
    return process


def _open_sandbox(process: Process, state: State, call: Call, request: Request) -> Sandbox:
    """Open the container's sandbox, if it is one that the request can be met in."""
    # `ocinet hooks add` writes this one; in a hooks directory's containers it may be the image's.
    meant = "" if call.from_hooks_dir else dict(state.annotations).get(SANDBOX, "")
    sandbox = open_sandbox(process, meant, request.target, "run ocinet hooks add again")
    if request.mode != "host" or sandbox.is_host:
        return sandbox
    sandbox.close()
    bundle, podman = "ocinet hooks add BUNDLE --net host", "start it with --network=host"
    raise RequestError("", "it has a network namespace of its own, which a hook can't exchange",
                       podman if call.from_hooks_dir else bundle)  # fmt: skip

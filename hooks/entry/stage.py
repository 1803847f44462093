"""One stage of a container's life, as a runtime calls it: up, or down.

Failures are one line on stderr, and in the event log. stdout stays empty. Which
stages there are, and what their flags mean, stands in `call`.
"""

from __future__ import annotations

import posix
from _signal import (  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGTERM,
    signal,
)

from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.events import EventLog
from ocinet.base.paths import Paths, own_environment
from ocinet.engine.model.attachment import Container
from ocinet.hooks.entry.call import act_by_status, parse_call
from ocinet.hooks.entry.engine_access import open_logged, open_sandbox, opener
from ocinet.hooks.entry.report import internal, logged, say
from ocinet.hooks.entry.request_of import is_build_step, request_of
from ocinet.hooks.entry.state import find_bundle, parse_state
from ocinet.request.annotations import SANDBOX
from ocinet.request.bounded_reads import read_input
from ocinet.request.podman_files import Origin, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.request import Request
    from ocinet.hooks.entry.call import Call
    from ocinet.hooks.entry.engine_access import OpenEngine, Preload
    from ocinet.hooks.entry.state import State


def main(
    arguments: Sequence[str],
    *,
    stdin: int = 0,
    environment: Mapping[str, str] | None = None,
    open_engine: OpenEngine | None = None,
    preload: Preload | None = None,
) -> int:
    """Run one stage.

    Args:
        arguments: the stage and its flags.
        stdin: the descriptor that has the state.
        environment: may be empty; None: this process's.
        open_engine: builds the engine; None: the real one.
        preload: loads a part of the preload, if there is one.

    Returns:
        The exit status: 1 if the container must not start; always 0 at poststop.

    Effects:
        From here on SIGHUP, SIGINT and SIGTERM are ignored: half a wiring helps
        nobody, and the deadline is near.
    """
    for number in (SIGHUP, SIGINT, SIGTERM):
        signal(number, SIG_IGN)
    open_engine = open_engine or opener(preload)
    act = "down" if "poststop" in arguments else "up"
    try:
        paths = Paths.from_environment(own_environment() if environment is None else environment)
        log = EventLog(paths.run)
        call, state = _receive(arguments, stdin, log)
        act = call.act
        if act == "up":
            _attach_created(state, call, paths, log, open_engine)
        elif not is_build_step(state):
            _detach_stopped(state, paths, log, open_engine)
    except OcinetError as error:
        say(str(error))
    except Exception as error:  # noqa: BLE001  # the edge: a runtime shows one line, no traceback
        say(internal(error))
    else:
        return 0
    return 0 if act == "down" else 1


def _receive(arguments: Sequence[str], stdin: int, log: EventLog) -> tuple[Call, State]:
    """Read the state and the command line; the act is settled after that.

    The state comes first, for crun dies of SIGPIPE if a hook ends without reading it.
    """
    try:
        text = read_input(stdin)
        call = parse_call(arguments)
        state = parse_state(text)
        return call.replace(act=call.act or act_by_status(state.status)), state
    except OcinetError as error:
        log.append("hook failed", arguments=" ".join(arguments), error=str(error))
        raise


def _attach_created(
    state: State, call: Call, paths: Paths, log: EventLog, open_engine: OpenEngine
) -> None:
    """Attach a container that is being created, if it asks for it.

    Raises:
        OcinetError: it can't be done; the container must not start.
    """
    state = state.replace(bundle=find_bundle(state))
    origin = (
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
        raise logged(error, log, "hook failed", what=what, container=state.id) from error
    container = Container(state.id, name, state.bundle, process, "hook")
    with sandbox, open_logged(open_engine, paths, log, container) as engine:
        engine.attach(container, request, sandbox)  # it logs what fails in there itself


def _detach_stopped(state: State, paths: Paths, log: EventLog, open_engine: OpenEngine) -> None:
    """Detach a container that has stopped.

    Raises:
        OcinetError: something of it is still there; `ocinet gc` has another go.
    """
    with open_logged(open_engine, paths, log, Container(state.id, state.id[:12])) as engine:
        engine.detach(state.id, bundle=state.bundle)


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
    if own and process.start_time > own.start_time:
        raise RequestError("", f"process {state.pid} is younger than this hook: it is another one")
    return process


def _open_sandbox(process: Process, state: State, call: Call, request: Request) -> Sandbox:
    """Open the container's sandbox, if it is one that the request can be met in."""
    meant = "" if call.from_hooks_dir else dict(state.annotations).get(SANDBOX, "")
    sandbox = open_sandbox(process, meant, request.target, "run ocinet hooks add again")
    if request.mode != "host" or sandbox.is_host:
        return sandbox
    sandbox.close()
    bundle, podman = "ocinet hooks add BUNDLE --net host", "start it with --network=host"
    raise RequestError("", "it has a network namespace of its own, which a hook can't exchange",
                       podman if call.from_hooks_dir else bundle)  # fmt: skip

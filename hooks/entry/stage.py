"""One stage of a container's life, as a runtime calls it: up, or down.

    createRuntime, prestart    up: attach; a failure stops the container
    poststop                   down: detach; it never fails, for runc would skip
                               the hooks after it
    (none)                     told from the state's status

The registration says through whose hands the annotations went. A bundle's own
entry, from `ocinet hooks add`, is as good as the bundle. One in a hooks
directory serves every container of an engine, and the annotations may be the
image's: those count for nothing (`--hooks-dir`). `--always` there stands for
containers without any of our keys, too. One of a CDI device names the network
that the container has asked for by it (`--device=NETWORK`), and its annotations
may be the image's as well.

Failures are one line on stderr. crun and podman throw that away, so it is in
the event log as well. stdout stays empty.
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
from ocinet.base.names import check_network, did_you_mean
from ocinet.base.paths import Paths, own_environment
from ocinet.base.value import Value
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.records.settings import load as load_settings
from ocinet.hooks.entry.state import find_bundle, parse_state
from ocinet.request.annotations import DEFAULT_REQUEST, NET, OPTIONS, SANDBOX
from ocinet.request.cdi import DEVICE, devices_of, request_by_devices
from ocinet.request.config_json import has_private_sandbox, read_input
from ocinet.request.origin import sort_out
from ocinet.request.podman_files import Origin, look_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.engine.model.settings import Settings
    from ocinet.hooks.entry.state import State

    class Wiring(Protocol):
        """What the hook needs of an engine."""

        def __enter__(self) -> Wiring:
            """Be open for the length of a block."""

        def __exit__(self, *exception: object) -> None:
            """Close what was opened."""

        def attach(self, container: Container, request: Request, sandbox: Sandbox) -> Attachment:
            """Wire a sandbox."""

        def detach(self, container_id: str, *, bundle: str | None = None) -> bool:
            """Take the wiring down."""


STAGES = {"createRuntime": "up", "prestart": "up", "poststop": "down"}
FROM_HOOKS_DIR = "--hooks-dir"
ALWAYS = "--always"
TIMEOUT_S = 20.0  # well under the registration's, so that there is time to undo

_BY_STATUS = {"creating": "up", "created": "up", "stopped": "down"}
_BUILD_PREFIX = "buildah-"
_USAGE = f"use: hook.py {'|'.join(STAGES)} [{FROM_HOOKS_DIR} [{ALWAYS}] | {DEVICE}NETWORK]"


class Call(Value):
    """How the hook was called.

    Attributes:
        act: up or down; "" if the state is to tell.
        from_hooks_dir: the annotations may be an image's.
        always: containers without any of our keys are meant, too.
        device: the network of a CDI device; "" if it is none's entry.
    """

    act: str = ""
    from_hooks_dir: bool = False
    always: bool = False
    device: str = ""


def _open_engine(paths: Paths) -> Wiring:
    from ocinet.engine.engine import Engine  # who asks for nothing need not wait for it

    return Engine.open(paths, timeout_s=TIMEOUT_S)


def main(
    arguments: Sequence[str],
    *,
    stdin: int = 0,
    environment: Mapping[str, str] | None = None,
    open_engine: Callable[[Paths], Wiring] = _open_engine,
) -> int:
    """Run one stage.

    Args:
        arguments: the stage and its flags.
        stdin: the descriptor that has the state.
        environment: may be empty; None: this process's.
        open_engine: builds the engine; tests give their own.

    Returns:
        The exit status: 1 if the container must not start; always 0 at poststop.

    Effects:
        From here on SIGHUP, SIGINT and SIGTERM are ignored: half a wiring helps
        nobody, and the deadline is near.
    """
    for number in (SIGHUP, SIGINT, SIGTERM):
        signal(number, SIG_IGN)
    act = "down" if "poststop" in arguments else "up"
    try:
        paths = Paths.from_environment(own_environment() if environment is None else environment)
        log = EventLog(paths.run)
        call, state = _receive(arguments, stdin, log)
        act = call.act
        if act == "up":
            bring_up(state, call, paths, log, open_engine)
        elif not _is_build_step(state):
            take_down(state, paths, log, open_engine)
    except OcinetError as error:
        say(str(error))
    except Exception as error:  # noqa: BLE001  # the edge: a runtime shows one line, no traceback
        say(f"internal error: {type(error).__name__}: {error}{place(error)}")
    else:
        return 0
    return 0 if act == "down" else 1


def parse_call(arguments: Sequence[str]) -> Call:
    """Read the command line of a registration.

    Raises:
        RequestError: a stage or flag is not known.
    """
    act, device, flags = "", "", set()
    for argument in arguments:
        if argument in STAGES and not act:
            act = STAGES[argument]
        elif argument in (FROM_HOOKS_DIR, ALWAYS):
            flags.add(argument)
        elif argument.startswith(DEVICE) and not device:
            device = check_network(argument[len(DEVICE) :])
        else:
            hint = did_you_mean(argument, (*STAGES, FROM_HOOKS_DIR, ALWAYS))
            raise RequestError("cannot run the hook", f"{argument!r} is no stage", hint or _USAGE)
    from_hooks_dir = FROM_HOOKS_DIR in flags or bool(device)
    return Call(act, from_hooks_dir, ALWAYS in flags, device)


def bring_up(
    state: State,
    call: Call,
    paths: Paths,
    log: EventLog,
    open_engine: Callable[[Paths], Wiring] = _open_engine,
) -> None:
    """Attach a container that is being created, if it asks for it.

    Raises:
        OcinetError: it can't be done; the container must not start.
    """
    state = state.replace(bundle=find_bundle(state))
    origin = look_up(state.id, state.bundle) if call.from_hooks_dir else Origin(carried=frozenset())
    name = origin.name or state.id[:12]
    try:
        request = decide(state, call, origin, paths, log)
        if request is None:
            return
        name = request.name or name
        process = _process_of(state)
        sandbox = _open_sandbox(process, state, call, request)
    except OcinetError as error:
        raise _logged(error, log, f"cannot attach {name}", state.id) from error
    container = Container(state.id, name, state.bundle, process, "hook")
    with sandbox, _opened(open_engine, paths, log, container) as engine:
        engine.attach(container, request, sandbox)  # it logs what fails in there itself


def take_down(
    state: State,
    paths: Paths,
    log: EventLog,
    open_engine: Callable[[Paths], Wiring] = _open_engine,
) -> None:
    """Detach a container that has stopped.

    Raises:
        OcinetError: something of it is still there; `ocinet gc` has another go.
    """
    with _opened(open_engine, paths, log, Container(state.id, state.id[:12])) as engine:
        engine.detach(state.id, bundle=state.bundle)


def _receive(arguments: Sequence[str], stdin: int, log: EventLog) -> tuple[Call, State]:
    """Read the state and the command line; the act is settled after that.

    The state comes first, for crun dies of SIGPIPE if a hook ends without reading it.
    """
    try:
        text = read_input(stdin)
        call = parse_call(arguments)
        state = parse_state(text)
        return call.replace(act=call.act or _act_of(state)), state
    except OcinetError as error:
        log.append("hook failed", arguments=" ".join(arguments), error=str(error))
        raise


def _opened(
    open_engine: Callable[[Paths], Wiring], paths: Paths, log: EventLog, container: Container
) -> Wiring:
    try:
        return open_engine(paths)
    except OcinetError as error:
        what = f"cannot open the engine for {container.name}"
        raise _logged(error, log, what, container.id) from error


def _act_of(state: State) -> str:
    act = _BY_STATUS.get(state.status, "")
    if not act:
        raise RequestError("cannot run the hook", f"no stage is given, and the status "
                           f"{state.status[:20]!r} tells none", _USAGE)  # fmt: skip
    return act


def decide(
    state: State,
    call: Call,
    origin: Origin,
    paths: Paths,
    log: EventLog,
    *,
    private: bool | None = None,
) -> Request | None:
    """Return what the container asks for, or what it gets unasked, or None.

    Args:
        state: of a container whose bundle is there.
        call: through whose hands the annotations went.
        origin: where the container comes from.
        paths: of the installation.
        log: is told of keys that count for nothing.
        private: whether the runtime makes a sandbox for it; None: the bundle tells.

    Raises:
        RequestError: it asks for what is not legal, or may not be asked for.
    """

    def trusts() -> bool:
        return _settings(paths).trust_annotations

    wish = sort_out(state.annotations, origin.carried)
    if wish.dropped:
        log.append("image's keys ignored", container=state.id, name=origin.name,
                   keys=", ".join(wish.dropped))  # fmt: skip
    if call.from_hooks_dir:
        _check_uncut(dict(wish.keys).get(NET, ""), state)
        devices = devices_of(state.bundle)
        if call.device:
            if _is_build_step(state):
                return None
            asked = devices if call.device in devices else (*devices, call.device)
            return request_by_devices(asked, wish, trusts)
        if devices:
            return None  # that is the matter of the devices' own hooks
    request = wish.request(trusts)
    if request is None and _is_meant(state, call, paths, private=private):
        return DEFAULT_REQUEST
    return request


def _check_uncut(net: str, state: State) -> None:
    """Refuse a network list of which a piece is missing.

    podman 4 reads `--annotation` as CSV: what stands behind a comma becomes an
    annotation of its own, and the container would start with half of its networks.
    """
    pieces = [key for key, _ in state.annotations if key in OPTIONS]
    if pieces and ":" in net:
        why = f"podman has cut it at a comma: {pieces[0]}= is an annotation of its own now"
        raise RequestError(NET, why, f"quote it twice: --annotation '\"{NET}=…\"'")


def _is_meant(state: State, call: Call, paths: Paths, *, private: bool | None) -> bool:
    """Tell whether a container without our keys gets the default network.

    A bundle that has our entry does; a hooks directory's entry says it with
    `--always`. Only where the runtime makes a sandbox of its own: others have
    their network from somewhere else. Steps of a build never do.
    """
    if call.from_hooks_dir:
        if not call.always or _is_build_step(state):
            return False
        if _settings(paths).select == "labelled":
            return False
    return has_private_sandbox(state.bundle) if private is None else private


def _is_build_step(state: State) -> bool:
    """Tell containers of `podman build` and `buildah run`: they are named after their bundle."""
    bundle = state.bundle.rpartition("/")[2]
    return bool(bundle) and state.id == _BUILD_PREFIX + bundle


def _settings(paths: Paths) -> Settings:
    return load_settings(paths)


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
    sandbox = Sandbox.open_process(process)
    try:
        _check_sandbox(sandbox, state, call, request)
    except OcinetError:
        sandbox.close()
        raise
    return sandbox


def _check_sandbox(sandbox: Sandbox, state: State, call: Call, request: Request) -> None:
    expected = "" if call.from_hooks_dir else dict(state.annotations).get(SANDBOX, "")
    if expected and expected != sandbox.identity:
        raise RequestError("", f"its sandbox is not that of {request.target}: that has been "
                           "restarted", "run ocinet hooks add again")  # fmt: skip
    if request.mode == "host" and not sandbox.is_host:
        bundle, podman = "ocinet hooks add BUNDLE --net host", "start it with --network=host"
        raise RequestError("", "it has a network namespace of its own, which a hook can't exchange",
                           podman if call.from_hooks_dir else bundle)  # fmt: skip


def _logged(error: OcinetError, log: EventLog, what: str, container: str) -> OcinetError:
    """Return the error as the whole act's, having written it to the event log."""
    told = error.within(what)
    log.append("hook failed", container=container, error=str(told))
    return told


def place(error: BaseException) -> str:
    """Say where an error was raised, as the traceback's last line would."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"


def say(line: str) -> None:
    """Write one line to stderr, if there is one."""
    shown = " ".join(line.splitlines())
    try:
        posix.write(2, f"ocinet: {shown}\n".encode(errors="backslashreplace"))
    except OSError:
        return

"""One stage of a container's life, as a runtime calls it: up, or down.

Failures are one line on stderr, and in the event log. stdout stays empty. Which
stages there are, and what their flags mean, stands in `call`.
"""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGTERM,
    signal,
)

from ocinet.base.errors import OcinetError, told
from ocinet.base.events import EventLog
from ocinet.base.paths import Paths, own_environment
from ocinet.engine.model.attachment import Container
from ocinet.hooks.entry.call import act_by_status, parse_call
from ocinet.hooks.entry.engine_access import open_logged, opener
from ocinet.hooks.entry.report import internal, say
from ocinet.hooks.entry.state import is_build_step, parse_state
from ocinet.request.bounded_reads import read_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocinet.hooks.entry.call import Call
    from ocinet.hooks.entry.engine_access import OpenEngine, Preload
    from ocinet.hooks.entry.state import State

_ACTS = {"up": "attach", "down": "detach"}  # as figures and messages name them


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
    # Before anything can fail: runc skips the poststop hooks after one that does, so that stage
    # ends with 0 even where the rest of its command line can't be read.
    act = "down" if "poststop" in arguments else "up"
    log, container_id = None, ""
    try:
        paths = Paths.from_environment(own_environment() if environment is None else environment)
        log = EventLog(paths.run)
        call, state = _receive(arguments, stdin, log, act)
        act, container_id = call.act, state.id
        if act == "up":
            if preload:
                preload("created")
            from ocinet.hooks.entry.created import attach_created

            opens = open_engine or opener(preload, "attach")
            attach_created(state, call, paths, log, opens)
        elif not is_build_step(state):
            _detach_stopped(state, paths, log, open_engine or opener(preload, "detach"))
    except OcinetError as error:
        say(str(error))
    except Exception as error:  # noqa: BLE001  # the edge: a runtime shows one line, no traceback
        line = _line_of(error, f"cannot {_ACTS[act]} {container_id}")
        say(line)
        if log:
            cause = "system" if isinstance(error, OSError) else "internal"
            log.append(
                "hook failed", container=container_id, act=_ACTS[act], cause=cause, error=line
            )
    else:
        return 0
    return 0 if act == "down" else 1


def _line_of(error: Exception, what: str) -> str:
    """Spell what nobody has expected; what a system call refused is not of our making."""
    return str(told(what.rstrip(), error)) if isinstance(error, OSError) else internal(error)


def _receive(arguments: Sequence[str], stdin: int, log: EventLog, act: str) -> tuple[Call, State]:
    """Read the state and the command line; the act is settled after that.

    The state comes first, for crun dies of SIGPIPE if a hook ends without reading it.
    """
    try:
        text = read_input(stdin)
        call = parse_call(arguments)
        state = parse_state(text)
        return call.replace(act=call.act or act_by_status(state.status)), state
    except OcinetError as error:
        words = " ".join(arguments)
        log.append(
            "hook failed", arguments=words, act=_ACTS[act], cause=error.cause, error=str(error)
        )
        raise


def _detach_stopped(state: State, paths: Paths, log: EventLog, open_engine: OpenEngine) -> None:
    """Detach a container that has stopped.

    Raises:
        OcinetError: something of it is still there; `ocinet gc` has another go.
    """
    container = Container(state.id, state.id[:12])
    with open_logged(open_engine, paths, log, container, "detach") as engine:
        engine.detach(state.id, bundle=state.bundle)

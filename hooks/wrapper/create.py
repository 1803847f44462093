"""The runtime wrapper: what `ocinet-runtime create` does around the runtime's create.

Docker, podman, containerd and people call it in a runtime's place. If the
container is one of ours, its `config.json` is edited before the runtime reads
it, and its sandbox is wired when the runtime is done: nobody can start the
container before we have ended. All others, and all that the runtime will refuse
anyway, is the runtime's alone.

A hook would do as well, and does so where there is no `--pid-file`. But it would
be one more process to start, and crun and podman throw away what a hook says.
Here the engine is loaded while the runtime works, and a create that fails has
nothing to be taken down.

Whose container it is, is read from files: Docker holds the container's lock
meanwhile, and is not listening yet when it starts containers at boot.
"""

from __future__ import annotations

import posix
import sys

from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.jsontext import dumps, loads
from ocinet.base.paths import VARIABLES, Paths
from ocinet.base.value import Value
from ocinet.hooks.wrapper import runtime_process
from ocinet.hooks.wrapper.runtime_call import parse_runtime_call
from ocinet.request.bounded_reads import read_file
from ocinet.request.docker_files import NONE, find_docker

# What only our own containers need is imported when it is known that it is one:
# under Docker's `default-runtime` most are not.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ocinet.base.clock import Process
    from ocinet.hooks.entry.engine_access import OpenEngine, Preload
    from ocinet.hooks.wrapper.injection import Injected
    from ocinet.hooks.wrapper.intent import Site
    from ocinet.hooks.wrapper.runtime_call import RuntimeCall
    from ocinet.request.docker_files import DockerContainer

    Json = dict[str, Any]

_LONGEST_CONFIG = 16 << 20  # an engine's own limit is the kernel's for arguments: 2 MiB
_NO_FILES = ("journald:", "syslog:")  # other places that crun logs to
_FAILED = 1


class Runtime:
    """The program that is wrapped; tests have another."""

    def become(self, program: str, arguments: Sequence[str]) -> int:
        """Become it; never comes back."""
        runtime_process.become(program, arguments)

    def run(
        self, program: str, arguments: Sequence[str], meanwhile: Callable[[], object] | None = None
    ) -> int:
        """Run it to its end, and return its exit status; see `runtime_process.run`."""
        return runtime_process.run(program, arguments, meanwhile)


class _Job(Value):
    """One create, and who does what for it.

    Attributes:
        call: of the runtime.
        program: the real one.
        arguments: that it gets.
        site: where we are.
        runtime: runs it.
        open_engine: builds the engine.
        preload: loads a part of the preload, if there is one.
    """

    call: RuntimeCall
    program: str
    arguments: Sequence[str]
    site: Site
    runtime: Runtime
    open_engine: OpenEngine
    preload: Preload | None


def main(
    words: Sequence[str],
    *,
    runtime: Runtime | None = None,
    open_engine: OpenEngine | None = None,
    preload: Preload | None = None,
) -> int:
    """Do what a runtime was told to do, with our part in the container.

    Args:
        words: "runtime", `NAME=VALUE` for our own environment, the runtime's
            absolute path, and its arguments.
        runtime: runs the real one.
        open_engine: builds the engine; None: the real one.
        preload: loads a part of the preload, if there is one.

    Returns:
        The runtime's exit status, or 1 if the container must not be made.
    """
    runtime = runtime or Runtime()
    environment, program, arguments = _split_words(words[1:])
    call = parse_runtime_call(arguments, posix.getcwd())
    if call.starts:
        from ocinet.hooks.wrapper.start import tell_names

        tell_names(call.starts, Paths.from_environment(environment), open_engine, preload)
        return runtime.become(program, arguments)
    try:
        config = _read_config(call.config) if call.verb else None
        docker = None if config is None else find_docker(config, call.id)
        if config is None or (docker and docker.mode != NONE):
            return runtime.become(program, arguments)
        if preload:
            preload("injection")
        from ocinet.hooks.entry.engine_access import opener

        open_engine = open_engine or opener(preload, "attach")
        site = _site(environment)
        job = _Job(call, program, arguments, site, runtime, open_engine, preload)
        return _make(job, config, docker)
    except OcinetError as error:
        return _refuse(str(error), call)
    except Exception as error:  # noqa: BLE001  # the edge: an engine shows one line, no traceback
        from ocinet.hooks.entry.report import internal

        return _refuse(internal(error), call)


def _make(job: _Job, config: Json, docker: DockerContainer | None) -> int:
    """Have a container made that may be one of ours."""
    from ocinet.hooks.entry.engine_access import load_engine
    from ocinet.hooks.wrapper.injection import inject

    call = job.call
    attaches = call.verb == "create" and call.pid_file != ""
    # Without a pid file nobody would say afterwards which process to wire.
    injected = inject(config, call, docker, job.site, up_hook=not attaches)
    # `run` stays for as long as the container lives, with its terminal: there
    # must be no process between. What crun leaves of a failed one is gc's.
    if injected is None or call.verb == "run":
        return job.runtime.become(job.program, job.arguments)
    if not attaches:
        return _create_with_hook(job)
    status = job.runtime.run(job.program, job.arguments, lambda: load_engine(job.preload, "attach"))
    if status == 0:
        _attach_or_delete(job, injected)
    return status


def _split_words(words: Sequence[str]) -> tuple[dict[str, str], str, Sequence[str]]:
    environment = {}
    # The launcher has these from who installed it; what the engine's environment says of our
    # directories does not count.
    index = 0
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in VARIABLES:
            break
        environment[name] = value
        index += 1
    return environment, words[index], words[index + 1 :]


def _read_config(path: str) -> Json | None:
    """Return a config, or None where the runtime has more to say about what is wrong."""
    try:
        config = loads(read_file(path, _LONGEST_CONFIG), path, _LONGEST_CONFIG)
    except (OcinetError, OSError):
        return None
    return config if isinstance(config, dict) else None


def _site(environment: dict[str, str]) -> Site:
    """Return where we are; hooks run by this interpreter, from beside this file, or what lasts."""
    from ocinet.base.events import EventLog
    from ocinet.hooks.config.hook_entry import SEARCH_PATH, Registration, lasting
    from ocinet.hooks.wrapper.intent import Site

    paths = Paths.from_environment(environment)
    script = f"{__file__.rsplit('/', 2)[0]}/hook.py"
    moved = (f"{name}={value}" for name, value in environment.items())
    named = lasting(sys.executable, script)
    registration = Registration(*named, (f"PATH={SEARCH_PATH}", *moved))
    return Site(paths, EventLog(paths.run), registration)


def _create_with_hook(job: _Job) -> int:
    """Run a create that attaches by a hook; crun runs no poststop if it fails then."""
    status = job.runtime.run(job.program, job.arguments)
    if status:
        from ocinet.engine.model.attachment import Container
        from ocinet.hooks.entry.engine_access import open_logged

        container = Container(job.call.id, job.call.id[:12])
        try:
            with open_logged(job.open_engine, job.site.paths, job.site.log, container) as engine:
                engine.detach(container.id, bundle="")
        except OcinetError:
            return status  # it is in the event log; the engine must hear why create failed
    return status


def _attach_or_delete(job: _Job, injected: Injected) -> None:
    """Attach the container that the runtime has created; without a network it must not stay.

    Raises:
        OcinetError: it can't be attached; it is gone again.
    """
    try:
        _attach(job, injected)
    except BaseException:
        # With the runtime's own options: `--root` says where it knows the container.
        job.runtime.run(job.program, (*job.call.options, "delete", "--force", job.call.id))
        raise


def _attach(job: _Job, injected: Injected) -> None:
    from ocinet.engine.model.attachment import Container
    from ocinet.hooks.entry.engine_access import open_sandbox
    from ocinet.hooks.wrapper.injection import refused

    call, site, request = job.call, job.site, injected.request
    name = request.name or call.id[:12]
    try:
        process = _process_of(call.pid_file)
        sandbox = open_sandbox(process, injected.sandbox, request.target, "start it again")
        try:
            engine = job.open_engine(site.paths)
        except OcinetError:
            sandbox.close()
            raise
    except OcinetError as error:
        raise refused(error, name, call, site) from error
    # No bundle: what the runtime will call it at poststop can't be known here.
    container = Container(call.id, name, "", process, "wrapper")
    with sandbox, engine:
        # It logs what fails in there itself.
        engine.attach(container, request, sandbox, injected.rootfs)


def _process_of(pid_file: str) -> Process:
    """Return the container's first process, by the file that the runtime has just written.

    Raises:
        RequestError: the process is gone, or is not of this create.
    """
    from ocinet.base.clock import Process

    try:
        pid = int(read_file(pid_file, 64))
    except (OSError, ValueError) as error:
        raise RequestError("", f"{pid_file} has no process id: {error}") from error
    process, own = Process.of(pid), Process.of(posix.getpid())
    if process is None:
        raise RequestError("", f"process {pid} is gone")
    # The runtime has just started it. One that is older is of a file that was there before.
    if own and process.start_time < own.start_time:
        raise RequestError("", f"process {pid} is older than this create: it is another one")
    return process


def _refuse(line: str, call: RuntimeCall) -> int:
    """Say why there is no container: on stderr, and where engines look for it."""
    from ocinet.hooks.entry.report import say

    say(line)
    if call.log and not call.log.startswith(_NO_FILES):
        _append(call.log.removeprefix("file:"), f"ocinet: {line}", call.log_format)
    return _FAILED


def _append(path: str, message: str, log_format: str) -> None:
    """Write one line of error as a runtime writes its own; a log that can't be written is none."""
    from ocinet.base.clock import now

    record = {"level": "error", "msg": " ".join(message.splitlines()), "time": now()}
    if log_format == "json":
        line = dumps(record)
    else:
        line = f"time={dumps(record['time'])} level=error msg={dumps(record['msg'])}"
    try:
        fd = posix.open(
            path, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC, 0o644
        )
        try:
            posix.write(fd, f"{line}\n".encode())
        finally:
            posix.close(fd)
    except OSError:
        return

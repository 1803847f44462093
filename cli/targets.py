"""TARGET: which container or sandbox a person means.

pid:4711                a process, and the sandbox that it lives in
netns:/run/netns/web    a sandbox by the path of its file
web, 6f2a…              a container: name, id, or an id's start; one that ocinet knows,
                        else Docker's, podman's, runc's or crun's; see `engine_names`
docker:web              Docker's, as are podman:web, runc:web and crun:web
"""

from __future__ import annotations

import os

from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, NotFoundError, RequestError, SystemFailure
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.cli.engine_names import running, split_engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import Request
from ocinet.request.annotations import NET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.cli.engine_names import LookUp
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment

METAVAR = "TARGET"
HELP = "a container's name, id or the start of its id (docker:, podman: or runc: before it \
says whose), pid:N or netns:PATH"
_PID = "pid:"
_NETNS = "netns:"


class Target(Value):
    """A container and its open sandbox.

    Attributes:
        container: as it is recorded, or as it will be.
        sandbox: to be closed by the caller.
    """

    container: Container
    sandbox: Sandbox


def open_target(
    engine: Engine, text: str, look_up: LookUp, *, container_id: str = "", name: str = ""
) -> Target:
    """Open the sandbox that a target means.

    Args:
        engine: that knows containers.
        text: see the module.
        look_up: whom other engines know, where ours knows nobody.
        container_id: for a process or a namespace that has no record yet; ""
            means the name, `pid-N`, or the last part of the namespace's path.
        name: the same; "" means the first 12 characters of the id.

    Raises:
        NotFoundError: there is no such process, file or container.
        RequestError: the text, id or name is not legal.
        ConflictError: the sandbox is known under another id or name.
    """
    if not text.startswith((_PID, _NETNS)):
        if container_id:
            raise RequestError("", "--id does not go with a container that has one", "leave it out")
        return _open_container(engine, text, look_up, name)
    process: Process | None = None
    if text.startswith(_PID):
        process = _process(text)
        sandbox = Sandbox.open_process(process)
        default = f"pid-{process.pid}"
    else:
        path = _path(text)
        sandbox = Sandbox.open_path(path)
        default = os.path.basename(path)
    try:
        owner = engine.containers.of_sandbox(sandbox.identity)
        if owner:
            _check_same(owner.container, text, container_id, name)
            return Target(owner.container, sandbox)
        own_id = check_container(container_id or name or default)
        own_name = check_container(name, "container name") if name else own_id[:12]
        return Target(Container(own_id, own_name, process=process), sandbox)
    except BaseException:
        sandbox.close()
        raise


def _open_container(engine: Engine, text: str, look_up: LookUp, name: str) -> Target:
    """Open the sandbox of a container by its name or id, whoever knows it."""
    found = _find(engine, text, look_up)
    if isinstance(found, Container):
        return _open_running(engine, found.replace(name=name or found.name))
    try:
        return Target(found.container, engine.open_sandbox(found))
    except NotFoundError:
        # Its record may be of an earlier one of that name, which nobody has taken down yet.
        heir = running(text, look_up)
        if heir is None or heir.id == found.container.id:
            raise
        return _open_running(engine, heir)


def _open_running(engine: Engine, container: Container) -> Target:
    if container.process is None:  # `running` has seen to that
        raise NotFoundError("", f"{container.name} does not run")
    sandbox = Sandbox.open_process(container.process)
    try:
        # It may share the sandbox of one that is known: two records would wire it twice.
        owner = engine.containers.of_sandbox(sandbox.identity)
    except BaseException:
        sandbox.close()
        raise
    return Target(owner.container if owner else container, sandbox)


def _check_same(recorded: Container, text: str, container_id: str, name: str) -> None:
    """Refuse a second id or name for one sandbox: its links would be made twice."""
    if container_id not in ("", recorded.id) or name not in ("", recorded.id, recorded.name):
        raise ConflictError(
            "",
            f"{text} is the sandbox of {recorded.name} already",
            f"leave --id and --name out, or detach {recorded.name} first",
        )


def find_record(engine: Engine, text: str, look_up: LookUp) -> Attachment:
    """Return the record that a target means; it need not be alive.

    Args:
        engine: that knows containers.
        text: see the module.
        look_up: whom other engines know, where ours knows nobody.

    Raises:
        NotFoundError: there is none; of a container that another engine runs it says so.
        RequestError: the text is not legal, or means several.
    """
    if not text.startswith((_PID, _NETNS)):
        found = _find(engine, text, look_up)
        if isinstance(found, Container):
            why = f"{found.name} runs, but ocinet made nothing for it"
            raise NotFoundError("", why, f"ocinet attach {text}")
        return found
    identity = ""
    try:
        if text.startswith(_PID):
            default = f"pid-{_pid(text)}"
            sandbox = Sandbox.open_process(_process(text))
        else:
            default = os.path.basename(_path(text))
            sandbox = Sandbox.open_path(_path(text))
        identity = sandbox.identity
        sandbox.close()
    except NotFoundError:
        pass  # gone: its default id may still be on record
    record = engine.containers.of_sandbox(identity) if identity else None
    record = record or engine.containers.get(check_container(default))
    if record is None:
        raise NotFoundError("", f"ocinet made nothing for {text}", "see: ocinet ps")
    return record


def read_shared(
    engine: Engine, request: Request, annotations: dict[str, str], look_up: LookUp
) -> tuple[Request, Container | None]:
    """Read whose sandbox `container:` means, whichever engine has that one.

    Args:
        engine: that knows containers.
        request: of the annotations.
        annotations: that flags were read as; they may name an engine.
        look_up: whom other engines know.

    Returns:
        The request, with an id for what only another engine knows by that name; and that
        container, if ocinet has no record of it.

    Raises:
        OcinetError: as `find_record`.
    """
    if request.mode != "container":
        return request, None
    text = annotations[NET].partition(":")[2]
    try:
        found = _find(engine, text, look_up)
    except NotFoundError:
        return request, None  # who attaches says so; a bundle may be added before it comes
    if isinstance(found, Container):
        return request.replace(target=found.id), found
    is_plain = text == request.target
    return request if is_plain else request.replace(target=found.container.id), None


def record_shared(engine: Engine, container: Container | None) -> None:
    """Note down, as `--net none` does, a container whose sandbox is to be shared.

    It is found by its record.

    Args:
        engine: that notes it.
        container: of `read_shared`.

    Raises:
        OcinetError: it can't be.
    """
    if container:
        target = _open_running(engine, container)
        with target.sandbox as sandbox:
            engine.attach(target.container, Request("none"), sandbox)


def _find(engine: Engine, text: str, look_up: LookUp) -> Attachment | Container:
    """Return a container's record, or as its engine has it where there is none."""
    whose, _ = split_engine(text)
    listing = f"see: {whose} {'ps --all' if whose in ('docker', 'podman') else 'list'}"
    unknown = NotFoundError("", f"{whose} knows no container {text}", listing)
    if not whose:
        try:
            return engine.containers.find(text)
        except NotFoundError as error:
            unknown = error
    try:
        container = running(text, look_up)
    except SystemFailure as error:
        # An engine that is down may have it, or not: nobody here has, which is what counts.
        raise NotFoundError("", f"{unknown.why}; {error}", unknown.hint) from error
    if container is None:
        raise unknown
    return engine.containers.get(container.id) or container


def _pid(text: str) -> int:
    number = text[len(_PID) :]
    if not (number.isascii() and number.isdigit() and 0 < int(number[:12]) < 1 << 31):
        raise RequestError("", f"{text!r} names no process", "as in pid:4711")
    return int(number)


def _process(text: str) -> Process:
    pid = _pid(text)
    process = Process.of(pid)
    if process is None:
        raise NotFoundError("", f"there is no process {pid}")
    return process


def _path(text: str) -> str:
    path = text[len(_NETNS) :]
    if not path.startswith("/"):
        raise RequestError("", f"{text!r} has no absolute path", "as in netns:/run/netns/web")
    return path

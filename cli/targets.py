"""TARGET: which container or sandbox a person means.

pid:4711                a process, and the sandbox that it lives in
netns:/run/netns/web    a sandbox by the path of its file
web, 6f2a…              a container that ocinet knows: name, id, or an id's start
"""

from __future__ import annotations

import os

from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment

METAVAR = "TARGET"
HELP = "pid:N, netns:PATH, or a container's name, id or the start of its id"
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


def open_target(engine: Engine, text: str, *, container_id: str = "", name: str = "") -> Target:
    """Open the sandbox that a target means.

    Args:
        engine: that knows containers.
        text: see the module.
        container_id: for a process or a namespace that has no record yet; ""
            means the name, `pid-N`, or the last part of the namespace's path.
        name: the same; "" means the first 12 characters of the id.

    Raises:
        NotFoundError: there is no such process, file or container.
        RequestError: the text, id or name is not legal.
        ConflictError: the sandbox is known under another id or name.
    """
    process: Process | None = None
    if text.startswith(_PID):
        process = _process(text)
        sandbox = Sandbox.open_process(process)
        default = f"pid-{process.pid}"
    elif text.startswith(_NETNS):
        path = _path(text)
        sandbox = Sandbox.open_path(path)
        default = os.path.basename(path)
    else:
        if container_id:
            raise RequestError(
                "", "--id does not go with a container that is known already", "leave it out"
            )
        record = engine.containers.find(text)
        return Target(record.container, engine.open_sandbox(record))
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


def _check_same(recorded: Container, text: str, container_id: str, name: str) -> None:
    """Refuse a second id or name for one sandbox: its links would be made twice."""
    if container_id not in ("", recorded.id) or name not in ("", recorded.id, recorded.name):
        raise ConflictError(
            "",
            f"{text} is the sandbox of {recorded.name} already",
            f"leave --id and --name out, or detach {recorded.name} first",
        )


def find_record(engine: Engine, text: str) -> Attachment:
    """Return the record that a target means; it need not be alive.

    Raises:
        NotFoundError: there is none.
        RequestError: the text is not legal, or means several.
    """
    if not text.startswith((_PID, _NETNS)):
        return engine.containers.find(text)
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

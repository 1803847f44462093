"""The engine, as hook and wrapper use it: opened once it is known that there is something to do."""

from __future__ import annotations

import sys

from ocinet.base.errors import OcinetError, RequestError
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.hooks.entry.report import logged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.clock import Process
    from ocinet.base.events import EventLog
    from ocinet.base.paths import Paths
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.request import Request

    class HookEngine(Protocol):
        """What hook and wrapper need of an engine."""

        def __enter__(self) -> HookEngine:
            """Be open for the length of a block."""

        def __exit__(self, *exception: object) -> None:
            """Close what was opened."""

        def attach(self, container: Container, request: Request, sandbox: Sandbox) -> Attachment:
            """Wire a sandbox."""

        def detach(self, container_id: str, *, bundle: str | None = None) -> bool:
            """Take the wiring down."""

    OpenEngine = Callable[[Paths], HookEngine]
    Preload = Callable[[str], None]

_ENGINE = "ocinet.engine.engine"
TIMEOUT_S = 20.0  # well under the registration's, so that there is time to undo


def opener(preload: Preload | None) -> OpenEngine:
    """Return what opens the engine of an installation.

    Args:
        preload: loads a part of the preload, if there is one.
    """

    def open_engine(paths: Paths) -> HookEngine:
        load_engine(preload)
        from ocinet.engine.engine import Engine

        return Engine.open(paths, timeout_s=TIMEOUT_S)

    return open_engine


def load_engine(preload: Preload | None) -> None:
    """Load the engine's modules: who asks for nothing need not wait for them."""
    if preload and _ENGINE not in sys.modules:  # the wrapper has loaded it ahead
        preload("engine")
    import ocinet.engine.engine  # noqa: F401


def open_logged(opens: OpenEngine, paths: Paths, log: EventLog, container: Container) -> HookEngine:
    """Open an engine for a container; that it can't be is in the event log then.

    Raises:
        OcinetError: it can't be opened.
    """
    try:
        return opens(paths)
    except OcinetError as error:
        what = f"cannot open the engine for {container.name}"
        raise logged(error, log, "hook failed", what=what, container=container.id) from error


def open_sandbox(process: Process, identity: str, target: str, hint: str) -> Sandbox:
    """Open a process's sandbox, which must be the one that was meant.

    Args:
        process: of a container.
        identity: `DEV:INODE` of the sandbox that was meant; "" stands for any.
        target: whose it was.
        hint: what to do if it is another one.

    Raises:
        RequestError: it is another one.
        SystemFailure: it can't be opened.
    """
    sandbox = Sandbox.open_process(process)
    if identity in ("", sandbox.identity):
        return sandbox
    sandbox.close()
    raise RequestError("", f"its sandbox is not that of {target}: that has been restarted", hint)

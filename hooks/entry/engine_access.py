"""The engine, as hook and wrapper use it: opened once it is known that there is something to do."""

from __future__ import annotations

import sys

from ocinet.base.errors import OcinetError, RequestError
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.hooks.entry.on_demand import load_on_demand
from ocinet.hooks.entry.report import logged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.clock import Process
    from ocinet.base.events import EventLog
    from ocinet.base.paths import Paths
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.request import Request

    class HookEngine(Protocol):
        """What hook and wrapper need of an engine."""

        def __enter__(self) -> HookEngine:
            """Be open for the length of a block."""

        def __exit__(self, *exception: object) -> None:
            """Close what was opened."""

        def attach(
            self,
            container: Container,
            request: Request,
            sandbox: Sandbox,
            rootfs: Rootfs | None = None,
        ) -> Attachment:
            """Wire a sandbox."""

        def tell_names(self, container_id: str) -> None:
            """Write names into files that could not have them when it was attached."""

        def detach(self, container_id: str, *, bundle: str | None = None) -> bool:
            """Take the wiring down."""

    OpenEngine = Callable[[Paths], HookEngine]
    Preload = Callable[[str], None]

_ENGINE = "ocinet.engine.lifecycle"
# An emulated machine at its boot had not done an attach in 20 s. Well under the
# registration's, so that there is time to undo.
TIMEOUT_S = 45.0


def opener(preload: Preload | None, act: str) -> OpenEngine:
    """Return what opens the engine of an installation.

    Args:
        preload: loads a part of the preload, if there is one.
        act: what it is opened for: "attach" or "detach".

    Effects:
        What few need is loaded from there as well, as it is imported.
    """
    if preload:
        load_on_demand(preload, act)

    def open_engine(paths: Paths) -> HookEngine:
        load_engine(preload, act)
        from ocinet.engine.lifecycle import Lifecycle

        return Lifecycle.open(paths, timeout_s=TIMEOUT_S)

    return open_engine


def load_engine(preload: Preload | None, act: str) -> None:
    """Load the engine's modules: who asks for nothing need not wait for them.

    Args:
        preload: loads a part of the preload, if there is one.
        act: "attach" or "detach": the one has little use for what the other needs.
    """
    if preload and _ENGINE not in sys.modules:  # the wrapper has loaded it ahead
        preload(act)
    import ocinet.engine.lifecycle

    if act == "attach":
        import ocinet.engine.attach
    else:
        import ocinet.engine.detach  # noqa: F401


def open_logged(
    opens: OpenEngine, paths: Paths, log: EventLog, container: Container, act: str = "attach"
) -> HookEngine:
    """Open an engine for a container; that it can't be is in the event log then.

    Args:
        opens: opens it.
        paths: of the installation.
        log: is told.
        container: whom it is for.
        act: attach or detach.

    Raises:
        OcinetError: it can't be opened.
    """
    try:
        return opens(paths)
    except OcinetError as error:
        what = f"cannot open the engine for {container.name}"
        raise logged(
            error, log, "hook failed", what=what, container=container.id, name=container.name,
            act=act,
        ) from error  # fmt: skip


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

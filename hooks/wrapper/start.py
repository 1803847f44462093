"""What `ocinet-runtime start` does before the runtime's: names, in files that are there by now.

Docker from 26 on, and podman from 5 on, write a container's `/etc/hosts` when the runtime has
created it, so that create can't. The launcher comes here for those containers alone whose
record says so; everybody else's start is the runtime's.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError, told
from ocinet.base.events import WARNED, EventLog
from ocinet.hooks.entry.engine_access import opener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.hooks.entry.engine_access import OpenEngine, Preload


def tell_names(
    container_id: str, paths: Paths, open_engine: OpenEngine | None, preload: Preload | None
) -> None:
    """Have a container find itself in files that its engine has written since it was created.

    Never raises: it has its network, and what is missing is names. That is an event.

    Args:
        container_id: whole, as the engine gave it.
        paths: of the installation.
        open_engine: builds the engine; None: the real one.
        preload: loads a part of the preload, if there is one.
    """
    try:
        with (open_engine or opener(preload, "attach"))(paths) as engine:
            engine.tell_names(container_id)
    except (OcinetError, OSError) as error:
        failure = (
            told(f"cannot name {container_id}", error) if isinstance(error, OSError) else error
        )
        name = container_id[:12]  # its record may be what can't be read
        EventLog(paths.run).append(WARNED, container=container_id, name=name, warning=str(failure))

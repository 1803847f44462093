"""What a container calls itself, where its user says more than its engine does.

Loaded by who has such a wish alone.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.naming import Place
from ocinet.engine.plan.name_steps import SetHostname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Machine


def plan_hostname(
    machine: Machine,
    files: seams.NameFiles,
    process: Process,
    wished: str,
    rootfs: Rootfs | None,
) -> tuple[SetHostname, ...]:
    """Return the step that has a container call itself as it is wished.

    What can't be, is a warning: others find it by that name, and so does it itself.

    Args:
        machine: that it is done on.
        files: the container's own.
        process: its first one.
        wished: its hostname.
        rootfs: of a container that has not been started: what its runtime has yet to set.

    Effects:
        `machine.unnamed`, where its engine may set another one until it has started.
    """
    if rootfs and rootfs.hostname == wished:
        return ()
    if rootfs and rootfs.hostname:
        machine.warnings.append(
            f"it calls itself {rootfs.hostname}, which its runtime sets when all hooks are done:"
            f" start it with --hostname={wished}, or a bundle by ocinet hooks add"
        )
        return ()
    if rootfs and rootfs.refilled:
        machine.unnamed = True
        return ()
    try:
        before = files.exchange_hostname(process)
    except OcinetError as error:
        machine.warnings.append(str(error))
        return ()
    if not before:
        machine.warnings.append("it has the host's hostname for its own, which stays as it is")
    return (SetHostname(Place(process), wished, before),) if before not in ("", wished) else ()

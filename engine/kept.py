"""The host ports that were chosen for a container, kept for its name."""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import OcinetError
from ocinet.engine.former import ports_again
from ocinet.engine.records.kept_ports import KeptPort, KeptPorts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Publish
    from ocinet.engine.operation import Operation


def keep_ports(
    paths: Paths, operation: Operation, attachment: Attachment, wishes: tuple[Publish, ...]
) -> tuple[str, ...]:
    """Keep the host ports that were chosen; what is kept for the name already stays.

    Args:
        paths: of the installation.
        operation: by whose time and log it goes.
        attachment: as it is now.
        wishes: what was asked for.

    Returns:
        What could not be kept, one line each: the container runs all the same.
    """
    name = attachment.container.name
    store = KeptPorts(paths, deadline=operation.deadline)
    warnings = []
    try:
        known = [kept for kept in store.all() if kept.name == name]
        for wish, publish in zip(wishes, ports_again(attachment, wishes), strict=True):
            if publish != wish and not any(kept.is_for(wish) for kept in known):
                kept = KeptPort(name, publish, now())
                store.add(kept)
                operation.log.append("port kept", port=str(kept.claim), name=name)
    except OcinetError as error:
        warnings.append(f"the ports of {name} are not kept: {error.why}")
        operation.tell_warnings(attachment.container, warnings)
    return tuple(warnings)

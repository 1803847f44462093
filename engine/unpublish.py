"""Taking published ports of a running container back."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError
from ocinet.engine.journal import go_through
from ocinet.engine.plan.detach import close_ports
from ocinet.engine.port_owners import close_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.request import Publish
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def unpublish(
    operation: Operation,
    machine: Machine,
    records: Records,
    container_id: str,
    publishes: tuple[Publish, ...],
) -> Attachment:
    """Take published ports of a container back; returns its record.

    Args:
        operation: by whose time, locks and log it goes.
        machine: whose firewall opens them.
        records: who has which.
        container_id: whole.
        publishes: a host port of 0 means every one that leads to the container
            port; no host address means whatever it is.

    Raises:
        NotFoundError: one of them is not published; nothing has changed then.
    """
    with operation.locks.container(container_id):
        record = records.attachments.get(container_id)
        if record is None:
            raise NotFoundError(f"cannot unpublish ports of {container_id}", "it was just detached")
        # All are found before the first goes. Then firewall, record, claim: a kill leaves a closed
        # port claimed, and never an open one that somebody else may claim.
        going = dict.fromkeys(port for wish in publishes for port in _matches(record, wish))
        before = machine.firewall.observe()
        go_through(operation, machine, close_ports(tuple(going)))
        record = record.replace(ports=tuple(port for port in record.ports if port not in going))
        records.attachments.put(record)
        close_again(machine.firewall, tuple(going), before)
        records.ports.release(container_id, tuple(going))
    operation.log.append("unpublished", container=container_id, ports=len(going))
    return record


def _matches(record: Attachment, wish: Publish) -> list[PortRule]:
    """Return the published ports that a wish means.

    Raises:
        NotFoundError: there is none.
    """
    matches = [
        port
        for port in record.ports
        if port.serves(wish)
        or (not wish.host_address and port.replace(host_address=None).serves(wish))
    ]
    if not matches:
        raise NotFoundError(
            f"cannot unpublish ports of {record.container.name}",
            f"{f'{wish.host_port}:' if wish.host_port else ''}"
            f"{wish.container_port}/{wish.protocol} is not published",
            "see: ocinet ps",
        )
    return matches

"""Putting back what others took from a sandbox that was wired: addresses of IPv6."""

from __future__ import annotations

from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.plan.attach import inside_of, source_ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.plug import Plug
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def has_ipv6(record: Attachment) -> bool:
    """Tell whether a container was given an address of IPv6."""
    made: list[Endpoint | Plug] = [*record.endpoints, *record.plugs]
    return any(own.address.family == 6 for each in made for own in each.addresses)


def _lacks(made: Endpoint | Plug, there: dict[str, tuple[Interface, ...]]) -> bool:
    """Tell whether an interface has lost an address of IPv6, or is gone."""
    own = [interface for interface in made.addresses if interface.address.family == 6]
    return not set(own) <= set(there.get(made.ifname, ()))


def restore_ipv6(
    operation: Operation,
    machine: Machine,
    records: Records,
    container_id: str,
    sandbox: seams.Sandbox,
) -> bool:
    """Give a container the addresses of IPv6, and their routes, that it has lost.

    Docker up to version 25 writes `net.ipv6.conf.all.disable_ipv6=1` into the sandbox of
    a `none` container, from a prestart hook (libnetwork's osl/namespace_linux.go,
    GetSandboxForExternalKey). Whoever has wired it before loses them all.

    Args:
        operation: by whose locks and log it goes.
        machine: with the sandboxes' insides.
        records: what it was given.
        container_id: whole.
        sandbox: that it is in; of another one nothing is on record, so nothing is done.

    Returns:
        Whether something was missing.

    Raises:
        KernelError: an address or route was refused.
    """
    with operation.locks.container(container_id):
        record = records.attachments.get(container_id)
        if record is None or record.state != ATTACHED or record.sandbox != sandbox.identity:
            return False
        there = {link.ifname: link.addresses for link in machine.insides.look_inside(sandbox)}
        lacking = [endpoint for endpoint in record.endpoints if _lacks(endpoint, there)]
        # A link that is gone as a whole is the other one's, who is not there now.
        cut = [plug for plug in record.plugs if plug.ifname in there and _lacks(plug, there)]
        for plug in cut:
            from ocinet.engine.model.cable import inside_of_end  # for the few that have one

            machine.warnings += machine.insides.configure(sandbox, inside_of_end(plug))
        for endpoint in lacking:
            # The MAC is the same: nobody has to be told.
            machine.warnings += machine.insides.configure(
                sandbox, inside_of(endpoint, announce=False)
            )
        if lacking and len(record.endpoints) > 1:  # with the addresses went their own routes
            names = dict.fromkeys(endpoint.network for endpoint in record.endpoints)
            found = (records.networks.find(name) for name in names)
            networks = tuple(network for network in found if network)
            ways = source_ways(record.endpoints, networks)
            machine.warnings += machine.insides.route_by_source(sandbox, ways) if ways else ()
    if lacking or cut:
        operation.log.append(
            "addresses of IPv6 restored", container=container_id, name=record.container.name
        )
    return bool(lacking or cut)

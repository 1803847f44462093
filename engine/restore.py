"""Putting back what others took from a sandbox that was wired: addresses of IPv6."""

from __future__ import annotations

from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.plan.attach import inside_of, source_ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


def has_ipv6(record: Attachment) -> bool:
    """Tell whether a container was given an address of IPv6."""
    return any(
        interface.address.family == 6
        for endpoint in record.endpoints
        for interface in endpoint.addresses
    )


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
        lacking = [
            endpoint
            for endpoint in record.endpoints
            if any(
                interface.address.family == 6 and interface not in there.get(endpoint.ifname, ())
                for interface in endpoint.addresses
            )
        ]
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
    if lacking:
        operation.log.append(
            "addresses of IPv6 restored", container=container_id, name=record.container.name
        )
    return bool(lacking)

"""Having a container found by its names: what an attach adds to its plan."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import OcinetError, RequestError
from ocinet.engine.model.served import NOBODY, lines_by_id, network_of
from ocinet.engine.plan.serving import is_between, names_in_line, served_container, served_network
from ocinet.engine.plan.serving_steps import ServeNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.served import ServedNetwork
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.wiring import Wiring
    from ocinet.engine.storage import Networks, Records

_ON_LAN = (
    "its containers are on the LAN, where the host is nobody's name server: they find each other"
    " by /etc/hosts"
)


def with_names(
    wiring: Wiring, before: Attachment, machine: Machine, networks: Networks
) -> tuple[Wiring, tuple[tuple[str, str], ...]]:
    """Return a wiring with the steps that have its container found by its names.

    Args:
        wiring: of the container.
        before: its record as it was.
        machine: with the name server.
        networks: that are defined.

    Returns:
        And the networks on which it can't be, each with the reason.
    """
    record = wiring.record
    defined = defined_of(record, networks)
    resolvers = resolvers_for(machine, defined)
    steps: list[ServeNames] = []
    flaws: list[tuple[str, str]] = []
    for name, network in defined.items():
        if network.is_lan and network.dns and names_in_line(record, name):
            flaws.append((name, _ON_LAN))
            continue
        where = served_on(machine, network)
        known = where and served_container(record, name, defined, resolvers)
        if not where or not known:
            continue
        was_served = name in before.served
        flaw = "" if was_served else _flaw(machine, where)
        if flaw:
            flaws.append((name, flaw))
            continue
        former = (
            served_container(before, name, defined_of(before, networks)) if was_served else None
        )
        steps.append(ServeNames(where, known, former))
    served = tuple(step.network.name for step in steps)
    return (
        wiring.replace(record=record.replace(served=served), steps=(*wiring.steps, *steps)),
        tuple(flaws),
    )


def _flaw(machine: Machine, where: ServedNetwork) -> str:
    """Return why nobody can be found by names there; that it can't be told is such a reason."""
    try:
        return machine.name_server.flaw(where)
    except OcinetError as error:
        return str(error)


def host_resolvers(machine: Machine) -> tuple[Address, ...]:
    """Return whom the host asks, but for those that are on one of its links alone."""
    found: list[Address] = []
    for text in machine.name_server.host_resolvers():
        try:
            found.append(Address.parse(text))
        except RequestError:  # as fe80::1%eth0
            continue
    return tuple(found[:3])


def resolvers_for(machine: Machine, defined: dict[str, Network]) -> tuple[Address, ...]:
    """Return whom the host asks, where who is on these networks needs to be told."""
    return host_resolvers(machine) if is_between(defined.values()) else ()


def served_on(machine: Machine, network: Network) -> ServedNetwork | None:
    """Return how a network's names are served, where nobody asks himself.

    A host that asks a network's name server, to know its containers by name, would have it ask
    itself for all that it does not know: one such question takes all its sockets.
    """
    where = served_network(network)
    if where is None or where.upstreams or where.internal:
        return where
    asked = host_resolvers(machine)
    others = tuple(each for each in asked if each not in where.gateways)
    return where if others == asked else where.replace(upstreams=others or (NOBODY,))


def defined_of(record: Attachment, networks: Networks) -> dict[str, Network]:
    """Return the networks that a container is on, by name, as they are defined."""
    found = (networks.find(endpoint.network) for endpoint in record.endpoints)
    return {network.name: network for network in found if network}


def without_unserved(wiring: Wiring, machine: Machine) -> Wiring:
    """Have the record tell of no network whose name server could not be told."""
    known = wiring.record.served
    served = tuple(name for name in known if name not in machine.unserved)
    return wiring.replace(record=wiring.record.replace(served=served))


def tell_unserved(
    operation: Operation, machine: Machine, flaws: tuple[tuple[str, str], ...]
) -> None:
    """Leave an event for a network whose names can't be served: once, not for each container."""
    for network, why in flaws:
        try:
            is_news = machine.name_server.is_news(network, why)
        except OcinetError:  # told once more, rather than not at all
            is_news = True
        if is_news:
            operation.log.append("names not served", network=network, why=why)


def stray_lines(
    operation: Operation, machine: Machine, records: Records
) -> Iterator[tuple[str, str, Callable[[], bool]]]:
    """Find containers that a name server knows, and that no record has there.

    Yields:
        The network, the container's id, and what has the server forget it.
    """
    for file, text in machine.name_server.texts().items():
        network = network_of(file)
        for container_id in lines_by_id(text):
            if not is_recorded(records, network, container_id):

                def forget(network: str = network, container_id: str = container_id) -> bool:
                    # Looked at again under the lock that an attach has: it may have begun.
                    with operation.locks.container(container_id):
                        if is_recorded(records, network, container_id):
                            return False
                        return machine.name_server.leave(network, container_id)

                yield network, container_id, forget


def is_recorded(records: Records, network: str, container_id: str) -> bool:
    """Tell whether a record has its container found by name on a network."""
    record = records.attachments.get(container_id)
    return record is not None and network in record.served

"""What of ours is in the firewall, the kernel and the state that no record claims.

Everything that we make is claimed before it is there: a port by its claim and its record, a
network's elements and rules by its definition. So what is there is listed first, then who
claims it; what nobody claims is a stray, and is looked at once more under the lock that
whoever claims it takes. A kill, a lost answer or a damaged file leave such; and so does an
operator who removes the file of a network by hand.
"""

from __future__ import annotations

from functools import partial

from ocinet.base.value import Value
from ocinet.engine.model.forwarding import FORWARDED, LOOPBACK_ROUTED
from ocinet.engine.model.network import rules_of
from ocinet.engine.model.routing import OUR_PROTOCOL
from ocinet.engine.plan.closing import nowhere
from ocinet.engine.plan.uplink_steps import UnfollowUplinks
from ocinet.engine.ruleset.access_sets import (
    ADMIT,
    ALLOW,
    EXPOSE,
    KEPT,
    LEAVE,
    PAIR,
    PAIR_ALL,
    SOURCE,
)
from ocinet.engine.ruleset.elements import port_of
from ocinet.engine.ruleset.network_sets import guard_elements, network_elements
from ocinet.engine.storage import access_elements
from ocinet.engine.unplugging import unplug_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ocinet.base.address import Address, Subnet
    from ocinet.engine.model.endpoint import Endpoint, PortRule
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.ruleset.elements import Element
    from ocinet.engine.storage import Records

_WISHED = (ADMIT, ALLOW, EXPOSE, KEPT, LEAVE, PAIR, PAIR_ALL, SOURCE)
_OF_CONTAINERS = frozenset(kind.name for kinds in _WISHED for kind in kinds.values())


class Stray(Value):
    """One thing that nobody claims.

    Attributes:
        kind: element, link, routing, filter, reservation or name.
        name: which.
        why: how it was judged.
        remove: removes it; False if somebody claims it by now.
    """

    kind: str
    name: str
    why: str
    remove: Callable[[], bool]


class Strays:
    """Looks for them.

    Args:
        operation: by whose locks it goes.
        machine: that they are looked for on.
        records: who claims what.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records

    def all(self) -> Iterator[Stray]:
        """Find all there are.

        Raises:
            OcinetError: the kernel, or a file, can't be read.
        """
        yield from self.ports()
        yield from self._plugs()
        # One that can't be read may be whose they are.
        if not self._records.networks.unreadable():
            yield from self._elements()
            yield from self._routing()
            yield from self._filters()
            yield from self._reservations()
        yield from self._served()
        yield from self._mentions()

    # -- published ports -------------------------------------------------------------------

    def ports(self) -> Iterator[Stray]:
        """Find ports in the firewall that no container has."""
        suspects = self._unclaimed()
        # Twice: what was claimed and opened between two of the looks is somebody's.
        unclaimed = self._unclaimed() if suspects else {}
        for port, element in suspects.items():
            if port in unclaimed:
                why = f"no container has it, and it leads to {_to(port)}"
                yield Stray("element", _named(element), why, self._close(port))

    def _unclaimed(self) -> dict[PortRule, Element]:
        ports = {port: elem for elem in self._machine.elements.all() if (port := port_of(elem))}
        unowned = self._machine.owners.unowned(tuple(ports)) if ports else ()
        free = self._records.ports.held("", unowned)
        kept = self._without_record() if free else set()
        return {port: ports[port] for port in free if port.address not in kept}

    def _without_record(self) -> set[Address]:
        """Return the addresses of containers that live, and whose records are gone."""
        ids, leases = set(self._records.attachments.ids()), self._records.leases
        return {
            lease.address
            for network in leases.networks()
            for lease in leases.leases(network)
            if lease.holder.container not in ids
            and lease.holder.process
            and self._operation.is_alive(lease.holder.process)
        }

    def _close(self, port: PortRule) -> Callable[[], bool]:
        def close() -> bool:
            closed = self._machine.owners.close_unowned((port,))
            self._machine.firewall.forget_flows(closed)
            return bool(closed)

        return close

    # -- links between two containers ------------------------------------------------------

    def _plugs(self) -> Iterator[Stray]:
        """Find ends of links that are not defined any more, as after a removal that was killed."""
        recorded = [
            (record.container.id, plug.cable)
            for record in self._records.attachments.all()
            for plug in record.plugs
        ]
        if not recorded:
            return
        defined = self._records.cables().names()
        for container_id, cable in recorded:
            if cable not in defined:
                why = f"{container_id[:12]} has an end of it, and no such link is defined"
                yield Stray("link", cable, why, self._unplug(container_id, cable))

    def _unplug(self, container_id: str, cable: str) -> Callable[[], bool]:
        def remove() -> bool:
            if cable in self._records.cables().names():
                return False
            return unplug_end(self._operation, self._machine, self._records, container_id, cable)

        return remove

    # -- what networks have ----------------------------------------------------------------

    def _elements(self) -> Iterator[Stray]:
        """Find elements of networks, and guards, that are not there."""
        with self._operation.locks.shared():
            found = self._unentered()
        for element in found:
            whose = "container" if element.set.name in _OF_CONTAINERS else "network"
            why = f"no {whose} has it"
            yield Stray("element", _named(element), why, self._take_out(element))

    def _unentered(self) -> list[Element]:
        """Return what nobody has entered, or has to have entered; needs the global lock."""
        there = [elem for elem in self._machine.elements.all() if port_of(elem) is None]
        networks = self._records.networks.readable()
        wanted = {
            (element.set.name, element.key)
            for network in networks
            for element in network_elements(rules_of(network))
        }
        wanted |= {
            (element.set.name, element.key)
            for guard in self._records.guards.all()
            for element in guard_elements(guard)
        }
        # Whoever is on record by now may have entered what was not wanted a moment ago.
        wanted |= {
            (element.set.name, element.key)
            for element in access_elements(self._records.attachments.all(), self._records)
        }
        # A guard that is not on record any more guards still, where it is us who forward: it
        # comes back to the record, by `check`.
        guarded = {f"ipv{family}" for family in (4, 6) if self._is_forwarding(family)}
        there = [elem for elem in there if elem.key[0] not in guarded]
        # While a network is removed its definition is away for a moment, and it comes back if
        # somebody turns out to be on it.
        defined = {network.name for network in networks}
        undefined = [
            endpoint
            for record in self._records.attachments.all()
            for endpoint in record.endpoints
            if endpoint.network not in defined
        ]
        return [
            element
            for element in there
            if (element.set.name, element.key) not in wanted and not _is_of(element, undefined)
        ]

    def _is_forwarding(self, family: int) -> bool:
        from ocinet.engine.plan.guard import FORWARD  # no first attach has use for it

        return self._machine.sysctls.read(FORWARD[family]) == FORWARDED

    def _take_out(self, element: Element) -> Callable[[], bool]:
        def take_out() -> bool:
            # Networks are defined under it, and one that could not be removed comes back.
            with self._operation.locks.shared():
                stray = element in self._unentered() and self._is_readable()
                if stray:
                    self._machine.elements.delete((element,))
                return stray

        return take_out

    def clear(self, network: str) -> None:
        """Remove what a new network would find of one that was removed; needs the global lock.

        Args:
            network: the name, which nobody has.
        """
        if self._machine.firewall.observe().table and self._is_readable():
            self._machine.elements.delete(tuple(self._unentered()))
        if self._records.reservations.names(network):
            self._records.reservations.remove_network(network)

    def _is_readable(self) -> bool:
        return not self._records.networks.unreadable()

    def _devices(self) -> set[str]:
        """Return the bridges that networks have, or records."""
        records = self._records.attachments.all()
        return {network.device for network in self._records.networks.readable()} | {
            endpoint.device for record in records for endpoint in record.endpoints
        }

    def _routing(self) -> Iterator[Stray]:
        """Find routing rules of ours for bridges that no network has, and marks of no network."""
        rules, devices = self._machine.routing_rules, self._devices()
        for rule in rules.blackholes():
            # As we make them, and of nobody else's link.
            is_ours = rule.protocol == OUR_PROTOCOL and rule in nowhere(rule.iif)
            if is_ours and rule.iif not in devices:
                removal = self._unless_used(rule.iif, partial(rules.remove, rule))
                yield Stray("routing", rule.command("add"), "no network has its bridge", removal)
        if not devices and self._machine.firewall.observe().uplinks:
            why = "there is no network whose packets it would be for"
            yield Stray("element", "table inet ocinet-uplinks", why, self._unfollow())

    def _unfollow(self) -> Callable[[], bool]:
        def unfollow() -> bool:
            with self._operation.locks.shared():
                stray = not self._devices() and self._is_readable()
                if stray:
                    UnfollowUplinks().apply(self._machine)
                return stray

        return unfollow

    def _filters(self) -> Iterator[Stray]:
        """Find what published ports needed of others' bridges that no network has any more."""
        filters, devices = self._machine.bridge_filters, self._devices()
        for device in self._machine.bridges.others():
            if device in devices:
                continue
            there = filters.present(device)
            routed = self._machine.sysctls.read(_route_localnet(device)) == LOOPBACK_ROUTED
            if there.ingress or there.egress or routed:
                removal = self._unless_used(
                    device, partial(unroute_loopback, self._machine, device)
                )
                yield Stray("filter", device, "no network has it", removal)

    def _unless_used(self, device: str, remove: Callable[[], object]) -> Callable[[], bool]:
        def act() -> bool:
            with self._operation.locks.shared():
                stray = device not in self._devices() and self._is_readable()
                if stray:
                    remove()
                return stray

        return act

    # -- who is called what -----------------------------------------------------------------

    def _mentions(self) -> Iterator[Stray]:
        """Find names of containers that have no record, as a kill between the two leaves them."""
        noted = self._records.mentions().all()
        ids = set(self._records.attachments.ids()) if noted else set()
        for network, name, container_id in noted:
            if container_id not in ids:
                removal = self._unmention(network, name, container_id)
                what = f"{network}/{name}"
                yield Stray("name", what, f"{container_id} has no record", removal)

    def _unmention(self, network: str, name: str, container_id: str) -> Callable[[], bool]:
        def unmention() -> bool:
            with self._operation.locks.container(container_id):
                stray = self._records.attachments.get(container_id) is None
                if stray:
                    self._records.mentions().leave(container_id, network, (name,), (name,))
                return stray

        return unmention

    # -- what is kept of networks ----------------------------------------------------------

    def _served(self) -> Iterator[Stray]:
        """Find containers that a name server knows, and no record."""
        from ocinet.engine.serving import stray_lines

        for network, container_id, remove in stray_lines(
            self._operation, self._machine, self._records
        ):
            name = f"{network}/{container_id}"
            yield Stray("name", name, "no container has it", remove)

    def _reservations(self) -> Iterator[Stray]:
        """Find addresses that are reserved on networks that are not there."""
        kept, defined = self._records.reservations, self._records.networks.names()
        for network in kept.networks():
            if network in defined:
                continue

            def remove(network: str = network) -> bool:
                with self._operation.locks.shared():
                    stray = network not in self._records.networks.names()
                    if stray:
                        kept.remove_network(network)
                    return stray

            names = ", ".join(f"{address}={name}" for address, name in kept.names(network).items())
            yield Stray("reservation", f"{network}/{names}", "there is no such network", remove)


def unroute_loopback(machine: Machine, device: str) -> None:
    """Take back what published ports needed of an adopted bridge, if it was us who set it."""
    machine.bridge_filters.remove(device)
    key = _route_localnet(device)
    # The kernel takes any number for a yes. Docker and people write 1, so a 2 is ours.
    if machine.sysctls.read(key) == LOOPBACK_ROUTED:
        machine.sysctls.write(key, "0")


def _route_localnet(device: str) -> str:
    return f"net/ipv4/conf/{device}/route_localnet"


def _named(element: Element) -> str:
    return f"{element.set.name} {{ {' . '.join(map(str, element.key))} }}"


def _to(port: PortRule) -> str:
    address = f"[{port.address}]" if port.address.family == 6 else str(port.address)
    return f"{address}:{port.port}"


def _is_of(element: Element, endpoints: Iterable[Endpoint]) -> bool:
    """Tell whether an element is of the bridge, or the subnet, that an endpoint is on."""
    return any(
        endpoint.device in element.key
        or any(_lies_in(interface.address, element.key) for interface in endpoint.addresses)
        for endpoint in endpoints
    )


def _lies_in(address: Address, key: tuple[object, ...]) -> bool:
    subnets: list[Subnet] = [field for field in key if hasattr(field, "prefixlen")]  # type: ignore[misc]
    return any(address in subnet for subnet in subnets)

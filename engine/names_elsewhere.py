"""Names of a network across hosts: what containers here are called, and those on other hosts.

Who the other hosts are, and how they hear of each other, is for whoever calls this. A container
here that loses a name to one elsewhere is told as one that loses it to a neighbour.
"""

from __future__ import annotations

from ocinet.base.errors import BusyError, RequestError
from ocinet.base.events import WARNED
from ocinet.engine.access import Access
from ocinet.engine.lost_names import tell_lost
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.elsewhere import Elsewhere
from ocinet.engine.model.name_holders import OWN_END, Contested, own_part
from ocinet.engine.model.served import lines_by_id
from ocinet.engine.plan.detach import addresses_of
from ocinet.engine.plan.removal_steps import ForgetFlows
from ocinet.engine.plan.served_names import own_names
from ocinet.engine.plan.serving import names_in_line, served_network
from ocinet.engine.waiting_names import note_wanted, serve_waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.access import Allowance
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.ruleset.elements import Element
    from ocinet.engine.storage import Records

_PATIENCE_S = 2.0  # for a container's lock
MOST = 1 << 15  # of a network's on other hosts: its file has some 100 bytes of each


MOST_PORTS = 1 << 12  # that the users of one host's containers say something of by name


class NamesElsewhere:
    """What somebody who knows of other hosts does with names.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the name server.
        records: of the networks, and of who is on them.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records

    def here(self, network: str, where: str) -> tuple[Elsewhere, ...]:
        """Return who is on a network here, as other hosts are to know them, by id.

        With the names that they have, and not with those that another one keeps from them.

        Args:
            network: its name; nobody is found on one that is not served.
            where: what this host is called among others.

        Raises:
            OcinetError: a state directory can't be read.
        """
        defined = self._records.networks.find(network)
        served = served_network(defined) if defined else None
        if served is None:
            return ()
        lines = lines_by_id(self._machine.name_server.texts().get(served.file, ""))
        found = []
        for record in self._on(network):
            line = lines.get(record.container.id, "")
            names = _named(line) if line else names_in_line(record, network)
            own = own_part(record.container.id, names) if line else own_names(record)
            aliases = tuple(name for name in names if name not in own and name != OWN_END)
            addresses = tuple(
                interface.address
                for endpoint in record.endpoints
                if endpoint.network == network
                for interface in endpoint.addresses
            )
            if addresses and (own or aliases):
                said = _said_by_name(record) if defined and defined.apart else ((), ())
                found.append(
                    Elsewhere(
                        where, record.container.id, addresses, own, aliases, record.time, *said
                    )
                )
        return tuple(sorted(found, key=lambda each: each.id))

    def networks(self) -> tuple[str, ...]:
        """List the networks of which somebody is on another host, sorted."""
        return self._machine.names_elsewhere.networks()

    def there(self, network: str) -> tuple[Elsewhere, ...]:
        """Return who of a network is on other hosts, as it was told last."""
        return self._machine.names_elsewhere.there(network)

    def tell(self, network: str, there: Iterable[Elsewhere], where: str) -> bool:
        """Have those on other hosts found by their names on a network, and no others there.

        Args:
            network: its name; none of that name is fine, for who is to be forgotten.
            there: all of them, whatever others say of them: who can't be is left out.
            where: what this host is called among others.

        Returns:
            Whether anybody is found otherwise by it.

        Raises:
            OcinetError: a file can't be read or written.
        """
        operation, machine, records = self._operation, self._machine, self._records
        wanted = self._sound(network, there)
        if wanted == machine.names_elsewhere.there(network):
            return False
        came = {each.container.id: each.time for each in self._on(network)}

        def rank(container_id: str) -> tuple[str, str, str]:
            return came.get(container_id, ""), where, container_id

        contested: list[tuple[str, Contested]] = []
        held = self._held(network)
        machine.names_elsewhere.tell(network, wanted, rank, contested)
        self._follow(held)
        for _network, each in contested:
            note_wanted(records, network, each)
            tell_lost(operation, records, network, each, each.loser)
        if not records.linked.is_empty():
            from ocinet.engine.peers import tell_peers

            serve_waiting(operation, machine, records, (network,))
            tell_peers(operation, machine, records, (network,))
        return True

    def _held(self, network: str) -> dict[str, tuple[Element, ...]]:
        """Return what our table holds of who is on a network that keeps containers apart."""
        defined = self._records.networks.find(network)
        if defined is None or not defined.apart:
            return {}
        ids = [record.container.id for record in self._on(network) if record.access is not None]
        return {each: self._access(each).held(self._records.attachments.get(each)) for each in ids}

    def _follow(self, held: dict[str, tuple[Element, ...]]) -> None:
        """Have our table hold what their users say of who is elsewhere by now, and no more."""
        locks = self._operation.locks.patient(_PATIENCE_S)
        for container_id, former in held.items():
            try:
                with locks.container(container_id):
                    self._follow_one(container_id, former)
            except BusyError as error:  # whoever hangs keeps nobody else's from being followed
                why = f"who may connect to it from other hosts is as before: {error}; ocinet reload"
                name = container_id
                if record := self._records.attachments.get(container_id):
                    name = record.container.name
                self._operation.log.append(WARNED, container=container_id, name=name, warning=why)

    def _follow_one(self, container_id: str, former: tuple[Element, ...]) -> None:
        record = self._records.attachments.get(container_id)
        if record is None:
            return
        wanted = self._access(container_id).held(record)
        gone = tuple(element for element in former if element not in wanted)
        self._access(container_id).follow(former, record, self._machine)
        if gone:  # its address may be another one's
            ForgetFlows(addresses=addresses_of(record.endpoints)).apply(self._machine)

    def _access(self, container_id: str) -> Access:
        return Access(self._records, container_id)

    def _sound(self, network: str, there: Iterable[Elsewhere]) -> tuple[Elsewhere, ...]:
        """Return those who can be elsewhere: none has an address of this host's subnets."""
        defined = self._records.networks.find(network)
        pools = [pool.subnet for pool in defined.pools] if defined else []
        found: dict[str, Elsewhere] = {}
        opened: dict[str, int] = {}
        for each in sorted(there, key=lambda each: each.rank):
            try:
                each.check()
            except RequestError:
                continue
            opened[each.where] = opened.get(each.where, 0) + _ports(each)
            # Each is an element of our table, for each container that is meant.
            known = each if opened[each.where] <= MOST_PORTS else each.replace(allow=(), expose=())
            if not any(address in pool for address in each.addresses for pool in pools):
                found.setdefault(known.key, known)
        return tuple(found.values())[:MOST]

    def _on(self, network: str) -> list[Attachment]:
        return [
            record
            for record in self._records.attachments.all()
            if record.state == ATTACHED
            and record.boot_id == self._operation.boot_id
            and any(endpoint.network == network for endpoint in record.endpoints)
        ]


def _said_by_name(record: Attachment) -> tuple[tuple[Allowance, ...], tuple[Allowance, ...]]:
    """Return what a container's user says of others by name."""
    access = record.access
    if access is None:
        return (), ()
    allow = tuple(wish for wish in access.allow or () if wish.name)
    return allow, tuple(wish for wish in access.expose or () if wish.name)


def _ports(each: Elsewhere) -> int:
    """Return how many ports its user says something of by name."""
    wishes = (*each.allow, *each.expose)
    return sum(1 + wish.last - wish.first if wish.protocol else 1 for wish in wishes)


def _named(line: str) -> tuple[str, ...]:
    words = line.rstrip("\n").split(" ")
    return tuple(words[3].split(",")) if len(words) > 3 else ()

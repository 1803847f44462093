"""What transactions need of the records: a Protocol for each kind, and the records together.

The real ones write files (`records`, and ipam's store); those of the unit tests
keep everything in memory, and pass the same contract.
"""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.elsewhere import Elsewhere
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import Recorded
    from ocinet.engine.model.request import Publish
    from ocinet.engine.plan.machine import Guards
    from ocinet.engine.records.port_claim import PortClaim
    from ocinet.engine.ruleset.elements import Element
    from ocinet.ipam.lease import Holder, Lease
    from ocinet.ipam.pool import Pool

    class Attachments(Protocol):
        """The records of sandboxes; see `records.attachments`."""

        def get(self, container_id: str) -> Attachment | None:
            """Return a container's record, or None."""

        def put(self, attachment: Attachment) -> None:
            """Write a record, replacing the container's former one."""

        def remove(self, container_id: str) -> None:
            """Remove a record; one that is not there is fine."""

        def ids(self) -> tuple[str, ...]:
            """List the containers that have a record, sorted."""

        def all(self) -> tuple[Attachment, ...]:
            """Return every record that can be read, by time."""

        def unreadable(self) -> tuple[tuple[str, str], ...]:
            """List the records that can't be read, each with the reason."""

        def set_aside(self, container_id: str) -> None:
            """Keep an unreadable record out of the way."""

    class Networks(Protocol):
        """The networks that are defined; see `records.networks`."""

        def find(self, name: str) -> Network | None:
            """Return a network, or None."""

        def get(self, name: str) -> Network:
            """Return a network, or raise a NotFoundError that tells the nearest names."""

        def names(self) -> tuple[str, ...]:
            """List the networks that are defined, sorted."""

        def all(self) -> tuple[Network, ...]:
            """Return every network, or raise if one can't be read."""

        def readable(self) -> tuple[Network, ...]:
            """Return every network whose file can be read, by name."""

        def unreadable(self) -> tuple[tuple[str, str], ...]:
            """List the networks whose file can't be read, each with the reason."""

        def add(self, network: Network, *, anew: bool = False) -> None:
            """Keep a new definition, or raise a ConflictError; anew, in the place of another."""

        def remove(self, name: str) -> bool:
            """Forget a definition; False if there was none."""

    class Leases(Protocol):
        """Which address is whose; see `ipam.store`."""

        def allocate(
            self,
            network: str,
            pools: tuple[Pool, ...],
            wanted: tuple[Address, ...],
            holder: Holder,
            name: str,
            taken: Mapping[Address, str] | None = None,
        ) -> tuple[Lease, ...]:
            """Give an endpoint its addresses: all of them, or none."""

        def give_back(
            self, network: str, pools: tuple[Pool, ...], leases: tuple[Lease, ...]
        ) -> None:
            """Undo an allocation: release what it gave, and let it be given again soon."""

        def release(self, network: str, address: Address, container: str) -> bool:
            """Give an address back, if that container holds it."""

        def reserved_mac(self, network: str, name: str) -> str:
            """Return the MAC that is reserved for a container's name, or ""."""

        def leases(self, network: str) -> tuple[Lease, ...]:
            """Return the leases of a network that can be read."""

        def networks(self) -> tuple[str, ...]:
            """List the networks that have leases."""

        def remove_network(self, network: str) -> None:
            """Forget all leases and reservations of a network."""

        def sweep(self, network: str) -> int:
            """Remove what killed writers left; return how many files."""

    class ClaimFiles(Protocol):
        """All claims of host ports, and the files that they are in."""

        def all(self) -> tuple[PortClaim, ...]:
            """Return every claim that can be read."""

        def holders(self) -> tuple[str, ...]:
            """List the containers that hold a port."""

        def unreadable(self) -> tuple[tuple[str, str], ...]:
            """List the files of claims that make no sense, each with the reason."""

        def restore(self, file: str, claims: Iterable[PortClaim]) -> bool:
            """Set such a file aside, for those of the claims that belong in it."""

    class PortClaims(ClaimFiles, Protocol):
        """Which host port is whose; see `records.port_claims`."""

        def claim(
            self,
            container: str,
            name: str,
            publishes: tuple[Publish, ...],
            *,
            families: tuple[int, ...] = (4, 6),
        ) -> tuple[Publish, ...]:
            """Claim host ports for a container: all of them, or none."""

        def release(self, container: str, ports: Iterable[Publish | PortRule]) -> None:
            """Give up what a container holds of these."""

        def release_all(self, container: str) -> None:
            """Give up all that a container holds."""

        def held(self, container: str, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
            """Return those of the rules whose host ports the container holds."""

        def while_unclaimed(
            self, ports: tuple[PortRule, ...], act: Callable[[tuple[PortRule, ...]], object]
        ) -> tuple[PortRule, ...]:
            """Do something with those of the ports that nobody claims, and nobody can meanwhile."""

    class Reservations(Protocol):
        """Which address is kept for whom; see `ipam.reservation`."""

        def networks(self) -> tuple[str, ...]:
            """List the networks that something is kept on."""

        def names(self, network: str) -> dict[str, str]:
            """Return whose name each address that is kept is kept for."""

        def remove_network(self, network: str) -> None:
            """Forget all that is kept on a network."""

    class Mentions(Protocol):
        """Who is called what where containers are kept apart; see `records.mentions`."""

        def enter(
            self, container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
        ) -> None:
            """Note what a container is called on a network, and of whom its user speaks."""

        def leave(
            self, container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
        ) -> None:
            """Forget what was entered; what is not there is fine."""

        def called(self, network: str, name: str) -> tuple[str, ...]:
            """Return the ids of the containers that are called so, sorted."""

        def meant_by(self, network: str, name: str) -> tuple[str, ...]:
            """Return the ids of those whose users say something of that name, sorted."""

        def all(self) -> tuple[tuple[str, str, str], ...]:
            """Return each network, name and id that something is noted of."""

    # By name, each address with when it was last answered, in seconds since the boot.
    Seen = dict[str, dict[Address, int]]

    class ResolvedNames(Protocol):
        """Where DNS names lead to that packets may leave for; see `records.resolved_names`."""

        def addresses(self, name: str) -> tuple[Address, ...]:
            """Return where a name leads to, sorted; () where nobody knows."""

        def all(self) -> Seen:
            """Return all names, each address with when it was last answered."""

        def put(self, seen: Seen) -> None:
            """Keep these, and no others."""

    class LeftFiles(Protocol):
        """What killed writers left half-written; see `records.left_files`."""

        def sweep(self) -> int:
            """Remove it; return how many files."""

    class Linked(Protocol):
        """Who finds whom by a name of its own; see `records.linked`."""

        def is_empty(self) -> bool:
            """Tell whether there is no link at all."""

        def add(self, target: str, container_id: str) -> None:
            """Note a container's link to a name or an id."""

        def remove(self, target: str, container_id: str) -> None:
            """Forget a link; one that is not there is fine."""

        def linkers(self, targets: tuple[str, ...]) -> tuple[str, ...]:
            """List the containers that have a link to one of these."""

        def targets(self) -> tuple[str, ...]:
            """List what there is a link to."""

        def note(self, target: str, container_id: str) -> None:
            """Note who a target is, if there is a link to it; "" for nobody."""

        def noted(self, target: str) -> str:
            """Return who was noted last; "" for nobody."""

    class Passages(Protocol):
        """What gets through the chains of others, as judged; see `records.passages`."""

        def open(self, generation: int) -> tuple[str, ...]:
            """Return the bridges whose packets all pass at that number of changes."""

        def remember(self, generation: int, devices: tuple[str, ...]) -> None:
            """Note that these bridges' packets all pass at that number of changes."""

    class Cables(Protocol):
        """The links between two containers that are defined; see `records.cables`."""

        def names(self) -> tuple[str, ...]:
            """List them, sorted."""

        def find(self, name: str) -> Cable | None:
            """Return a link, or None."""

        def get(self, name: str) -> Cable:
            """Return a link, or raise a NotFoundError that tells the nearest names."""

        def all(self) -> tuple[Cable, ...]:
            """Return every link, or raise if one can't be read."""

        def sorted_out(self) -> tuple[tuple[Cable, ...], tuple[tuple[str, str], ...]]:
            """Return those that can be read; and of the others the name and the reason."""

        def naming(self, container: Container) -> tuple[Cable, ...]:
            """Return those that have an end in a container."""

        def add(self, cable: Cable) -> None:
            """Keep a new definition, or raise a ConflictError."""

        def remove(self, name: str) -> bool:
            """Forget a definition; False if there was none."""

    class NamedElsewhere(Protocol):
        """Who of a network is on other hosts; see `plan.name_seams.NamesElsewhere`."""

        def there(self, network: str) -> tuple[Elsewhere, ...]:
            """Return who of a network is on other hosts, as it was told last."""


class Records(Value):
    """All that is persisted.

    Attributes:
        attachments: who is attached, and with what.
        networks: that are defined.
        leases: of addresses.
        reservations: of addresses, for names.
        ports: claims of host ports.
        passages: whose packets get through the chains of others.
        guards: what is kept from being forwarded.
        linked: who finds whom by a name of its own.
        cables: opens the links between two containers, which few have.
        left_files: opens what killed writers left, of which no usual act asks, as the next two.
        mentions: opens who is called what, where containers are kept apart.
        resolved: opens where DNS names lead to that packets may leave for.
        elsewhere: opens who of a network is on other hosts.
    """

    attachments: Attachments
    networks: Networks
    leases: Leases
    reservations: Reservations
    ports: PortClaims
    passages: Passages
    guards: Guards
    linked: Linked
    cables: Callable[[], Cables]
    left_files: Callable[[], LeftFiles]
    mentions: Callable[[], Mentions]
    resolved: Callable[[], ResolvedNames]
    elsewhere: Callable[[], NamedElsewhere]


def recorded(records: Records, boot_id: str) -> Recorded:
    """Return what the firewall holds if it holds all of what is recorded for this boot.

    Needed where our table is not there: at the first attach of a boot, and after
    somebody flushed the ruleset. Reads every record, so never on a common path.

    Ports of one that is being attached are left to its own attach, which would
    find them taken.
    """
    from ocinet.engine.model.network import rules_of

    # What an earlier boot has recorded may lead to addresses that are others' by now.
    attached = [record for record in records.attachments.all() if record.boot_id == boot_id]
    used = {endpoint.network for record in attached for endpoint in record.endpoints}
    return (
        # Of those that can be read: one damaged file must not keep all other containers
        # unreachable.
        tuple(
            rules_of(network)
            for network in records.networks.readable()
            if network.name in used and not network.is_lan
        ),
        tuple(port for record in attached for port in record.done.ports),
        records.guards.all(),
        access_elements(attached, records),
    )


def access_elements(attached: Iterable[Attachment], records: Records) -> tuple[Element, ...]:
    """Return the elements of our table that these containers' users have asked for.

    By which they may talk to each other, and with which addresses what they send leaves.
    """
    known = tuple(attached)
    found: tuple[Element, ...] = ()
    concerned = [record for record in known if record.access is not None]
    if concerned:
        from ocinet.engine.link_targets import leads
        from ocinet.engine.plan.access import every_element

        find, resolve = records.networks.find, records.resolved().addresses
        lead = leads(records)
        found += every_element(concerned, find, resolve, records.elsewhere().there, lead)
    leaving = [end for record in known for end in record.endpoints if end.egress]
    if leaving:
        from ocinet.engine.plan.egress import source_elements

        found += tuple(element for end in leaving for element in source_elements(end))
    return found

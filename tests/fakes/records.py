"""Records in memory: what transactions persist, without a file.

They answer as the real ones do, and `tests/unit/contract/test_records.py` asks
both the same. `fakes.world` notes their calls, and has them fail.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from fakes.cables import FakeCables
from ocinet.base.address import Address
from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, ExhaustedError, NotFoundError, RequestError
from ocinet.base.names import check_container, check_network
from ocinet.engine.records.port_claim import PortClaim
from ocinet.engine.storage import Records
from ocinet.ipam.lease import Holder, Lease
from ocinet.ipam.pool import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.elsewhere import Elsewhere
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.listener import Listener
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.request import Publish
    from ocinet.ipam.pool import Pool


class FakeAttachments:
    """The records of sandboxes.

    Attributes:
        broken: ids of records that can't be read, each with the reason.
        aside: ids of those that were set aside.
    """

    def __init__(self) -> None:
        self._records: dict[str, Attachment] = {}
        self.broken: dict[str, str] = {}
        self.aside: list[str] = []

    def get(self, container_id: str) -> Attachment | None:
        """Return a container's record, or None."""
        return self._records.get(check_container(container_id))

    def put(self, attachment: Attachment) -> None:
        """Keep a record."""
        self._records[attachment.container.id] = attachment

    def remove(self, container_id: str) -> None:
        """Forget a record."""
        self._records.pop(container_id, None)

    def ids(self) -> tuple[str, ...]:
        """List the containers that have a record, sorted."""
        return tuple(sorted({*self._records, *self.broken}))

    def all(self) -> tuple[Attachment, ...]:
        """Return every record that can be read, by time."""
        by_id = (self._records[container_id] for container_id in sorted(self._records))
        return tuple(sorted(by_id, key=lambda record: record.time))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the records that can't be read."""
        return tuple(sorted(self.broken.items()))

    def set_aside(self, container_id: str) -> None:
        """Put one of them out of the way."""
        del self.broken[container_id]
        self.aside.append(container_id)


class FakeNetworks:
    """The networks that are defined.

    Attributes:
        broken: names of networks whose file can't be read, each with the reason.
    """

    def __init__(self, *networks: Network) -> None:
        self._networks = {network.name: network for network in networks}
        self.broken: dict[str, str] = {}

    def find(self, name: str) -> Network | None:
        """Return a network, or None."""
        return self._networks.get(check_network(name))

    def get(self, name: str) -> Network:
        """Return a network."""
        network = self.find(name)
        if network is None:
            raise NotFoundError("", f"there is no network {name}")
        return network

    def names(self) -> tuple[str, ...]:
        """List the networks, sorted."""
        return tuple(sorted(self._networks))

    def all(self) -> tuple[Network, ...]:
        """Return every network, by name."""
        return tuple(self._networks[name] for name in self.names())

    def readable(self) -> tuple[Network, ...]:
        """Return every network that can be read, by name."""
        return self.all()

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the networks whose file can't be read."""
        return tuple(sorted(self.broken.items()))

    def add(self, network: Network, *, anew: bool = False) -> None:
        """Keep a new definition."""
        if network.name in self._networks and not anew:
            raise ConflictError("", f"there is a network {network.name} already")
        self._networks[check_network(network.name)] = network

    def remove(self, name: str) -> bool:
        """Forget a definition."""
        return self._networks.pop(name, None) is not None


class FakeLeases:
    """Which address is whose: the next free one, and the freed ones last.

    Args:
        holder_lives: whether a lease's holder still needs it.

    Attributes:
        macs: kept for a name on a network, by both.
    """

    def __init__(self, holder_lives: Callable[[Lease], bool] = lambda _: True) -> None:
        self._leases: dict[str, dict[Address, Lease]] = {}
        self._last: dict[Pool, Address] = {}
        self._holder_lives = holder_lives
        self.macs: dict[tuple[str, str], str] = {}

    def allocate(
        self,
        network: str,
        pools: tuple[Pool, ...],
        wanted: tuple[Address, ...],
        holder: Holder,
        name: str,
        taken: Mapping[Address, str] | None = None,
    ) -> tuple[Lease, ...]:
        """Give an endpoint its addresses."""
        check_container(name)
        held = self._leases.setdefault(check_network(network), {})
        busy = taken or {}
        for address in wanted:
            if not any(address in pool.subnet for pool in pools):
                raise RequestError("", f"{address} is in no subnet of {network}")
            if address in busy:
                raise ConflictError("", f"{address} is {busy[address]}")
            if not self._may_have(held.get(address), holder):
                raise ConflictError("", f"{address} is held by another container")
        families = {pool.subnet.family for pool in pools} - {address.family for address in wanted}
        free = (self._free(network, pools, family, holder, busy) for family in sorted(families))
        leases = tuple(Lease(network, address, holder, now()) for address in (*wanted, *free))
        held.update({lease.address: lease for lease in leases})
        return leases

    def _may_have(self, lease: Lease | None, holder: Holder) -> bool:
        return lease is None or lease.holder.same_endpoint(holder) or not self._holder_lives(lease)

    def _free(
        self,
        network: str,
        pools: tuple[Pool, ...],
        family: int,
        holder: Holder,
        busy: Mapping[Address, str],
    ) -> Address:
        held = self._leases[network]
        for address, lease in held.items():
            if lease.holder.same_endpoint(holder) and address.family == family:
                return address
        gateways = {pool.gateway for pool in pools}
        for pool in pools:
            if pool.subnet.family != family:
                continue
            low, high = bounds(pool.subnet)
            last = self._last.get(pool)
            behind = last.value + 1 if last else low
            turn = itertools.chain(range(behind, high + 1), range(low, min(behind, high + 1)))
            for value in turn:
                address = Address(family, value)
                if address in gateways or address in busy:
                    continue
                if self._may_have(held.get(address), holder):
                    self._last[pool] = address
                    return address
        raise ExhaustedError("", f"no address is free on {network}")

    def give_back(self, network: str, pools: tuple[Pool, ...], leases: tuple[Lease, ...]) -> None:
        """Undo an allocation."""
        for lease in leases:
            self.release(network, lease.address, lease.holder.container)
            for pool in pools:
                if self._last.get(pool) == lease.address:
                    self._last[pool] = lease.address + -1

    def release(self, network: str, address: Address, container: str) -> bool:
        """Give an address back."""
        held = self._leases.get(network, {})
        if address not in held or held[address].holder.container != container:
            return False
        del held[address]
        return True

    def reserved_mac(self, network: str, name: str) -> str:
        """Return a MAC that is kept for a name."""
        return self.macs.get((network, name), "")

    def leases(self, network: str) -> tuple[Lease, ...]:
        """Return the leases of a network, by address."""
        held = self._leases.get(network, {})
        return tuple(
            held[address]
            for address in sorted(held, key=lambda address: (address.family, address.value))
        )

    def networks(self) -> tuple[str, ...]:
        """List the networks that have leases."""
        return tuple(sorted(network for network, held in self._leases.items() if held))

    def remove_network(self, network: str) -> None:
        """Forget all of a network."""
        self._leases.pop(network, None)

    def sweep(self, _network: str) -> int:
        """Find nothing: nobody is killed half-way in here."""
        return 0


class NoSockets:
    """A host on which nobody listens."""

    def listeners(self, _protocol: object, _port: int = 0) -> tuple[Listener, ...]:
        """Return nobody."""
        return ()

    def name_process(self, _inode: int) -> str:
        """Return nobody's name."""
        return "nobody"


class FakePortClaims:
    """Which host port is whose.

    Args:
        holder_lives: whether a claim's container still needs it.
    """

    def __init__(self, holder_lives: Callable[[PortClaim], bool] = lambda _: True) -> None:
        self._claims: list[PortClaim] = []
        self._holder_lives = holder_lives

    def claim(
        self,
        container: str,
        name: str,
        publishes: tuple[Publish, ...],
        *,
        families: tuple[int, ...] = (4, 6),
    ) -> tuple[Publish, ...]:
        """Claim host ports for a container."""
        del families  # there are no sockets in here that could be in the way
        chosen = tuple(
            publish if publish.host_port else publish.chosen(self._free_port(publish))
            for publish in publishes
        )
        claims = [
            PortClaim(
                publish.protocol, publish.host_address, publish.host_port, container, name, now()
            )
            for publish in chosen
        ]
        for number, claim in enumerate(claims):
            if any(_meet(claim, other) for other in claims[:number]):
                raise RequestError("", f"the host's port {claim} is published twice")
            for other in self._claims:
                own = other.container == container and other.host_address == claim.host_address
                if _meet(claim, other) and not own and self._holder_lives(other):
                    raise ConflictError("", f"the host's port {claim} is {other.name}'s")
        self._claims = [
            known for known in self._claims if not any(_meet(claim, known) for claim in claims)
        ] + claims
        return chosen

    def _free_port(self, publish: Publish) -> int:
        used = {claim.host_port for claim in self._claims if claim.protocol == publish.protocol}
        low, high = publish.among or (32768, 60999)
        return next(port for port in range(low, high + 1) if port not in used)

    def release(self, container: str, ports: Iterable[Publish | PortRule]) -> None:
        """Give up some of a container's claims."""
        going = list(ports)
        self._claims = [
            claim
            for claim in self._claims
            if claim.container != container
            or not any(
                claim.protocol == port.protocol
                and claim.is_for(port)
                and port.host_port in claim.ports
                for port in going
            )
        ]

    def release_all(self, container: str) -> None:
        """Give up all of a container's claims."""
        self._claims = [claim for claim in self._claims if claim.container != container]

    def held(self, container: str, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Return those ports that nobody else has claimed."""
        return tuple(
            port
            for port in ports
            if not any(
                claim.protocol == port.protocol and claim.is_element_of(_claim_of(port))
                for claim in self._claims
                if claim.container != container
            )
        )

    def while_unclaimed(
        self, ports: tuple[PortRule, ...], act: Callable[[tuple[PortRule, ...]], object]
    ) -> tuple[PortRule, ...]:
        """Do something with those that nobody claims."""
        free = self.held("", ports)
        if free:
            act(free)
        return free

    def all(self) -> tuple[PortClaim, ...]:
        """Return every claim, by protocol and port."""
        return tuple(
            sorted(self._claims, key=lambda claim: (claim.protocol, claim.host_port, str(claim)))
        )

    def holders(self) -> tuple[str, ...]:
        """List the containers that hold a port."""
        return tuple(sorted({claim.container for claim in self._claims}))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Find none: there are no files in here."""
        return ()

    def restore(self, file: str, claims: Iterable[PortClaim]) -> bool:
        """Have nothing to put right."""
        return any(claim.file == file for claim in claims if claim not in self._claims)


def _meet(claim: PortClaim, other: PortClaim) -> bool:
    """Tell whether two claims want one port; the real ones lie in a file per protocol."""
    return claim.protocol == other.protocol and claim.overlaps(other)


def _claim_of(port: PortRule) -> PortClaim:
    address = port.host_address or Address(port.address.family, 0)
    return PortClaim(port.protocol, address, port.host_port, "", "", "")


class FakePassages:
    """See `storage.Passages`."""

    def __init__(self) -> None:
        self._known: tuple[int, tuple[str, ...]] = (0, ())

    def open(self, generation: int) -> tuple[str, ...]:
        """Return what was noted of that generation."""
        known, devices = self._known
        return devices if known == generation else ()

    def remember(self, generation: int, devices: tuple[str, ...]) -> None:
        """Note it in place of the last one."""
        self._known = (generation, devices)


class FakeGuards:
    """See `storage.Guards`."""

    def __init__(self) -> None:
        self._guards: tuple[ForwardGuard, ...] = ()

    def all(self) -> tuple[ForwardGuard, ...]:
        """Return what was put last."""
        return self._guards

    def put(self, guards: tuple[ForwardGuard, ...]) -> None:
        """Note it in place of the last ones."""
        self._guards = guards


class FakeReservations:
    """Which address is kept for whom, by network."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, str]] = {}

    def networks(self) -> tuple[str, ...]:
        """List the networks that something is kept on."""
        return tuple(sorted(self.kept))

    def names(self, network: str) -> dict[str, str]:
        """Return names by address."""
        return dict(self.kept.get(network, {}))

    def remove_network(self, network: str) -> None:
        """Forget a network's."""
        self.kept.pop(network, None)


class FakeLinked:
    """See `storage.Linked`."""

    def __init__(self) -> None:
        self.links: set[tuple[str, str]] = set()
        self._noted: dict[str, str] = {}

    def is_empty(self) -> bool:
        """Tell whether there is none."""
        return not self.links

    def add(self, target: str, container_id: str) -> None:
        """Note a link."""
        self.links.add((target, container_id))

    def remove(self, target: str, container_id: str) -> None:
        """Forget a link, and with the last one who its target is."""
        self.links.discard((target, container_id))
        if target not in self.targets():
            self._noted.pop(target, None)

    def linkers(self, targets: tuple[str, ...]) -> tuple[str, ...]:
        """List who has a link to one of these, each once."""
        found = [who for target in targets for to, who in sorted(self.links) if to == target]
        return tuple(dict.fromkeys(found))

    def targets(self) -> tuple[str, ...]:
        """List what there is a link to."""
        return tuple(sorted({target for target, _ in self.links}))

    def note(self, target: str, container_id: str) -> None:
        """Note who it is, if there is a link to it."""
        if target in self.targets():
            self._noted[target] = container_id

    def noted(self, target: str) -> str:
        """Return who was noted last."""
        return self._noted.get(target, "")


class FakeMentions:
    """Who is called what, and who speaks of whom."""

    def __init__(self) -> None:
        self._entered: set[tuple[str, str, str, str]] = set()

    def enter(
        self, container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
    ) -> None:
        """Note them."""
        self._entered |= _mentioned(container_id, network, names, means)

    def leave(
        self, container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
    ) -> None:
        """Forget them."""
        self._entered -= _mentioned(container_id, network, names, means)

    def called(self, network: str, name: str) -> tuple[str, ...]:
        """Return who is called so."""
        return self._ids("is", network, name)

    def meant_by(self, network: str, name: str) -> tuple[str, ...]:
        """Return who speaks of that name."""
        return self._ids("meant-by", network, name)

    def _ids(self, *key: str) -> tuple[str, ...]:
        return tuple(sorted(entry[3] for entry in self._entered if entry[:3] == key))

    def all(self) -> tuple[tuple[str, str, str], ...]:
        """Return all that is noted."""
        return tuple(sorted({entry[1:] for entry in self._entered}))


class FakeResolved:
    """Where DNS names lead to."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[Address, int]] = {}

    def addresses(self, name: str) -> tuple[Address, ...]:
        """Return where a name leads to."""
        return tuple(self._seen.get(name, ()))

    def all(self) -> dict[str, dict[Address, int]]:
        """Return all names."""
        return dict(self._seen)

    def put(self, seen: dict[str, dict[Address, int]]) -> None:
        """Keep these."""
        self._seen = seen


def _mentioned(
    container_id: str, network: str, names: tuple[str, ...], means: tuple[str, ...]
) -> set[tuple[str, str, str, str]]:
    called = {("is", network, name, container_id) for name in names}
    return called | {("meant-by", network, name, container_id) for name in means}


class NoLeftFiles:
    """Nobody is killed half-way in here."""

    def sweep(self) -> int:
        """Find nothing."""
        return 0


class NobodyElsewhere:
    """Where nobody is on another host."""

    def there(self, _network: str) -> tuple[Elsewhere, ...]:
        """Return nobody."""
        return ()

    def networks(self) -> tuple[str, ...]:
        """Return none."""
        return ()


class NoOwners:
    """Where no port in the firewall is anybody's."""

    def has_other(self, ports: tuple[PortRule, ...]) -> bool:
        """Return that nobody has them."""
        return not ports

    def unowned(self, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Return that no record has them."""
        return ports

    def close_unowned(self, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Close none."""
        return ports[:0]


def fake_records(*networks: Network) -> Records:
    """Return records in memory, with these networks."""
    return Records(
        attachments=FakeAttachments(),
        networks=FakeNetworks(*networks),
        leases=FakeLeases(),
        reservations=FakeReservations(),
        ports=FakePortClaims(),
        passages=FakePassages(),
        guards=FakeGuards(),
        linked=FakeLinked(),
        cables=FakeCables,
        left_files=NoLeftFiles,
        mentions=FakeMentions,
        resolved=FakeResolved,
        elsewhere=NobodyElsewhere,
    )

"""From who wishes what to the elements of our table by which they may talk to each other: pure.

What one container's user says by addresses is that container's own. What is said by names is
of two: `between` makes it of both, so that whoever comes, goes or changes its wishes knows
what is in for the two.
"""

from __future__ import annotations

from itertools import pairwise

from ocinet.base.address import Address, Subnet
from ocinet.base.names import SHOWN_ID
from ocinet.base.value import Value
from ocinet.engine.model.access import LAST_PORT, LONGEST_MEANT, Access, Allowance
from ocinet.engine.plan.served_names import served_names
from ocinet.engine.ruleset.access_sets import ADMIT, ALLOW, EXPOSE, KEPT, LEAVE, PAIR, PAIR_ALL
from ocinet.engine.ruleset.elements import Element
from ocinet.engine.ruleset.spans import Span, reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.elsewhere import Elsewhere
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.network import Network
    from ocinet.engine.ruleset.elements import Field, Set

    Find = Callable[[str], Network | None]
    Resolve = Callable[[str], tuple[Address, ...]]
    # The id of the container whose sandbox a link's target is in; "" for nobody.
    Lead = Callable[[str], str]
    # What one address is allowed of the protocols and ports of another.
    Doors = tuple[tuple[Field, Field], ...]

_ALL: Doors = ((Span(0, 255), Span(0, LAST_PORT)),)


class Party(Value):
    """A container on a network that keeps its containers from each other.

    Attributes:
        network: its name.
        names: by which the container is meant there, in lower case.
        addresses: of the container there.
        access: what its user says.
        links: to whom it has a link, as its user has written them.
        id: the container's; "" on another host, where no link leads.
    """

    network: str
    names: tuple[str, ...]
    addresses: tuple[Address, ...]
    access: Access
    links: tuple[str, ...] = ()
    id: str = ""

    @property
    def means(self) -> tuple[str, ...]:
        """The names of others that its user says something of, each once."""
        wishes = (*(self.access.allow or ()), *(self.access.expose or ()))
        return tuple(dict.fromkeys(wish.name for wish in wishes if wish.name))

    @property
    def for_links(self) -> tuple[Allowance, ...]:
        """The ports that are open to who has a link to it.

        What its user says by `expose` says to whom as well: then its engine's word is none.
        """
        return (self.access.listens or ()) if self.access.expose is None else ()


def parties_of(record: Attachment, find: Find) -> tuple[Party, ...]:
    """Return what a container is on each of its networks that keep containers apart.

    Args:
        record: of it.
        find: returns a network by its name.
    """
    if record.access is None:
        return ()
    names = dict.fromkeys(endpoint.network for endpoint in record.endpoints)
    links = tuple(linked.target for linked in record.resolution.links) if record.resolution else ()
    return tuple(
        Party(
            name,
            names_on(record, name),
            _addresses(end for end in record.endpoints if end.network == name),
            record.access,
            links,
            record.container.id,
        )
        for name in names
        if (network := find(name)) and network.apart
    )


def names_on(record: Attachment, network: str) -> tuple[str, ...]:
    """Return the names by which a container is meant on a network, in lower case, each once."""
    own = record.container.name.lower()  # also one that no resolver could be asked for
    names = dict.fromkeys((own, *served_names(record, network)))
    if own != record.container.id[:SHOWN_ID].lower():
        names.pop(record.container.id[:SHOWN_ID].lower(), None)  # it never comes again
    return tuple(name for name in names if len(name) <= LONGEST_MEANT)


def egress_names(record: Attachment, find: Find) -> tuple[str, ...]:
    """Return the DNS names that a container's packets may leave for: what is no network's name."""
    wishes = (record.access.egress or ()) if record.access else ()
    return tuple(dict.fromkeys(wish.name for wish in wishes if wish.name and not find(wish.name)))


def may_be_left_for(address: Address, own: set[Address], inside: tuple[Subnet, ...]) -> bool:
    """Tell whether a DNS name can open an address: whoever answers for it decides which.

    Args:
        address: that it leads to.
        own: the host's.
        inside: subnets of all networks.
    """
    nobodys = any(address in subnet for subnet in _NO_PUBLIC)
    return not (nobodys or address in own or any(address in subnet for subnet in inside))


# 0/8, loopback, link-local with the metadata services of clouds, groups; and of IPv6 what is one
# of IPv4's, link-local, and groups. As numbers, for to read one takes a module of sockets.
_NO_PUBLIC = (
    Subnet(4, 0, 8), Subnet(4, 127 << 24, 8), Subnet(4, 0xA9FE << 16, 16), Subnet(4, 7 << 29, 3),
    Subnet(6, 0, 96), Subnet(6, 0xFFFF << 32, 96), Subnet(6, 0xFE80 << 112, 10),
    Subnet(6, 0xFF << 120, 8),
)  # fmt: skip


def _nowhere(_name: str) -> tuple[Address, ...]:
    return ()


def _to_nobody(_target: str) -> str:
    return ""


def own_elements(
    record: Attachment, find: Find, resolve: Resolve = _nowhere
) -> tuple[Element, ...]:
    """Return what a container's user says by addresses, by networks and by DNS names.

    Args:
        record: of it.
        find: returns a network by its name.
        resolve: returns the addresses that a DNS name leads to, as far as it is known.
    """
    access = record.access
    if access is None:
        return ()
    apart = [address for party in parties_of(record, find) for address in party.addresses]
    every = _addresses(record.endpoints)
    found: list[Element] = []
    for own in every:
        is_kept = access.egress is not None
        if own in apart or is_kept:
            found += _ranged(ALLOW, own, access.allow or ())
        if own in apart:
            wishes = access.expose or ()
            found += _ranged(ADMIT, own, wishes)
            found += (
                Element(EXPOSE[own.family], (own, wish.protocol, port))
                for wish in wishes
                if not (wish.name or wish.subnet)
                for port in range(wish.first, wish.last + 1)
            )
        if is_kept:
            found.append(Element(KEPT[own.family], (own,)))
            found += _ranged(LEAVE, own, _by_address(access.egress or (), find, resolve))
    return tuple(dict.fromkeys(found))


def _addresses(endpoints: Iterable[Endpoint]) -> tuple[Address, ...]:
    return tuple(interface.address for end in endpoints for interface in end.addresses)


def between(one: Party, other: Party, lead: Lead = _to_nobody) -> tuple[Element, ...]:
    """Return what two containers of a network may, by what the users of both say by names.

    And by links, which open what their target exposes, as Docker's do (`--link`, `--icc=false`).

    Args:
        one: of the two.
        other: the other one.
        lead: returns whose sandbox a link leads to: of two with one name, the one that has it.
    """
    if one.network != other.network:
        return ()
    found: dict[Element, None] = {}
    for client, server in ((one, other), (other, one)):
        wishes = [wish for wish in client.access.allow or () if wish.name in server.names]
        wishes += [wish for wish in server.access.expose or () if wish.name in client.names]
        if server.for_links and _links(client, server, lead):
            wishes += server.for_links
        for source in client.addresses:
            for target in server.addresses:
                if source.family == target.family:
                    found |= dict.fromkeys(_pair(source, target, wishes))
    return tuple(found)


def _links(client: Party, server: Party, lead: Lead) -> bool:
    return server.id != "" and any(lead(target) == server.id for target in client.links)


def opens_nothing(client: Party, server: Party, lead: Lead) -> bool:
    """Tell whether one has a link to another by which, and by all else, it may connect nowhere."""
    if client.network != server.network or not _links(client, server, lead):
        return False
    said = [wish for wish in client.access.allow or () if wish.subnet or wish.name in server.names]
    return not (said or server.for_links or server.access.expose)


def _pair(source: Address, target: Address, wishes: list[Allowance]) -> Iterator[Element]:
    family = source.family
    if any(not wish.protocol for wish in wishes):
        yield Element(PAIR_ALL[family], (source, target))
        return
    for wish in wishes:
        for port in range(wish.first, wish.last + 1):
            yield Element(PAIR[family], (source, target, wish.protocol, port))


def far_parties(network: str, there: Iterable[Elsewhere]) -> tuple[Party, ...]:
    """Return what containers on other hosts are on a network that keeps containers apart."""
    return tuple(
        Party(
            network,
            (*each.own, *each.aliases),
            each.addresses,
            Access(allow=each.allow, expose=each.expose),
        )
        for each in there
    )


def concern(one: Party, other: Party) -> bool:
    """Tell whether the user of one says something of the other by name, or that one's of it."""
    return not (set(one.means).isdisjoint(other.names) and set(other.means).isdisjoint(one.names))


def every_element(
    records: Iterable[Attachment],
    find: Find,
    resolve: Resolve = _nowhere,
    there: Callable[[str], tuple[Elsewhere, ...]] = lambda _network: (),
    lead: Lead = _to_nobody,
) -> tuple[Element, ...]:
    """Return all that is in our table of who may talk to whom.

    Args:
        records: of all containers.
        find: returns a network by its name.
        resolve: returns the addresses that a DNS name leads to.
        there: returns who of a network is on other hosts.
        lead: returns the id of whose sandbox a link's target is in.
    """
    found: dict[Element, None] = {}
    parties: list[Party] = []
    owners: dict[tuple[str, str], Party] = {}
    named: dict[tuple[str, str], list[Party]] = {}
    for record in records:
        found |= dict.fromkeys(own_elements(record, find, resolve))
        for party in parties_of(record, find):
            parties.append(party)
            owners[party.network, party.id] = party
            for name in party.names:
                named.setdefault((party.network, name), []).append(party)
    for party in parties:
        others = [one for name in party.means for one in named.get((party.network, name), ())]
        linked = (owners.get((party.network, lead(target))) for target in party.links)
        for other in (*others, *filter(None, linked)):
            if other is not party:
                found |= dict.fromkeys(between(party, other, lead))
    found |= dict.fromkeys(_across(parties, there))
    return tuple(found)


def _across(
    parties: list[Party], there: Callable[[str], tuple[Elsewhere, ...]]
) -> Iterator[Element]:
    """Return what is in of containers here and of those on other hosts."""
    for network in dict.fromkeys(party.network for party in parties):
        for far in far_parties(network, there(network)):
            for party in parties:
                if party.network == network and concern(party, far):
                    yield from between(party, far)


def _by_address(
    wishes: tuple[Allowance, ...], find: Find, resolve: Resolve
) -> tuple[Allowance, ...]:
    """Return wishes with the subnets of networks, and the addresses of names, in their place."""
    found: list[Allowance] = []
    for wish in wishes:
        network = find(wish.name) if wish.name else None
        subnets = [pool.subnet for pool in network.pools] if network else []
        if wish.name and not network:
            subnets = [_alone(address) for address in resolve(wish.name)]
        found += [wish.replace(subnet=subnet) for subnet in subnets] if wish.name else [wish]
    return tuple(found)


def _alone(address: Address) -> Subnet:
    return Subnet(address.family, address.value, 32 if address.family == 4 else 128)


def _ranged(
    sets: Mapping[int, Set], own: Address, wishes: tuple[Allowance, ...]
) -> Iterator[Element]:
    """Return one address's elements of a set of intervals, none of which overlap."""
    reached = [
        (wish.subnet, wish) for wish in wishes if wish.subnet and wish.subnet.family == own.family
    ]
    alone = _alone(own)
    for addresses, protocol, ports in _apart(reached):
        yield Element(sets[own.family], (alone, addresses, protocol, ports))


def _apart(
    reached: list[tuple[Subnet, Allowance]],
) -> Iterator[tuple[Subnet | Span, Field, Field]]:
    """Cut subnets with their ports into what has no packet in common.

    The kernel refuses an element that a part of another one's packets is in.
    """
    cuts = sorted({subnet.first.value for subnet, _ in reached}
                  | {subnet.last.value + 1 for subnet, _ in reached})  # fmt: skip
    pieces: list[tuple[int, int, Doors]] = []
    for first, after in pairwise(cuts):
        inside = [
            wish
            for subnet, wish in reached
            if subnet.first.value <= first and subnet.last.value >= after - 1
        ]
        doors = _doors(inside)
        if pieces and pieces[-1][1:] == (first - 1, doors):
            pieces[-1] = pieces[-1][0], after - 1, doors
        elif doors:
            pieces.append((first, after - 1, doors))
    for first, last, doors in pieces:
        family = reached[0][0].family
        for protocol, ports in doors:
            yield reach(Address(family, first), Address(family, last)), protocol, ports


def _doors(wishes: list[Allowance]) -> Doors:
    """Return the protocols and ports of some wishes, joined where they touch."""
    if any(not wish.protocol for wish in wishes):
        return _ALL
    joined: list[tuple[str, int, int]] = []
    for protocol, first, last in sorted((wish.protocol, wish.first, wish.last) for wish in wishes):
        if joined and joined[-1][0] == protocol and first <= joined[-1][2] + 1:
            joined[-1] = protocol, joined[-1][1], max(last, joined[-1][2])
        else:
            joined.append((protocol, first, last))
    return tuple(
        (protocol, Span(first, last) if last > first else first) for protocol, first, last in joined
    )

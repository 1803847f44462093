"""What our nftables table holds of a network and of a published port.

The sets and maps are declared here once. The table's text, the text of a plan
and the encoded requests are all made from these declarations, so that they
can't drift apart.
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.value import Value
from ocinet.engine.model.endpoint import PortRule, rows_of


class Span(Value):
    """What lies between two values of one kind, which are part of it.

    Attributes:
        first: an address, a port, or the number of a protocol.
        last: likewise, and more than the first.
    """

    first: Address | int
    last: Address | int

    def __str__(self) -> str:
        """Render as nft does."""
        return f"{self.first}-{self.last}"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.model.refused import Refused

    Kind = Literal["ifname", "inet_proto", "inet_service", "ipv4_addr", "ipv6_addr", "nf_proto"]
    Field = str | int | Address | Subnet | Span


def reach(first: Address, last: Address) -> Subnet | Span:
    """Return the addresses from one to another: a subnet, where they are one."""
    size = last.value - first.value + 1
    bits = 32 if first.family == 4 else 128
    if size > 0 and not size & size - 1 and not first.value % size:
        return Subnet(first.family, first.value, bits - size.bit_length() + 1)
    return Span(first, last)


class Set(Value):
    """A set of the table, or a map if it has data.

    Attributes:
        name: in the table.
        key: the kinds of an element's fields.
        data: the kinds of what a map's key leads to; () for a set.
        interval: whether a key's addresses are subnets.
    """

    name: str
    key: tuple[Kind, ...]
    data: tuple[Kind, ...] = ()
    interval: bool = False


class Element(Value):
    """One element of a set or map.

    Attributes:
        set: where it is in.
        key: one field for each kind of the set's key.
        data: what a map's key leads to.
        count: so many elements, in which the port that ends the key, and the one
            that ends the data, count up from these.
    """

    set: Set
    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()
    count: int = 1

    def each(self) -> tuple[Element, ...]:
        """Return the single elements that it stands for."""
        if self.count == 1:
            return (self,)
        key, data = self.ports
        return tuple(
            Element(self.set, (*self.key[:-1], key + offset), (*self.data[:-1], data + offset))
            for offset in range(self.count)
        )

    @property
    def ports(self) -> tuple[int, int]:
        """The ports that end the key and the data; only a port's element has them."""
        key, data = self.key[-1], self.data[-1]
        if not (isinstance(key, int) and isinstance(data, int)):
            raise TypeError("no port ends this element")
        return key, data


_ADDRESS: dict[int, Kind] = {4: "ipv4_addr", 6: "ipv6_addr"}

# Bridges of every network; of those that nobody gets into but through a
# published port; and of those that nobody gets out of either.
BRIDGES = Set("bridges", ("ifname",))
ISOLATED = Set("isolated", ("ifname",))
INTERNAL = Set("internal", ("ifname",))
# Those whose containers have no business with the host's own services.
HOSTLESS = Set("hostless", ("ifname",))
# Those of them that find each other by names, which the host serves.
NAMED = Set("named", ("ifname",))
# Each bridge paired with itself, whose containers reach each other: nft can't compare two
# interfaces.
SAME = Set("same", ("ifname", "ifname"))
# Which subnet is at home on which bridge; which are nowhere else; and which are hidden
# behind the host's address when their packets leave our bridges.
HOME = {f: Set(f"home{f}", (_ADDRESS[f], "ifname"), interval=True) for f in (4, 6)}
INSIDE = {f: Set(f"inside{f}", (_ADDRESS[f],), interval=True) for f in (4, 6)}
# In which the host serves names, to those on the bridge where it is at home.
SERVED = {f: Set(f"served{f}", (_ADDRESS[f],), interval=True) for f in (4, 6)}
MASQUERADE = {f: Set(f"masquerade{f}", (_ADDRESS[f],), interval=True) for f in (4, 6)}
# Where what a subnet sends goes with its own address; and by which link that gets in to those
# on a bridge.
UNMASKED = {f: Set(f"unmasked{f}", (_ADDRESS[f], _ADDRESS[f]), interval=True) for f in (4, 6)}
JOINED = {f: Set(f"joined{f}", ("ifname", _ADDRESS[f], "ifname"), interval=True) for f in (4, 6)}
# What leaves bears this address of the host's, and not the one that masquerading chooses.
EGRESS = {f: Set(f"egress{f}", (_ADDRESS[f],), (_ADDRESS[f],), interval=True) for f in (4, 6)}
# And this is what one container's user has asked for.
SOURCE = {f: Set(f"source{f}", (_ADDRESS[f],), (_ADDRESS[f],)) for f in (4, 6)}
# Published ports: at one address of the host's, and at every one.
PUBLISH_AT = {
    f: Set(f"publish{f}_at", ("inet_proto", _ADDRESS[f], "inet_service"),
           (_ADDRESS[f], "inet_service"))
    for f in (4, 6)
}  # fmt: skip
PUBLISH = {
    f: Set(f"publish{f}", ("inet_proto", "inet_service"), (_ADDRESS[f], "inet_service"))
    for f in (4, 6)
}
# Each bridge paired with itself, whose containers are kept from each other: what they send to
# each other comes by the host, and passes by what follows.
CLOSED = Set("closed", ("ifname", "ifname"))
_PORT: tuple[Kind, Kind] = ("inet_proto", "inet_service")
# Who may connect to whom, by names: by a port, and by all there is. Hashed, for those who
# come and go change them, and what has intervals is searched through for each that goes.
PAIR = {f: Set(f"pair{f}", (_ADDRESS[f], _ADDRESS[f], *_PORT)) for f in (4, 6)}
PAIR_ALL = {f: Set(f"pair{f}_all", (_ADDRESS[f], _ADDRESS[f])) for f in (4, 6)}
# Whose port is open to all on its network.
EXPOSE = {f: Set(f"expose{f}", (_ADDRESS[f], *_PORT)) for f in (4, 6)}
# By addresses: to where one may connect, from where one may be connected to; each by the
# container's own first, so that no container's are in another's way.
ALLOW, ADMIT, LEAVE = (
    {f: Set(f"{name}{f}", (_ADDRESS[f], _ADDRESS[f], *_PORT), interval=True) for f in (4, 6)}
    for name in ("allow", "admit", "leave")
)
# Whose packets leave their networks to what is in the last of those alone.
KEPT = {f: Set(f"kept{f}", (_ADDRESS[f],)) for f in (4, 6)}
# Families whose forwarding it was us who switched on; and the bridges of others that
# nothing was forwarded from or to before, each with itself for what it bridges.
GUARDED = Set("guarded", ("nf_proto",))
APART = Set("apart", ("nf_proto", "ifname"))
WITHIN = Set("within", ("nf_proto", "ifname", "ifname"))

SETS = (
    BRIDGES,
    ISOLATED,
    INTERNAL,
    HOSTLESS,
    NAMED,
    SAME,
    *HOME.values(),
    *INSIDE.values(),
    *SERVED.values(),
    *MASQUERADE.values(),
    *UNMASKED.values(),
    *JOINED.values(),
    *EGRESS.values(),
    *SOURCE.values(),
    *PUBLISH_AT.values(),
    *PUBLISH.values(),
    CLOSED,
    *PAIR.values(),
    *PAIR_ALL.values(),
    *EXPOSE.values(),
    *ALLOW.values(),
    *ADMIT.values(),
    *LEAVE.values(),
    *KEPT.values(),
    GUARDED,
    APART,
    WITHIN,
)
# What was refused, which the rules themselves enter.
REFUSED = {f: Set(f"refused{f}", (_ADDRESS[f], _ADDRESS[f], *_PORT)) for f in (4, 6)}
# What one container's user has said.
OF_ACCESS = frozenset(
    kind
    for sets in (PAIR, PAIR_ALL, EXPOSE, ALLOW, ADMIT, LEAVE, KEPT, SOURCE)
    for kind in sets.values()
)


def network_elements(rules: NetworkRules) -> tuple[Element, ...]:
    """Return the elements of a network."""
    device = rules.device
    found = [Element(BRIDGES, (device,))]
    if rules.siblings:
        found.append(Element(SAME, (device, device)))
    elif rules.isolated:
        found.append(Element(CLOSED, (device, device)))
    if rules.isolated:
        found.append(Element(ISOLATED, (device,)))
    if rules.internal:
        found.append(Element(INTERNAL, (device,)))
    if not rules.host:
        found.append(Element(HOSTLESS, (device,)))
        if rules.names:
            found.append(Element(NAMED, (device,)))
    for subnet in rules.subnets:
        found.append(Element(HOME[subnet.family], (subnet, device)))
        alone = ((INSIDE, rules.isolated), (SERVED, rules.names))
        found += [Element(kind[subnet.family], (subnet,)) for kind, is_in in alone if is_in]
        if rules.masquerade and not rules.internal:
            found.append(Element(MASQUERADE[subnet.family], (subnet,)))
            found += [
                Element(EGRESS[subnet.family], (subnet,), (address,))
                for address in rules.egress
                if address.family == subnet.family
            ]
    return (*found, *_unmasked_elements(rules))


def _unmasked_elements(rules: NetworkRules) -> Iterator[Element]:
    """Find what a network's packets go to, and are sent from, with the containers' addresses."""
    for far in rules.unmasked:
        for subnet in rules.subnets:
            if subnet.family == far.family:
                yield Element(UNMASKED[far.family], (subnet, far))
        for link in rules.joined:
            yield Element(JOINED[far.family], (rules.device, far, link))


def every_network_element(rules: NetworkRules) -> tuple[Element, ...]:
    """Return the elements that a network of this bridge and these subnets may have had.

    For removal: what it was when it was entered need not be what it is now.
    """
    any_egress = (Address(4, 0), Address(6, 0))  # taken out by the key alone
    usual = network_elements(
        rules.replace(
            isolated=True,
            internal=False,
            masquerade=True,
            egress=any_egress,
            host=False,
            siblings=True,
            names=True,
        )
    )
    device = rules.device
    return (*usual, Element(INTERNAL, (device,)), Element(CLOSED, (device, device)))


def guard_elements(guard: ForwardGuard) -> tuple[Element, ...]:
    """Return the elements of a family that is guarded."""
    family = f"ipv{guard.family}"
    return (
        Element(GUARDED, (family,)),
        *(Element(APART, (family, bridge)) for bridge in guard.bridges),
        *(Element(WITHIN, (family, bridge, bridge)) for bridge in guard.bridges),
    )


def refused_element(refused: Refused) -> Element:
    """Return the element that the rules have entered for what they refused."""
    family, protocol = refused.source.family, refused.protocol
    number = {"icmp": 1 if family == 4 else 58}.get(protocol) or (
        int(protocol) if protocol.isdecimal() else protocol
    )
    key = (refused.source, refused.target, number, refused.port or refused.detail)
    return Element(REFUSED[family], key)


def port_of(element: Element) -> PortRule | None:
    """Return the published port that an element is; None if it is none."""
    if element.set not in (*PUBLISH.values(), *PUBLISH_AT.values()):
        return None
    protocol, *at, host_port = element.key
    address, port = element.data
    return PortRule(protocol, at[0] if at else None, host_port, address, port)  # type: ignore[arg-type]  # the set's kinds


def port_elements(ports: Iterable[PortRule]) -> tuple[Element, ...]:
    """Return the elements of published ports, those that follow one another as one."""
    # A row is a way to write many elements, not one with an interval of ports: that would
    # send all of them to one port of the container's.
    rows = rows_of(ports)
    return tuple(
        port_element(port) if count == 1 else port_element(port).replace(count=count)
        for port, count in rows
    )


def port_element(port: PortRule) -> Element:
    """Return the element of a published port."""
    family = port.address.family
    data = (port.address, port.port)
    if port.host_address is None:
        return Element(PUBLISH[family], (port.protocol, port.host_port), data)
    key = (port.protocol, port.host_address, port.host_port)
    return Element(PUBLISH_AT[family], key, data)


def ways_of(elements: Iterable[Element]) -> tuple[tuple[Address, Address], ...]:
    """Return whose packets leave with which address, by elements of `SOURCE`."""
    pairs = ((element.key[0], element.data[0]) for element in elements if element.data)
    return tuple(
        (own, to) for own, to in pairs if isinstance(own, Address) and isinstance(to, Address)
    )

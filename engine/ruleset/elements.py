"""What our nftables table holds: what its sets and maps are, and those of published ports.

The sets and maps are declared once: here, what of a network is in `network_sets`, and what
containers' users say in `access_sets`. The table's text, the text of a plan and the encoded
requests are all made from these declarations, so that they can't drift apart. Each hook makes
them anew, so whoever has no use for some imports none of them.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.model.endpoint import PortRule, rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from ocinet.base.address import Address, Subnet
    from ocinet.engine.ruleset.spans import Span

    Kind = Literal["ifname", "inet_proto", "inet_service", "ipv4_addr", "ipv6_addr", "nf_proto"]
    Field = str | int | Address | Subnet | Span


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


ADDRESS: dict[int, Kind] = {4: "ipv4_addr", 6: "ipv6_addr"}

# Published ports: at one address of the host's, and at every one.
PUBLISH_AT = {
    f: Set(f"publish{f}_at", ("inet_proto", ADDRESS[f], "inet_service"),
           (ADDRESS[f], "inet_service"))
    for f in (4, 6)
}  # fmt: skip
PUBLISH = {
    f: Set(f"publish{f}", ("inet_proto", "inet_service"), (ADDRESS[f], "inet_service"))
    for f in (4, 6)
}


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

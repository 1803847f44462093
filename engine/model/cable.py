"""A link of two sandboxes with nothing between: as it is defined, and as an end of it was made.

`cable` in code, where a link is any interface of the kernel's; `link` for people.
"""

from __future__ import annotations

from ocinet.base.address import Interface
from ocinet.base.value import Value
from ocinet.engine.model.link import Inside
from ocinet.engine.model.request import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address, Subnet
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.plug import Plug


class CableEnd(Value):
    """What a link is to be in one of its two sandboxes.

    Attributes:
        container: whose: its name or its whole id, as it is known by when it comes again.
        ifname: the interface.
        mac: chosen once, so that whoever comes again is the neighbour that it was.
        addresses: with their prefix lengths; one of a family at most.
        routes: that lead through the link.
    """

    container: str
    ifname: str
    mac: str
    addresses: tuple[Interface, ...]
    routes: tuple[Route, ...] = ()

    def is_of(self, container: Container) -> bool:
        """Tell whether it is this container's."""
        return self.container in (container.id, container.name)

    def address(self, family: int) -> Address | None:
        """Return its address of a family, if it has one."""
        found = (at.address for at in self.addresses if at.address.family == family)
        return next(found, None)

    def inside(self, mtu: int) -> Inside:
        """Return what the interface is to have in its sandbox."""
        return inside_of_end(self, mtu)


class Cable(Value):
    """The definition of a link between two containers.

    Attributes:
        name: see `base.names.check_network`.
        ends: the two of them.
        mtu: bytes, of both ends.
        created: RFC 3339.
    """

    name: str
    ends: tuple[CableEnd, CableEnd]
    mtu: int
    created: str = ""

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """The subnets that its addresses are in."""
        return tuple(dict.fromkeys(own.subnet for end in self.ends for own in end.addresses))

    def names(self, container: Container) -> bool:
        """Tell whether one of the ends is this container's."""
        return any(end.is_of(container) for end in self.ends)


def inside_of_end(end: CableEnd | Plug, mtu: int = 0) -> Inside:
    """Return what an end of a link is to have in its sandbox.

    Args:
        end: as it is defined, or as it is on record.
        mtu: bytes; 0: as it was made.
    """
    return Inside(
        ifname=end.ifname,
        addresses=end.addresses,
        routes=end.routes,
        ipv6=any(own.address.family == 6 for own in end.addresses),
        announce=False,  # the other end is born with it, and knows nobody yet
        mtu=mtu,
        strict=True,
    )

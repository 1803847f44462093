"""What an attach came to: interfaces in a sandbox, and published ports."""

from __future__ import annotations

from ocinet.base.address import Address, Interface
from ocinet.base.value import Value
from ocinet.engine.model.request import EndpointRequest, Publish, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.request import Protocol


class InsideSysctl(Value):
    """A kernel parameter in a sandbox that was asked for.

    Attributes:
        key: its path below /proc/sys.
        value: that it is to have.
        before: that the sandbox had; None of what goes with the interface.
    """

    key: str
    value: str
    before: str | None = None


class Endpoint(Value):
    """One veth pair as it was made.

    Attributes:
        network: the network's name.
        device: the bridge that the host end is a port of, or the host's own interface on
            a network of the LAN.
        ifname: the container's end.
        host_ifname: the host's end: `oc` and 13 hex digits; "" of one that the host has no end
            of, as of macvlan's.
        host_ifindex: 0 until it is made.
        mac: of the container's end.
        mtu: bytes.
        addresses: with their prefix lengths.
        routes: all that are set, the default route among them, and those that refuse.
        sysctls: that were set.
        bandwidth: its limits; None: none.
        egress: what packets that leave bear, where the user has said so.
        ifindex: of the container's end, in its sandbox, where the host has no other; 0: not known.
    """

    network: str
    device: str
    ifname: str
    host_ifname: str
    mac: str
    mtu: int
    addresses: tuple[Interface, ...]
    routes: tuple[Route, ...] = ()
    host_ifindex: int = 0
    sysctls: tuple[InsideSysctl, ...] = ()
    bandwidth: Bandwidth | None = None
    egress: tuple[Address, ...] = ()
    ifindex: int = 0

    @property
    def refusing(self) -> tuple[Route, ...]:
        """The routes that are through no interface: what is for there is refused."""
        return tuple(route for route in self.routes if route.kind != "unicast")

    @property
    def replaced_sysctls(self) -> tuple[InsideSysctl, ...]:
        """Those that the sandbox had otherwise: they do not go with the interface."""
        return tuple(known for known in self.sysctls if known.before is not None)

    @property
    def marks_sandbox(self) -> bool:
        """Whether there is something in the sandbox that does not go with the interface."""
        return bool(self.refusing or self.replaced_sysctls)

    def serves(self, wish: EndpointRequest) -> bool:
        """Tell whether this is what a wish for its network came to."""
        defaults = [route for route in self.routes if not route.destination.prefixlen]
        gateways = [route.gateway for route in defaults]
        return (
            {interface.address for interface in self.addresses}.issuperset(wish.addresses)
            and wish.mac in ("", self.mac)
            and wish.ifname in ("", self.ifname)
            and wish.mtu in (0, self.mtu)
            and (wish.gateway is None or not gateways or wish.gateway in gateways)
            and (wish.default_route or not gateways)
            and (not wish.metric or all(map(wish.has_metric, defaults)))
            and set(self.routes).issuperset(wish.routes)
            and (not wish.egress or set(wish.egress) == set(self.egress))
            and {(known.key, known.value) for known in self.sysctls}.issuperset(
                (sysctl.of(self.ifname), sysctl.value) for sysctl in wish.sysctls
            )
        )


class PortRule(Value):
    """One published port as it is in the firewall; for one family.

    Attributes:
        protocol: tcp, udp or sctp.
        host_address: of the family of `address`; None means every one.
        host_port: 1 to 65535.
        address: the container's.
        port: the container's.
    """

    protocol: Protocol
    host_address: Address | None
    host_port: int
    address: Address
    port: int

    def overlaps(self, wish: Publish) -> bool:
        """Tell whether a packet to that host port may be meant for either."""
        own, wished = self.host_address, wish.host_address
        meets = own is None or wished is None or not wished.value or own == wished
        return meets and (wish.protocol, wish.host_port) == (self.protocol, self.host_port)

    def serves(self, wish: Publish) -> bool:
        """Tell whether this is what a wish for a port came to.

        A host port of 0 in the wish means whichever was free; 0.0.0.0 and [::],
        every address of that family.
        """
        address = wish.host_address
        if address and not address.value:
            same = self.host_address is None and self.address.family == address.family
        else:
            same = self.host_address == address
        ports = wish.may_have(self.host_port) and wish.container_port == self.port
        return same and ports and wish.protocol == self.protocol


def rows_of(ports: Iterable[PortRule]) -> list[tuple[PortRule, int]]:
    """Join ports that follow one another, here and in the container.

    Returns:
        The first port of each row, and how many there are in it: in order.
    """
    rows: list[tuple[PortRule, int]] = []
    first, count = None, 0
    for port in ports:
        if (
            first
            and port.host_port == first.host_port + count
            and port.port == first.port + count
            and port.protocol == first.protocol
            # What was made together shares its addresses: that is told sooner.
            and (port.address is first.address or port.address == first.address)
            and (port.host_address is first.host_address or port.host_address == first.host_address)
        ):
            count += 1
            rows[-1] = first, count
        else:
            first, count = port, 1
            rows.append((first, count))
    return rows

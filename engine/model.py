"""The values that the engine works with: what is asked, defined and recorded."""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Process
from ocinet.base.value import Value
from ocinet.ipam.pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    Mode = Literal["bridge", "host", "container", "none"]
    Protocol = Literal["tcp", "udp", "sctp"]

DEFAULT_NETWORK = "bridge"
PROTOCOLS = ("tcp", "udp", "sctp")
ATTACHING, ATTACHED = "attaching", "attached"


class Route(Value):
    """A route in a sandbox.

    Attributes:
        destination: 0.0.0.0/0 or ::/0 for a default route.
        gateway: next hop; None for an on-link route.
    """

    destination: Subnet
    gateway: Address | None = None


class Publish(Value):
    """A wish to reach one container port through one host port.

    Attributes:
        protocol: tcp, udp or sctp.
        host_address: None means every address of the host.
        host_port: 0 means any free one.
        container_port: 1 to 65535.
    """

    protocol: Protocol
    host_address: Address | None
    host_port: int
    container_port: int


class EndpointRequest(Value):
    """A wish to be on one network.

    Attributes:
        network: its name.
        addresses: static ones, at most one per pool and family needed; the
            rest is given from the network's pools.
        mac: "" means a reservation's, else derived from the first address.
        ifname: "" means the first free of eth0, eth1, … in the request's order.
        mtu: bytes; 0 means the bridge's.
        gateway: replaces the network's, of the same family.
        routes: besides the default route.
    """

    network: str
    addresses: tuple[Address, ...] = ()
    mac: str = ""
    ifname: str = ""
    mtu: int = 0
    gateway: Address | None = None
    routes: tuple[Route, ...] = ()


class Request(Value):
    """What a container asks for, whatever door it came through.

    Attributes:
        mode: bridge (any network by name), host, container or none.
        target: with mode container, the id or name of the other one.
        endpoints: with mode bridge, at least one; the first has the default route.
        publish: only with mode bridge.
        name: the container's name, if the request gives one.
    """

    mode: Mode
    target: str = ""
    endpoints: tuple[EndpointRequest, ...] = ()
    publish: tuple[Publish, ...] = ()
    name: str = ""


class Container(Value):
    """Who asks.

    Attributes:
        id: the runtime's full id.
        name: as in `Request.name`, else the id's first 12 characters.
        bundle: the bundle's absolute path, or "".
        process: its first process; None where there is none to follow (a
            target given as a namespace path).
        door: hook, wrapper, watcher or cli.
    """

    id: str
    name: str
    bundle: str = ""
    process: Process | None = None
    door: str = "cli"


class Network(Value):
    """A named definition: a bridge, its subnets and its options.

    Attributes:
        name: see `base.names.check_network`.
        device: the bridge's interface name.
        pools: at most one per family for automatic addresses, in order.
        managed: whether the bridge is ours to make, address and remove.
        internal: no way in or out but among its own containers and the host.
        masquerade: whether packets that leave bear the host's address.
        mtu: bytes; 0 means the uplink's when the bridge is made.
        labels: for people and filters.
        created: RFC 3339.
    """

    name: str
    device: str
    pools: tuple[Pool, ...]
    managed: bool = True
    internal: bool = False
    masquerade: bool = True
    mtu: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    created: str = ""

    @property
    def families(self) -> tuple[int, ...]:
        """The families that it has a pool of."""
        return tuple(sorted({pool.subnet.family for pool in self.pools}))


class Endpoint(Value):
    """One veth pair as it was made.

    Attributes:
        network: the network's name.
        device: the bridge that the host end is a port of.
        ifname: the container's end.
        host_ifname: the host's end: `oc` and 13 hex digits.
        host_ifindex: 0 until it is made.
        mac: of the container's end.
        mtu: bytes.
        addresses: with their prefix lengths.
        routes: all that are set, the default route among them.
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

    def serves(self, wish: EndpointRequest) -> bool:
        """Tell whether this is what a wish for its network came to."""
        gateways = [one.gateway for one in self.routes if not one.destination.prefixlen]
        return (
            {one.address for one in self.addresses}.issuperset(wish.addresses)
            and wish.mac in ("", self.mac)
            and wish.ifname in ("", self.ifname)
            and wish.mtu in (0, self.mtu)
            and (wish.gateway is None or not gateways or wish.gateway in gateways)
            and set(self.routes).issuperset(wish.routes)
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
        one, two = self.host_address, wish.host_address
        meets = one is None or two is None or not two.value or one == two
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
        ports = wish.host_port in (0, self.host_port) and wish.container_port == self.port
        return same and ports and wish.protocol == self.protocol


def targets_of(ports: Iterable[PortRule]) -> set[Address]:
    """Return the containers' addresses that ports lead to."""
    targets: set[Address] = set()
    last = None
    for port in ports:
        if port.address is not last:  # to hash one for each of a thousand ports takes 1 ms
            last = port.address
            targets.add(last)
    return targets


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


class NetworkRules(Value):
    """What the firewall has to know of a network.

    Attributes:
        device: its bridge.
        subnets: of all its pools.
        isolated: a managed network: nobody gets in but through a published port.
        internal: nobody gets out either.
        masquerade: packets that leave bear the host's address.
    """

    device: str
    subnets: tuple[Subnet, ...]
    isolated: bool = True
    internal: bool = False
    masquerade: bool = True


class Member(Value):
    """A container that shares the sandbox of another one's record."""

    id: str
    name: str
    bundle: str = ""
    process: Process | None = None


class Attachment(Value):
    """All that ocinet made for one sandbox: what is persisted, and detach reads.

    Attributes:
        container: the sandbox's owner.
        mode: as it was asked.
        state: attaching until every step is done, then attached.
        sandbox: its namespace as `DEV:INODE`; "" if it has none of its own (host).
        boot_id: of the boot it was made in.
        time: when, RFC 3339.
        endpoints: in the order of the request.
        ports: what is published.
        netns_name: the file name under /run/netns, or "".
        members: the others in the sandbox.
        member_of: with mode container, the owner's id; all else is empty then.
        left: the owner is gone; the members keep the sandbox.
        done_endpoints: while it is attaching, how many of the endpoints, from the
            first, were there before; likewise `done_ports`.
        path: of a sandbox that was given by its path, or "".
    """

    container: Container
    mode: Mode
    state: str
    sandbox: str
    boot_id: str
    time: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortRule, ...] = ()
    netns_name: str = ""
    members: tuple[Member, ...] = ()
    member_of: str = ""
    left: bool = False
    done_endpoints: int = 0
    done_ports: int = 0
    path: str = ""

    @property
    def done(self) -> Attachment:
        """The part that is complete: all of it, unless it is attaching."""
        if self.state == ATTACHED:
            return self
        return self.replace(
            state=ATTACHED,
            endpoints=self.endpoints[: self.done_endpoints],
            ports=self.ports[: self.done_ports],
        )

    @property
    def undone(self) -> Attachment:
        """The part that is still being attached, or was when its attach was killed."""
        return self.replace(
            endpoints=self.endpoints[self.done_endpoints :],
            ports=self.ports[self.done_ports :],
            netns_name="",
            members=(),
        )

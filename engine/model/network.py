"""A network as it is defined, and what the firewall has to know of it."""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.value import Value
from ocinet.engine.model.request import Route
from ocinet.ipam.pool import Pool


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
        egress: what packets that leave bear instead of an address that is chosen by the
            kernel; one per family at most.
        guard: whether its containers can send as themselves alone.
        host: whether its containers reach the host's own services.
        siblings: whether they reach each other.
        default_route: whether its containers get one by it unasked.
        metric: of that route; 0: the kernel's.
        routes: that each of its containers gets besides.
        dns: whether they find each other by name.
        dns_servers: whom the network's name server asks for all other names; none: whom the
            host asks. On an adopted bridge there is such a server only if there are some.
        unmasked: destinations for which packets leave with the container's own address.
        joined: links of the host by which those destinations reach its containers, as they
            reach each other.
        closed: why it takes no new container; "" of one that does.
        driver: how its containers get onto it; see `plan.driver`.
        parent: of one on the LAN itself, the link of the host that its containers share;
            `device` is the host's own interface on it then, if it has one.
        mode: the driver's.
        host_access: the host's addresses on that interface.
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
    egress: tuple[Address, ...] = ()
    guard: bool = True
    host: bool = True
    siblings: bool = True
    default_route: bool = True
    metric: int = 0
    routes: tuple[Route, ...] = ()
    dns: bool = True
    dns_servers: tuple[Address, ...] = ()
    unmasked: tuple[Subnet, ...] = ()
    joined: tuple[str, ...] = ()
    closed: str = ""
    driver: str = "bridge"
    parent: str = ""
    mode: str = ""
    host_access: tuple[Address, ...] = ()

    @property
    def is_lan(self) -> bool:
        """Whether its containers are on the LAN itself, and no packet of theirs passes the host."""
        return self.driver != "bridge"

    @property
    def families(self) -> tuple[int, ...]:
        """The families that it has a pool of."""
        return tuple(sorted({pool.subnet.family for pool in self.pools}))

    @property
    def apart(self) -> bool:
        """Whether its containers are kept from each other but by who says otherwise.

        What they may send to each other goes by way of the host.
        """
        return self.managed and not self.siblings


class NetworkRules(Value):
    """What the firewall has to know of a network.

    Attributes:
        device: its bridge.
        subnets: of all its pools.
        isolated: a managed network: nobody gets in but through a published port.
        internal: nobody gets out either.
        masquerade: packets that leave bear the host's address.
        egress: which one, of a family where that is said.
        host: whether those on it reach the host's own services.
        siblings: whether they reach each other through the host.
        names: whether the host serves names to them.
        unmasked: what they send to with their own addresses.
        joined: the links by which that gets in to them.
    """

    device: str
    subnets: tuple[Subnet, ...]
    isolated: bool = True
    internal: bool = False
    masquerade: bool = True
    egress: tuple[Address, ...] = ()
    host: bool = True
    siblings: bool = True
    names: bool = True
    unmasked: tuple[Subnet, ...] = ()
    joined: tuple[str, ...] = ()


def rules_of(network: Network) -> NetworkRules:
    """Return what the firewall has to know of a network."""
    return NetworkRules(
        device=network.device,
        subnets=tuple(pool.subnet for pool in network.pools),
        # On an adopted bridge its owner decides who gets in, and what is masqueraded.
        isolated=network.managed,
        internal=network.internal,
        masquerade=network.managed and network.masquerade and not network.internal,
        egress=network.egress,
        host=network.host,
        siblings=network.siblings,
        # As `plan.serving` has it: on a gateway's address, of a bridge of ours or of one whose
        # definition names whom to ask.
        names=network.dns
        and bool(network.managed or network.dns_servers)
        and any(pool.gateway for pool in network.pools),
        unmasked=network.unmasked,
        joined=network.joined,
    )

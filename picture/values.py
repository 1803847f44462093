"""A host's containers and networks as they are shown: plain values, whatever shows them.

Names of containers are what others chose: each renderer escapes them for its own format.
"""

from __future__ import annotations

from ocinet.base import address
from ocinet.base.value import Value

# A container's state.
RUNNING = "running"
BROKEN = "broken"  # it runs, and something of its wiring is not as it was made
REFUSED = "refused"  # it was not attached
ATTACHING = "attaching"
LEFT = "left"  # its members keep its sandbox
DEAD = "dead"  # its record is there, and nobody lives in its sandbox
STATES = (RUNNING, BROKEN, REFUSED, ATTACHING, LEFT, DEAD)
# A link's state.
UP, DOWN, MISSING = "up", "down", "missing"


class Figures(Value):
    """What has passed an interface since it was made, as whoever has the interface sees it.

    Attributes:
        rx_bytes: received.
        rx_packets: likewise.
        rx_dropped: received, and dropped by the kernel.
        tx_bytes: sent.
        tx_packets: likewise.
        tx_dropped: likewise.
        refused: packets sent that the port's guard dropped, as bearing another MAC or address
            than its own; None where there is no guard.
    """

    rx_bytes: int
    rx_packets: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_dropped: int
    refused: int | None = None


class Interface(Value):
    """A container's interface.

    Attributes:
        name: in the container.
        host_end: name of the host's end.
        network: the network's name.
        mac: of the container's end.
        addresses: with their prefix lengths.
        state: UP, DOWN or MISSING, of the host's end.
        figures: as the container sees them; None where the host's end is missing.
        most_in: bits per second that it may receive; 0: as many as there come.
        most_out: that it may send; likewise.
    """

    name: str
    host_end: str
    network: str
    mac: str
    addresses: tuple[address.Interface, ...]
    state: str
    figures: Figures | None
    most_in: int = 0
    most_out: int = 0


class Wire(Value):
    """A container's end of a link to one other alone.

    Attributes:
        link: its name.
        name: of the interface, in the container.
        addresses: with their prefix lengths.
        peer: the id of the other end's container.
    """

    link: str
    name: str
    addresses: tuple[address.Interface, ...]
    peer: str


class Published(Value):
    """A port, or a row of ports, that the host's neighbours reach.

    Attributes:
        host_address: None: every one of the host's, of the family of `address`.
        host_port: the first.
        address: the container's.
        port: the first, of the container.
        protocol: tcp, udp or sctp.
        network: name of the one that it leads to the container by; "" if it is unknown.
        count: how many ports, here and there.
    """

    host_address: address.Address | None
    host_port: int
    address: address.Address
    port: int
    protocol: str
    network: str = ""
    count: int = 1


class Container(Value):
    """A container that is attached, or was to be.

    Attributes:
        id: the runtime's.
        name: any text.
        door: hook, wrapper, watcher, cli, pod, or "".
        mode: bridge, container, host, none; "" of one that was refused.
        state: one of STATES.
        why: in words, of one that is broken, refused or dead; or "".
        hint: a command that helps, or "".
        since: RFC 3339: when it was attached, or refused.
        interfaces: its own; of a member, none: see `shares`.
        published: what leads to it.
        shares: the id of the container whose sandbox it is in, or "".
        wires: its ends of links to others.
    """

    id: str
    name: str
    door: str
    mode: str
    state: str
    why: str
    hint: str
    since: str
    interfaces: tuple[Interface, ...] = ()
    published: tuple[Published, ...] = ()
    shares: str = ""
    wires: tuple[Wire, ...] = ()


class Pool(Value):
    """A subnet of a network, and how full it is.

    Attributes:
        subnet: the whole.
        gateway: or None.
        size: addresses that may be given out.
        used: that are held.
        reserved: that are kept for names, held or not.
    """

    subnet: address.Subnet
    gateway: address.Address | None
    size: int
    used: int
    reserved: int

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.subnet.family


class Network(Value):
    """A network, and its bridge.

    Attributes:
        name: as it is defined.
        bridge: name of the link; of a network on the LAN, of its parent.
        adopted: whether the bridge is somebody else's.
        internal: whether it has no way out.
        state: UP, DOWN or MISSING, of the bridge; one that nobody was on yet is MISSING too.
        why: in words, where that is wrong, or its file can't be read; or "".
        hint: a command that helps, or "".
        mtu: of the bridge, bytes; 0 if it is missing.
        pools: one or more of each family that it has.
        figures: of the bridge: what passed between it and the host.
        driver: how its containers get onto it.
    """

    name: str
    bridge: str
    adopted: bool
    internal: bool
    state: str
    why: str = ""
    hint: str = ""
    mtu: int = 0
    pools: tuple[Pool, ...] = ()
    figures: Figures | None = None
    driver: str = "bridge"

    @property
    def kind(self) -> str:
        """In one word or two."""
        if self.driver != "bridge":
            return f"{self.driver} on"
        kind = "adopted bridge" if self.adopted else "bridge"
        return f"internal {kind}" if self.internal else kind

    @property
    def leads_out(self) -> bool:
        """Whether it has a way out by the host's uplinks: an adopted bridge's is its owner's."""
        return not (self.internal or self.adopted)

    @property
    def subnets(self) -> tuple[address.Subnet, ...]:
        """Those of its pools."""
        return tuple(pool.subnet for pool in self.pools)

    @property
    def gateways(self) -> tuple[address.Address, ...]:
        """Those of its pools."""
        return tuple(pool.gateway for pool in self.pools if pool.gateway)


class Uplink(Value):
    """A link of a default route of the host.

    Attributes:
        name: its own.
        state: UP or DOWN.
        addresses: without those that are link-local.
        figures: what passed it, or None.
    """

    name: str
    state: str
    addresses: tuple[address.Interface, ...]
    figures: Figures | None


class Flaw(Value):
    """What is wrong, and is no single container's or network's.

    Attributes:
        what: in one line.
        hint: a command that helps, or "".
    """

    what: str
    hint: str = ""


class Picture(Value):
    """All that is there at about one moment.

    Attributes:
        taken_at: RFC 3339.
        hostname: of this host.
        uplinks: those of the default routes, IPv4's first; () of a host without one.
        networks: by name.
        containers: by name; those that were refused among them.
        flaws: that concern all.
    """

    taken_at: str
    hostname: str
    uplinks: tuple[Uplink, ...] = ()
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()
    flaws: tuple[Flaw, ...] = ()

    def count(self, state: str) -> int:
        """Return how many containers are in a state."""
        return sum(container.state == state for container in self.containers)

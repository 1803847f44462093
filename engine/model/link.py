"""Links as they are and as they are to be: the values that planning and the kernel room share."""

from __future__ import annotations

from ocinet.base.address import Address, Interface
from ocinet.base.value import Value
from ocinet.engine.model.request import Route

LINK_GROUP = 0x6F63  # "oc"; set in the message that makes a link, where an alias is not honoured
ALIAS_MAX = 255  # bytes: IFALIASZ less the terminator
DOOMED = 0x6F << 24  # with a pid: the one-off group of links that are being deleted


# Before the main table is looked up (32766), and with room for who has a VPN come first: `ip
# rule add` takes one less than the first there is.
SOURCE_PRIORITY = 28515
FIRST_SOURCE_TABLE = 28516  # of eth0; those of eth1 and so on are the next numbers
_SOURCE_TABLES = range(FIRST_SOURCE_TABLE, FIRST_SOURCE_TABLE + 100 + (1 << 16))


def is_source_table(table: int) -> bool:
    """Tell the number of a table of what is sent by an interface from its own addresses."""
    return table in _SOURCE_TABLES


def is_host_ifname(ifname: str) -> bool:
    """Tell whether a name is as those of host ends, `oc` and 13 digits, not what it is of.

    >>> is_host_ifname("oc0123456789abc"), is_host_ifname("tap0")
    (True, False)
    """
    return len(ifname) == 15 and ifname[:2] == "oc"


class SourceWay(Value):
    """How a sandbox of several networks routes what it sends from one of its addresses.

    Attributes:
        ifname: the interface.
        address: that it bears, with its prefix length.
        gateway: by which everything but its subnet is reached.
        table: number of the routing table that says so; one for each interface.
    """

    ifname: str
    address: Interface
    gateway: Address
    table: int


class Inside(Value):
    """What an interface in a sandbox is to have.

    Attributes:
        ifname: the interface.
        addresses: with their prefix lengths.
        routes: all of them, the default route among them.
        ipv6: whether IPv6 is on; off, not even a link-local address is left.
        announce: whether neighbours may know another MAC by one of the addresses.
        mtu: bytes; 0: as it was made.
        strict: whether it takes in of IPv4 only what it would answer through itself
            (rp_filter), where no guard on a bridge's port sees to that.
        mac: that it is to have again; "": as it was made.
    """

    ifname: str
    addresses: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    ipv6: bool = False
    announce: bool = True
    mtu: int = 0
    strict: bool = False
    mac: str = ""

    def ordered_routes(self) -> tuple[tuple[Route, bool], ...]:
        """Return the routes in the order to be set, each with whether it is `onlink`.

        A gateway in no prefix of the link, as with a /32, is told to be on it.
        """
        near = [interface.subnet for interface in self.addresses]
        near += [route.destination for route in self.routes if route.is_on_link]

        def is_far(gateway: Address | None) -> bool:
            if gateway is None or is_link_local(gateway):
                return False
            return not any(gateway in subnet for subnet in near)

        ordered = sorted(self.routes, key=_reach)
        return tuple((route, is_far(route.gateway)) for route in ordered)


class Pair(Value):
    """A veth pair that was made.

    Attributes:
        host_ifindex: of the host's end; 0 if it is no pair.
        ifindex: of the sandbox's end, there.
        bridge_ifindex: of the bridge that the host's end is a port of, or 0.
        mac: of the sandbox's end; "" if the kernel chose it.
        unguarded: why the host's end is not guarded, where it was to be; or "".
    """

    host_ifindex: int
    ifindex: int
    bridge_ifindex: int
    mac: str
    unguarded: str = ""


class InsideLink(Value):
    """What an interface in a sandbox has.

    Attributes:
        ifname: the interface.
        up: whether it is set up.
        mac: lower case with colons, or "".
        mtu: bytes.
        addresses: all of them, link-local ones as well.
        routes: those of the main table through it, the kernel's own as well; of `lo`, all
            that refuse.
        ifindex: its index there.
    """

    ifname: str
    up: bool
    mac: str
    mtu: int
    addresses: tuple[Interface, ...]
    routes: tuple[Route, ...]
    ifindex: int = 0


def is_our_group(group: int) -> bool:
    """Tell whether a link's group says that ocinet made it.

    Links keep the group of a deletion that was killed half-way: ours as well.
    """
    return group == LINK_GROUP or group >> 24 == DOOMED >> 24


def _reach(route: Route) -> tuple[bool, int]:
    """Sort key: on-link routes first, for gateways may lie behind them; default routes last."""
    return route.gateway is not None, -route.destination.prefixlen


def is_link_local(address: Address) -> bool:
    """Tell whether an address of IPv6 is one that a link has by itself."""
    return address.family == 6 and address.value >> 118 == 0xFE80 >> 6


class Link(Value):
    """A network interface as the kernel describes it.

    Attributes:
        ifindex: its number in its namespace.
        ifname: its name.
        kind: bridge, veth, …; "" if it has none (`lo`, hardware).
        mtu: bytes.
        mac: lower case with colons, or "".
        up: whether it is set up; says nothing of a carrier.
        master: the index of the bridge that it is a port of, or 0.
        group: its link group.
        alias: free text, or "".
        peer: of a veth, the index of the other end in its own namespace, or 0.
        running: whether it carries packets: up, with a carrier, and known to be so.
        without_vlan: of a bridge, whether its new ports belong to no VLAN, and so carry
            nothing: it filters VLANs and has none by default.
        filters_vlans: of a bridge, whether a port takes and sends those of its VLANs alone.
        hairpin: of a bridge's port, whether it sends frames back to where they came from.
        isolated: of a bridge's port, whether it carries nothing to others that are.
        lacks: of a bridge's port, what a new one has and it has not, so that it does not carry
            all frames: words of `bridge link set`.
        spans: of a bridge, whether a spanning tree says which ports carry frames, and when.
        without_arp: whether it neither asks nor answers who has an address.
    """

    ifindex: int
    ifname: str
    kind: str
    mtu: int
    mac: str
    up: bool
    master: int = 0
    group: int = 0
    alias: str = ""
    peer: int = 0
    running: bool = False
    without_vlan: bool = False
    filters_vlans: bool = False
    hairpin: bool = False
    isolated: bool = False
    lacks: tuple[str, ...] = ()
    spans: bool = False
    without_arp: bool = False


class Veth(Value):
    """A veth pair to be made: one end a port of a bridge, the other in a sandbox.

    Attributes:
        host_ifname: of the host's end.
        ifname: of the sandbox's end.
        mac: of the sandbox's end; "" leaves it to the kernel.
        host_mac: of the host's end; "" leaves it to the kernel.
        mtu: of both ends; 0 means the bridge's.
        bridge: its interface name.
        alias: of the host's end; 255 bytes at most.
        guard: of the host's end: the program of a filter for what the sandbox's end sends
            (`ruleset.port_guard`); b"" for none.
        isolated: whether the host's end carries nothing to others that are.
    """

    host_ifname: str
    ifname: str
    bridge: str
    mac: str = ""
    host_mac: str = ""
    mtu: int = 0
    alias: str = ""
    guard: bytes = b""
    isolated: bool = False

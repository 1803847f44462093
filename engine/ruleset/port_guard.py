"""What a container may send: as itself alone. A program for the filter of its host end.

The filter of the port, and no table of nftables': no flush takes it away, it goes with the
link, so that nothing has to be taken out behind a container, and others' bridges and ports
never meet it.

All that is not named here is dropped: frames with a VLAN tag, other protocols than IP and
ARP, as spanning tree's, and what is for a bridge itself (01:80:c2:00:00:0X).
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.ruleset.bpf import (
    AND,
    ANY_BIT,
    ARP,
    AT_LEAST,
    AT_LEAST_X,
    BYTE,
    BYTE_FROM_X,
    END,
    EQUAL,
    GO,
    GREATER,
    HALF,
    HALF_FROM_X,
    IPV4,
    IPV6,
    LENGTH,
    LESS_X,
    PROTOCOL,
    VLAN_TAG_PRESENT,
    WORD,
    X_IS_HEADER_LENGTH,
    assembled,
    load,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.ruleset.bpf import Line

_BRIDGES_OWN = 0x0180_C200  # IEEE 802.1D: never forwarded, for the bridge itself
_ETHERNET_IPV4 = 0x0001_0800  # ARP's kinds of addresses, and their lengths
_ADDRESS_LENGTHS = 0x0604
_ASK, _ANSWER = 1, 2
_LATER_FRAGMENT, _ANY_FRAGMENT = 0x1FFF, 0x3FFF
_LATER_FRAGMENT_IPV6 = 0xFFF8
_UDP, _ICMPV6, _TCP, _IGMP, _PIM = 17, 58, 6, 2, 103
# Of a server is what comes from its port, and what goes to a client's: networkd and dhclient
# look at the one alone that they are asked at.
_DHCP_SERVER, _DHCP_CLIENT, _DHCPV6_SERVER, _DHCPV6_CLIENT = 67, 68, 547, 546
_BROADCAST = 0xFFFF_FFFF
_HOP_BY_HOP, _FRAGMENT = 0, 44
# Headers behind which a message of neighbour discovery could come: nobody looks there for it
# but who receives it. Routing, authentication, destination options, mobility, HIP, shim6.
_EXTENSIONS = (43, 51, 60, 135, 139, 140)
# Of ICMPv6: a querier of multicast groups, who is on them, and neighbour discovery.
_QUERY, _REPORT, _DONE, _REPORT_V2 = 130, 131, 132, 143
_SOLICIT_ROUTER, _ADVERTISE_ROUTER = 133, 134
_SOLICIT, _ADVERTISE, _REDIRECT = 135, 136, 137
# By which a bridge takes a port for a multicast router's, and sends it all groups (RFC 4286).
_ADVERTISE_MULTICAST_ROUTER = 151
_IGMP_QUERY, _IGMP_ADVERTISE_ROUTER = 0x11, 0x30
_BARE, _WITH_OPTION = 24, 32  # bytes of a solicitation or advertisement
_OPTION_OF_8 = 1
_SOURCE_MAC, _TARGET_MAC, _NONCE = 1, 2, 14  # RFC 4861 section 4.6, RFC 7527
# Where it is in a frame.
_ARP_SHA, _ARP_SPA, _ARP_TPA = 22, 28, 38
_IPV4_SOURCE, _IPV4_TARGET = 26, 30
_UDP_TARGET, _DHCP_COOKIE, _COOKIE = 36, 278, 0x6382_5363  # RFC 2131, section 3
_PAYLOAD_LENGTH, _NEXT_HEADER, _IPV6_SOURCE = 18, 20, 22
_LEAST_IPV4, _LEAST_ARP, _IPV6_PAYLOAD = 34, 42, 54
_IN_FRAGMENT = _IPV6_PAYLOAD + 8
_ND_TARGET, _ND_OPTION = 62, 78


def guard_program(mac: str, addresses: tuple[Address, ...]) -> bytes:
    """Return the program that lets pass what bears a container's MAC and addresses.

    Families that it has no address of do not pass at all. Of IPv6, it has the link-local
    address of its MAC besides, whatever else it may have given itself.

    Args:
        mac: of the container's end.
        addresses: of it.
    """
    number = int(mac.replace(":", ""), 16)
    own4 = tuple(address.value for address in addresses if address.family == 4)
    own6 = tuple(address.value for address in addresses if address.family == 6)
    own6 = (*own6, _link_local(number)) if own6 else ()
    return assembled(
        load(WORD, VLAN_TAG_PRESENT), (EQUAL, 0, "", "no frame"),
        load(LENGTH, 0), (AT_LEAST, _LEAST_IPV4, "", "no frame"),
        *_is_mac(6, number, "no frame"),
        load(WORD, 0), (EQUAL, _BRIDGES_OWN, "", "protocol"),
        load(HALF, 4), (AND, 0xFFF0, "", ""), (EQUAL, 0, "no frame", ""),
        "protocol", load(HALF, PROTOCOL),
        *(_TO_IPV4 if own4 else ()),
        *(((EQUAL, IPV6, "", "no frame"), (GO, 0, "IPv6", "")) if own6 else ()),
        "no frame", (GO, 0, "drop", ""),
        *(_arp(number, own4) if own4 else ()),
        *(_ipv4(own4) if own4 else ()),
        *(_ipv6(number, own6) if own6 else ()),
        *END,
    )  # fmt: skip


_TO_IPV4: tuple[Line, ...] = (
    (EQUAL, IPV4, "", "not IPv4"), (GO, 0, "IPv4", ""), "not IPv4", (EQUAL, ARP, "ARP", ""),
)  # fmt: skip


def _link_local(mac: int) -> int:
    """Return the address of IPv6 that the kernel makes of a MAC (RFC 4291, appendix A)."""
    upper, lower = (mac >> 24) ^ 0x02_0000, mac & 0xFF_FFFF
    return 0xFE80 << 112 | upper << 40 | 0xFFFE << 24 | lower


def _is_mac(at: int, number: int, other: str) -> tuple[Line, ...]:
    return (
        load(WORD, at), (EQUAL, number >> 16, "", other),
        load(HALF, at + 4), (EQUAL, number & 0xFFFF, "", other),
    )  # fmt: skip


def _arp(mac: int, own: tuple[int, ...]) -> tuple[Line, ...]:
    """Let it say that it has its addresses, and ask who has another.

    A probe, from 0.0.0.0, says that somebody is about to take an address (RFC 5227).
    """
    return (
        "ARP", load(LENGTH, 0), (AT_LEAST, _LEAST_ARP, "", "no ARP"),
        load(WORD, 14), (EQUAL, _ETHERNET_IPV4, "", "no ARP"),
        load(HALF, 18), (EQUAL, _ADDRESS_LENGTHS, "", "no ARP"),
        *_is_mac(_ARP_SHA, mac, "no ARP"),
        load(HALF, 20), (EQUAL, _ASK, "sender", ""), (EQUAL, _ANSWER, "sender", ""),
        "no ARP", (GO, 0, "drop", ""),
        "sender", load(WORD, _ARP_SPA), *_is_one_of4(own, "pass", "sender"),
        (EQUAL, 0, "", "no probe"),
        load(HALF, 20), (EQUAL, _ASK, "", "no probe"),
        load(WORD, _ARP_TPA), (GO, 0, "its own", ""),
        "no probe", (GO, 0, "drop", ""),
        "its own", *_is_one_of4(own, "pass", "target"), (GO, 0, "drop", ""),
    )  # fmt: skip


def _ipv4(own: tuple[int, ...]) -> tuple[Line, ...]:
    """Let pass what is from its addresses and no router's or server's, and what asks for one.

    Bridges read IGMP without a look at whether it is a part of a packet: parts of it are dropped.
    """
    return (
        "IPv4", load(WORD, _IPV4_SOURCE),
        *_is_one_of4(own, "own IPv4", "source"), (EQUAL, 0, "", "no IPv4"),
        load(WORD, _IPV4_TARGET), (EQUAL, _BROADCAST, "", "no IPv4"),
        load(BYTE, 23), (EQUAL, _UDP, "", "no IPv4"),
        load(HALF, 20), (ANY_BIT, _ANY_FRAGMENT, "no IPv4", ""),
        *_behind_header(4, "no IPv4"),
        load(HALF_FROM_X, 14), (EQUAL, _DHCP_CLIENT, "", "no IPv4"),
        load(HALF_FROM_X, 16), (EQUAL, _DHCP_SERVER, "IPv4 passes", "no IPv4"),
        "own IPv4", load(BYTE, 23), (EQUAL, _TCP, "IPv4 passes", ""),
        (EQUAL, _UDP, "UDP over IPv4", ""), (EQUAL, _IGMP, "IGMP", ""),
        (EQUAL, _PIM, "no IPv4", "IPv4 passes"),
        "UDP over IPv4", load(HALF, 20), (ANY_BIT, _LATER_FRAGMENT, "later", ""),
        *_behind_header(4, "no IPv4"),
        load(HALF_FROM_X, 14), (EQUAL, _DHCP_SERVER, "no IPv4", ""),
        load(HALF_FROM_X, 16), (EQUAL, _DHCP_CLIENT, "no IPv4", ""),
        load(HALF, _UDP_TARGET), (EQUAL, _DHCP_CLIENT, "no IPv4", "IPv4 passes"),
        *_LATER_LINES,
        "IGMP", load(HALF, 20), (ANY_BIT, _ANY_FRAGMENT, "no IPv4", ""),
        *_behind_header(1, "no IPv4"),
        load(BYTE_FROM_X, 14), (EQUAL, _IGMP_QUERY, "no IPv4", ""),
        (EQUAL, _IGMP_ADVERTISE_ROUTER, "no IPv4", "IPv4 passes"),
        "no IPv4", (GO, 0, "drop", ""),
        "IPv4 passes", (GO, 0, "pass", ""),
    )  # fmt: skip


# networkd reads frames by itself, with the offsets of a header without options, and takes any part
# of a packet for a whole one: what it would take for an answer has this in it.
_LATER_LINES: tuple[Line, ...] = (
    "later", load(LENGTH, 0), (AT_LEAST, _DHCP_COOKIE + 4, "", "IPv4 passes"),
    load(HALF, _UDP_TARGET), (EQUAL, _DHCP_CLIENT, "", "IPv4 passes"),
    load(WORD, _DHCP_COOKIE), (EQUAL, _COOKIE, "no IPv4", "IPv4 passes"),
)  # fmt: skip


def _is_one_of4(addresses: tuple[int, ...], found: str, what: str) -> tuple[Line, ...]:
    """Go to `found`, however far, if what was loaded is one of these addresses; else on.

    Args:
        addresses: of IPv4.
        found: where to go.
        what: of the packet they are, for no two places may have one name.
    """
    lines: list[Line] = []
    for place, address in enumerate(addresses):
        other = f"{what} not {place}"
        lines += ((EQUAL, address, "", other), (GO, 0, found, ""), other)
    return tuple(lines)


def _behind_header(size: int, short: str) -> tuple[Line, ...]:
    """Have X be the header's length, with so many bytes behind it."""
    return (
        load(X_IS_HEADER_LENGTH, 14), load(LENGTH, 0),
        (AT_LEAST_X, 0, "", short), (LESS_X, 0, "", ""), (AT_LEAST, 14 + size, "", short),
    )  # fmt: skip


def _ipv6(mac: int, own: tuple[int, ...]) -> tuple[Line, ...]:
    """Let pass what is from its addresses, but as a router's or server's; and DAD for them."""
    return (
        "IPv6", load(LENGTH, 0), (AT_LEAST, _IPV6_PAYLOAD, "IPv6 whole", ""), (GO, 0, "drop", ""),
        "IPv6 whole",
        *_is_one_of(_IPV6_SOURCE, own, "own IPv6"),
        *_is_one_of(_IPV6_SOURCE, (0,), "nobody's"),
        (GO, 0, "drop", ""),
        "nobody's", load(BYTE, _NEXT_HEADER), (EQUAL, _HOP_BY_HOP, "hop by hop", ""),
        (EQUAL, _ICMPV6, "", "no IPv6"),
        load(LENGTH, 0), (AT_LEAST, _IPV6_PAYLOAD + 4, "", "no IPv6"),
        load(BYTE, _IPV6_PAYLOAD), (EQUAL, _SOLICIT_ROUTER, "IPv6 passes", ""),
        (EQUAL, _SOLICIT, "its target", "no IPv6"),
        "own IPv6", load(BYTE, _NEXT_HEADER), (EQUAL, _TCP, "IPv6 passes", ""),
        (EQUAL, _UDP, "", "no UDP"),
        load(LENGTH, 0), (AT_LEAST, _IPV6_PAYLOAD + 4, "", "no IPv6"),
        load(HALF, _IPV6_PAYLOAD), (EQUAL, _DHCPV6_SERVER, "no IPv6", ""),
        load(HALF, _IPV6_PAYLOAD + 2), (EQUAL, _DHCPV6_CLIENT, "no IPv6", "IPv6 passes"),
        "no UDP", (EQUAL, _ICMPV6, "ICMPv6", ""), (EQUAL, _HOP_BY_HOP, "hop by hop", ""),
        (EQUAL, _FRAGMENT, "fragment", ""), *_EXTENDED, (GO, 0, "IPv6 passes", ""),
        *_HOP_BY_HOP_LINES,
        *_FRAGMENT_LINES,
        "ICMPv6", load(LENGTH, 0), (AT_LEAST, _IPV6_PAYLOAD + 4, "", "no IPv6"),
        load(BYTE, _IPV6_PAYLOAD), (EQUAL, _SOLICIT, "solicitation", ""),
        (EQUAL, _ADVERTISE, "its target", ""), (EQUAL, _QUERY, "no IPv6", ""),
        (EQUAL, _ADVERTISE_MULTICAST_ROUTER, "no IPv6", ""),
        (EQUAL, _ADVERTISE_ROUTER, "no IPv6", ""), (EQUAL, _REDIRECT, "no IPv6", "IPv6 passes"),
        "solicitation", (GO, 0, "options", ""),
        "no IPv6", (GO, 0, "drop", ""),
        "IPv6 passes", (GO, 0, "pass", ""),
        "its target", load(LENGTH, 0), (AT_LEAST, _ND_OPTION, "target whole", ""),
        (GO, 0, "drop", ""),
        "target whole", *_is_one_of(_ND_TARGET, own, "options"), (GO, 0, "drop", ""),
        *_options(mac),
    )  # fmt: skip


_EXTENDED: tuple[Line, ...] = tuple((EQUAL, header, "no IPv6", "") for header in _EXTENSIONS)

# Nothing comes behind one but who listens to which groups (RFC 3810 section 5).
_HOP_BY_HOP_LINES: tuple[Line, ...] = (
    "hop by hop", load(LENGTH, 0), (AT_LEAST, _IN_FRAGMENT + 4, "", "no IPv6"),
    load(HALF, _IPV6_PAYLOAD), (EQUAL, _ICMPV6 << 8, "", "no IPv6"),
    load(BYTE, _IN_FRAGMENT), (EQUAL, _REPORT, "IPv6 passes", ""),
    (EQUAL, _DONE, "IPv6 passes", ""), (EQUAL, _REPORT_V2, "IPv6 passes", "no IPv6"),
)  # fmt: skip

# Neighbour discovery never comes in parts (RFC 6980), and what it is stands in the first one.
_FRAGMENT_LINES: tuple[Line, ...] = (
    "fragment", load(LENGTH, 0), (AT_LEAST, _IN_FRAGMENT, "", "no IPv6"),
    load(BYTE, _IPV6_PAYLOAD), (EQUAL, _HOP_BY_HOP, "no IPv6", ""),
    (EQUAL, _FRAGMENT, "no IPv6", ""), *_EXTENDED,
    load(HALF, _IPV6_PAYLOAD + 2), (ANY_BIT, _LATER_FRAGMENT_IPV6, "IPv6 passes", ""),
    load(LENGTH, 0), (AT_LEAST, _IN_FRAGMENT + 4, "", "no IPv6"),
    load(BYTE, _IPV6_PAYLOAD), (EQUAL, _ICMPV6, "", "first fragment"),
    load(BYTE, _IN_FRAGMENT), (AT_LEAST, _QUERY, "", "IPv6 passes"),
    (GREATER, _REDIRECT, "IPv6 passes", "no IPv6"),
    "first fragment", (EQUAL, _UDP, "", "IPv6 passes"),
    load(HALF, _IN_FRAGMENT), (EQUAL, _DHCPV6_SERVER, "no IPv6", ""),
    load(HALF, _IN_FRAGMENT + 2), (EQUAL, _DHCPV6_CLIENT, "no IPv6", "IPv6 passes"),
)  # fmt: skip


def _is_one_of(at: int, addresses: tuple[int, ...], found: str) -> tuple[Line, ...]:
    """Go to `found` if one of these addresses of IPv6 is there; else on."""
    lines: list[Line] = []
    for place, address in enumerate(addresses):
        other = f"{found} not {place}"
        for word in (3, 2, 1, 0):  # what tells neighbours apart comes last
            part = address >> 32 * (3 - word) & 0xFFFF_FFFF
            lines += (load(WORD, at + 4 * word), (EQUAL, part, "", other))
        lines += ((GO, 0, found, ""), other)
    return tuple(lines)


def _options(mac: int) -> tuple[Line, ...]:
    """Let pass a solicitation or advertisement with one option at most, its own MAC."""
    return (
        "options", load(HALF, _PAYLOAD_LENGTH), (EQUAL, _BARE, "pass", ""),
        (EQUAL, _WITH_OPTION, "", "drop"),
        load(LENGTH, 0), (AT_LEAST, _ND_OPTION + 8, "", "drop"),
        load(HALF, _ND_OPTION), (EQUAL, _NONCE << 8 | _OPTION_OF_8, "pass", ""),
        (EQUAL, _SOURCE_MAC << 8 | _OPTION_OF_8, "MAC", ""),
        (EQUAL, _TARGET_MAC << 8 | _OPTION_OF_8, "", "drop"),
        "MAC", *_is_mac(_ND_OPTION + 2, mac, "drop"), (GO, 0, "pass", ""),
    )  # fmt: skip

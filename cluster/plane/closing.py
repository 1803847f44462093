"""Who may speak to this host's share, and as whom: a table of its own, as text. Pure.

VXLAN proves nothing. So a packet of it is taken in only from a peer's underlay address, by the
link that this host would answer to it by, and only if what is inside goes from that very peer's
share to this host's: where the kernel unwraps it, nobody can tell any more who has sent it. nft
names fields of the packet inside from 1.0.8 on; here they are said by where they are.

Each packet of the underlay passes `input`, so that what usually comes is let in by one look-up in
one set, without a range: a chain at prerouting alone takes 1 % of the round trips, and sets of
ranges 1 % more (`bench/overlay.py`).
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.cluster.model import Mine, Peer
from ocinet.cluster.plane.desired import underlay_of, underlay_to
from ocinet.engine.ruleset.nft import field_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {4: "ip", 6: "ip6"}
_TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}
_BITS = {4: 32, 6: 128}
# Bits from the UDP header on: 8 bytes of it, 8 of VXLAN's, 14 of Ethernet's, then IP.
_NUMBER, _KIND = "@th,96,24", "@th,224,16"
_ETHERTYPES = {4: "0x0800", 6: "0x86dd"}
_SOURCE_AT = {4: 336, 6: 304}
_INPUT = "type filter hook input priority filter - 5; policy accept;"
_FORWARD = "type filter hook forward priority filter - 5; policy accept;"

_ASKS = "ct direction original "
# Whatever network it leads to, as for everybody.
_PUBLISHED = "\t\tct status dnat accept\n"

# What comes from the others' shares and is for the host itself.
_HOST = """\
	chain host {
		# Containers of other hosts have no business with this one's own services; what it asked
		# them for, and ICMP (by number: no names where netbase is not installed), they have.
		ct state established,related accept
		meta l4proto { 1, 58 } accept
		drop
	}
"""


def vxlan_text(table: str, device: str, link: int, mine: Mine, peers: tuple[Peer, ...]) -> str:
    """Return what replaces the table of a VXLAN device, or makes it.

    Args:
        table: its name.
        device: the VXLAN device's name, which need not be there.
        link: the index of the link that bears this host's underlay address.
        mine: this host.
        peers: who is believed.
    """
    family = underlay_of(mine).family
    at = [(place, peer) for peer in peers if (place := underlay_to(peer, family))]
    sets = _set("hosts", f"type {_TYPES[family]}", [str(place) for place, _peer in at])
    rules = ""
    for own in mine.shares:
        spoken = [
            (place, share) for place, peer in at for share in peer.shares
            if share.family == own.family
        ]  # fmt: skip
        for length in sorted({share.prefixlen for _place, share in spoken}):
            of_length = [pair for pair in spoken if pair[1].prefixlen == length]
            speaks, rule = _speaking(_WORDS[family], own, length, of_length, link)
            sets, rules = sets + speaks, rules + rule
    ours = f"udp dport {mine.cluster.port} {_NUMBER} {mine.cluster.vni}"
    name = field_text("ifname", device)
    chains = (
        f"\tchain input {{\n\t\t{_INPUT}\n{rules}"
        f"\t\t{ours} drop\n\t\tiifname {name} goto host\n{_elsewhere(mine, name)}\t}}\n"
        # A container's would bear this host's address behind masquerading, and be believed.
        f"\tchain forward {{\n\t\t{_FORWARD}\n\t\t{ours} {_WORDS[family]} daddr @hosts drop\n"
        f"{_leaving(mine, name)}\t}}\n"
    )
    return _table(table, sets + _theirs(mine, peers), chains)


def tunnel_text(table: str, device: str, mine: Mine, peers: tuple[Peer, ...]) -> str:
    """Return what replaces the table of a device that proves by itself who has sent what."""
    name = field_text("ifname", device)
    chains = (
        f"\tchain input {{\n\t\t{_INPUT}\n\t\tiifname {name} goto host\n"
        f"{_elsewhere(mine, name)}\t}}\n\tchain forward {{\n\t\t{_FORWARD}\n{_PUBLISHED}"
    )
    for family in mine.cluster.families:
        # It is no router: neither to others of its links nor to the Internet.
        chains += f"\t\tiifname {name} {_not_mine(mine, family)}drop\n"
    chains += _leaving(mine, name)
    return _table(table, _theirs(mine, peers), chains + "\t}\n")


def routes_text(table: str, link: str, mine: Mine, peers: tuple[Peer, ...]) -> str:
    """Return what replaces the table of a link that all hosts are on."""
    name = field_text("ifname", link)
    to_host, unowned, through = "", "", _PUBLISHED
    for family in mine.cluster.families:
        word = _WORDS[family]
        to_host += f"\t\tiifname {name} {word} saddr @theirs{family} goto host\n"
        through += (
            f"\t\tiifname {name} {word} saddr @theirs{family} {_not_mine(mine, family)}drop\n"
        )
        others = _not_mine(mine, family, "saddr")
        through += f"\t\toifname {name} {word} daddr @theirs{family} {others}{_ASKS}drop\n"
        for pool in _pools(mine, family):  # what is of the pool and nobody's
            unowned += (
                f"\t\tiifname {name} {word} saddr {pool} {word} saddr != @theirs{family} drop\n"
            )
    chains = (
        f"\tchain input {{\n\t\t{_INPUT}\n{to_host}{_elsewhere(mine, name)}\t}}\n"
        f"\tchain forward {{\n\t\t{_FORWARD}\n{unowned}{through}\t}}\n"
    )
    return _table(table, _theirs(mine, peers), chains)


def _speaking(
    outer: str, own: Subnet, length: int, spoken: list[tuple[Address, Subnet]], link: int
) -> tuple[str, str]:
    """Return the set of who speaks for shares of one length, and the rules that ask it.

    Where prefixes end with a byte they are compared as they are: a share is one number then, and
    the set is hashed. Others are ranges: nft 1.0.6 shifts such fields the wrong way.
    """
    inner = own.family
    whole = length % 8 == 0 and own.prefixlen % 8 == 0 and length > 0
    bits = (length, own.prefixlen) if whole else (_BITS[inner], _BITS[inner])
    source = f"@th,{_SOURCE_AT[inner]},{bits[0]}"
    target = f"@th,{_SOURCE_AT[inner] + _BITS[inner]},{bits[1]}"
    key, name = f"{outer} saddr . {_KIND} . {source} . {target}", f"speaks{inner}_{length}"
    spelled = _prefix if whole else _range
    elements = [
        f"{place} . {_ETHERTYPES[inner]} . {spelled(share)} . {spelled(own)}"
        for place, share in spoken
    ]
    rules = f"\t\t{key} @{name} iif {link} accept\n"
    rules += f"\t\t{key} @{name} fib saddr . iif oif exists accept\n"
    return _set(name, f"typeof {key}", elements, "" if whole else "interval"), rules


def _elsewhere(mine: Mine, name: str) -> str:
    """Return the rules by which nobody tells the host that he is of others' shares."""
    text = ""
    for family in mine.cluster.families:
        word = _WORDS[family]
        for pool in _pools(mine, family):  # first: the set is asked by few packets then
            text += (
                f'\t\t{word} saddr {pool} iifname != {name} iif != "lo"'
                f" {word} saddr @theirs{family} drop\n"
            )
    return text


def _leaving(mine: Mine, name: str) -> str:
    """Return the rules by which nothing but this host's share goes to others' by a device.

    Masquerading would give what is of another network this host's address there. Answers of a
    published port still bear their container's own where they pass here.
    """
    return "".join(
        f"\t\t{_not_mine(mine, family, 'saddr')}oifname {name} {_ASKS}drop\n"
        for family in mine.cluster.families
    )


def _not_mine(mine: Mine, family: int, end: str = "daddr") -> str:
    own = [share for share in mine.shares if share.family == family]
    return "".join(f"{_WORDS[family]} {end} != {share} " for share in own) or (
        f"meta nfproto ipv{family} "
    )


def _theirs(mine: Mine, peers: Iterable[Peer]) -> str:
    shares = [share for peer in peers for share in peer.shares]
    return "".join(
        _set(f"theirs{family}", f"type {_TYPES[family]}",
             [str(share) for share in shares if share.family == family], "interval")
        for family in mine.cluster.families
    )  # fmt: skip


def _pools(mine: Mine, family: int) -> list[Subnet]:
    return [pool.prefix for pool in mine.cluster.pools if pool.prefix.family == family]


def _set(name: str, kind: str, elements: list[str], flags: str = "") -> str:
    said = f"\t\tflags {flags}\n" if flags else ""
    if elements:
        said += f"\t\telements = {{ {', '.join(sorted(set(elements)))} }}\n"
    return f"\tset {name} {{\n\t\t{kind}\n{said}\t}}\n"


def _table(name: str, sets: str, chains: str) -> str:
    head = f"add table inet {name}\ndelete table inet {name}\n"
    return f"{head}table inet {name} {{\n{sets}{chains}{_HOST}}}\n"


def _prefix(share: Subnet) -> str:
    """Spell the bits that a share's addresses have in common, as a number."""
    value = share.value >> _BITS[share.family] - share.prefixlen
    return f"0x{value:0{share.prefixlen // 4}x}"


def _range(share: Subnet) -> str:
    digits = _BITS[share.family] // 4
    return f"0x{share.first.value:0{digits}x}-0x{share.last.value:0{digits}x}"

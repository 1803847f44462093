"""Who may speak to this host's share, and as whom: a table of its own, as text. Pure.

VXLAN proves nothing. So a packet of it is taken in only from a peer's underlay address, by the
link that this host would answer to it by, and only if what is inside bears an address of that
very peer's share: where the kernel unwraps it, nobody can tell any more who has sent it. nft names
fields of the packet inside from 1.0.8 on; here they are said by where they are.
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
_DIGITS = {4: 8, 6: 32}
# Bits from the UDP header on: 8 bytes of it, 8 of VXLAN's, 14 of Ethernet's, then IP.
_NUMBER = "@th,96,24"
_KIND = "@th,224,16"
_ETHERTYPES = {4: "0x0800", 6: "0x86dd"}
_INNER_SOURCE = {4: "@th,336,32", 6: "@th,304,128"}

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


def vxlan_text(table: str, device: str, mine: Mine, peers: tuple[Peer, ...]) -> str:
    """Return what replaces the table of a VXLAN device, or makes it."""
    family = underlay_of(mine).family
    heard = [(at, peer) for peer in peers if (at := underlay_to(peer, family))]
    outer = _WORDS[family]
    sets = _set("hosts", family, [str(at) for at, _peer in heard])
    accepted = ""
    for inner in (4, 6):
        spoken = [
            f"{at} . {_inner(share)}"
            for at, peer in heard
            for share in peer.shares
            if share.family == inner
        ]
        kind = f"typeof {outer} saddr . {_INNER_SOURCE[inner]}"
        sets += _set_of(f"speaks{inner}", kind, spoken, "interval")
        accepted += (
            f"\t\t{_KIND} {_ETHERTYPES[inner]} {outer} saddr . {_INNER_SOURCE[inner]}"
            f" @speaks{inner} fib saddr . iif oif exists accept\n"
        )
    ours = f"udp dport {mine.cluster.port} {_NUMBER} {mine.cluster.vni}"
    chains = (
        "\tchain input {\n\t\ttype filter hook input priority filter - 5; policy accept;\n"
        f'\t\t{ours} goto sender\n\t\tiifname "{device}" goto host\n\t}}\n'
        f"\tchain sender {{\n{accepted}\t\tdrop\n\t}}\n"
        # A container's would bear this host's address behind masquerading, and be believed.
        "\tchain forward {\n\t\ttype filter hook forward priority filter - 5; policy accept;\n"
        f"\t\t{ours} {outer} daddr @hosts drop\n\t}}\n"
    )
    arriving = _arriving(f'iifname "{device}"', f'iifname != "{device}"', mine)
    return _table(table, sets + _shares(mine, peers), chains + arriving)


def tunnel_text(table: str, device: str, mine: Mine, peers: tuple[Peer, ...]) -> str:
    """Return what replaces the table of a device that proves by itself who has sent what."""
    chains = (
        "\tchain input {\n\t\ttype filter hook input priority filter - 5; policy accept;\n"
        f'\t\tiifname "{device}" goto host\n\t}}\n'
    )
    arriving = _arriving(f'iifname "{device}"', f'iifname != "{device}"', mine)
    return _table(table, _shares(mine, peers), chains + arriving)


def routes_text(table: str, link: str, mine: Mine, peers: tuple[Peer, ...]) -> str:
    """Return what replaces the table of a link that all hosts are on."""
    link = field_text("ifname", link)  # with its quotes
    chains = "\tchain input {\n\t\ttype filter hook input priority filter - 5; policy accept;\n"
    unowned = ""
    for family in _families(mine):
        word = _WORDS[family]
        chains += f"\t\tiifname {link} {word} saddr @theirs{family} goto host\n"
        # Of the pool, and nobody's.
        unowned += (
            f"\t\t{word} saddr @pool{family} iifname {link} {word} saddr != @theirs{family} drop\n"
        )
    theirs = f"iifname {link} {{word}} saddr @theirs{{family}}"
    arriving = _arriving(theirs, f"iifname != {link}", mine, unowned)
    return _table(table, _shares(mine, peers), chains + "\t}\n" + arriving)


def _arriving(by_link: str, elsewhere: str, mine: Mine, more: str = "") -> str:
    """Return the chain by which shares' packets come by that link alone, and for this share."""
    text = "\tchain arriving {\n\t\ttype filter hook prerouting priority raw; policy accept;\n"
    for family in (4, 6):
        word = _WORDS[family]
        here = by_link.format(word=word, family=family)
        # It is no router: neither to others of its links nor to the Internet.
        text += f"\t\t{here} {word} daddr != @mine{family} drop\n"
    for family in _families(mine):
        word = _WORDS[family]
        # The pool first: the set of shares is asked by few packets then.
        text += (
            f'\t\t{word} saddr @pool{family} {elsewhere} iif != "lo"'
            f" {word} saddr @theirs{family} drop\n"
        )
    return f"{text}{more}\t}}\n"


def _shares(mine: Mine, peers: Iterable[Peer]) -> str:
    text = ""
    shares = [share for peer in peers for share in peer.shares]
    pools = [pool.prefix for pool in mine.cluster.pools]
    for family in (4, 6):
        for name, subnets in (("mine", mine.shares), ("theirs", shares), ("pool", pools)):
            spelled = [str(subnet) for subnet in subnets if subnet.family == family]
            text += _set(f"{name}{family}", family, spelled, "interval")
    return text


def _families(mine: Mine) -> tuple[int, ...]:
    return mine.cluster.families


def _set(name: str, family: int, elements: list[str], flags: str = "") -> str:
    return _set_of(name, f"type {_TYPES[family]}", elements, flags)


def _set_of(name: str, kind: str, elements: list[str], flags: str) -> str:
    said = f"\t\tflags {flags}\n" if flags else ""
    if elements:
        said += f"\t\telements = {{ {', '.join(sorted(set(elements)))} }}\n"
    return f"\tset {name} {{\n\t\t{kind}\n{said}\t}}\n"


def _table(name: str, sets: str, chains: str) -> str:
    head = f"add table inet {name}\ndelete table inet {name}\n"
    return f"{head}table inet {name} {{\n{sets}{chains}{_HOST}}}\n"


def _inner(share: Subnet) -> str:
    """Spell the addresses of a share as nft takes them of a field that it has no name for."""
    return "-".join(_number(end) for end in (share.first, share.last))


def _number(address: Address) -> str:
    return f"0x{address.value:0{_DIGITS[address.family]}x}"

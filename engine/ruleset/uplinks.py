"""The table that follows what the host's routes say of sources.

It marks connections which came in by an uplink with routes of its own, and gives what
leaves the address that the route says. A table by itself, made only where routes say so:
it is replaced as a whole when they change, and the packets of all other hosts pass nothing
of it.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.engine.model.routing import (
    MARK_MASK,
    LeavingMark,
    ReplyMark,
    SourceNat,
    UplinkRules,
)
from ocinet.engine.ruleset.nft import field_text
from ocinet.engine.ruleset.tables import FAMILY, UPLINKS_TABLE

_OTHERS = MARK_MASK ^ 0xFFFF_FFFF
_WORDS = {4: "ip", 6: "ip6"}

# As "add", then "delete", neither fails: whether there was one or not.
_REMOVAL = f"add table {FAMILY} {UPLINKS_TABLE}\ndelete table {FAMILY} {UPLINKS_TABLE}\n"

_PREROUTING = f"""\
	chain prerouting {{{{
		# Before DNAT, which takes away the address that was asked for, and before the
		# kernel chooses the way.
		type filter hook prerouting priority mangle; policy accept;
		ct mark and {MARK_MASK:#x} != 0 ct direction reply ct status dnat jump answers
		ct state new fib daddr type local jump requests
{{leaving}}	}}}}
"""
_LEAVES = "\t\tct direction original fib daddr type != local jump leaving\n"
_LEAVING = """\
	chain leaving {
		# What bears an address of another uplink goes there: its connections bear the mark, so
		# that they keep their way. Those on networks of this host are reached as ever.
"""


_REQUESTS = """\
	chain requests {
		# Only what came in where the host's own answer would leave: another network
		# of this host, or a VPN, may be unknown to the tables of an uplink.
"""
_POSTROUTING = """\
	chain postrouting {
		# Before masquerading, which takes the first address of the link.
		type nat hook postrouting priority srcnat - 1; policy accept;
"""


def table_text(rules: UplinkRules) -> str:
    """Return what replaces the table, whatever is in it, by one for these rules, or by none."""
    if not (rules.marks or rules.sources):
        return _REMOVAL  # whose packets leave otherwise, has marks
    return (
        f"{_REMOVAL}table {FAMILY} {UPLINKS_TABLE} {{\n"
        f'\tcomment "{fingerprint(rules)}"\n{_chains(rules)}}}\n'
    )


def fingerprint(rules: UplinkRules) -> str:
    """Return what tells tables apart by what they are made of: 16 hex digits; "" for no table.

    The table bears it, so that one question tells whether it is as it should be.
    """
    text = _chains(rules)
    return blake2s(text.encode(), digest_size=8).hexdigest() if text else ""


def _chains(rules: UplinkRules) -> str:
    text = ""
    if rules.marks:
        answers = "".join(_answer(reply.mark) for reply in rules.marks)
        requests = "".join(map(_request, rules.marks))
        text += _PREROUTING.format(leaving=_LEAVES if rules.leaving else "")
        text += f"\tchain answers {{\n{answers}\t}}\n{_REQUESTS}{requests}\t}}\n"
        text += _leaving(rules) if rules.leaving else ""
    if rules.sources:
        text += f"{_POSTROUTING}{_unmasked(rules)}{''.join(map(_source, rules.sources))}\t}}\n"
    return text


def _leaving(rules: UplinkRules) -> str:
    stay = "".join(
        f"\t\t{_WORDS[family]} daddr {{ {', '.join(map(str, subnets))} }} return\n"
        for family in (4, 6)
        if (subnets := [subnet for subnet in rules.inside if subnet.family == family])
    )
    begin = "".join(map(_departure, rules.leaving))
    return (
        f"\tchain departures {{\n{begin}\t}}\n{_LEAVING}{stay}{_unmasked(rules)}"
        f"\t\tct state new jump departures\n"
        f"\t\tct mark and {MARK_MASK:#x} != 0 jump answers\n\t}}\n"
    )


def _unmasked(rules: UplinkRules) -> str:
    """Return the rules by which what keeps its own address goes as ever: of these networks."""
    return "".join(
        f"\t\t{_WORDS[far.family]} saddr {source} {_WORDS[far.family]} daddr {far} return\n"
        for source, far in rules.unmasked
    )


def _departure(leaving: LeavingMark) -> str:
    family = _WORDS[leaving.sources[0].family]
    sources = ", ".join(map(str, leaving.sources))
    mark = f" ct mark set ct mark and {_OTHERS:#x} or {leaving.mark:#x}" if leaving.mark else ""
    return f"\t\t{family} saddr {{ {sources} }}{mark} return\n"


def _answer(mark: int) -> str:
    return (
        f"\t\tct mark and {MARK_MASK:#x} == {mark:#x}"
        f" meta mark set meta mark and {_OTHERS:#x} or {mark:#x}\n"
    )


def _request(reply: ReplyMark) -> str:
    family = _WORDS[reply.addresses[0].family]
    addresses = ", ".join(map(str, reply.addresses))
    return (
        f"\t\t{family} daddr {{ {addresses} }} fib saddr . iif oif exists"
        f" ct mark set ct mark and {_OTHERS:#x} or {reply.mark:#x}\n"
    )


def _source(source: SourceNat) -> str:
    family = _WORDS[source.address.family]
    subnets = ", ".join(map(str, source.subnets))
    # One by one: subnets of a link may lie in one another, and those of a set must not.
    far = "".join(f" {family} daddr != {subnet}" for subnet in source.near)
    ifname = field_text("ifname", source.ifname)
    return (
        f"\t\toifname {ifname} {family} saddr {{ {subnets} }}{far}"
        f" snat {family} to {source.address}\n"
    )

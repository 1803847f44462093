"""Our firewall as text: the table, and what attaching and detaching change in it.

The table is made from `table_text` once; `plan` shows the rest, which is
applied in an encoded form of the same elements (see `firewall.nfnetlink`). Pure: the same
input gives the same text.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.ruleset.elements import SETS, guard_elements, network_elements, port_element
from ocinet.engine.ruleset.tables import FAMILY, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.ruleset.elements import Element, Field, Kind, Set

IPTABLES = {"ip": "iptables", "ip6": "ip6tables"}
DOCKER_USER = "DOCKER-USER"
# Docker's chains that drop what would enter its networks, in the order in which it goes
# through them. Up to 28 the first is for internal networks, the second for the others; 29
# has the third for internal ones. From 28 on, the last one ends in a drop for each bridge.
DOCKER_ISOLATION = ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2",
                    "DOCKER-INTERNAL", "DOCKER")  # fmt: skip

# One rule a line, each with its reason above it. The order inside a chain counts; where
# it is free, what most packets meet stands first. A chain of type nat sees only the
# first packet of a connection.
_CHAINS = """\
	chain elsewhere {
		# Nobody but those on a bridge of ours has an address of its subnets: one from the
		# LAN would be taken for a container by the host's services.
		ip saddr @inside4 iif != "lo" drop
		ip6 saddr @inside6 iif != "lo" drop
	}
	chain raw_prerouting {
		type filter hook prerouting priority raw; policy accept;
		# route_localnet opens the bridges to 127.0.0.0/8, and DNAT comes before the
		# kernel's own check: nobody but the host may use such an address.
		# Every packet comes by here, so one byte decides: in an ip header, the first
		# one of an address.
		@nh,128,8 0x7f meta nfproto ipv4 iif != "lo" drop comment "ip daddr 127.0.0.0/8"
		@nh,96,8 0x7f meta nfproto ipv4 iif != "lo" drop comment "ip saddr 127.0.0.0/8"
		# A container must not be able to give the host a route, not even where the
		# bridge's accept_ra could not be set.
		icmpv6 type nd-router-advert iifname @isolated drop
		iifname != @bridges jump elsewhere
	}
	chain names {
		# For the network that they are of, and the host: whoever else sends to a gateway by
		# way of the host would be told them, and have the host ask for all others.
		ip daddr @served4 ip daddr . iifname != @home4 drop
		ip6 daddr @served6 ip6 daddr . iifname != @home6 drop
	}
	chain services {
		# Of networks that have no business with the host: what it asked for itself, ICMP (by
		# number: nft has no name for ICMPv6 where netbase, with /etc/protocols, is not installed),
		# which finds neighbours, and who asks for an address. A published port is none of
		# its services: by now it has another destination.
		type filter hook input priority filter; policy accept;
		meta l4proto { tcp, udp } th dport 53 iif != "lo" jump names
		iifname != @hostless accept
		ct state established,related accept
		meta l4proto { 1, 58 } accept
		udp dport { 67, 547 } accept
		# Names, where they are served: at the host's address on the bridge, and no other.
		iifname @named ip daddr . iifname @home4 meta l4proto { tcp, udp } th dport 53 accept
		iifname @named ip6 daddr . iifname @home6 meta l4proto { tcp, udp } th dport 53 accept
		drop
	}
	chain publish {
		# No port is in both maps, and most are in the first.
		dnat ip to meta l4proto . th dport map @publish4
		dnat ip to meta l4proto . ip daddr . th dport map @publish4_at
		# No DNAT can reach a container from ::1: the kernel never lets it leave lo.
		ip6 daddr ::1 return
		dnat ip6 to meta l4proto . th dport map @publish6
		dnat ip6 to meta l4proto . ip6 daddr . th dport map @publish6_at
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		# Only what is for the host: what passes through it keeps its destination.
		fib daddr type local jump publish
	}
	chain output {
		type nat hook output priority -100; policy accept;
		fib daddr type local jump publish
	}
	chain hairpin {
		# From 127.0.0.1 to a published port: a container can't answer to that.
		ip saddr 127.0.0.0/8 oifname @bridges masquerade
		# From a container to its own network through a published port: the answer
		# would take the short way, past the DNAT. By source, for a bridged packet
		# has no incoming interface here.
		ip saddr . oifname @home4 masquerade
		ip6 saddr . oifname @home6 masquerade
	}
	chain chosen {
		# Before those who follow the host's routes: what one container's user has asked for.
		# A chain of its own, for NAT is done once, by the first who does it.
		type nat hook postrouting priority srcnat - 2; policy accept;
		oifname @bridges accept
		oif "lo" accept
		snat ip to ip saddr map @source4
		snat ip6 to ip6 saddr map @source6
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ct status dnat jump hairpin
		oifname @bridges accept
		# The host's own packets to its bridge address stay as they are.
		oif "lo" accept
		# An address that was asked for goes before the one that masquerading chooses.
		snat ip to ip saddr map @egress4
		ip saddr @masquerade4 masquerade
		snat ip6 to ip6 saddr map @egress6
		ip6 saddr @masquerade6 masquerade
	}
	chain bridged {
		# Where bridge-nf-call-iptables is 1, DNAT is done and undone before the bridge's own
		# filters see a packet, and one within a network gets no other hook.
		type filter hook prerouting priority -90; policy accept;
		@nh,128,8 0x7f meta nfproto ipv4 iif != "lo" meta mark set 0x6f63696e
		ct status dnat ip daddr . iifname @home4 meta mark set 0x6f63696e
		ct status dnat ip6 daddr . iifname @home6 meta mark set 0x6f63696e
	}
	chain passed {
		# Behind all chains that may mind a mark; a packet's goes no further than the
		# bridge. What does not bear it there has not come by this table.
		type filter hook postrouting priority 300; policy accept;
		# Who is kept from its siblings sends by way of the host, which would tell it to send
		# to them at once: it would believe that, of IPv6, and reach nobody any more.
		icmpv6 type nd-redirect oifname @isolated drop
		icmp type redirect oifname @isolated drop
		oifname @isolated meta mark set 0x6f63696e
	}
	chain guard {
		iifname @bridges return
		oifname @bridges return
		# What a bridge of before only bridges, where bridge-nf-call-iptables is 1.
		meta nfproto . iifname . oifname @within return
		# Whoever made a bridge later, as Docker, found forwarding on and counts on it.
		meta iifkind "bridge" meta nfproto . iifname != @apart return
		meta oifkind "bridge" meta nfproto . oifname != @apart return
		drop
	}
	chain refused_port {
		update @refused4 { ip saddr . ip daddr . meta l4proto . th dport }
		update @refused6 { ip6 saddr . ip6 daddr . meta l4proto . th dport }
		drop
	}
	chain refused {
		# Who was refused, to where, and how often; where it is full, it is dropped all the same.
		# What has no ports has its first two bytes there, of ICMP its type and code.
		meta l4proto { tcp, udp, sctp } jump refused_port
		update @refused4 { ip saddr . ip daddr . meta l4proto . th sport }
		update @refused6 { ip6 saddr . ip6 daddr . meta l4proto . th sport }
		drop
	}
	chain among {
		# Of a network whose containers are kept from each other: what the user of either has
		# said is open.
		ct status dnat accept
		ip saddr . ip daddr . meta l4proto . th dport @pair4 accept
		ip saddr . ip daddr @pair4_all accept
		ip daddr . meta l4proto . th dport @expose4 accept
		ip saddr . ip daddr . meta l4proto . th dport @allow4 accept
		ip daddr . ip saddr . meta l4proto . th dport @admit4 accept
		ip6 saddr . ip6 daddr . meta l4proto . th dport @pair6 accept
		ip6 saddr . ip6 daddr @pair6_all accept
		ip6 daddr . meta l4proto . th dport @expose6 accept
		ip6 saddr . ip6 daddr . meta l4proto . th dport @allow6 accept
		ip6 daddr . ip6 saddr . meta l4proto . th dport @admit6 accept
		goto refused
	}
	chain leaving {
		# It opens nothing: what passes here meets the rules for all the others.
		ip saddr . ip daddr . meta l4proto . th dport @leave4 return
		ip saddr . ip daddr . meta l4proto . th dport @allow4 return
		ip6 saddr . ip6 daddr . meta l4proto . th dport @leave6 return
		ip6 saddr . ip6 daddr . meta l4proto . th dport @allow6 return
		goto refused
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		# Who switches forwarding on makes a router of the host, for everybody.
		meta nfproto @guarded jump guard
		# Bridged packets come by here where bridge-nf-call-iptables is 1.
		iifname . oifname @same accept
		iifname . oifname @closed goto among
		ip saddr @kept4 jump leaving
		ip6 saddr @kept6 jump leaving
		iifname @internal drop
		oifname @internal drop
		# A published port is open to everyone, other networks' containers as well.
		ct status dnat accept
		oifname @isolated drop
		# NAT leaves invalid packets as they are: a private address would get out.
		ct state invalid ip saddr @masquerade4 drop
		ct state invalid ip6 saddr @masquerade6 drop
	}
"""


def field_text(kind: Kind, field: Field) -> str:
    """Write a field of an element as nft reads it.

    Raises:
        RequestError: it can't be written.
    """
    if kind != "ifname":
        return str(field)
    name = str(field)
    if '"' in name or "*" in name or "\\" in name:
        raise RequestError("", f"the interface name {name!r} can't be written in nft's language",
                           "rename the bridge")  # fmt: skip
    return f'"{name}"'


def _joined(kinds: tuple[Kind, ...], fields: tuple[Field, ...]) -> str:
    return " . ".join(map(field_text, kinds, fields))


def _element_text(element: Element, *, with_data: bool) -> str:
    has_data = with_data and element.data
    data = f" : {_joined(element.set.data, element.data)}" if has_data else ""
    return _joined(element.set.key, element.key) + data


def _commands(verb: str, elements: Iterable[Element], *, with_data: bool = True) -> str:
    """Return one command per set, in the table's order of sets."""
    grouped: dict[Set, list[str]] = {}
    for element in elements:
        texts = grouped.setdefault(element.set, [])
        text = _element_text(element, with_data=with_data)
        if text not in texts:
            texts.append(text)
    return "".join(
        f"{verb} element {FAMILY} {TABLE} {kind.name} {{ {', '.join(grouped[kind])} }}\n"
        for kind in SETS
        if kind in grouped
    )


# What was refused, entered by the rules themselves: as many as there is room for, each for an
# hour after the last packet.
_REFUSED = """\
	set refused{family} {{
		type ipv{family}_addr . ipv{family}_addr . inet_proto . inet_service
		size 4096
		flags dynamic,timeout
		timeout 1h
		counter
	}}
"""


def _set_text(kind: Set) -> str:
    word = "map" if kind.data else "set"
    types = " . ".join(kind.key) + (f" : {' . '.join(kind.data)}" if kind.data else "")
    flags = "\t\tflags interval\n" if kind.interval else ""
    return f"\t{word} {kind.name} {{\n\t\ttype {types}\n{flags}\t}}\n"


def _table_body() -> str:
    sets = "".join((*map(_set_text, SETS), *(_REFUSED.format(family=f) for f in (4, 6))))
    return f"table {FAMILY} {TABLE} {{\n{sets}{_CHAINS}}}\n"


def table_text() -> str:
    """Return what makes the table, and fails as a whole if there is one.

    `create` is what makes it safe for two at once: adding to a table that is
    there would double its rules.
    """
    return f"create table {FAMILY} {TABLE}\n{_table_body()}"


def rebuild_text(
    networks: tuple[NetworkRules, ...],
    ports: tuple[PortRule, ...],
    guards: tuple[ForwardGuard, ...] = (),
    access: tuple[Element, ...] = (),
) -> str:
    """Return what replaces the table, whatever is in it, by one that holds exactly this."""
    return (
        f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n{_table_body()}"
        f"{open_text(networks, ports, guards, access)}"
    )


def open_text(
    networks: tuple[NetworkRules, ...],
    ports: tuple[PortRule, ...],
    guards: tuple[ForwardGuard, ...] = (),
    access: tuple[Element, ...] = (),
) -> str:
    """Return what enters networks, guards and access, which may be in, and ports, which not."""
    shared = [element for rules in networks for element in network_elements(rules)]
    shared += [element for guard in guards for element in guard_elements(guard)]
    shared += access
    return _commands("add", shared) + _commands("create", map(port_element, ports))


def guard_text(guard: ForwardGuard, verb: str = "add") -> str:
    """Return the command that enters a guard's family alone, or takes it out."""
    return f"nft {_commands(verb, guard_elements(guard)[:1])}".rstrip()


def access_text(verb: str, elements: tuple[Element, ...]) -> str:
    """Return what enters who may talk to whom, or takes it out."""
    return _commands(verb, elements)


def close_text(ports: tuple[PortRule, ...]) -> str:
    """Return what takes ports out; they must be in."""
    return _commands("delete", map(port_element, ports), with_data=False)


def remove_network_text(rules: NetworkRules) -> str:
    """Return what takes a network out as it was entered."""
    return _commands("delete", network_elements(rules))


def forward_accept_rules(
    device: str, *, managed: bool, isolation: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], ...]:
    """Return the iptables rules, in order, that let a bridge's packets pass a DROP policy.

    A managed bridge's packets pass in both directions: what may get in is
    decided by our own table. An adopted bridge's owner decides that, so only the
    connections to published ports pass.

    Args:
        device: the bridge.
        managed: whether it is ours.
        isolation: those of `DOCKER_ISOLATION` that are there, where the rules go before
            them: our containers are kept out as Docker's own other networks are.
    """
    tag = ("-m", "comment", "--comment", f"{TABLE}:{device}")
    dnat = ("-m", "conntrack", "--ctstate", "DNAT")
    if not managed:
        return (
            ("-o", device, *dnat, *tag, "-j", "ACCEPT"),
            ("-i", device, *dnat, "--ctdir", "REPLY", *tag, "-j", "ACCEPT"),
        )
    kept_out = ("-i", device, "-m", "conntrack", "!", "--ctstate", "DNAT,ESTABLISHED,RELATED")
    return (
        ("-o", device, *tag, "-j", "ACCEPT"),
        *((*kept_out, *tag, "-j", chain) for chain in isolation),
        ("-i", device, *tag, "-j", "ACCEPT"),
    )


def is_forward_accept(rule: tuple[str, ...], device: str, *, managed: bool) -> bool:
    """Tell whether an iptables rule is one that we make for a bridge, with any of Docker's chains.

    Args:
        rule: as `iptables -S` prints it, without `-A CHAIN`; the states that a match lists
            come in an order of its own.
        device: the bridge.
        managed: whether it is ours.
    """
    ours = forward_accept_rules(device, managed=managed, isolation=DOCKER_ISOLATION)
    return _in_order(rule) in map(_in_order, ours)


def _in_order(rule: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        ",".join(sorted(word.split(","))) if before == "--ctstate" else word
        for before, word in zip(("", *rule), rule, strict=False)
    )


def forward_accept_commands(
    device: str,
    *,
    managed: bool,
    chain: str = "ip filter FORWARD",
    isolation: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the commands that put those rules at the top of a chain.

    Args:
        device: the bridge.
        managed: whether it is ours.
        chain: where they go, as nft's commands name it.
        isolation: see `forward_accept_rules`.
    """
    from shlex import join

    rules = forward_accept_rules(device, managed=managed, isolation=isolation)
    family, _table, name = chain.split(" ", 2)
    return tuple(join((IPTABLES[family], "-I", name, *rule)) for rule in reversed(rules))

"""Our firewall as text: the table, and what attaching and detaching change in it.

The table is made from `table_text` once; `plan` shows the rest, which is
applied in an encoded form of the same elements (see `firewall.nfnetlink`). Pure: the same
input gives the same text.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.ruleset.access_sets import SETS
from ocinet.engine.ruleset.chains import CHAINS
from ocinet.engine.ruleset.elements import port_element
from ocinet.engine.ruleset.network_sets import guard_elements, network_elements
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
    return f"table {FAMILY} {TABLE} {{\n{sets}{CHAINS}}}\n"


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


def listing(chain: str) -> str:
    """Return the command that lists a chain, for a shell: its names are whoever's made it.

    >>> listing("ip adm fw;reboot")
    "nft -a list chain ip adm 'fw;reboot'"
    """
    from shlex import join

    return join(("nft", "-a", "list", "chain", *chain.split(" ", 2)))


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

"""Who may talk to whom: three of the `ocinet.*` keys.

    ocinet.allow   TO[:PORT[-PORT][/PROTO]][,…] | none    to where it may connect
                   TO: a container's name or alias, or ADDRESS, SUBNET, [ADDRESS], [SUBNET]
    ocinet.expose  PORT[-PORT][/PROTO][@FROM][,…] | none  by which ports others may, and who:
                   a container's name or alias, ADDRESS, SUBNET; without, all on its networks
    ocinet.egress  TO[:PORT[-PORT][/PROTO]][,…] | none | any  to where packets may leave
                   TO: ADDRESS, SUBNET, a network's name, or a DNS name, which has a dot

A port without a protocol is TCP's, as everywhere; TO without a port means all there is.
"""

from __future__ import annotations

from ocinet.base.address import Subnet, is_address
from ocinet.base.dns_names import dns_name
from ocinet.base.errors import RequestError
from ocinet.base.names import check_container, check_network
from ocinet.engine.model.access import LAST_PORT, LONGEST_MEANT, Access, Allowance
from ocinet.engine.model.request import PROTOCOLS
from ocinet.request.grammar import (
    ACCESS_KEYS,
    EXPOSE,
    first_repeated,
    quote,
    read_number,
    split_items,
    within,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOBODY, ANYBODY = "none", "any"
MAX_ALLOWED = 256
_LONGEST_SUBNET = 49  # INET6_ADDRSTRLEN less the NUL, and /128
# Each port of a name's is an entry of its own, so that who restarts costs the same, however
# many there are.
MOST_PORTS = 1024
_EVERYWHERE = (Allowance(subnet=Subnet(4, 0, 0)), Allowance(subnet=Subnet(6, 0, 0)))


def parse_access(keys: Mapping[str, str]) -> Access:
    """Read who may talk to whom.

    >>> access = parse_access({"ocinet.allow": "web:8080,10.0.0.0/8", "ocinet.egress": "none"})
    >>> [(to.name, to.protocol, to.first) for to in access.allow], access.egress
    ([('web', 'tcp', 8080), ('', '', 0)], ())

    Args:
        keys: some of `ACCESS_KEYS`, each with its value.

    Raises:
        RequestError: a value is not legal; names the key.
    """
    allow, expose, egress = ACCESS_KEYS
    return Access(
        _each(keys, allow, _allowed),
        _each(keys, expose, _exposed),
        _EVERYWHERE if keys.get(egress) == ANYBODY else _each(keys, egress, _leaving),
    )


def spell_access(access: Access) -> dict[str, str]:
    """Spell it as the keys that `parse_access` reads it from."""
    spelled: dict[str, str] = {}
    said = (access.allow, access.expose, access.egress)
    for key, wishes in zip(ACCESS_KEYS, said, strict=True):
        if wishes is not None:
            spell = _spell_exposed if key == EXPOSE else str
            spelled[key] = ",".join(map(spell, wishes)) or NOBODY
    return spelled


def _spell_exposed(allowance: Allowance) -> str:
    return allowance.ports + (f"@{allowance.whom}" if allowance.whom else "")


def _each(
    keys: Mapping[str, str], key: str, parse: Callable[[str], Allowance]
) -> tuple[Allowance, ...] | None:
    """Read every item of a key's value; None without the key."""
    if key not in keys:
        return None
    if keys[key] == NOBODY:
        return ()
    items = within(key, split_items, keys[key])
    if len(items) > MAX_ALLOWED:
        raise RequestError(key, f"there are more than {MAX_ALLOWED} of them")
    found = tuple(within(key, parse, item) for item in items)
    spelled = [repr(allowance) for allowance in found]
    twice = first_repeated(spelled)
    if twice:
        raise RequestError(key, f"{quote(items[spelled.index(twice)])} comes twice", "give it once")
    return found


def _allowed(text: str) -> Allowance:
    """Read `TO[:PORTS]`, of containers."""
    who, ports = _part(text)
    return _with_ports(_peer(who, text), ports, text)


def _leaving(text: str) -> Allowance:
    """Read `TO[:PORTS]`, of what is beyond a network."""
    who, ports = _part(text)
    subnet = _subnet(who)
    name = "" if subnet else _short(dns_name(who)) if "." in who else check_network(who)
    return _with_ports(Allowance(name, subnet), ports, text)


def _exposed(text: str) -> Allowance:
    """Read `PORTS[@FROM]`."""
    ports, at, who = text.partition("@")
    if at and not who:
        raise RequestError("", f"{quote(text)} does not say from whom",
                           "leave the @ out for all on its networks")  # fmt: skip
    return _with_ports(_peer(who, text) if at else Allowance(), ports, text)


def _part(text: str) -> tuple[str, str]:
    """Part to whom from by which ports: an address of IPv6 has colons of its own."""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and rest[0] != ":") or rest == ":" or not _subnet(inner):
            raise RequestError("", f"{quote(text)} has no address in its brackets",
                               "write it as [fd00::5]:443 or [fd00::/64]:443")  # fmt: skip
        return inner, rest[1:]
    if text.count(":") > 1:
        return text, ""
    who, colon, ports = text.partition(":")
    if colon and not ports:
        raise RequestError("", f"{quote(text)} has no port after its colon", "leave the colon out")
    return who, ports


def _peer(text: str, whole: str) -> Allowance:
    subnet = _subnet(text)
    if subnet:
        return Allowance(subnet=subnet)
    if not text:
        raise RequestError("", f"{quote(whole)} names nobody", "write NAME or SUBNET")
    if "." in text and text.replace(".", "").isdecimal():
        raise RequestError("", f"{quote(text)} is no IP address")
    # Names that nobody finds in the DNS, as web+1, are names of containers all the same.
    if text.isascii():
        return Allowance(check_container(text, "container's name or address").lower())
    return Allowance(_short(dns_name(text, "container's name or address")))


def _short(name: str) -> str:
    """Return a name that a file can be called by, with a word before it."""
    if len(name) > LONGEST_MEANT:
        raise RequestError("", f"{quote(name)} is longer than {LONGEST_MEANT} characters",
                           "use another name of it")  # fmt: skip
    return name


def _subnet(text: str) -> Subnet | None:
    """Read an address, or a subnet; None of what is meant to be neither."""
    if len(text) > _LONGEST_SUBNET:
        if "/" in text or ":" in text:
            raise RequestError("", f"{quote(text)} is no subnet")
        return None
    if is_address(text):
        return Subnet.parse(f"{text}/{128 if ':' in text else 32}")
    return Subnet.parse(text) if "/" in text or ":" in text else None


def _with_ports(allowance: Allowance, text: str, whole: str) -> Allowance:
    if not text:
        if not (allowance.name or allowance.subnet) or whole[:1] == "@":
            raise RequestError("", f"{quote(whole)} has no port", "write PORT[-PORT][/PROTO]")
        return allowance
    ports, slash, protocol = text.partition("/")
    if slash and protocol not in PROTOCOLS:
        raise RequestError("", f"{quote(protocol)} is no protocol", f"use {', '.join(PROTOCOLS)}")
    first, dash, last = ports.partition("-")
    start = read_number(first)
    end = read_number(last) if dash else start
    if not 0 < start <= end <= LAST_PORT:
        raise RequestError("", f"{quote(ports)} is no port, and no range of ports",
                           "use 1 to 65535, the lower one first")  # fmt: skip
    if allowance.subnet is None and end - start >= MOST_PORTS:
        raise RequestError("", f"{quote(whole)} has more than {MOST_PORTS} ports",
                           "leave the ports out for all, or name a subnet")  # fmt: skip
    return allowance.replace(protocol=protocol or PROTOCOLS[0], first=start, last=end)

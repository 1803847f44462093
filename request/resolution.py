"""Resolvers and names that a container asks for: seven of the `ocinet.*` keys.

    ocinet.dns         ADDRESS[,ADDRESS]…          three at most
    ocinet.dns-search  DOMAIN[,DOMAIN]… | .        none at all
    ocinet.dns-option  OPTION[:NUMBER][,…]         as resolv.conf(5) has them
    ocinet.add-host    NAME:ADDRESS[,…]            NAME=ADDRESS, too; an address of IPv6
                                                   in brackets; host-gateway
    ocinet.hostname    NAME                        that it calls itself
    ocinet.alias       NAME[,NAME]…                by which others find it, on each network
    ocinet.link        TARGET[:NAME][,…]           by which it alone finds another one

What they hold becomes lines of files, so nothing gets in that could begin a line or a word.
"""

from __future__ import annotations

from ocinet.base.dns_names import check_given, dns_name
from ocinet.base.errors import RequestError
from ocinet.base.names import check_container
from ocinet.engine.model.resolution import NO_SEARCH, AddedHost, Alias, LinkedName, Resolution
from ocinet.request.grammar import (
    RESOLUTION_KEYS,
    first_repeated,
    is_group,
    is_mapped,
    quote,
    read_address,
    read_number,
    split_items,
    within,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from ocinet.base.address import Address

    T = TypeVar("T")

HOST_GATEWAY = "host-gateway"
MAX_SERVERS = 3  # MAXNS of glibc's resolv.h, and of musl's: nobody asks a fourth
MAX_NAMES = 256
_LONGEST_NAME, _LONGEST_LABEL, _LONGEST_OPTION, _LONGEST_HOSTNAME = 253, 63, 32, 64
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LABEL = _LETTERS | frozenset("0123456789-_")
_OPTION = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def parse_resolution(
    keys: Mapping[str, str], aliases: tuple[tuple[str, str, str], ...] = ()
) -> Resolution:
    """Read what a container asks for of resolvers and names.

    >>> asked = parse_resolution({"ocinet.dns-search": "corp.example", "ocinet.alias": "DB,www"})
    >>> asked.search, [alias.name for alias in asked.aliases]
    (('corp.example',), ['db', 'www'])

    Args:
        keys: some of `RESOLUTION_KEYS`, each with its value.
        aliases: of single networks: the network, the alias, and where it was written.

    Raises:
        RequestError: a value is not legal; names the key.
    """
    dns, search, option, host, hostname, alias, link = RESOLUTION_KEYS
    read = Resolution(
        _each(keys, dns, _server, MAX_SERVERS),
        _each(keys, search, _domain, MAX_NAMES),
        _each(keys, option, _option, MAX_NAMES),
        _each(keys, host, _added_host, MAX_NAMES),
        within(hostname, _hostname, keys[hostname]) if hostname in keys else "",
        (*_each(keys, alias, _alias, MAX_NAMES), *_of_networks(aliases)),
        _each(keys, link, _linked_name, MAX_NAMES),
    )
    if NO_SEARCH in read.search and len(read.search) > 1:
        raise RequestError(search, "it names domains, and with . that there are none",
                           "leave one of them out")  # fmt: skip
    twice = first_repeated([linked.name for linked in read.links])
    if twice:
        raise RequestError(link, f"{twice} would be two containers", "give each a name of its own")
    return read


def spell_resolution(resolution: Resolution) -> dict[str, str]:
    """Spell wishes as the keys that `parse_resolution` reads them from."""
    spelled = (
        [str(server) for server in resolution.servers],
        resolution.search,
        resolution.options,
        [f"{added.name}:{added.address or HOST_GATEWAY}" for added in resolution.hosts],
        [resolution.hostname] if resolution.hostname else [],
        # Those of one network are options of that network.
        [alias.name for alias in resolution.aliases if not alias.network],
        [f"{linked.target}:{linked.name}" for linked in resolution.links],
    )
    return {
        key: ",".join(texts) for key, texts in zip(RESOLUTION_KEYS, spelled, strict=True) if texts
    }


def _each(keys: Mapping[str, str], key: str, parse: Callable[[str], T], most: int) -> tuple[T, ...]:
    """Parse every item of a key's value."""
    if key not in keys:
        return ()
    items = within(key, split_items, keys[key])
    if len(items) > most:
        raise RequestError(key, f"there are more than {most} of them")
    values = tuple(within(key, parse, item) for item in items)
    twice = first_repeated([str(value) for value in values])
    if twice:
        item = items[[str(value) for value in values].index(twice)]
        raise RequestError(key, f"{quote(item)} comes twice", "give it once")
    return values


def _server(text: str) -> Address:
    """Read a resolver's address; a loopback one is the container's own."""
    return _host(text, "no address of a resolver")


def _host(text: str, flaw: str) -> Address:
    address = read_address(text)
    if address.value == 0 or is_group(address) or is_mapped(address):
        raise RequestError("", f"{address} is {flaw}")
    return address


def _domain(text: str) -> str:
    return text if text == NO_SEARCH else _name(text, "domain")


def _name(text: str, what: str) -> str:
    labels = text.removesuffix(".").split(".")
    if len(text) > _LONGEST_NAME or not all(
        0 < len(label) <= _LONGEST_LABEL and _LABEL.issuperset(label) and label[0] != "-"
        for label in labels
    ):
        raise RequestError("", f"{quote(text)} is no {what}",
                           "use letters, digits, -, _ and dots between them")  # fmt: skip
    return text


def _option(text: str) -> str:
    name, colon, number = text.partition(":")
    is_legal = _OPTION.issuperset(name) and name[:1] in _LETTERS and len(name) <= _LONGEST_OPTION
    if not name or not is_legal or (colon and read_number(number) < 0):
        raise RequestError("", f"{quote(text)} is no option of resolv.conf",
                           "write it as ndots:2, or edns0")  # fmt: skip
    return text


def _added_host(text: str) -> AddedHost:
    """Read `NAME:ADDRESS`; an address of IPv6 has colons of its own."""
    # docker takes both since 26, and the sign that comes first parts them.
    at = min((text.find(sign) for sign in ":=" if sign in text), default=-1)
    if at < 1:
        raise RequestError("", f"{quote(text)} names no host and its address",
                           f"write NAME:ADDRESS, or NAME:{HOST_GATEWAY}")  # fmt: skip
    name, address = _name(text[:at], "name of a host"), text[at + 1 :]
    if address == HOST_GATEWAY:
        return AddedHost(name, None)
    if address.startswith("[") and address.endswith("]") and ":" in address:
        address = address[1:-1]
    return AddedHost(name, _host(address, "no address of a single host"))


def _hostname(text: str) -> str:
    """Read the one name that a container has for itself (sethostname(2): 64 bytes)."""
    name = check_given(dns_name(text, "hostname"))
    if len(name) > _LONGEST_HOSTNAME:
        raise RequestError("", f"{quote(text)} is longer than a hostname may be",
                           f"use {_LONGEST_HOSTNAME} characters at most")  # fmt: skip
    return name


def _alias(text: str) -> Alias:
    return Alias(check_given(dns_name(text, "name of a container")))


def _of_networks(aliases: tuple[tuple[str, str, str], ...]) -> tuple[Alias, ...]:
    """Read aliases that are of one network each."""
    read = tuple(
        within(where, _alias, text).replace(network=network) for network, text, where in aliases
    )
    for at, alias in enumerate(read):
        if alias in read[:at]:
            raise RequestError(aliases[at][2], f"{alias.name} comes twice", "give it once")
    return read


def _linked_name(text: str) -> LinkedName:
    """Read `TARGET[:NAME]`, as docker's --link."""
    target, colon, name = text.partition(":")
    check_container(target, "container's name or id")
    called = dns_name(name if colon else target, "name for a container")
    return LinkedName(target, check_given(called))

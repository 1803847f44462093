"""Published ports, as Docker's `-p` writes them.

    [[HOST-ADDRESS:][HOST-PORT[-PORT]]:]PORT[-PORT][/tcp|udp|sctp]

Without a host port, or with 0, any free one is meant; a range of them before one port means
any free one of these. Other ranges must be of equal length. As Docker does, an address of
IPv6 is taken without its brackets, and one that is left empty is every address.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.model.request import PROTOCOLS, Publish
from ocinet.request.grammar import (
    MAX_ITEMS,
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
    from ocinet.engine.model.request import Protocol

MAX_PUBLISHED = MAX_ITEMS  # what one firewall transaction and one record hold with ease


def parse_publish(text: str, where: str) -> tuple[Publish, ...]:
    """Read ports as Docker's `-p` takes them, several joined by commas.

    A range becomes one `Publish` for each of its ports. A host address 0.0.0.0
    or [::] stays what it is: every address of that one family.

    >>> [port.host_port for port in parse_publish("9000-9002:80-82,53/udp", "-p")]
    [9000, 9001, 9002, 0]

    Args:
        text: as `8080:80,127.0.0.1::53/udp,[fd00::5]:9000-9010:9000-9010`.
        where: names the text in errors: a key or a flag.

    Raises:
        RequestError: it is not legal, publishes one host port twice, or has
            more than `MAX_PUBLISHED` ports.
    """
    publishes: list[Publish] = []
    free: set[Publish] = set()
    held: dict[tuple[str, int], set[Address | None]] = {}
    items = within(where, split_items, text)
    for item in items:
        what = f"{where}: {quote(item)}"
        for publish in within(what, _read_item, item):
            if len(publishes) == MAX_PUBLISHED:
                raise RequestError(where, f"there are more than {MAX_PUBLISHED} ports in it")
            # One range can't overlap itself: its thousand ports need no look.
            if len(items) > 1 and _is_second(publish, held, free):
                raise RequestError(what, "it overlaps another one in the same request")
            publishes.append(publish)
    return tuple(publishes)


def spell_publish(publish: Publish) -> str:
    """Spell one port as `parse_publish` reads it.

    >>> [spell_publish(port) for port in parse_publish("[fd00::5]:8080:80", "-p")]
    ['[fd00::5]:8080:80/tcp']
    """
    port = f"{publish.container_port}/{publish.protocol}"
    host_port = str(publish.host_port) if publish.host_port else ""
    if publish.among:
        host_port = f"{publish.among[0]}-{publish.among[1]}"
    if publish.host_address is None:
        return f"{host_port}:{port}" if host_port else port
    address = str(publish.host_address)
    shown = f"[{address}]" if publish.host_address.family == 6 else address
    return f"{shown}:{host_port}:{port}"


def _read_item(item: str) -> list[Publish]:
    """Read one item; a range gives one value for each of its ports."""
    ports, slash, tail = item.rpartition("/")
    if not slash:
        ports, tail = item, "tcp"
    protocol = _read_protocol(tail)
    host_address, host_text, text = _split_ports(ports)
    first, last = _read_range(text)
    if last - first >= MAX_PUBLISHED:
        raise RequestError("", f"there are more than {MAX_PUBLISHED} ports in it")
    if host_text in ("", "0"):
        return [Publish(protocol, host_address, 0, port, None) for port in range(first, last + 1)]
    host_first, host_last = _read_range(host_text)
    if host_last > host_first and first == last:
        return [Publish(protocol, host_address, 0, first, (host_first, host_last))]
    if host_last - host_first != last - first:
        raise RequestError("", "the two ranges differ in length")
    return [
        Publish(protocol, host_address, host_first + offset, first + offset, None)
        for offset in range(last - first + 1)
    ]


def _read_protocol(text: str) -> Protocol:
    for protocol in PROTOCOLS:
        if text.lower() == protocol:
            return protocol
    raise RequestError("", f"{quote(text)} is no protocol", f"use {', '.join(PROTOCOLS)}")


def _split_ports(text: str) -> tuple[Address | None, str, str]:
    """Split into host address, host port or "" for a free one, and container port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        parts = rest.split(":")
        if not bracket or len(parts) != 3 or parts[0]:
            raise RequestError("", "it is no published port", "write [ADDRESS]:HOST-PORT:PORT")
        parts[0] = host
    else:
        parts = text.rsplit(":", 2)
    if len(parts) == 1:
        return None, "", parts[0]
    if len(parts) == 2:
        return None, parts[0], parts[1]
    host, host_port, port = parts
    bracketed = text.startswith("[")
    address = _read_host_address(host, bracketed=bracketed) if host or bracketed else None
    return address, host_port, port


def _read_host_address(text: str, *, bracketed: bool) -> Address:
    """Read an address of the host that packets to it can be redirected from."""
    address = read_address(text)
    if address.family == 4 and bracketed:
        raise RequestError("", f"{address} is of IPv4", "leave the brackets out")
    if address.family == 6 and address.is_loopback:
        raise RequestError("", "[::1] can't be published: the kernel redirects no packets to it",
                           "publish on 127.0.0.1")  # fmt: skip
    if is_group(address) or is_mapped(address):
        raise RequestError("", f"{address} is no address of the host")
    return address


def _read_range(text: str) -> tuple[int, int]:
    first_text, dash, last_text = text.partition("-")
    first = _read_port(first_text)
    last = _read_port(last_text) if dash else first
    if last < first:
        raise RequestError("", f"{quote(text)} runs backwards")
    return first, last


def _read_port(text: str) -> int:
    port = read_number(text)
    if not 1 <= port <= 65535:
        raise RequestError("", f"{quote(text)} is no port", "use 1 to 65535")
    return port


def _is_second(
    publish: Publish, held: dict[tuple[str, int], set[Address | None]], free: set[Publish]
) -> bool:
    """Tell whether an earlier one asks for the same; note this one."""
    if publish.host_port:
        return _overlaps(publish, held)
    count = len(free)
    free.add(publish)
    return len(free) == count


def _overlaps(publish: Publish, held: dict[tuple[str, int], set[Address | None]]) -> bool:
    """Tell whether an earlier one has that host port on a common address; note this one."""
    addresses = held.setdefault((publish.protocol, publish.host_port), set())
    address = publish.host_address
    if address is None:
        taken = bool(addresses)
    else:
        every = Address(address.family, 0)
        taken = None in addresses or address in addresses or every in addresses
        if address == every:
            taken = taken or any(other and other.family == every.family for other in addresses)
    addresses.add(address)
    return taken

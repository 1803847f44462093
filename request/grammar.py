"""How single values of a request are written, and how errors quote them.

Readers take text of any length and content, and raise `RequestError` or return
a value that is legal by itself; whether it fits a network is judged later.
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.base.names import check_ifname
from ocinet.engine.model.request import REFUSING, Route, metric_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

BLANK = " \t\r\n"
MAX_ITEMS = 1024
# Here, because who has one of them alone loads their parser, `resolution`.
DNS, ADD_HOST, LINK = "ocinet.dns", "ocinet.add-host", "ocinet.link"
HOSTNAME, ALIAS = "ocinet.hostname", "ocinet.alias"
RESOLUTION_KEYS = (
    DNS, "ocinet.dns-search", "ocinet.dns-option", ADD_HOST, HOSTNAME, ALIAS, LINK
)  # fmt: skip
# Likewise of `access`.
ALLOW, EXPOSE, EGRESS = ACCESS_KEYS = ("ocinet.allow", "ocinet.expose", "ocinet.egress")
SHOWN = 60  # characters of a wrong text that an error repeats

_HEX = frozenset("0123456789abcdef")
_MTU = range(68, 65536)
_LONGEST_ADDRESS = 45  # INET6_ADDRSTRLEN, less the NUL
_LONGEST_ROUTE = 140
_METRIC = range(1, 1 << 32)
_ROUTE_WORDS = frozenset(("via", "metric"))
_ROUTE_HINT = (
    "write SUBNET[ via ADDRESS][ metric NUMBER], or before SUBNET "
    "blackhole, unreachable or prohibit"
)
_V4_MAPPED = 0xFFFF
_LINK_LOCAL_6 = 0xFE80 >> 6


def quote(text: str) -> str:
    """Return a text for an error: on one line, quoted, and not too long."""
    return repr(shorten(text))


def shorten(text: str) -> str:
    """Cut a text that is too long to repeat."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def within(where: str, parse: Callable[[str], T], text: str) -> T:
    """Parse `text`; an error tells where it was written."""
    try:
        return parse(text)
    except RequestError as error:
        raise error.within(where) from error


def split_items(text: str, separator: str = ",") -> list[str]:
    """Split a list and strip its items.

    Raises:
        RequestError: an item is empty, or there are more than `MAX_ITEMS`.
    """
    items = [item.strip(BLANK) for item in text.split(separator, MAX_ITEMS)]
    if len(items) > MAX_ITEMS:
        raise RequestError("", f"there are more than {MAX_ITEMS} items in it")
    if "" in items:
        raise RequestError("", f"{quote(text)} has an empty item",
                           f"put one {separator} between items")  # fmt: skip
    return items


def first_repeated(values: list[str]) -> str:
    """Return the first value that occurs a second time, or ""."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""


def read_ipv4(text: str) -> Address:
    """Read an IPv4 address for an interface."""
    return _read_own(text, 4)


def read_ipv6(text: str) -> Address:
    """Read an IPv6 address for an interface; link-local ones are the kernel's to give."""
    return _read_own(text, 6)


def _read_own(text: str, family: int) -> Address:
    address = _read_unicast(text)
    if address.family != family:
        raise RequestError("", f"{address} is of IPv{address.family}",
                           f"use {'ip' if address.family == 4 else 'ip6'} for it")  # fmt: skip
    if family == 6 and address.value >> 118 == _LINK_LOCAL_6:
        raise RequestError("", f"{address} is link-local", "the kernel gives those itself")
    return address


def read_gateway(text: str) -> Address:
    """Read the address of a next hop, of either family."""
    return _read_unicast(text)


def _read_unicast(text: str) -> Address:
    """Read an address that one interface may bear."""
    address = read_address(text)
    # 0.0.0.0/8 is "this network" (RFC 1122 section 3.2.1.3).
    zeros = address.value >> 24 == 0 if address.family == 4 else address.value == 0
    if zeros or address.is_loopback or is_group(address) or is_mapped(address):
        raise RequestError("", f"{address} is no address of a single interface")
    return address


def read_address(text: str) -> Address:
    """Read any address."""
    if len(text) > _LONGEST_ADDRESS:
        raise RequestError("", f"{quote(text)} is no IP address")
    return Address.parse(text)


def is_group(address: Address) -> bool:
    """Tell multicast, and IPv4's reserved top, from addresses of single interfaces."""
    return address.value >> 28 >= 0xE if address.family == 4 else address.value >> 120 == 0xFF


def is_mapped(address: Address) -> bool:
    """Tell IPv4 addresses in IPv6 form, which no packet on a wire bears."""
    return address.family == 6 and address.value >> 32 == _V4_MAPPED


def read_mac(text: str) -> str:
    """Read the MAC of one interface, in any case; returned in lower case."""
    mac = text.lower()
    octets = mac.split(":")
    if len(octets) != 6 or not all(len(octet) == 2 and _HEX.issuperset(octet) for octet in octets):
        raise RequestError("", f"{quote(text)} is no MAC", "write it as 02:42:ac:11:00:02")
    if int(octets[0], 16) & 1:
        raise RequestError("", f"{mac} is a multicast MAC", "its first octet must be even")
    if set(octets) == {"00"}:
        raise RequestError("", f"{mac} is no MAC of an interface")
    return mac


def read_ifname(text: str) -> str:
    """Read an interface name that the kernel takes and our own lists can hold."""
    if "," in text or ";" in text:
        raise RequestError("", f"{quote(text)} is no interface name", "leave comma and ; out")
    return check_ifname(text)


def read_mtu(text: str) -> int:
    """Read an MTU in bytes that IPv4 can live with (RFC 791)."""
    mtu = read_number(text)
    if mtu not in _MTU:
        raise RequestError("", f"{quote(text)} is no MTU", f"use {_MTU[0]} to {_MTU[-1]} bytes")
    return mtu


def read_number(text: str) -> int:
    """Read up to five ASCII digits; -1 for anything else."""
    # `isdigit` and `int` take digits of every script, and `int` takes its time over thousands.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1


def read_truth(text: str) -> bool:
    """Read `true` or `false`."""
    if text.lower() not in ("true", "false"):
        raise RequestError("", f"{quote(text)} is neither true nor false")
    return text.lower() == "true"


def read_metric(text: str) -> int:
    """Read the metric of a route."""
    # As with `read_number`; of 10 digits at most.
    metric = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    if metric not in _METRIC:
        raise RequestError("", f"{quote(text)} is no metric", f"use 1 to {_METRIC[-1]}")
    return metric


def read_route(text: str) -> Route:
    """Read what `ip route add` takes: `10.0.0.0/8 via 10.9.0.1 metric 200`, `blackhole fd01::/64`.

    A subnet alone is a route on the link.
    """
    words = text.split() if len(text) <= _LONGEST_ROUTE else []
    kind = next((known for known in REFUSING if words[:1] == [known]), None)
    destination, *rest = (words[1:] if kind else words) or [""]
    said = dict(zip(rest[::2], rest[1::2], strict=False))
    if not destination or len(rest) != 2 * len(said) or not _ROUTE_WORDS.issuperset(said):
        raise RequestError("", f"{quote(text)} is no route", _ROUTE_HINT)
    subnet = Subnet.parse(destination)
    gateway = read_gateway(said["via"]) if "via" in said else None
    metric = read_metric(said["metric"]) if "metric" in said else 0
    if subnet.prefixlen == 0:
        hint = "use gateway=none, or an internal network" if kind else "use gateway for it"
        raise RequestError("", f"{subnet} is the default route", hint)
    if gateway and kind:
        raise RequestError("", f"what is {kind} has no gateway", "leave one of them out")
    if gateway and gateway.family != subnet.family:
        raise RequestError("", f"{subnet} and {gateway} are of different families")
    return Route(subnet, gateway, metric_of(subnet.family, metric), kind or "unicast")

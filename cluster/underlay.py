"""At which address of this host's the others reach it: as it was asked for, or as etcd is reached.

--underlay 10.0.0.1     just this one
--underlay eth1         whatever that device has
(nothing)               what packets to etcd leave with; if that is this host, to anywhere;
                        as before while a name of etcd's can't be resolved
"""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import TYPE_CHECKING

from ocinet.base.address import Address
from ocinet.base.errors import NotFoundError, RequestError
from ocinet.base.names import check_ifname

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.cluster.access import Endpoint

_SIOCGIFADDR = 0x8915
_IFNAMSIZ = 16
_ADDRESS_AT = 20  # of an ifreq: name, then a sockaddr_in with family and port before the address
# Of documentation: nobody is there, so a default route decides (RFC 5737, RFC 3849).
_ANYWHERE = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
_TEMPORARY, _TENTATIVE, _DEPRECATED = 0x01, 0x40, 0x20  # if_addr.h
_HINT = "say --underlay ADDRESS, or --underlay DEVICE"


def check_underlay(text: str) -> str:
    """Return what may be asked for: addresses with commas between, or a device's name.

    Raises:
        RequestError: it is neither.
    """
    if _is_device(text):
        return check_ifname(text)
    addresses = [Address.parse(part) for part in text.split(",")]
    if len({address.family for address in addresses}) < len(addresses):
        raise RequestError("", f"{text!r} has two addresses of one family")
    return text


def underlay_of(
    asked: str, endpoints: Iterable[Endpoint], before: tuple[Address, ...] = ()
) -> tuple[Address, ...]:
    """Return this host's addresses, at most one of each family.

    Args:
        asked: as `check_underlay` takes it; "": where etcd is reached by.
        endpoints: of etcd.
        before: what it was, for while etcd's names can't be resolved.

    Raises:
        NotFoundError: there is none just now.
    """
    if not asked:
        return _by_route(endpoints, before)
    if not _is_device(asked):
        return tuple(Address.parse(part) for part in asked.split(","))
    found = tuple(filter(None, (_ipv4_of(asked), _ipv6_of(asked))))
    if not found:
        raise NotFoundError("", f"the device {asked} has no address just now",
                            f"ip address show dev {asked}")  # fmt: skip
    return found


def _is_device(text: str) -> bool:
    return ":" not in text and not text.replace(".", "").replace(",", "").isdigit()


def _by_route(endpoints: Iterable[Endpoint], before: tuple[Address, ...]) -> tuple[Address, ...]:
    unknown = ""
    for endpoint in endpoints:
        try:
            known = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            # A resolver that fails for a moment must not have this host be somewhere else.
            if before:
                return before
            unknown = unknown or endpoint.host
            continue
        for family, _, _, _, place in known:
            source = _source(str(place[0]), family)
            if source is not None:
                return (source,)
    if unknown:
        raise NotFoundError("", f"{unknown} can't be resolved, so it can't be told at which address"
                            " others reach this host", _HINT)  # fmt: skip
    for text, kind in _ANYWHERE:
        source = _source(text, kind)
        if source is not None:
            return (source,)
    raise NotFoundError("", "it can't be told at which address others reach this host", _HINT)


def _source(destination: str, family: int) -> Address | None:
    """Return with which address packets leave for another; None if it is no use to others."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((destination, 9))  # nothing is sent
            source = Address.parse(asking.getsockname()[0].partition("%")[0])
    except OSError:
        return None
    return None if source.is_loopback or source.is_link_local else source


def _ipv4_of(device: str) -> Address | None:
    request = struct.pack(f"{_IFNAMSIZ}s24x", device.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            told = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
        except OSError:
            return None
    return Address.unpack(told[_ADDRESS_AT : _ADDRESS_AT + 4])


def _ipv6_of(device: str) -> Address | None:
    """Return a device's first global address that is neither temporary nor about to go."""
    try:
        with open("/proc/net/if_inet6") as file:
            lines = file.read().splitlines()
    except OSError:  # a kernel without IPv6
        return None
    for line in lines:
        digits, _, _, scope, flags, name = line.split()
        unsteady = int(flags, 16) & (_TEMPORARY | _TENTATIVE | _DEPRECATED)
        if name == device and scope == "00" and not unsteady:
            return Address.unpack(bytes.fromhex(digits))
    return None

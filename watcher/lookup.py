"""Where a DNS name leads to, by the host's own resolver."""

from __future__ import annotations

import socket

from ocinet.base.address import Address
from ocinet.base.errors import RequestError

_MOST = 64  # addresses of one name


def look_up(name: str) -> tuple[Address, ...] | None:
    """Return the addresses of a name; () if there is none such, None if nobody could tell.

    Takes as long as resolv.conf(5) says, 10 s or 20 where nobody answers.
    """
    try:
        found = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        known = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
        return () if known else None
    except (OSError, UnicodeError):
        return None
    addresses = []
    for *_, place in found[:_MOST]:
        try:
            addresses.append(Address.parse(str(place[0])))
        except RequestError:  # as fe80::1%eth0
            continue
    return tuple(dict.fromkeys(addresses))

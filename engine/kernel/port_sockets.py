"""Sockets that hold a published port: bound, so that nobody else can be, and deaf.

DNAT comes before the socket, so what is published never gets to them. Without it, as after a
flush of the ruleset, TCP answers with a reset and SCTP with an ABORT as where nobody listens,
and UDP with nothing.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from ocinet.base.errors import KernelError
from ocinet.engine.kernel.listeners import listeners
from ocinet.engine.model.listener import HOLDER_MARK
from ocinet.engine.netlink.socket_filter import RETURN, attach_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.listener import Place

_SO_MARK = 36
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_NOTHING = ((RETURN, 0, 0, 0),)


def hold(place: Place) -> socket.socket:
    """Return a socket that holds a place until it is closed, and answers nothing.

    Raises:
        KernelError: it can't be held: somebody has it (EADDRINUSE), no descriptors are left
            (EMFILE), it takes a capability (EACCES), or the kernel has no such protocol
            (EPROTONOSUPPORT).

    Effects:
        The kernel loads its module of SCTP, if it has one that is not loaded.
    """
    try:
        opened = socket.socket(_FAMILIES[place.address.family], *_KINDS[place.protocol])
        try:
            _bind(opened, place)
        except BaseException:
            opened.close()
            raise
    except OSError as error:
        why = error.strerror or str(error)
        raise KernelError(f"cannot hold {place}", why, errno=error.errno or 0) from error
    return opened


def _bind(opened: socket.socket, place: Place) -> None:
    opened.setsockopt(socket.SOL_SOCKET, _SO_MARK, HOLDER_MARK)
    # An address that comes and goes, as of a pair of routers, is published all the same.
    if place.address.family == 6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with suppress(OSError):  # from Linux 4.15 on
            opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    if place.protocol == "udp":
        attach_filter(opened, _NOTHING)  # nothing piles up where nobody reads
    # Not SO_REUSEADDR: a service with it, as most have it, would be let in beside a socket
    # that has it too and does not listen.
    opened.bind((str(place.address), place.port))


def is_told_apart(opened: socket.socket, place: Place) -> bool:
    """Tell whether who looks for listeners passes a holder's socket over.

    Of TCP and SCTP it is never listed, for it does not listen; of UDP the kernel has to show
    its mark.

    Raises:
        KernelError: the kernel would not list them.
    """
    inode = os.fstat(opened.fileno()).st_ino
    return inode not in {listener.inode for listener in listeners(place.protocol, place.port)}

"""A netlink socket that is told what anybody changes: multicast groups, read without waiting."""

from __future__ import annotations

from errno import ENOBUFS, EPERM
from socket import AF_NETLINK, SO_RCVBUF, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET, htons, socket
from struct import Struct

from ocinet.base.errors import KernelError
from ocinet.engine.netlink.framing import split
from ocinet.engine.netlink.socket_filter import IF_EQUAL, LOAD_HALF, RETURN, attach_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.netlink.framing import Answer

_SOL_NETLINK = 270
_ADD_MEMBERSHIP, _LISTEN_ALL_NSID = 1, 8
_SO_RCVBUFFORCE = 33
_INT = Struct("@i")
_ROOM = 4 << 20  # taken only while it is full; the kernel doubles it
_LONGEST = 1 << 16
_MOST = 5_000  # read in one go: what comes faster than that is asked for, not listened to
_KIND_AT = 4  # nlmsg_type, after the length
HERE = -1


class Notices:
    """What the kernel tells of changes in the namespace that it is made in; to be closed.

    Not for several threads at once.

    Args:
        protocol: `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
        groups: RTNLGRP_* or NFNLGRP_*.
        kinds: the messages that are wanted: the kernel passes no other on; (): all are.
        everywhere: whether changes in all namespaces that have an id here are told, as those
            have into which a veth leads.

    Attributes:
        hears_all: whether they are: that takes CAP_NET_BROADCAST.

    Raises:
        KernelError: the kernel refused.
    """

    def __init__(
        self,
        protocol: int,
        groups: tuple[int, ...],
        kinds: tuple[int, ...] = (),
        *,
        everywhere: bool = False,
    ) -> None:
        self.hears_all = False
        try:
            self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, protocol)
        except OSError as error:
            raise _failure(error) from error
        try:
            if kinds:
                self._pass_on(kinds)
            self._make_room()
            if everywhere:
                self.hears_all = self._listen_everywhere()
            self._socket.bind((0, 0))
            for group in groups:
                self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        except OSError as error:
            self._socket.close()
            raise _failure(error) from error
        self._buffer = bytearray(_LONGEST)

    def _pass_on(self, kinds: tuple[int, ...]) -> None:
        """Have the kernel drop all other messages before they wake anyone."""
        # Each goes to the last line where it is this kind; a load is in network order.
        asked = [(IF_EQUAL, len(kinds) - place, 0, htons(kind)) for place, kind in enumerate(kinds)]
        program = [(LOAD_HALF, 0, 0, _KIND_AT), *asked, (RETURN, 0, 0, 0), (RETURN, 0, 0, _LONGEST)]
        attach_filter(self._socket, program)

    def _make_room(self) -> None:
        try:
            self._socket.setsockopt(SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        except PermissionError:
            self._socket.setsockopt(SOL_SOCKET, SO_RCVBUF, _ROOM)

    def _listen_everywhere(self) -> bool:
        try:
            self._socket.setsockopt(_SOL_NETLINK, _LISTEN_ALL_NSID, 1)
        except OSError as error:
            if error.errno != EPERM:
                raise
            return False
        return True

    def fileno(self) -> int:
        """Return what to poll for: it can be read when something was told."""
        return self._socket.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def read(self) -> tuple[list[tuple[int, Answer]], bool]:
        """Return what was told since the last time, without waiting.

        Returns:
            Each message with the id of the namespace that it is about, `HERE` for this one;
            and whether more was told than there was room for.
        """
        found: list[tuple[int, Answer]] = []
        missed = False
        for _time in range(_MOST):
            try:
                length, ancillary, _flags, address = self._socket.recvmsg_into(
                    [self._buffer], _INT.size + 64
                )
            except BlockingIOError:
                return found, missed
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise _failure(error) from error
                missed = True
                continue
            if address[0] == 0:  # any process may send to our port; only port 0 is the kernel
                at = [_INT.unpack(data[: _INT.size])[0] for _, kind, data in ancillary
                      if kind == _LISTEN_ALL_NSID]  # fmt: skip
                told = split(bytes(self._buffer[:length]))
                found += [(at[0] if at else HERE, answer) for answer in told]
        return found, True


def _failure(error: OSError) -> KernelError:
    return KernelError("cannot listen for changes", error.strerror or str(error),
                       errno=error.errno or 0)  # fmt: skip

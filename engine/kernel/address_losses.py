"""Being told that a sandbox loses addresses of IPv6: rtnetlink(7), the group IPV6_IFADDR."""

from __future__ import annotations

from errno import ENOBUFS
from socket import AF_NETLINK, SOCK_NONBLOCK, SOCK_RAW, socket

from ocinet.base.errors import KernelError
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.netlink.framing import split
from ocinet.engine.netlink.socket import NETLINK_ROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace

_RTMGRP_IPV6_IFADDR = 0x100
_RTM_DELADDR = 21
_BUFFER = 1 << 16


class AddressLosses:
    """Tells of addresses of IPv6 that are lost; to be closed, for one thread at a time.

    Args:
        sandbox: open; it may be closed meanwhile.

    Raises:
        SystemFailure: the sandbox could not be entered.
        KernelError: the kernel refused.
    """

    def __init__(self, sandbox: OpenNamespace) -> None:
        with entered(sandbox):
            self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE)
        try:
            self._socket.bind((0, _RTMGRP_IPV6_IFADDR))
        except OSError as error:
            self._socket.close()
            raise KernelError("cannot listen for lost addresses", error.strerror or str(error),
                              errno=error.errno or 0) from error  # fmt: skip

    def fileno(self) -> int:
        """Return what to poll for: it can be read when something was told."""
        return self._socket.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def read(self) -> bool:
        """Tell whether an address was lost since the last time, without waiting."""
        lost = False
        while True:
            try:
                datagram, address = self._socket.recvfrom(_BUFFER)
            except BlockingIOError:
                return lost
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                lost = True  # more was told than there was room for
                continue
            from_kernel = address[0] == 0
            lost |= from_kernel and any(told.kind == _RTM_DELADDR for told in split(datagram))

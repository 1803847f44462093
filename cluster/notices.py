"""What of the host's links, addresses, routes and neighbours is changed, as the kernel tells.

What exactly was changed is all one: whoever is told looks at everything.
"""

from __future__ import annotations

from ocinet.engine.netlink.notices import Notices
from ocinet.engine.netlink.socket import NETLINK_ROUTE

# RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE, _IPV6_ROUTE
_GROUPS = (1, 3, 5, 9, 7, 11)
# RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_DELROUTE, RTM_DELNEIGH: what may take
# away what is there, or has to be followed.
_KINDS = (16, 17, 20, 21, 25, 29)


class HostNotices:
    """A socket that can be read when something was changed.

    Raises:
        KernelError: the kernel refuses.
    """

    def __init__(self) -> None:
        self._notices = Notices(NETLINK_ROUTE, _GROUPS, _KINDS)

    def fileno(self) -> int:
        """Return what to poll for."""
        return self._notices.fileno()

    def drain(self) -> None:
        """Take all that was told."""
        self._notices.read()

    def close(self) -> None:
        """Listen no more."""
        self._notices.close()

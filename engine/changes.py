"""What of ours others may have touched: listened for, and looked for where nobody tells."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ocinet.base.errors import KernelError, OcinetError
from ocinet.engine.firewall.table_notices import TableNotices
from ocinet.engine.kernel import sysctl
from ocinet.engine.kernel.link_notices import LinkNotices
from ocinet.engine.kernel.name_server import NameServer
from ocinet.engine.model.scope import EVERYTHING, HOST_ENDS, NETWORKS, NOTHING
from ocinet.engine.records.networks import NetworkStore

if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.engine.model.scope import Scope

# The kernel tells of forwarding, and of addresses that go with disable_ipv6, but of these to
# nobody; nor does /proc/sys have inotify.
_UNTOLD = ("net/ipv4/conf/{}/route_localnet", "net/ipv6/conf/{}/accept_ra")


class Changes:
    """Tells what of ours others may have touched; to be closed. For one thread at a time.

    It tells what may be damaged, not what is: a look says that.

    Args:
        paths: of the installation.

    Raises:
        KernelError: the kernel lets nobody listen.
    """

    def __init__(self, paths: Paths) -> None:
        self._networks = NetworkStore(paths)
        self._names_path, self._networks_path = paths.netns, f"{paths.config}/networks"
        self._links = LinkNotices()
        try:
            self._tables = TableNotices()
        except BaseException:
            self._links.close()
            raise
        self._is_stale = False
        self._devices: frozenset[str] = frozenset()
        self._values: dict[str, str] = {}
        self._named_at = self._defined_at = 0
        self._server, self._ailment = NameServer(paths, None), ""
        self._names: frozenset[tuple[str, int]] = frozenset()
        self.learn()

    @property
    def hears_sandboxes(self) -> bool:
        """Whether it is told of changes within sandboxes: that takes CAP_NET_BROADCAST."""
        return self._links.hears_sandboxes

    def filenos(self) -> tuple[int, int]:
        """Return what to poll for: when one can be read, something was told."""
        return self._links.fileno(), self._tables.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._links.close()
        self._tables.close()

    def learn(self) -> None:
        """Know the networks and links that are there by now, and what they have.

        Raises:
            KernelError: the kernel would not say.
        """
        self._defined_at = _changed_at(self._networks_path)
        self._devices = frozenset(network.device for network in self._networks.readable())
        self._links.learn(self._devices)
        self._untold_values()
        self._lost_names()

    def read(self) -> Scope:
        """Return what was touched since the last time, as far as it is told; without waiting.

        Raises:
            KernelError: a socket failed.
        """
        touched = self._links.read() | self._tables.read()
        # Some of what was told is lost, and with it what is known. While others go on, a list of
        # all links may not come out whole: then it is asked for again.
        if touched == EVERYTHING or self._is_stale:
            self._is_stale = True
            with suppress(KernelError):
                self.learn()
                self._is_stale = False
            return EVERYTHING
        return touched

    def look(self) -> Scope:
        """Return what was touched of that of which nobody tells; a few small files are read."""
        if _changed_at(self._networks_path) != self._defined_at:  # another bridge counts now
            self._is_stale = True
            return NETWORKS
        is_touched = self._untold_values()
        touched = NETWORKS if self._server_ails() or is_touched else NOTHING
        return touched | HOST_ENDS if self._lost_names() else touched

    def _untold_values(self) -> bool:
        """Read these sysctls; tell whether one that was known has changed."""
        found = {}
        for device in self._devices:
            for template in _UNTOLD:
                value = sysctl.read(template.format(device))
                if value is not None:
                    found[template.format(device)] = value
        before, self._values = self._values, found
        return any(before.get(key, value) != value for key, value in found.items())

    def _server_ails(self) -> bool:
        """Tell whether the name server has ended since, or has to be told of other resolvers.

        Once each time: what can't be put right would be looked at for ever. Between two looks
        it may have been put right and need it again, for another reason or for the same one.
        """
        before = self._ailment
        with suppress(OcinetError):
            self._ailment = self._server.ailment()
        return self._ailment not in ("", before)

    def _lost_names(self) -> bool:
        """Tell whether a name of a sandbox is gone, or another file is in its place."""
        changed_at = _changed_at(self._names_path)
        if changed_at == self._named_at:
            return False
        found: frozenset[tuple[str, int]] = frozenset()
        with suppress(OSError), os.scandir(self._names_path) as entries:
            found = frozenset((entry.name, entry.inode()) for entry in entries)
        before, self._names, self._named_at = self._names, found, changed_at
        return not before <= found


def _changed_at(path: str) -> int:
    """Return when a directory's entries were changed last, in ns; 0 if it is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0

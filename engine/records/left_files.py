"""What killed writers left half-written, in every directory that we write to."""

from __future__ import annotations

import posix
from errno import EINVAL, ENOENT

from ocinet.base import temporaries
from ocinet.base.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths


class LeftFiles:
    """Temporary files of an installation, and names of sandboxes that were half made.

    No lock is needed: whether a writer is dead, the name of what it left says.

    Args:
        paths: of the installation.
    """

    def __init__(self, paths: Paths) -> None:
        self._directories = (
            paths.config,
            f"{paths.config}/networks",
            paths.run,
            f"{paths.run}/attachments",
            f"{paths.run}/ports",
            f"{paths.run}/names",
            f"{paths.state}/ports",
            f"{paths.run}/ipam",  # leases that were being made anew, of a whole network
            paths.netns,
        )
        self._pids, self._netns = f"{paths.run}/pids", paths.netns
        self._by_network = (
            f"{paths.state}/reservations",
            f"{paths.run}/ipam",
            f"{paths.run}/linked",  # by name, these
        )

    def sweep(self) -> int:
        """Remove them; return how many.

        Raises:
            SystemFailure: a directory can't be read; the others are swept.
        """
        swept, error = 0, None
        for directory in self._all():
            try:
                swept += temporaries.sweep(directory)
            except NotADirectoryError:
                continue
            except OSError as failed:
                error = SystemFailure(f"cannot sweep {directory}", str(failed.strerror))
        if error:
            raise error
        return swept + self._sweep_pids()

    def _sweep_pids(self) -> int:
        """Remove notes of names that don't show the process any more (`kernel.netns_names`)."""
        swept, error = 0, None
        try:
            pids = posix.listdir(self._pids)
        except FileNotFoundError:
            return 0
        except OSError as failed:
            raise SystemFailure(f"cannot list {self._pids}", str(failed.strerror)) from failed
        for pid in pids:
            note = f"{self._pids}/{pid}"
            try:
                if not self._shows(note, pid):
                    posix.unlink(note)
                    swept += 1
            except FileNotFoundError:
                continue  # somebody else sweeps
            except OSError as failed:
                error = SystemFailure(f"cannot sweep {note}", str(failed.strerror))
        if error:
            raise error
        return swept

    def _shows(self, note: str, pid: str) -> bool:
        """Tell whether the name in a note shows its process; one that is no link shows none."""
        try:
            name = f"{self._netns}/{posix.readlink(note)}"
            return posix.readlink(name) == f"/proc/{pid}/ns/net"
        except OSError as error:
            if error.errno in (ENOENT, EINVAL):
                return False
            raise  # what can't be read just now is not gone

    def _all(self) -> list[str]:
        found = list(self._directories)
        for root in self._by_network:
            try:
                networks = posix.listdir(root)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SystemFailure(f"cannot list {root}", str(error.strerror)) from error
            for network in networks:
                found += [f"{root}/{network}", f"{root}/{network}/corrupt"]
        return found

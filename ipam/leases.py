"""The lease files of one network.

    RUN/ipam/NETWORK/ADDRESS                    a lease, or a tombstone
    RUN/ipam/NETWORK/lock                       the lock, never deleted; in it, the
                                                address given last of each subnet
    RUN/ipam/NETWORK/holders/CONTAINER=IFNAME   the addresses of one endpoint
    RUN/ipam/NETWORK/corrupt/ADDRESS            what could not be read

The lease files alone count. The two others are shortcuts, believed only as far
as the leases bear them out: a kill or a full disk may lose one, never make one
harmful.
"""

from __future__ import annotations

import os

from ocinet.base.address import Address, numbers
from ocinet.base.clock import now
from ocinet.base.errors import OcinetError, RequestError, SystemFailure, failures
from ocinet.base.files import Directory, remove_directory
from ocinet.base.lock import Lock
from ocinet.ipam.lease import Lease, Tombstone, read_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.ipam.lease import Holder
    from ocinet.ipam.pool import Pool

_NO_LEASES = frozenset(("lock", "holders", "corrupt"))
_MOST_ASIDE = 64  # files in corrupt/
_MOST_HINTS = 4096  # bytes in the lock file


class NetworkLeases:
    """One network's directory, open; a context manager that closes it.

    What changes anything, and `read`, needs `locked` around it.

    Args:
        path: the directory; made if it is missing.
        network: the network's name.

    Attributes:
        reports: what is to be told once the lock is free: event and fields.

    Raises:
        SystemFailure: the directory can't be made, opened or trusted.
    """

    def __init__(self, path: str, network: str) -> None:
        self.network = network
        self.reports: list[tuple[str, dict[str, str]]] = []
        self._directory = Directory(path)
        try:
            self._holders = Directory(f"{path}/holders")
        except SystemFailure:
            self._directory.close()
            raise
        self._lock = Lock(f"{path}/lock", f"network {network}", None)

    def __enter__(self) -> NetworkLeases:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the directory."""
        self._holders.close()
        self._directory.close()

    def locked(self, deadline: Deadline) -> Lock:
        """Return the network's lock, to be held for a `with` block."""
        self._lock = Lock(f"{self._directory.path}/lock", f"network {self.network}", deadline)
        return self._lock

    def names(self) -> list[str]:
        """List the addresses that are taken, as text, unordered."""
        return [name for name in self._directory.names() if _is_address(name)]

    def numbers(self, family: int) -> set[int]:
        """List the addresses of a family that are taken, as numbers."""
        return numbers(family, self._directory.names())

    def held(self, name: str) -> bool:
        """Tell whether an address is taken, by whatever."""
        return self._directory.exists(name)

    def peek(self, name: str) -> Lease | Tombstone | None:
        """Read the file of an address; None if there is none.

        Raises:
            RequestError, SystemFailure: there is something that can't be read.
        """
        content = self._directory.read(name)
        if content is None:
            return None
        lease = read_lease(content)
        if isinstance(lease, Lease) and (str(lease.address), lease.network) != (name, self.network):
            raise RequestError("", f"it is the lease of {lease.address} on {lease.network}")
        return lease

    def read(self, name: str) -> Lease | Tombstone | None:
        """Read the file of an address, and set it aside if it can't be read."""
        try:
            return self.peek(name)
        except (RequestError, SystemFailure) as error:
            return self._quarantine(name, error.why)

    def create(self, lease: Lease) -> bool:
        """Write a lease under a free address; False if it is not free.

        Raises:
            SystemFailure: it can't be written; nothing has changed then.
        """
        return self._directory.create(str(lease.address), lease.to_json())

    def swap(self, lease: Lease) -> None:
        """Write a lease in the place of another one.

        Raises:
            SystemFailure: it can't be written; the other one is still there.
        """
        self._directory.replace(str(lease.address), lease.to_json())

    def remove(self, name: str) -> bool:
        """Free an address; False if it was free.

        Raises:
            SystemFailure: it can't be removed.
        """
        return self._directory.remove(name)

    def release_quarantined(self, name: str) -> bool:
        """Free an address that a tombstone keeps, and forget what was set aside for it.

        Returns:
            False if it is free or properly leased; nothing has changed then.

        Raises:
            SystemFailure: it can't be removed.
        """
        found = self.read(name)
        if not isinstance(found, Tombstone):
            return False
        self._directory.remove(name)
        with Directory(f"{self._directory.path}/corrupt") as aside:
            aside.remove(name)
        return True

    def _quarantine(self, name: str, why: str) -> Tombstone:
        tombstone = Tombstone(why, now())
        whole = self._directory.is_directory(name)
        try:
            with Directory(f"{self._directory.path}/corrupt") as aside:
                if whole and aside.exists(name):
                    return tombstone  # reported before
                if len(aside.names()) < _MOST_ASIDE:
                    if whole:  # it keeps its name as it is: nothing can replace a directory
                        aside.create(name, "a directory, left where it is\n")
                    else:
                        self._directory.link(name, aside)
            if not whole:
                self._directory.replace(name, tombstone.to_json())
        except SystemFailure:
            pass  # no room for a tombstone: what is there keeps the address as well
        self.reports.append(
            ("lease unreadable", {"network": self.network, "address": name, "why": why})
        )
        return tombstone

    def of(self, holder: Holder) -> list[Lease]:
        """Return the leases of one container's interface, of whatever sandbox."""
        found = [self.peek_lease(name) for name in self._listed(holder)]
        return [lease for lease in found if lease and lease.holder.container == holder.container
                and lease.holder.ifname == holder.ifname]  # fmt: skip

    def peek_lease(self, name: str) -> Lease | None:
        """Read the lease of an address; None if there is none that can be read."""
        try:
            found = self.peek(name)
        except (RequestError, SystemFailure):
            return None
        return found if isinstance(found, Lease) else None

    def note(self, holder: Holder, names: list[str]) -> None:
        """Note which addresses an interface has; none forgets the interface.

        Raises:
            SystemFailure: it can't be written; the old note is still there.
        """
        file = f"{holder.container}={holder.ifname}"
        if names:
            self._holders.replace(file, "\n".join(names))
        else:
            self._holders.remove(file)

    def strike(self, holder: Holder, name: str) -> None:
        """Take one address, which is free again, out of an interface's note."""
        listed = self._listed(holder)
        if name in listed:
            self.note(holder, [other for other in listed if other != name and self.held(other)])

    def _listed(self, holder: Holder) -> list[str]:
        return self._noted(f"{holder.container}={holder.ifname}")

    def _noted(self, file: str) -> list[str]:
        try:
            content = self._holders.read(file) or b""
        except SystemFailure:
            return []
        names = content.decode("ascii", "replace").split("\n")
        return [name for name in names if _is_address(name)]

    def last_given(self, pool: Pool) -> int | None:
        """Return the address of the pool that was given last; None if nobody knows."""
        for line in self._hints():
            subnet, _, address = line.partition(" ")
            if subnet == str(pool.subnet) and _is_address(address):
                last = Address.parse(address)
                return last.value if last in pool.subnet else None
        return None

    def note_last(self, pool: Pool, address: Address) -> None:
        """Note the address of the pool that was given last; that it can't is no failure."""
        subnet = str(pool.subnet)
        others = [line for line in self._hints() if line and line.partition(" ")[0] != subnet]
        content = "\n".join([f"{subnet} {address}", *others, ""]).encode()[:_MOST_HINTS]
        try:
            os.pwrite(self._lock.fd, content, 0)
            os.ftruncate(self._lock.fd, len(content))
        except OSError:
            return

    def _hints(self) -> list[str]:
        return os.pread(self._lock.fd, _MOST_HINTS, 0).decode("ascii", "replace").split("\n")

    def sweep(self) -> int:
        """Remove what killed writers left: temporary files, notes on no lease."""
        swept = self._directory.sweep() + self._holders.sweep()
        for file in self._holders.names():
            container, _, ifname = file.partition("=")
            leases = [self.peek_lease(name) for name in self._noted(file)]
            if not any(lease and (lease.holder.container, lease.holder.ifname)
                       == (container, ifname) for lease in leases):  # fmt: skip
                swept += self._holders.remove(file)
        return swept

    def clear(self) -> None:
        """Remove everything but the lock.

        Raises:
            OcinetError: something can't be removed; the rest is.
        """
        errors: list[OcinetError] = []
        with Directory(f"{self._directory.path}/corrupt") as aside:
            for directory in (self._holders, aside, self._directory):
                directory.sweep()
                for name in directory.names():
                    if directory is self._directory and name in _NO_LEASES:
                        continue
                    try:
                        directory.remove(name)
                    except SystemFailure as error:
                        errors.append(error)
        remove_directory(f"{self._directory.path}/corrupt")
        # Not holders/: whoever waits for the lock now has it open.
        os.ftruncate(self._lock.fd, 0)
        failures(f"cannot clear the leases of {self.network}", errors)


def _is_address(text: str) -> bool:
    """Tell whether it is an address, spelled as we spell it."""
    try:
        return str(Address.parse(text)) == text
    except RequestError:
        return False

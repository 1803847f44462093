"""The lease files of one network.

    RUN/ipam/NETWORK/ADDRESS                    a lease, or a tombstone
    RUN/ipam/NETWORK/lock                       the lock, never deleted; in it, the
                                                address that was given last, of each subnet
    RUN/ipam/NETWORK/holders/CONTAINER=IFNAME   the addresses of one endpoint, as a
                                                link that leads nowhere
    RUN/ipam/NETWORK/corrupt/ADDRESS            what could not be read

The lease files alone count. What points at them is believed only as far as they bear
it out. Whoever is killed between two writes must leave no lease that its holder can't
find: a note is written before its lease, and goes after it. What was given last is
written after its lease: an address that nobody got still has its turn.
"""

from __future__ import annotations

import posix

from ocinet.base.address import Address, is_address
from ocinet.base.clock import now
from ocinet.base.errors import (
    OcinetError,
    RequestError,
    SystemFailure,
    TransientFailure,
    failures,
)
from ocinet.base.files import Directory, remove_directory
from ocinet.base.lock import Lock
from ocinet.ipam.lease import Lease, Tombstone, read_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Subnet
    from ocinet.base.clock import Deadline
    from ocinet.ipam.lease import Holder

_HOLDERS, _CORRUPT = "holders", "corrupt"
_NO_LEASES = frozenset(("lock", _HOLDERS, _CORRUPT))
_MOST_ASIDE = 64  # files in corrupt/
_MOST_GIVEN = 4096  # bytes of the lock's file that are read
_MOST_NOTED = 4000  # characters of a note; a link's target has room for 4095


class LeaseFiles:
    """One network's directory, open; a context manager that closes it.

    What changes anything, and `read`, needs `locked` around it.

    Args:
        path: the directory.
        network: the network's name.
        make: whether it is made if it is missing.

    Attributes:
        reports: what is to be told once the lock is free: event and fields.

    Raises:
        FileNotFoundError: the directory is missing and not to be made.
        SystemFailure: it can't be made, opened or trusted.
    """

    def __init__(self, path: str, network: str, *, make: bool) -> None:
        self.network = network
        self.reports: list[tuple[str, dict[str, str]]] = []
        self._directory = Directory(path, make=make)
        self._lock: Lock | None = None

    def __enter__(self) -> LeaseFiles:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the directory."""
        self._directory.close()

    def locked(self, deadline: Deadline) -> Lock:
        """Return the network's lock, to be held for a `with` block."""
        self._lock = Lock(f"{self._directory.path}/lock", f"network {self.network}", deadline)
        return self._lock

    @property
    def _lock_fd(self) -> int:
        assert self._lock  # noqa: S101  # whoever asks has called `locked`
        return self._lock.fd

    def last_given(self, subnet: Subnet) -> Address | None:
        """Return the address of a subnet that was given last; None if nobody knows."""
        return next((address for address in self._given() if address in subnet), None)

    def note_given(self, subnet: Subnet, address: Address) -> None:
        """Note the address of a subnet that was given last; none if it is not in there.

        That it can't be written is no failure: an address may be given anew sooner.
        """
        given = [other for other in self._given() if other not in subnet]
        if address in subnet:
            given.insert(0, address)
        text = " ".join(map(str, given))
        try:
            # The end of the line tells where to stop: a longer one may lie below.
            posix.pwrite(self._lock_fd, f"{text}\n".encode(), 0)
        except OSError:
            return

    def _given(self) -> list[Address]:
        line = posix.pread(self._lock_fd, _MOST_GIVEN, 0).partition(b"\n")[0]
        return [Address.parse(text) for text in line.decode("ascii", "replace").split()
                if is_address(text)]  # fmt: skip

    def names(self) -> list[str]:
        """List the addresses that are taken, as text, unordered."""
        return [name for name in self._directory.names() if is_address(name)]

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
        """Read the file of an address, and set it aside if it makes no sense.

        Raises:
            TransientFailure: it could not be read just now, so nobody knows.
        """
        try:
            return self.peek(name)
        except TransientFailure:
            raise
        except (RequestError, SystemFailure) as error:
            return self._quarantine(name, error.why)

    def create(self, lease: Lease) -> bool:
        """Write a lease under a free address; False if it is not free.

        Raises:
            SystemFailure: it can't be written; nothing has changed then.
        """
        # By `link`, which refuses a name that is taken: this decides, not the look before it.
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
        self.remove(name)
        with Directory(f"{self._directory.path}/{_CORRUPT}") as aside:
            aside.remove(name)
        return True

    def _quarantine(self, name: str, why: str) -> Tombstone:
        tombstone = Tombstone(why, now())
        whole = self._directory.is_directory(name)
        try:
            with Directory(f"{self._directory.path}/{_CORRUPT}") as aside:
                if whole and aside.exists(name):
                    return tombstone  # reported before
                if len(aside.names()) < _MOST_ASIDE:
                    if whole:  # it keeps its name as it is: nothing can replace a directory
                        aside.create(name, "a directory, left where it is\n")
                    else:
                        # A second name for it, then a tombstone over the first: so the address is
                        # free at no moment.
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
        found = [self.peek_lease(name) for name in self._listed(_note_of(holder))]
        return [lease for lease in found if lease and lease.holder.container == holder.container
                and lease.holder.ifname == holder.ifname]  # fmt: skip

    def peek_lease(self, name: str) -> Lease | None:
        """Read the lease of an address; None if there is none that makes sense.

        Raises:
            TransientFailure: it could not be read just now.
        """
        try:
            found = self.peek(name)
        except TransientFailure:
            raise
        except (RequestError, SystemFailure):
            return None
        return found if isinstance(found, Lease) else None

    def note(self, holder: Holder, names: list[str]) -> None:
        """Note which addresses an interface has, the last ones left out if they are many.

        None forgets the interface.

        Raises:
            SystemFailure: it can't be written; the old note is still there.
        """
        text = ",".join(names)
        if len(text) > _MOST_NOTED:
            text = text[:_MOST_NOTED].rpartition(",")[0]
        if text:
            self._directory.note(_note_of(holder), text)
        else:
            self._directory.remove(_note_of(holder))

    def strike(self, holder: Holder, name: str) -> None:
        """Take one address, which is free again, out of an interface's note."""
        listed = self._listed(_note_of(holder))
        if name in listed:
            self.note(holder, [other for other in listed if other != name and self.held(other)])

    def _listed(self, note: str) -> list[str]:
        return [name for name in self._directory.noted(note).split(",") if is_address(name)]

    def sweep(self) -> int:
        """Remove what killed writers left: temporary files, notes on no lease."""
        swept = self._directory.sweep()
        with Directory(f"{self._directory.path}/{_HOLDERS}") as holders:
            for file in holders.names():
                container, _, ifname = file.partition("=")
                leases = [self.peek_lease(name) for name in self._listed(f"{_HOLDERS}/{file}")]
                if not any(lease and (lease.holder.container, lease.holder.ifname)
                           == (container, ifname) for lease in leases):  # fmt: skip
                    swept += holders.remove(file)
        return swept

    def clear(self) -> None:
        """Remove everything but the lock.

        Raises:
            OcinetError: something can't be removed; the rest is.
        """
        errors: list[OcinetError] = []
        for folder in ("", f"/{_HOLDERS}", f"/{_CORRUPT}"):
            with Directory(f"{self._directory.path}{folder}") as directory:
                directory.sweep()
                for name in directory.names():
                    if not folder and name in _NO_LEASES:
                        continue
                    try:
                        directory.remove(name)
                    except SystemFailure as error:
                        errors.append(error)
            if folder:
                remove_directory(f"{self._directory.path}{folder}")
        # Its content goes and the file stays, for somebody may be waiting for its lock.
        posix.ftruncate(self._lock_fd, 0)
        failures(f"cannot clear the leases of {self.network}", errors)


def _note_of(holder: Holder) -> str:
    return f"{_HOLDERS}/{holder.container}={holder.ifname}"

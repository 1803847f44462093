"""Reservations: an address, and a MAC, kept for a container's name.

    STATE/reservations/NETWORK/ADDRESS=NAME
    {"network": "lan", "name": "web", "address": "10.9.0.5",
     "mac": "02:6f:63:00:00:05", "created": "2024-05-01T12:00:00.000Z"}

The file's name alone says what is kept for whom, so one listing is enough to
allocate around all of them. They are synced to disk and live until removed.
"""

from __future__ import annotations

import posix

from ocinet.base.address import Address, is_address
from ocinet.base.errors import ConflictError, RequestError, SystemFailure
from ocinet.base.files import Directory, is_directory, remove_directory
from ocinet.base.jsontext import dumps
from ocinet.base.lock import Lock
from ocinet.base.names import check_container, check_network
from ocinet.base.records import ADDRESS, TEXT, Record, load_record
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths


class Reservation(Value):
    """An address that only containers of one name get.

    Attributes:
        network: its name.
        name: of the container; ids change, names stay.
        address: of one of the network's subnets.
        mac: of the container's end; "" means as for any other.
        created: RFC 3339.
    """

    network: str
    name: str
    address: Address
    mac: str = ""
    created: str = ""

    def to_json(self) -> str:
        """Render as in the module's example."""
        return dumps(_RESERVATION.write(self))


_RESERVATION = Record(Reservation, network=TEXT, name=TEXT, address=ADDRESS, mac=TEXT, created=TEXT)


class ReservationStore:
    """The reservations on disk.

    Args:
        paths: where state lies.
        deadline: for the lock around changes.
    """

    def __init__(self, paths: Paths, *, deadline: Deadline) -> None:
        self._root = f"{paths.state}/reservations"
        self._deadline = deadline

    def add(self, reservation: Reservation) -> bool:
        """Keep an address for a name.

        Whether the address lies in the network, and whether a container of
        another name holds it now, is for the caller to check.

        Returns:
            False if that very address is kept for that name already; nothing
            has changed then.

        Raises:
            ConflictError: the address or the MAC is kept for another name, or
                the name has another address of that family there.
            SystemFailure: it can't be written; nothing has changed then.

        Effects:
            One file, synced to disk, made under the reservations' lock.
        """
        network = check_network(reservation.network)
        name = check_container(reservation.name, "container name")
        with self._lock(), Directory(f"{self._root}/{network}", durable=True) as directory:
            # No reboot clears this directory: who writes takes away what killed writers left.
            directory.sweep()
            for other in self.all(network):
                if other.name == name and other.address == reservation.address:
                    return False
                self._check(reservation, other)
            return directory.create(f"{reservation.address}={name}", reservation.to_json())

    @staticmethod
    def _check(wanted: Reservation, other: Reservation) -> None:
        hint = f"remove that reservation first, of {other.name} on {other.network}"
        if other.address == wanted.address:
            raise ConflictError("", f"{other.address} is reserved for {other.name}", hint)
        if other.name == wanted.name and other.address.family == wanted.address.family:
            raise ConflictError("", f"{other.name} has {other.address} reserved already", hint)
        if wanted.mac and other.mac == wanted.mac and other.name != wanted.name:
            raise ConflictError("", f"the MAC {other.mac} is reserved for {other.name}", hint)

    def remove(self, network: str, name: str) -> tuple[Reservation, ...]:
        """Forget what is kept for a name on a network.

        Returns:
            What was kept; empty if there was nothing.

        Raises:
            SystemFailure: a file can't be removed.
        """
        with self._lock():
            gone = self.of(network, name)
            if gone:
                with Directory(f"{self._root}/{network}", durable=True) as directory:
                    for reservation in gone:
                        directory.remove(f"{reservation.address}={name}")
        return gone

    def remove_network(self, network: str) -> None:
        """Forget everything that is kept on a network, when the network goes.

        Raises:
            SystemFailure: a file can't be removed.
        """
        path = f"{self._root}/{check_network(network)}"
        with self._lock():
            if is_directory(path):
                with Directory(path, durable=True) as directory:
                    directory.sweep()
                    for name in directory.names():
                        directory.remove(name)
                remove_directory(path)

    def names(self, network: str) -> dict[str, str]:
        """Return whose name each reserved address is kept for, from one listing."""
        try:
            files = posix.listdir(f"{self._root}/{check_network(network)}")
        except FileNotFoundError:
            return {}
        except OSError as error:
            path = f"{self._root}/{network}"
            raise SystemFailure(f"cannot list {path}", str(error.strerror)) from error
        kept = {}
        for file in sorted(files):
            address, equals, name = file.partition("=")
            if equals and is_address(address):
                kept[address] = name
        return kept

    def of(self, network: str, name: str) -> tuple[Reservation, ...]:
        """Return what is kept for one name on a network, IPv4 first."""
        return self._read(network, {a: n for a, n in self.names(network).items() if n == name})

    def all(self, network: str) -> tuple[Reservation, ...]:
        """Return what is kept on a network, by address."""
        return self._read(network, self.names(network))

    def networks(self) -> tuple[str, ...]:
        """Return the networks that something is kept on."""
        try:
            found = posix.listdir(self._root)
        except FileNotFoundError:
            return ()
        return tuple(name for name in sorted(found) if name != "lock" and self.names(name))

    def _read(self, network: str, kept: dict[str, str]) -> tuple[Reservation, ...]:
        if not kept:
            return ()
        with Directory(f"{self._root}/{network}") as directory:
            found = [_parse(directory, network, address, name) for address, name in kept.items()]
        return tuple(sorted(
            found, key=lambda reservation: (reservation.address.family, reservation.address.value)
        ))  # fmt: skip

    def _lock(self) -> Lock:
        return Lock(f"{self._root}/lock", "the reservations", self._deadline)


def _parse(directory: Directory, network: str, address: str, name: str) -> Reservation:
    """Read one file.

    A content that can't be read loses its MAC and its date, never the address:
    that is in the name.
    """
    known = Reservation(network, name, Address.parse(address))
    try:
        content = load_record(_RESERVATION, directory.read(f"{address}={name}") or b"")
    except (RequestError, SystemFailure):
        return known
    return known.replace(mac=content.mac, created=content.created)

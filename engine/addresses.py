"""Which address is whose, for people: how full networks are, who holds what, what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocinet.base.value import Value

if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.records.kept_ports import KeptPorts
    from ocinet.engine.storage import ClaimFiles
    from ocinet.ipam.lease import Lease
    from ocinet.ipam.pool import Pool, Usage
    from ocinet.ipam.reservation import ReservationStore


class LeaseBook(Protocol):
    """What is read and put right of the leases, beside what transactions do with them."""

    def usage(self, network: str, pools: tuple[Pool, ...]) -> tuple[Usage, ...]:
        """Count what each pool has given."""

    def leases(self, network: str) -> tuple[Lease, ...]:
        """Return the leases of a network that can be read."""

    def lease(self, network: str, address: Address) -> Lease | None:
        """Return the lease of one address, or None."""

    def quarantined(self, network: str) -> tuple[str, ...]:
        """List the addresses whose lease could not be read."""

    def release_quarantined(self, network: str, address: Address) -> bool:
        """Give such an address back; False if it is none."""

    def reserved(self, network: str) -> dict[str, str]:
        """Return the addresses that are kept, each with the name that it is kept for."""


class Addresses(Value):
    """The store of addresses, and what is kept in it for names.

    Attributes:
        leases: which address is held by whom.
        reservations: which one is kept for whom.
        ports: which host port is kept for whom.
        claims: which host port whoever has now.
    """

    leases: LeaseBook
    reservations: ReservationStore
    ports: KeptPorts
    claims: ClaimFiles

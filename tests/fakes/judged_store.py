"""Address stores in a directory of the test's own, with holders that live as it says."""

from __future__ import annotations

import errno
import os
import posix
from typing import TYPE_CHECKING, Any

from builders import NETWORK, make_holder
from ocinet.base.address import Address
from ocinet.base.clock import Deadline
from ocinet.base.paths import Paths
from ocinet.ipam.pool import Pool
from ocinet.ipam.reservation import Reservation, ReservationStore
from ocinet.ipam.store import AddressStore

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from ocinet.ipam.lease import Lease


class JudgedStore:
    """A store, its files, and who is alive.

    Args:
        root: of its directories.
        deadline_s: of what it does.
        lost: leases of who lives on a network that nothing is on record of.

    Attributes:
        dead: containers whose holders no longer live.
        events: what was reported.
        judged: the leases whose holder's life was asked for.
    """

    def __init__(
        self, root: object, *, deadline_s: float = 30, lost: tuple[Lease, ...] = ()
    ) -> None:
        self.root = str(root)
        self.paths = Paths(
            f"{root}/etc", state=f"{root}/var", run=f"{root}/run", netns=f"{root}/netns"
        )
        self.dead: set[str] = set()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.judged: list[Lease] = []
        self.before_verdict: Callable[[Lease], None] = lambda _lease: None
        self.deadline = Deadline(deadline_s)
        self.store = AddressStore(
            self.paths, deadline=self.deadline, holder_lives=self._lives, report=self._report,
            regain=lambda _network: lost,
        )  # fmt: skip
        self.reservations = ReservationStore(self.paths, deadline=self.deadline)

    def _lives(self, lease: Lease) -> bool:
        self.judged.append(lease)
        self.before_verdict(lease)
        return lease.holder.container not in self.dead

    def _report(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    def get(
        self,
        container: str,
        *pools: Pool,
        wanted: tuple[str, ...] = (),
        taken: tuple[str, ...] = (),
        name: str = "",
        ifname: str = "eth0",
        sandbox: str = "4:1",
    ) -> list[str]:
        """Allocate for a container, and return its addresses as text."""
        leases = self.store.allocate(
            NETWORK,
            pools,
            tuple(Address.parse(text) for text in wanted),
            make_holder(container, ifname, sandbox),
            name or container,
            {Address.parse(text): "the host's own address" for text in taken},
        )
        return [str(lease.address) for lease in leases]

    def free(self, address: str, container: str) -> bool:
        """Release an address of a container."""
        return self.store.release(NETWORK, Address.parse(address), container)

    def reserve(self, address: str, name: str, mac: str = "") -> bool:
        """Keep an address for a name."""
        return self.reservations.add(Reservation(NETWORK, name, Address.parse(address), mac))

    @property
    def held(self) -> dict[str, str]:
        """Whose each leased address is."""
        return {str(lease.address): lease.holder.container for lease in self.store.leases(NETWORK)}

    def path(self, name: str) -> str:
        """Return the path of a file of the network's directory."""
        return f"{self.paths.run}/ipam/{NETWORK}/{name}"


def fill_disk(patch: pytest.MonkeyPatch, *, leases: int) -> list[str]:
    """Let the disk be full after some more leases.

    Returns:
        The names of those that were written, as they come.
    """
    real = os.link
    made: list[str] = []

    def link(source: str, name: str, **options: Any) -> None:
        if len(made) == leases:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, name, **options)
        made.append(name)

    patch.setattr(posix, "link", link)
    return made

"""Addresses on a bridge where somebody else hands out addresses, too.

What the other one is known to have given out is passed over. Then the segment is
asked; an address that somebody answers for is given back and the next one
tried. Only for networks that are not managed, and imported only for them.
"""

from __future__ import annotations

from ocinet.base.errors import ExhaustedError
from ocinet.engine.kernel.probe import Segment, patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Leases
    from ocinet.ipam.lease import Lease

    class Listening(Protocol):
        """A segment that can be asked who uses addresses; see `kernel.probe.Segment`."""

        def users(
            self, addresses: tuple[Address, ...], waits_s: tuple[float, ...]
        ) -> dict[Address, str]:
            """Return the MACs that answered, by the addresses they answered for."""

        def close(self) -> None:
            """Stop listening."""

    Allocate = Callable[[Mapping[Address, str]], tuple[Lease, ...]]

_TRIES = 64
_HINT = "keep the ranges apart: ocinet network create --ip-range, and dockerd's --fixed-cidr"


class Adopted:
    """One attach's allocation on an adopted bridge. To be closed, once the container is wired.

    Args:
        operation: by whose time and log it goes, and who knows other allocators.
        machine: that the bridge is on.
        leases: where what others use is given back to.
        network: that is not managed.
        state: of its bridge. One that is missing or down is not asked.
        listen: opens a segment to ask.
    """

    def __init__(  # the last one is for tests alone
        self,
        operation: Operation,
        machine: Machine,
        leases: Leases,
        network: Network,
        state: DeviceState,
        listen: Callable[[Link], Listening] = Segment,
    ) -> None:
        self._operation = operation
        self._leases = leases
        self._network = network
        self._segment: Listening | None = None
        self._waits_s: tuple[float, ...] = ()
        if state.link and state.link.up:
            self._segment = listen(state.link)
            self._waits_s = patience(machine.links.ports(state.link))

    def allocate(self, taken: Mapping[Address, str], allocate: Allocate) -> tuple[Lease, ...]:
        """Allocate addresses that nobody else is known or heard to use.

        Args:
            taken: what must not be given in any case; as for `AddressStore.allocate`.
            allocate: given what is taken, returns leases, and remembers to undo them.

        Returns:
            The leases of the last try.

        Raises:
            ConflictError: a static or reserved address is another's.
            ExhaustedError: none is left, or too many in a row were others'.
            KernelError: the bridge could not be asked.
        """
        known = self._operation.neighbours(self._network)
        theirs = {address: f"held by {who}" for address, who in known.items()}
        answered: dict[Address, str] = {}
        for _try in range(_TRIES):
            self._operation.deadline.check("")
            try:
                leases = allocate({**theirs, **answered, **taken})
            except ExhaustedError as error:
                if not answered:
                    raise
                why = f"{error.why}; others answered for {len(answered)} of these"
                raise ExhaustedError("", why, _HINT) from error
            users = self._users(leases)
            if not users:
                return leases
            for address, mac in users.items():
                device = self._network.device
                answered[address] = f"in use already: {mac} answers for it on {device}"
        raise ExhaustedError(
            "",
            f"the first {_TRIES} addresses that {self._network.name} had to give"
            " are in use by others",
            _HINT,
        )

    def _users(self, leases: tuple[Lease, ...]) -> dict[Address, str]:
        """Ask who uses what was allocated, and give that back."""
        if not (self._segment and self._waits_s):
            return {}
        addresses = tuple(lease.address for lease in leases)
        users = self._segment.users(addresses, self._waits_s)
        for lease in leases:
            if lease.address in users:
                container = lease.holder.container
                self._leases.release(self._network.name, lease.address, container)
                self._operation.log.append(
                    "address in use by another",
                    network=self._network.name,
                    address=str(lease.address),
                    mac=users[lease.address],
                )
        return users

    def close(self) -> None:
        """Stop listening on the bridge."""
        if self._segment:
            self._segment.close()

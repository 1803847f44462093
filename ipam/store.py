"""The address store: allocate, release, and look at leases.

The network's lock is held around files alone. Whether a holder still lives is
asked of the engine, which may have to ask the kernel, so it is judged outside
the lock; what was judged dead is taken over only if the lease is still the same
one when the lock is held again.
"""

from __future__ import annotations

import posix
from errno import EEXIST, ENOTEMPTY

from ocinet.base.address import Address
from ocinet.base.atomic import replace
from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.files import is_directory
from ocinet.base.names import check_container, check_ifname, check_network
from ocinet.ipam.lease import Lease, Tombstone
from ocinet.ipam.lease_files import LeaseFiles
from ocinet.ipam.pool import Usage, allocatable, gateways
from ocinet.ipam.reservation import ReservationStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths
    from ocinet.ipam.allocation import Unjudged, Verdicts
    from ocinet.ipam.lease import Holder
    from ocinet.ipam.pool import Pool


def _nothing(_network: str) -> tuple[Lease, ...]:
    return ()


class AddressStore:
    """Which address is whose, on every network.

    Args:
        paths: where leases and reservations lie.
        deadline: for the locks, and for judging the holders of a full pool.
        holder_lives: whether a lease's holder still needs it; asked only while
            no lock of the store is held.
        report: takes what is worth an event: its phrase, and fields.
        regain: of a network that nothing is on record of, the leases of those who live.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        deadline: Deadline,
        holder_lives: Callable[[Lease], bool],
        report: Callable[..., None],
        regain: Callable[[str], tuple[Lease, ...]] = _nothing,
    ) -> None:
        self._root = f"{paths.run}/ipam"
        self._deadline = deadline
        self._holder_lives = holder_lives
        self._report = report
        self._regain = regain
        self._reservations = ReservationStore(paths, deadline=deadline)

    def allocate(
        self,
        network: str,
        pools: tuple[Pool, ...],
        wanted: tuple[Address, ...],
        holder: Holder,
        name: str,
        taken: Mapping[Address, str] | None = None,
    ) -> tuple[Lease, ...]:
        """Give an endpoint its addresses: all of them, or none.

        Args:
            network: its name.
            pools: of the network; those of one family are tried in order.
            wanted: static addresses.
            holder: who asks. The same endpoint in the same sandbox gets the
                leases back that it has.
            name: the container's; what is reserved for it comes first.
            taken: addresses that are not the store's to give, each with what it
                is, as "the host's own address": read after "10.9.0.9 is".

        Returns:
            One lease per wanted address, then one for each family of the pools
            that `wanted` has none of.

        Raises:
            RequestError: a name is illegal, or a wanted address is none of the
                network's, or a pool has none to give.
            ConflictError: a wanted or reserved address is held by a living
                container, kept for another name, or taken.
            ExhaustedError: a pool is full of the living.
            BusyError: the lock was not had, or the holders of a full pool not
                judged, in time.
            SystemFailure: a file can't be written.

        Effects:
            Lease files, made under the network's lock. After an error none is
            left, but a dead holder's lease may be gone.
        """
        from ocinet.ipam.allocation import Allocation, Demand, Unjudged, Verdicts

        demand = Demand(
            check_network(network), pools, tuple(dict.fromkeys(wanted)), holder,
            check_container(name, "container name"), taken or {}, self._reservations.names(network),
        )  # fmt: skip
        # Both become part of a file's name.
        check_container(holder.container)
        check_ifname(holder.ifname)
        verdicts = Verdicts()
        if not is_directory(f"{self._root}/{network}"):
            self._make_anew(network)
        with self._made(network) as leases:
            try:
                while True:
                    self._deadline.check(f"cannot get an address on {network}")
                    try:
                        with leases.locked(self._deadline):
                            return Allocation(leases, demand, verdicts).run()
                    except Unjudged as doubt:
                        self._judge(leases, doubt, verdicts)
            finally:
                self._tell(leases)

    def _make_anew(self, network: str) -> None:
        """Make a network's directory with the leases of those who live, if there are any."""
        lost = self._regain(network)
        if not lost:
            return

        def make(temporary: str) -> None:
            with LeaseFiles(temporary, network, make=True) as leases:
                for holder in dict.fromkeys(lease.holder for lease in lost):
                    own = [lease for lease in lost if lease.holder == holder]
                    for lease in own:
                        leases.create(lease)
                    leases.note(holder, [str(lease.address) for lease in own])

        path = f"{self._root}/{network}"
        try:
            # Whole or not there, so that nobody gets one of these addresses in between.
            replace(path, make)
        except OSError as error:
            if error.errno in (EEXIST, ENOTEMPTY):  # somebody was faster, and has found the same
                return
            why = error.strerror or str(error)
            raise SystemFailure(f"cannot make {path} anew", why) from error
        self._report("leases regained", network=network, count=len(lost))

    def _judge(self, leases: LeaseFiles, doubt: Unjudged, verdicts: Verdicts) -> None:
        """Find out which of the holders in doubt live, up to the first dead one."""
        for name in doubt.names:
            self._deadline.check(f"cannot get an address on {leases.network}")
            try:
                lease = leases.peek(name)
            except (RequestError, SystemFailure):
                with leases.locked(self._deadline):
                    # To set it aside changes files, which nobody may do without the lock.
                    lease = leases.read(name)
            if lease is None:
                return  # it is free by now
            if isinstance(lease, Lease) and not self._holder_lives(lease):
                # The first dead one is enough: to judge is what takes time.
                verdicts.dead[name] = lease
                return
            verdicts.kept[name] = lease

    def release(self, network: str, address: Address, container: str) -> bool:
        """Free an address, if it is that container's.

        Returns:
            False if it is free already, or another's: nothing has changed then.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: the file can't be removed.
        """
        leases = self._open(network)
        if leases is None:
            return False
        name = str(address)
        with leases:
            try:
                with leases.locked(self._deadline):
                    lease = leases.read(name)
                    # A late detach must not free what another one has been given meanwhile.
                    if not isinstance(lease, Lease) or lease.holder.container != container:
                        return False
                    leases.remove(name)
                    leases.strike(lease.holder, name)
                    return True
            finally:
                self._tell(leases)

    def reserved(self, network: str) -> dict[str, str]:
        """Return what is reserved on a network: names by address."""
        return self._reservations.names(network)

    def reserved_mac(self, network: str, name: str) -> str:
        """Return the MAC that is reserved for a container's name, or ""."""
        kept = self._reservations.of(network, name)
        return next((reservation.mac for reservation in kept if reservation.mac), "")

    def give_back(self, network: str, pools: tuple[Pool, ...], leases: tuple[Lease, ...]) -> None:
        """Undo an allocation whose addresses nobody has used: they are next again.

        Args:
            network: its name.
            pools: that were allocated from.
            leases: what `allocate` returned.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: a file can't be removed.
        """
        for lease in leases:
            self.release(network, lease.address, lease.holder.container)
        with self._made(network) as files, files.locked(self._deadline):
            for lease in reversed(leases):
                pool = next((pool for pool in pools if lease.address in pool.subnet), None)
                if pool and files.last_given(pool.subnet) == lease.address:
                    files.note_given(pool.subnet, lease.address + -1)

    def release_quarantined(self, network: str, address: Address) -> bool:
        """Free an address whose lease could not be read: on purpose, by hand.

        Returns:
            False if it is free, or properly leased: nothing has changed then.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: it can't be removed, as when it is a directory.
        """
        leases = self._open(network)
        if leases is None:
            return False
        with leases:
            try:
                with leases.locked(self._deadline):
                    return leases.release_quarantined(str(address))
            finally:
                self._tell(leases)

    def lease(self, network: str, address: Address) -> Lease | None:
        """Return the lease of one address; None if nobody has it."""
        leases = self._open(network)
        if leases is None:
            return None
        with leases:
            return leases.peek_lease(str(address))

    def leases(self, network: str) -> tuple[Lease, ...]:
        """Return all leases of a network, by address; without those that can't be read."""
        leases = self._open(network)
        if leases is None:
            return ()
        with leases:
            found = [leases.peek_lease(name) for name in leases.names()]
        return tuple(sorted(
            (lease for lease in found if lease),
            key=lambda lease: (lease.address.family, lease.address.value),
        ))  # fmt: skip

    def quarantined(self, network: str) -> tuple[str, ...]:
        """Return the addresses that are kept because their lease can't be read.

        Raises:
            BusyError: one was found only now, and the lock was not had in time.

        Effects:
            What is found unreadable only now is set aside and reported.
        """
        leases = self._open(network)
        if leases is None:
            return ()
        with leases:
            unreadable = [name for name in leases.names() if not leases.peek_lease(name)]
            if not unreadable:
                return ()
            try:
                with leases.locked(self._deadline):
                    found = {name: leases.read(name) for name in unreadable}
            finally:
                self._tell(leases)
        return tuple(sorted(name for name in found if isinstance(found[name], Tombstone)))

    def networks(self) -> tuple[str, ...]:
        """Return the networks that hold anything."""
        try:
            names = sorted(posix.listdir(self._root))
        except FileNotFoundError:
            return ()
        found = []
        for name in names:
            try:
                leases = self._open(name) if is_directory(f"{self._root}/{name}") else None
            except RequestError:
                continue  # no directory of ours
            if leases:
                with leases:
                    if leases.names():
                        found.append(name)
        return tuple(found)

    def usage(self, network: str, pools: tuple[Pool, ...]) -> tuple[Usage, ...]:
        """Return how full each pool is, from one listing."""
        held: list[Address] = []
        leases = self._open(network)
        if leases:
            with leases:
                held = [Address.parse(name) for name in leases.names()]
        reserved = [Address.parse(name) for name in self._reservations.names(network)]
        return tuple(
            Usage(
                pool,
                pool.subnet.size,
                allocatable(pool, gateways(pools, pool.subnet.family)),
                sum(address in pool.subnet for address in held),
                sum(address in pool.subnet for address in reserved),
            )
            for pool in pools
        )

    def sweep(self, network: str) -> int:
        """Remove what killed writers left behind; returns how many files.

        Raises:
            BusyError: the lock was not had in time.

        Effects:
            The leases of those who live are made anew, where nothing is on record.
        """
        if not is_directory(f"{self._root}/{network}"):
            self._make_anew(network)
        leases = self._open(network)
        if leases is None:
            return 0
        with leases, leases.locked(self._deadline):
            return leases.sweep()

    def remove_network(self, network: str) -> None:
        """Drop every lease and reservation of a network; the caller knows that nobody uses it.

        The empty directory and its lock stay until the reboot: whoever waits
        for that lock must not end up with one of his own.

        Raises:
            BusyError: the lock was not had in time.
            OcinetError: a file can't be removed; the others are.
        """
        leases = self._open(network)
        if leases:
            with leases, leases.locked(self._deadline):
                leases.clear()
        self._reservations.remove_network(network)

    def _open(self, network: str) -> LeaseFiles | None:
        """Open a network's directory; None if nobody ever had an address there."""
        try:
            return self._made(network, make=False)
        except FileNotFoundError:
            return None

    def _made(self, network: str, *, make: bool = True) -> LeaseFiles:
        return LeaseFiles(f"{self._root}/{check_network(network)}", network, make=make)

    def _tell(self, leases: LeaseFiles) -> None:
        while leases.reports:
            event, fields = leases.reports.pop(0)
            self._report(event, **fields)

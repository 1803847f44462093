"""One try to allocate, under the network's lock: decide on every address, then write.

Deciding changes no lease. Where it depends on whether a holder lives, and
nobody knows yet, the try ends with `Unjudged`; the store finds out without the
lock and tries again.
"""

from __future__ import annotations

from ocinet.base.address import Address, spell
from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, ExhaustedError, SystemFailure
from ocinet.base.value import Value
from ocinet.ipam.lease import Lease, Tombstone
from ocinet.ipam.pool import allocatable, check_static, gateways, next_fit, spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ocinet.ipam.lease import Holder
    from ocinet.ipam.lease_files import LeaseFiles
    from ocinet.ipam.pool import Pool


class Demand(Value):
    """What is asked of the store; as the parameters of `AddressStore.allocate`.

    Attributes:
        taken: what each address is that the store must not give.
        reserved: whose name each reserved address of the network is kept for.
    """

    network: str
    pools: tuple[Pool, ...]
    wanted: tuple[Address, ...]
    holder: Holder
    name: str
    taken: Mapping[Address, str]
    reserved: dict[str, str]


class Verdicts:
    """What is known by now of the holders' lives, by the name of what they hold.

    Attributes:
        dead: leases that may be taken over, while they are the same.
        kept: what must not be touched: its holder lives, or can't be told.
    """

    def __init__(self) -> None:
        self.dead: dict[str, Lease] = {}
        self.kept: dict[str, Lease | Tombstone] = {}


class Unjudged(Exception):
    """The try can't go on before someone has judged these holders.

    Attributes:
        names: the addresses that they hold, most wanted first.
    """

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names


class _Gain(Value):
    """An address that is decided on.

    Attributes:
        address: the address.
        kept: the lease, if the holder has it already.
        former: the dead holder's lease, if it is taken over.
        pool: the pool whose turn it was, if it was chosen freely.
    """

    address: Address
    kept: Lease | None = None
    former: Lease | None = None
    pool: Pool | None = None


class Allocation:
    """One try; the network's lock is held.

    Args:
        leases: of the network.
        demand: what is asked.
        verdicts: what is known of the holders.
    """

    def __init__(self, leases: LeaseFiles, demand: Demand, verdicts: Verdicts) -> None:
        self._leases = leases
        self._demand = demand
        self._verdicts = verdicts
        self._own = leases.of(demand.holder)
        # What is never given freely, spelled as the files are named.
        self._never = {str(pool.gateway) for pool in demand.pools if pool.gateway}
        self._never.update(map(str, demand.taken), demand.reserved)

    def run(self) -> tuple[Lease, ...]:
        """Decide and write.

        Raises:
            Unjudged: holders have to be judged first; nothing has changed.
            OcinetError: as `AddressStore.allocate`.
        """
        demand = self._demand
        gains = [self._static(address) for address in demand.wanted]
        given = {address.family for address in demand.wanted}
        for family in dict.fromkeys(pool.subnet.family for pool in demand.pools):
            if family not in given:
                gains.append(self._automatic(family))
        return self._write(gains)

    def _static(self, address: Address) -> _Gain:
        """Decide on an address that is asked for, or reserved, by number."""
        for lease in self._own:
            if lease.address == address and lease.holder.same_endpoint(self._demand.holder):
                return _Gain(address, kept=lease)
        check_static(self._demand.pools, address)
        if address in self._demand.taken:
            raise ConflictError("", f"{address} is {self._demand.taken[address]}",
                                "choose another address")  # fmt: skip
        name = str(address)
        owner = self._demand.reserved.get(name, self._demand.name)
        if owner != self._demand.name:
            raise ConflictError("", f"{address} is reserved for {owner}",
                                f"ask for another one, or name the container {owner}")  # fmt: skip
        found = self._leases.read(name)
        if found is None:
            return _Gain(address)
        if isinstance(found, Tombstone):
            raise ConflictError("", f"{address} is quarantined: its lease can't be read",
                                "see `ocinet ipam ls`")  # fmt: skip
        if found.holder.same_endpoint(self._demand.holder):
            return _Gain(address, kept=found)
        if self._verdicts.dead.get(name) == found:
            return _Gain(address, former=found)
        if self._verdicts.kept.get(name) != found:
            raise Unjudged(name)
        who = found.holder.name or found.holder.container
        raise ConflictError(
            "",
            f"{address} is held by {who} ({found.holder.ifname})",
            "choose another address, or stop that container",
        )

    def _automatic(self, family: int) -> _Gain:
        """Decide on an address of a family: one's own, the reserved one, or the next free."""
        pools = tuple(pool for pool in self._demand.pools if pool.subnet.family == family)
        own = [lease for lease in self._own
               if any(lease.address in pool.subnet for pool in pools)]  # fmt: skip
        for lease in own:
            if lease.holder.same_endpoint(self._demand.holder):
                return _Gain(lease.address, kept=lease)
        for address in self._reserved(pools):
            # A second interface on the network is in no conflict with the first one, which has it:
            # it is given the next free address.
            found = self._leases.peek_lease(str(address))
            if not (found and self._is_sibling(found.holder)):
                return self._static(address)
        for lease in own:  # of a former life: its addresses may not be held by the dead for ever
            name = str(lease.address)
            if self._verdicts.dead.get(name) == lease:
                # Since that life it may have been kept for another name, or the ranges changed.
                if self._may_give(lease.address, pools):
                    return _Gain(lease.address, former=lease)
            elif self._verdicts.kept.get(name) != lease:
                raise Unjudged(name)
        # While an address is free, no other holder is judged: each is a look at /proc and a link.
        return self._next(pools) or self._inherit(pools)

    def _reserved(self, pools: tuple[Pool, ...]) -> list[Address]:
        """Return what is reserved for the holder's name in these pools."""
        found = []
        for text, owner in self._demand.reserved.items():
            if owner == self._demand.name:
                address = Address.parse(text)
                if any(address in pool.subnet for pool in pools):
                    found.append(address)
        return found

    def _is_sibling(self, other: Holder) -> bool:
        """Tell whether it is another interface of the same sandbox."""
        mine = self._demand.holder
        return (other.container, other.sandbox, other.boot_id) == (
            mine.container, mine.sandbox, mine.boot_id,
        ) and other.ifname != mine.ifname  # fmt: skip

    def _may_give(self, address: Address, pools: tuple[Pool, ...]) -> bool:
        """Tell whether it is one of those that next-fit gives, of pools of its family."""
        ranges = [span for pool in pools for span in spans(pool)]
        is_inside = any(low <= address.value <= high for low, high in ranges)
        return is_inside and str(address) not in self._never

    def _names(self, pool: Pool) -> Iterator[str]:
        """Yield a pool's addresses in the order of next-fit, but for those that are never given."""
        for value in next_fit(pool, self._leases.last_given(pool.subnet)):
            name = spell(pool.subnet.family, value)
            if name not in self._never:
                yield name

    def _next(self, pools: tuple[Pool, ...]) -> _Gain | None:
        """Decide on the next free address of the first pool that has one."""
        for pool in pools:
            for name in self._names(pool):
                # One look for each, and no listing: a bridge has 1023 ports, so what is held is a
                # short row, and the next address is nearly always free.
                if not self._leases.held(name):
                    return _Gain(Address.parse(name), pool=pool)
        return None

    def _inherit(self, pools: tuple[Pool, ...]) -> _Gain:
        """Decide on the address of a dead holder, for every pool of the family is full."""
        crowd = {name: pool for pool in pools for name in self._names(pool)}
        for name, former in self._verdicts.dead.items():
            if name in crowd and self._leases.peek_lease(name) == former:
                return _Gain(former.address, former=former, pool=crowd[name])
        # In the order of next-fit: what was given longest ago is the likeliest to be the dead's.
        doubtful = [name for name in crowd if name not in self._verdicts.kept]
        if doubtful:
            raise Unjudged(*doubtful)
        raise self._exhausted(pools, crowd)

    def _exhausted(self, pools: tuple[Pool, ...], crowd: Collection[str]) -> ExhaustedError:
        """Return the error of full pools: what has no file in there is not the store's to give.

        Args:
            pools: of one family.
            crowd: those of their addresses that have a file for sure.
        """
        told = []
        for pool in pools:
            family = pool.subnet.family
            never = gateways(self._demand.pools, family)
            give = allocatable(pool, never)
            names = [spell(family, value) for value in set(next_fit(pool, None)) - never]
            held = sum(name in crowd or self._leases.held(name) for name in names)
            told.append(
                f"{pool.subnet} has {give} to give, {held} are held and {give - held} reserved,"
                " the host's own or others'"
            )
        return ExhaustedError(
            "",
            f"no address is free on {self._demand.network}: {'; '.join(told)}",
            "stop a container, or make a network with a wider subnet or range",
        )

    def _write(self, gains: list[_Gain]) -> tuple[Lease, ...]:
        """Write every lease that is not there yet: all of them, or none.

        In the order that `lease_files` tells: note, lease, what was given last.
        """
        demand, time = self._demand, now()
        before = [str(lease.address) for lease in self._own]
        leases = [gain.kept or Lease(demand.network, gain.address, demand.holder, time)
                  for gain in gains]  # fmt: skip
        if all(gain.kept for gain in gains):
            return tuple(leases)
        made: list[str] = []
        try:
            # Those that were chosen freely come last and are noted first, as a note has an
            # end: static ones are found without it.
            names = [str(lease.address) for lease in reversed(leases)]
            self._leases.note(demand.holder, list(dict.fromkeys(names + before)))
            for gain, lease in zip(gains, leases, strict=True):
                if not gain.kept:
                    self._put(gain, lease)
                    made.append(str(gain.address))
            self._strike_former(gains)
        except BaseException:
            self._undo(made, before)
            raise
        for gain in gains:
            if gain.pool:
                self._leases.note_given(gain.pool.subnet, gain.address)
        return tuple(leases)

    def _put(self, gain: _Gain, lease: Lease) -> None:
        """Write one lease, over a dead holder's if there is one."""
        if gain.former:
            # Replaced, not removed and made: a kill in between would leave the address to anybody.
            self._leases.swap(lease)
            self._tell(gain.former)
        elif not self._leases.create(lease):
            raise Unjudged(str(gain.address))  # made by someone who heeds no lock

    def _strike_former(self, gains: list[_Gain]) -> None:
        """Take what was taken over out of the notes of the dead."""
        mine = self._demand.holder
        for gain in gains:
            holder = gain.former.holder if gain.former else mine
            if (holder.container, holder.ifname) != (mine.container, mine.ifname):
                self._leases.strike(holder, str(gain.address))

    def _undo(self, made: list[str], before: list[str]) -> None:
        try:
            for name in made:
                self._leases.remove(name)
            self._leases.note(self._demand.holder, before)
        except SystemFailure:
            return  # the first error is the one to tell

    def _tell(self, former: Lease) -> None:
        mine = self._demand.holder
        self._leases.reports.append(("lease taken over", {
            "network": former.network,
            "address": str(former.address),
            "container": mine.container,
            "former": former.holder.container,
        }))  # fmt: skip

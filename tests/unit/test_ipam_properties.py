"""The store against a model: no address held twice, none lost, whatever happens."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import NETWORK, make_pool
from fakes.judged_store import JudgedStore
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, ExhaustedError

POOL = make_pool("10.9.0.0/29", "10.9.0.1")
RANGED = make_pool("10.9.1.0/24", "10.9.1.9", "10.9.1.8-10.9.1.9")  # one more address: .8
SIX = make_pool("fd00::/126", "fd00::1")
GIVEN = {4: [f"10.9.0.{number}" for number in range(2, 7)] + ["10.9.1.8"],
         6: ["fd00::2", "fd00::3"]}  # fmt: skip

NAMES = st.sampled_from(["a", "b", "c", "d"])
IFNAMES = st.sampled_from(["eth0", "eth1"])
ADDRESSES = st.sampled_from(GIVEN[4] + GIVEN[6])
POOLS = st.sampled_from([(POOL,), (POOL, RANGED), (POOL, SIX)])
Key = tuple[str, str]  # container id, ifname


class StoreMachine(RuleBasedStateMachine):
    """A container `a` has the ids a0, a1, …: one after the other, sometimes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.world = JudgedStore(tempfile.mkdtemp())
        self.held: dict[str, Key] = {}
        self.junk: set[str] = set()
        self.kept: dict[str, str] = {}
        self.lives: dict[str, int] = dict.fromkeys("abcd", 0)

    def teardown(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.world.root)

    def _free_for(self, address: str, name: str) -> bool:
        """Tell whether the model would let a container of that name have an address."""
        holder = self.held.get(address)
        return (
            address not in self.junk
            and self.kept.get(address, name) == name
            and (holder is None or holder[0] in self.world.dead)
        )

    def _check(self, got: list[str], key: Key, name: str) -> None:
        for address in got:
            if self.held.get(address) != key:
                assert self._free_for(address, name), f"{address} was not free for {name}"
            self.held[address] = key

    @rule(name=NAMES, ifname=IFNAMES, pools=POOLS)
    def allocate(self, name: str, ifname: str, pools: Any) -> None:
        """Ask for an address of each family."""
        key = (f"{name}{self.lives[name]}", ifname)
        families = {pool.subnet.family for pool in pools}
        open_to = [a for a in GIVEN[4] if a != "10.9.1.8" or RANGED in pools]
        before = dict(self.held)
        try:
            got = self.world.get(key[0], *pools, name=name, ifname=ifname)
        except ExhaustedError:
            full = [GIVEN[6]] if 6 in families else []
            assert any(
                not any(self._free_for(address, name) and address not in self.kept
                        for address in addresses)
                for addresses in [*full, open_to]
            )  # fmt: skip
            return
        except ConflictError:
            mine = [address for address, owner in self.kept.items() if owner == name]
            assert any(not self._free_for(address, name) for address in mine)
            return
        assert [Address.parse(address).family for address in got] == sorted(families)
        for address in got:
            owned = [a for a, owner in before.items() if owner == key and a in open_to + GIVEN[6]]
            same = [a for a in owned if Address.parse(a).family == Address.parse(address).family]
            assert not same or address in same, "it had one already"
        self._check(got, key, name)

    @rule(name=NAMES, address=ADDRESSES)
    def allocate_static(self, name: str, address: str) -> None:
        """Ask for one address by number."""
        key = (f"{name}{self.lives[name]}", "eth0")
        pools = (POOL, SIX, RANGED)
        wanted = (address, "10.9.0.2" if ":" in address else "fd00::2")
        try:
            got = self.world.get(key[0], *pools, wanted=wanted, name=name)
        except ConflictError:
            assert any(
                self.held.get(address) != key and not self._free_for(address, name)
                for address in wanted
            )
            return
        assert got == list(wanted)
        self._check(got, key, name)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Free what is held."""
        address = data.draw(st.sampled_from(sorted(self.held)))
        assert self.world.free(address, self.held[address][0])
        del self.held[address]

    @rule(address=ADDRESSES, name=NAMES)
    def release_of_anothers(self, address: str, name: str) -> None:
        """Free what one may not have."""
        container = f"{name}{self.lives[name]}"
        mine = self.held.get(address, ("",))[0] == container
        assert self.world.free(address, container) is mine
        if mine:
            del self.held[address]

    @rule(name=NAMES, dies=st.booleans())
    def restart(self, name: str, dies: bool) -> None:
        """Start the next container of a name; the former one may live on."""
        if dies:
            self.world.dead.add(f"{name}{self.lives[name]}")
        self.lives[name] += 1

    @rule(address=ADDRESSES, content=st.sampled_from([b"", b"{}", b"junk", b'{"network": "lan"']))
    def corrupt(self, address: str, content: bytes) -> None:
        """Overwrite the file of an address, or make one."""
        os.makedirs(self.world.path(""), 0o700, exist_ok=True)
        with open(self.world.path(address), "wb") as file:
            file.write(content)
        self.held.pop(address, None)
        self.junk.add(address)

    @precondition(lambda self: self.junk)
    @rule(data=st.data())
    def release_quarantined(self, data: st.DataObject) -> None:
        """Free what can't be read, on purpose."""
        address = data.draw(st.sampled_from(sorted(self.junk)))
        assert self.world.store.release_quarantined(NETWORK, Address.parse(address))
        self.junk.discard(address)

    @rule(address=ADDRESSES, name=NAMES)
    def reserve(self, address: str, name: str) -> None:
        """Keep an address for a name, whoever holds it now."""
        try:
            self.world.reserve(address, name)
        except ConflictError:
            return
        self.kept[address] = name

    @rule(name=NAMES)
    def unreserve(self, name: str) -> None:
        """Forget what is kept for a name."""
        self.world.reservations.remove(NETWORK, name)
        self.kept = {address: owner for address, owner in self.kept.items() if owner != name}

    @rule()
    def sweep(self) -> None:
        """Remove leftovers: there are none that count."""
        self.world.store.sweep(NETWORK)

    @invariant()
    def store_is_as_the_model(self) -> None:
        """Each address has the holder that the model says, and no other is held."""
        found = {
            str(lease.address): (lease.holder.container, lease.holder.ifname)
            for lease in self.world.store.leases(NETWORK)
        }
        assert found == self.held
        assert set(self.world.store.quarantined(NETWORK)) == self.junk


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=30)

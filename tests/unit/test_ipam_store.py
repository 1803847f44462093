"""The address store: who gets which address, and who does not."""

from __future__ import annotations

import os
import posix
import resource
from errno import ENOSPC
from typing import TYPE_CHECKING

import pytest

from builders import NETWORK, make_holder, make_pool
from fakes.judged_store import JudgedStore, fill_disk
from ocinet.base.address import Address
from ocinet.base.clock import Deadline
from ocinet.base.errors import BusyError, ConflictError, ExhaustedError, RequestError, SystemFailure
from ocinet.base.lock import Lock
from ocinet.engine.records.left_files import LeftFiles
from ocinet.ipam.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocinet.ipam.pool import Pool

WIDE = make_pool("10.9.0.0/24", "10.9.0.1")
SMALL = make_pool("10.9.0.0/29", "10.9.0.1")
SIX = make_pool("fd00:9::/64", "fd00:9::1")
SMALL_ALL = ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]


@pytest.fixture
def world(tmp_path: Path) -> JudgedStore:
    """Return a store of our own."""
    return JudgedStore(tmp_path)


def fill(world: JudgedStore, pool: Pool) -> list[str]:
    """Allocate until the pool is empty; returns the addresses in order."""
    found: list[str] = []
    while True:
        try:
            found += world.get(f"c{len(found)}", pool)
        except ExhaustedError:
            return found


# -- the next free address ---------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (WIDE, ["10.9.0.2", "10.9.0.3", "10.9.0.4"]),
        (make_pool("10.9.0.0/24"), ["10.9.0.1", "10.9.0.2", "10.9.0.3"]),
        (make_pool("10.9.0.0/24", "10.9.0.2"), ["10.9.0.1", "10.9.0.3", "10.9.0.4"]),
        (make_pool("10.9.0.0/16", "10.9.0.1"), ["10.9.0.2", "10.9.0.3", "10.9.0.4"]),
        (SIX, ["fd00:9::2", "fd00:9::3", "fd00:9::4"]),
        (make_pool("fd00:9::/64"), ["fd00:9::1", "fd00:9::2", "fd00:9::3"]),
        (
            make_pool("10.9.0.0/24", "10.9.0.1", "10.9.0.9-10.9.0.9", "10.9.0.50-10.9.0.51"),
            ["10.9.0.9", "10.9.0.50", "10.9.0.51"],
        ),
    ],
)
def test_allocate_gives_the_next_address(
    world: JudgedStore, pool: Pool, expected: list[str]
) -> None:
    """The first is the lowest that is not the gateway's, then the ones behind it."""
    assert [world.get(f"c{number}", pool)[0] for number in range(3)] == expected


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (SMALL, SMALL_ALL),
        (make_pool("10.9.0.0/30", "10.9.0.1"), ["10.9.0.2"]),
        (make_pool("10.9.0.0/31", "10.9.0.0"), ["10.9.0.1"]),
        (make_pool("10.9.0.0/31"), ["10.9.0.0", "10.9.0.1"]),
        (make_pool("fd00::/126", "fd00::1"), ["fd00::2", "fd00::3"]),
        (make_pool("fd00::/127"), ["fd00::", "fd00::1"]),
        (
            make_pool("10.9.0.0/24", "10.9.0.1", "10.9.0.0-10.9.0.2", "10.9.0.254-10.9.0.255"),
            ["10.9.0.2", "10.9.0.254"],
        ),
    ],
)
def test_allocate_of_all_gives_each_address_once(
    world: JudgedStore, pool: Pool, expected: list[str]
) -> None:
    """Every address that may be given is given, and then no other."""
    assert fill(world, pool) == expected
    assert sorted(world.held) == sorted(expected)


def test_allocate_after_a_release_goes_on_before_it_wraps(world: JudgedStore) -> None:
    """A freed address rests until its turn comes round."""
    for number in range(3):
        world.get(f"c{number}", SMALL)
    world.free("10.9.0.2", "c0")

    assert [world.get(name, SMALL)[0] for name in ("d0", "d1", "d2")] == [
        "10.9.0.5",
        "10.9.0.6",
        "10.9.0.2",
    ]


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\0" * 50,
        b"10.9",
        b"fd00::1\n",
        b"10.9.9.9\n",
        b"\xff\n\n \n",
        b"x" * 9000,
        b"\xff " * 9000,
    ],
)
def test_allocate_with_junk_for_the_last_given_begins_at_the_start(
    world: JudgedStore, junk: bytes
) -> None:
    """A wrong one costs nothing but the order, and is right again after that."""
    world.get("c0", SMALL)
    with open(world.path("lock"), "wb") as lock:
        lock.write(junk)

    assert world.get("c1", SMALL) == ["10.9.0.3"]
    world.free("10.9.0.2", "c0")
    assert world.get("c2", SMALL) == ["10.9.0.4"]


def test_allocate_keeps_the_last_given_of_each_subnet(world: JudgedStore) -> None:
    """A shorter one leaves nothing of the longer one behind."""
    pool = make_pool("10.9.0.0/24", "", "10.9.0.10-10.9.0.10", "10.9.0.9-10.9.0.9")
    for number in range(2):
        world.get(f"c{number}", pool, SIX)

    with open(world.path("lock"), encoding="ascii") as lock:
        assert sorted(lock.readline().split()) == ["10.9.0.9", "fd00:9::3"]


CROWD = make_pool("10.9.0.0/26", "10.9.0.1")


@pytest.fixture
def crowd(world: JudgedStore) -> JudgedStore:
    """Return a store whose only free address is 10.9.0.40."""
    assert len(fill(world, CROWD)) == 61
    world.free("10.9.0.40", "c38")
    return world


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the directories that are listed from now on, as they are."""
    real, found = os.listdir, []

    def listdir(which: int | str) -> list[str]:
        found.append(os.readlink(f"/proc/self/fd/{which}") if isinstance(which, int) else which)
        return real(which)

    monkeypatch.setattr(posix, "listdir", listdir)
    return found


def test_allocate_in_a_crowd_finds_the_only_hole_unlisted(
    crowd: JudgedStore, listed: list[str]
) -> None:
    """What it costs does not grow with all leases, but with those in a row behind the last one."""
    assert crowd.get("late", CROWD) == ["10.9.0.40"]
    assert [path for path in listed if path.startswith(crowd.paths.run)] == []


def test_allocate_from_a_full_pool_lists_nothing(world: JudgedStore, listed: list[str]) -> None:
    """Looking at each holder is all that it costs."""
    fill(world, SMALL)
    with pytest.raises(ExhaustedError):
        world.get("late", SMALL)
    assert [path for path in listed if path.startswith(world.paths.run)] == []


@pytest.mark.parametrize("junk", [b"", b"\1" * (3 << 16), b"\0" * (3 << 16)])
def test_allocate_in_a_crowd_with_junk_for_the_last_given_finds_the_only_hole(
    crowd: JudgedStore, junk: bytes, listed: list[str]
) -> None:
    """The leases alone tell what is free, one by one."""
    with open(crowd.path("lock"), "wb") as lock:
        lock.write(junk)

    assert crowd.get("late", CROWD) == ["10.9.0.40"]
    crowd.free("10.9.0.40", "late")
    assert crowd.get("later", CROWD) == ["10.9.0.40"]
    assert [path for path in listed if path.startswith(crowd.paths.run)] == []


def test_allocate_finds_a_lease_that_was_removed_by_hand(world: JudgedStore) -> None:
    """That its file is gone is what counts."""
    assert fill(world, SMALL) == SMALL_ALL
    os.unlink(world.path("10.9.0.4"))

    assert world.get("late", SMALL) == ["10.9.0.4"]


def test_allocate_gives_what_was_removed_by_hand_in_its_turn(world: JudgedStore) -> None:
    """It rests as any other freed address does."""
    for number in range(3):
        world.get(f"c{number}", SMALL)
    os.unlink(world.path("10.9.0.3"))

    assert [world.get(f"d{number}", SMALL)[0] for number in range(3)] == [
        "10.9.0.5",
        "10.9.0.6",
        "10.9.0.3",
    ]


def test_allocate_from_two_subnets_gives_each_address(world: JudgedStore) -> None:
    """All of the first, all of the second, and then the error counts what is held of each."""
    first, second = make_pool("10.8.0.0/29", "10.8.0.1"), make_pool("10.9.0.0/29", "10.9.0.1")
    given = [world.get(f"c{number}", first, second)[0] for number in range(10)]

    assert given == [address.replace("10.9", "10.8") for address in SMALL_ALL] + SMALL_ALL
    with pytest.raises(ExhaustedError, match=r"10\.8\.0\.0/29 has 5 to give, 5 are held"):
        world.get("late", first, second)


def test_allocate_from_single_addresses_of_a_wide_subnet_gives_what_is_free(
    world: JudgedStore,
) -> None:
    """However far apart its ranges lie, no more than they is looked at."""
    wide = make_pool("10.8.0.0/14", "10.8.0.1", "10.9.0.7-10.9.0.7", "10.10.0.7-10.10.0.7")

    assert fill(world, wide) == ["10.9.0.7", "10.10.0.7"]
    world.free("10.9.0.7", "c0")
    assert world.get("late", wide) == ["10.9.0.7"]


def test_allocate_passes_over_the_hosts_own_addresses(world: JudgedStore) -> None:
    """An address that the host bears is never given."""
    assert world.get("c0", WIDE, taken=("10.9.0.2", "10.9.0.3", "fd00::1")) == ["10.9.0.4"]


def test_allocate_of_dual_stack_gives_one_of_each(world: JudgedStore) -> None:
    """One address per family that the network has a pool of."""
    assert world.get("c0", WIDE, SIX) == ["10.9.0.2", "fd00:9::2"]


def test_allocate_with_two_pools_of_a_family_tries_them_in_order(world: JudgedStore) -> None:
    """The second pool serves when the first is full, and one family gives one address."""
    first = make_pool("10.9.0.0/30", "10.9.0.1")
    second = make_pool("10.9.1.0/30", "10.9.1.1")

    assert [world.get(name, first, second) for name in ("c0", "c1")] == [["10.9.0.2"], ["10.9.1.2"]]
    with pytest.raises(ExhaustedError, match=r"10\.9\.0\.0/30.*10\.9\.1\.0/30"):
        world.get("c2", first, second)


def test_allocate_from_a_full_pool_tells_numbers_and_remedy(world: JudgedStore) -> None:
    """The error names network, pool, how many are held and kept, and what to do."""
    world.reserve("10.9.0.3", "db")
    for name in ("c0", "c1", "c2"):
        world.get(name, SMALL, taken=("10.9.0.6",))

    with pytest.raises(ExhaustedError) as raised:
        world.get("c3", SMALL, taken=("10.9.0.6",))

    assert raised.value.why == (
        "no address is free on lan: 10.9.0.0/29 has 5 to give, 3 are held"
        " and 2 reserved, the host's own or others'"
    )
    assert "wider subnet" in raised.value.hint
    assert world.held == {"10.9.0.2": "c0", "10.9.0.4": "c1", "10.9.0.5": "c2"}


def test_allocate_from_a_single_address_is_refused(world: JudgedStore) -> None:
    """A /32 has no address to give, which the error says."""
    with pytest.raises(RequestError, match="single address"):
        world.get("c0", make_pool("10.9.0.1/32"))
    assert not world.held


def test_allocate_on_a_network_without_pools_gives_nothing(world: JudgedStore) -> None:
    """No pools, no leases, no error."""
    assert world.get("c0") == []


# -- the same holder again -----------------------------------------------------


def test_allocate_again_by_the_same_endpoint_returns_its_leases(world: JudgedStore) -> None:
    """An attach that is repeated gets the same lease, not one more."""
    first = world.store.allocate(NETWORK, (WIDE, SIX), (), make_holder("c0"), "c0")
    world.get("c1", WIDE, SIX)

    again = world.store.allocate(NETWORK, (WIDE, SIX), (), make_holder("c0"), "c0")

    assert again == first
    assert len(world.store.leases(NETWORK)) == 4


def test_allocate_again_by_static_address_returns_the_lease(world: JudgedStore) -> None:
    """What one holds already is no conflict, even when the note of it is lost."""
    world.get("c0", WIDE, wanted=("10.9.0.9",))
    os.unlink(world.path("holders/c0=eth0"))

    assert world.get("c0", WIDE, wanted=("10.9.0.9",)) == ["10.9.0.9"]
    assert not world.judged


def test_allocate_after_half_a_release_completes_the_rest(world: JudgedStore) -> None:
    """Of two leases one is left: it is kept, and the other one is made."""
    world.get("c0", WIDE, SIX)
    world.free("10.9.0.2", "c0")

    assert world.get("c0", WIDE, SIX) == ["10.9.0.3", "fd00:9::2"]


def test_allocate_by_another_interface_gives_another_address(world: JudgedStore) -> None:
    """Two interfaces of one container on one network are two endpoints."""
    assert world.get("c0", WIDE) == ["10.9.0.2"]
    assert world.get("c0", WIDE, ifname="eth1") == ["10.9.0.3"]


@pytest.mark.parametrize("note", [b"junk\n\xff", b"10.9.0.77", b"../../x", b"x," * 2000])
def test_allocate_with_a_junk_note_gives_a_fresh_address(world: JudgedStore, note: bytes) -> None:
    """The note of a holder's addresses is believed only as far as the leases say so."""
    world.get("c0", WIDE)
    os.unlink(world.path("holders/c0=eth0"))
    os.symlink(note, world.path("holders/c0=eth0"))

    assert world.get("c0", WIDE) == ["10.9.0.3"]


def test_allocate_with_a_file_for_a_note_gives_a_fresh_address(world: JudgedStore) -> None:
    """What is no note is replaced by one."""
    world.get("c0", WIDE)
    os.unlink(world.path("holders/c0=eth0"))
    with open(world.path("holders/c0=eth0"), "wb") as file:
        file.write(b"10.9.0.2")

    assert world.get("c0", WIDE) == ["10.9.0.3"]
    assert world.get("c0", WIDE) == ["10.9.0.3"]


def test_allocate_in_a_new_sandbox_inherits_from_the_dead_one(world: JudgedStore) -> None:
    """A container that comes back gets the address of its former life, if that is over."""
    world.get("c0", WIDE)
    world.dead.add("c0")

    assert world.get("c0", WIDE, sandbox="4:2") == ["10.9.0.2"]
    assert [lease.holder.sandbox for lease in world.store.leases(NETWORK)] == ["4:2"]
    assert [event for event, _fields in world.events] == ["lease taken over"]


def test_allocate_in_a_new_sandbox_leaves_the_living_one_alone(world: JudgedStore) -> None:
    """While the former sandbox lives, it keeps its address."""
    world.get("c0", WIDE)

    assert world.get("c0", WIDE, sandbox="4:2") == ["10.9.0.3"]
    assert len(world.judged) == 1


# -- static addresses ------------------------------------------------------------


def test_allocate_static_addresses_gives_them_and_the_missing_family(world: JudgedStore) -> None:
    """Wanted ones first, in their order; then one of each family that is not among them."""
    got = world.get("c0", WIDE, SIX, wanted=("10.9.0.200", "10.9.0.100"))

    assert got == ["10.9.0.200", "10.9.0.100", "fd00:9::2"]


def test_allocate_a_static_address_twice_gives_it_once(world: JudgedStore) -> None:
    """One address is one lease, however often it is asked for."""
    assert world.get("c0", WIDE, wanted=("10.9.0.9", "10.9.0.9")) == ["10.9.0.9"]


def test_allocate_static_outside_the_ranges_is_fine(world: JudgedStore) -> None:
    """Ranges are for automatic addresses."""
    pool = make_pool("10.9.0.0/24", "10.9.0.1", "10.9.0.100-10.9.0.110")

    assert world.get("c0", pool, wanted=("10.9.0.9",)) == ["10.9.0.9"]
    assert world.get("c1", pool) == ["10.9.0.100"]


@pytest.mark.parametrize("address", ["10.9.0.0", "10.9.0.255", "10.9.0.1", "10.8.0.1", "fd00::9"])
def test_allocate_static_that_can_not_be_is_refused(world: JudgedStore, address: str) -> None:
    """Network, broadcast, gateway and foreign addresses are refused; nothing is held after."""
    with pytest.raises(RequestError, match=address):
        world.get("c0", WIDE, wanted=("10.9.0.9", address))
    assert not world.held


def test_allocate_static_of_a_living_holder_names_it(world: JudgedStore) -> None:
    """The error says which container has the address."""
    world.get("c0", WIDE)

    with pytest.raises(ConflictError, match=r"10\.9\.0\.2 is held by c0 \(eth0\)"):
        world.get("c1", WIDE, wanted=("10.9.0.2",))
    assert world.held == {"10.9.0.2": "c0"}


def test_allocate_static_of_a_dead_holder_takes_it_over(world: JudgedStore) -> None:
    """Nobody needs it any more, so it changes hands, which is reported."""
    world.get("c0", WIDE)
    world.dead.add("c0")

    assert world.get("c1", WIDE, wanted=("10.9.0.2",)) == ["10.9.0.2"]
    assert world.held == {"10.9.0.2": "c1"}
    assert world.events == [("lease taken over", {
        "network": NETWORK, "address": "10.9.0.2", "container": "c1", "former": "c0",
    })]  # fmt: skip


def test_allocate_static_of_the_host_is_refused(world: JudgedStore) -> None:
    """The host's own address is a conflict."""
    with pytest.raises(ConflictError, match="host's own"):
        world.get("c0", WIDE, wanted=("10.9.0.7",), taken=("10.9.0.7",))


def test_allocate_in_a_new_life_leaves_an_address_that_is_anothers_by_now(
    world: JudgedStore,
) -> None:
    """What a container had before its death may have been given out by somebody else since."""
    assert world.get("c0", WIDE) == ["10.9.0.2"]
    world.dead.add("c0")

    assert world.get("c0", WIDE, sandbox="4:2", taken=("10.9.0.2",)) == ["10.9.0.3"]


def test_allocate_is_all_or_nothing(world: JudgedStore) -> None:
    """One address that can't be had leaves none of the others held."""
    world.get("c0", WIDE, wanted=("10.9.0.9",))

    with pytest.raises(ConflictError):
        world.get("c1", WIDE, SIX, wanted=("10.9.0.8", "10.9.0.9"))

    assert world.held == {"10.9.0.9": "c0"}
    assert not os.path.exists(world.path("holders/c1=eth0"))


def test_allocate_with_one_family_exhausted_holds_nothing(world: JudgedStore) -> None:
    """A full IPv6 pool gives no IPv4 address either."""
    full = make_pool("fd00::/126", "fd00::1", "fd00::2-fd00::2")
    world.get("c0", WIDE, full)

    with pytest.raises(ExhaustedError):
        world.get("c1", WIDE, full)
    assert set(world.held.values()) == {"c0"}


# -- the dead ------------------------------------------------------------------


def test_allocate_from_a_full_pool_takes_over_from_the_dead(world: JudgedStore) -> None:
    """When nothing is free, the first holder that no longer lives gives way."""
    fill(world, SMALL)
    world.judged.clear()
    world.dead.add("c3")

    assert world.get("late", SMALL) == ["10.9.0.5"]
    assert world.held["10.9.0.5"] == "late"
    with pytest.raises(ExhaustedError):
        world.get("later", SMALL)


def test_allocate_with_room_judges_nobody(world: JudgedStore) -> None:
    """Lives are looked at only under pressure: it costs time."""
    world.get("c0", WIDE)
    world.dead.add("c0")

    assert world.get("c1", WIDE) == ["10.9.0.3"]
    assert not world.judged


def test_allocate_under_pressure_begins_with_the_oldest(world: JudgedStore) -> None:
    """Holders are judged in the order in which their addresses were given."""
    fill(world, SMALL)
    world.judged.clear()

    with pytest.raises(ExhaustedError):
        world.get("late", SMALL)
    assert [str(lease.address) for lease in world.judged] == SMALL_ALL


def test_allocate_under_pressure_looks_no_further_than_the_first_dead_one(
    world: JudgedStore,
) -> None:
    """One address is enough: the other holders are not asked after."""
    fill(world, SMALL)
    world.judged.clear()
    world.dead.update(("c1", "c3"))

    assert world.get("late", SMALL) == ["10.9.0.3"]
    assert [str(lease.address) for lease in world.judged] == ["10.9.0.2", "10.9.0.3"]


def test_allocate_judges_without_the_lock(world: JudgedStore) -> None:
    """Whoever looks at a holder may take its time: others allocate meanwhile."""
    world.get("c0", WIDE)
    tried = []

    def allocate_too(_lease: Lease) -> None:
        tried.append(JudgedStore(world.root).get("other", WIDE))

    world.before_verdict = allocate_too
    with pytest.raises(ConflictError):
        world.get("c1", WIDE, wanted=("10.9.0.2",))
    assert tried == [["10.9.0.3"]]


def test_allocate_of_a_lease_that_changed_hands_meanwhile_judges_again(world: JudgedStore) -> None:
    """What was judged dead is taken only if it is still the same lease."""
    world.get("c0", WIDE)
    world.dead.add("c0")

    def change_hands(lease: Lease) -> None:
        if lease.holder.container == "c0":
            world.free("10.9.0.2", "c0")
            world.get("alive", WIDE, wanted=("10.9.0.2",))

    world.before_verdict = change_hands
    with pytest.raises(ConflictError, match="alive"):
        world.get("c1", WIDE, wanted=("10.9.0.2",))
    assert world.held == {"10.9.0.2": "alive"}


def test_allocate_of_a_lease_that_a_dead_one_got_meanwhile_takes_it_over(
    world: JudgedStore,
) -> None:
    """What was judged to live counts for that lease alone."""
    world.get("c0", WIDE)
    world.dead.add("gone")

    def change_hands(lease: Lease) -> None:
        if lease.holder.container == "c0":
            world.free("10.9.0.2", "c0")
            world.get("gone", WIDE, wanted=("10.9.0.2",))

    world.before_verdict = change_hands
    assert world.get("c1", WIDE, wanted=("10.9.0.2",)) == ["10.9.0.2"]
    assert world.held == {"10.9.0.2": "c1"}


def test_allocate_in_a_new_life_leaves_what_another_new_life_has_by_now(world: JudgedStore) -> None:
    """Two sandboxes of one id come up at once: the lease of the dead one is one of theirs."""
    world.get("c0", WIDE)
    world.dead.add("c0")

    def come_back_too(lease: Lease) -> None:
        if lease.holder.sandbox == "4:1":
            world.free("10.9.0.2", "c0")
            world.get("c0", WIDE, wanted=("10.9.0.2",), sandbox="4:3")
        else:
            world.dead.clear()

    world.before_verdict = come_back_too
    assert world.get("c0", WIDE, sandbox="4:2") == ["10.9.0.3"]
    assert [lease.holder.sandbox for lease in world.store.leases(NETWORK)] == ["4:3", "4:2"]


def test_allocate_from_a_full_pool_leaves_what_changed_hands_meanwhile(world: JudgedStore) -> None:
    """Between the verdict and the lock, someone else took the dead one's address."""
    fill(world, SMALL)
    world.dead.add("c1")

    def change_hands(lease: Lease) -> None:
        if lease.holder.container == "c1":
            world.free("10.9.0.3", "c1")
            world.get("alive", SMALL, wanted=("10.9.0.3",))

    world.before_verdict = change_hands
    with pytest.raises(ExhaustedError):
        world.get("late", SMALL)
    assert world.held["10.9.0.3"] == "alive"


def test_allocate_never_inherits_what_is_reserved_by_now(world: JudgedStore) -> None:
    """One's own former address was promised to another name since: it is not taken."""
    fill(world, SMALL)
    world.dead.add("c1")
    world.reserve("10.9.0.3", "db")

    with pytest.raises(ExhaustedError):
        world.get("c1", SMALL, sandbox="4:2")
    assert world.get("new", SMALL, name="db") == ["10.9.0.3"]


def test_allocate_of_an_address_freed_meanwhile_gets_it(world: JudgedStore) -> None:
    """A holder that lets go while it is judged is out of the way."""
    fill(world, SMALL)

    def let_go(_lease: Lease) -> None:
        world.free("10.9.0.4", "c2")

    world.before_verdict = let_go

    assert world.get("late", SMALL) == ["10.9.0.4"]


def test_allocate_never_takes_a_dead_holders_reserved_address(world: JudgedStore) -> None:
    """A full pool's dead holder on an address kept for another name is of no use."""
    fill(world, SMALL)
    world.dead.add("c1")
    world.reserve("10.9.0.3", "db")

    with pytest.raises(ExhaustedError):
        world.get("late", SMALL)
    assert world.get("new", SMALL, name="db") == ["10.9.0.3"]


def test_allocate_past_the_deadline_stops_judging(tmp_path: Path) -> None:
    """A full pool of thousands can't hold a container up for ever."""
    fill(JudgedStore(tmp_path), SMALL)
    late = JudgedStore(tmp_path)
    late.before_verdict = lambda _lease: _run_out(late.deadline)

    with pytest.raises(BusyError, match=r"cannot get an address on lan: it took longer"):
        late.get("late", SMALL)
    assert len(late.judged) == 1


def _run_out(deadline: Deadline) -> None:
    """Let its time be over: a short one could be over before anybody is judged."""
    deadline._end = 0.0


# -- release -------------------------------------------------------------------


def test_release_frees_and_says_so(world: JudgedStore) -> None:
    """True once; after that there is nothing to free."""
    world.get("c0", WIDE)

    assert world.free("10.9.0.2", "c0") is True
    assert world.free("10.9.0.2", "c0") is False
    assert os.listdir(world.path("holders")) == []


def test_release_of_anothers_lease_changes_nothing(world: JudgedStore) -> None:
    """A late detach never takes what someone else has by now."""
    world.get("c0", WIDE)

    assert world.free("10.9.0.2", "c1") is False
    assert world.held == {"10.9.0.2": "c0"}


def test_release_on_an_unknown_network_makes_nothing(world: JudgedStore) -> None:
    """Not there is success, and leaves no directory behind."""
    assert world.free("10.9.0.2", "c0") is False
    assert not os.path.exists(f"{world.root}/run")


def test_give_back_makes_the_address_the_next_again(world: JudgedStore) -> None:
    """What nobody has used needs no rest."""
    holder = make_holder("c0")
    leases = world.store.allocate(NETWORK, (WIDE,), (), holder, "c0")

    world.store.give_back(NETWORK, (WIDE,), leases)

    assert world.get("c1", WIDE) == ["10.9.0.2"]


def test_give_back_of_the_first_of_a_pair_makes_it_the_next_again(world: JudgedStore) -> None:
    """No address lies before it: then nothing was given last."""
    pair = make_pool("10.9.0.8/31")
    leases = world.store.allocate(NETWORK, (pair,), (), make_holder("c0"), "c0")

    world.store.give_back(NETWORK, (pair,), leases)

    with open(world.path("lock"), encoding="ascii") as lock:
        assert lock.readline() == "\n"
    assert world.get("c1", pair) == ["10.9.0.8"]


# -- looking -------------------------------------------------------------------


def test_leases_are_sorted_by_number(world: JudgedStore) -> None:
    """IPv4 before IPv6, .9 before .10."""
    for number, address in enumerate(["10.9.0.10", "10.9.0.9", "fd00:9::9"]):
        world.get(f"c{number}", WIDE, SIX, wanted=(address,))
    found = [str(lease.address) for lease in world.store.leases(NETWORK)]

    assert found == ["10.9.0.2", "10.9.0.9", "10.9.0.10", "fd00:9::2", "fd00:9::3", "fd00:9::9"]


def test_lease_of_one_address_is_found(world: JudgedStore) -> None:
    """One file is read; None for what is free."""
    world.get("c0", WIDE)

    found = world.store.lease(NETWORK, Address.parse("10.9.0.2"))
    assert found is not None
    assert found.holder == make_holder("c0")
    assert world.store.lease(NETWORK, Address.parse("10.9.0.3")) is None
    assert world.store.lease("other", Address.parse("10.9.0.3")) is None


def test_usage_counts_each_pool(world: JudgedStore) -> None:
    """Size, what may be given, what is held, what is kept."""
    world.get("c0", SMALL, SIX, wanted=("10.9.0.3",))
    world.reserve("10.9.0.4", "db")
    world.reserve("fd00:9::4", "db")

    four, six = world.store.usage(NETWORK, (SMALL, SIX))

    assert (four.size, four.allocatable, four.held, four.reserved) == (8, 5, 1, 1)
    assert (six.size, six.allocatable, six.held, six.reserved) == (1 << 64, (1 << 64) - 2, 1, 1)
    assert world.store.usage("other", (SMALL,))[0].held == 0


def test_networks_are_those_that_hold_something(world: JudgedStore) -> None:
    """A network whose last lease is gone is not listed, nor is a stray file."""
    world.get("c0", WIDE)
    with open(f"{world.paths.run}/ipam/stray", "w", encoding="ascii"):
        pass
    os.mkdir(f"{world.paths.run}/ipam/No-Network")

    assert world.store.networks() == (NETWORK,)
    world.free("10.9.0.2", "c0")
    assert world.store.networks() == ()


def test_remove_network_leaves_nothing_but_the_lock(world: JudgedStore) -> None:
    """All leases, notes and what was set aside go; the lock must stay the same file."""
    world.get("c0", WIDE)
    world.get("c1", WIDE)
    with open(world.path("10.9.0.77"), "w", encoding="ascii") as file:
        file.write("junk")
    world.store.quarantined(NETWORK)
    before = os.stat(world.path("lock")).st_ino

    world.store.remove_network(NETWORK)

    assert os.listdir(world.path("")) == ["lock"]
    assert os.stat(world.path("lock")).st_ino == before
    assert world.store.networks() == ()
    assert world.get("c9", WIDE) == ["10.9.0.2"]
    world.store.remove_network("other")


def test_sweep_removes_what_killed_writers_left(world: JudgedStore) -> None:
    """Temporary files of the dead and notes on no lease go; what counts stays."""
    world.get("c0", WIDE)
    for path in (".tmp-999999999-1-1", "holders/gone=eth0"):
        os.symlink("10.9.0.2", world.path(path))

    assert world.store.sweep(NETWORK) == 2
    assert os.listdir(world.path("holders")) == ["c0=eth0"]
    assert world.held == {"10.9.0.2": "c0"}
    assert world.store.sweep("other") == 0


# -- locks, names and disks ------------------------------------------------------


def test_allocate_while_another_holds_the_lock_names_the_holder(tmp_path: Path) -> None:
    """Past the deadline the error names the process, and nothing is made."""
    JudgedStore(tmp_path).get("c0", WIDE)
    late = JudgedStore(tmp_path, deadline_s=0.2)
    named = pytest.raises(BusyError, match=rf"network lan: process {os.getpid()} \(")
    with Lock(late.path("lock"), "network lan", None), named:
        late.get("c1", WIDE)
    assert late.held == {"10.9.0.2": "c0"}


@pytest.mark.parametrize(
    ("container", "ifname", "name"),
    [("../../etc", "eth0", "x"), ("c0", "a/b", "x"), ("c0", "eth0", "a=b/c")],
)
def test_allocate_with_a_name_that_is_no_file_name_is_refused(
    world: JudgedStore, container: str, ifname: str, name: str
) -> None:
    """Names become parts of paths, so they are checked first."""
    with pytest.raises(RequestError):
        world.get(container, WIDE, ifname=ifname, name=name)
    assert not os.path.exists(f"{world.paths.run}/ipam/{NETWORK}")


@pytest.mark.parametrize("network", ["..", "a/b", "", "Lan"])
def test_any_act_on_an_illegal_network_is_refused(world: JudgedStore, network: str) -> None:
    """No act follows a name out of its directory."""
    address = Address.parse("10.9.0.2")
    for act in (
        lambda: world.store.allocate(network, (WIDE,), (), make_holder("c0"), "c0"),
        lambda: world.store.release(network, address, "c0"),
        lambda: world.store.leases(network),
        lambda: world.store.remove_network(network),
        lambda: world.reservations.names(network),
        lambda: world.reservations.remove_network(network),
    ):
        with pytest.raises(RequestError):
            act()


def test_allocate_that_can_not_write_leaves_nothing(world: JudgedStore) -> None:
    """A write that fails is one clear error, and the address is free."""
    world.get("c0", WIDE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(SystemFailure, match=r"cannot write in .*: File too large"):
            world.get("c1", WIDE, SIX)
        assert world.free("10.9.0.2", "c0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert world.store.networks() == ()
    assert os.listdir(world.path("holders")) == []


def test_allocate_that_fails_at_the_second_file_takes_the_first_back(
    world: JudgedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two leases that can't both be written, none is there after."""
    world.get("c0", WIDE)
    made = fill_disk(monkeypatch, leases=1)
    with pytest.raises(SystemFailure, match="No space left"):
        world.get("c1", WIDE, SIX)

    assert made == ["10.9.0.3"]
    assert world.held == {"10.9.0.2": "c0"}
    assert os.listdir(world.path("holders")) == ["c0=eth0"]


def test_allocate_in_anothers_directory_is_refused(world: JudgedStore) -> None:
    """A directory that others may write to is not trusted."""
    world.get("c0", WIDE)
    os.chmod(world.path(""), 0o777)  # noqa: S103  what is tested

    with pytest.raises(SystemFailure, match="others may write"):
        world.get("c1", WIDE)


# -- leases that are made anew -------------------------------------------------------


class Interrupted(tuple[Lease, ...]):
    """Leases of those who live, during whose making anew something happens."""

    happens: Callable[[], object]

    def __iter__(self) -> Iterator[Lease]:
        """Return them, the first time that they are asked for only once it has happened."""
        self.happens()
        return super().__iter__()


def lost(happens: Callable[[], object]) -> Interrupted:
    """Return the lease of a container that lives."""
    leases = Interrupted((Lease(NETWORK, Address.parse("10.9.0.2"), make_holder("web"), "now"),))
    leases.happens = happens
    return leases


def test_leases_whose_making_anew_was_killed_are_swept_and_made(tmp_path: Path) -> None:
    """What was half made has the name of a writer that is gone, and no network's."""
    pid = os.fork()
    if not pid:
        JudgedStore(tmp_path, lost=lost(lambda: os.kill(os.getpid(), 9))).store.sweep(NETWORK)
    os.waitpid(pid, 0)
    [left] = os.listdir(tmp_path / "run/ipam")
    assert left.startswith(f".tmp-{pid}-")
    world = JudgedStore(tmp_path, lost=lost(lambda: None))
    assert world.store.networks() == ()

    assert LeftFiles(world.paths).sweep() == 1

    assert os.listdir(tmp_path / "run/ipam") == []
    world.store.sweep(NETWORK)
    assert [str(lease.address) for lease in world.store.leases(NETWORK)] == ["10.9.0.2"]


def test_leases_that_can_not_be_made_anew_refuse_the_address_of_who_lives(tmp_path: Path) -> None:
    """A network whose directory were made empty would give it to the next one."""

    def no_room() -> None:
        raise OSError(ENOSPC, "No space left on device")

    world = JudgedStore(tmp_path, lost=lost(no_room))
    with pytest.raises(SystemFailure, match=r"cannot make .*/ipam/.* anew: No space left"):
        world.get("new", WIDE)
    assert os.listdir(tmp_path / "run/ipam") == []


def test_leases_that_somebody_else_made_anew_first_are_those_that_count(tmp_path: Path) -> None:
    """Of what one made himself nothing is left."""
    first = JudgedStore(tmp_path, lost=lost(lambda: None)).store
    second = JudgedStore(tmp_path, lost=lost(lambda: first.sweep(NETWORK))).store
    second.sweep(NETWORK)
    assert os.listdir(tmp_path / "run/ipam") == [NETWORK]
    assert [str(lease.address) for lease in second.leases(NETWORK)] == ["10.9.0.2"]

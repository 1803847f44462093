"""Reservations: kept for a name, over restarts and reboots."""

from __future__ import annotations

import os
import posix
import shutil
from typing import TYPE_CHECKING

import pytest

from builders import NETWORK, make_pool
from fakes.judged_store import JudgedStore
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, ExhaustedError, RequestError
from ocinet.ipam.reservation import Reservation

if TYPE_CHECKING:
    from pathlib import Path

POOL = make_pool("10.9.0.0/29", "10.9.0.1")
SIX = make_pool("fd00:9::/64", "fd00:9::1")


@pytest.fixture
def world(tmp_path: Path) -> JudgedStore:
    """Return a store of our own."""
    return JudgedStore(tmp_path)


def kept(world: JudgedStore) -> list[tuple[str, str]]:
    """Return what is reserved, by address."""
    return [
        (str(reservation.address), reservation.name)
        for reservation in world.reservations.all(NETWORK)
    ]


def test_add_then_read_returns_the_same(world: JudgedStore) -> None:
    """A reservation comes back whole, from a file that its name explains."""
    wanted = Reservation(NETWORK, "db", Address.parse("10.9.0.5"), "02:00:00:00:00:05", "now")

    assert world.reservations.add(wanted) is True
    assert world.reservations.add(wanted) is False
    assert world.reservations.all(NETWORK) == (wanted,)
    assert os.listdir(f"{world.paths.state}/reservations/{NETWORK}") == ["10.9.0.5=db"]
    assert world.reservations.networks() == (NETWORK,)


def test_add_and_remove_are_on_disk_when_they_return(
    world: JudgedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and its directory are synced: a power cut takes nothing back."""
    synced: list[str] = []
    monkeypatch.setattr(
        posix, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    )
    directory = f"{world.paths.state}/reservations/{NETWORK}"

    world.reserve("10.9.0.5", "db")
    assert synced[-1] == directory
    assert synced[-2].startswith(f"{directory}/.tmp-")
    assert os.path.dirname(directory) in synced  # it was made just now
    synced.clear()
    world.reservations.remove(NETWORK, "db")
    assert synced == [directory]


@pytest.mark.parametrize(
    ("address", "name", "mac", "why"),
    [
        ("10.9.0.5", "web", "", "10.9.0.5 is reserved for db"),
        ("10.9.0.6", "db", "", "db has 10.9.0.5 reserved already"),
        ("10.9.0.6", "web", "02:00:00:00:00:05", "the MAC 02:00:00:00:00:05 is reserved for db"),
    ],
)
def test_add_what_another_has_is_refused(
    world: JudgedStore, address: str, name: str, mac: str, why: str
) -> None:
    """An address and a MAC have one name, a name one address of a family."""
    world.reserve("10.9.0.5", "db", "02:00:00:00:00:05")

    with pytest.raises(ConflictError, match=why):
        world.reserve(address, name, mac)
    assert kept(world) == [("10.9.0.5", "db")]


def test_add_of_both_families_keeps_both(world: JudgedStore) -> None:
    """A name may have one address of each family, IPv4 first, with one MAC."""
    world.reserve("fd00:9::5", "db", "02:00:00:00:00:05")
    world.reserve("10.9.0.5", "db", "02:00:00:00:00:05")
    world.reserve("10.9.0.6", "web")

    assert kept(world) == [("10.9.0.5", "db"), ("10.9.0.6", "web"), ("fd00:9::5", "db")]
    assert [str(reservation.address) for reservation in world.reservations.of(NETWORK, "db")] == [
        "10.9.0.5",
        "fd00:9::5",
    ]
    assert world.store.reserved_mac(NETWORK, "db") == "02:00:00:00:00:05"
    assert world.store.reserved_mac(NETWORK, "web") == ""
    assert world.store.reserved_mac("other", "web") == ""


def test_remove_forgets_every_address_of_the_name(world: JudgedStore) -> None:
    """What was kept is returned; a second time there is nothing."""
    world.reserve("10.9.0.5", "db")
    world.reserve("fd00:9::5", "db")
    world.reserve("10.9.0.6", "web")

    gone = world.reservations.remove(NETWORK, "db")

    assert [str(reservation.address) for reservation in gone] == ["10.9.0.5", "fd00:9::5"]
    assert world.reservations.remove(NETWORK, "db") == ()
    assert kept(world) == [("10.9.0.6", "web")]


def test_remove_network_forgets_all_of_it(world: JudgedStore) -> None:
    """With the network its reservations go, and their directory; others stay."""
    world.reserve("10.9.0.5", "db")
    world.reservations.add(Reservation("other", "db", Address.parse("10.8.0.5")))

    world.reservations.remove_network(NETWORK)
    world.reservations.remove_network(NETWORK)

    assert world.reservations.networks() == ("other",)
    assert not os.path.exists(f"{world.paths.state}/reservations/{NETWORK}")


def test_reading_makes_no_directory(world: JudgedStore) -> None:
    """A host without reservations has no trace of them."""
    assert world.reservations.all(NETWORK) == ()
    assert world.reservations.names(NETWORK) == {}
    assert world.reservations.networks() == ()
    assert not os.path.exists(world.paths.state)


def test_read_of_a_damaged_file_still_keeps_the_address(world: JudgedStore) -> None:
    """The name says what is kept for whom; a damaged content loses no more than the MAC."""
    world.reserve("10.9.0.5", "db", "02:00:00:00:00:05")
    path = f"{world.paths.state}/reservations/{NETWORK}"
    for content in (b"", b"[]", b"\xff", b'{"mac": 1}'):
        with open(f"{path}/10.9.0.5=db", "wb") as file:
            file.write(content)
        assert kept(world) == [("10.9.0.5", "db")]
        assert world.store.reserved_mac(NETWORK, "db") == ""
    with open(f"{path}/stray", "wb"), open(f"{path}/nothing=else", "wb"):
        assert kept(world) == [("10.9.0.5", "db")]


@pytest.mark.parametrize("file", ["nothing=db", "10.9.0.06=db", "fd00:0::6=db", "=db", "10.9.0.6"])
def test_read_of_a_file_with_no_address_of_ours_keeps_nothing(
    world: JudgedStore, file: str
) -> None:
    """What is spelled otherwise was not written by us: it is not shown, and takes nothing."""
    world.reserve("10.9.0.5", "db")
    with open(f"{world.paths.state}/reservations/{NETWORK}/{file}", "wb"):
        pass

    assert world.reservations.names(NETWORK) == {"10.9.0.5": "db"}
    assert kept(world) == [("10.9.0.5", "db")]


def test_read_of_a_file_under_another_name_believes_the_name(world: JudgedStore) -> None:
    """As after a copy by hand: the name is what allocation goes by."""
    world.reserve("10.9.0.5", "db", "02:00:00:00:00:05")
    path = f"{world.paths.state}/reservations/{NETWORK}"
    os.rename(f"{path}/10.9.0.5=db", f"{path}/10.9.0.6=web")

    assert kept(world) == [("10.9.0.6", "web")]
    assert world.store.reserved_mac(NETWORK, "web") == "02:00:00:00:00:05"


@pytest.mark.parametrize(("network", "name"), [("../x", "db"), (NETWORK, "../db"), (NETWORK, "")])
def test_add_with_a_name_that_is_no_file_name_is_refused(
    world: JudgedStore, network: str, name: str
) -> None:
    """Names become parts of paths, so they are checked first."""
    with pytest.raises(RequestError):
        world.reservations.add(Reservation(network, name, Address.parse("10.9.0.5")))
    assert not os.path.exists(world.paths.state)


# -- allocating around them --------------------------------------------------------


def test_allocate_for_the_name_gives_the_reserved_address(world: JudgedStore) -> None:
    """Whatever its id, the container of that name gets it; others pass over it."""
    world.reserve("10.9.0.2", "db")

    assert world.get("c0", POOL, name="web") == ["10.9.0.3"]
    assert world.get("c1", POOL, name="db") == ["10.9.0.2"]
    world.free("10.9.0.2", "c1")
    assert world.get("c2", POOL, name="db") == ["10.9.0.2"]


def test_allocate_for_the_name_survives_a_reboot(world: JudgedStore) -> None:
    """Leases go with /run, reservations stay."""
    world.reserve("10.9.0.5", "db")
    world.get("c0", POOL, name="db")
    shutil.rmtree(world.paths.run)

    assert world.get("c1", POOL, name="db") == ["10.9.0.5"]


def test_allocate_for_the_name_in_each_family(world: JudgedStore) -> None:
    """One reserved, the other next in turn."""
    world.reserve("fd00:9::aa", "db")

    assert world.get("c0", POOL, SIX, name="db") == ["10.9.0.2", "fd00:9::aa"]


def test_allocate_by_others_from_a_full_pool_never_takes_it(world: JudgedStore) -> None:
    """Even the last free address is not given to another name."""
    world.reserve("10.9.0.4", "db")
    for number in range(4):
        world.get(f"c{number}", POOL)

    with pytest.raises(ExhaustedError):
        world.get("late", POOL)
    assert world.get("c9", POOL, name="db") == ["10.9.0.4"]


def test_allocate_static_reserved_for_another_names_it(world: JudgedStore) -> None:
    """Asking for it by number does not help, unless one bears the name."""
    world.reserve("10.9.0.4", "db")

    with pytest.raises(ConflictError, match=r"10\.9\.0\.4 is reserved for db"):
        world.get("c0", POOL, wanted=("10.9.0.4",))
    assert world.get("c0", POOL, wanted=("10.9.0.4",), name="db") == ["10.9.0.4"]


def test_allocate_for_the_name_takes_over_from_its_dead_namesake(world: JudgedStore) -> None:
    """The container that had it died without a word: the next of that name gets it."""
    world.reserve("10.9.0.4", "db")
    world.get("c0", POOL, name="db")
    world.dead.add("c0")

    assert world.get("c1", POOL, name="db") == ["10.9.0.4"]


def test_allocate_for_the_name_from_a_living_holder_is_refused(world: JudgedStore) -> None:
    """Two at once can't have it, and the error says who has."""
    world.reserve("10.9.0.4", "db")
    world.get("c0", POOL, name="db")

    with pytest.raises(ConflictError, match="held by c0"):
        world.get("c1", POOL, name="db")


def test_allocate_for_a_second_interface_gives_another_address(world: JudgedStore) -> None:
    """The first interface has the reserved address; the second one is no conflict."""
    world.reserve("10.9.0.4", "db")

    assert world.get("c0", POOL, name="db") == ["10.9.0.4"]
    assert world.get("c0", POOL, name="db", ifname="eth1") == ["10.9.0.2"]


def test_allocate_with_a_static_address_leaves_the_reserved_one(world: JudgedStore) -> None:
    """What is asked for by number is not overruled."""
    world.reserve("10.9.0.4", "db")

    assert world.get("c0", POOL, name="db", wanted=("10.9.0.5",)) == ["10.9.0.5"]


def test_allocate_with_a_reservation_outside_the_pools_ignores_it(world: JudgedStore) -> None:
    """A network that was made anew with another subnet still gives addresses."""
    world.reserve("10.7.0.4", "db")

    assert world.get("c0", POOL, name="db") == ["10.9.0.2"]

"""Which addresses may be given out, and in which order."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_pool
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError, RequestError
from ocinet.ipam.pool import allocatable, bounds, check_static, gateways, next_fit


@pytest.mark.parametrize(
    ("subnet", "first", "last"),
    [
        ("10.9.0.0/24", "10.9.0.1", "10.9.0.254"),
        ("10.9.0.0/16", "10.9.0.1", "10.9.255.254"),
        ("10.9.0.8/29", "10.9.0.9", "10.9.0.14"),
        ("10.9.0.8/30", "10.9.0.9", "10.9.0.10"),
        ("10.9.0.8/31", "10.9.0.8", "10.9.0.9"),
        ("255.255.255.0/24", "255.255.255.1", "255.255.255.254"),
        ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff"),
        ("fd00::/126", "fd00::1", "fd00::3"),
        ("fd00::2/127", "fd00::2", "fd00::3"),
    ],
)
def test_bounds_of_each_kind_of_subnet(subnet: str, first: str, last: str) -> None:
    """IPv4 loses two addresses, IPv6 the anycast one, a pair of addresses none."""
    low, high = bounds(Subnet.parse(subnet))

    assert (low, high) == (Address.parse(first).value, Address.parse(last).value)


@pytest.mark.parametrize(("subnet", "wider"), [("10.9.0.1/32", "/31"), ("fd00::1/128", "/127")])
def test_bounds_of_a_single_address_are_refused(subnet: str, wider: str) -> None:
    """A single address has none to give; the error says what would do."""
    with pytest.raises(RequestError, match=wider):
        bounds(Subnet.parse(subnet))


def _texts(values: list[int]) -> list[str]:
    return [str(Address(4, value)) for value in values]


@pytest.mark.parametrize(
    ("ranges", "last", "order"),
    [
        ((), None, "1 2 3 4 5 6"),
        ((), "10.9.0.1", "2 3 4 5 6 1"),
        ((), "10.9.0.5", "6 1 2 3 4 5"),
        ((), "10.9.0.6", "1 2 3 4 5 6"),
        ((), "10.9.0.7", "1 2 3 4 5 6"),  # not among them: from the start
        (("10.9.0.4-10.9.0.5",), None, "4 5"),
        (("10.9.0.4-10.9.0.5", "10.9.0.1-10.9.0.2"), None, "4 5 1 2"),
        (("10.9.0.4-10.9.0.5", "10.9.0.1-10.9.0.2"), "10.9.0.5", "1 2 4 5"),
        (("10.9.0.4-10.9.0.5", "10.9.0.1-10.9.0.2"), "10.9.0.1", "2 4 5 1"),
        (("10.9.0.0-10.9.0.2",), None, "1 2"),  # cut to what may be used
        (("10.9.0.6-10.9.0.200",), None, "6"),
        (("10.9.1.0-10.9.1.9",), None, ""),
    ],
)
def test_next_fit_goes_round_in_order(
    ranges: tuple[str, ...], last: str | None, order: str
) -> None:
    """It begins behind the last one, goes through the ranges in turn, and wraps around."""
    pool = make_pool("10.9.0.0/29", "", *ranges)

    found = next_fit(pool, Address.parse(last) if last else None)

    assert _texts(list(found)) == [f"10.9.0.{number}" for number in order.split()]


def test_next_fit_of_a_huge_pool_lists_nothing() -> None:
    """Of 2**64 addresses only those are made that are asked for."""
    pool = make_pool("fd00::/64", "fd00::1")

    found = list(islice(next_fit(pool, Address.parse("fd00::ffff")), 2))

    assert [str(Address(6, value)) for value in found] == ["fd00::1:0", "fd00::1:1"]


@given(st.integers(0, 300), st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255))))
def test_next_fit_yields_what_allocatable_counts(last: int, ends: list[tuple[int, int]]) -> None:
    """Whatever the ranges and the last one, each address comes, and none outside of them."""
    ranges = [f"10.9.0.{min(pair)}-10.9.0.{max(pair)}" for pair in ends]
    pool = make_pool("10.9.0.0/24", "10.9.0.1", *ranges)
    first = Address.parse("10.9.0.0").value

    found = set(next_fit(pool, Address(4, first + last)))
    given_out = found - gateways((pool,), 4)

    assert len(given_out) == allocatable(pool, gateways((pool,), 4))
    wanted = {n for low, high in ends for n in range(min(low, high), max(low, high) + 1)}
    expected = (wanted if ends else set(range(256))) - {0, 255}
    assert {value - first for value in found} == expected


def test_allocatable_of_overlapping_ranges_counts_each_address_once() -> None:
    """Two ranges that share addresses do not make them more."""
    pool = make_pool("10.9.0.0/24", "", "10.9.0.10-10.9.0.20", "10.9.0.15-10.9.0.30")

    assert allocatable(pool, {Address.parse("10.9.0.15").value, 1}) == 20


POOLS = (make_pool("10.9.0.0/24", "10.9.0.1", "10.9.0.100-10.9.0.110"), make_pool("fd00::/64"))


@pytest.mark.parametrize("address", ["10.9.0.2", "10.9.0.105", "fd00::ffff"])
def test_check_static_in_the_subnet_is_fine(address: str) -> None:
    """A static address need not lie in a range."""
    check_static(POOLS, Address.parse(address))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.9.0.0", "the network address of 10.9.0.0/24"),
        ("10.9.0.255", "the broadcast address of 10.9.0.0/24"),
        ("fd00::", "the subnet-router anycast address of fd00::/64"),
        ("10.9.1.5", "not in 10.9.0.0/24, fd00::/64"),
        ("fd01::5", "not in 10.9.0.0/24, fd00::/64"),
    ],
)
def test_check_static_that_can_not_be_names_the_reason(address: str, why: str) -> None:
    """No container may bear it, and the error says why."""
    with pytest.raises(RequestError, match=why):
        check_static(POOLS, Address.parse(address))


def test_check_static_gateway_is_a_conflict() -> None:
    """The gateway's address is held, by the gateway."""
    with pytest.raises(ConflictError, match=r"10\.9\.0\.1 is the network's gateway"):
        check_static(POOLS, Address.parse("10.9.0.1"))


def test_check_static_without_any_pool_says_so() -> None:
    """A network without pools has no addresses to ask for."""
    with pytest.raises(RequestError, match="there is none"):
        check_static((), Address.parse("10.9.0.1"))

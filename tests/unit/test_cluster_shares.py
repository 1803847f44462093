"""Which part of a pool is free, and which keys stand for a part of it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ExhaustedError, RequestError
from ocinet.cluster import keys
from ocinet.cluster.model import Cluster, Pool
from ocinet.cluster.shares import choose, free

_FOUR = Pool(Subnet.parse("10.42.0.0/24"), 26)
_SIX = Pool(Subnet.parse("fd42::/60"), 64)


def _parts(pool: Subnet) -> st.SearchStrategy[Subnet]:
    """Return prefixes within a /24 or a /60."""
    bits = 32 if pool.family == 4 else 128

    def cut(wish: tuple[int, int]) -> Subnet:
        length, at = wish
        shift = bits - length
        value = pool.value + (at % (1 << (length - pool.prefixlen)) << shift)
        return Subnet(pool.family, value, length)

    lengths = st.integers(pool.prefixlen, pool.prefixlen + 6)
    return st.tuples(lengths, st.integers(0, 63)).map(cut)


@pytest.mark.parametrize("pool", [_FOUR, _SIX], ids=["IPv4", "IPv6"])
@given(data=st.data(), bits=st.integers(0, 6))
def test_free_shares_are_all_that_overlap_nothing_taken(
    pool: Pool, data: st.DataObject, bits: int
) -> None:
    """By a library that knows nothing of ours."""
    taken = data.draw(st.lists(_parts(pool.prefix), max_size=8))
    length = pool.prefix.prefixlen + bits
    known = [ip_network(str(share)) for share in taken]
    wanted = [
        str(part)
        for part in ip_network(str(pool.prefix)).subnets(new_prefix=length)
        if not any(part.overlaps(other) for other in known)
    ]
    assert [str(share) for share in free(pool, length, taken)] == wanted


@pytest.mark.parametrize("pool", [_FOUR.prefix, _SIX.prefix], ids=["IPv4", "IPv6"])
@given(data=st.data())
def test_keys_compared_for_a_share_are_just_those_that_overlap_it(
    pool: Subnet, data: st.DataObject
) -> None:
    """One range and a few keys: no transaction may pass over another size, nor be too careful."""
    wanted, other = data.draw(_parts(pool)), data.draw(_parts(pool))
    key = keys.share("prod", other)
    first, end = keys.within("prod", wanted)
    compared = first <= key < end or key in keys.around("prod", wanted, pool)
    assert compared == wanted.overlaps(other)
    assert keys.share_of(key.rpartition("/")[2]) == other


@pytest.mark.parametrize(
    "name",
    ["", "10.42.3.0-24", "010.042.003.000", "010.042.003.001-24", "fd42::-64", "x-24", "1-2-3",
     "010.042.003.000-024", "0010.42.3.0-24", "010.042.003.000-+24"],
)  # fmt: skip
def test_key_that_is_spelled_otherwise_is_none(name: str) -> None:
    """Two spellings of one share would be two shares."""
    with pytest.raises(RequestError):
        keys.share_of(name)


def _cluster(*pools: Pool) -> Cluster:
    return Cluster("prod", pools)


def test_choose_gives_one_of_each_family() -> None:
    """Of the first pool that has room."""
    second = Pool(Subnet.parse("10.43.0.0/24"), 26)
    taken = tuple(free(_FOUR, 26, ()))
    found = choose(_cluster(_FOUR, second, _SIX), taken, {}, (), 0)
    assert list(map(str, found)) == ["10.43.0.0/26", "fd42::/64"]


def test_choose_prefers_what_was_had_before() -> None:
    """Unless somebody has it by now."""
    former = Subnet.parse("10.42.0.128/26")
    assert choose(_cluster(_FOUR), (), {}, (former,), 0) == (former,)
    assert choose(_cluster(_FOUR), (former,), {}, (former,), 0) == (Subnet.parse("10.42.0.0/26"),)
    assert choose(_cluster(_FOUR), (), {4: 25}, (former,), 0) == (Subnet.parse("10.42.0.0/25"),)


def test_choose_of_a_full_pool_says_so() -> None:
    """With what gives some back."""
    taken = tuple(free(_FOUR, 26, ()))
    with pytest.raises(ExhaustedError, match=r"no /26 is left of 10\.42\.0\.0/24.*forget"):
        choose(_cluster(_FOUR), taken, {}, (), 0)


@pytest.mark.parametrize(("lengths", "why"), [({4: 23}, "from /24 to /30"), ({6: 64}, "no pool")])
def test_choose_of_a_length_that_can_not_be_is_refused(lengths: dict[int, int], why: str) -> None:
    """The error says which can."""
    with pytest.raises(RequestError, match=why):
        choose(_cluster(_FOUR), (), lengths, (), 0)


def test_spelled_addresses_sort_as_numbers() -> None:
    """Or a range of keys were no range of addresses."""
    for low, high in (("10.9.0.0", "10.42.0.0"), ("fd00::9", "fd00::10"), ("fd00::", "fd42::")):
        one, other = (Subnet(at.family, at.value, 32 if at.family == 4 else 128)
                      for at in (Address.parse(low), Address.parse(high)))  # fmt: skip
        assert keys.share("prod", one) < keys.share("prod", other)

"""How limits of bandwidth are written, and what they come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.errors import RequestError
from ocinet.engine.model.bandwidth import Bandwidth, Limit, usual_burst
from ocinet.request.annotations import parse_annotations
from ocinet.request.bandwidth import merged, read_bandwidth, spell_bandwidth
from ocinet.request.spelling import to_annotations
from ocinet.request.trust import needs_trust


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("in=10mbit,out=5mbit", Bandwidth(Limit(10_000_000), Limit(5_000_000))),
        ("10mbit", Bandwidth(Limit(10_000_000), Limit(10_000_000))),
        ("out=1.5mbps burst 64k", Bandwidth(None, Limit(12_000_000, 65_536))),
        ("in = 512kibit", Bandwidth(Limit(524_288), None)),
        ("in=8000", Bandwidth(Limit(8_000), None)),
        ("in=1GBit burst 1mb", Bandwidth(Limit(10**9, 1 << 20), None)),
        ("none", Bandwidth(Limit(0), Limit(0))),
        ("in=none,out=1gbit", Bandwidth(Limit(0), Limit(10**9))),
    ],
)
def test_bandwidth_is_read_as_tc_has_rates(text: str, limits: Bandwidth) -> None:
    """Both directions, or one; bits, and bytes with an s."""
    parsed = parse_annotations({"ocinet.bandwidth": text})
    assert parsed is not None
    assert parsed.endpoints[0].bandwidth == limits
    assert needs_trust(parsed) == ("a bandwidth",)
    assert parse_annotations(to_annotations(parsed)) == parsed


def test_bandwidth_is_an_option_of_each_network() -> None:
    """Repeated for the other direction, as addresses are."""
    parsed = parse_annotations(
        {"ocinet.net": "lan:bandwidth=in=10mbit,bandwidth=out=5mbit;dmz:bandwidth=1gbit"}
    )
    assert parsed is not None
    assert [end.bandwidth and end.bandwidth.outward for end in parsed.endpoints] == [
        Limit(5_000_000),
        Limit(10**9),
    ]
    assert parse_annotations(to_annotations(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast", "'fast' is no rate, from 8kbit to 100gbit (hint: write [in=|out=]RATE"),
        ("up=1mbit", "'up=1mbit' is no bandwidth"),
        ("in=", "is no bandwidth"),
        ("in=1mbit burst", "is no bandwidth"),
        ("in=1mbit latency 5", "is no bandwidth"),
        ("none burst 64k", "is no bandwidth"),
        ("in=7999", "'7999' is no rate"),
        ("in=101gbit", "is no rate"),
        ("in=1e9", "is no rate"),
        ("in=1.2.3mbit", "is no rate"),
        ("in=\u0661mbit", "is no rate"),
        ("in=-1mbit", "is no rate"),
        ("in=1mbit burst 10", "'10' is no burst, from 2000 to 2g"),
        ("in=1mbit,in=2mbit", "the bandwidth in comes twice"),
        ("1mbit,out=2mbit", "the bandwidth out comes twice"),
    ],
)
def test_wrong_bandwidth_is_refused_with_how_to_write_it(text: str, said: str) -> None:
    """What, why, and what to do."""
    with pytest.raises(RequestError) as caught:
        parse_annotations({"ocinet.bandwidth": text})
    assert said in str(caught.value)


_limits = st.none() | st.builds(
    Limit, st.integers(8_000, 10**11), st.just(0) | st.integers(2_000, 1 << 31)
) | st.just(Limit(0))  # fmt: skip


@given(limits=st.builds(Bandwidth, _limits, _limits))
def test_any_bandwidth_that_is_written_reads_back(limits: Bandwidth) -> None:
    """Whatever rate and burst it has."""
    if limits != Bandwidth():
        assert merged(tuple(map(read_bandwidth, spell_bandwidth(limits)))) == limits


def test_wish_over_what_there_was_leaves_what_is_not_said() -> None:
    """And has a usual burst where none is said; `none` ends it."""
    ten, one = Limit(10**7, 50_000), Limit(10**6, 40_000)
    assert Bandwidth(Limit(10**9)).over(None) == Bandwidth(Limit(10**9, 1_250_000))
    assert usual_burst(8_000) == 32_768
    assert Bandwidth(None, one).over(Bandwidth(ten, ten)) == Bandwidth(ten, one)
    assert Bandwidth(Limit(0)).over(Bandwidth(ten, one)) == Bandwidth(None, one)
    assert Bandwidth(Limit(0)).over(Bandwidth(ten)) is None

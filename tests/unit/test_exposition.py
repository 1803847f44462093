"""Prometheus's text format: what it reads back is what was told, whatever it is called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.picture.exposition import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    Distribution,
    Metric,
    number,
    render,
)

SEEN = Metric("at_seen_total", COUNTER, "Seen\nso far \\ in all.", ("name", "door"))
TOOK = Metric("at_took_seconds", HISTOGRAM, "How long.", ("door",))
_SAMPLE = re.compile(r'^at_seen_total\{name="((?:[^"\\\n]|\\[\\n"])*)",door="hook"\} 7$')


def test_counter_is_told_with_help_and_type() -> None:
    """Once for all of its samples; what has none is left out."""
    text = render([(SEEN, {("web", "hook"): 7, ("db", "cli"): 2}), (TOOK, {})])
    assert text == (
        "# HELP at_seen_total Seen\\nso far \\\\ in all.\n"
        "# TYPE at_seen_total counter\n"
        'at_seen_total{name="web",door="hook"} 7\n'
        'at_seen_total{name="db",door="cli"} 2\n'
    )


def test_gauge_without_labels_has_no_brackets() -> None:
    """As promtool has it."""
    assert render([(Metric("at_up", GAUGE, "Up."), {(): 1})]).splitlines()[-1] == "at_up 1"


def test_buckets_of_a_histogram_have_those_before_them() -> None:
    """And the last one has all."""
    took = Distribution((0.1, 2.5), (3, 0, 1), 9.5)
    assert render([(TOOK, {("hook",): took})]).splitlines()[2:] == [
        'at_took_seconds_bucket{door="hook",le="0.1"} 3',
        'at_took_seconds_bucket{door="hook",le="2.5"} 3',
        'at_took_seconds_bucket{door="hook",le="+Inf"} 4',
        'at_took_seconds_sum{door="hook"} 9.5',
        'at_took_seconds_count{door="hook"} 4',
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.0, "1"), (0.25, "0.25"), (2**64, "18446744073709551616"), (1e-7, "1e-07")],
)
def test_number_is_written_as_go_reads_it(value: float, text: str) -> None:
    """Whole ones whole: a /64 has more addresses than a float tells apart."""
    assert number(value) == text


@given(
    st.text(max_size=400) | st.sampled_from(['"} 1\nat_forged 9', "\\", "\x1b[2J", "‮x", "\ud800"])
)
def test_name_that_others_chose_stays_within_its_label(name: str) -> None:
    """No line of its own, no end of the value, nothing that a terminal obeys; and not too long."""
    *_head, sample = render([(SEEN, {(name, "hook"): 7})]).removesuffix("\n").split("\n")
    told = _SAMPLE.match(sample)
    assert told, sample
    read = re.sub(r"\\(.)", lambda found: found[1], told[1])
    assert len(read) <= 256
    assert sample.encode()
    if name.isprintable() and len(name) <= 256:
        assert read == name
    assert read.isprintable()

"""Flowcharts of Mermaid: by their grammar, whatever names there are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.pictures import container, few, hostile, linked, many, picture
from ocinet.picture.mermaid import render
from ocinet.picture.values import BROKEN, Picture

# mermaid.js.org/syntax/flowchart.html, of what is written. In a text stand letters and digits,
# a few signs that mean nothing there, characters by their numbers, and line breaks.
_TEXT = r'"(?:[^\W]|[ .,:/()\-→+=…]|#\d+;|<br/>)+"'
_NODE = (
    rf"(?:\w+>{_TEXT}\]|\w+\{{\{{{_TEXT}\}}\}}|\w+\[/{_TEXT}\\\]|\w+\[{_TEXT}\]|\w+\({_TEXT}\))"
    r"(?::::\w+)?"
)
_LINE = re.compile(
    rf"flowchart LR|  subgraph host \[{_TEXT}\]|  end|    {_NODE}|  {_NODE}"
    rf"|  \w+ (?:---|-\.-)(?:\|{_TEXT}\|)? \w+|  classDef \w+ [\w:#,\- ]+"
)


def _check(text: str) -> None:
    for line in text.splitlines():
        assert _LINE.fullmatch(line), line


def test_few_have_host_uplink_networks_and_wires() -> None:
    """What is wrong says so in a word and by its shape; internal networks have no way out."""
    told = render(few())
    _check(told)
    assert '    u0>"eth0<br/>192.0.2.10/24"]' in told
    assert "  u0 --- n1" in told
    assert "  u0 --- n0" not in told
    assert 'c2[/"cache<br/>BROKEN<br/>oc-eth0, the host end of eth0, is down"\\]:::broken' in told
    assert 'c4["worker<br/>REFUSED<br/>' in told
    assert '  n1 ---|"eth0<br/>10.9.0.2"| c0' in told
    assert '  n1 -.-|"eth0<br/>10.9.0.4"| c2' in told


@pytest.mark.parametrize(
    "shown",
    [few(), many(), hostile(), picture(uplinks=(), networks=())],
    ids=("5", "200", "bad", "0"),
)
def test_chart_is_well_formed(shown: Picture) -> None:
    """By the grammar; an empty host as well, for an empty subgraph is an error."""
    _check(render(shown))


def test_name_breaks_no_line() -> None:
    """Mermaid takes a backslash and an n for a line break, by their numbers too."""
    told = render(picture(container("x\\nREFUSED")))
    assert 'c0("x#8726;nREFUSED")' in told
    assert "#92;" not in render(hostile())


@given(st.text(st.characters(), max_size=60))
def test_no_name_is_more_than_a_text(name: str) -> None:
    """Nor why it is broken."""
    told = render(picture(container(name, BROKEN, why=name), hostname=name))
    _check(told)
    told.encode()


def test_links_join_two_containers() -> None:
    """Each once."""
    assert render(linked()).count("===") == 1

"""Graphs of DOT: by its own grammar, by graphviz where it is there, whatever names there are."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.pictures import container, few, hostile, linked, many, picture
from ocinet.picture.dot import render
from ocinet.picture.values import BROKEN, Picture

# graphviz.org/doc/info/lang.html, of what is written: strings are quoted, the rest are words.
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_ATTRIBUTE = rf"\w+=(?:{_STRING}|[\w-]+)"
_ATTRIBUTES = rf"\[{_ATTRIBUTE}(?:, {_ATTRIBUTE})*\]"
_STATEMENT = re.compile(
    rf"\s*(?:graph \w+ \{{|subgraph \w+ \{{|\}}|{_ATTRIBUTE};"
    rf"|(?:\w+)(?: -- \w+)?(?: {_ATTRIBUTES})?;)"
)


def _check(text: str) -> None:
    """Make sure that each line is one statement of DOT, and that braces are closed."""
    depth = 0
    for line in text.splitlines():
        assert _STATEMENT.fullmatch(line), line
        bare = re.sub(_STRING, "", line)
        depth += bare.count("{") - bare.count("}")
        assert depth >= 0
    assert depth == 0


def test_links_are_edges_of_two_containers() -> None:
    """Each once."""
    told = render(linked())
    _check(told)
    assert told.count("web-db") == 1
    assert re.search(r'c\d -- c\d \[style=bold, label="web-db', told)


def test_few_have_host_uplink_networks_and_wires() -> None:
    """What is wrong says so in a word and by its shape; internal networks have no way out."""
    told = render(few())
    _check(told)
    assert 'u0 [shape=cds, label="eth0\\n192.0.2.10/24"];' in told
    assert "u0 -- n1;" in told
    assert "u0 -- n0;" not in told
    assert 'c2 [shape=octagon, style=bold, color=red3, label="cache\\nBROKEN\\n' in told
    assert 'label="worker\\nREFUSED\\n' in told
    assert 'n1 -- c0 [label="eth0\\n10.9.0.2"];' in told
    assert 'c0 -- c3 [style=dotted, label="shares its network"];' in told
    assert ":9000-9009 → 9000-9009/tcp" in told


@pytest.mark.parametrize(
    "shown", [few(), many(), hostile(), picture()], ids=("5", "200", "bad", "0")
)
def test_graph_is_well_formed(shown: Picture) -> None:
    """By the grammar; and graphviz, where it is installed, draws it without a word."""
    told = render(shown)
    _check(told)
    if shutil.which("dot") and len(shown.containers) < 100:
        done = subprocess.run(
            ["dot", "-Tsvg"], input=told.encode(), capture_output=True, timeout=50, check=False
        )
        assert done.returncode == 0, done.stderr
        assert b"<svg" in done.stdout
        assert b"alert(1)</script>" not in done.stdout
        assert b"syntax" not in done.stderr.lower()


@given(st.text(st.characters(), max_size=60))
def test_no_name_is_more_than_a_label(name: str) -> None:
    """Nor why it is broken."""
    told = render(picture(container(name, BROKEN, why=name), hostname=name))
    _check(told)
    told.encode()
    assert told.count("\n") == render(picture(container("a", BROKEN, why="b"))).count("\n")


def test_entity_in_a_name_is_none() -> None:
    """Graphviz takes HTML's entities for the letters that they stand for."""
    assert 'label="a&amp;amp;b&lt;i&gt;"' in render(picture(container("a&amp;b<i>")))

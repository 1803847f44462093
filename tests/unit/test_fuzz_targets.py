"""What reads what others have written takes anything: a value, or one clear error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fuzz.targets import TARGETS, feed
from hypothesis import given
from hypothesis import strategies as st

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["10.9.0.5", "0.0.0.0/0", "none", "host", "8080:80", "container:x", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip


def _changed(document: Any, draw: st.DataObject) -> Any:
    """Put something else in the place of one part of a document, however deep."""
    inside = isinstance(document, dict | list) and len(document) > 0
    if not inside or draw.draw(st.integers(0, 3)) == 0:
        return draw.draw(_VALUES)
    keys = list(document) if isinstance(document, dict) else range(len(document))
    key = draw.draw(st.sampled_from(keys))
    copy = document.copy()
    if draw.draw(st.integers(0, 4)) == 0:
        del copy[key]
    else:
        copy[key] = _changed(document[key], draw)
    return copy


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_usual_is_read(name: str) -> None:
    """The seeds are what they are meant to be: nothing of them is refused."""
    for seed in TARGETS[name].seeds:
        feed(name, seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_any_bytes_raise_nothing_but_an_error_of_ours(name: str, data: st.DataObject) -> None:
    """Cut, and with anything in the place of a part."""
    whole = data.draw(st.sampled_from(TARGETS[name].seeds))
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    part = data.draw(st.binary(max_size=20) | st.text(max_size=20).map(str.encode))
    feed(name, whole[:begin] + part + whole[end:])


@pytest.mark.parametrize("name", [name for name in TARGETS if TARGETS[name].seeds[0][:1] in b"{["])
@given(data=st.data())
def test_any_document_raises_nothing_but_an_error_of_ours(name: str, data: st.DataObject) -> None:
    """Whatever is missing, or of another type than it should be."""
    whole = data.draw(st.sampled_from(TARGETS[name].seeds))
    try:
        document = json.loads(whole)
    except ValueError:
        return  # one that is broken on purpose
    feed(name, json.dumps(_changed(document, data)).encode())

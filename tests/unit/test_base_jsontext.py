"""JSON text: what is read, what is written, and that no damage is more than a request error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.bare_json import without_json
from ocinet.base import jsontext
from ocinet.base.errors import RequestError
from ocinet.base.value import Value


class Point(Value):
    """An object of ours, which JSON has no form for."""

    x: int


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_dumps_and_loads_agree_with_the_standard_library(value: object) -> None:
    """What one writes the other reads, on one line of ASCII."""
    text = jsontext.dumps(value)

    assert text == json.dumps(value)
    assert jsontext.loads(text.encode(), "") == value


@given(
    st.binary(max_size=40) | st.text('[]{}",:0123eE+-.truefalsn \\u', max_size=40).map(str.encode)
)
def test_loads_of_any_bytes_agrees_with_the_standard_library(data: bytes) -> None:
    """It refuses what `json` refuses, with a request error of one line; and NaN."""
    try:
        expected = json.loads(data.decode(), parse_constant=lambda _name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(RequestError, match=r"^cannot read it: it is .*not JSON") as raised:
            jsontext.loads(data, "cannot read it")
        assert "\n" not in str(raised.value)
    else:
        assert jsontext.loads(data, "") == expected


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[" * 33 + b"]" * 33, "nests deeper than 32"),
        (b"[" * 100_000 + b"]" * 100_000, "nests deeper than 32"),
        (b'{"a":' * 100_000, "nests deeper than 32"),
        (b" " * (jsontext.MAX_BYTES + 1), "longer than"),
        (b"NaN", "not JSON"),
        (b"-Infinity", "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"1 2", "more after its end"),
        ("\ufeff{}".encode(), "not JSON"),
    ],
)
def test_loads_of_what_is_too_much_is_refused(data: bytes, why: str) -> None:
    """Depth, size and numbers are bounded."""
    with pytest.raises(RequestError, match=why):
        jsontext.loads(data, "cannot read it")


def test_loads_at_the_nesting_limit_is_fine() -> None:
    """32 levels are allowed."""
    assert jsontext.loads(b"[" * 32 + b"]" * 32, "")


@pytest.mark.parametrize("value", [Point(1), b"x", {1, 2}])
def test_dumps_of_no_json_is_refused(value: object) -> None:
    """An object of ours does not slip into a file."""
    with pytest.raises(TypeError, match="is no JSON value"):
        jsontext.dumps([value])


# -- damaged documents ----------------------------------------------------------------
#
# Without `json`, as in the hook: CPython 3.11's scanner tells what is wrong by its error
# class, and raises nothing but a SystemError where that is missing.

DOCUMENT = json.dumps({
    "ociVersion": "1.0.2", "id": "web", "pid": 4711, "bundle": "/srv/größe\u2028\"\\",
    "ratio": -1.5e3, "empty": {}, "none": [], "on": True, "off": False, "nobody": None,
    "endpoints": [{"addresses": ["10.9.0.5/24", "fd00:9::5/64"], "routes": [{}]}, [[1], 2]],
}, ensure_ascii=False).encode()  # fmt: skip


def is_refused(data: bytes) -> bool:
    """Tell whether a document is refused with one line that begins with what was read."""
    told = ""
    with without_json():
        try:
            jsontext.loads(data, "cannot read it")
        except RequestError as error:
            told = str(error)
    assert not told or (told.startswith("cannot read it: it is not JSON") and "\n" not in told)
    return told != ""


def test_loads_of_every_start_of_a_document_is_refused() -> None:
    """Wherever a file is cut off, it is not JSON, and no fault of the scanner."""
    assert [at for at in range(len(DOCUMENT)) if not is_refused(DOCUMENT[:at])] == []
    assert not is_refused(DOCUMENT)


@pytest.mark.parametrize(
    "text", ["{", '{"a"', '{"a":1', '{"a":1,', '{"a" 1}', "{1:2}", '["', '"\\u1']
)
def test_loads_of_a_cut_document_says_where(text: str) -> None:
    """Who mends it by hand is told the place."""
    with without_json(), pytest.raises(RequestError, match=r"it is not JSON: .* line 1 column \d"):
        jsontext.loads(text.encode(), "cannot read it")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a document that was valid, with a piece of it gone or replaced by others."""
    text = json.dumps(draw(JSON), ensure_ascii=draw(st.booleans())).encode()
    ends = st.integers(0, len(text))
    first, last = sorted((draw(ends), draw(ends)))
    piece = draw(
        st.just(b"") | st.binary(max_size=4) | st.sampled_from([*'{}[]",:\\u-.e0']).map(str.encode)
    )
    return text[:first] + piece + text[last:]


@given(damaged())
def test_loads_of_a_damaged_document_agrees_with_the_standard_library(data: bytes) -> None:
    """What is no JSON any more is refused, what still is some is read, and nothing else."""
    try:
        json.loads(data.decode(), parse_constant=lambda _name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert is_refused(data)
    else:
        assert not is_refused(data)


# -- pairs of texts -------------------------------------------------------------------


def test_text_pairs_are_found_at_any_depth_and_as_often_as_they_are_there() -> None:
    """A key that is repeated hides nothing, nor does one that is escaped; other values are none."""
    data = b"""
        {"a": "1", "a": "2", "n": 1, "deep": [{"\\u0062": "3", "c": {"d": "4"}, "c": null}, "e"]}
    """

    assert jsontext.text_pairs(data, "") == {("a", "1"), ("a", "2"), ("b", "3"), ("d", "4")}


def test_text_pairs_reads_what_is_not_utf_8() -> None:
    """Others' parsers replace such bytes, and go on."""
    assert jsontext.text_pairs(b'{"a": "\xff", "b": "1"}', "") == {("a", "\ufffd"), ("b", "1")}


def test_text_pairs_of_every_start_of_a_document_is_refused() -> None:
    """As with `loads`: what is cut off may have gone on with any pair."""
    for at in range(len(DOCUMENT)):
        with without_json(), pytest.raises(RequestError, match="cannot read it: it is not JSON"):
            jsontext.text_pairs(DOCUMENT[:at], "cannot read it")
    assert ("id", "web") in jsontext.text_pairs(DOCUMENT, "")


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"{} {}", "more after its end"), (b"[" * 100_000, "nests deeper"), (b"[NaN]", "not JSON")],
)
def test_text_pairs_of_what_is_no_document_is_refused(data: bytes, why: str) -> None:
    """One value, of a depth that can be followed."""
    with pytest.raises(RequestError, match=why):
        jsontext.text_pairs(data, "cannot read it")

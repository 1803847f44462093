"""Drawings of SVG: well-formed, whole in themselves, told in words, within their edges."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pictures import (
    HOSTILE,
    container,
    few,
    hostile,
    interface,
    linked,
    many,
    network,
    picture,
    published,
)
from ocinet.picture.svg import render
from ocinet.picture.svg_parts import fitting, text_width
from ocinet.picture.values import BROKEN, DOWN, MISSING, Picture

_NS = "{http://www.w3.org/2000/svg}"
_SHOWN = {"5": few(), "200": many(), "bad": hostile(), "0": picture(uplinks=(), networks=())}


def _parsed(shown: Picture) -> ET.Element:
    return ET.fromstring(render(shown))  # noqa: S314  our own


def _texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{_NS}text")]


@pytest.mark.parametrize("name", _SHOWN)
def test_drawing_is_xml_that_loads_nothing(name: str) -> None:
    """No script, no link, no image, no handler; light and dark by the viewer's choice."""
    text = render(_SHOWN[name])
    root = _parsed(_SHOWN[name])
    assert root.tag == f"{_NS}svg"
    kinds = {element.tag.removeprefix(_NS) for element in root.iter()}
    assert kinds <= {"svg", "title", "desc", "style", "rect", "text", "path", "circle", "g"}
    attributes = {attribute for element in root.iter() for attribute in element.attrib}
    assert attributes <= {
        "class", "width", "height", "viewBox", "role", "aria-labelledby", "id", "x", "y", "rx", "d",
        "cx", "cy", "r", "text-anchor",
    }  # fmt: skip
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text
    assert "var(" not in text, "viewers that are no browsers draw it all in black"


def test_who_does_not_see_it_is_told_title_and_what_is_wrong() -> None:
    """A title, a description that names the broken and the refused, a title for each card."""
    root = _parsed(few())
    labels = (root.get("aria-labelledby") or "").split()
    told = {element.get("id"): element.text or "" for element in root}
    assert told[labels[0]] == "Network of shop-1"
    assert "5 containers: 3 running, 1 broken, 1 refused" in told[labels[1]]
    assert "cache is broken: oc-eth0, the host end of eth0, is down." in told[labels[1]]
    assert "worker is refused: cannot attach worker" in told[labels[1]]
    cards = [element.text or "" for element in root.iter(f"{_NS}title")][1:]
    assert any(card.startswith("container web, running") for card in cards)


@pytest.mark.parametrize("name", ["5", "200"])
def test_wrong_is_told_by_word_and_shape(name: str) -> None:
    """Not by colour alone: signs of their own, frames of their own, and words."""
    text = render(_SHOWN[name])
    told = _texts(_parsed(_SHOWN[name]))
    assert "BROKEN" in told
    assert "REFUSED" in told
    assert 'class="broken"' in text
    assert 'class="refused"' in text
    assert 'class="sign-wrong"' in text


def test_few_have_addresses_ports_figures_and_wires() -> None:
    """One wire from the uplink to each network that is not internal, one to each interface."""
    root = _parsed(few())
    told = _texts(root)
    for wanted in ("10.9.0.3", "10.8.0.2", ":8080 → 80/tcp", "↓ 1.5 kB  ↑ 2 MB  3 refused",
                   "shares the network of web", "→ ocinet check --repair cache"):  # fmt: skip
        assert wanted in told
    wires = [element.get("class") for element in root.iter(f"{_NS}path")]
    assert wires.count("wire") == 1 + 3
    assert wires.count("cut") == 1 + 1  # of cache, and the end of worker's that nobody holds


def test_many_are_all_there_and_who_is_wrong_above_them() -> None:
    """Each has a tile; of the wrong, why and what helps."""
    told = _texts(_parsed(many()))
    assert {f"web-{at}" for at in range(198)} <= set(told)
    assert "4 containers to look at" in told
    assert told.index("4 containers to look at") < told.index("web-0")
    assert told.count("eth0 is gone") == 2


@pytest.mark.parametrize("name", ["5", "200", "bad"])
def test_nothing_is_outside_of_the_edges(name: str) -> None:
    """Texts end before the right edge, as wide as fonts have them."""
    root = _parsed(_SHOWN[name])
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for element in root.iter(f"{_NS}text"):
        kind = (element.get("class") or "").split()[0]
        x, y = float(element.get("x") or 0), float(element.get("y") or 0)
        long = text_width(element.text or "", kind)
        left = x - long if element.get("text-anchor") == "end" else x
        assert left >= 0, element.text
        assert left + long <= width, element.text
        assert 0 < y < height
    for element in root.iter(f"{_NS}rect"):
        x, y, wide, tall = (float(element.get(key) or 0) for key in ("x", "y", "width", "height"))
        assert x + wide <= width
        assert y + tall <= height


@pytest.mark.parametrize("name", ["5", "200", "bad"])
def test_no_text_of_a_card_runs_into_another(name: str) -> None:
    """On each line of it there is room between what stands side by side."""
    for card in _parsed(_SHOWN[name]).iter(f"{_NS}g"):
        lines: dict[str, list[tuple[float, float]]] = {}
        for element in card.iter(f"{_NS}text"):
            kind = (element.get("class") or "").split()[0]
            x, long = float(element.get("x") or 0), text_width(element.text or "", kind)
            left = x - long if element.get("text-anchor") == "end" else x
            lines.setdefault(element.get("y") or "", []).append((left, left + long))
        for spans in lines.values():
            spans.sort()
            for (_left, end), (start, _right) in pairwise(spans):
                assert end <= start, card[0].text


def test_links_that_are_down_or_gone_say_so() -> None:
    """Of the uplink, and of a network's bridge."""
    gone = network("lan", state=MISSING, why="its bridge is gone", hint="ocinet check --repair")
    shown = picture(container("web", BROKEN, interface(), why="the bridge br-lan is gone"))
    down = shown.uplinks[0].replace(state=DOWN)
    told = " ".join(_texts(_parsed(shown.replace(uplinks=(down,), networks=(gone,)))))
    assert "uplink DOWN" in told
    assert "its bridge is gone: ocinet check --repair" in told.replace("  ", " ")


def test_hostile_names_are_texts() -> None:
    """Nothing of them is markup, and each is shown in full to who points at it."""
    root = _parsed(hostile())
    titles = [element.text or "" for element in root.iter(f"{_NS}title")]
    for name in HOSTILE:
        if name.isprintable() and name:
            assert any(f"container {name}, " in title for title in titles), name


@settings(max_examples=40)
@given(st.text(st.characters(), max_size=60))
def test_no_name_breaks_the_drawing(name: str) -> None:
    """Nor why it is broken, whether there are a few or many."""
    _parsed(picture(container(name, BROKEN, why=name), hostname=name))
    crowd = many(40)
    bad = container(name, BROKEN, why=name, hint=name)
    _parsed(crowd.replace(containers=(*crowd.containers, bad), hostname=name))


def test_ports_stay_in_their_card() -> None:
    """However many rows of them there are; of very many the rest is counted."""
    many_ports = container(published=tuple(published(8000 + at, at + 1) for at in range(20)))
    root = _parsed(picture(many_ports))
    (card,) = [group for group in root.iter(f"{_NS}g") if "container web" in (group[0].text or "")]
    frame, *pills = [element for element in card if element.tag == f"{_NS}rect"]
    assert "and 8 more" in _texts(root)
    assert len(pills) == 13
    end = float(frame.get("y") or 0) + float(frame.get("height") or 0)
    assert all(float(pill.get("y") or 0) + 18 <= end - 4 for pill in pills)


def test_broad_letters_are_counted_as_such() -> None:
    """A name of them is cut sooner."""
    assert text_width("mmm", "name") > text_width("iii", "name")
    assert text_width(fitting("w" * 100, "name", 220), "name") <= 220


def test_links_are_drawn_from_card_to_card() -> None:
    """Along their edges, and told in both."""
    told = render(linked())
    assert told.count("C1114 ") == 1
    assert "10.7.0.0 ↔ db" in told
    assert "10.7.0.1 ↔ web" in told
    assert "mode none" not in told

"""A picture as a drawing of SVG: with all wires where there are few, in rows where there are many.

Nobody else lays it out: graphviz would be one more program to have, and scatters two hundred.
"""

from __future__ import annotations

from ocinet.picture import spelling
from ocinet.picture.grouping import groups, is_wrong
from ocinet.picture.svg_crowd import draw_crowd
from ocinet.picture.svg_parts import WORDS, Drawing, text_width
from ocinet.picture.svg_wires import draw_wires
from ocinet.picture.values import STATES, Picture

_WIDTH = 1120
_MARGIN = 24
_FEW = 32  # seats that are drawn with wires


def render(picture: Picture) -> str:
    """Return a picture as an SVG document."""
    found = groups(picture)
    drawing = Drawing(_WIDTH)
    top = _head(drawing, picture)
    few = sum(len(group.seats) for group in found) <= _FEW
    bottom = (draw_wires if few else draw_crowd)(drawing, picture, found, top)
    return drawing.finished(bottom + _MARGIN, f"Network of {picture.hostname}", _told(picture))


def _head(drawing: Drawing, picture: Picture) -> float:
    """Write whose picture it is, and what it has; return where it ends."""
    drawing.text(_MARGIN, 40, spelling.shown(picture.hostname, 60), "title")
    at = picture.taken_at[:19].replace("T", " ")
    drawing.text(_WIDTH - _MARGIN, 40, f"{at} UTC", "small", "dim", end=True)
    x = float(_MARGIN)
    told = spelling.counted(len(picture.containers), "container")
    drawing.text(x, 66, told, "text", "dim")
    x += 24 + text_width(told, "text")
    for state in STATES:
        count = picture.count(state)
        if count:
            drawing.sign(x + 8, 62, state)
            told = f"{count} {WORDS.get(state, state)}"
            bad = ("bad",) if WORDS.get(state, "").isupper() else ("dim",)
            drawing.text(x + 22, 66, told, "text", *bad)
            x += 46 + text_width(told, "text")
    y = 84.0
    for flaw in picture.flaws:
        drawing.box(_MARGIN, y, _WIDTH - 2 * _MARGIN, 34, "broken")
        drawing.sign(_MARGIN + 18, y + 17, "broken")
        drawing.text(_MARGIN + 36, y + 21, spelling.shown(flaw.what, 90), "name", "bad")
        drawing.text(_WIDTH - _MARGIN - 12, y + 21, flaw.hint, "mono", end=True)
        y += 44
    return y + 8


def _told(picture: Picture) -> str:
    """Say in words what is to be seen."""
    uplinks = ", ".join(uplink.name for uplink in picture.uplinks) or "no uplink"
    counts = [f"{picture.count(state)} {state}" for state in STATES if picture.count(state)]
    lines = [
        f"Host {spelling.shown(picture.hostname, 60)} by {uplinks}, with"
        f" {spelling.counted(len(picture.networks), 'network')} and"
        f" {spelling.counted(len(picture.containers), 'container')}: {', '.join(counts) or 'none'}."
    ]
    lines += [f"{flaw.what}." for flaw in picture.flaws]
    lines += [
        f"{spelling.shown(container.name, 60)} is {container.state}:"
        f" {spelling.shown(container.why, 200)}."
        for container in picture.containers
        if is_wrong(container)
    ]
    return " ".join(lines)

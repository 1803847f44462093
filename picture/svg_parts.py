"""What drawings of SVG are made of: shapes, texts that fit, signs, the style.

No script, no font and no file of others: a drawing is whole in itself, whoever opens it. Light
and dark are the viewer's choice; what is wrong has a shape and a word, and colour on top.
"""

from __future__ import annotations

import textwrap
from math import cos, pi, sin
from string import Template

from ocinet.picture import spelling
from ocinet.picture.values import ATTACHING, BROKEN, DEAD, LEFT, REFUSED, RUNNING

# Of an em: as wide as the fonts that viewers have, so that nothing runs over its box.
_SANS, _BOLD, _MONO = 0.56, 0.6, 0.61
_WIDTHS = {"name": (14, _BOLD), "title": (20, _BOLD), "text": (12, _SANS), "mono": (12, _MONO),
           "small": (11, _MONO), "word": (11, _BOLD)}  # fmt: skip
_BROAD = "mwMWQO@%&—"  # wider than an average says, where widths differ
WORDS = {BROKEN: "BROKEN", REFUSED: "REFUSED", DEAD: "DEAD", ATTACHING: "attaching",
         LEFT: "left to members"}  # fmt: skip
_SHAPES = """\
.ocinet text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;\
font-size:12px;unicode-bidi:isolate;white-space:pre}
.ocinet .title{font-size:20px;font-weight:600}
.ocinet .name{font-size:14px;font-weight:600}
.ocinet .word{font-size:11px;font-weight:700;letter-spacing:.03em}
.ocinet .mono,.ocinet .small{font-family:ui-monospace,"SF Mono",Consolas,"DejaVu Sans Mono",\
monospace}
.ocinet .small{font-size:11px}
.ocinet .broken,.ocinet .sign-other,.ocinet .on-sign{stroke-width:2}
.ocinet .refused{stroke-width:1.5;stroke-dasharray:6 4}
.ocinet .dead{stroke-dasharray:2 4}
.ocinet .wire{stroke-width:1.5}
.ocinet .cut{stroke-width:1.5;stroke-dasharray:5 4}
.ocinet .cross{stroke-width:2.5;stroke-linecap:round}
.ocinet .on-sign{stroke-linecap:round}
"""
# Written out for light and for dark: librsvg (2.54) knows no var() of CSS, and drew all in black.
_COLOURS = Template("""\
.ocinet text{fill:$ink}
.ocinet .dim{fill:$dim}
.ocinet .bad{fill:$bad}
.ocinet .key{fill:$key}
.ocinet .page{fill:$bg}
.ocinet .card{fill:$card;stroke:$line}
.ocinet .tile{fill:$bg;stroke:$line}
.ocinet .broken,.ocinet .refused{fill:$pale;stroke:$bad}
.ocinet .dead{fill:none;stroke:$dim}
.ocinet .bar{fill:$line}
.ocinet .used{fill:$key}
.ocinet .pill{fill:none;stroke:$key}
.ocinet .wire{fill:none;stroke:$wire}
.ocinet .cut,.ocinet .cross{fill:none;stroke:$bad}
.ocinet .sign-running{fill:$good}
.ocinet .sign-wrong{fill:$bad}
.ocinet .sign-other{fill:none;stroke:$dim}
.ocinet .on-sign{fill:none;stroke:$bg}
""")
_LIGHT = {"bg": "#ffffff", "card": "#f6f8fa", "line": "#d1d9e0", "ink": "#1f2328",
          "dim": "#59636e", "good": "#1a7f37", "bad": "#cf222e", "pale": "#fff1f0",
          "key": "#0969da", "wire": "#8c959f"}  # fmt: skip
_DARK = {"bg": "#0d1117", "card": "#161b22", "line": "#3d444d", "ink": "#f0f6fc",
         "dim": "#9198a1", "good": "#3fb950", "bad": "#ff7b72", "pale": "#2a1618",
         "key": "#4493f8", "wire": "#656c76"}  # fmt: skip
_STYLE = (
    f"{_SHAPES}{_COLOURS.substitute(_LIGHT)}"
    f"@media (prefers-color-scheme:dark){{\n{_COLOURS.substitute(_DARK)}}}\n"
)


def escape(text: str) -> str:
    """Return a text as it may stand in an element or an attribute, whatever is in it."""
    plain = spelling.shown(text).replace("&", "&amp;").replace("<", "&lt;")
    return plain.replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#39;")


def text_width(text: str, kind: str) -> float:
    """Return about how wide a text of a kind will be, in pixels: rather more than less."""
    size, share = _WIDTHS[kind]
    broad = 0 if share == _MONO else sum(map(text.count, _BROAD))
    return (spelling.width(text) + broad * 0.7) * size * share


def fitting(text: str, kind: str, room: float) -> str:
    """Return a text that is not wider than so many pixels."""
    most = 200  # letters, which no room of ours has
    shown = spelling.shown(text, most)
    while text_width(shown, kind) > room and most > 3:
        most = min(most, len(shown)) - 1
        shown = spelling.shown(text, most)
    return shown


def wrapped(text: str, kind: str, room: float, most: int = 4) -> list[str]:
    """Return a text as lines that are not wider than so many pixels; the last may be cut."""
    shown = spelling.shown(text, 1000)
    # By the broadest of its words, for these are what fills a line to its end.
    broadest = max((text_width(word, kind) / len(word) for word in shown.split()), default=1.0)
    columns = max(8, int(room / broadest))
    return textwrap.wrap(shown, columns, max_lines=most, placeholder=" …")


class Drawing:
    """Shapes and texts, one after the other; later ones lie above.

    Attributes:
        width: pixels.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, kind: str, *more: str, end: bool = False) -> None:
        """Write a text from a point on, or up to it.

        Args:
            x: pixels from the left.
            y: of its base line, pixels from the top.
            text: any; nothing is written of an empty one.
            kind: as in the style: name, title, text, mono, small or word.
            more: classes: dim, bad, key.
            end: whether it ends at the point.
        """
        if text:
            anchor = ' text-anchor="end"' if end else ""
            classes = " ".join((kind, *more))
            told = escape(text)
            self._parts.append(f'<text class="{classes}" x="{x:g}" y="{y:g}"{anchor}>{told}</text>')

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, *, round_: float = 8
    ) -> None:
        """Draw a rectangle."""
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
            f' rx="{round_:g}"/>'
        )

    def path(self, steps: str, kind: str) -> None:
        """Draw a path of SVG's."""
        self._parts.append(f'<path class="{kind}" d="{steps}"/>')

    def open(self, told: str) -> None:
        """Begin a group, told to who points at it, or has it read aloud."""
        self._parts.append(f"<g><title>{escape(told)}</title>")

    def close(self) -> None:
        """End a group."""
        self._parts.append("</g>")

    def wire(self, start: tuple[float, float], end: tuple[float, float], *, cut: bool) -> None:
        """Draw a wire between two points, with a cross where it is cut."""
        (x1, y1), (x2, y2) = start, end
        middle = (x1 + x2) / 2
        steps = f"M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"
        self.path(steps, "cut" if cut else "wire")
        if cut:
            self.cross(x2 - 22, y2 + (y1 - y2) * 0.05)

    def cross(self, x: float, y: float) -> None:
        """Draw a cross around a point."""
        self.path(f"M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10", "cross")

    def sign(self, x: float, y: float, state: str) -> None:
        """Draw a state's sign around a point: each has a shape of its own."""
        if state == RUNNING:
            self._parts.append(f'<circle class="sign-running" cx="{x:g}" cy="{y:g}" r="6"/>')
        elif state == BROKEN:
            self.path(f"M{x:g} {y - 8:g}l9 15h-18z", "sign-wrong")
            self.path(f"M{x:g} {y - 2:g}v4m0 3v0.1", "on-sign")
        elif state == REFUSED:
            corners = ((x + 8 * cos(pi / 8 + pi * k / 4), y + 8 * sin(pi / 8 + pi * k / 4))
                       for k in range(8))  # fmt: skip
            steps = "L".join(f"{cx:.1f} {cy:.1f}" for cx, cy in corners)
            self.path(f"M{steps}z", "sign-wrong")
            self.path(f"M{x - 4:g} {y:g}h8", "on-sign")
        elif state == DEAD:
            self.path(f"M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10", "sign-other")
        else:
            self._parts.append(f'<circle class="sign-other" cx="{x:g}" cy="{y:g}" r="5"/>')

    def pill(self, x: float, y: float, text: str) -> float:
        """Write a text in a rounded frame, its base line at `y`; return where it ends."""
        width = text_width(text, "small") + 14
        self.box(x, y - 13, width, 18, "pill", round_=9)
        self.text(x + 7, y, text, "small", "key")
        return x + width

    def bar(self, x: float, y: float, width: float, share: float) -> None:
        """Draw how full something is."""
        self.box(x, y, width, 6, "bar", round_=3)
        if share > 0:
            self.box(x, y, max(6.0, width * min(1.0, share)), 6, "used", round_=3)

    def finished(self, height: float, title: str, told: str) -> str:
        """Return the whole as a document.

        Args:
            height: pixels.
            title: of it.
            told: what is to be seen, for who does not see it.
        """
        size = f'width="{self.width}" height="{height:g}" viewBox="0 0 {self.width} {height:g}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ocinet" {size} role="img"'
            f' aria-labelledby="ocinet-title ocinet-desc">\n'
            f'<title id="ocinet-title">{escape(title)}</title>\n'
            f'<desc id="ocinet-desc">{escape(told)}</desc>\n'
            f"<style>{_STYLE}</style>\n"
            f'<rect class="page" width="{self.width}" height="{height:g}"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )

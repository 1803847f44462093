"""Colours, for people at a terminal that has them: nowhere else, and not against $NO_COLOR."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

GOOD, BAD, HINT = "32", "1;31", "36"  # green, bold red, cyan: ECMA-48, SGR


def paint(text: str, colour: str, stream: TextIO, environment: Mapping[str, str]) -> str:
    """Return a text as it is to be written to a stream.

    Args:
        text: without colours.
        colour: GOOD, BAD or HINT.
        stream: where to.
        environment: `NO_COLOR`, if it is not empty, keeps all plain (no-color.org), and so
            does a terminal that says that it is dumb.
    """
    plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
    return text if plain or not stream.isatty() else f"\033[{colour}m{text}\033[0m"

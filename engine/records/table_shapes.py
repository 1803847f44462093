"""How our table looks to the kernel as it is made; see `firewall.table_shape`.

    /run/ocinet/table.json        {"text": "9f1c…", "shape": "b02a…"}

What it says of a text is true until the next boot: writers need no lock, and the last wins.
"""

from __future__ import annotations

from ocinet.engine.records.hints import recall, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths

_FILE = "table.json"


class TableShapes:
    """What is known of one installation's table.

    Args:
        paths: of the installation.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def get(self, text: str) -> str:
        """Return the shape of a table that was made of a text; "" where nobody knows."""

        def shape(known: Any) -> str:
            return str(known["shape"]) if known["text"] == text else ""

        return recall(self._paths.run, _FILE, shape, "")

    def put(self, text: str, shape: str) -> None:
        """Note the shape of a table that has just been made of a text, or compared with it."""
        if self.get(text) != shape:
            remember(self._paths.run, _FILE, {"text": text, "shape": shape})

"""What of a picture has changed since the one before.

A thousand containers are 600 KB, and in a second a few of them change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    Encoded = dict[str, Any]

_PARTS = "containers"  # by their ids; of all else, what changed is sent whole


@dataclass(frozen=True)
class Shown:
    """A picture as readers have it.

    Attributes:
        serial: rises with each that differs from the one before.
        parts: what is there, as plain JSON; containers by their ids.
        change: what makes it of the one before, as a message; None of a first one.
    """

    serial: int
    parts: Encoded
    change: bytes | None = None

    def whole(self) -> bytes:
        """Return all of it, as a message."""
        return message("picture", {**self.parts, _PARTS: list(self.parts[_PARTS].values())})


def show(encoded: Encoded, former: Shown | None, serial: int) -> Shown:
    """Return a picture as it is shown next.

    Args:
        encoded: the picture as plain JSON, with a list of `containers`, each with an `id`.
        former: that readers have; None: there is none.
        serial: of it.
    """
    parts = {**encoded, _PARTS: {container["id"]: container for container in encoded[_PARTS]}}
    if former is None:
        return Shown(serial, parts)
    known = former.parts
    changed: Encoded = {
        key: value for key, value in parts.items() if key != _PARTS and known.get(key) != value
    }
    changed[_PARTS] = [
        container
        for container_id, container in parts[_PARTS].items()
        if known[_PARTS].get(container_id) != container
    ]
    changed["gone"] = [each for each in known[_PARTS] if each not in parts[_PARTS]]
    return Shown(serial, parts, message("change", changed))


def message(kind: str, data: object) -> bytes:
    """Return a message as a stream of events has it (text/event-stream)."""
    # Escapes leave it in one line, whatever names hold.
    text = json.dumps(data, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()

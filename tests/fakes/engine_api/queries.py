"""What is asked in a request's query: filters and times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fakes.engine_api.values import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.engine_api.events import Event

Filters = dict[str, list[str]]


def parse_filters(query: Mapping[str, str]) -> Filters:
    """Read the query's `filters`: {"type": ["container"]}, or {"type": {"container": true}}.

    Raises:
        Refused: they are no JSON.
    """
    try:
        given = json.loads(query.get("filters") or "{}")
    except ValueError as error:
        raise Refused(500, f"invalid character looking for beginning of value: {error}") from None
    return {name: list(values) for name, values in given.items()}


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Tell whether there is a label, `key` or `key=value`."""
    key, equals, text = wanted.partition("=")
    return key in labels and (not equals or labels[key] == text)


def told_labels(event: Event) -> Mapping[str, str]:
    """Return a container event's attributes, labels among them; none of others."""
    attributes: dict[str, str] = event["Actor"]["Attributes"]
    return attributes if event["Type"] == "container" else {}


def parse_seconds(text: str) -> int:
    """Return nanoseconds of `SECONDS[.FRACTION]`.

    Raises:
        ValueError: it is something else.
    """
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0") or 0)


def spell_time(nanoseconds: int) -> str:
    """Return a time as engines spell it; 0 is never."""
    if not nanoseconds:
        return "0001-01-01T00:00:00Z"
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"

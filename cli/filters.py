"""`--filter KEY=VALUE`, as docker and podman have it, and the moments that some of them name.

Of one key several times, any will do; of several keys, all have to be met.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    T = TypeVar("T")

_WHAT = "--filter"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def read_filters(
    texts: Iterable[str], known: Mapping[str, Callable[[T, str], bool]]
) -> Callable[[T], bool]:
    """Return what tells whether something meets all filters.

    Args:
        texts: as `name=web`.
        known: for each key, what tells whether a thing has that value.

    Raises:
        RequestError: a filter has no `=`, or a key that is not known.
    """
    wanted: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in known:
            hint = did_you_mean(key, known) or f"known are: {', '.join(known)}"
            why = f"{text!r} is no KEY=VALUE" if not equals else f"there is no filter {key}"
            raise RequestError(_WHAT, why, hint)
        wanted.setdefault(key, []).append(value)
    return lambda item: all(
        any(known[key](item, value) for value in values) for key, values in wanted.items()
    )


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Tell whether there is a label `KEY`, or `KEY=VALUE`."""
    label, equals, value = wanted.partition("=")
    return label in labels and (not equals or labels[label] == value)


def read_moment(text: str, what: str) -> datetime:
    """Read a point in time: `10m` ago, `1h30m`, RFC 3339 or its start, or seconds since 1970.

    Args:
        text: in UTC where it names no offset.
        what: is named if it makes no sense, as "--since".

    Raises:
        RequestError: it is none of these.
    """
    parts = _DURATION.findall(text)
    try:
        if parts and "".join(map("".join, parts)) == text:
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
            return datetime.now(UTC) - timedelta(seconds=seconds)
        if text.replace(".", "", 1).isdecimal():
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        hint = "as in 10m, 1h30m, 2026-11-29T12:00:00Z, or seconds since 1970"
        raise RequestError(what, f"{text!r} is no time", hint) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_before(time: str, moment: datetime) -> bool:
    """Tell whether an RFC 3339 time is before a moment; one that makes no sense is not."""
    try:
        return datetime.fromisoformat(time) < moment
    except (ValueError, TypeError):
        return False

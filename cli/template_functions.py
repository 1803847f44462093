"""What can be done to a value in a template: docker's functions, and how a value is printed."""

from __future__ import annotations

import json
import re

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WHAT = "--format"  # is named where something makes no sense
_NO_VALUE = "<no value>"  # as Go prints what is not there


def spell(value: Any) -> str:
    """Return a value as Go prints it."""
    if value is None:
        return _NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{spell(item)}' for key, item in sorted(value.items()))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(spell, value))}]"
    return str(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif value is not None:
            value = value[key]
    return value


def _printf(form: str, *values: Any) -> str:
    return re.sub(r"%[vd]", "%s", form) % tuple(map(spell, values))


def _and(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": lambda value: json.dumps(value, separators=(",", ":")),
    "join": lambda values, between: between.join(map(spell, values)),
    "split": lambda text, between: text.split(between),
    "len": len,
    "index": _index,
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "title": lambda text: text.title(),
    "truncate": lambda text, length: text[:length],
    "print": lambda *values: "".join(map(spell, values)),
    "println": lambda *values: " ".join(map(spell, values)) + "\n",
    "printf": _printf,
    "and": _and,
    "or": _or,
    "not": lambda value: not value,
    "eq": lambda first, *others: first in others,
    "ne": lambda first, second: first != second,
}


def find_function(name: str) -> Callable[..., Any]:
    """Return the function of that name.

    Raises:
        RequestError: there is none; tells the nearest.
    """
    if name not in _FUNCTIONS:
        hint = did_you_mean(name, _FUNCTIONS) or f"known are: {', '.join(_FUNCTIONS)}"
        raise RequestError(WHAT, f"there is no function {name}", hint)
    return _FUNCTIONS[name]

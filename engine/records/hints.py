"""Small files in /run/ocinet that save time, and may be lost: what is in them can be found anew."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.base.files import Directory
from ocinet.base.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _Known = TypeVar("_Known")


def recall(run: str, file: str, read: Callable[[Any], _Known], otherwise: _Known) -> _Known:
    """Return what a file tells.

    Args:
        run: the directory.
        file: the name.
        read: takes what is in it, and may fail at it.
        otherwise: what is returned where there is no file, or no sense in it.
    """
    try:
        with Directory(run) as directory:
            data = directory.read(file)
        return read(loads(data, f"cannot read {file}")) if data else otherwise
    except (OcinetError, OSError, KeyError, TypeError):
        return otherwise


def remember(run: str, file: str, known: dict[str, Any]) -> None:
    """Write a file; that it can't be written costs time, no more."""
    try:
        with Directory(run) as directory:
            directory.replace(file, dumps(known))
    except OcinetError:
        return

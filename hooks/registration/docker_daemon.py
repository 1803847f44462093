"""Naming a runtime in dockerd's `daemon.json`, and leaving every other byte alone.

    {"runtimes": {"ocinet": {"path": "/usr/local/sbin/ocinet-runtime"}},
     "default-runtime": "ocinet"}

A runtime is known to Docker by that file alone, so naming ours there is registration
with a file, as it is with podman's and CDI's; Docker's API, which could not do it,
stays unknown to all of hooks. Operators write the file by hand. So it is not rendered
anew: what is added is cut in where it belongs, in the style of what stands around it,
and cut out again. Pure: text in, text out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from json.decoder import JSONDecoder
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import ConflictError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

RUNTIMES = "runtimes"
DEFAULT = "default-runtime"
_BLANK = " \t\r\n"
_INDENT = "    "  # where there is no style to follow


def register(text: str, name: str, launcher: str, *, default: bool = False) -> str:
    """Return a `daemon.json` that knows our runtime.

    Args:
        text: as it is; "" stands for one that is not there.
        name: of the runtime.
        launcher: its absolute path.
        default: whether containers that name no runtime get this one.

    Raises:
        RequestError: it is not a `daemon.json`, or not one that we understand.
        ConflictError: the name is another runtime's, or the default is.
    """
    text = text if text.strip(_BLANK) else "{}\n"
    config = _parse(text)
    runtimes = _runtimes(config)
    entry = runtimes.get(name)
    if entry is not None and not is_runtime(entry, launcher):
        path = entry.get("path") if isinstance(entry, dict) else entry
        raise ConflictError("", f"its runtime {name} is another one: {path}",
                            "take that one out, or choose another --name")  # fmt: skip
    chosen = config.get(DEFAULT)
    if default and chosen not in (None, name):
        raise ConflictError("", f"its {DEFAULT} is {chosen} already",
                            "take that line out, then say --default again")  # fmt: skip
    if RUNTIMES not in config:
        text = _insert(text, (), RUNTIMES, {name: {"path": launcher}})
    elif entry is None:
        text = _insert(text, (RUNTIMES,), name, {"path": launcher})
    if default and chosen is None:
        text = _insert(text, (), DEFAULT, name)
    return _checked(text, lambda config: is_runtime(_runtimes(config).get(name), launcher))


def unregister(text: str, name: str, launcher: str) -> str:
    """Return a `daemon.json` that does not know our runtime any more.

    Another one's of that name stays. The default goes along with ours: dockerd
    does not start with one that it does not know.

    Raises:
        RequestError: it is not a `daemon.json`, or not one that we understand.
    """
    config = _parse(text)
    runtimes = _runtimes(config)
    if not is_runtime(runtimes.get(name), launcher):
        return text
    if config.get(DEFAULT) == name:
        text = _cut(text, (), DEFAULT)
    text = _cut(text, (), RUNTIMES) if len(runtimes) == 1 else _cut(text, (RUNTIMES,), name)
    return _checked(text, lambda config: name not in _runtimes(config))


def is_runtime(entry: object, launcher: str) -> bool:
    """Tell whether an entry of `runtimes` is the one with this launcher."""
    return isinstance(entry, dict) and entry.get("path") == launcher


def launchers(text: str) -> tuple[str, ...]:
    """Return the paths of all runtimes that a `daemon.json` names."""
    entries = _runtimes(_parse(text)).values() if text.strip(_BLANK) else ()
    paths = [entry.get("path") for entry in entries if isinstance(entry, dict)]
    return tuple(path for path in paths if isinstance(path, str))


def is_empty(text: str) -> bool:
    """Tell whether a `daemon.json` says nothing."""
    return _parse(text) == {}


def _parse(text: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
            raise RequestError("", f"it has the key {json.dumps(twice)} twice")
        return members

    try:
        config = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise RequestError("", f"it is not JSON: {error}", "dockerd takes no comments") from error
    if not isinstance(config, dict):
        raise RequestError("", "it is no JSON object")
    return config


def _runtimes(config: dict[str, Any]) -> dict[str, Any]:
    runtimes = config.get(RUNTIMES, {})
    if not isinstance(runtimes, dict):
        raise RequestError("", f"its {RUNTIMES} is no object", "take it out, or mend it")
    return runtimes


def _checked(text: str, is_done: Callable[[dict[str, Any]], bool]) -> str:
    """Return the text, being sure that it says what it was meant to say."""
    if not is_done(_parse(text)):
        raise RequestError("", "it is written in a way that can't be edited", "edit it by hand")
    return text


@dataclass(frozen=True)
class _Member:
    """A member of an object, by its place in the text: `[start, end)`, blanks left out."""

    key: str
    start: int
    value: int
    end: int


def _members(text: str, start: int) -> list[_Member]:
    """Find the members of the object whose `{` is at `start`; the text is known to be JSON."""
    decode = JSONDecoder().raw_decode
    members = []
    place = _skip(text, start + 1)
    while text[place] != "}":
        key, after = decode(text, place)
        value = _skip(text, _skip(text, after) + 1)
        _, end = decode(text, value)
        members.append(_Member(key, place, value, end))
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)
    return members


def _skip(text: str, place: int) -> int:
    while text[place] in _BLANK:
        place += 1
    return place


def _find(text: str, path: tuple[str, ...]) -> int:
    """Return where the object at a path begins."""
    place = _skip(text, 0)
    for key in path:
        place = next(member.value for member in _members(text, place) if member.key == key)
    return place


def _insert(text: str, path: tuple[str, ...], key: str, value: object) -> str:
    """Add a member at the end of an object."""
    start = _find(text, path)
    members = _members(text, start)
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = _indentation(text)
    lead, closing = " ", ""
    if members:
        # What sets the last member off sets off the new one: operators write this file by hand.
        separator = text.rindex("," if members[1:] else "{", 0, members[-1].start)
        lead = text[separator + 1 : members[-1].start] or " "
    elif unit or not path:
        lead = newline + (unit or _INDENT) * (len(path) + 1)
        closing = newline + unit * len(path)
    place = members[-1].end if members else start + 1
    behind = text[place:] if members else text[text.index("}", place) :]
    shown = json.dumps(value)
    if "\n" in lead:
        shown = json.dumps(value, indent=unit or _INDENT)
        shown = shown.replace("\n", newline + lead.rpartition("\n")[2])
    elif not members:
        lead = ""
    comma = "," if members else ""
    return f"{text[:place]}{comma}{lead}{json.dumps(key)}: {shown}{closing}{behind}"


def _indentation(text: str) -> str:
    """Return what the members of the outermost object are indented with, or ""."""
    members = _members(text, _skip(text, 0))
    line = text[: members[0].start].rpartition("\n") if members else ("", "", "")
    return line[2] if line[1] and not line[2].strip(" \t") else ""


def _cut(text: str, path: tuple[str, ...], key: str) -> str:
    """Remove a member, and what separates it from its neighbours."""
    start = _find(text, path)
    members = _members(text, start)
    index = next(index for index, member in enumerate(members) if member.key == key)
    if index:
        return text[: members[index - 1].end] + text[members[index].end :]
    if len(members) > 1:
        return text[: members[0].start] + text[members[1].start :]
    return text[: start + 1] + text[text.index("}", members[0].end) :]

"""This installation as runtimes are to run it, and who else could write to it.

The hook runs as root at every container's start, so whoever can write a file of it,
or replace one on the way to it, is root.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from shlex import quote
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISVTX, S_IWGRP, S_IWOTH
from typing import TYPE_CHECKING, NamedTuple

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.paths import VARIABLES
from ocinet.hooks.config.hook_entry import SEARCH_PATH, Registration, lasting
from ocinet.request.config_json import UP_STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ELF = b"\x7fELF"
_WHAT = "cannot register the hook"
# What hook, watcher and command import besides Python's own, and what that imports.
_IMPORTED = (
    "pyroute2", "structlog", "docker", "requests", "urllib3", "certifi", "idna",
    "charset_normalizer", "chardet", "websocket", "packaging",
)  # fmt: skip


class Flaw(NamedTuple):
    """A file or directory that others could write to.

    Attributes:
        what: one clause.
        remedy: a command that helps, or "".
    """

    what: str
    remedy: str = ""


def resolve(environment: Mapping[str, str], executable: str = sys.executable) -> Registration:
    """Find the interpreter and the script of this installation.

    The interpreter is the real one: a virtual environment's link or a shim in
    front of it costs time at each start and may be gone tomorrow.

    Args:
        environment: its `OCINET_*_DIR` variables become the hook's.
        executable: the interpreter that runs this.

    Raises:
        RequestError: others than root can write to a file of it.
        SystemFailure: one of them is not there, or is no interpreter.
    """
    interpreter = os.path.realpath(executable)
    try:
        with open(interpreter, "rb") as file:
            magic = file.read(len(_ELF))
    except OSError as error:
        raise SystemFailure(_WHAT, f"{interpreter}: {error.strerror}") from error
    # As pyenv's shims are: 77 ms at each start, more than all the wiring.
    if magic != _ELF:
        raise RequestError(_WHAT, f"{interpreter} is a script that starts another interpreter",
                           "run ocinet with that interpreter itself: /usr/bin/python3")  # fmt: skip
    script = own_script()
    named = lasting(interpreter, script)
    for path in (interpreter, script, *named):
        refuse_writers(path, _WHAT, "install ocinet where only root can write")
    for flaw in code_flaws(script):
        raise RequestError(_WHAT, flaw.what, flaw.remedy)
    moved = [f"{name}={environment[name]}" for name in VARIABLES if environment.get(name)]
    return Registration(*named, (f"PATH={SEARCH_PATH}", *moved))


def own_script() -> str:
    """Return the `hook.py` of this very version."""
    return f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/hook.py"


def code_flaws(script: str) -> Iterator[Flaw]:
    """Tell who else could write what runs as root: all code that is loaded, compiled or not.

    Args:
        script: an installation's `hook.py`.

    Yields:
        As `write_flaws` does: of each file and directory of the package, and of those that
        it imports besides, where they are beside it or this interpreter finds them,
        Python's own among them.
    """
    seen: set[str] = set()
    root = script.rsplit("/", 3)[0]
    places = [os.path.dirname(os.__file__)]
    for name in ("ocinet", *_IMPORTED):
        places += {f"{root}/{name}", *_places_of(name)}
    for place in filter(os.path.lexists, places):
        yield from _flaws(place, seen)
        yield from _flaws_below(place, seen)


def _places_of(name: str) -> Iterator[str]:
    """Yield where this interpreter has a package from, if it has it."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return
    if spec is not None:
        origin = [spec.origin] if spec.origin and spec.has_location else []
        yield from spec.submodule_search_locations or origin


def _flaws_below(directory: str, seen: set[str]) -> Iterator[Flaw]:
    if (mark := f"{directory}/") in seen:  # links may lead in a circle
        return
    seen.add(mark)
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = f"{folder}/{name}"
            # What a link leads to is reached by other directories than this one.
            if os.path.islink(path):
                yield from _flaws(path, seen)
                if os.path.isdir(path):
                    yield from _flaws_below(os.path.realpath(path), seen)
            elif path not in seen:
                seen.add(path)
                flaw = _flaw_of(path)
                if flaw:
                    yield flaw


def check_up_stage(stage: str, what: str) -> None:
    """Refuse a stage that can't bring a container up.

    Raises:
        RequestError: it is none of `UP_STAGES`.
    """
    if stage not in UP_STAGES:
        raise RequestError(what, f"{stage!r} is no stage", f"use {' or '.join(UP_STAGES)}")


def refuse_writers(path: str, what: str, hint: str) -> None:
    """Refuse a file or directory that others than root could write to or replace.

    Args:
        path: of it.
        what: can't be done with it then.
        hint: what to do.

    Raises:
        RequestError: it is one.
    """
    for flaw in _flaws(path, set()):
        raise RequestError(what, flaw.what, f"{flaw.remedy}, or {hint}" if flaw.remedy else hint)


def write_flaws(path: str) -> Iterator[str]:
    """Tell what is wrong with a file, or a directory or link on the way to it.

    Yields:
        One clause for each that is missing, or that others than root, or than
        the user that we run as, can write to or replace.
    """
    return (flaw.what for flaw in _flaws(path, set()))


def _flaws(path: str, seen: set[str]) -> Iterator[Flaw]:
    # Both ways to it: who can replace a link on the one chooses where the other one leads.
    for start in (os.path.abspath(path), os.path.realpath(path)):
        part = start
        while part not in seen:
            seen.add(part)
            flaw = _flaw_of(part)
            if flaw:
                yield flaw
            part = os.path.dirname(part)


def _flaw_of(path: str) -> Flaw | None:
    try:
        status = os.lstat(path)
    except OSError as error:
        return Flaw(f"{path}: {error.strerror}")
    if status.st_uid not in (0, os.geteuid()):
        return Flaw(f"{path} belongs to user {status.st_uid}", f"chown -h root {quote(path)}")
    if S_ISLNK(status.st_mode):
        return None  # what counts is the directory that it is in, and what it leads to
    # In such a directory, as /tmp is, nobody can replace what is another's.
    sticky = S_ISDIR(status.st_mode) and status.st_mode & S_ISVTX
    remedy = f"chmod go-w {quote(path)}"
    if status.st_mode & S_IWOTH and not sticky:
        mode = S_IMODE(status.st_mode)
        return Flaw(f"{path} can be written by everyone (mode {mode:04o})", remedy)
    if status.st_mode & S_IWGRP and status.st_gid != 0 and not sticky:
        return Flaw(f"{path} can be written by group {status.st_gid}", remedy)
    return None

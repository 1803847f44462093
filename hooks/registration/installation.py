"""This installation as runtimes are to run it, and who else could write to it.

The hook runs as root at every container's start, so whoever can write a file of it,
or replace one on the way to it, is root.
"""

from __future__ import annotations

import os
import sys
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISVTX, S_IWGRP, S_IWOTH
from typing import TYPE_CHECKING

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.paths import VARIABLES
from ocinet.hooks.config.hook_entry import SEARCH_PATH, Registration
from ocinet.request.config_json import UP_STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ELF = b"\x7fELF"
_WHAT = "cannot register the hook"


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
    if magic != _ELF:
        raise RequestError(_WHAT, f"{interpreter} is a script that starts another interpreter",
                           "run ocinet with that interpreter itself: /usr/bin/python3")  # fmt: skip
    script = f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/hook.py"
    for path in (interpreter, script):
        refuse_writers(path, _WHAT, "install ocinet where only root can write")
    moved = [f"{name}={environment[name]}" for name in VARIABLES if environment.get(name)]
    return Registration(interpreter, script, (f"PATH={SEARCH_PATH}", *moved))


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
    for flaw in write_flaws(path):
        raise RequestError(what, flaw, hint)


def write_flaws(path: str) -> Iterator[str]:
    """Tell what is wrong with a file, or a directory or link on the way to it.

    Yields:
        One clause for each that is missing, or that others than root, or than
        the user that we run as, can write to or replace.
    """
    seen = set()
    for start in (os.path.abspath(path), os.path.realpath(path)):
        part = start
        while part not in seen:
            seen.add(part)
            flaw = _flaw_of(part)
            if flaw:
                yield flaw
            part = os.path.dirname(part)


def _flaw_of(path: str) -> str:
    try:
        status = os.lstat(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    if status.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to user {status.st_uid}"
    if S_ISLNK(status.st_mode):
        return ""  # what counts is the directory that it is in, and what it leads to
    sticky = S_ISDIR(status.st_mode) and status.st_mode & S_ISVTX
    if status.st_mode & S_IWOTH and not sticky:
        return f"{path} can be written by everyone (mode {S_IMODE(status.st_mode):04o})"
    if status.st_mode & S_IWGRP and status.st_gid != 0 and not sticky:
        return f"{path} can be written by group {status.st_gid}"
    return ""

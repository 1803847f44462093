"""What a runtime is told to run: the interpreter, the script, and the little around them.

The same entry stands in a bundle's `config.json` and in a hooks directory:

    {"path": "/usr/bin/python3.11",
     "args": ["python3", "-I", "-S", "/…/ocinet/hooks/hook.py", "createRuntime"],
     "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
     "timeout": 30}

It runs as root at every container's start, so whoever can write a file of it,
or replace one on the way to it, is root.
"""

from __future__ import annotations

import posix
import sys
from _stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISVTX, S_IWGRP, S_IWOTH

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.paths import VARIABLES
from ocinet.base.value import Value
from ocinet.request.config_json import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
REGISTERED_TIMEOUT_S = 30  # the hook's own deadline leaves time to undo before that
_ELF = b"\x7fELF"
_WHAT = "cannot register the hook"


class Registration(Value):
    """What every entry of one registration has in common.

    Attributes:
        interpreter: absolute and resolved.
        script: absolute path of `hook.py`.
        environment: `NAME=value`; all that the hook gets to see.
    """

    interpreter: str
    script: str
    environment: tuple[str, ...] = (f"PATH={SEARCH_PATH}",)

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs the script with these words."""
        return [self.interpreter, *FLAGS, self.script, *words]

    def entry(self, stage: str, *flags: str) -> dict[str, Any]:
        """Return the hook entry for one stage (runtime-spec, config.md, POSIX-platform hooks)."""
        return {
            "path": self.interpreter,
            "args": ["python3", *self.command(stage, *flags)[1:]],
            "env": list(self.environment),
            "timeout": REGISTERED_TIMEOUT_S,
        }


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
    from os.path import abspath, dirname, realpath  # the wrapper is here too, and has no use for it

    interpreter = realpath(executable)
    try:
        with open(interpreter, "rb") as file:
            magic = file.read(len(_ELF))
    except OSError as error:
        raise SystemFailure(_WHAT, f"{interpreter}: {error.strerror}") from error
    if magic != _ELF:
        raise RequestError(_WHAT, f"{interpreter} is a script that starts another interpreter",
                           "run ocinet with that interpreter itself: /usr/bin/python3")  # fmt: skip
    script = f"{dirname(dirname(abspath(__file__)))}/hook.py"
    for path in (interpreter, script):
        for flaw in write_flaws(path):
            raise RequestError(_WHAT, flaw, "install ocinet where only root can write")
    given = [f"{name}={environment[name]}" for name in VARIABLES if environment.get(name)]
    return Registration(interpreter, script, (f"PATH={SEARCH_PATH}", *given))


def write_flaws(path: str) -> Iterator[str]:
    """Tell what is wrong with a file, or a directory or link on the way to it.

    Yields:
        One clause for each that is missing, or that others than root, or than
        the user that we run as, can write to or replace.
    """
    from os.path import abspath, dirname, realpath

    seen = set()
    for start in (abspath(path), realpath(path)):
        part = start
        while part not in seen:
            seen.add(part)
            flaw = _flaw_of(part)
            if flaw:
                yield flaw
            part = dirname(part)


def _flaw_of(path: str) -> str:
    try:
        status = posix.lstat(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    if status.st_uid not in (0, posix.geteuid()):
        return f"{path} belongs to user {status.st_uid}"
    if S_ISLNK(status.st_mode):
        return ""  # what counts is the directory that it is in, and what it leads to
    sticky = S_ISDIR(status.st_mode) and status.st_mode & S_ISVTX
    if status.st_mode & S_IWOTH and not sticky:
        return f"{path} can be written by everyone (mode {S_IMODE(status.st_mode):04o})"
    if status.st_mode & S_IWGRP and status.st_gid != 0 and not sticky:
        return f"{path} can be written by group {status.st_gid}"
    return ""

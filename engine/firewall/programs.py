"""Running nft and iptables: the few things that are not worth encoding.

Cold: imported inside the functions that need it. A hook's environment may be
empty, so programs are looked for in fixed places.
"""

from __future__ import annotations

import os
import subprocess
from typing import IO, TYPE_CHECKING

from ocinet.base.errors import SystemFailure

if TYPE_CHECKING:
    from ocinet.base.clock import Deadline

_PLACES = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin")
_MAX_OUTPUT = 1 << 20
_MAX_ERROR = 300


class MissingProgramError(SystemFailure):
    """A program that is needed is not installed."""


def find(package: str, *names: str) -> str:
    """Return the path of the first of these programs that is installed.

    Args:
        package: what to install if none is.
        names: the same program's, best first.

    Raises:
        MissingProgramError: none is installed.
    """
    for name in names:
        for place in _PLACES:
            if os.access(f"{place}/{name}", os.X_OK):
                return f"{place}/{name}"
    raise MissingProgramError(f"cannot run {names[-1]}", f"it is in none of {', '.join(_PLACES)}",
                              f"apt-get install {package}")  # fmt: skip


def run(
    argv: tuple[str, ...],
    given: str = "",
    deadline: Deadline | None = None,
    *,
    longest: int = _MAX_OUTPUT,
) -> str:
    """Run a program to its end and return what it printed.

    Output goes to memory files, not pipes: no part of it can block the program.

    Args:
        argv: an absolute path and the arguments.
        given: its standard input.
        deadline: of the operation. It may use up what is left of that and has no time of
            its own: at boot of a slow machine, nft alone can take many seconds.
        longest: bytes; what it prints beyond that is cut off.

    Raises:
        SystemFailure: it failed, or was killed when the operation's time was over.
    """
    name = os.path.basename(argv[0])
    with _memory() as stdin, _memory() as stdout, _memory() as stderr:
        stdin.write(given.encode())
        stdin.seek(0)
        try:
            status = subprocess.run(
                argv, check=False, stdin=stdin, stdout=stdout, stderr=stderr,
                timeout=deadline.left_s if deadline else None, cwd="/", env={"LC_ALL": "C"},
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise SystemFailure(
                f"cannot run {name}",
                # Where the time was over before it began, what is left is less than nothing.
                f"it did not end within {max(error.timeout, 0):.1f} s, all that was left "
                "of the time for this operation",
            ) from None
        except OSError as error:
            raise SystemFailure(f"cannot run {name}", error.strerror or str(error)) from error
        if status:
            said = " ".join(_content(stderr, _MAX_ERROR).split())
            ended = f"signal {-status} killed it" if status < 0 else f"exit status {status}"
            raise SystemFailure(f"{name} failed", said or ended)
        return _content(stdout, longest)


def _memory() -> IO[bytes]:
    return open(os.memfd_create("ocinet", os.MFD_CLOEXEC), "w+b", buffering=0)


def _content(file: IO[bytes], longest: int) -> str:
    file.seek(0)
    return file.read(longest).decode("utf-8", "replace")

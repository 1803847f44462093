"""Running nft and iptables: the few things that are not worth encoding.

Cold: imported inside the functions that need it. A hook's environment may be
empty, so programs are looked for in fixed places.
"""

from __future__ import annotations

import os
import subprocess
from typing import IO

from ocinet.base.errors import NotFoundError, SystemFailure

_PLACES = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin")
_TIMEOUT_S = 5.0
_MAX_OUTPUT = 1 << 20
_MAX_ERROR = 300


def find(package: str, *names: str) -> str:
    """Return the path of the first of these programs that is installed.

    Args:
        package: what to install if none is.
        names: the same program's, best first.

    Raises:
        NotFoundError: none is installed.
    """
    for name in names:
        for place in _PLACES:
            if os.access(f"{place}/{name}", os.X_OK):
                return f"{place}/{name}"
    raise NotFoundError(f"cannot run {names[-1]}", f"it is in none of {', '.join(_PLACES)}",
                        f"apt-get install {package}")  # fmt: skip


def run(argv: tuple[str, ...], given: str = "") -> str:
    """Run a program to its end and return what it printed, 1 MiB at most.

    Output goes to memory files, not pipes: no part of it can block the program.

    Args:
        argv: an absolute path and the arguments.
        given: its standard input.

    Raises:
        SystemFailure: it failed, or took longer than 5 s and was killed.
    """
    name = os.path.basename(argv[0])
    with _memory() as stdin, _memory() as stdout, _memory() as stderr:
        stdin.write(given.encode())
        stdin.seek(0)
        try:
            status = subprocess.run(
                argv, check=False, stdin=stdin, stdout=stdout, stderr=stderr, timeout=_TIMEOUT_S,
                cwd="/", env={"LC_ALL": "C"},
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            raise SystemFailure(f"cannot run {name}",
                                f"it took longer than {_TIMEOUT_S:g} s") from None  # fmt: skip
        except OSError as error:
            raise SystemFailure(f"cannot run {name}", error.strerror or str(error)) from error
        if status:
            said = " ".join(_content(stderr, _MAX_ERROR).split()) or f"exit status {status}"
            raise SystemFailure(f"{name} failed", said)
        return _content(stdout, _MAX_OUTPUT)


def _memory() -> IO[bytes]:
    return open(os.memfd_create("ocinet", os.MFD_CLOEXEC), "w+b", buffering=0)


def _content(file: IO[bytes], longest: int) -> str:
    file.seek(0)
    return file.read(longest).decode("utf-8", "replace")

"""What a container calls itself, read and set from outside: its UTS namespace's nodename.

runc and crun set what `config.json` has behind the hooks, and nothing where it has none
(measured: runc 1.1, crun 1.8, createRuntime and prestart alike).
"""

from __future__ import annotations

import posix

from ocinet.engine.kernel.sandbox import StrandedError, libc_functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process

_CLONE_NEWUTS = 0x04000000
_setns, _sethostname = libc_functions("setns", "sethostname")


def exchange_hostname(process: Process, name: str = "") -> str:
    """Return what a process's namespace is called, and give it another name if there is one.

    Args:
        process: the container's first one.
        name: "" leaves it as it is.

    Returns:
        "" if it has the host's namespace, or is gone.

    Raises:
        OSError: it is not allowed.
        StrandedError: there is no way back.
    """
    flags = posix.O_RDONLY | posix.O_CLOEXEC
    try:
        there = posix.open(f"/proc/{process.pid}/ns/uts", flags)
    except (FileNotFoundError, ProcessLookupError):
        return ""
    try:
        back = posix.open("/proc/thread-self/ns/uts", flags)
        try:
            status, own = posix.fstat(there), posix.fstat(back)
            # Had its id been another one's when it was opened, the start time says so.
            if (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino) or not process.alive:
                return ""
            return _inside(there, back, name)
        finally:
            posix.close(back)
    finally:
        posix.close(there)


def _inside(there: int, back: int, name: str) -> str:
    _setns(there, _CLONE_NEWUTS)
    try:
        before = posix.uname().nodename
        if name:
            _sethostname(name.encode(), len(name))
        return before
    finally:
        try:
            _setns(back, _CLONE_NEWUTS)
        except OSError as error:
            raise StrandedError(f"cannot leave the container's hostname: {error}") from error

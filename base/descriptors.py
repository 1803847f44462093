"""The three descriptors that a process is expected to have, and that whoever starts it may close.

What is opened next gets the lowest number that is free. With stderr closed that would be a state
file, a lock or a socket, and what is said to people would be written into it.
"""

from __future__ import annotations

import posix
import sys

_STDERR = 2


def open_closed_streams() -> None:
    """Have /dev/null in the place of each standard stream that is closed.

    Which those are, Python has found out when it started: they are None in `sys`.

    Raises:
        OSError: there is no /dev/null, or no descriptor for it.

    Effects:
        Programs that are run from here on have it as well.
    """
    while (fd := posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)) <= _STDERR:
        posix.set_inheritable(fd, True)  # noqa: FBT003  # has no other form
    posix.close(fd)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115  # for as long as the process lives
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115

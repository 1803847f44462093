"""Whether an engine's processes can be seen from here, and by the numbers that it gives them.

`State.Pid` is a number in the engine's pid namespace. Elsewhere, as in a container that
has the engine's socket but not `--pid=host`, it is nobody's, or another one's. The
kernel tells where an engine is: SO_PEERCRED has the id of who listens at a socket as
the asking process would see it, and 0 where it can't (unix(7), pid_namespaces(7)).
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

from ocinet.base.errors import SystemFailure

if TYPE_CHECKING:
    from typing import Any

SAME = "same"  # the engine's numbers are ours, as far as can be told
BELOW = "below"  # seen, under other numbers: Docker in Docker, or a proxy in a container
HIDDEN = "hidden"

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_CONNECT_S = 1.0
_WHY = "the engine is in another pid namespace than this watcher"
_HINT = "run the watcher in that one; in a container of its own: --pid=host --network=host"

OUT_OF_SIGHT = str(SystemFailure("cannot see the processes of its containers", _WHY, _HINT))


class Sight:
    """What is known of one engine's place; any thread may ask.

    Args:
        path: of the engine's socket.
        log: bound to the engine; told when its processes are out of sight, and are no more.
    """

    def __init__(self, path: str, log: Any) -> None:
        self._path = path
        self._log = log
        self._guard = threading.Lock()
        self._place = SAME  # as long as nobody has looked
        self._has_seen = False
        self._is_told_hidden = False

    @property
    def numbers_count(self) -> bool:
        """Whether a process is the container's because the engine says its number."""
        return self._place not in (BELOW, HIDDEN)

    @property
    def hidden(self) -> bool:
        """Whether no process of the engine's containers can be seen."""
        return self._place == HIDDEN and not self._has_seen

    def look(self) -> None:
        """Look where the engine is; it may be another one at the same socket by now."""
        try:
            place = place_of(self._path)
        except OSError:
            return  # it went away meanwhile, or is not there yet
        with self._guard:
            self._has_seen = self._has_seen and place == self._place
            self._place = place
            self._tell()

    def saw(self) -> None:
        """Note that a container's process was found: a proxy may be hidden, its engine is not."""
        with self._guard:
            self._has_seen = True
            self._tell()

    def failure(self, name: str, pid: int) -> SystemFailure:
        """Return what is to be raised where a container's process can't be found."""
        return SystemFailure(
            f"cannot attach {name}", f"its process {pid} is not to be seen: {_WHY}", _HINT
        )

    def _tell(self) -> None:
        hidden = self._place == HIDDEN and not self._has_seen
        if hidden == self._is_told_hidden:
            return
        self._is_told_hidden = hidden
        if hidden:
            self._log.error("engine out of sight", error=OUT_OF_SIGHT)
        else:
            self._log.info("engine in sight again")


def place_of(path: str) -> str:
    """Return where the process is that listens at a socket: `SAME`, `BELOW` or `HIDDEN`.

    Where the machine's /proc is shown in another pid namespace than its own, numbers
    read there are the machine's, as the engine's are.

    Raises:
        OSError: nobody listens there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_CONNECT_S)
        asking.connect(path)
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid = _CREDENTIALS.unpack(told)[0]
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return SAME
        if pid == 0:
            return HIDDEN
        theirs, ours = (os.stat(f"/proc/{which}/ns/pid") for which in (pid, "self"))
    except OSError:
        return SAME  # whoever made the socket has ended since: systemd's is passed on
    return SAME if theirs.st_ino == ours.st_ino else BELOW

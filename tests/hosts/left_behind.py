"""What a test run started and left: it is known by its UTS namespace, and ends with the run.

A daemon is nobody's child, has a session, a cgroup and an environment of its own, and keeps the
namespaces alive that it is in. But it stays in the UTS namespace in which it was started, and of
these each process that runs tests has its own. Only containers have another, and labs know them
by their cgroups.

As a program it waits for the end of its parent, and ends all in its UTS namespace then: tests may
be killed, as any process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OWN = "/proc/self/ns/uts"
_CLONE_NEWUTS = 0x04000000
_ENDED_WITHIN_S = 20.0  # a killed one ends when it is next to run, on a busy machine
_BETWEEN_S, _LOOKS_S = 0.02, 0.5


class _Seen:
    """A process, as it was a moment ago.

    Args:
        pid: of it.

    Raises:
        OSError: it has ended, if only as a zombie.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.places = {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "mnt")}
        with open(f"/proc/{pid}/stat") as file:
            self.parent = int(file.read().rpartition(")")[2].split()[1])
        with open(f"/proc/{pid}/cmdline") as file:
            self.words = file.read().replace("\0", " ").strip()


def _in_namespace(namespace: str) -> dict[int, _Seen]:
    """Return the processes that live in a UTS namespace."""
    found = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/ns/uts") == namespace:
                found[pid] = _Seen(pid)
    return found


class Run:
    """A process that runs tests, and what it starts.

    Args:
        namespace: its UTS namespace, as in /proc/PID/ns; "" if it has none of its own.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace

    def left(self) -> dict[int, str]:
        """Return the command lines of those that were started here and are nobody's any more.

        Not those that share a network or mounts with one of our children: an engine's
        helpers are nobody's either, and end with the engine's lab.
        """
        if not self._namespace:
            return {}
        seen = _in_namespace(self._namespace)
        own = seen.pop(os.getpid()).places
        ours, size = {os.getpid()}, 0
        while len(ours) > size:
            size = len(ours)
            ours |= {pid for pid, each in seen.items() if each.parent in ours}
        held = {place for pid in ours & seen.keys() for place in seen[pid].places} - own
        return {
            pid: each.words
            for pid, each in seen.items()
            if pid not in ours and not each.places & held
        }

    def end_left(self) -> None:
        """End them, and whom they start meanwhile.

        Raises:
            AssertionError: they don't end.
        """
        end = time.monotonic() + _ENDED_WITHIN_S
        while left := self.left():
            assert time.monotonic() < end, f"processes that don't end: {left}"
            _kill(left)
            time.sleep(_BETWEEN_S)

    def assert_nobody_left(self, within_s: float = _ENDED_WITHIN_S) -> None:
        """Fail if a process is left behind and stays; it is ended all the same.

        Args:
            within_s: how long one may take to end by itself.

        Raises:
            AssertionError: it says who it was.
        """
        end = time.monotonic() + within_s
        while left := self.left():
            if time.monotonic() > end:
                self.end_left()
                raise AssertionError(f"processes left behind: {left}")
            time.sleep(_BETWEEN_S)


RUN = Run()


@contextmanager
def begun_run() -> Iterator[None]:
    """Know what this process starts from here on; at the end nobody of it may be left.

    Without root there are no namespaces, and so no daemons in them.
    """
    global RUN  # there is one in a process, and forked children have it too
    before = os.readlink(_OWN)
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUTS):
        yield
        return
    namespace = os.readlink(_OWN)
    # Of a thread beside the first it would be that one's alone, and all the machine's ours.
    assert namespace != before, "not the first thread"
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), namespace],
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    RUN = Run(namespace)
    try:
        yield
        RUN.assert_nobody_left()
    finally:
        RUN = Run()
        guard.kill()
        guard.wait()


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _guard(parent: int, namespace: str) -> None:
    """End all in this UTS namespace once a process has ended whose child this is."""
    assert os.readlink(_OWN) == namespace
    while os.getppid() == parent:
        time.sleep(_LOOKS_S)
    while others := _in_namespace(namespace).keys() - {os.getpid()}:
        _kill(others)
        time.sleep(_BETWEEN_S)


if __name__ == "__main__":
    _guard(int(sys.argv[1]), sys.argv[2])

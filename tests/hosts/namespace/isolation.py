"""Network namespaces to test in: each test in its own, in a child process.

`@in_namespaces` runs a test in a forked child that has unshared its network and
mount namespaces; whatever it raises comes back to pytest. `Sandboxes` are
further namespaces, each with a sleeping process. What the kernel says is read by
`ip -j` and never with the code under test.
"""

from __future__ import annotations

import ctypes
import functools
import os
import pickle
import signal
import sys
import traceback
from typing import TYPE_CHECKING, ParamSpec

import pytest

from hosts import left_behind
from hosts.descriptors import assert_none_opened, open_descriptors
from hosts.name_server import NAMESPACE_CONFIG, leave_names_off
from hosts.namespace.looks import run
from hosts.requirements import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from coverage import Coverage

_Parameters = ParamSpec("_Parameters")

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP, _CAP_NET_ADMIN = 24, 12
_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _enter_new_namespaces() -> None:
    _checked(_LIBC.unshare(_CLONE_NEWNET | _CLONE_NEWNS), "unshare")
    _checked(_LIBC.mount(b"none", b"/", None, _MS_REC_PRIVATE, None), "mount --make-rprivate /")
    _checked(_LIBC.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=0755"), "mount /run")
    run("ip link set lo up")
    leave_names_off(NAMESPACE_CONFIG)


def _enter(beside: int) -> bool:
    if not beside:
        return not _LIBC.unshare(_CLONE_NEWNET)
    with open(f"/proc/{beside}/ns/net") as namespace:
        return not _LIBC.setns(namespace.fileno(), _CLONE_NEWNET)


def own_etc() -> None:
    """Lay something of this test's own over /etc and /var/log, with the machine's showing through.

    What programs write there must not be the machine's.
    """
    run("mount -t tmpfs tmpfs /mnt")
    run("mkdir /mnt/above /mnt/work /mnt/log")
    run("mount -t overlay -o lowerdir=/etc,upperdir=/mnt/above,workdir=/mnt/work overlay /etc")
    run("mount --bind /mnt/log /var/log")


class Sleeper:
    """A process that sleeps in a network namespace of its own, in a `with` block.

    Args:
        beside: the id of a process, to sleep in that one's namespace.
        bounded: whether it may not change its network, as most containers.

    Attributes:
        pid: of the process.
    """

    def __init__(self, *, beside: int = 0, bounded: bool = False) -> None:
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            entered = _enter(beside)
            if bounded:
                _LIBC.prctl(_PR_CAPBSET_DROP, _CAP_NET_ADMIN)
            os.write(tell, b"y" if entered else b"n")
            while True:
                signal.pause()
        os.close(tell)
        said = os.read(ready, 1)
        os.close(ready)
        assert said == b"y", "no namespace"

    def __enter__(self) -> Sleeper:
        """Return itself; ended with the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the process, and its namespace if nothing else holds it."""
        self.end()

    def end(self) -> None:
        """Kill the process and wait for it; a second time does nothing."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def in_namespaces(test: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Run a test in network and mount namespaces of its own, in a child process.

    There, `/run` is empty, `lo` is up, and nothing else is. The child must end
    with the descriptors that it began with. Fixtures are made outside of it. Who
    still runs in there when it has ended, however it did, is ended.
    """

    @functools.wraps(test)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        require(ROOT)
        reading, writing = os.pipe()
        measured = _counting()
        if measured:  # or the child would save what its parent has seen once more
            measured.get_data()
        pid = os.fork()
        if pid == 0:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(reading)
            outcome = b"\x80"
            try:
                outcome = _outcome(functools.partial(test, *args, **kwargs))
                if measured:
                    measured.save()
            finally:
                try:
                    os.write(writing, outcome)
                finally:  # nobody reads any more: it must not go on as a second pytest
                    os._exit(0)
        os.close(writing)
        try:
            with os.fdopen(reading, "rb") as told:
                outcome = told.read()
        except BaseException:  # out of time
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            os.waitpid(pid, 0)
            # Daemons, as a name server is, are not the child's to end: it may have been killed.
            left_behind.RUN.end_left()
        kind, text = pickle.loads(outcome) if outcome else ("failed", "the child died")  # noqa: S301  # our own child's
        if kind == "skipped":
            pytest.skip(text)
        if kind == "failed":
            pytest.fail(f"in its namespaces:\n{text}", pytrace=False)

    return wrapped


def leave_uncounted() -> None:
    """Count no branches in this process from here on.

    For tests of a process's own size: what counts keeps something of every thread.
    """
    while counting := _counting():  # a worker of xdist has two of them
        counting.stop()


def _counting() -> Coverage | None:
    """Return what counts the branches that this process takes, if anything does."""
    coverage = sys.modules.get("coverage")
    return coverage.Coverage.current() if coverage else None


def _outcome(test: Callable[[], None]) -> bytes:
    try:
        _enter_new_namespaces()
        before = open_descriptors()
        test()
        assert_none_opened(before)
    except pytest.skip.Exception as skipped:
        return pickle.dumps(("skipped", str(skipped)))
    except BaseException:  # noqa: BLE001  # it is told to pytest, by the parent
        return pickle.dumps(("failed", traceback.format_exc()))
    return pickle.dumps(("passed", ""))

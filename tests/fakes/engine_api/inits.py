"""The first processes of fake containers."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Protocol

# Linux gives no process a higher id than this (PID_MAX_LIMIT).
_PID_MAX = 4 * 1024 * 1024
_PATIENCE_S = 5.0
# The namespaces are made inside the cgroup, as runc does: for a moment a process
# is there in the host's namespace, and a first stage stays beside the init.
_JOIN = 'echo $$ > "$0/cgroup.procs"; exec "$@"'
_INIT = ("unshare", "--net", "--pid", "--fork", "sh", "-c", "echo ready; exec cat")


class Init(Protocol):
    """A container's first process."""

    @property
    def pid(self) -> int:
        """Its id, as the engine tells it."""

    def end(self) -> None:
        """Make an end of it, if it has not come to one."""


class Number:
    """A process id that is nobody's.

    Args:
        pid: the id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def end(self) -> None:
        """Do nothing."""


class Numbers:
    """Gives each start a process id of its own that no process can have."""

    def __init__(self) -> None:
        self._next = itertools.count(_PID_MAX + 1)

    def __call__(self, _container_id: str) -> Init:
        """Return the next one."""
        return Number(next(self._next))


class Sandbox:
    """A process that is the first of a network and a pid namespace of its own.

    It ends with the test's process, however that ends.

    Args:
        cgroup: the directory to run it in, made if need be; "" for the test's own.
    """

    def __init__(self, cgroup: str = "") -> None:
        self._cgroup = cgroup
        words: tuple[str, ...] = _INIT
        if cgroup:
            os.makedirs(cgroup, exist_ok=True)
            words = ("sh", "-c", _JOIN, cgroup, *_INIT)
        self._stage = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._stage.stdout is not None
        told = self._stage.stdout.readline()
        assert told == b"ready\n", "unshare failed: is this root?"
        stage = self._stage.pid
        self.pid = int(Path(f"/proc/{stage}/task/{stage}/children").read_text().split()[0])

    def kill(self) -> None:
        """Kill it behind the engine's back; `end` is still to be called."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._stage.wait(_PATIENCE_S)

    def end(self) -> None:
        """Kill it, and remove its cgroup; a second time does nothing."""
        if self._stage.returncode is None:
            self.kill()
        for stream in (self._stage.stdin, self._stage.stdout):
            assert stream is not None
            stream.close()
        if self._cgroup:
            _remove(self._cgroup)


class Sandboxes:
    """Gives each start a `Sandbox`; a context manager that ends them all.

    Args:
        cgroups: whether each runs in a cgroup `PARENT/ID`, as Docker's do, where
            one looks for those.

    Attributes:
        parent: the directory of the containers' cgroups; "" without cgroups.
        latest: by container id, the one of its latest start.
    """

    def __init__(self, *, cgroups: bool = False) -> None:
        self.parent = f"{_hierarchy()}/ocinet-fake-{uuid.uuid4().hex[:8]}" if cgroups else ""
        self.latest: dict[str, Sandbox] = {}

    def __call__(self, container_id: str) -> Init:
        """Start one."""
        sandbox = Sandbox(self.parent and f"{self.parent}/{container_id}")
        self.latest[container_id] = sandbox
        return sandbox

    def __enter__(self) -> Sandboxes:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End every one of them."""
        for sandbox in self.latest.values():
            sandbox.end()
        if self.parent:
            _remove(self.parent)


def _hierarchy() -> str:
    root = "/sys/fs/cgroup"
    return root if os.path.exists(f"{root}/cgroup.controllers") else f"{root}/pids"


def _remove(cgroup: str) -> None:
    """Remove a cgroup; its last process may take a moment to leave it."""
    deadline = time.monotonic() + _PATIENCE_S
    while os.path.isdir(cgroup):
        try:
            os.rmdir(cgroup)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)

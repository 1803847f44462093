"""Early attach: a sandbox is found while its container is being started."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import run
from hosts.waiting import wait_until
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.life import find_life
from ocinet.watcher.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.watcher.life import Life

WEB = "c0ffee" * 10 + "0123"
_LONG_S = 10.0


class FirstProcess:
    """The first process of a new pid namespace in a new network, as a runtime makes it."""

    def __init__(self) -> None:
        words = ("unshare", "--net", "--pid", "--fork", "--kill-child", "sleep", "1000")
        self._parent = subprocess.Popen(words)
        self.pid = wait_until(self._child, "a first process", timeout_s=_LONG_S)

    def _child(self) -> int:
        path = f"/proc/{self._parent.pid}/task/{self._parent.pid}/children"
        with open(path) as file:
            children = file.read().split()
        return int(children[0]) if children else 0

    @property
    def stage(self) -> int:
        """The process that made the namespaces: in the new network, outside the new pids."""
        return self._parent.pid

    def end(self) -> None:
        """End both."""
        self._parent.kill()
        self._parent.wait()


class Tree:
    """A cgroup tree in a directory, whose processes a test writes."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(dir="/run")
        os.makedirs(f"{self.root}/pids/docker")

    def put(self, *pids: int, container: str = WEB) -> None:
        """Put processes into a container's cgroup, made if it is not there."""
        directory = f"{self.root}/pids/docker/{container}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/new", "w") as file:
            file.write("".join(f"{pid}\n" for pid in pids))
        os.rename(f"{directory}/new", f"{directory}/cgroup.procs")


@in_namespaces
def test_first_process_is_the_one_to_follow() -> None:
    """Not the runtime's stage beside it, which is about to end."""
    started = FirstProcess()
    try:
        life = find_life((os.getpid(), started.stage, started.pid), settled=False)
        assert life is not None
        with life.sandbox:
            assert life.process.pid == started.pid
            inode = os.stat(f"/proc/{started.pid}/ns/net").st_ino
            assert life.sandbox.identity.endswith(f":{inode}")
        assert find_life((started.stage,), settled=False) is None
    finally:
        started.end()


@in_namespaces
def test_process_of_the_hosts_pids_is_taken_when_nothing_else_comes() -> None:
    """With --pid=host there is no first one."""
    with Sleeper() as sleeper:
        assert find_life((sleeper.pid,), settled=False) is None
        life = find_life((os.getpid(), sleeper.pid), settled=True)
        assert life is not None
        life.sandbox.close()
        assert life.process.pid == sleeper.pid


@in_namespaces
def test_passing_process_of_runc_is_never_taken() -> None:
    """On a busy machine its first stage stays for longer than one waits with --pid=host."""
    pose = "printf 'runc:[1:CHILD]' > /proc/$$/comm; echo; read forever"
    words = ("unshare", "--net", "sh", "-c", pose)
    stage = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with stage, Sleeper() as first:
        assert stage.stdout
        stage.stdout.readline()
        assert find_life((stage.pid,), settled=True) is None
        life = find_life((stage.pid, first.pid), settled=True)
        stage.kill()
        assert life is not None
        life.sandbox.close()
        assert life.process.pid == first.pid


@in_namespaces
def test_processes_in_the_hosts_network_are_no_sandbox() -> None:
    """The runtime itself, and whoever has gone meanwhile."""
    with Sleeper() as sleeper:
        gone = sleeper.pid
    assert find_life((os.getpid(), gone), settled=True) is None


@contextmanager
def looking() -> Iterator[tuple[Tree, Lookout, FirstProcess]]:
    """Yield a lookout in a tree of its own, and a container's process; it meets no failure."""
    tree = Tree()
    failures: list[BaseException] = []
    lookout = Lookout(Cgroups(tree.root), failures.append)
    lookout.start()
    started = FirstProcess()
    try:
        yield tree, lookout, started
    finally:
        lookout.stop()
        started.end()
        shutil.rmtree(tree.root)
    assert failures == []


@in_namespaces
def test_lookout_waits_for_what_comes_step_by_step() -> None:
    """No cgroup, an empty one, the runtime's own process, the container's."""
    lives: list[Life] = []
    with looking() as (tree, lookout, started):
        lookout.expect(WEB, lives.append)
        tree.put()
        tree.put(os.getpid())
        run("sleep 0.05")
        assert lives == []
        tree.put(os.getpid(), started.pid)
        wait_until(lambda: lives, "the container's process is found", timeout_s=_LONG_S)
        lives[0].sandbox.close()
        assert lives[0].process.pid == started.pid
        run("sleep 0.02")
        assert len(lives) == 1, "it goes on looking for what it has found"


@in_namespaces
def test_lookout_forgets_what_has_ended() -> None:
    """A container that failed to start is not looked for until the end of days."""
    lives: list[Life] = []
    other: list[Life] = []
    with looking() as (tree, lookout, started):
        lookout.expect(WEB, lives.append)
        lookout.forget(WEB)
        lookout.expect("feed", other.append)
        tree.put(started.pid)
        tree.put(started.pid, container="feed")
        wait_until(lambda: other, "the container's process is found", timeout_s=_LONG_S)
        other[0].sandbox.close()
        assert lives == []

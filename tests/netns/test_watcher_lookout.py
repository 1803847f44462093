"""Early attach: a sandbox is found while its container is being started."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import run
from hosts.waiting import wait_until
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.life import find_life
from ocinet.watcher.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.watcher.life import Life

WEB, DB, THIRD = (word * 10 + "0123" for word in ("c0ffee", "decade", "facade"))
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
def test_first_process_is_followed_though_another_is_listed_before_it() -> None:
    """What `exec` starts ends before its container; numbers begin anew, so it may be lower."""
    started = FirstProcess()
    try:
        with Sleeper() as sleeper:
            life = find_life((sleeper.pid, started.pid), settled=True)
        assert life is not None
        life.sandbox.close()
        assert life.process.pid == started.pid
    finally:
        started.end()


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
def looking(
    appeared: Callable[[str], None] = lambda _container: None,
) -> Iterator[tuple[Tree, Lookout, FirstProcess]]:
    """Yield a lookout in a tree of its own, and a container's process; it meets no failure."""
    tree = Tree()
    failures: list[BaseException] = []
    lookout = Lookout(Cgroups(tree.root), appeared, failures.append)
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


@in_namespaces
def test_lookout_delivers_nobody_who_was_forgotten_while_it_looked() -> None:
    """It goes through a list that was made before."""
    lives: list[Life] = []
    other: list[Life] = []
    started = FirstProcess()

    class Found(Cgroups):
        def processes(self, container_id: str) -> tuple[int, ...]:
            if container_id == WEB:
                lookout.forget(WEB)
            return (started.pid,)

    tree = Tree()
    failures: list[BaseException] = []
    lookout = Lookout(Found(tree.root), lambda _container: None, failures.append)
    lookout.start()
    try:
        lookout.expect(WEB, lives.append)
        lookout.expect("feed", other.append)
        wait_until(lambda: other, "the other one is found", timeout_s=_LONG_S)
        other[0].sandbox.close()
    finally:
        lookout.stop()
        started.end()
        shutil.rmtree(tree.root)
    assert (lives, failures) == ([], [])


@in_namespaces
def test_cgroup_that_is_made_is_told_and_looked_into() -> None:
    """Nobody had to say that the container is being started."""
    lives: list[Life] = []
    told: list[str] = []

    def appeared(container: str) -> None:
        told.append(container)
        lookout.expect(container, lives.append)

    with looking(appeared) as (tree, lookout, started):
        assert not lookout.has_appeared(WEB)
        tree.put()
        wait_until(lambda: told == [WEB], "the cgroup is told of", timeout_s=_LONG_S)
        assert lookout.has_appeared(WEB)
        tree.put(started.pid)
        wait_until(lambda: lives, "the container's process is found", timeout_s=_LONG_S)
        lives[0].sandbox.close()
        assert lives[0].process.pid == started.pid
        lookout.forget(WEB)
        assert not lookout.has_appeared(WEB)


@in_namespaces
def test_cgroup_below_a_parent_that_is_told_is_told_of_as_others_are() -> None:
    """Though nothing of the parent is there yet, or it was made just before that was told."""
    told: list[str] = []
    with looking(told.append) as (tree, lookout, _started):
        lookout.tell_parent(WEB, "shop-front.slice")
        os.makedirs(f"{tree.root}/pids/shop.slice/shop-front.slice/docker-{WEB}.scope")
        os.makedirs(f"{tree.root}/pids/ci/jobs/{DB}")
        lookout.tell_parent(DB, "ci/jobs")
        wait_until(lambda: len(told) > 1, "both are told of", timeout_s=_LONG_S)
        lookout.tell_parent(DB, "ci/jobs")
        os.mkdir(f"{tree.root}/pids/ci/jobs/{THIRD}")
        wait_until(lambda: THIRD in told, "the parent is watched", timeout_s=_LONG_S)
        assert sorted(told) == sorted([WEB, DB, THIRD])


@in_namespaces
def test_lookout_sleeps_while_nothing_is_expected() -> None:
    """A machine that starts no container pays nothing."""
    with looking() as (_tree, _lookout, _started):
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "lookout"]
        schedstat = Path(f"/proc/self/task/{thread.native_id}/schedstat")
        run("sleep 0.1")
        before = schedstat.read_text()
        run("sleep 0.3")
        assert schedstat.read_text() == before


@in_namespaces
def test_lookout_does_without_inotify_and_says_so() -> None:
    """Where all instances are taken, what the engine tells is all that there is."""
    lives: list[Life] = []
    failures: list[BaseException] = []
    tree, started = Tree(), FirstProcess()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    lookout = Lookout(Cgroups(tree.root), lambda _container: None, failures.append)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))
    try:
        lookout.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert "cannot watch cgroups being made: Too many open files" in str(failures[0])
        lookout.expect(WEB, lives.append)
        tree.put(started.pid)
        wait_until(lambda: lives, "the container's process is found", timeout_s=_LONG_S)
        lives[0].sandbox.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        lookout.stop()
        started.end()
        shutil.rmtree(tree.root)

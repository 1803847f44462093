"""Sandboxes: opened by process and by path, entered and left again."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import ip_json, run
from ocinet.base.clock import Process
from ocinet.base.errors import NotFoundError, RequestError, SystemFailure
from ocinet.engine.kernel import sandbox as module
from ocinet.engine.kernel.sandbox import Sandbox, StrandedError, check_privilege, entered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLONE_NEWUSER = 0x10000000
NOBODY = 65534


def process_of(pid: int) -> Process:
    process = Process.of(pid)
    assert process is not None
    return process


def identity_of(path: str) -> str:
    status = os.stat(path)
    return f"{status.st_dev}:{status.st_ino}"


def in_child(act: Callable[[], None]) -> str:
    """Return the error that an act in a forked child ends with, or ""."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = "died"
        try:
            act()
            told = ""
        except BaseException as error:  # noqa: BLE001  # it is told to the parent
            told = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, told.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told_there:
        found = told_there.read()
    os.waitpid(pid, 0)
    return found


@in_namespaces
def test_open_process_has_the_identity_of_its_namespace() -> None:
    """DEV:INODE, as stat(2) says of /proc/PID/ns/net."""
    with Sleeper() as sleeper, Sandbox.open_process(process_of(sleeper.pid)) as sandbox:
        assert sandbox.identity == identity_of(f"/proc/{sleeper.pid}/ns/net")
        assert not sandbox.is_host
        sandbox.check(process_of(sleeper.pid))


@in_namespaces
def test_open_process_in_our_namespace_is_the_hosts() -> None:
    """Which the engine refuses to wire."""
    with Sandbox.open_process(process_of(os.getpid())) as sandbox:
        assert sandbox.is_host


@in_namespaces
def test_is_host_in_a_thread_means_the_threads_namespace() -> None:
    """Not the one of the main thread, which /proc/self shows."""
    seen: list[bool] = []

    def look(sandbox: Sandbox) -> None:
        with entered(sandbox):
            seen.append(sandbox.is_host)
        seen.append(sandbox.is_host)

    with Sleeper() as sleeper, Sandbox.open_process(process_of(sleeper.pid)) as sandbox:
        thread = threading.Thread(target=look, args=(sandbox,))
        thread.start()
        thread.join()
    assert seen == [True, False]


@in_namespaces
def test_open_process_of_a_reused_pid_is_refused() -> None:
    """The id is there, and so is a namespace, but it is another process's."""
    with Sleeper() as sleeper:
        process = process_of(sleeper.pid)
        earlier = process.replace(start_time=process.start_time - 1)
        with pytest.raises(NotFoundError, match=f"process {sleeper.pid}: the process is gone"):
            Sandbox.open_process(earlier)


@in_namespaces
def test_open_process_gone_is_told() -> None:
    """A process that has been waited for, and one that has not."""
    with Sleeper() as sleeper:
        process = process_of(sleeper.pid)
        os.kill(sleeper.pid, signal.SIGKILL)
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NotFoundError, match="gone"):
            Sandbox.open_process(process)
    with pytest.raises(NotFoundError, match="gone"):
        Sandbox.open_process(process)


@in_namespaces
def test_check_process_that_died_or_moved_is_refused() -> None:
    """The namespace stays open; the process is no longer in it."""
    with Sleeper() as one, Sleeper() as other:
        process = process_of(one.pid)
        with Sandbox.open_process(process_of(other.pid)) as sandbox:
            with pytest.raises(SystemFailure, match="moved to another"):
                sandbox.check(process)
            one.end()
            with pytest.raises(NotFoundError, match="gone"):
                sandbox.check(process)


@in_namespaces
def test_open_path_follows_names_of_ip_netns_and_links() -> None:
    """A bind mount as `ip netns add` makes it, and a symbolic link as we do."""
    run("ip netns add blue")
    with Sleeper() as sleeper:
        os.symlink(f"/proc/{sleeper.pid}/ns/net", "/run/netns/red")
        with Sandbox.open_path("/run/netns/blue") as blue:
            assert blue.identity == identity_of("/run/netns/blue")
        with Sandbox.open_path("/run/netns/red") as red:
            assert red.identity == identity_of(f"/proc/{sleeper.pid}/ns/net")


@in_namespaces
def test_open_path_of_nothing_is_told() -> None:
    """No file, and a link whose process is gone."""
    with pytest.raises(NotFoundError, match="there is no such file"):
        Sandbox.open_path("/run/netns/none")
    os.symlink("/proc/4194305/ns/net", "/run/red")
    with pytest.raises(NotFoundError, match="the process that it belonged to is gone"):
        Sandbox.open_path("/run/red")


@in_namespaces
def test_open_path_of_what_is_no_network_namespace_is_refused() -> None:
    """Another kind of namespace, a file, a directory, a device, a pipe without a writer."""
    with open("/run/file", "w", encoding="ascii"):
        pass
    os.mkfifo("/run/fifo")
    for path in ("/proc/self/ns/mnt", "/run/file", "/run", "/dev/null", "/run/fifo"):
        with pytest.raises(RequestError, match="it is no network namespace"):
            Sandbox.open_path(path)


def test_open_path_with_a_zero_byte_is_refused() -> None:
    """It comes from a command line or a bundle, and is no crash."""
    with pytest.raises(SystemFailure, match="null"):
        Sandbox.open_path("/run/\0")


def test_close_twice_is_fine(tmp_path: Path) -> None:
    """And closes nobody else's file."""
    sandbox = Sandbox(os.open("/proc/self/ns/net", os.O_RDONLY))
    sandbox.close()
    with open(tmp_path / "other", "w", encoding="ascii") as other:
        sandbox.close()
        assert os.fstat(other.fileno())


@in_namespaces
def test_entered_is_inside_and_comes_back() -> None:
    """After an error as well; a socket made inside stays there."""
    home = identity_of("/proc/thread-self/ns/net")
    with Sleeper() as sleeper, Sandbox.open_process(process_of(sleeper.pid)) as sandbox:
        run("ip link add inside type bridge", pid=sleeper.pid)

        def look_and_fail() -> None:
            with entered(sandbox):
                assert identity_of("/proc/thread-self/ns/net") == sandbox.identity
                assert "inside" in [name for _, name in socket.if_nameindex()]
                raise KeyError

        with pytest.raises(KeyError):
            look_and_fail()
        assert identity_of("/proc/thread-self/ns/net") == home
        assert [link["ifname"] for link in ip_json("link")] == ["lo"]


@in_namespaces
def test_entered_without_a_way_back_stops_the_thread() -> None:
    """It is no Exception, so that no undo goes on in the wrong namespace."""
    with Sleeper() as sleeper, Sandbox.open_process(process_of(sleeper.pid)) as sandbox:

        def strand() -> None:
            stay = entered(sandbox)
            with stay:
                os.dup2(os.open("/dev/null", os.O_RDONLY), stay._back)

        told = in_child(strand)
    assert told == "StrandedError: cannot leave the sandbox: Invalid argument"
    assert not issubclass(StrandedError, Exception)


@in_namespaces
def test_entered_what_is_no_namespace_fails_and_stays() -> None:
    """The errno of setns comes through, however it is called."""
    home = identity_of("/proc/thread-self/ns/net")
    sandbox = Sandbox(os.open("/dev/null", os.O_RDONLY))

    def enter() -> None:
        with entered(sandbox):
            pytest.fail("it is inside of /dev/null")

    with pytest.raises(SystemFailure, match="cannot enter the sandbox: Invalid argument"):
        enter()
    sandbox.close()
    assert identity_of("/proc/thread-self/ns/net") == home


@in_namespaces
def test_setns_by_ctypes_works_and_reports_the_errno() -> None:
    """The way of Python 3.11, whatever version runs the tests."""
    (setns,) = module.libc_functions("setns")
    with pytest.raises(OSError, match="Bad file descriptor"):
        setns(-1, 0x40000000)
    with Sleeper() as sleeper, Sandbox.open_process(process_of(sleeper.pid)) as sandbox:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        setns(sandbox.fd, 0x40000000)
        there = identity_of("/proc/thread-self/ns/net")
        setns(home, 0x40000000)
        os.close(home)
        assert there == sandbox.identity


@in_namespaces
def test_check_privilege_of_root_passes() -> None:
    """Root in a namespace of its own user namespace may do everything."""
    check_privilege()


@in_namespaces
def test_check_privilege_rootless_is_told() -> None:
    """Root of an inner user namespace has all capabilities, and none that count here."""
    libc = ctypes.CDLL(None, use_errno=True)

    def rootless() -> None:
        if libc.unshare(CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), "unshare")
        check_privilege()

    told = in_child(rootless)
    if told.startswith("OSError"):
        pytest.skip(f"user namespaces are off: {told}")
    assert told.startswith("SystemFailure: cannot change the host's network: ")
    assert "this is rootless" in told


@in_namespaces
def test_check_privilege_without_capabilities_is_told() -> None:
    """They are named."""

    def drop() -> None:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        check_privilege()

    assert "it lacks CAP_NET_ADMIN and CAP_SYS_ADMIN" in in_child(drop)


@in_namespaces
def test_open_process_of_another_user_without_root_is_told() -> None:
    """The permission that is missing is named, not only the file."""
    with Sleeper() as sleeper:
        process = process_of(sleeper.pid)

        def look() -> None:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            Sandbox.open_process(process)

        told = in_child(look)
    assert f"cannot open the sandbox of process {process.pid}: it lacks CAP_NET_ADMIN" in told

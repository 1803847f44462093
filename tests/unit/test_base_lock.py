"""Locks: one holder, a deadline, and the holder's name."""

from __future__ import annotations

import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from ocinet.base.clock import Deadline
from ocinet.base.errors import BusyError, SystemFailure
from ocinet.base.lock import Lock, holder_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of a lock in a directory that is not there yet."""
    return f"{tmp_path}/locks/it"


def test_lock_makes_its_private_file(path: str) -> None:
    """Directory and file are closed to others; the file stays, the descriptor does not."""
    with Lock(path, "it", None) as lock:
        assert os.fstat(lock.fd).st_ino == os.stat(path).st_ino

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_lock_can_be_taken_again_after_release(path: str) -> None:
    """An error inside the block releases it too."""
    lock = Lock(path, "it", None)
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 // 0
    with lock:
        pass


def test_lock_without_a_deadline_fails_at_once(path: str) -> None:
    """The error names the process that holds it."""
    with Lock(path, "it", None), pytest.raises(BusyError) as raised:
        Lock(path, "network lan", None).__enter__()

    with open("/proc/self/comm", encoding="utf-8") as comm:
        command = comm.read().strip()
    assert raised.value.what == "cannot lock network lan"
    assert raised.value.why == f"process {os.getpid()} ({command}) holds it"


def test_lock_past_its_deadline_says_how_long_it_waited(path: str) -> None:
    """It waits no longer than it is told to."""
    deadline = Deadline(0.01)
    with Lock(path, "it", None), pytest.raises(BusyError, match=r"holds it for 0\.01 s"):
        Lock(path, "it", deadline).__enter__()
    assert deadline.left_s == 0


def test_lock_that_is_released_in_time_is_had(path: str) -> None:
    """Waiting is not failing: the holder in a child lets go when it is asked to."""
    ready, tell = os.pipe()
    pid = os.fork()
    if not pid:
        with Lock(path, "it", None):
            os.write(tell, b"x")
            deadline = Deadline(0.02)
            while deadline.left_s:
                pass
        os._exit(0)
    assert os.read(ready, 1) == b"x"
    with Lock(path, "it", Deadline(5)):
        pass
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(tell)


def test_lock_of_who_is_stopped_is_left_by_who_can_do_without(path: str) -> None:
    """At once, and not after its whole time; and which command helps is said."""
    ready, tell = os.pipe()
    pid = os.fork()
    if not pid:
        with Lock(path, "it", None):
            os.write(tell, b"x")
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    assert os.read(ready, 1) == b"x"
    os.waitpid(pid, os.WUNTRACED)
    deadline = Deadline(300)
    with pytest.raises(BusyError, match=f"process {pid} .* holds it, and is stopped") as busy:
        Lock(path, "it", deadline, leaves_stopped=True).__enter__()
    assert busy.value.hint == f"kill -CONT {pid}"
    assert deadline.left_s > 200
    os.kill(pid, signal.SIGCONT)
    with Lock(path, "it", deadline, leaves_stopped=True):
        pass
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(tell)


def test_lock_is_not_inherited_by_programs(path: str) -> None:
    """A program started meanwhile must not keep it."""
    with Lock(path, "it", None) as lock:
        assert not os.get_inheritable(lock.fd)


def test_lock_that_is_a_link_is_refused(path: str, tmp_path: Path) -> None:
    """No link is followed."""
    os.makedirs(os.path.dirname(path))
    os.symlink(tmp_path / "elsewhere", path)

    with pytest.raises(SystemFailure, match="cannot lock it"):
        Lock(path, "it", None).__enter__()
    assert not (tmp_path / "elsewhere").exists()


def test_lock_in_a_file_for_a_directory_is_an_error(tmp_path: Path) -> None:
    """Where it can't be, the error says so."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(SystemFailure, match="cannot lock it"):
        Lock(f"{tmp_path}/file/lock", "it", None).__enter__()


def test_holder_of_a_free_lock_is_nobody_to_be_seen(tmp_path: Path) -> None:
    """Without an entry in /proc/locks there is no name."""
    (tmp_path / "lock").write_text("")
    fd = os.open(tmp_path / "lock", os.O_RDONLY)
    try:
        assert holder_of(fd) == 0
    finally:
        os.close(fd)

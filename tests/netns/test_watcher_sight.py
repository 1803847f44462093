"""Where an engine is: the kernel's word on who listens at a socket, across pid namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile

from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.waiting import is_listened_at, wait_until
from ocinet.watcher.sight import BELOW, HIDDEN, SAME, place_of

_APART = ("unshare", "--pid", "--fork", "--kill-child")
_LOOK = "import sys; from ocinet.watcher.sight import place_of; print(place_of(sys.argv[1]))"
_WITH_LESS = ("setpriv", "--bounding-set", "-sys_ptrace")
# As long as nobody has looked where the engine is, its numbers are ours; then they are not.
_OPEN = """\
import sys, structlog
from ocinet.base.errors import SystemFailure
from ocinet.watcher.life import open_life
from ocinet.watcher.observed import ObservedContainer
from ocinet.watcher.sight import Sight
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
web = ObservedContainer("c0ffee" * 10, "web", "none", pid=int(sys.argv[2]), running=True)
sight = Sight(sys.argv[1], structlog.get_logger())
for look in (lambda: None, sight.look):
    look()
    try:
        print(open_life(web, lambda: web, sight))
    except SystemFailure as error:
        print(error)
"""
_LISTEN = """\
import socket, sys, time
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(sys.argv[1])
    listening.listen()
    time.sleep(60)
"""


def look_from_apart(path: str, *options: str) -> str:
    """Return where a process of a pid namespace of its own finds who listens at a socket."""
    words = (*_APART, *options, sys.executable, "-c", _LOOK, path)
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@in_namespaces
def compare_places() -> None:
    """Listen here and in a pid namespace of its own, and look from here and from one."""
    directory = tempfile.mkdtemp(dir="/run")
    ours, below = f"{directory}/ours", f"{directory}/below"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(ours)
        listening.listen()
        assert place_of(ours) == SAME
        assert look_from_apart(ours, "--mount-proc") == HIDDEN
        # The machine's /proc, in a container with `--volume=/proc:/proc`: numbers fit.
        assert look_from_apart(ours) == SAME
    words = (*_APART, "--mount-proc", sys.executable, "-c", _LISTEN, below)
    with subprocess.Popen(words) as apart:
        try:
            wait_until(lambda: is_listened_at(below), "the other's socket", timeout_s=10)
            assert place_of(below) == BELOW
        finally:
            apart.kill()


@in_namespaces
def meet_a_stranger() -> None:
    """Look for a container by a number that is, here, that of a process we may not open.

    That is one with a capability more than we have, which is not that of CAP_SYS_PTRACE.
    """
    path = f"{tempfile.mkdtemp(dir='/run')}/below"
    words = (*_WITH_LESS, *_APART, "--mount-proc", sys.executable, "-c", _LISTEN, path)
    with subprocess.Popen(words) as apart, Sleeper() as stranger:
        try:
            wait_until(lambda: is_listened_at(path), "the other's socket", timeout_s=10)
            looking = (*_WITH_LESS, sys.executable, "-c", _OPEN, path, str(stranger.pid))
            told = subprocess.run(looking, check=True, capture_output=True, text=True).stdout
            before, after = told.splitlines()
            assert "Permission denied" in before
            assert f"process {stranger.pid} is not to be seen" in after
        finally:
            apart.kill()


def test_stranger_under_an_engines_number_is_left_alone() -> None:
    """Docker in Docker: its number is another's here; the container is looked for elsewhere."""
    meet_a_stranger()


def test_listener_is_placed_by_its_pid_namespace() -> None:
    """Ours, below ours, or hidden from us; by what /proc shows, where it is another's."""
    compare_places()


@in_namespaces
def forget_the_maker() -> None:
    """Listen at a socket that a process made which has ended since."""
    path = f"{tempfile.mkdtemp(dir='/run')}/passed.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    pid = os.fork()
    if pid == 0:
        listening.listen()
        os._exit(0)
    os.waitpid(pid, 0)
    with listening:
        assert place_of(path) == SAME


def test_socket_that_was_passed_on_is_no_reason_to_doubt() -> None:
    """systemd makes the sockets of docker.socket; whoever does may be gone."""
    forget_the_maker()

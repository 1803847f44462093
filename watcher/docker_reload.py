"""Having dockerd read its `daemon.json` anew, and waiting until it knows a runtime.

A signal is no answer: dockerd takes it when it comes to it, which was a third of a second
after `kill` had ended on a busy machine, and a `docker run` before that is refused.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time

from ocinet.base.clock import Deadline
from ocinet.base.errors import NotFoundError, OcinetError, SystemFailure, told
from ocinet.watcher.docker_api import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)
_DOCKERD = "dockerd"
_SYSTEMD = "/run/systemd/system"  # sd_booted(3)
_RELOAD = ("systemctl", "reload", "docker.service")
_INTERVAL_S = 0.02


def reload_docker(sockets: Iterable[str], runtime: str, launcher: str, timeout_s: float) -> None:
    """Have the dockerd of this machine take a runtime that its `daemon.json` names by now.

    Args:
        sockets: of engines, the first of which that is Docker's counts.
        runtime: its name there.
        launcher: its path there.
        timeout_s: that it may take.

    Raises:
        NotFoundError: no dockerd listens.
        SystemFailure: it can't be told, or it does not know the runtime after that.
    """
    client = _docker(sockets)
    deadline = Deadline(timeout_s)
    _tell(client.path, deadline)
    while client.runtimes().get(runtime) != launcher:
        if deadline.left_s <= 0:
            raise SystemFailure(
                f"{client.path}: dockerd was told to read its configuration anew, and knows no"
                f" runtime {runtime} after {timeout_s:g} s",
                "is it that daemon.json which it reads? Its log tells: journalctl -u docker",
            )
        time.sleep(_INTERVAL_S)


def _docker(sockets: Iterable[str]) -> Client:
    failure: OcinetError | None = None
    for path in filter(os.path.exists, sockets):
        client = Client(path)
        try:
            client.greet()
        except OcinetError as error:
            failure = error
            continue
        if client.kind == "docker":
            return client
    if failure:
        raise failure
    raise NotFoundError("", "no dockerd listens", "start it: it reads its daemon.json then")


def _tell(path: str, deadline: Deadline) -> None:
    """Have who listens at a socket read its configuration."""
    try:
        if _signalled(path):
            return
    except OSError as error:
        raise told(f"{path}: cannot signal dockerd", error) from error
    if not os.path.isdir(_SYSTEMD):
        raise SystemFailure(f"{path}: it can't be told which process is its dockerd",
                            "send it SIGHUP: kill -HUP PID")  # fmt: skip
    try:
        done = subprocess.run(
            _RELOAD, capture_output=True, text=True, check=False, timeout=deadline.left_s
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemFailure(f"cannot run {_RELOAD[0]}", str(error)) from error
    if done.returncode:
        raise SystemFailure(f"{' '.join(_RELOAD)} failed", done.stderr.strip())


def _signalled(path: str) -> bool:
    """Send SIGHUP to the dockerd that began to listen at a socket; with systemd that is systemd."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        found = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, _uid, _gid = _CREDENTIALS.unpack(found)
    if pid <= 0:  # in another pid namespace
        return False
    process = os.pidfd_open(pid)
    try:
        # Asked behind the descriptor, so it is the same process that is signalled.
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            if file.read().strip() != _DOCKERD:
                return False
        signal.pidfd_send_signal(process, signal.SIGHUP)
    finally:
        os.close(process)
    return True

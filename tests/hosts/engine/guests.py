"""Containers of runc, podman and Docker that serve a page with their name, while they live.

Whether one lives is what /proc shows, whatever its engine thinks.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.command import CommandFailed
from hosts.engine.hooked_podman import keys
from hosts.engine.hooked_runtime import register
from hosts.engine.runtimes import Container
from hosts.waiting import has_ended, wait_until

if TYPE_CHECKING:
    from hosts.engine.dockerd import Docker
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

_PAGES = "/tmp/page-of-"  # in the container
RUNTIMES = ("runc", "crun")
DOORS = (*RUNTIMES, "podman", "docker")
_SLOW_S = 120.0  # a busy machine, with an engine that was just killed


@dataclass
class Guest:
    """A container that was asked for.

    Attributes:
        name: which it serves at its port 80.
        door: which program makes it.
        network: that it asks for.
        ports: of the host, that it asks for at each start.
        later: those published while it lives, by its process's id.
        lock: held by who does something to it.
    """

    name: str
    door: str
    network: str
    ports: frozenset[int]
    later: dict[int, set[int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def published(self, pid: int) -> set[int]:
        """Return the host's ports that its life with this process has."""
        changed = self.later.get(pid)
        return set(self.ports) if changed is None else changed


class Guests:
    """All that were asked for, and how they are started, stopped and killed.

    Args:
        lab: where.
        docker: that is watched.
        podman: with our hooks.
    """

    def __init__(self, lab: Lab, docker: Docker, podman: Podman) -> None:
        self.lab = lab
        self.docker = docker
        self.podman = podman
        self.all: dict[str, Guest] = {}
        self._dockers_ids: dict[str, str] = {}

    def living(self) -> dict[str, int]:
        """Return the process of each guest that lives, by its name."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                    words = file.read().rstrip("\0").split("\0")
            except OSError:
                continue
            name = words[-1].removeprefix(_PAGES)
            if words[:1] == ["httpd"] and name in self.all:
                found[name] = int(pid)
        return found

    def start(self, guest: Guest) -> None:
        """Make and start one.

        Raises:
            CommandFailed: it was refused, and nothing of it is there.
        """
        self.all[guest.name] = guest
        page = f"{_PAGES}{guest.name}"
        serve = (
            f"mkdir {page}; echo {guest.name} > {page}/index.html; exec httpd -f -p 80 -h {page}"
        )
        command = ("sh", "-c", serve)
        try:
            if guest.door == "docker":
                ports = [f"--publish={port}:80" for port in sorted(guest.ports)]
                label = f"--label=ocinet.net={guest.network}"
                made = self.docker.run(f"--name={guest.name}", label, *ports, command=command)
                self._dockers_ids[guest.name] = made.id
            elif guest.door == "podman":
                publish = ",".join(f"{port}:80" for port in sorted(guest.ports))
                given = {"net": guest.network} | ({"publish": publish} if publish else {})
                self.podman.run(f"--name={guest.name}", *keys(**given), command=command)
            else:
                words = [word for port in sorted(guest.ports) for word in ("-p", f"{port}:80")]
                bundle = register(
                    self.lab, guest.name, "--net", guest.network, *words, args=command
                )
                self.lab.runtime(guest.door).run(bundle)
        except CommandFailed as error:
            if guest.door == "docker":
                self._dockers_ids[guest.name] = error.result.stdout.partition("\n")[0]
            self.remove(guest)
            raise

    @staticmethod
    def _end_lost(container_id: str) -> None:
        """Kill what dockerd knows nothing of since it was killed while it started it.

        Of 70 restarts that its end cut short, one left an init that waits for ever, three a
        program that ran on behind `docker rm` (Docker 20.10).
        """
        for path in Path("/proc").glob("[0-9]*/cgroup") if container_id else ():
            with suppress(OSError):  # it has ended
                if container_id in path.read_text():
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def again(self, guest: Guest) -> None:
        """Start one once more, dead or alive; of runc or crun that is none."""
        if guest.door == "docker":
            self.docker("restart", "--time=0", guest.name, timeout_s=_SLOW_S)
        elif guest.door == "podman":
            self.podman("restart", "--time=0", guest.name, timeout_s=_SLOW_S)

    def remove(self, guest: Guest) -> None:
        """Stop and remove one as its operator would, whatever there is of it."""
        if guest.door == "docker":
            self.docker("rm", "--force", guest.name, check=False, timeout_s=_SLOW_S)
            self._end_lost(self._dockers_ids.pop(guest.name, ""))
        elif guest.door == "podman":
            self.podman("rm", "--force", "--time=0", guest.name, check=False, timeout_s=_SLOW_S)
        else:
            for container in self._of_runtime(guest):
                container.delete(check=False)

    def lose(self, guest: Guest) -> None:
        """Kill one, and if its runtime can be made to, have that forget it: no hook is called."""
        self.kill(guest)
        if guest.door in RUNTIMES:
            self.lab.run("rm", "-rf", f"/run/{guest.door}/{guest.name}")
            for container in self._of_runtime(guest):
                self.lab.forget(container)

    def kill(self, guest: Guest) -> None:
        """Kill its process behind its engine's back, and wait for its end."""
        pid = self.living().get(guest.name)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: has_ended(pid), f"{guest.name}'s end",
                       timeout_s=_SLOW_S)  # fmt: skip

    def _of_runtime(self, guest: Guest) -> list[Container]:
        return [each for each in self.lab.containers if each.id == guest.name]

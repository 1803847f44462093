"""containerd in a lab, driven by `ctr`, its own command for whoever develops with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.command import Result
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background, Namespace

_READY_S = 30
_SLEEP = ("/bin/sleep", "1000")  # it is looked for without a PATH
_SOCKET = "/run/lab/containerd.sock"
_CONFIG = """\
version = 2
root = "/run/lab/containerd"
state = "/run/lab/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/lab/containerd.sock"
"""


class Containerd:
    """A containerd of the lab's own and `ctr`; a context manager.

    Args:
        lab: where it runs.
    """

    def __init__(self, lab: Lab) -> None:
        require("containerd", "ctr")
        self.lab = lab
        self._daemon: Background | None = None

    def __enter__(self) -> Containerd:
        """Start it, and wait until it answers."""
        self.lab.run("tee", "/run/lab/containerd.toml", stdin=_CONFIG)
        self._daemon = self.lab.start("containerd", "--config", "/run/lab/containerd.toml")
        wait_until(
            lambda: not self("version", check=False).status, "containerd's start",
            timeout_s=_READY_S,
        )  # fmt: skip
        self.lab.ignored += ("containerd",)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Kill what runs, and it."""
        assert self._daemon is not None
        for name in self("tasks", "ls", "-q", check=False).stdout.split():
            self.remove(name)
        wait_until(lambda: "shim" not in str(self.lab.processes()), "the end of its shims")
        self._daemon.process.terminate()
        self._daemon.process.wait(_READY_S)

    def __call__(self, *words: str, check: bool = True) -> Result:
        """Run the ctr command, as `ctr("tasks", "ls")`."""
        return self.lab.run("ctr", "--address", _SOCKET, *words, check=check)

    def run(
        self, name: str, *options: str, command: Sequence[str] = _SLEEP, check: bool = True
    ) -> Result:
        """Run a container of the busybox rootfs; to its end, unless with `--detach`."""
        place = ("--cgroup", f"{self.lab.cgroup}/{name}")
        rootfs = ("--rootfs", str(self.lab.rootfs), name, *command)
        if "--detach" in options:
            return self("run", *place, *options, *rootfs, check=check)
        return self.run_to_its_end(*place, *options, *rootfs, check=check)

    def run_to_its_end(self, *words: str, check: bool = True) -> Result:
        """Run a container in the foreground; stdout is what it and ctr printed."""
        # ctr gives up the pipes that it has not yet opened when the container has ended,
        # and on a busy machine that is before: the shim writes a file by itself.
        printed = Path(f"{self.lab.directory}/printed")
        printed.write_text("")
        result = self("run", "--log-uri", f"file://{printed}", *words, check=check)
        return replace(result, stdout=result.stdout + printed.read_text())

    def sandbox(self, name: str) -> Namespace:
        """Return the sandbox of a container that runs."""
        for line in self("tasks", "ls").stdout.splitlines()[1:]:
            found, pid, *_ = line.split()
            if found == name:
                return self.lab.enter(name, int(pid))
        raise AssertionError(f"{name} does not run")

    def end(self, name: str) -> None:
        """Kill a container's task, and delete that."""
        self("tasks", "kill", "--signal", "SIGKILL", name)
        wait_until(
            lambda: not self("tasks", "delete", name, check=False).status, f"the end of {name}"
        )

    def remove(self, name: str) -> None:
        """Kill a container and remove it."""
        self.end(name)
        self("containers", "delete", name)

"""podman in a lab, with `--network none` unless asked otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.command import CommandFailed
from hosts.engine.bundle import SLEEP
from hosts.engine.container import IMAGE, EngineContainer
from hosts.lab.namespace import Background
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.command import Result
    from hosts.lab.machine import Lab


# events in a file and cgroupfs: there is no systemd in a lab. The limits: where
# root lacks CAP_SYS_RESOURCE, podman's own defaults can't be set. The variable: podman 5
# warns of a machine's cgroup v1 at each command, beside what tests read.
_PODMAN_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
env = ["PODMAN_IGNORE_CGROUPSV1_WARNING=1"]
"""
PODMAN_SOCKET = "/run/podman/podman.sock"
# What runc says now and then where root lacks CAP_SYS_RESOURCE, as in many a
# virtual machine: no fault of anybody here, and gone at the next try.
_CRAMPED = "error setting rlimit"
# podman 4.3 sends a signal to what it has just seen running, and has ended by then.
_ENDED = "container state improper: stopped"


class Podman:
    """The podman command; call it with the words after its name.

    Settings and images are the lab's own, at podman's usual places there.

    Args:
        lab: where it runs.
        runtime: runc or crun.
    """

    def __init__(self, lab: Lab, runtime: str) -> None:
        require("podman", runtime)
        self.lab = lab
        self.runtime = runtime
        conf = lab.path("/etc/containers/containers.conf.d")
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "00-lab.conf").write_text(_PODMAN_CONF)
        if lab.run("podman", "image", "exists", IMAGE, check=False).status:
            lab.run("podman", "import", str(lab.rootfs.with_suffix(".tar")), IMAGE)

    def __call__(self, *words: str, check: bool = True, timeout_s: float = 60) -> Result:
        """Run podman, as `lab.podman("ps", "--all")`."""
        if words[0] in ("run", "create"):
            words = (words[0], f"--cgroup-parent={self.lab.cgroup}", *words[1:])
        argv = ("podman", "--runtime", self.runtime, *words)
        result = self.lab.run(*argv, check=False, timeout_s=timeout_s)
        if words[0] in ("run", "start", "restart") and _CRAMPED in result.stderr:
            if words[0] == "run":
                self.lab.run("podman", "rm", "--force", "--latest")
            result = self.lab.run(*argv, check=False, timeout_s=timeout_s)
        if words[0] == "rm" and _ENDED in result.stderr:
            result = self.lab.run(*argv, check=False, timeout_s=timeout_s)
        if check and result.status:
            raise CommandFailed(result, f"exit status {result.status}")
        return result

    def run(
        self, *options: str, command: Sequence[str] = SLEEP, network: str = "none"
    ) -> EngineContainer:
        """Start a container that goes on beside the test.

        Raises:
            CommandFailed: podman refused; its stderr is in `.result`.
        """
        words = ("run", "--detach", f"--network={network}", *options, IMAGE, *command)
        return EngineContainer(self(*words).stdout.strip(), self)

    def serve(self) -> Background:
        """Start podman's API service at its usual socket; it goes on until it is stopped."""
        require("curl")
        self.lab.run("mkdir", "-p", "/run/podman")
        service = self.lab.start(
            "sh", "-c", 'exec "$@" >> /run/lab/podman.log 2>&1', "sh",
            "podman", "--runtime", self.runtime, "system", "service", "--time=0",
            f"unix://{PODMAN_SOCKET}",
        )  # fmt: skip
        ask = ("curl", "--silent", "--fail", "--unix-socket", PODMAN_SOCKET, "http://d/_ping")
        wait_until(lambda: not self.lab.run(*ask, check=False).status, "podman's service")
        return service

    def remove(self, *containers: str) -> None:
        """Kill and remove containers."""
        self("rm", "--force", "--time=0", *containers)

    def remove_all(self) -> None:
        """Kill and remove every container and pod."""
        self("pod", "rm", "--force", "--all")
        self("rm", "--force", "--time=0", "--depend", "--all")

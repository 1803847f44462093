"""podman and dockerd in a lab, with `--network none` unless asked otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lab.bundle import SLEEP
from lab.command import CommandFailed
from lab.namespace import Background, Namespace, wait_until
from lab.requirements import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lab.command import Result
    from lab.machine import Lab

IMAGE = "busybox"
# events in a file and cgroupfs: there is no systemd in a lab. The limits: where
# root lacks CAP_SYS_RESOURCE, podman's own defaults can't be set.
_PODMAN_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_DOCKER_READY_S = 30


@dataclass(frozen=True)
class EngineContainer:
    """A container of an engine.

    Attributes:
        id: the engine's full id.
        engine: which one made it.
    """

    id: str
    engine: Podman | Docker

    @cached_property
    def pid(self) -> int:
        """Id of the container's first process."""
        shown = self.engine("inspect", "--format", "{{.State.Pid}}", self.id).stdout
        return int(shown)

    @cached_property
    def namespace(self) -> Namespace:
        """The container's sandbox, to look, listen and connect in."""
        return self.engine.lab.enter(self.id[:12], self.pid)

    def exec(self, *argv: str, check: bool = True) -> Result:
        """Run a command inside, with the container's files."""
        return self.engine("exec", self.id, *argv, check=check)

    def remove(self) -> None:
        """Stop it at once and remove it."""
        self.engine.remove(self.id)


# What runc says now and then where root lacks CAP_SYS_RESOURCE, as in many a
# virtual machine: no fault of anybody here, and gone at the next try.
_CRAMPED = "error setting rlimit"


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

    def remove(self, *containers: str) -> None:
        """Kill and remove containers."""
        self("rm", "--force", "--time=0", *containers)


class Docker:
    """A dockerd of the lab's own and its command; a context manager.

    `with lab.docker() as docker: docker.run()`. It makes `docker0` and its
    iptables rules in the lab, as on any machine.

    Args:
        lab: where it runs.
        options: more words for dockerd.
    """

    def __init__(self, lab: Lab, options: Sequence[str] = ()) -> None:
        require("dockerd", "docker", "iptables")
        self.lab = lab
        self._options = tuple(options)
        self._daemon: Background | None = None

    def __enter__(self) -> Docker:
        """Start dockerd and import the image; the lab's baseline is taken anew."""
        self._daemon = self.lab.start(
            "sh", "-c", 'exec "$@" > /run/lab/dockerd.log 2>&1', "sh",
            "dockerd", "--storage-driver=overlay2", f"--cgroup-parent={self.lab.cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs", *self._options,
        )  # fmt: skip
        try:
            wait_until(self._ready, "dockerd's start", timeout_s=_DOCKER_READY_S, interval_s=0.1)
            self("import", str(self.lab.rootfs.with_suffix(".tar")), IMAGE)
        except BaseException:
            self._stop()
            raise
        # Its rules are there already; docker0's addresses come and go with containers.
        self.lab.baseline = self.lab.snapshot()
        self.lab.ignored += ("docker0", "containerd")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove every container and stop dockerd."""
        try:
            containers = self("ps", "--all", "--quiet").stdout.split()
            if containers:
                self.remove(*containers)
        finally:
            self._stop()

    def _ready(self) -> bool:
        daemon = self._daemon
        assert daemon is not None
        if daemon.process.poll() is not None:
            log = self.lab.path("/run/lab/dockerd.log").read_text()
            raise AssertionError(f"dockerd ended:\n{log[-3000:]}")
        return self("version", check=False).status == 0

    def _stop(self) -> None:
        assert self._daemon is not None
        self._daemon.process.terminate()
        self._daemon.process.wait(_DOCKER_READY_S)
        log = self.lab.path("/run/lab/dockerd.log").read_text()
        self.lab.transcript.add("dockerd", log[-3000:])

    def __call__(self, *words: str, check: bool = True, timeout_s: float = 60) -> Result:
        """Run the docker command, as `docker("ps")`."""
        return self.lab.run("docker", *words, check=check, timeout_s=timeout_s)

    def run(
        self, *options: str, command: Sequence[str] = SLEEP, network: str = "none"
    ) -> EngineContainer:
        """Start a container that goes on beside the test.

        Raises:
            CommandFailed: docker refused; its stderr is in `.result`.
        """
        words = ("run", "--detach", f"--network={network}", *options, IMAGE, *command)
        return EngineContainer(self(*words).stdout.strip(), self)

    def remove(self, *containers: str) -> None:
        """Kill and remove containers."""
        self("rm", "--force", *containers)

"""dockerd in a lab, with `--network none` unless asked otherwise."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from hosts.engine.bundle import SLEEP
from hosts.engine.container import IMAGE, EngineContainer
from hosts.lab.namespace import Background
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.command import Result
    from hosts.lab.machine import Lab

_DOCKER_READY_S = 30
_CONTAINERD = """\
version = 2
root = "/run/{name}-containerd/data"
state = "/run/{name}-containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/lab/{name}-containerd.sock"
"""
_STOP = "--stop-signal=KILL"  # the first process of a container hears no SIGTERM


class Docker:
    """A dockerd of the lab's own and its command; a context manager.

    `with lab.docker() as docker: docker.run()`. It makes `docker0` and its
    iptables rules in the lab, as on any machine.

    Args:
        lab: where it runs.
        options: more words for dockerd.
        name: of one beside the usual one: it has a socket and directories of its
            own. Only one of a lab's may have `docker0`.
        within: words before dockerd, as `unshare --pid`; such a one starts its containerd
            itself, and is not asked to end but killed.

    Attributes:
        socket: where it listens.
    """

    def __init__(
        self, lab: Lab, options: Sequence[str] = (), name: str = "", within: Sequence[str] = ()
    ) -> None:
        require("dockerd", "docker", "containerd", "iptables")
        self.lab = lab
        self._name = f"docker{name and '-'}{name}"
        self.socket = f"/run/{self._name}.sock"
        self._log = f"/run/lab/{self._name}.log"
        self._within = tuple(within)
        self._options = tuple(options)
        if not within:
            self._options += (f"--containerd={self._place('sock')}",)
        if name:
            self._options += (
                f"--host=unix://{self.socket}", f"--pidfile=/run/{self._name}.pid",
                f"--exec-root=/run/{self._name}", f"--data-root=/run/{self._name}/data",
            )  # fmt: skip
        self._containerd: Background | None = None
        self._daemon: Background | None = None

    def __enter__(self) -> Docker:
        """Start dockerd and import the image; the lab's baseline is taken anew."""
        try:
            if not self._within:
                self._start_containerd()
            self.start()
            self("import", str(self.lab.rootfs.with_suffix(".tar")), IMAGE)
        except BaseException:
            self._end()
            raise
        # Its rules are there already; docker0's addresses come and go with containers.
        self.lab.baseline = self.lab.snapshot()
        # Docker 28 makes a table `raw` for its first container on a bridge, and leaves it.
        self.lab.ignored += ('"table": "raw"', '"name": "raw"')
        # Nor is one that was started by another program known as the lab's own.
        self.lab.ignored += ("docker0", "containerd", *(("dockerd",) if self._within else ()))
        self.lab.engines.append(self)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove every container and stop dockerd."""
        self.lab.engines.remove(self)
        try:
            if self._runs:
                self.signal(signal.SIGCONT)
                self.remove_all()
                self.stop()
        finally:
            self._end()

    def _start_containerd(self) -> None:
        """Start containerd beside dockerd, as distributions do: it outlives a killed dockerd."""
        self.lab.run("tee", self._place("toml"), stdin=_CONTAINERD.format(name=self._name))
        self._containerd = self.lab.start(
            "sh", "-c", f'exec "$@" >> {self._log} 2>&1', "sh",
            "containerd", f"--config={self._place('toml')}",
        )  # fmt: skip
        socket = self.lab.path(self._place("sock"))
        wait_until(socket.exists, "containerd's start", timeout_s=_DOCKER_READY_S)

    def _place(self, kind: str) -> str:
        return f"/run/lab/{self._name}-containerd.{kind}"

    def _end(self) -> None:
        """Kill whatever of it still runs."""
        self.kill()
        if self._containerd:
            self._containerd.process.terminate()
            self._containerd.process.wait(_DOCKER_READY_S)
        log = self.lab.path(self._log).read_text()
        self.lab.transcript.add("dockerd", log[-3000:])

    def launch(self) -> None:
        """Start dockerd, without waiting until it answers."""
        self._daemon = self.lab.start(
            "sh", "-c", f'exec "$@" >> {self._log} 2>&1', "sh",
            *self._within, "dockerd",
            "--storage-driver=overlay2", f"--cgroup-parent={self.lab.cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs", "--shutdown-timeout=1",
            *self._options,
        )  # fmt: skip

    def start(self) -> None:
        """Start dockerd, and wait until it answers."""
        self.launch()
        wait_until(self._ready, "dockerd's start", timeout_s=_DOCKER_READY_S, interval_s=0.1)

    def stop(self) -> None:
        """Ask dockerd to end, as a service manager does, and wait until it has."""
        if self._within:  # they do not pass signals on
            self.kill()
            return
        self.signal(signal.SIGTERM)
        assert self._daemon is not None
        self._daemon.process.wait(_DOCKER_READY_S)

    def kill(self) -> None:
        """Kill dockerd, in the midst of whatever it does, unless it has ended."""
        if self._runs:
            self.signal(signal.SIGKILL)
            assert self._daemon is not None
            self._daemon.process.wait(_DOCKER_READY_S)

    def signal(self, number: signal.Signals) -> None:
        """Send dockerd a signal."""
        assert self._daemon is not None
        self._daemon.process.send_signal(number)

    @property
    def _runs(self) -> bool:
        return self._daemon is not None and self._daemon.process.poll() is None

    def _ready(self) -> bool:
        log = self.lab.path(self._log)
        assert self._runs, f"dockerd ended:\n{log.read_text()[-3000:]}"
        return self("version", check=False).status == 0

    def __call__(
        self, *words: str, check: bool = True, env: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Result:  # fmt: skip
        """Run the docker command, as `docker("ps")`."""
        argv = ("docker", f"--host=unix://{self.socket}", *words)
        return self.lab.run(*argv, check=check, env=env, timeout_s=timeout_s)

    def run(
        self,
        *options: str,
        command: Sequence[str] = SLEEP,
        network: str = "none",
        image: str = IMAGE,
    ) -> EngineContainer:
        """Start a container that goes on beside the test.

        Raises:
            CommandFailed: docker refused; its stderr is in `.result`.
        """
        words = ("run", "--detach", _STOP, f"--network={network}", *options, image, *command)
        return EngineContainer(self(*words).stdout.strip(), self)

    def container(self, name: str) -> EngineContainer:
        """Return a container by its name."""
        return EngineContainer(self("inspect", "--format", "{{.Id}}", name).stdout.strip(), self)

    def create(self, *options: str, network: str = "none", image: str = IMAGE) -> EngineContainer:
        """Make a container that is not started."""
        words = ("create", _STOP, f"--network={network}", *options, image, *SLEEP)
        return EngineContainer(self(*words).stdout.strip(), self)

    def remove(self, *containers: str) -> None:
        """Kill and remove containers."""
        self("rm", "--force", *containers)

    def remove_all(self) -> None:
        """Kill and remove every container."""
        containers = self("ps", "--all", "--quiet").stdout.split()
        if containers:
            self.remove(*containers)

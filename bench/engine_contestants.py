"""Ways to give a container its network, each with an engine and a machine of its own.

Docker bridge      the network that Docker makes
Docker watcher     --net=none; the watcher, which attaches before the start
Docker at start    --net=none; the watcher with `early_attach = false`
Docker wrapper     --net=none --runtime=ocinet; no watcher
Podman bridge      --network=bridge, which is netavark's
Podman hooks       --network=none, with `ocinet hooks install --podman`
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from arena import PATH, BenchError
from machine import CGROUP, OCINET, SETTLE_S, Machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

IMAGE = "probe"
EVENTS = "/run/ocinet/events.jsonl"
WATCHER_LOG = "/run/bench/watcher.log"
_LAUNCHER = "/run/bench/ocinet-runtime"
_UNIT = Path(__file__).resolve().parent.parent / "packaging/systemd/ocinet-watcher.service"
_NETAVARK = Path("/usr/lib/podman/netavark")
# Where root lacks CAP_SYS_RESOURCE, podman's own default limits can't be set.
_PODMAN_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Contestant:
    """One way to give a container its network.

    Args:
        name: as it is recorded.
        options: of `create`.
        is_bridge: whether it is the engine's own network, so not ocinet's.
    """

    engine = ""
    removal: tuple[str, ...] = ("rm", "--force")

    def __init__(self, name: str, *options: str, is_bridge: bool = False) -> None:
        self.name = name
        self.is_bridge = is_bridge
        self._options = options
        self._machine: Machine | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """Of `create`."""
        return self._options

    @property
    def machine(self) -> Machine:
        """Where it runs, once it is prepared."""
        assert self._machine is not None
        return self._machine

    def prepare(self, machine: Machine, image: Path) -> None:
        """Start what is needed, and import the image."""
        self._machine = machine
        self.install()
        self.serve()
        self("import", str(image), IMAGE)
        self.watch()

    def install(self) -> None:
        """Register what has to be, before the engine runs."""

    def serve(self) -> None:
        """Start the engine's service, if it has one."""

    def watch(self) -> None:
        """Start the watcher, if there is to be one."""

    def __call__(self, *words: str) -> str:
        """Run the engine's command; returns its stdout."""
        return self.machine.run(self.engine, *words)

    def time(self, *words: str) -> float:
        """Run the engine's command; returns the milliseconds that it took."""
        return self.machine.time(self.engine, *words)

    def create(self, script: str, ports: Iterable[tuple[int, int]] = ()) -> str:
        """Make a container that is not started yet.

        Args:
            script: its entrypoint, of the image.
            ports: what is published: of the host, of the container.

        Returns:
            Its id.
        """
        publish = self.publish(tuple(f"{outer}:{inner}" for outer, inner in ports))
        return self("create", *self._options, *publish, IMAGE, "/bin/sh", script).strip()

    def run(self, script: str) -> str:
        """Make a container and start it at once; returns its id."""
        return self("run", "--detach", *self._options, IMAGE, "/bin/sh", script).strip()

    def publish(self, ports: tuple[str, ...]) -> tuple[str, ...]:
        """Return the options of `create` that publish ports."""
        return tuple(word for port in ports for word in ("-p", port))

    def time_of(self, event: str, container: str) -> float:
        """Wait until an event of a container is in ocinet's log.

        Returns:
            Its time: seconds since the epoch, by the log.

        Raises:
            BenchError: it does not come.
        """
        found: list[float] = []

        def is_told() -> bool:
            lines = self.machine.path(EVENTS).read_text().splitlines(keepends=True)
            for line in lines:
                if not line.endswith("\n"):
                    break  # it is being written
                told = json.loads(line)
                if told["event"] == event and told.get("container") == container:
                    found.append(datetime.fromisoformat(told["time"]).timestamp())
            return bool(found)

        try:
            wait_until(is_told, f"{self.name}: {event}", SETTLE_S)
        except BenchError as error:
            paths = [self.machine.path(path) for path in (EVENTS, WATCHER_LOG)]
            told = [path.read_text()[-2000:] for path in paths if path.exists()]
            raise BenchError("\n".join((str(error), *told))) from error
        return found[-1]


class Docker(Contestant):
    """A dockerd."""

    engine = "docker"
    socket = "/run/docker.sock"

    def serve(self) -> None:
        """Start dockerd."""
        self.machine.start(
            lambda: self.machine.succeeds("docker", "version"), "/run/bench/dockerd.log",
            "dockerd", "--storage-driver=overlay2", f"--cgroup-parent={CGROUP}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
        )  # fmt: skip


class DockerWatcher(Docker):
    """A dockerd, and the watcher.

    Args:
        name: as it is recorded.
        early: whether the watcher attaches before the start.
        ipv6: whether the network has addresses of IPv6 as well.

    Attributes:
        watcher: its process's id.
    """

    def __init__(self, name: str, *, early: bool = True, ipv6: bool = False) -> None:
        super().__init__(name, "--network=none")
        self.watcher = 0
        self._early = early
        self._ipv6 = ipv6

    def watch(self) -> None:
        """Start the watcher."""
        self.watcher = start_watcher(self.machine, self.socket, early=self._early, ipv6=self._ipv6)


class DockerWrapper(Docker):
    """A dockerd with ocinet's runtime, and no watcher."""

    def install(self) -> None:
        """Register the runtime."""
        self.machine.run(str(OCINET), "runtime", "install", "--docker", "--launcher", _LAUNCHER)


class Podman(Contestant):
    """podman, as a command."""

    engine = "podman"
    removal = ("rm", "--force", "--time=0")

    def install(self) -> None:
        """Write podman's settings."""
        self.machine.run("mkdir", "-p", "/etc/containers/containers.conf.d")
        path = self.machine.path("/etc/containers/containers.conf.d/00-bench.conf")
        path.write_text(_PODMAN_CONF)

    def __call__(self, *words: str) -> str:
        """Run podman's command, in a cgroup of the bench's; returns its stdout."""
        if words[0] == "create":
            words = (words[0], f"--cgroup-parent={CGROUP}", "--log-driver=k8s-file", *words[1:])
        return super().__call__(*words)


class PodmanHooks(Podman):
    """podman with ocinet's hooks."""

    def install(self) -> None:
        """Register the hooks."""
        super().install()
        self.machine.run(str(OCINET), "hooks", "install", "--podman")

    def publish(self, ports: tuple[str, ...]) -> tuple[str, ...]:
        """Return the options that publish ports; podman forgets `-p` without a network."""
        # Quoted, for podman takes it for a line of CSV.
        return (f'--annotation="ocinet.publish={",".join(ports)}"',) if ports else ()


class PodmanWatcher(Podman):
    """podman with its service, and the watcher."""

    socket = "/run/podman/podman.sock"

    def serve(self) -> None:
        """Start the service."""
        ask = ("curl", "--silent", "--fail", "--unix-socket", self.socket, "http://d/_ping")
        self.machine.start(
            lambda: self.machine.succeeds(*ask), "/run/bench/podman.log",
            "podman", "system", "service", "--time=0", f"unix://{self.socket}",
        )  # fmt: skip

    def watch(self) -> None:
        """Start the watcher."""
        start_watcher(self.machine, self.socket, early=True)


def start_watcher(machine: Machine, socket: str, *, early: bool, ipv6: bool = False) -> int:
    """Start a watcher, and wait until it is ready.

    Args:
        machine: where.
        socket: of the engine.
        early: whether it attaches before the start.
        ipv6: whether the default network has addresses of IPv6 as well.

    Returns:
        Its process's id.
    """
    machine.run("mkdir", "-m", "700", "-p", "/etc/ocinet")
    settings = f"early_attach = {str(early).lower()}\nipv6 = {str(ipv6).lower()}\n"
    machine.path("/etc/ocinet/ocinet.toml").write_text(settings)
    log = machine.path(WATCHER_LOG)
    return machine.start(
        lambda: "watcher ready" in log.read_text(), WATCHER_LOG,
        "nice", f"--adjustment={_niceness()}",
        str(OCINET), "watch", "--engine", socket, "--log-format=json",
    )  # fmt: skip


def _niceness() -> str:
    """Return what the watcher's unit says of it."""
    lines = _UNIT.read_text().splitlines()
    return next(line.removeprefix("Nice=") for line in lines if line.startswith("Nice="))


def can_run_docker() -> bool:
    """Tell whether there is a dockerd."""
    return shutil.which("dockerd", path=PATH) is not None


def start_contestants() -> list[Contestant]:
    """Return those that can run here, of starting one container after another."""
    found: list[Contestant] = []
    if can_run_docker():
        found = [
            Docker("Docker bridge", is_bridge=True),
            DockerWatcher("Docker watcher"),
            DockerWatcher("Docker at start", early=False),
            DockerWrapper("Docker wrapper", "--network=none", "--runtime=ocinet"),
        ]
    if shutil.which("podman", path=PATH) and _NETAVARK.exists():
        found += [
            Podman("Podman bridge", "--network=bridge", is_bridge=True),
            PodmanHooks("Podman hooks", "--network=none", "--annotation=ocinet.net=bridge"),
            PodmanWatcher("Podman watcher", "--network=none"),
        ]
    return found

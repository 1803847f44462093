"""Whether the network is up when a container's entrypoint begins, and what a start costs.

    bench/start.py [--starts N] [--at-once N] [--csv FILE] [--only WORD]

Each contestant has a machine of its own: network, mount and process namespaces
with a private /run, an engine, and what is to be measured. In every round each
starts one container, or several at once, in random order.

    Docker: own bridge    docker run, with the network that Docker makes
    Docker: early attach  --net=none; the watcher, which attaches before the start
    Docker: at start      --net=none; the watcher with `early_attach = false`
    Docker: wrapper       --net=none --runtime=ocinet, no watcher
    Podman: own bridge    podman run --network=bridge
    Podman: watcher       --network=none; the watcher at the socket of podman's service
    Podman: hooks         --network=none, with `ocinet hooks install --podman --always`

The entrypoint is a shell. It notes the time before anything else, looks whether
eth0 has a default route, and if not, looks again each millisecond until it has.
If it has, the network was up at the latest when ocinet's event log says so. The
milliseconds are from the shell's first instruction to the network, so below zero
the network was first; those of a start, `docker run --detach` from its beginning
to its end. Ratios are to the engine's own bridge in the same run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

OCINET = Path(__file__).resolve().parent.parent / ".venv/bin/ocinet"
CGROUP = f"/ocinet-bench-{os.getpid()}"
EVENTS = "/run/ocinet/events.jsonl"
LAUNCHER = "/run/bench/ocinet-runtime"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PODMAN_SOCKET = "/run/podman/podman.sock"
NETAVARK = Path("/usr/lib/podman/netavark")
READY_S, COMMAND_S, SETTLE_S, INTERVAL_S = 30, 120, 60, 0.01

# SIGCHLD is ignored, so orphans leave no zombies. podman has locks in /dev/shm, and
# dockerd, if it finds AppArmor, a profile in the kernel, which would stay. crun 1.8
# refuses a hybrid cgroup tree. No engine can lay an overlay over an overlay.
MAKE_MACHINE = """\
set -e
trap '' CHLD
ip link set lo up
mount -t tmpfs -o mode=755 bench /run
mkdir -p /run/lock /run/netns /run/podman /run/bench/home
mount -t tmpfs bench /dev/shm
[ ! -d /sys/kernel/security ] || mount -t tmpfs bench /sys/kernel/security
umount /sys/fs/cgroup/unified 2>/dev/null || true
for place in /etc /var/lib /usr/share/containers; do
    [ -d $place ] || continue
    mkdir -p /run/bench/upper$place /run/bench/work$place
    mount -t overlay bench $place \
        -o lowerdir=$place,upperdir=/run/bench/upper$place,workdir=/run/bench/work$place
done
rm -rf /etc/ocinet /var/lib/ocinet /etc/docker/daemon.json
mkdir -p /var/lib/containers /var/lib/docker
mount -t tmpfs bench /var/lib/containers
mount -t tmpfs bench /var/lib/docker
echo ready
exec cat
"""
# Where root lacks CAP_SYS_RESOURCE, podman's own default limits can't be set.
PODMAN_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
# Nothing ever comes from the pipe, so reading it is a sleep without a process.
PROBE = """\
first=$EPOCHREALTIME
is_up() {
    while read -r ifname destination _; do
        [ "$ifname $destination" = "eth0 00000000" ] && return 0
    done < /proc/net/route
    return 1
}
if is_up; then
    echo "$first before"
    exit
fi
exec 3<> /pipe
end=$((${first%.*} + 60))
until is_up; do
    read -r -t 0.001 -u 3 _
    if [ "${EPOCHREALTIME%.*}" -gt $end ]; then
        echo "$first never"
        exit
    fi
done
echo "$first $EPOCHREALTIME"
"""


class BenchError(Exception):
    """The argument says what went wrong, with the output of whoever failed."""


class Start(NamedTuple):
    """What was measured of one start.

    Attributes:
        before: whether the network was the first thing that the entrypoint saw.
        offset_ms: from the entrypoint's first instruction to the network; None
            where only the engine knows.
        run_ms: that `run --detach` took.
    """

    before: bool
    offset_ms: float | None
    run_ms: float


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float) -> None:
    """Wait until something is so.

    Raises:
        BenchError: it is not after that time.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not after {timeout_s} s")
        time.sleep(INTERVAL_S)


class Machine:
    """Namespaces of its own for network, mounts and processes; a context manager.

    Whatever runs in them is killed with the first process there, which ends with
    this one, however that ends.
    """

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork",
             "--kill-child", "--mount-proc", "sh", "-c", MAKE_MACHINE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        told = self._holder.stdout.readline()
        if told != "ready\n":
            raise BenchError(f"cannot make a machine: {told}{self._holder.communicate()[0]}")
        place = f"/proc/{self._holder.pid}"
        self._entering = ("nsenter", f"--net={place}/ns/net", f"--mount={place}/ns/mnt",
                          f"--pid={place}/ns/pid_for_children", "--wdns=/", "--")  # fmt: skip
        self._environment = {"PATH": PATH, "HOME": "/run/bench/home", "LANG": "C.UTF-8"}

    def __enter__(self) -> Machine:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill all that runs in it; the kernel removes the rest."""
        self._holder.communicate()

    def path(self, path: str) -> Path:
        """Return where we find one of its files."""
        return Path(f"/proc/{self._holder.pid}/root") / path.lstrip("/")

    def run(self, *words: str) -> str:
        """Run a command; returns its stdout.

        Raises:
            BenchError: it fails.
        """
        done = subprocess.run([*self._entering, *words], env=self._environment, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=COMMAND_S)  # fmt: skip
        if done.returncode:
            raise BenchError(f"{' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def succeeds(self, *words: str) -> bool:
        """Tell whether a command succeeds."""
        try:
            self.run(*words)
        except BenchError:
            return False
        return True

    def start(self, ready: Callable[[], bool], log: str, *words: str) -> None:
        """Start a service and wait until it is ready.

        Raises:
            BenchError: it ends, or does not become ready.
        """
        path = self.path(log)
        with path.open("w") as output:
            service = subprocess.Popen([*self._entering, *words], env=self._environment,
                                       stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT,
                                       start_new_session=True)  # fmt: skip
        try:
            wait_until(lambda: service.poll() is not None or ready(), words[0], READY_S)
        except BenchError as error:
            raise BenchError(f"{error}:\n{path.read_text()[-2000:]}") from error
        if service.poll() is not None:
            raise BenchError(f"{words[0]} ended:\n{path.read_text()[-2000:]}")


class Contestant:
    """One way to give a container its network.

    Args:
        name: as the table has it.
        options: of `run`.
        watched: by a watcher.
        early: whether that one attaches before the start.
        is_bridge: whether it is the engine's own network.
    """

    engine = ""
    socket = ""

    def __init__(
        self,
        name: str,
        *options: str,
        watched: bool = False,
        early: bool = True,
        is_bridge: bool = False,
    ) -> None:
        self.name = name
        self.options = options
        self.is_bridge = is_bridge
        self._watched = watched
        self._early = early
        self._machine: Machine | None = None

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
        self("import", str(image), "probe")
        if self._watched:
            self._watch()

    def install(self) -> None:
        """Register what has to be, before the engine runs."""

    def serve(self) -> None:
        """Start the engine's service."""
        raise NotImplementedError

    def _watch(self) -> None:
        self.machine.run("mkdir", "-m", "700", "-p", "/etc/ocinet")
        early = "true" if self._early else "false"
        self.machine.path("/etc/ocinet/ocinet.toml").write_text(f"early_attach = {early}\n")
        log = "/run/bench/watcher.log"
        self.machine.start(
            lambda: "watcher ready" in self.machine.path(log).read_text(), log,
            str(OCINET), "watch", "--engine", self.socket, "--log-format=json", "--log-level=debug",
        )  # fmt: skip

    def __call__(self, *words: str) -> str:
        """Run the engine's command; returns its stdout."""
        return self.machine.run(self.engine, *words)

    def start(self) -> Start:
        """Start one container, and take it away again."""
        words = ("run", "--detach", f"--name=probe{time.monotonic_ns()}", *self.options)
        began = time.monotonic()
        container = self(*words, "probe", "/bin/sh", "/probe").strip()
        run_ms = (time.monotonic() - began) * 1000
        self("wait", container)
        first, seen = self("logs", container).split()
        if seen == "never":
            raise BenchError(f"{self.name}: no network:\n{self._told()}")
        offset_ms = None
        if seen != "before":
            offset_ms = (float(seen) - float(first)) * 1000
        elif not self.is_bridge:
            # The event is written some time after the deed, so perhaps after that look.
            offset_ms = min(0.0, (self._time("attached", container) - float(first)) * 1000)
        self("rm", "--force", container)
        if not self.is_bridge:
            self._time("detached", container)
        return Start(seen == "before", offset_ms, run_ms)

    def _time(self, event: str, container: str) -> float:
        """Wait until an event is in ocinet's log, and return its time."""
        found: list[float] = []

        def is_told() -> bool:
            for line in self.machine.path(EVENTS).read_text().splitlines():
                told = json.loads(line)
                if told["event"] == event and told.get("container") == container:
                    found.append(datetime.fromisoformat(told["time"]).timestamp())
            return bool(found)

        try:
            wait_until(is_told, f"{self.name}: {event}", SETTLE_S)
        except BenchError as error:
            raise BenchError(f"{error}:\n{self._told()}") from error
        return found[0]

    def _told(self) -> str:
        paths = [self.machine.path(path) for path in (EVENTS, "/run/bench/watcher.log")]
        return "\n".join(path.read_text()[-2000:] for path in paths if path.exists())


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


class DockerWrapper(Docker):
    """A dockerd with ocinet's runtime, and no watcher."""

    def install(self) -> None:
        """Register the runtime."""
        self.machine.run(str(OCINET), "runtime", "install", "--docker", "--launcher", LAUNCHER)


class Podman(Contestant):
    """podman, and its service if somebody watches."""

    engine = "podman"
    socket = PODMAN_SOCKET

    def install(self) -> None:
        """Write podman's settings."""
        self.machine.run("mkdir", "-p", "/etc/containers/containers.conf.d")
        path = self.machine.path("/etc/containers/containers.conf.d/00-bench.conf")
        path.write_text(PODMAN_CONF)

    def serve(self) -> None:
        """Start the API's service."""
        if self._watched:
            ask = ("curl", "--silent", "--fail", "--unix-socket", self.socket, "http://d/_ping")
            self.machine.start(
                lambda: self.machine.succeeds(*ask), "/run/bench/podman.log",
                "podman", "system", "service", "--time=0", f"unix://{self.socket}",
            )  # fmt: skip

    def __call__(self, *words: str) -> str:
        """Run podman's command, in a cgroup of the bench's; returns its stdout."""
        if words[0] == "run":
            words = (words[0], f"--cgroup-parent={CGROUP}", "--log-driver=k8s-file", *words[1:])
        return super().__call__(*words)


class PodmanHooks(Podman):
    """podman with ocinet's hooks."""

    def install(self) -> None:
        """Register the hooks."""
        super().install()
        self.machine.run(str(OCINET), "hooks", "install", "--podman", "--always")


def contestants() -> list[Contestant]:
    """Return all that can run here."""
    found: list[Contestant] = []
    if shutil.which("dockerd", path=PATH):
        found = [
            Docker("Docker: own bridge", is_bridge=True),
            Docker("Docker: early attach", "--net=none", watched=True),
            Docker("Docker: at start", "--net=none", watched=True, early=False),
        ]
        ask = [str(OCINET), "runtime", "install", "--help"]
        if not subprocess.run(ask, check=False, capture_output=True).returncode:
            found.append(DockerWrapper("Docker: wrapper", "--net=none", "--runtime=ocinet"))
    if shutil.which("podman", path=PATH):
        found += [
            Podman("Podman: watcher", "--network=none", watched=True),
            PodmanHooks("Podman: hooks", "--network=none"),
        ]
        if NETAVARK.exists():
            found.insert(-2, Podman("Podman: own bridge", "--network=bridge", is_bridge=True))
    return found


def make_image(directory: Path) -> Path:
    """Make a tar file of busybox and the entrypoint."""
    busybox = shutil.which("busybox", path=PATH)
    if busybox is None:
        raise BenchError("there is no busybox: apt-get install busybox-static")
    rootfs = directory / "rootfs"
    for name in ("bin", "dev", "etc", "proc", "sys"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy(busybox, rootfs / "bin/busybox")
    (rootfs / "bin/sh").symlink_to("busybox")
    (rootfs / "probe").write_text(PROBE)
    os.mkfifo(rootfs / "pipe")
    image = directory / "image.tar"
    with tarfile.open(image, "w") as archive:
        archive.add(rootfs, ".")
    return image


def remove_cgroups() -> None:
    """Remove what engines left of our cgroup, once its last process has gone."""

    def is_gone() -> bool:
        left = [Path(place) for place, _, _ in os.walk("/sys/fs/cgroup", topdown=False)
                if f"{CGROUP}/" in f"{place}/"]  # fmt: skip
        for place in left:
            try:
                place.rmdir()
            except OSError:
                return False
        return not left

    wait_until(is_gone, "the end of the cgroups", SETTLE_S)


def measure(chosen: list[Contestant], starts: int, at_once: int) -> dict[str, list[Start]]:
    """Have every contestant start that many containers."""
    measured: dict[str, list[Start]] = {one.name: [] for one in chosen}
    with ExitStack() as stack:
        stack.callback(remove_cgroups)
        image = make_image(Path(stack.enter_context(TemporaryDirectory())))
        for one in chosen:
            one.prepare(stack.enter_context(Machine()), image)
            one.start()  # the first makes bridges, tables and cgroups
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        for done in range(0, starts, at_once):
            for one in random.sample(chosen, len(chosen)):
                crowd = [pool.submit(one.start) for _ in range(min(at_once, starts - done))]
                measured[one.name] += [start.result() for start in crowd]
    return measured


def row(name: str, starts: list[Start], reference_ms: float | None) -> str:
    """Return one contestant's line of the table."""
    before = sum(one.before for one in starts)
    offsets = sorted(one.offset_ms for one in starts if one.offset_ms is not None)
    shown = ["-"] * 3
    if len(offsets) > 1:
        parts = statistics.quantiles(offsets, n=20, method="inclusive")
        shown = [f"{one:+.1f}" for one in (statistics.median(offsets), parts[0], parts[-1])]
    run_ms = statistics.median(one.run_ms for one in starts)
    ratio = f"{run_ms / reference_ms:.2f}" if reference_ms else "-"
    cells = (name, str(len(starts)), f"{before} of {len(starts)}", *shown, f"{run_ms:.0f}", ratio)
    return f"| {' | '.join(cells)} |"


def print_table(chosen: list[Contestant], measured: dict[str, list[Start]]) -> None:
    """Print the table, in Markdown."""
    print("| | starts | up before | median ms | p5 | p95 | run ms | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    references = {one.engine: statistics.median(start.run_ms for start in measured[one.name])
                  for one in chosen if one.is_bridge}  # fmt: skip
    for one in chosen:
        print(row(one.name, measured[one.name], references.get(one.engine)))


def write_csv(path: Path, measured: dict[str, list[Start]]) -> None:
    """Write every start as a line."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("contestant", "start", *Start._fields))
        for name, starts in measured.items():
            for number, start in enumerate(starts, 1):
                writer.writerow((name, number, *start))


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    says = "how many of each (default: 50)"
    parser.add_argument("--starts", type=int, default=50, metavar="N", help=says)
    says = "how many of them at the same time (default: 1)"
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help=says)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every start there")
    says = "only contestants with this in their name; several times"
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help=says)
    arguments = parser.parse_args()
    wanted = arguments.only or [""]
    chosen = [one for one in contestants() if any(word in one.name for word in wanted)]
    load = os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        measured = measure(chosen, arguments.starts, arguments.at_once)
    except BenchError as error:
        sys.exit(f"bench/start.py: {error}")
    print_table(chosen, measured)
    print(f"\n{os.cpu_count()} CPUs, load {load:.1f} before and {os.getloadavg()[0]:.1f} after.")
    if arguments.csv:
        write_csv(arguments.csv, measured)


if __name__ == "__main__":
    main()

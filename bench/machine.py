"""Machines of their own for engines, in namespaces of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from arena import PATH, BenchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

OCINET = Path(__file__).resolve().parent.parent / ".venv/bin/ocinet"
CGROUP = f"/ocinet-bench-{os.getpid()}"
# Of the machine's `lo`, where published ports are asked for: the way over 127.0.0.1
# is another one, with Docker's proxy.
ADDRESS = "198.51.100.1"
SETTLE_S = 60
_READY_S, _COMMAND_S, _INTERVAL_S = 30, 120, 0.01

# SIGCHLD is ignored, so orphans leave no zombies. podman has locks in /dev/shm, and
# dockerd, if it finds AppArmor, a profile in the kernel, which would stay. crun 1.8
# refuses a hybrid cgroup tree. No engine can lay an overlay over an overlay.
_MAKE = """\
set -e
trap '' CHLD
ip link set lo up
ip address add {address}/32 dev lo
mount -t tmpfs -o mode=755 bench /run
mkdir -p /run/lock /run/netns /run/podman /run/bench/home
mount -t tmpfs bench /dev/shm
[ ! -d /sys/kernel/security ] || mount -t tmpfs bench /sys/kernel/security
umount /sys/fs/cgroup/unified 2>/dev/null || true
[ -z "$cgroup2" ] || mount -t cgroup2 bench /sys/fs/cgroup
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
""".replace("{address}", ADDRESS)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float) -> None:
    """Wait until something is so.

    Raises:
        BenchError: it is not after that time.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not after {timeout_s} s")
        time.sleep(_INTERVAL_S)


class Machine:
    """Namespaces of its own for network, mounts and processes; a context manager.

    Whatever runs in them is killed with the first process there, which ends with
    this one, however that ends.

    Args:
        cgroup2: whether its cgroups are of version 2 alone, where this machine has both.
    """

    def __init__(self, *, cgroup2: bool = False) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork",
             "--kill-child", "--mount-proc", "sh", "-c", _MAKE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**os.environ, "cgroup2": "yes" * cgroup2},
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

    @property
    def pid(self) -> int:
        """Id of a process that is in its network."""
        return self._holder.pid

    @property
    def netns(self) -> str:
        """Path of its network namespace."""
        return f"/proc/{self._holder.pid}/ns/net"

    def popen(self, *words: str) -> subprocess.Popen[str]:
        """Start a program that is talked to by its stdin and stdout; the caller ends it."""
        return subprocess.Popen([*self._entering, *words], env=self._environment, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)  # fmt: skip

    def path(self, path: str) -> Path:
        """Return where we find one of its files."""
        return Path(f"/proc/{self._holder.pid}/root") / path.lstrip("/")

    def run(self, *words: str, timeout_s: float = _COMMAND_S) -> str:
        """Run a command; returns its stdout.

        Raises:
            BenchError: it fails.
        """
        done = subprocess.run([*self._entering, *words], env=self._environment, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout_s)  # fmt: skip
        if done.returncode:
            raise BenchError(f"{' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def time(self, *words: str) -> float:
        """Run a command; returns the milliseconds that it took.

        Raises:
            BenchError: it fails.
        """
        began = time.monotonic()
        self.run(*words)
        return (time.monotonic() - began) * 1000

    def succeeds(self, *words: str) -> bool:
        """Tell whether a command succeeds."""
        try:
            self.run(*words)
        except BenchError:
            return False
        return True

    def start(self, ready: Callable[[], bool], log: str, *words: str) -> int:
        """Start a service and wait until it is ready.

        Returns:
            Its process's id, as we see it.

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
            wait_until(lambda: service.poll() is not None or ready(), words[0], _READY_S)
        except BenchError as error:
            raise BenchError(f"{error}:\n{path.read_text()[-2000:]}") from error
        if service.poll() is not None:
            raise BenchError(f"{words[0]} ended:\n{path.read_text()[-2000:]}")
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children")
        return int(children.read_text().split()[0])  # nsenter itself stays outside


def make_image(directory: Path, scripts: dict[str, str]) -> Path:
    """Make a tar file of busybox and some scripts, to be imported by engines.

    Args:
        directory: where.
        scripts: by name, what is found in the image's root.

    Raises:
        BenchError: there is no busybox.
    """
    busybox = shutil.which("busybox", path=PATH)
    if busybox is None:
        raise BenchError("there is no busybox: apt-get install busybox-static")
    rootfs = directory / "rootfs"
    for name in ("bin", "dev", "etc", "proc", "sys"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy(busybox, rootfs / "bin/busybox")
    (rootfs / "bin/sh").symlink_to("busybox")
    for name, text in scripts.items():
        (rootfs / name).write_text(text)
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

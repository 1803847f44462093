"""The lab: a machine of its own for one test.

    outside ───────────── uplink │ lab │ whatever the test makes
    198.51.100.2/24      198.51.100.1/24
    2001:db8:100::2/64   2001:db8:100::1/64

The lab has its own network and mount namespaces. `/run` is an empty tmpfs, and
`/etc`, `/var/lib` and `/usr/share/containers` are private copies over the
machine's, so that ocinet, podman and dockerd use their usual places and leave
nothing there. What the machine itself has of ocinet, or of CDI devices, is not in
them. `outside` is a neighbour that knows no way to the lab's containers: it answers
only what the lab masquerades.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.command import Transcript
from hosts.engine.bundle import SLEEP, Bundle, bundle_config
from hosts.engine.dockerd import Docker
from hosts.engine.podman import Podman
from hosts.engine.runtimes import Container, Runtime
from hosts.lab import snapshot
from hosts.lab.installation import Installation
from hosts.lab.namespace import Namespace
from hosts.lab.snapshot import Snapshot
from hosts.lab.watcher import Watcher
from hosts.requirements import ROOT, SEARCH_PATH, require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hosts.engine.bundle import Config

UPLINK = "uplink"
LAB_V4, LAB_V6 = "198.51.100.1", "2001:db8:100::1"
OUTSIDE_V4, OUTSIDE_V6 = "198.51.100.2", "2001:db8:100::2"
_SETTLE_INTERVAL_S = 0.05
_DIRECTORIES = ("/run/ocinet", "/var/lib/ocinet", "/etc/ocinet")

# crun 1.8 refuses a hybrid cgroup tree, hence the umount. The tmpfs mounts:
# podman and dockerd can't lay an overlay over an overlay.
_MAKE_LAB = """\
set -e
ip link set lo up
mount -t tmpfs -o mode=755 lab /run
mount -t tmpfs -o mode=1777 lab /dev/shm
mkdir -p /run/lock /run/netns /run/user /run/lab/home
umount /sys/fs/cgroup/unified 2>/dev/null || true
for place in /etc /var/lib /usr/share/containers; do
    if [ -d $place ]; then
        mkdir -p /run/lab/upper$place /run/lab/work$place
        mount -t overlay lab $place \
            -o lowerdir=$place,upperdir=/run/lab/upper$place,workdir=/run/lab/work$place
    fi
done
rm -rf /etc/ocinet /var/lib/ocinet /etc/cdi
(umask 077 && mkdir -p /etc/ocinet/ocinet.toml.d &&
    echo 'names = false' > /etc/ocinet/ocinet.toml.d/50-lab.toml)
mkdir -p /var/lib/containers /var/lib/docker
mount -t tmpfs lab /var/lib/containers
mount -t tmpfs lab /var/lib/docker
echo ready
exec cat
"""
_MAKE_NEIGHBOUR = "ip link set lo up && echo ready && exec cat"


def _holder(*words: str) -> subprocess.Popen[str]:
    """Start a process that holds a namespace; it goes when its stdin closes.

    So it goes with the test run too, however that ends.
    """
    holder = subprocess.Popen(
        words, env={"PATH": SEARCH_PATH}, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert holder.stdout is not None
    told = holder.stdout.readline()
    if told.strip() != "ready":
        holder.kill()
        raise AssertionError(f"cannot make a lab: {told}{holder.communicate()[0]}")
    return holder


class Lab(Installation):
    """A private machine; a context manager.

    Everything that runs in it is run, started or entered through it, and is
    gone when the block ends. Its own methods act in its host namespace.

    Args:
        directory: for bundles; the same path in the lab and outside.
        rootfs: see `bundle.build_rootfs`.
        config: see `bundle.default_config`.

    Attributes:
        outside: the neighbour on the uplink.
        cgroup: parent of every container's cgroup, as `/ocinet-lab-1a2b3c4d`.
        baseline: what the lab looked like when it was new.
        ignored: lines of snapshots with one of these words don't count.
        engines: that run in it now.
    """

    def __init__(self, directory: Path, rootfs: Path, config: Config) -> None:
        require(ROOT, "unshare", "nsenter", "ip", "nft")
        self.directory = directory
        self.rootfs = rootfs
        self.cgroup = f"/ocinet-lab-{uuid.uuid4().hex[:8]}"
        self.ignored: tuple[str, ...] = ()
        self.engines: list[Docker | Podman] = []
        self._config = config
        self._containers: list[Container] = []
        self._entered: list[Namespace] = []
        holder = _holder(
            "unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _MAKE_LAB
        )
        self._holders = [holder]
        super().__init__("lab", holder.pid, holder.pid, Transcript())
        try:
            self.outside = self.add_neighbour(
                "outside", UPLINK, (LAB_V4, OUTSIDE_V4), (LAB_V6, OUTSIDE_V6)
            )
            batch = f"route add default via {OUTSIDE_V4}\nroute add ::/0 via {OUTSIDE_V6}\n"
            self.run("ip", "-batch", "-", stdin=batch)
            self.baseline = self.snapshot()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        """Return itself; everything in it is gone at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove the lab."""
        self.close()

    def add_neighbour(
        self, name: str, ifname: str, v4: tuple[str, str], v6: tuple[str, str]
    ) -> Namespace:
        """Connect one more host to the lab, by a link of its own.

        Args:
            name: for the transcript.
            ifname: of the lab's end; the neighbour's is `eth0`.
            v4: the lab's address and the neighbour's, of one /24.
            v6: the same, of one /64.

        Returns:
            The neighbour, with no route but to that link.
        """
        neighbour = self.add_place(name)
        peer = f"peer name eth0 netns {neighbour.net_pid}"
        self.run("ip", "link", "add", "name", ifname, "type", "veth", *peer.split())
        ends = ((self, ifname, 0), (neighbour, "eth0", 1))
        for place, dev, index in ends:
            # No duplicate detection: snapshots must not depend on its second.
            place.set_sysctl("net/ipv6/conf/all/accept_dad", "0")
            place.set_sysctl(f"net/ipv6/conf/{dev}/accept_dad", "0")
            batch = (
                f"address add {v4[index]}/24 dev {dev}\n"
                f"address add {v6[index]}/64 dev {dev} nodad\n"
                f"link set {dev} up\n"
            )
            place.run("ip", "-batch", "-", stdin=batch)
        for place, dev, _ in ends:
            place.wait_for_carrier(dev)
        return neighbour

    def add_place(self, name: str) -> Namespace:
        """Make one more network namespace, which nothing leads to yet."""
        holder = _holder(*self.entering(), "unshare", "--net", "sh", "-c", _MAKE_NEIGHBOUR)
        self._holders.append(holder)
        return self.enter(name, holder.pid)

    def enter(self, name: str, pid: int) -> Namespace:
        """Return the network namespace of a process, to look and talk in."""
        namespace = Namespace(name, pid, self.net_pid, self.transcript)
        self._entered.append(namespace)
        return namespace

    def make_netns(self, name: str) -> Namespace:
        """Make a named network namespace, as `ip netns add` does, and enter it.

        The test removes it with `ip netns delete`.
        """
        self.run("ip", "netns", "add", name)
        holder = _holder(
            *self.entering(), "nsenter", f"--net=/run/netns/{name}", "sh", "-c", _MAKE_NEIGHBOUR
        )
        self._holders.append(holder)
        return self.enter(name, holder.pid)

    def bundle(
        self,
        name: str = "",
        *,
        args: Sequence[str] = SLEEP,
        annotations: Mapping[str, str] | None = None,
        network: str | None = "",
    ) -> Bundle:
        """Make a bundle of the busybox rootfs.

        Args:
            name: the container id that it is meant for; "" means one by number.
            args: the entrypoint and its arguments.
            annotations: as they shall stand in `config.json`.
            network: "" for a new namespace, None for the host's, else a path.
        """
        number = len(list(self.directory.iterdir()))
        container_id = name or f"c{number}"
        config = bundle_config(
            self._config, rootfs=self.rootfs, cgroup=f"{self.cgroup}/{container_id}-{number}",
            args=args, annotations=annotations or {}, network=network,
        )  # fmt: skip
        return Bundle(self.directory / f"{container_id}-{number}", container_id, config)

    @property
    def runc(self) -> Runtime:
        """The runc of the lab."""
        return Runtime(self, "runc")

    @property
    def crun(self) -> Runtime:
        """The crun of the lab."""
        return Runtime(self, "crun")

    def runtime(self, program: str) -> Runtime:
        """Return runc or crun by name, for tests that run with both."""
        return Runtime(self, program)

    def podman(self, runtime: str = "runc") -> Podman:
        """Return podman on one of the runtimes, with the busybox image in place."""
        podman = Podman(self, runtime)
        self.engines.append(podman)
        return podman

    def docker(self, *options: str, name: str = "") -> Docker:
        """Return a dockerd to be started: `with lab.docker() as docker:`.

        Args:
            options: more words for dockerd.
            name: of one beside the usual one.
        """
        return Docker(self, options, name)

    def watch(self, *options: str, env: Mapping[str, str] | None = None) -> Watcher:
        """Return a watcher to be started: `with lab.watch() as watcher:`."""
        return Watcher(self, options, dict(env or {}))

    @property
    def containers(self) -> tuple[Container, ...]:
        """What was made with runc or crun and is not deleted."""
        return tuple(self._containers)

    def remember(self, container: Container) -> None:
        """Note a container that `delete_containers` shall delete."""
        self._containers.append(container)

    def forget(self, container: Container) -> None:
        """Note that a container has been deleted."""
        with contextlib.suppress(ValueError):
            self._containers.remove(container)

    def delete_containers(self) -> None:
        """Delete what the test made with runc or crun and did not delete itself."""
        for container in list(self._containers):
            container.delete(check=False)
        self._containers.clear()

    def snapshot(self) -> Snapshot:
        """Take a snapshot: kernel objects, files, mounts, processes, cgroups."""
        look = snapshot.parse(self.run(*snapshot.LOOK).stdout)
        self.transcript.lines.pop()
        root = self.path("/")
        return (
            look.with_facet("files", snapshot.files(root, _DIRECTORIES))
            .with_facet("processes", self.processes().values())
            .with_facet("cgroups", snapshot.cgroups(self.cgroup, inner_only=True))
        )

    def processes(self) -> dict[int, str]:
        """Return the processes in the lab, but not those that the lab itself needs."""
        own = {holder.pid for holder in self._holders}
        own |= {each.pid for place in (self, *self._entered) for each in place.background}
        found = snapshot.processes(self._namespaces(), self.cgroup)
        return {pid: words for pid, words in found.items() if pid not in own}

    def _namespaces(self) -> list[str]:
        places = [(holder.pid, kind) for holder in self._holders for kind in ("net", "mnt")]
        return [os.readlink(f"/proc/{pid}/ns/{kind}") for pid, kind in places]

    def assert_unchanged(self, before: Snapshot | None = None, *, settle_s: float = 15) -> None:
        """Fail if anything differs from a snapshot, by default the lab's first.

        Args:
            before: the snapshot to compare with.
            settle_s: how long the kernel may take to end processes and links.

        Raises:
            AssertionError: it lists what is gone and what is new.
        """
        changed = self._settled(
            lambda: (before or self.baseline).difference(self.snapshot()), settle_s
        )
        assert not changed, "the lab has changed:\n" + "\n".join(changed)

    def assert_no_container_left(self, *, settle_s: float = 15) -> None:
        """Fail if a container left anything; networks and settings may stay.

        Args:
            settle_s: how long the kernel may take to end processes and links.

        Raises:
            AssertionError: it lists what is gone and what is new.
        """
        before = self.baseline.without_networks()
        left = self._settled(
            lambda: before.difference(self.snapshot().without_networks()), settle_s
        )
        assert not left, "containers left something behind:\n" + "\n".join(left)

    def _settled(self, differences: Callable[[], list[str]], settle_s: float) -> list[str]:
        end = time.monotonic() + settle_s
        while True:
            counted = [
                line for line in differences() if not any(word in line for word in self.ignored)
            ]
            if not counted or time.monotonic() > end:
                return counted
            time.sleep(_SETTLE_INTERVAL_S)

    def close(self) -> None:
        """Kill everything that is in the lab, and let the kernel remove it."""
        for place in (*self._entered, self):
            Namespace.close(place)
        own = {holder.pid for holder in self._holders}
        namespaces = self._namespaces()

        def kill_all() -> bool:
            left = snapshot.processes(namespaces, self.cgroup).keys() - own
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        try:
            wait_until(kill_all, "the end of the lab's processes", timeout_s=10)
        finally:
            for holder in self._holders:
                holder.kill()
                holder.communicate()
        wait_until(self._remove_cgroups, "the removal of the lab's cgroups", timeout_s=10)

    def _remove_cgroups(self) -> bool:
        for place in snapshot.cgroups(self.cgroup):
            with contextlib.suppress(OSError):
                os.rmdir(place)
        return not snapshot.cgroups(self.cgroup)

"""Hosts and members of etcd's on one link.

under0 ──┬── etcd1 10.90.0.201 ── …     in one namespace, a bridge with nothing else
         ├── a     10.90.0.1
         └── b     10.90.0.2            each in its own, with /run, /etc and /var/lib of its own
"""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING

from hosts.cluster.etcd import EtcdMember
from hosts.cluster.host import ClusterHost
from hosts.command import Transcript
from hosts.lab.namespace import Namespace
from hosts.requirements import ROOT, SEARCH_PATH, require

if TYPE_CHECKING:
    from pathlib import Path

_MAKE_LINK = "ip link set lo up && ip link add under0 type bridge && ip link set under0 up"
_MAKE_MEMBER = "ip link set lo up"
_MAKE_HOST = """\
set -e
ip link set lo up
mount -t tmpfs -o mode=755 host /run
mkdir -p /run/lock /run/netns /run/lab/home
for place in /etc /var/lib; do
    mkdir -p /run/upper$place /run/work$place
    mount -t overlay host $place \\
        -o lowerdir=$place,upperdir=/run/upper$place,workdir=/run/work$place
done
rm -rf /etc/ocinet /var/lib/ocinet
(umask 077 && mkdir -p /etc/ocinet/ocinet.toml.d &&
    echo 'names = false' > /etc/ocinet/ocinet.toml.d/50-host.toml)
cat /proc/sys/kernel/random/uuid > /run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
"""


class World:
    """A context manager: all of it is gone at the end of the block.

    Args:
        directory: for what etcd keeps.

    Attributes:
        members: of etcd's.
        hosts: by their names.
    """

    def __init__(self, directory: Path) -> None:
        require(ROOT, "etcd", "etcdctl", "ip", "unshare", "nsenter", "nft")
        self._directory = directory
        self.transcript = Transcript()
        self.members: list[EtcdMember] = []
        self.hosts: dict[str, ClusterHost] = {}
        self._holders: list[subprocess.Popen[str]] = []
        self._beside: dict[str, list[str]] = {}
        self._link = self._hold("unshare", "--net", "sh", "-c", f"{_MAKE_LINK}\n{_HOLD}")
        self._between = Namespace("link", self._link, self._link, self.transcript)

    def __enter__(self) -> World:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove all."""
        self.close()

    @property
    def urls(self) -> str:
        """All endpoints, as `--etcd` takes them."""
        return ",".join(member.url for member in self.members)

    def start_etcd(self, count: int = 1, *options: str) -> None:
        """Start a cluster of etcd, and wait until it answers."""
        names = {f"etcd{number}": f"10.90.0.{200 + number}" for number in range(1, count + 1)}
        for name, address in names.items():
            holder = self._hold("unshare", "--net", "sh", "-c", f"{_MAKE_MEMBER}\n{_HOLD}")
            self._connect(name, holder, address)
            enter = ("nsenter", f"--net=/proc/{holder}/ns/net", "--")
            member = EtcdMember(name, address, names, self._directory, enter, options)
            self.members.append(member)
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait()

    def stop_etcd(self) -> None:
        """Kill all members."""
        for member in self.members:
            member.stop()

    def restart_etcd(self) -> None:
        """Start all members again, and wait until they answer."""
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait()

    def add_host(self, name: str, address: str = "", machine_id: str = "") -> ClusterHost:
        """Add a host.

        Args:
            name: of it; short, for a link has it, too.
            address: "" means the next one.
            machine_id: "" means one of its own.
        """
        words = ("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c")
        holder = self._hold(*words, f"{_MAKE_HOST}\n{_HOLD}")
        address = address or f"10.90.0.{len(self.hosts) + 1}"
        host = ClusterHost(name, holder, address, self.transcript)
        self.hosts[name] = host
        host.be(machine_id or uuid.uuid4().hex)
        self._connect(name, holder, address)
        return host

    def split(self, name: str) -> None:
        """Take the cable of somebody on the link out."""
        self._between.run("ip", "link", "set", f"v-{name}", "nomaster")

    def mend(self, name: str) -> None:
        """Put it in again, and that of whoever was beside it."""
        for port in (name, *self._beside.pop(name, ())):
            self._between.run("ip", "link", "set", f"v-{port}", "master", "under0")

    def join_pair(self, one: str, other: str) -> None:
        """Put two whose cables are out on a link of their own, until the other one is mended."""
        self._between.run("ip", "link", "add", "apart0", "type", "bridge")
        self._between.run("ip", "link", "set", "apart0", "up")
        for port in (one, other):
            self._between.run("ip", "link", "set", f"v-{port}", "master", "apart0")
        self._beside[other] = [one]

    def close(self) -> None:
        """End everything, and let the kernel remove it."""
        for host in self.hosts.values():
            host.close()
        for member in self.members:
            member.stop()
        for holder in reversed(self._holders):
            holder.kill()
            holder.communicate()

    def _connect(self, name: str, pid: int, address: str) -> None:
        peer = f"peer name eth0 netns {pid}".split()
        self._between.run("ip", "link", "add", f"v-{name}", "type", "veth", *peer)
        self._between.run("ip", "link", "set", f"v-{name}", "master", "under0", "up")
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", "-batch", "-")
        batch = (
            f"address add {address}/24 dev eth0\nlink set eth0 up\n"
            f"address add fd90::{address.rpartition('.')[2]}/64 dev eth0 nodad\n"
        )
        subprocess.run(inside, input=batch, text=True, check=True, env={"PATH": SEARCH_PATH})

    def _hold(self, *words: str) -> int:
        """Start a process that holds namespaces; it goes when its stdin closes."""
        holder = subprocess.Popen(
            words, env={"PATH": SEARCH_PATH}, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._holders.append(holder)
        assert holder.stdout is not None
        told = holder.stdout.readline()
        if told.strip() != "ready":
            raise AssertionError(f"cannot make a namespace: {told}{holder.communicate()[0]}")
        return holder.pid


_HOLD = "echo ready\nexec cat"

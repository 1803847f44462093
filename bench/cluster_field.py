"""etcd and hosts of a cluster on one link, each a machine of its own.

under0 ──┬── etcd 10.90.0.254, and whoever plays hosts, on the same machine
         ├── eth0 of a, 10.90.0.1
         └── eth0 of b, 10.90.0.2
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from arena import BenchError, Command, inside, spawn
from machine import OCINET, Machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

CLUSTER, NETWORK = "prod", "web"
_POOL = ("--pool", "10.32.0.0/12", "--share-length", "24")  # 4,096 shares
_AT, _PORT = "10.90.0.254", 2379
URL = f"http://{_AT}:{_PORT}"
_BULLETIN = "/run/ocinet/cluster.json"
_LONGEST_S = 300
_POLL_S = 0.001
_JOIN = f"""\
import time
from ocinet.base.paths import Paths
from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.membership import Membership, Wishes
access = Access((Endpoint.parse({URL!r}),))
began = time.perf_counter()
Membership(Paths(), Etcd).join({CLUSTER!r}, Wishes(access))
print(1000 * (time.perf_counter() - began))
"""


class Usage(NamedTuple):
    """What a process has taken.

    Attributes:
        cpu_ms: of its threads, of which neither an agent nor etcd ends any.
        memory_mb: resident now.
        most_mb: the most that it was.
    """

    cpu_ms: float
    memory_mb: float
    most_mb: float


def usage_of(pid: int) -> Usage:
    """Return what a process has taken so far."""
    spent_ns = sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    now, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Usage(spent_ns / 1e6, now, most)


class Host:
    """A host of the cluster's.

    Args:
        machine: that it is.
        name: of it.

    Attributes:
        agent: its agent's process; 0: none.
    """

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        self.agent = 0

    def join_ms(self) -> float:
        """Join, in a process that has loaded what that takes; return how long it took."""
        return float(self.machine.run(str(OCINET.with_name("python")), "-c", _JOIN))

    def join_by_command_ms(self) -> float:
        """Join by the command; return how long it took."""
        return self.machine.time(*self._words("join", CLUSTER, "--etcd", URL, "--name", self.name))

    def shares(self) -> list[str]:
        """Return the first address of each share, which is this host's own."""
        kept = self.machine.path(f"/var/lib/ocinet/cluster/{CLUSTER}.json").read_text()
        return [str(share).partition("/")[0] for share in json.loads(kept)["shares"]]

    def leave(self) -> None:
        """Leave."""
        self.machine.run(*self._words("leave"))

    def start_agent(self) -> None:
        """Start the agent, and wait until it runs; not until it has done anything."""
        log = "/run/agent.log"
        told = self.machine.path(log)
        self.agent = self.machine.start(lambda: bool(told.stat().st_size), log, *self._words("run"))

    def stop_agent(self) -> None:
        """Have it end."""
        os.kill(self.agent, signal.SIGTERM)
        wait_until(lambda: not os.path.exists(f"/proc/{self.agent}"), "end of the agent", 30)
        self.agent = 0

    def told(self) -> dict[str, Any]:
        """Return the agent's bulletin."""
        try:
            told: dict[str, Any] = json.loads(self.machine.path(_BULLETIN).read_text())
        except (OSError, ValueError):
            return {}
        return told

    def wait_for_peers(self, count: int) -> None:
        """Wait until this host is a member, and has made the ways to so many others at least.

        Raises:
            BenchError: it has not.
        """

        def has_them() -> bool:
            told = self.told()
            is_so = (told.get("state"), told.get("plane")) == ("member", "")
            return bool(is_so and told["applied"] and len(told["peers"]) >= count)

        try:
            wait_until(has_them, f"{count} peers of {self.name}", _LONGEST_S)
        except BenchError as error:
            log = self.machine.path("/run/agent.log").read_text()
            raise BenchError(f"{error}:\n{log[-2000:]}") from error

    def make_network(self) -> None:
        """Make the network that the cluster's containers are on."""
        self.machine.run(str(OCINET), "network", "create", "--cluster", CLUSTER, NETWORK)

    def attach(self, name: str) -> None:
        """Start a container that is nothing but a namespace."""
        self.machine.run("ip", "netns", "add", name)
        attach = ("attach", f"netns:/run/netns/{name}", "--name", name, "--net", NETWORK)
        self.machine.run(str(OCINET), *attach)

    def gateway(self, name: str) -> str:
        """Return what a container asks for names."""
        shown = json.loads(self.machine.run(str(OCINET), "ps", "--json"))
        (endpoint,) = (each["endpoints"][0] for each in shown if each["name"] == name)
        return str(endpoint["routes"][0]["gateway"])

    def netns(self, container: str) -> int:
        """Return a descriptor of a container's namespace, which the caller closes."""
        return os.open(self.machine.path(f"/run/netns/{container}"), os.O_RDONLY)

    def _words(self, *words: str) -> tuple[str, ...]:
        return (str(OCINET), "cluster", *words)


class Field:
    """etcd, the link, and the hosts; a context manager that removes all of it.

    Attributes:
        etcd: etcd's process; 0: it does not run.
    """

    def __init__(self) -> None:
        self.etcd = 0
        self._stack = ExitStack()
        self._hosts = 0

    def __enter__(self) -> Field:
        """Return itself."""
        self._middle = self._stack.enter_context(Machine())
        try:
            self._ip("link add under0 type bridge", "link set under0 up",
                     f"address add {_AT}/16 dev under0")  # fmt: skip
            self.start_etcd()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill all that runs in it."""
        self._stack.close()

    def start_etcd(self) -> None:
        """Start it, with what it had; returns when it answers."""
        urls = ("--listen-client-urls", URL, "--advertise-client-urls", URL)
        self.etcd = self._middle.start(
            self._answers, "/run/etcd.log", "etcd", "--data-dir", "/run/etcd", *urls
        )

    def kill_etcd(self) -> None:
        """Kill it."""
        os.kill(self.etcd, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{self.etcd}"), "end of etcd", 30)
        self.etcd = 0

    def add_host(self, name: str) -> Host:
        """Return another host, which is no member yet; the first one makes the cluster."""
        machine = self._stack.enter_context(Machine())
        self._hosts += 1
        self._ip(f"link add v-{name} type veth peer name eth0 netns {machine.pid}",
                 f"link set v-{name} master under0 up")  # fmt: skip
        machine.run("ip", "address", "add", f"10.90.0.{self._hosts}/16", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        machine.path("/etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        if self._hosts == 1:
            machine.run(str(OCINET), "cluster", "init", CLUSTER, *_POOL, "--etcd", URL)
        return Host(machine, name)

    def others(self) -> Others:
        """Return the process that plays hosts, of which there are none yet."""
        script = str(Path(__file__).with_name("cluster_others.py"))
        return self._stack.enter_context(
            closing(Others(self._middle.popen(sys.executable, script, URL, CLUSTER)))
        )

    def _answers(self) -> bool:
        with _entered(self._middle.netns):
            try:
                socket.create_connection((_AT, _PORT), timeout=1).close()
            except OSError:
                return False
        return True

    def _ip(self, *lines: str) -> None:
        with _entered(self._middle.netns):
            spawn(Command(("/sbin/ip", "-batch", "-"), stdin="\n".join(lines)))


class Others:
    """The process that plays hosts: see cluster_others.py, of which each method is an act."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def grow(self, count: int) -> None:
        """Have so many hosts be members that are heard and follow what comes."""
        self._ask("grow", count)

    def join(self) -> tuple[str, float]:
        """Have one more join, as soon as etcd lets it; return the first address of its share.

        Returns:
            The address, and when the transaction was answered, by the monotonic clock.
        """
        address, at = self._ask("join")
        return str(address), float(at)

    def heard(self) -> float:
        """Wait until all of them have heard of that; return when the last one did."""
        return float(self._ask("heard"))

    def calm(self) -> None:
        """Wait until all follow what comes."""
        self._ask("calm")

    def _ask(self, *words: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"who plays hosts has ended: {self._process.communicate()[1]}")
        return json.loads(line)


def wait_for_way(machine: Machine, address: str, timeout_s: float = _LONGEST_S) -> float:
    """Wait until a machine has a way to an address; return when, by the monotonic clock."""
    end = time.monotonic() + timeout_s
    with _entered(machine.netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        while time.monotonic() < end:
            try:
                asking.connect((address, 9))
            except OSError as error:
                if error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH):
                    raise
                time.sleep(_POLL_S)
            else:
                return time.monotonic()
    raise BenchError(f"no way to {address} in {timeout_s} s")


def wait_for_answers(askers: Sequence[int], address: str, timeout_s: float = 30) -> float:
    """Ping from several namespaces until each had an answer; return when the last one had it.

    Args:
        askers: descriptors of network namespaces.
        address: that is pinged, by each a thousand times a second at most.
        timeout_s: for all.

    Raises:
        BenchError: somebody had none.
    """
    end = time.monotonic() + timeout_s
    with ExitStack() as stack:
        waiting = [stack.enter_context(_echo_socket(netns)) for netns in askers]
        request = _echo()
        while waiting and time.monotonic() < end:
            for asking in waiting:
                asking.sendto(request, (address, 0))
            ready, _, _ = select.select(waiting, (), (), _POLL_S)
            for asking in ready:
                packet, (sender, _) = asking.recvfrom(2048)
                if sender == address and packet[(packet[0] & 15) * 4] == 0:
                    waiting.remove(asking)
        if waiting:
            raise BenchError(f"{address} does not answer {len(waiting)} of {len(askers)}")
        return time.monotonic()


def wait_for_name(asker: int, server: str, name: str, timeout_s: float = 30) -> float:
    """Ask a name server until it knows a name; return when, by the monotonic clock."""
    label = name.encode()
    query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\0\0\1\0\1"
    own = os.dup(asker)
    end = time.monotonic() + timeout_s
    with os.fdopen(own), inside(own), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.02)
        asking.connect((server, 53))
        while time.monotonic() < end:
            try:
                asking.send(query)
                answer = asking.recv(512)
            except OSError:  # it is being started anew
                continue
            if not answer[3] & 15 and answer[7]:
                return time.monotonic()
            time.sleep(_POLL_S)
    raise BenchError(f"{server} does not know {name} in {timeout_s} s")


@contextmanager
def _entered(path: str) -> Iterator[None]:
    """Be in a network namespace for a while."""
    netns = os.open(path, os.O_RDONLY)
    try:
        with inside(netns):
            yield
    finally:
        os.close(netns)


def _echo_socket(netns: int) -> socket.socket:
    with inside(netns):
        made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    made.setblocking(False)  # noqa: FBT003  # the standard library's
    return made


def _echo() -> bytes:
    """Return an echo request (RFC 792) of no data."""
    number = os.getpid() & 0xFFFF
    total = 0x0800 + number
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return struct.pack(">BBHHH", 8, 0, checksum, number, 0)

"""Hosts that ocinet, Docker, podman with netavark and CNI's plugins wired, to be attacked.

Each has networks `one`, `two`, `inner` (internal) and `four` (without IPv6), and is
between two neighbours: `lan`, where its default route goes, and `beyond`. `rp_filter` is 2
everywhere, as Debian's systemd sets it; forwarding is off until whoever wires switches it on.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, NamedTuple

from arena import BenchError
from contestants import CNI
from engine_contestants import IMAGE, Docker, Podman
from machine import OCINET, Machine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

# Of each link: its host's end, and the neighbour's.
LINKS = {
    "lan": (("192.0.2.1", "2001:db8:1::1"), ("192.0.2.9", "2001:db8:1::9")),
    "beyond": (("203.0.113.1", "2001:db8:2::1"), ("203.0.113.9", "2001:db8:2::9")),
}
_DEVICES = {"lan": "up0", "beyond": "up1"}


class Network(NamedTuple):
    """A network that is wanted.

    Attributes:
        name: its own.
        v4: its subnet.
        v6: that of IPv6, None if it has none.
        internal: whether nothing of it is to get out.
    """

    name: str
    v4: IPv4Network
    v6: IPv6Network | None = None
    internal: bool = False

    @property
    def subnets(self) -> list[str]:
        """Return them as text."""
        return [str(subnet) for subnet in (self.v4, self.v6) if subnet]

    @property
    def gateways(self) -> list[str]:
        """Return the host's own addresses."""
        return [str(subnet[1]) for subnet in (self.v4, self.v6) if subnet]


def _network(name: str, number: int, *, v6: bool = True, internal: bool = False) -> Network:
    six = IPv6Network(f"fd00:50:{number}::/64") if v6 else None
    return Network(name, IPv4Network(f"10.50.{number}.0/24"), six, internal)


NETWORKS = {network.name: network for network in (
    _network("one", 1), _network("two", 2), _network("inner", 3, internal=True),
    _network("four", 4, v6=False),
)}  # fmt: skip


class Publish(NamedTuple):
    """A UDP port that is published: at which of the host's addresses ("": all), and where."""

    address: str
    outer: int
    inner: int


class Wiring:
    """One way to wire containers; a context manager that removes the host with all there is.

    Args:
        options: what its networks are made with beside the defaults.
    """

    def __init__(self, *options: str) -> None:
        self.options = options
        self._stack = ExitStack()
        self._opened: list[int] = []

    def __enter__(self) -> Wiring:
        """Make the host, its neighbours and networks."""
        try:
            self.machine = self._stack.enter_context(Machine())
            self._join_neighbours()
            self.prepare()
            for network in NETWORKS.values():
                self.create(network, self.options)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove them."""
        for fd in self._opened:
            os.close(fd)
        self._stack.close()

    def version(self) -> str:
        """Return what it is, with its version."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Start what is needed."""

    def create(self, network: Network, options: Sequence[str]) -> None:
        """Define a network."""
        raise NotImplementedError

    def start(self, name: str, network: str, ip: str = "", ports: Sequence[Publish] = ()) -> int:
        """Start a container; returns a descriptor of its network namespace.

        Raises:
            BenchError: it does not start.
        """
        raise NotImplementedError

    def stop(self, name: str) -> None:
        """Remove a container."""
        raise NotImplementedError

    def host(self) -> int:
        """Return a descriptor of the host's network namespace."""
        return self.open("/proc/1/ns/net")

    def open(self, path: str) -> int:
        """Return a descriptor of a file of the machine's, which is closed in the end."""
        self._opened.append(os.open(self.machine.path(path), os.O_RDONLY))
        return self._opened[-1]

    def _join_neighbours(self) -> None:
        run = self.machine.run
        # The machine has what ours has of these; nobody is to find forwarding on.
        for setting in ("ipv4/ip_forward=0", "ipv6/conf/all/forwarding=0"):
            self._set(setting)
        for name, (here, there) in LINKS.items():
            device = _DEVICES[name]
            run("ip", "netns", "add", name)
            run("ip", "link", "add", device, "type", "veth", "peer", "eth0", "netns", name)
            ends = ((("ip",), device, here, there), (("ip", "-n", name), "eth0", there, here))
            for ip, end, own, other in ends:
                for address, length in zip(own, (24, 64), strict=True):
                    run(*ip, "address", "add", f"{address}/{length}", "dev", end, *(
                        ("nodad",) if length == 64 else ()))  # fmt: skip
                run(*ip, "link", "set", end, "up")
                if name == "lan" or end == "eth0":
                    for address in other:
                        run(*ip, "route", "add", "default", "via", address)
            run("ip", "-n", name, "link", "set", "lo", "up")
        self._set("ipv4/conf/all/rp_filter=2")

    def _set(self, setting: str) -> None:
        name, _, value = setting.partition("=")
        # By a process within: /proc/sys/net shows whoever opens it his own network.
        self.machine.run("sh", "-c", f"echo {value} > /proc/sys/net/{name}")

    def package(self, name: str) -> str:
        """Return the version of a Debian package, without what Debian adds."""
        told = self.machine.run("dpkg-query", "-W", "-f", "${Version}", name)
        return told.partition("-")[0].partition("+")[0]


class _Plain(Wiring):
    """One whose containers are network namespaces of a name, without a process."""

    def start(self, name: str, network: str, ip: str = "", ports: Sequence[Publish] = ()) -> int:
        """Make a namespace, and wire it."""
        self.machine.run("ip", "netns", "add", name)
        self.machine.run("ip", "-n", name, "link", "set", "lo", "up")
        netns = self.open(f"/run/netns/{name}")
        self.attach(name, NETWORKS[network], ip, ports)
        return netns

    def stop(self, name: str) -> None:
        """Unwire it, and remove the namespace."""
        self.detach(name)
        self.machine.run("ip", "netns", "delete", name)

    def attach(self, name: str, network: Network, ip: str, ports: Sequence[Publish]) -> None:
        """Wire a namespace."""
        raise NotImplementedError

    def detach(self, name: str) -> None:
        """Unwire it."""
        raise NotImplementedError


class Ocinet(_Plain):
    """ocinet, by its command."""

    def version(self) -> str:
        """Return its version."""
        return self.machine.run(str(OCINET), "--version").strip()

    def create(self, network: Network, options: Sequence[str]) -> None:
        """Define a network."""
        words = [f"--subnet={net}" for net in network.subnets] + ["--internal"] * network.internal
        self.machine.run(str(OCINET), "network", "create", *words, *options, network.name)

    def attach(self, name: str, network: Network, ip: str, ports: Sequence[Publish]) -> None:
        """Attach it."""
        words = [f"--net={network.name}", f"--name={name}"]
        words += [f"--ip={ip}"] if ip else []
        for port in ports:
            at = f"{port.address}:" if port.address else ""
            words.append(f"--publish={at}{port.outer}:{port.inner}/udp")
        self.machine.run(str(OCINET), "attach", f"netns:/run/netns/{name}", *words)

    def detach(self, name: str) -> None:
        """Detach it."""
        self.machine.run(str(OCINET), "detach", "--force", name)


class BareBridge(_Plain):
    """Bridges, addresses and routes, and what publishes two ports: all that is tried gets in."""

    def version(self) -> str:
        """Return that it has none."""
        return "bare bridge"

    def create(self, network: Network, options: Sequence[str]) -> None:
        """Make a bridge; forwarding is switched on, and `route_localnet`."""
        device = f"br-{network.name}"
        run = self.machine.run
        run("ip", "link", "add", device, "type", "bridge", "mcast_snooping", "0")
        for subnet in network.subnets:
            one = ip_network(subnet)
            run("ip", "address", "add", f"{one[1]}/{one.prefixlen}", "dev", device)
        run("ip", "link", "set", device, "up")
        for setting in ("ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1",
                        f"ipv4/conf/{device}/route_localnet=1",
                        "ipv4/conf/up0/route_localnet=1"):  # fmt: skip
            self._set(setting)

    def attach(self, name: str, network: Network, ip: str, ports: Sequence[Publish]) -> None:
        """Make a pair, and DNAT for its ports."""
        run, inner = self.machine.run, ("ip", "-n", name)
        number, outer = 10 + len(self._opened), f"v-{name}"
        run("ip", "link", "add", outer, "type", "veth", "peer", "eth0", "netns", name)
        run("ip", "link", "set", outer, "master", f"br-{network.name}", "up")
        own = [ip or str(network.v4[number]), *([str(network.v6[number])] if network.v6 else [])]
        for address, length in zip(own, (24, 64), strict=False):
            run(*inner, "address", "add", f"{address}/{length}", "dev", "eth0")
        run(*inner, "link", "set", "eth0", "up")
        for gateway in network.gateways:
            run(*inner, "route", "add", "default", "via", gateway)
        for port in ports:
            to = f"ip daddr {port.address} " if port.address else ""
            nat = f"{to}udp dport {port.outer} dnat ip to {own[0]}:{port.inner}"
            hook = "type nat hook prerouting priority dstnat;"
            run("nft", f"table inet bare {{ chain publish {{ {hook} {nat}; }}; }}")

    def detach(self, name: str) -> None:
        """Leave it to the namespace's end."""


class CniBridge(_Plain):
    """The reference plugins: bridge with host-local and ipMasq, and portmap for ports."""

    def __init__(self, *options: str) -> None:
        super().__init__(*options)
        self._networks: dict[str, tuple[Network, dict[str, object]]] = {}
        self._wired: dict[str, str] = {}

    def version(self) -> str:
        """Return the package's version."""
        return f"CNI bridge {self.package('containernetworking-plugins')}"

    def create(self, network: Network, options: Sequence[str]) -> None:
        """Keep it; each call of a plugin is told."""
        self._networks[network.name] = (network, dict.fromkeys(options, True))

    def attach(self, name: str, network: Network, ip: str, ports: Sequence[Publish]) -> None:
        """Run the chain."""
        self._wired[name] = network.name
        result = self._call("bridge", "ADD", name, self._config(network.name, ip))
        if ports:
            config = self._config(network.name, ip) | {
                "prevResult": json.loads(result), "runtimeConfig": {"portMappings": [
                    {"hostPort": port.outer, "containerPort": port.inner, "protocol": "udp",
                     **({"hostIP": port.address} if port.address else {})} for port in ports]},
            }  # fmt: skip
            self._call("portmap", "ADD", name, config)

    def detach(self, name: str) -> None:
        """Run it backwards."""
        config = self._config(self._wired[name], "")
        empty = {"prevResult": {"cniVersion": "1.0.0", "interfaces": [], "ips": []}}
        self._call("portmap", "DEL", name, config | empty)
        self._call("bridge", "DEL", name, config)

    def _config(self, name: str, ip: str) -> dict[str, object]:
        network, options = self._networks[name]
        # There is no word for an internal network: one without gateway and masquerading.
        routes = [] if network.internal else [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
        return {
            "cniVersion": "1.0.0", "name": name, "bridge": f"cni-{name}",
            "isGateway": not network.internal, "ipMasq": not network.internal, **options,
            "ipam": {"type": "host-local", "routes": routes[: len(network.subnets)],
                     "ranges": [[{"subnet": subnet}] for subnet in network.subnets]},
            "capabilities": {"portMappings": True},
            **({"args": {"cni": {"ips": [ip]}}} if ip else {}),
        }  # fmt: skip

    def _call(self, plugin: str, verb: str, name: str, config: dict[str, object]) -> str:
        path = f"/run/bench/{name}.json"
        self.machine.path(path).write_text(json.dumps(config | {"type": plugin}))
        words = (f"CNI_PATH={CNI}", f"CNI_COMMAND={verb}", "CNI_IFNAME=eth0",
                 f"CNI_CONTAINERID={name}", f"CNI_NETNS=/run/netns/{name}")  # fmt: skip
        return self.machine.run("env", *words, "sh", "-c", f"exec {CNI}/{plugin} < {path}")


class _Engine(Wiring):
    """One that is an engine, with containers that sleep.

    Args:
        image: of those containers.
        engine: how it is run.
        options: of its networks.
    """

    def __init__(self, image: Path, engine: Docker | Podman, *options: str) -> None:
        super().__init__(*options)
        self._image, self._engine = image, engine

    def prepare(self) -> None:
        """Start it."""
        self._engine.prepare(self.machine, self._image)

    def create(self, network: Network, options: Sequence[str]) -> None:
        """Define a network."""
        words = [f"--subnet={subnet}" for subnet in network.subnets]
        words += ["--ipv6"] if network.v6 else []
        words += ["--internal"] if network.internal else []
        self._engine("network", "create", *words, *options, network.name)

    def start(self, name: str, network: str, ip: str = "", ports: Sequence[Publish] = ()) -> int:
        """Start a container."""
        words = [f"--name={name}", f"--network={network}"]
        words += [f"--ip={ip}"] if ip else []
        for port in ports:
            at = f"{port.address}:" if port.address else ""
            words.append(f"--publish={at}{port.outer}:{port.inner}/udp")
        self._engine("create", *words, IMAGE, "/bin/sh", "/wait")
        self._engine("start", name)
        pid = self._engine("inspect", "--format={{.State.Pid}}", name).strip()
        if pid == "0":
            raise BenchError(f"{name} has ended")
        return self.open(f"/proc/{pid}/ns/net")

    def stop(self, name: str) -> None:
        """Remove a container."""
        self._engine(*self._engine.removal, name)


class DockerBridge(_Engine):
    """Docker, with networks of a user's."""

    def __init__(self, image: Path, *options: str) -> None:
        super().__init__(image, Docker("Docker", is_bridge=True), *options)

    def version(self) -> str:
        """Return the daemon's version."""
        return "Docker " + self._engine("version", "--format={{.Server.Version}}").partition("+")[0]


class PodmanBridge(_Engine):
    """podman, whose networks are netavark's; without names, whose server wants systemd."""

    def __init__(self, image: Path, *options: str) -> None:
        super().__init__(image, Podman("podman", is_bridge=True), *options)

    def create(self, network: Network, options: Sequence[str]) -> None:
        """Define a network."""
        super().create(network, ("--disable-dns", *options))

    def version(self) -> str:
        """Return both versions."""
        return f"netavark {self.package('netavark')}, podman {self.package('podman')}"

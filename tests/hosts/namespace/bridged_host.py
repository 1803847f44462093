"""A host with bridges, containers and neighbours, for asking who reaches whom.

    neighbour ── up0 ── host ── up1 ── far
                         ├─ lan    (managed)   a, b
                         ├─ dmz    (managed)   c
                         ├─ vault  (internal)  i
                         └─ old    (adopted)   o

The host is the namespace that the test runs in. Every address is there in both
families: `10.N.0.X` and `fd00:N::X`. Sockets are opened in a namespace and used
from here, so that a question costs no process. What is found out is what the
packets say; of the code under test, only `enter` calls anything.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from builders import network
from fakes.records import FakeGuards, NoOwners
from hosts.namespace.looks import run
from hosts.namespace.seamed_host import SeamedHost
from hosts.waiting import wait_until
from ocinet.base.address import Address, Subnet
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.network import NetworkRules
from ocinet.engine.plan.closing import CloseBridge
from ocinet.engine.plan.machine import Machine
from ocinet.engine.ruleset.filters import filters_of
from ocinet.engine.ruleset.nft import table_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_ETH_P_ALL = 3
# A busy machine may be slow to answer; only who waits for nobody need not wait long.
ANSWER_S, SILENCE_S = 10.0, 0.2

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
NEIGHBOUR = {4: "192.0.2.2", 6: "2001:db8::2"}
FAR = {4: "198.51.100.9", 6: "2001:db8:f::9"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
BRIDGES = {"lan": 9, "dmz": 8, "vault": 7, "old": 6}
MANAGED = ("lan", "dmz", "vault")
CONTAINERS = {"a": ("lan", 2), "b": ("lan", 3), "c": ("dmz", 2), "i": ("vault", 2), "o": ("old", 2)}

# Host ports: of a on every address, of a on the uplink's, of a on 127.0.0.1, and
# of the other networks' containers.
EVERY, UPLINK, LOOP, ADOPTED, INTERNAL, OTHER = 8080, 8081, 8082, 8083, 8084, 8085


def address(name: str, family: int) -> str:
    """Return the address of a container, or of the host on a bridge."""
    bridge, number = CONTAINERS.get(name, (name, 1))
    net = BRIDGES[bridge]
    return f"10.{net}.0.{number}" if family == 4 else f"fd00:{net}::{number}"


def network_rules() -> tuple[NetworkRules, ...]:
    """Return what the firewall has to know of the bridges."""
    return tuple(
        NetworkRules(
            device=bridge,
            subnets=(Subnet.parse(f"10.{net}.0.0/24"), Subnet.parse(f"fd00:{net}::/64")),
            isolated=bridge != "old",
            internal=bridge == "vault",
            masquerade=bridge != "old",
        )
        for bridge, net in BRIDGES.items()
    )


def port_rules() -> tuple[PortRule, ...]:
    """Return the published ports, all of them to port 80 of a container."""
    found = []
    for family in (4, 6):
        wanted: list[tuple[str, int, str]] = [
            ("", EVERY, "a"), (HOST[family], UPLINK, "a"), ("", ADOPTED, "o"),
            ("", INTERNAL, "i"), ("", OTHER, "c"),
        ]  # fmt: skip
        if family == 4:
            wanted.append((LOOPBACK[4], LOOP, "a"))
        for host, port, name in wanted:
            at = Address.parse(host) if host else None
            to = Address.parse(address(name, family))
            found += [PortRule("tcp", at, port, to, 80), PortRule("udp", at, port, to, 80)]
    return tuple(found)


def chains_of_table() -> dict[str, list[str]]:
    """Return the rules of our table, by chain, as they are written."""
    found = {}
    for chain in table_text().split("\tchain ")[1:]:
        name, *lines = chain.splitlines()
        rules = [line.strip() for line in lines if line.startswith("\t\t")]
        found[name.split()[0]] = [rule for rule in rules if not rule.startswith(("#", "type "))]
    return found


@contextmanager
def without(chain: str, rule: str) -> Iterator[None]:
    """Have one rule out of the table, in a `with` block."""
    rules = chains_of_table()[chain]
    place = rules.index(rule)
    listed = json.loads(run(f"nft -j list chain inet ocinet {chain}"))["nftables"]
    handles = [what["rule"]["handle"] for what in listed if "rule" in what]
    assert len(handles) == len(rules)
    run(f"nft delete rule inet ocinet {chain} handle {handles[place]}")
    try:
        yield
    finally:
        is_last = rule == rules[-1]
        command, at = ("add", "") if is_last else ("insert", f"index {place}")
        run("nft", "-f", "-", given=f"{command} rule inet ocinet {chain} {at} {rule}\n")


class BridgedHost:
    """The namespaces, in a `with` block.

    Args:
        bridge_nf: whether bridged packets pass the firewall (bridge-nf-call-iptables).

    Attributes:
        seen: what every server has met, as `SERVER CLIENT`, in order.
        patience_s: how long an answer is waited for: `SILENCE_S` is enough where none may come.
    """

    def __init__(self, *, bridge_nf: bool) -> None:
        self.seen: list[str] = []
        self.patience_s = ANSWER_S
        self._fds = {"host": os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)}
        self._servers: list[tuple[socket.socket, threading.Thread]] = []
        for name in ("neighbour", "far", *CONTAINERS):
            self._fds[name] = self._make_namespace()
        for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            self.set_sysctl(f"bridge/{key}", int(bridge_nf))
        self._wire()

    def __enter__(self) -> BridgedHost:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop the servers and leave the namespaces to the kernel."""
        for server, thread in self._servers:
            with suppress(OSError):  # a UDP socket is not connected, but it wakes up
                server.shutdown(socket.SHUT_RDWR)
            thread.join()
            server.close()
        for fd in self._fds.values():
            os.close(fd)

    def _make_namespace(self) -> int:
        assert _LIBC.unshare(_CLONE_NEWNET) == 0
        fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.set_sysctl("ipv6/conf/default/accept_dad", 0)
        run("ip", "link", "set", "lo", "up")
        assert _LIBC.setns(self._fds["host"], 0) == 0
        return fd

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Do what is in the block in a namespace."""
        assert _LIBC.setns(self._fds[name], 0) == 0
        try:
            yield
        finally:
            assert _LIBC.setns(self._fds["host"], 0) == 0

    @staticmethod
    def set_sysctl(key: str, value: int) -> None:
        """Write a setting under /proc/sys/net of the namespace of this thread."""
        with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
            file.write(str(value))

    def _wire(self) -> None:
        # A link-local address that is not verified yet can't ask for neighbours, so
        # for a second nothing would be routed to a container.
        self.set_sysctl("ipv6/conf/default/accept_dad", 0)
        self.set_sysctl("ipv4/ip_forward", 1)
        self.set_sysctl("ipv6/conf/all/forwarding", 1)
        for bridge in BRIDGES:
            run("ip", "link", "add", bridge, "type", "bridge")
            self._address(bridge, f"{address(bridge, 4)}/24", f"{address(bridge, 6)}/64")
            self.set_sysctl(f"ipv4/conf/{bridge}/route_localnet", 1)
        for name, (bridge, _number) in CONTAINERS.items():
            self._join(name, f"v{name}")
            with self.inside(name):
                self._address("eth0", f"{address(name, 4)}/24", f"{address(name, 6)}/64")
                self._route(address(bridge, 4), address(bridge, 6))
            run("ip", "link", "set", f"v{name}", "master", bridge, "up")
            run("ip", "link", "set", f"v{name}", "type", "bridge_slave", "hairpin", "on")
        for name, ifname, there, here in (
            ("neighbour", "up0", NEIGHBOUR, HOST),
            ("far", "up1", FAR, {4: "198.51.100.1", 6: "2001:db8:f::1"}),
        ):
            self._join(name, ifname)
            self._address(ifname, f"{here[4]}/24", f"{here[6]}/64")
            with self.inside(name):
                self._address("eth0", f"{there[4]}/24", f"{there[6]}/64")
                self._route(here[4], here[6])

    def _join(self, name: str, ifname: str) -> None:
        run("ip", "link", "add", ifname, "type", "veth", "peer", "name", "eth0",
           "netns", f"/proc/{os.getpid()}/fd/{self._fds[name]}")  # fmt: skip
        with self.inside(name):  # be quick to ask again for a neighbour that a rule kept away
            self.set_sysctl("ipv6/neigh/eth0/retrans_time_ms", 20)

    @staticmethod
    def _address(ifname: str, four: str, six: str) -> None:
        run("ip", "-batch", "-", given=(
            f"link set {ifname} up\naddr add {four} dev {ifname}\n"
            f"addr add {six} dev {ifname} nodad\n"
        ))  # fmt: skip

    @staticmethod
    def _route(four: str, six: str) -> None:
        routes = f"route add default via {four}\nroute add default via {six}\n"
        run("ip", "-batch", "-", given=routes)

    def enter(self, *, without: str = "") -> None:
        """Make the table and enter all networks and ports.

        Args:
            without: what is cut out of the table's text before, to see what it is for.
        """
        text = table_text()
        assert without in text
        run("nft", "-f", "-", given=text.replace(without, ""))
        with Firewall() as firewall:
            assert not firewall.open(network_rules(), port_rules())

    def close_bridges(self) -> None:
        """Set what keeps managed networks closed without a table, as where bridges are made."""
        with SeamedHost() as host:
            machine = Machine(host.seams(), lambda: ((), (), (), ()), FakeGuards(), NoOwners())
            for name in MANAGED:
                made = network(name, f"10.{BRIDGES[name]}.0.0/24", device=name)
                assert CloseBridge(name, filters_of(made), internal=name == "vault").apply(machine)
            assert not machine.warnings

    def open_to_loopback(self, name: str, via: str) -> None:
        """Have a namespace send what is for 127.0.0.0/8 to the host, as an attacker would."""
        with self.inside(name):
            for key in ("all/route_localnet", "eth0/route_localnet"):
                self.set_sysctl(f"ipv4/conf/{key}", 1)
            run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
            run("ip", "route", "add", "127.0.0.0/8", "via", via)

    def open_socket(self, name: str, kind: str, family: int) -> socket.socket:
        """Open a socket in a namespace."""
        with self.inside(name):
            return socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, _TYPES[kind])

    def serve(self, name: str, port: int, *, at: str = "::") -> None:
        """Answer each TCP connection and each UDP packet with `SERVER CLIENT`."""
        for kind in _TYPES:
            server = self.open_socket(name, kind, 4 if "." in at else 6)
            if at == "::":
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((at, port))
            if kind == "tcp":
                server.listen()
            thread = threading.Thread(target=self._answer, args=(server, name))
            thread.start()
            self._servers.append((server, thread))

    def serve_all(self) -> None:
        """Start a server in each container, at both neighbours and on the host."""
        for name in CONTAINERS:
            self.serve(name, 80)
        self.serve("far", EVERY)
        self.serve("neighbour", 7000)
        self.serve("host", 9000, at=LOOPBACK[4])
        self.serve("host", 9001)

    def _answer(self, server: socket.socket, name: str) -> None:
        while True:
            try:
                if server.type == socket.SOCK_STREAM:
                    client, peer = server.accept()
                    with client:
                        client.sendall(self._met(name, peer[0]))
                        client.recv(10)
                else:
                    data, peer = server.recvfrom(100)
                    if not data and not peer:
                        return
                    server.sendto(self._met(name, peer[0]), peer)
            except OSError:
                return

    def _met(self, name: str, client: str) -> bytes:
        self.seen.append(f"{name} {client.removeprefix('::ffff:')}")
        return self.seen[-1].encode()

    def ask(self, name: str, target: str, port: int, kind: str = "tcp") -> str:
        """Return what the server says that is met there, `SERVER CLIENT`; "" if none answers."""
        with self.open_socket(name, kind, 6 if ":" in target else 4) as client:
            client.settimeout(self.patience_s)
            try:
                client.connect((target, port))
                client.send(b"?")
                return client.recv(200).decode()
            except OSError:
                return ""

    def ask_in_vain(self, name: str, target: str, port: int, kind: str = "tcp") -> str:
        """Return the same as `ask`, soon: where nobody is to answer, all is waited for."""
        former, self.patience_s = self.patience_s, SILENCE_S
        try:
            return self.ask(name, target, port, kind)
        finally:
            self.patience_s = former

    def is_met(self, name: str, target: str, port: int, *, source: str, as_: str) -> bool:
        """Tell whether a UDP packet from an address of one's choice gets to a server.

        Args:
            name: who sends it.
            target: whom to.
            port: of the target.
            source: which address it is sent from; an answer may not find back there.
            as_: what the server notes of it: `SERVER CLIENT`.
        """
        with self.open_socket(name, "udp", 6 if ":" in target else 4) as client:
            client.bind((source, 0))
            client.sendto(b"?", (target, port))
            with suppress(AssertionError):
                wait_until(lambda: as_ in self.seen, as_, timeout_s=self.patience_s)
        return as_ in self.seen

    def leaks(self, name: str, family: int) -> bool:
        """Tell whether a TCP packet out of nowhere gets to the neighbour under its own address."""
        source, target = address(name, family), NEIGHBOUR[family]
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        with self.inside("neighbour"):
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        with self.inside(name):
            sender = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_TCP)
        with sniffer, sender:
            sniffer.settimeout(self.patience_s)
            nonsense = b"\x10\x00\x10\x00" + bytes(8) + b"\x50\x07" + bytes(6)  # FIN, SYN and RST
            sender.sendto(nonsense, (target, 0))
            packed = socket.inet_pton(kind, source)
            with suppress(TimeoutError):
                while True:
                    frame = sniffer.recv(2000)
                    if packed in frame[:54] and nonsense[:4] in frame:
                        return True
        return False

"""Network namespaces in memory: links, addresses, routes and sysctls, and sandboxes of them.

What the kernel does by itself is here: `lo`, the routes that come with addresses, the
link-local addresses, the other end of a pair that goes with the one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Process
from ocinet.base.errors import NotFoundError, SystemFailure
from ocinet.engine.model.bandwidth import Bandwidth
from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.model.link import Link, SourceWay
from ocinet.engine.model.request import Route

if TYPE_CHECKING:
    from collections.abc import Callable

_LINK_LOCAL = Subnet.parse("fe80::/64")
_LOOPBACK = (Interface.parse("127.0.0.1/8"), Interface.parse("::1/128"))
_FIRST_INODE = 4026532000
_FIRST_PID = 5_000_000  # above the most that Linux gives: nobody lives there
_MACS = itertools.count(0x02FA00000001)


@dataclass(eq=False)
class FakeLink:
    """One interface."""

    namespace: FakeNamespace
    ifindex: int
    ifname: str
    kind: str = ""
    mtu: int = 1500
    mac: str = ""
    up: bool = False
    group: int = 0
    alias: str = ""
    ipv6: bool = True
    hairpin: bool = False
    isolated: bool = False
    lacks: tuple[str, ...] = ()
    spans: bool = False
    without_arp: bool = False
    bandwidth: Bandwidth | None = None
    filters: BridgeFilters = field(default_factory=lambda: BridgeFilters(b"", b""))
    master: FakeLink | None = None
    peer: FakeLink | None = None
    addresses: list[Interface] = field(default_factory=list)

    @property
    def ports(self) -> list[FakeLink]:
        """The links that it is the bridge of."""
        return [link for link in self.namespace.links.values() if link.master is self]

    @property
    def running(self) -> bool:
        """Whether it is known to carry packets; of what has no carrier, nobody knows."""
        if self.kind == "bridge":
            return self.up and any(port.running for port in self.ports)
        return self.up and self.peer is not None and self.peer.up

    def set_up(self) -> None:
        """Set it up; with IPv6 it gets a link-local address then."""
        self.up = True
        if self.ifname == "lo":
            self.addresses = list(dict.fromkeys((*self.addresses, *_LOOPBACK)))
        elif self.ipv6 and self.mac and self.namespace.gives_link_local:
            self.add_address(_link_local(self.mac))

    def add_address(self, interface: Interface) -> None:
        """Give it an address, unless it has it."""
        if interface not in self.addresses:
            self.addresses.append(interface)

    def value(self) -> Link:
        """Return it as the kernel would describe it."""
        return Link(
            self.ifindex,
            self.ifname,
            self.kind,
            self.mtu,
            self.mac,
            self.up,
            master=self.master.ifindex if self.master else 0,
            group=self.group,
            alias=self.alias,
            peer=self.peer.ifindex if self.peer else 0,
            running=self.running,
            hairpin=self.hairpin,
            isolated=self.isolated,
            lacks=self.lacks,
            spans=self.spans,
            without_arp=self.without_arp,
        )


@dataclass(eq=False)
class FakeNamespace:
    """One namespace.

    Attributes:
        gives_link_local: whether links get such an address when they go up; the host's
            end of a pair does not, and who tests the host does not look at it.
        routes: that somebody set: the links, and the routes through them.
        sysctls: by key; those of a link go with it.
        ways: of what is sent from its addresses; those of a link go with it.
    """

    identity: str
    gives_link_local: bool = True
    links: dict[str, FakeLink] = field(default_factory=dict)
    routes: list[tuple[FakeLink, Route]] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    ways: set[SourceWay] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with `lo`, down."""
        self._indexes = itertools.count(1)
        self.add("lo", mtu=65536, mac="00:00:00:00:00:00")

    def add(self, ifname: str, kind: str = "", *, mtu: int = 1500, mac: str = "") -> FakeLink:
        """Make an interface, down."""
        link = FakeLink(
            self, next(self._indexes), ifname, kind, mtu, mac or next(_MACS).to_bytes(6).hex(":")
        )
        self.links[ifname] = link
        for key in ("accept_ra", "accept_dad"):
            self.sysctls[f"net/ipv6/conf/{ifname}/{key}"] = "1"
        self.sysctls[f"net/ipv6/conf/{ifname}/disable_ipv6"] = "0"
        self.sysctls[f"net/ipv4/conf/{ifname}/route_localnet"] = "0"
        return link

    def remove(self, link: FakeLink) -> None:
        """Remove an interface, and with it its other end and what goes through it."""
        for end in (link, link.peer):
            if end is None:
                continue
            space = end.namespace
            space.links.pop(end.ifname, None)
            space.ways = {way for way in space.ways if way.ifname != end.ifname}
            space.routes = [(by, route) for by, route in space.routes if by is not end]
            conf = (f"net/ipv4/conf/{end.ifname}/", f"net/ipv6/conf/{end.ifname}/")
            for key in [key for key in space.sysctls if key.startswith(conf)]:
                del space.sysctls[key]
            for port in end.ports:
                port.master = None

    def routes_of(self, link: FakeLink) -> tuple[Route, ...]:
        """Return the routes through an interface: those of its addresses, and those set."""
        connected = [
            Route(interface.subnet)
            for interface in link.addresses
            if link.up and link.ifname != "lo" and not _is_single(interface.subnet)
        ]
        given = [route for by, route in self.routes if by is link]
        return tuple(dict.fromkeys((*connected, *given)))


@dataclass(eq=False)
class FakeSandbox:
    """An open namespace; see `seams.Sandbox`."""

    namespace: FakeNamespace
    path: str
    fd: int
    host: FakeNamespace
    home_of: Callable[[Process], FakeNamespace | None]

    @property
    def identity(self) -> str:
        """The namespace's."""
        return self.namespace.identity

    @property
    def is_host(self) -> bool:
        """Whether it is the host's."""
        return self.namespace is self.host

    def check(self, process: Process) -> None:
        """Make sure that a process lives in it."""
        home = self.home_of(process)
        what = f"cannot use the sandbox of process {process.pid}"
        if home is None:
            raise NotFoundError(what, "the process is gone")
        if home is not self.namespace:
            raise SystemFailure(what, "the process has moved to another network namespace")

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self.fd = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()


class FakeProcesses:
    """Processes that sleep in namespaces of their own; they have pids that nobody else has."""

    def __init__(self, host: FakeNamespace) -> None:
        self._host = host
        self._homes: dict[Process, FakeNamespace] = {}
        self._numbers = itertools.count()
        self._opened = itertools.count(1000)

    def start(self) -> Process:
        """Start one in a new namespace."""
        number = next(self._numbers)
        process = Process(_FIRST_PID + number, number)
        self._homes[process] = FakeNamespace(f"4:{_FIRST_INODE + number}")
        return process

    def home(self, process: Process) -> FakeNamespace | None:
        """Return the namespace that a process lives in; None if it is gone."""
        return self._homes.get(process)

    def end(self, process: Process) -> None:
        """End one; its namespace goes with its last process, and the pairs in it."""
        home = self._homes.pop(process)
        if home not in self._homes.values():
            for link in list(home.links.values()):
                home.remove(link)

    def move(self, process: Process, to: FakeNamespace) -> None:
        """Have a process live in another namespace, as who shares a sandbox does."""
        self._homes[process] = to

    def open(self, process: Process) -> FakeSandbox:
        """Open the namespace of a process.

        Raises:
            NotFoundError: it is gone.
        """
        home = self.home(process)
        if home is None:
            raise NotFoundError(
                f"cannot open the sandbox of process {process.pid}", "the process is gone"
            )
        path = f"/proc/{process.pid}/ns/net"
        return FakeSandbox(home, path, next(self._opened), self._host, self.home)

    def open_host(self) -> FakeSandbox:
        """Open the host's namespace."""
        return FakeSandbox(self._host, "/proc/1/ns/net", next(self._opened), self._host, self.home)


def _is_single(subnet: Subnet) -> bool:
    return subnet.size == 1


def _link_local(mac: str) -> Interface:
    """Return the address that the kernel makes of a MAC (RFC 4291, appendix A)."""
    packed = bytes.fromhex(mac.replace(":", ""))
    host = bytes((packed[0] ^ 2, *packed[1:3], 0xFF, 0xFE, *packed[3:]))
    return Interface(Address(6, _LINK_LOCAL.value | int.from_bytes(host)), 64)

"""A host in memory: its links, bridges, sandboxes, sysctls and names, and its firewall.

    host = FakeHost()
    process = host.start()
    sandbox = host.open_sandbox(process)
    machine = Machine(host.seams(), lambda: ((), (), ()), FakeGuards(), NoOwners(), sandbox)

What others do on the host, and tests by hand, are the methods of `FakeHost` itself.
To make it fail, and to come between two acts, see `trace`: `host.trace.fail_at(2)`,
`host.trace.acts`, `host.trace.before`. `host.state()` is all that there is, to compare.

It is asked the same questions as the real one, in `tests/contract`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.firewall import FakeElements, FakeFirewall, FakeForwardAccepts, ForeignTables
from fakes.kernel import (
    FakeBridges,
    FakeFilters,
    FakeInsides,
    FakeLinks,
    FakeMarks,
    FakeNames,
    FakeShaping,
    FakeSysctls,
)
from fakes.lan import FakeLan
from fakes.name_files import FakeNameFiles
from fakes.name_server import FakeNamesElsewhere, FakeNameServer
from fakes.namespace import FakeNamespace, FakeProcesses, FakeSandbox
from fakes.routing import FakeRoutingRules, FakeUplinks
from fakes.trace import Trace
from ocinet.base.address import Address, Interface, Subnet
from ocinet.engine.model.routing import RoutingRule
from ocinet.engine.plan.machine import Host

if TYPE_CHECKING:
    from ocinet.base.clock import Process

_IDENTITY = "4:4026531840"
_FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")


class FakeHost:
    """A host with nothing but `lo`.

    Attributes:
        trace: what was asked, and where it fails.
        processes: in sandboxes of their own.
        links, insides, bridges, bridge_filters, shaping, lan, marks, sysctls, names, firewall,
            forward_accepts, routing_rules, uplinks, name_server: the seams.
        name_files: of the containers that have files of their own.
    """

    def __init__(self) -> None:
        self.trace = Trace()
        self.namespace = FakeNamespace(_IDENTITY, gives_link_local=False)
        self.namespace.links["lo"].set_up()
        self.namespace.sysctls.update(dict.fromkeys(_FORWARDING, "0"))
        self.processes = FakeProcesses(self.namespace)
        self.default_routes: list[tuple[int, int, str, bool]] = []  # family, metric, link, by RA
        self.default_sources: dict[int, list[tuple[Address, str, Address]]] = {}  # by family
        self.routes: set[Subnet] = set()  # that lead elsewhere
        self.read_only = False
        self.filters_known = True  # by its kernel
        self.names_taken: dict[str, Process | None] = {}
        self.foreign = ForeignTables()
        self.links = FakeLinks(self)
        self.insides = FakeInsides(self)
        self.bridges = FakeBridges(self)
        self.sysctls = FakeSysctls(self)
        self.bridge_filters = FakeFilters(self)
        self.shaping = FakeShaping(self)
        self.lan = FakeLan(self)
        self.marks = FakeMarks(self)
        self.names = FakeNames(self)
        self.name_server = FakeNameServer(self)
        self.names_elsewhere = FakeNamesElsewhere(self)
        self.name_files = FakeNameFiles()
        self.routing_rules = FakeRoutingRules(self)
        self.uplinks = FakeUplinks(self.trace, self.foreign)
        self.firewall = FakeFirewall(self.trace, self.foreign, self.uplinks)
        self.forward_accepts = FakeForwardAccepts(self.trace, self.foreign)

    def seams(self) -> Host:
        """Return what steps and those who look at a host are given."""
        return Host(
            links=self.links,
            insides=self.insides,
            bridges=self.bridges,
            bridge_filters=self.bridge_filters,
            shaping=lambda: self.shaping,
            lan=lambda: self.lan,
            marks=lambda: self.marks,
            sysctls=self.sysctls,
            names=self.names,
            firewall=self.firewall,
            elements=FakeElements(self.trace, self.firewall),
            forward_accepts=self.forward_accepts,
            routing_rules=self.routing_rules,
            uplinks=self.uplinks,
            name_server=lambda: self.name_server,
            names_elsewhere=lambda: self.names_elsewhere,
            name_files=self.name_files.of,
        )

    def state(self) -> dict[str, Any]:
        """Return all that is changed by what is done through the seams."""
        return {
            "links": {
                name: (link.value().replace(ifindex=0, master=0, peer=0), tuple(link.addresses),
                       link.master and link.master.ifname, link.hairpin, link.filters,
                       link.bandwidth)
                for name, link in self.namespace.links.items()
            },
            "sysctls": dict(self.namespace.sysctls),
            "names": dict(self.names_taken),
            "table": self.firewall.contents(),
            "accepts": self.foreign.accepted(),
            "rules": self.routing_rules.all(),
            "uplinks": self.uplinks.rules,
            "served": {name: dict(lines) for name, lines in self.name_server.served.items()},
        }  # fmt: skip

    # -- what others do ------------------------------------------------------------------

    def add_link(self, ifname: str, kind: str = "", *, group: int = 0, up: bool = False) -> None:
        """Make a link of somebody else's, or one that bears our group."""
        link = self.namespace.add(ifname, kind)
        link.group = group
        if up:
            link.set_up()

    def add_bridge(self, ifname: str, *, mtu: int = 1500) -> None:
        """Make a bridge of somebody else's, set up."""
        self.namespace.add(ifname, "bridge", mtu=mtu).set_up()

    def rename(self, ifname: str, name: str) -> None:
        """Give a link another name."""
        link = self.namespace.links.pop(ifname)
        link.ifname = name
        self.namespace.links[name] = link

    def fill_bridge(self, ifname: str, count: int) -> None:
        """Give a bridge so many ports."""
        bridge = self.namespace.links[ifname]
        for number in range(count):
            self.namespace.add(f"p{number}", "veth").master = bridge

    def add_address(self, ifname: str, address: str) -> None:
        """Give one of the host's links an address."""
        self.namespace.links[ifname].add_address(Interface.parse(address))

    def add_default_route(
        self,
        gateway: str,
        ifname: str,
        *,
        metric: int = 0,
        advertised: bool = False,
        source: str = "",
    ) -> None:
        """Add a default route of the host's."""
        family = 6 if ":" in gateway else 4
        self.default_routes.append((family, metric, ifname, advertised))
        if source:
            way = (Address.parse(gateway), ifname, Address.parse(source))
            self.default_sources.setdefault(family, []).append(way)

    def add_blackhole(self, subnet: str) -> None:
        """Let the host drop what is for a subnet."""
        self.routes.add(Subnet.parse(subnet))

    def add_source_rule(self, source: str, *, table: int, priority: int) -> None:
        """Let what the host sends from a subnet look up a routing table."""
        subnet = Subnet.parse(source)
        self.routing_rules.put(RoutingRule(subnet.family, priority, table, source=subnet))

    def set_down(self, ifname: str) -> None:
        """Set one of the host's links down."""
        self.namespace.links[ifname].up = False

    def delete_link(self, ifname: str) -> None:
        """Delete one of the host's links."""
        self.namespace.remove(self.namespace.links[ifname])

    def is_hairpin(self, ifname: str) -> bool:
        """Tell whether a port sends frames back to where they came from."""
        return self.namespace.links[ifname].hairpin

    def served(self, network: str) -> dict[str, str]:
        """Return who is found by name."""
        known = self.name_server.served.get(network, {})
        return {
            key: " ".join([",".join(map(str, each.addresses)), ",".join(each.names)])
            for key, each in known.items()
        }

    def spoil_port(self, ifname: str, words: str) -> None:
        """Have the port lack the contrary of each word."""
        link = self.namespace.links[ifname]
        pairs = zip(words.split()[::2], words.split()[1::2], strict=True)
        contrary = {"on": "off", "off": "on", "0": "forwarding"}
        link.isolated = "isolated on" in words
        link.lacks = tuple(
            f"{flag} {contrary[value]}" for flag, value in pairs if flag != "isolated"
        )

    def deafen(self, ifname: str) -> None:
        """Set it so."""
        self.namespace.links[ifname].without_arp = True

    def take_name(self, name: str) -> None:
        """Let something else have a name."""
        self.names_taken[name] = None

    def shown(self, name: str) -> int:
        """Return the pid of the process whose sandbox a name shows, or 0."""
        process = self.names_taken.get(name)
        return process.pid if process else 0

    def freeze_sysctls(self) -> None:
        """Let /proc/sys be read-only."""
        self.read_only = True

    def start(self) -> Process:
        """Start a process in a sandbox of its own."""
        return self.processes.start()

    def end(self, process: Process) -> None:
        """End a process, and its sandbox with it."""
        self.processes.end(process)

    def open_sandbox(self, process: Process) -> FakeSandbox:
        """Open a process's sandbox."""
        return self.processes.open(process)

    def open_host(self) -> FakeSandbox:
        """Open the host's own namespace."""
        return self.processes.open_host()

    def drop_table(self) -> None:
        """Let somebody flush our table away."""
        self.firewall.drop_table()

    def drop_forward(self, *, docker: bool = False) -> None:
        """Let FORWARD drop in both families, as Docker has it, or without it."""
        self.foreign.drop_forward(docker=docker)

    def flush_forward(self) -> None:
        """Let somebody flush FORWARD of all rules."""
        self.foreign.flush()

    def raise_wall(self) -> None:
        """Let the chain `inet wall gate` drop what is forwarded."""
        self.foreign.raise_wall()

    def start_firewalld(self) -> None:
        """Let firewalld run, with our zone; or reload it."""
        self.foreign.start_firewalld()

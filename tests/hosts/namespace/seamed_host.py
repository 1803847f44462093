"""The host of a namespace by the seams that planning has: the real ones, for `tests/contract`.

To be made within the namespace, and closed there. What others do is done by `ip`,
`nft` and `iptables`.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from hosts.name_server import SERVED, end_servers
from hosts.namespace.isolation import Sleeper
from hosts.namespace.looks import ip_json, run
from hosts.namespace.real_firewalld import RealFirewalld, firewalld
from hosts.waiting import wait_until
from ocinet.base.clock import Deadline, Process
from ocinet.base.paths import Paths
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.firewall.table_elements import TableElements
from ocinet.engine.firewall.uplink_table import Uplinks
from ocinet.engine.kernel.bridges import Bridges
from ocinet.engine.kernel.filters import Filters
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.lan_links import LanLinks
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.marks import Marks
from ocinet.engine.kernel.name_files import NameFiles
from ocinet.engine.kernel.name_server import NameServer
from ocinet.engine.kernel.names_elsewhere import NamesElsewhere
from ocinet.engine.kernel.netns_names import NetnsNames
from ocinet.engine.kernel.routing import RoutingRules
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.kernel.shaping import Shaping
from ocinet.engine.kernel.sysctl import Sysctls
from ocinet.engine.plan.machine import Host

_PATHS = Paths("/run/test/etc", "/run/test/lib", "/run/ocinet", "/run/netns")
_IPTABLES = ("iptables-nft", "ip6tables-nft")


class SeamedHost:
    """A `contract.place.Place` that is real."""

    def __init__(self) -> None:
        self._links = Links()
        self._netfilter = NetfilterSocket()
        self._name_server = NameServer(_PATHS, Deadline(10))
        self._sleepers: dict[int, Sleeper] = {}
        self._stack = ExitStack()
        self._firewalld: RealFirewalld | None = None

    def seams(self) -> Host:
        """Return the real ones."""
        return Host(
            links=self._links,
            insides=Insides(self._links),
            bridges=Bridges(),
            marks=Marks,
            lan=lambda: LanLinks(self._links),
            shaping=lambda: Shaping(self._links),
            bridge_filters=Filters(self._links, ForwardAccepts(self._netfilter).unmarked),
            sysctls=Sysctls(),
            names=NetnsNames(_PATHS),
            firewall=Firewall(self._netfilter),
            elements=TableElements(self._netfilter),
            forward_accepts=ForwardAccepts(self._netfilter),
            routing_rules=RoutingRules(self._links),
            uplinks=Uplinks(self._netfilter),
            name_server=lambda: self._name_server,
            names_elsewhere=lambda: NamesElsewhere(_PATHS, Deadline(10)),
            name_files=lambda _process: NameFiles(),
        )

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the sockets and end who sleeps, firewalld and the name server."""
        end_servers()
        self._stack.close()
        self._links.close()
        self._netfilter.close()
        for sleeper in self._sleepers.values():
            sleeper.end()

    def start(self) -> Process:
        """Start a process that sleeps."""
        sleeper = Sleeper()
        self._sleepers[sleeper.pid] = sleeper
        process = Process.of(sleeper.pid)
        assert process is not None
        return process

    def end(self, process: Process) -> None:
        """End it, and wait until its links are gone: the kernel takes its time."""
        links = ip_json("link", process.pid)
        ends = {link["link_index"] for link in links if "link_index" in link}
        self._sleepers.pop(process.pid).end()
        wait_until(
            lambda: not ends & {link["ifindex"] for link in ip_json("link")}, "the links' end"
        )

    def open_sandbox(self, process: Process) -> Sandbox:
        """Open a process's sandbox."""
        return Sandbox.open_process(process)

    def open_host(self) -> Sandbox:
        """Open the namespace that the test is in."""
        return Sandbox.open_path("/proc/self/ns/net")

    def add_link(self, ifname: str, kind: str = "", *, group: int = 0, up: bool = False) -> None:
        """Make a link; one that is no bridge has another end."""
        how = f"type {kind}" if kind else f"type veth peer name {ifname}-p"
        run(f"ip link add {ifname} group {group} {how}")
        if up:
            run(f"ip link set {ifname} up")

    def add_bridge(self, ifname: str, *, mtu: int = 1500) -> None:
        """Make a bridge and set it up."""
        run(f"ip link add {ifname} type bridge")
        run(f"ip link set {ifname} mtu {mtu} up")

    def rename(self, ifname: str, name: str) -> None:
        """Give a link another name: while it is up since Linux 6.2, else set down for it."""
        rename = f"ip link set {ifname}"
        run("sh", "-c", f"{rename} name {name} || {rename} down name {name}")

    def fill_bridge(self, ifname: str, count: int) -> None:
        """Give a bridge so many ports: both ends of each pair, and one of a last one."""
        lines = []
        for number in range(0, count, 2):
            other = f"p{number + 1}" if number + 1 < count else f"q{number}"
            lines.append(f"link add p{number} type veth peer name {other}")
        lines += [f"link set p{number} master {ifname}" for number in range(count)]
        run("ip", "-batch", "-", given="\n".join(lines))

    def add_address(self, ifname: str, address: str) -> None:
        """Give a link an address."""
        run(f"ip addr add {address} dev {ifname}{' nodad' if ':' in address else ''}")

    def add_default_route(
        self,
        gateway: str,
        ifname: str,
        *,
        metric: int = 0,
        advertised: bool = False,
        source: str = "",
    ) -> None:
        """Add a default route."""
        family = "-6" if ":" in gateway else "-4"
        origin = "ra" if advertised else "static"
        run(f"ip {family} route add default via {gateway} dev {ifname} metric {metric}"
            f" proto {origin}{f' src {source}' if source else ''}")  # fmt: skip

    def add_blackhole(self, subnet: str) -> None:
        """Let the host drop what is for a subnet."""
        run(f"ip route add blackhole {subnet}")

    def add_source_rule(self, source: str, *, table: int, priority: int) -> None:
        """Add a rule."""
        family = "-6" if ":" in source else "-4"
        run(f"ip {family} rule add from {source} lookup {table} priority {priority}")

    def set_down(self, ifname: str) -> None:
        """Set a link down."""
        run(f"ip link set {ifname} down")

    def delete_link(self, ifname: str) -> None:
        """Delete a link."""
        run(f"ip link del {ifname}")

    def is_hairpin(self, ifname: str) -> bool:
        """Ask `ip` for the port's flag."""
        (link,) = ip_json(f"-d link show dev {ifname}")
        return bool(link["linkinfo"]["info_slave_data"]["hairpin"])

    def served(self, network: str) -> dict[str, str]:
        """Read the server's files."""
        lines = [
            line.split(" ")
            for file in Path(SERVED).glob(f"net-{network}*")
            for line in file.read_text().splitlines()[1:]
        ]
        found = {words[0]: " ".join(filter(None, words[1:])) for words in lines}
        return {key: text for key, text in found.items() if key[0] != "@"}

    def spoil_port(self, ifname: str, words: str) -> None:
        """Set them, as they are."""
        run(f"bridge link set dev {ifname} {words}")

    def deafen(self, ifname: str) -> None:
        """Set it so."""
        run(f"ip link set {ifname} arp off")

    def take_name(self, name: str) -> None:
        """Put a file there, as who mounts a namespace does."""
        Path(_PATHS.netns).mkdir(exist_ok=True)
        Path(_PATHS.netns, name).touch()

    def shown(self, name: str) -> int:
        """Read the link."""
        path = Path(_PATHS.netns, name)
        return int(path.readlink().parts[2]) if path.is_symlink() else 0

    def freeze_sysctls(self) -> None:
        """Mount /proc/sys over itself, read-only."""
        run("mount --bind /proc/sys /proc/sys")
        run("mount -o remount,bind,ro /proc/sys")

    def drop_table(self) -> None:
        """Delete our table."""
        run("nft delete table inet ocinet")

    def drop_forward(self, *, docker: bool = False) -> None:
        """Set the policy; Docker has a chain for the rules of others besides."""
        for tool in _IPTABLES:
            run(tool, "-P", "FORWARD", "DROP")
            if docker:
                run(tool, "-N", "DOCKER-USER")
                run(tool, "-A", "FORWARD", "-j", "DOCKER-USER")
                run(tool, "-A", "DOCKER-USER", "-j", "RETURN")

    def flush_forward(self) -> None:
        """Flush it of all rules."""
        for tool in _IPTABLES:
            run(tool, "-F", "FORWARD")

    def raise_wall(self) -> None:
        """Make a table with a chain that drops."""
        chain = "chain gate { type filter hook forward priority 5; policy drop; }"
        run("nft", "-f", "-", given=f"table inet wall {{ {chain}; }}")

    def start_firewalld(self) -> None:
        """Start it with our zone and policy in its /etc, or reload it."""
        if self._firewalld:
            self._firewalld.tell("--reload")
        else:
            self._firewalld = self._stack.enter_context(firewalld(installed=True))

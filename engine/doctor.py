"""What stops containers from being reached or from getting out, and what helps.

First what can be read: disk, clock, limits, networks, what differs from the records, who
else listens at a published port. Then packets are sent: out of a container of each network,
to the host, and in at published ports, through the host's real rules. The order is that of
causes: what is told first often explains the rest.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError, SystemFailure
from ocinet.base.value import Value
from ocinet.engine.firewall import programs
from ocinet.engine.guard_drops import REMEDY, GuardDrops
from ocinet.engine.names_report import report_names
from ocinet.engine.plan.driver_bridge import explain_vlan
from ocinet.engine.probing.attempt import DNS_PORT
from ocinet.engine.unseen import fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.base.address import Subnet
    from ocinet.base.paths import Paths
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.flow import Explanation
    from ocinet.engine.model.network import Network

_PROGRAMS = (("nftables", "nft"), ("iproute2", "ip"), ("iproute2", "bridge"), ("iproute2", "tc"))
_BACKLOG = "/proc/sys/net/core/netdev_max_backlog"
_LEAST_FREE_BYTES = 4 << 20
_LEAST_FREE_FILES = 64
_FIRST_YEAR = 2024  # before that the clock was never set
_NEARLY = 0.9
_MOST_PORTS = 10  # tried from outside, of all containers: each takes a second
# What there is of, the limit, and what the kernel does there.
_LIMITS = (
    ("/proc/sys/net/netfilter/nf_conntrack_count", "net.netfilter.nf_conntrack_max",
     "connections are tracked; beyond the limit new ones are dropped"),
    ("/proc/net/stat/arp_cache", "net.ipv4.neigh.default.gc_thresh3",
     "neighbours are known; beyond the limit no new one is found"),
    ("/proc/net/stat/ndisc_cache", "net.ipv6.neigh.default.gc_thresh3",
     "neighbours of IPv6 are known; beyond the limit no new one is found"),
)  # fmt: skip


class Diagnosis(Value):
    """One thing that was looked at and is not as it should be.

    Attributes:
        place: host, `network NAME`, or a container's name.
        what: in one line.
        remedy: the command that helps, or what else does.
    """

    place: str
    what: str
    remedy: str = ""


class Doctor:
    """One examination; nothing is changed by it.

    Args:
        engine: that knows networks and containers.
        paths: of the installation.
    """

    def __init__(self, engine: Engine, paths: Paths) -> None:
        self._engine = engine
        self._paths = paths

    def examine(self) -> Iterator[Diagnosis]:
        """Yield what is found, in the order of causes."""
        looks = (
            self._installation,
            self._limits,
            self._networks,
            self._names,
            self._drift,
            self._guards,
            self._neighbours,
            self._ways,
        )
        for look in looks:
            yield from _told(look)

    def _installation(self) -> Iterator[Diagnosis]:
        if self._engine.operation.settings_flaw:
            flaw = self._engine.operation.settings_flaw
            yield Diagnosis("host", f"nothing can be attached: {flaw}")
        for package, name in _PROGRAMS:
            try:
                programs.find(package, name)
            except programs.MissingProgramError as error:
                yield Diagnosis("host", f"{error.what}: {error.why}", error.hint)
        year = time.localtime().tm_year
        if year < _FIRST_YEAR:
            yield Diagnosis("host", f"the clock says {year}", "set it: timedatectl set-ntp true")
        for path in (self._paths.run, self._paths.state, self._paths.config):
            yield from room_flaws(path)

    def _limits(self) -> Iterator[Diagnosis]:
        for count_file, key, what in _LIMITS:
            count, limit = read_count(count_file), read_count(f"/proc/sys/{key.replace('.', '/')}")
            if limit and count >= _NEARLY * limit:
                told = f"{count} {what}: {key} is {limit}"
                yield Diagnosis("host", told, f"sysctl -w {key}={2 * limit}")

    def _networks(self) -> Iterator[Diagnosis]:
        engine = self._engine
        for name, why in engine.networks.unreadable():
            remedy = f"mend its file, or remove it: ocinet network rm {name}"
            yield Diagnosis(f"network {name}", f"it can't be read: {why}", remedy)
        routed = engine.host.bridges.routed_subnets()
        uplink_mtu = engine.host.bridges.uplink_mtu()
        for network in engine.networks.readable():
            yield from self._pools(network)
            yield from overtaken(network, routed)
            link = engine.host.links.link(network.device)
            if link:
                ports = len(engine.host.bridge_filters.port_names(link))
                yield from unheard(network, ports, read_count(_BACKLOG))
            if link and link.without_vlan:
                yield Diagnosis(f"network {network.name}", explain_vlan(network.device))
            if link and network.managed and not network.internal and link.mtu > uplink_mtu > 0:
                told = f"its packets have up to {link.mtu} bytes, the uplink carries {uplink_mtu}"
                remedy = f"ocinet network reload {network.name}, for one that has no MTU of its own"
                yield Diagnosis(f"network {network.name}", told, remedy)

    def _names(self) -> Iterator[Diagnosis]:
        engine = self._engine
        report = report_names(engine.operation, engine.machine, engine.records)
        for name, why in report.flaws:
            yield Diagnosis(f"network {name}", f"its names are not served: {why}")
        for record in engine.containers.all():
            for rule in record.ports:
                if rule.host_port == DNS_PORT and rule.host_address is None and record.served:
                    what = f"it publishes port {DNS_PORT}, where names of networks are asked for"
                    remedy = "publish it at one address of the host's alone: -p ADDRESS:53:53/udp"
                    yield Diagnosis(record.container.name, what, remedy)
                    break

    def _pools(self, network: Network) -> Iterator[Diagnosis]:
        for usage in self._engine.addresses.leases.usage(network.name, network.pools):
            free = usage.allocatable - usage.held
            if free <= usage.reserved:
                told = f"{usage.pool.subnet} is full: {usage.held} held, {usage.reserved} reserved"
                yield Diagnosis(f"network {network.name}", told, "ocinet gc, or a wider network")

    def _drift(self) -> Iterator[Diagnosis]:
        for container_id, why in self._engine.containers.unreadable():
            yield Diagnosis(container_id, f"its record can't be read: {why}", "ocinet gc")
        for finding in (*self._engine.check(), *self._engine.shadowed()):
            yield Diagnosis(finding.container or "host", finding.what, finding.remedy)

    def _guards(self) -> Iterator[Diagnosis]:
        """Tell whose frames were dropped: it may forward for others, or pass for them."""
        for record in self._engine.containers.all():
            drops = GuardDrops(self._engine.host.bridge_filters, record.endpoints)
            for line in drops.told():
                yield Diagnosis(record.container.name, line, REMEDY)

    def _neighbours(self) -> Iterator[Diagnosis]:
        """Tell of whom the host takes to be elsewhere, for somebody has set it so."""
        for hop in fixed(self._engine.containers.all(), self._engine.operation.deadline):
            yield Diagnosis("host", hop.what, hop.remedy)

    def _ways(self) -> Iterator[Diagnosis]:
        """Send packets by the ways that have to be open."""
        records = [record for record in self._engine.containers.all() if record.endpoints]
        alive = [record for record in records if not self._engine.containers.is_dead(record)]
        networks = {network.name: network for network in self._engine.networks.readable()}
        seen = set()
        for record in alive:
            first = record.endpoints[0]
            network = networks.get(first.network)
            if network is None or first.network in seen:
                continue
            seen.add(first.network)
            if network.managed:
                yield from self._way(record, record.container.name, "host")
                if first.network in record.served:
                    yield from self._way(record, record.container.name, "host", "udp", DNS_PORT)
                yield from self._beside(record, network, alive)
            if network.managed and not network.internal:
                blocked = tuple(self._way(record, record.container.name, "outside", "tcp", 443))
                yield from blocked or self._black_holes(record)
        yield from self._absent(alive)
        yield from self._published(alive)

    def _absent(self, alive: list[Attachment]) -> Iterator[Diagnosis]:
        """Tell what is published at an address that has gone, as with another lease of DHCP."""
        here = {interface.address for interface in self._engine.host.links.addresses(0)}
        for record in alive:
            for rule in record.ports:
                address = rule.host_address
                if address and not address.is_loopback and address not in here:
                    told = (
                        f"{rule.host_port}/{rule.protocol} is published at {address}, which the"
                        " host has not got any more"
                    )
                    remedy = "publish it at another address, or at none in particular: ip addr"
                    yield Diagnosis(record.container.name, told, remedy)

    def _beside(
        self, record: Attachment, network: Network, alive: list[Attachment]
    ) -> Iterator[Diagnosis]:
        """Send a packet to another container of a network, if nobody has kept them apart."""
        beside = (other for other in alive if other.container.id != record.container.id)
        for other in beside:
            on_it = any(
                endpoint.network == network.name and _family_of(record) in _families(endpoint)
                for endpoint in other.endpoints
            )
            if on_it and network.siblings and record.access is None and other.access is None:
                yield from self._way(record, record.container.name, other.container.name)
                return

    def _black_holes(self, record: Attachment) -> Iterator[Diagnosis]:
        """Send packets of full length out, where short ones get out."""
        name = record.container.name
        # Of those that the host has no way out of, none leaves.
        for family in sorted(_families(record.endpoints[0])):
            try:
                hole = self._engine.black_hole(name, family)
            except SystemFailure:  # by an older kernel or nft; short ones have passed
                continue
            if hole:
                lost = f"{name} to outside: IPv{family} packets of {hole.size} bytes are lost"
                yield Diagnosis(name, f"{lost}, and it is not told: {hole.why}", hole.remedy)

    def _published(self, alive: list[Attachment]) -> Iterator[Diagnosis]:
        tried = 0
        for record in alive:
            for rule in record.ports:
                if (
                    rule.host_address is not None
                    or rule.address.family != 4
                    or tried >= _MOST_PORTS
                ):
                    continue
                if rule.protocol in ("tcp", "udp"):
                    tried += 1
                    yield from self._way(record, "outside", "host", rule.protocol, rule.host_port)

    def _way(
        self, record: Attachment, start: str, end: str, protocol: str = "icmp", port: int = 0
    ) -> Iterator[Diagnosis]:
        way = f"{start} to {end}" + (f":{port}/{protocol}" if port else "")
        deadline = self._engine.operation.deadline
        deadline.extend(deadline.seconds)  # each has its own, however many there are
        try:
            # What is published is tried from outside by IPv4, and by that alone.
            family = 4 if start == "outside" else _family_of(record)
            told = self._engine.explain(start, end, protocol=protocol, port=port, family=family)
        except OcinetError as error:
            yield Diagnosis(record.container.name, f"{way}: {error.why}", error.hint)
            return
        if not told.ok:
            yield _end_of(record.container.name, way, told)


def _families(endpoint: Endpoint) -> set[int]:
    return {interface.address.family for interface in endpoint.addresses}


def _family_of(record: Attachment) -> int:
    """Return by which family a container's ways are tried: IPv6 where it has nothing else."""
    return min(_families(record.endpoints[0]), default=4)


def _end_of(name: str, way: str, told: Explanation) -> Diagnosis:
    """Return where a way ends: what the packet met first, else what was looked at last."""
    bad = [hop for hop in told.hops if not hop.ok]
    helped = [hop for hop in bad if hop.remedy] or bad
    if not helped:
        return Diagnosis(
            name, f"{way}: no answer comes", f"ocinet explain {way.replace(' to ', ' ')}"
        )
    return Diagnosis(name, f"{way}: {helped[0].what}", helped[0].remedy)


def _told(look: Callable[[], Iterator[Diagnosis]]) -> Iterator[Diagnosis]:
    """Yield what a look finds; that it can't be looked at is a finding, too."""
    try:
        yield from look()
    except OcinetError as error:
        yield Diagnosis("host", f"it can't be looked at: {error}", error.hint)


def room_flaws(path: str) -> Iterator[Diagnosis]:
    """Look at the file system that a directory is on, or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    status = os.statvfs(path)
    if status.f_flag & os.ST_RDONLY:
        yield Diagnosis("host", f"{path} is read-only", f"mount -o remount,rw {path}")
    elif status.f_bavail * status.f_frsize < _LEAST_FREE_BYTES:
        yield Diagnosis("host", f"{path} has no room left", f"df {path}")
    elif status.f_files and status.f_favail < _LEAST_FREE_FILES:
        yield Diagnosis("host", f"{path} has no inodes left", f"df -i {path}")


def read_count(path: str) -> int:
    """Return the number that a file of procfs begins with; 0 if it has none.

    Of a table of columns with a heading: the first, which is in hexadecimal there.
    """
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
        if len(lines) == 1:
            return int(lines[0])
        return int(lines[1].split()[0], 16)
    except (OSError, ValueError, IndexError):
        return 0


def unheard(network: Network, ports: int, backlog: int) -> Iterator[Diagnosis]:
    """Tell if a frame to all of a network does not come to all of its ports.

    Each veth has its copy wait for one CPU, where no more than so many may wait.

    Args:
        network: whose bridge it is.
        ports: of it.
        backlog: net.core.netdev_max_backlog; 0 if nobody knows.
    """
    if backlog and ports > backlog:
        told = (
            f"{network.device} has {ports} ports, and what goes to all of them, as ARP does, is"
            f" dropped for the oldest {ports - backlog}: net.core.netdev_max_backlog is {backlog}"
        )
        remedy = f"sysctl -w net.core.netdev_max_backlog={2 * backlog}"
        yield Diagnosis(f"network {network.name}", told, remedy)


def overtaken(network: Network, routed: tuple[Subnet, ...]) -> Iterator[Diagnosis]:
    """Yield the routes that take a network, or a part of it, over: those that are as narrow."""
    for pool in network.pools:
        for other in routed:
            if other.overlaps(pool.subnet) and other.prefixlen >= pool.subnet.prefixlen:
                told = f"a route sends {other} of its {pool.subnet} elsewhere, as a VPN's does"
                yield Diagnosis(f"network {network.name}", told, f"ip route get {other.first}")

"""The kernel's seams in memory: links, sandboxes' insides, bridges, sysctls and names.

They are parts of one `FakeHost`, which see.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, EEXIST, ENODEV, ENOENT, EOPNOTSUPP, EXFULL
from typing import TYPE_CHECKING

from fakes.namespace import FakeLink, FakeNamespace, FakeSandbox
from fakes.trace import Trace, act, look
from ocinet.base.address import Interface, Subnet
from ocinet.base.errors import ConflictError, KernelError, SystemFailure, failures
from ocinet.engine.model.bandwidth import Bandwidth, shaper_of
from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.model.link import (
    LINK_GROUP,
    Inside,
    InsideLink,
    Link,
    Pair,
    SourceWay,
    Veth,
    is_our_group,
)

if TYPE_CHECKING:
    from fakes.host import FakeHost
    from ocinet.base.clock import Process
    from ocinet.base.errors import OcinetError
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.request import Route
    from ocinet.engine.plan import seams

_MOST_PORTS = 1023
_LINK_LOCAL = 0x3FA  # fe80::/10
_DEFAULT_MTU = 1500


class SeamOfHost:
    """What the fakes of one host's seams share."""

    seam = ""

    def __init__(self, host: FakeHost) -> None:
        self._host = host

    @property
    def trace(self) -> Trace:
        """The host's."""
        return self._host.trace

    @property
    def _links(self) -> dict[str, FakeLink]:
        return self._host.namespace.links


class FakeLinks(SeamOfHost):
    """See `seams.Links`."""

    seam = "links"

    @look
    def link(self, ifname: str) -> Link | None:
        """Return a link by its name."""
        found = self._links.get(ifname)
        return found.value() if found else None

    @look
    def links(self) -> tuple[Link, ...]:
        """Return ours."""
        return tuple(link.value() for link in self._links.values() if is_our_group(link.group))

    @look
    def ports(self, bridge: Link) -> tuple[Link, ...]:
        """Return a bridge's."""
        return tuple(
            link.value()
            for link in self._links.values()
            if link.master and link.master.ifindex == bridge.ifindex
        )

    @look
    def addresses(self, ifindex: int) -> tuple[Interface, ...]:
        """Return a link's, or all."""
        return tuple(
            address
            for link in self._links.values()
            if ifindex in (0, link.ifindex)
            for address in link.addresses
        )

    @look
    def connected(self, family: int) -> tuple[tuple[int, Subnet], ...]:
        """Return those of links that are up."""
        return tuple(
            (link.ifindex, interface.subnet)
            for link in self._links.values()
            for interface in link.addresses
            if link.up
            and interface.address.family == family
            and not interface.address.is_loopback
            and interface.address.value >> 118 != _LINK_LOCAL
        )

    @act
    def add_veth(self, veth: Veth, sandbox: seams.Sandbox) -> Pair:
        """Make a pair."""
        bridge = self._links.get(veth.bridge)
        if bridge is None:
            raise self._veth_error(veth, ENODEV, f"there is no bridge {veth.bridge}")
        if sandbox.fd < 0:
            raise SystemFailure(f"cannot connect {veth.host_ifname}", "the sandbox was closed")
        space = _namespace(sandbox)
        if veth.host_ifname in self._links:
            raise self._veth_error(veth, EEXIST, f"the host has a link {veth.host_ifname} already")
        if veth.ifname in space.links:
            why = f"the sandbox has an interface {veth.ifname} already"
            raise self._veth_error(veth, EEXIST, why)
        if bridge.kind != "bridge":
            raise self._veth_error(veth, EOPNOTSUPP, "it can't have ports")
        if len(bridge.ports) >= _MOST_PORTS:
            why = f"the bridge has {_MOST_PORTS} ports, the most that Linux allows"
            raise self._veth_error(veth, EXFULL, why)
        mtu = veth.mtu or bridge.mtu
        outer = self._host.namespace.add(veth.host_ifname, "veth", mtu=mtu, mac=veth.host_mac)
        inner = space.add(veth.ifname, "veth", mtu=mtu, mac=veth.mac)
        outer.peer, inner.peer = inner, outer
        outer.master, outer.group, outer.alias = bridge, LINK_GROUP, veth.alias
        outer.isolated = veth.isolated
        outer.set_up()
        unguarded = "no such thing" if veth.guard and not self._host.filters_known else ""
        if veth.guard and not unguarded:
            outer.filters = BridgeFilters(veth.guard, b"")
        return Pair(outer.ifindex, inner.ifindex, bridge.ifindex, veth.mac, unguarded)

    @staticmethod
    def _veth_error(veth: Veth, code: int, why: str) -> KernelError:
        return KernelError(f"cannot connect {veth.host_ifname} to {veth.bridge}", why, errno=code)

    @act
    def delete_links(self, ifnames: tuple[str, ...]) -> None:
        """Delete ours."""
        errors: list[OcinetError] = []
        for ifname in ifnames:
            link = self._links.get(ifname)
            if link and is_our_group(link.group):
                self._host.namespace.remove(link)
            elif link:
                errors.append(
                    SystemFailure(
                        f"cannot delete the link {ifname}", "it is not ours: its group is another"
                    )
                )
        failures("cannot delete all links", errors)

    @act
    def set_port(
        self,
        ifname: str,
        *,
        bridge: str = "",
        hairpin: bool = False,
        mtu: int = 0,
        isolated: bool = False,
        lacks: tuple[str, ...] = (),
    ) -> None:
        """Make it a port, or set its flags; those of one that it was go with that."""
        link, master = self._links.get(ifname), self._links.get(bridge)
        what = f"cannot connect {ifname} to {bridge}"
        if link is None or (bridge and master is None):
            raise KernelError(what, "it is not there", errno=ENODEV)
        if master and master.kind != "bridge":
            raise KernelError(what, "it can't have ports", errno=EOPNOTSUPP)
        if master and link.master is not master:
            link.master, link.hairpin, link.isolated, link.lacks = master, False, False, ()
        if master:
            link.mtu = mtu or link.mtu
            link.set_up()
        if isolated and link.master is None:
            raise KernelError(f"cannot isolate {ifname}", "no port", errno=EOPNOTSUPP)
        link.isolated = link.isolated or isolated
        if hairpin and link.master is None:
            raise KernelError(f"cannot set hairpin mode on {ifname}", "no port", errno=EOPNOTSUPP)
        link.hairpin = link.hairpin or hairpin
        link.isolated = link.isolated and "isolated off" not in lacks
        link.lacks = tuple(word for word in link.lacks if word not in lacks)


class FakeInsides(SeamOfHost):
    """See `seams.Insides`."""

    seam = "insides"

    @act
    def configure(
        self, sandbox: seams.Sandbox, inside: Inside, pair: Pair | None = None
    ) -> tuple[str, ...]:
        """Give an interface what it is to have."""
        del pair  # which only saves the real one a question
        space = enter(sandbox)
        link = space.links.get(inside.ifname)
        if link is None:
            raise KernelError(f"cannot configure {inside.ifname}", "it is not in the sandbox",
                              errno=ENODEV)  # fmt: skip
        space.links["lo"].set_up()
        link.ipv6 = inside.ipv6
        link.mtu = inside.mtu or link.mtu
        link.mac = inside.mac or link.mac
        for address in inside.addresses:
            if not _is_unicast(address):
                what = f"cannot give {inside.ifname} the address {address}"
                raise KernelError(what, "no link can have it", errno=EADDRNOTAVAIL)
            link.add_address(address)
        link.set_up()
        for route, _onlink in inside.ordered_routes():
            _add_route(space, link, route)
        return ()

    @act
    def route_by_source(
        self, sandbox: seams.Sandbox, ways: tuple[SourceWay, ...]
    ) -> tuple[str, ...]:
        """Keep them."""
        space = enter(sandbox)
        lacking = {way.ifname for way in ways} - set(space.links)
        space.ways |= {way for way in ways if way.ifname not in lacking}
        return tuple(f"cannot route through {ifname}: it is not there" for ifname in lacking)

    @act
    def unroute_by_source(self, sandbox: seams.Sandbox, ways: tuple[SourceWay, ...]) -> None:
        """Forget them."""
        enter(sandbox).ways -= set(ways)

    @act
    def loopback_up(self, sandbox: seams.Sandbox) -> None:
        """Set `lo` up."""
        enter(sandbox).links["lo"].set_up()

    @act
    def unplug(self, sandbox: seams.Sandbox, ifname: str, mac: str, ifindex: int = 0) -> bool:
        """Delete a veth, and its other end."""
        space = enter(sandbox)
        own = [link for link in space.links.values() if link.kind in ("veth", "macvlan")]
        found = [link for link in own if link.ifindex == ifindex]
        found += [link for link in own if (link.ifname, link.mac) == (ifname, mac)]
        if not found:
            return False
        link = found[0]
        space.remove(link)
        return True

    @act
    def lay(self, near: seams.Sandbox, far: seams.Sandbox, cable: Cable) -> tuple[Pair, Pair]:
        """Make a pair with an end in each of two."""
        spaces = enter(near), enter(far)
        for space, end in zip(spaces, cable.ends, strict=True):
            if end.ifname in space.links:
                why = f"{end.container} has an interface {end.ifname} already"
                raise KernelError(f"cannot make the link {cable.name}", why, errno=EEXIST)
        one, other = (
            space.add(end.ifname, "veth", mtu=cable.mtu, mac=end.mac)
            for space, end in zip(spaces, cable.ends, strict=True)
        )
        one.peer, other.peer = other, one
        one.group = other.group = LINK_GROUP
        return Pair(0, one.ifindex, 0, one.mac), Pair(0, other.ifindex, 0, other.mac)

    @look
    def look_inside(self, sandbox: seams.Sandbox) -> tuple[InsideLink, ...]:
        """Return all interfaces."""
        space = enter(sandbox)
        return tuple(
            InsideLink(
                link.ifname,
                link.up,
                link.mac,
                link.mtu,
                tuple(link.addresses),
                space.routes_of(link),
                link.ifindex,
            )
            for link in sorted(space.links.values(), key=lambda link: link.ifindex)
        )


class FakeMarks(SeamOfHost):
    """See `seams.Marks`."""

    seam = "marks"

    @act
    def refuse(
        self, sandbox: seams.Sandbox, routes: tuple[Route, ...], *, ended: bool = False
    ) -> bool:
        """Keep them as routes of `lo`, or forget them."""
        space = enter(sandbox)
        before = list(space.routes)
        for route in routes:
            if ended:
                space.routes = [known for known in space.routes if known[1] != route]
            else:
                _add_route(space, space.links["lo"], route)
        return space.routes != before

    @act
    def sysctls(
        self, sandbox: seams.Sandbox, wanted: tuple[tuple[str, str | None], ...]
    ) -> dict[str, str | None]:
        """Read and keep them."""
        known = enter(sandbox).sysctls
        found = {}
        for key, value in wanted:
            found[key] = known.get(key)
            if value is not None and key not in known:
                raise SystemFailure(f"cannot set {key} to {value}", "this kernel does not have it")
            if value is not None:
                known[key] = value
        return found


class FakeBridges(SeamOfHost):
    """See `seams.Bridges`."""

    seam = "bridges"

    @act
    def make_bridge(
        self, ifname: str, mac: str, mtu: int, addresses: tuple[Interface, ...]
    ) -> bool:
        """Make or finish one of ours."""
        link = self._links.get(ifname)
        if link and (link.kind != "bridge" or not is_our_group(link.group)):
            why = "there is a link of that name, and it is no bridge of ours"
            raise ConflictError(f"cannot make the bridge {ifname}", why)
        link = link or self._rename_back(ifname, mac)
        refused = [address for address in addresses if not _is_unicast(address)]
        whole = link and link.up and not link.without_arp and link.mtu == mtu
        whole = whole and link is not None and set(addresses) <= set(link.addresses)
        if whole and not refused:
            return False
        added = link or self._host.namespace.add(ifname, "bridge", mtu=mtu, mac=mac)
        added.group = LINK_GROUP
        if not added.up:
            added.mac = mac
            for key in ("accept_ra", "accept_dad"):
                self._host.namespace.sysctls[f"net/ipv6/conf/{ifname}/{key}"] = "0"
        added.mtu, added.without_arp = mtu, False
        for address in addresses:
            if address in refused:
                if link is None:
                    self._host.namespace.remove(added)
                raise KernelError(f"cannot make the bridge {ifname}", "Cannot assign requested"
                                  " address", errno=EADDRNOTAVAIL)  # fmt: skip
            added.add_address(address)
        added.set_up()
        return True

    def _rename_back(self, ifname: str, mac: str) -> FakeLink | None:
        """Give one of ours with that MAC its name again."""
        for link in list(self._links.values()):
            if link.kind == "bridge" and link.mac == mac and is_our_group(link.group):
                del self._links[link.ifname]
                link.ifname = ifname
                self._links[ifname] = link
                link.set_up()
                link.without_arp = True  # so that it counts as changed
                return link
        return None

    @act
    def remove_bridge(self, ifname: str) -> bool:
        """Remove one of ours without ports."""
        link = self._links.get(ifname)
        if link is None or link.kind != "bridge" or not is_our_group(link.group) or link.ports:
            return False
        self._host.namespace.remove(link)
        return True

    @look
    def uplink(self) -> str:
        """Return the way out."""
        routes = sorted(route for route in self._host.default_routes if route[0] == 4)
        return routes[0][2] if routes else ""

    @look
    def uplink_mtu(self) -> int:
        """Return the MTU of the way out."""
        for _family, _metric, ifname, _advertised in sorted(self._host.default_routes):
            return self._links[ifname].mtu
        return _DEFAULT_MTU

    @look
    def advertised_uplinks(self) -> tuple[str, ...]:
        """Return the links of default routes that a router advertised."""
        routes = self._host.default_routes
        return tuple(sorted({ifname for family, _, ifname, by_ra in routes if by_ra}))

    @look
    def others(self) -> tuple[str, ...]:
        """Return the bridges without our group."""
        links = self._links.values()
        return tuple(
            sorted(
                link.ifname
                for link in links
                if link.kind == "bridge" and not is_our_group(link.group)
            )
        )

    @look
    def occupied_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets of all addresses."""
        return _in_order(
            {address.subnet for link in self._links.values() for address in link.addresses}
        )

    @look
    def routed_subnets(self) -> tuple[Subnet, ...]:
        """Return the subnets of routes that lead elsewhere."""
        return _in_order(self._host.routes)


def _in_order(found: set[Subnet]) -> tuple[Subnet, ...]:
    return tuple(sorted(found, key=lambda subnet: (subnet.family, subnet.value, subnet.prefixlen)))


class FakeFilters(SeamOfHost):
    """See `seams.Filters`; they go with their bridge."""

    seam = "bridge_filters"

    @look
    def unmarked(self) -> tuple[str, ...]:
        """Return the flowtables of others; our table always marks."""
        return tuple(f"flowtable {name}" for name in self._host.foreign.flowtables)

    @look
    def present(self, device: str) -> BridgeFilters:
        """Return what was put."""
        link = self._links.get(device)
        return link.filters if link else BridgeFilters(b"", b"")

    @look
    def guards(self, ports: tuple[Link, ...]) -> dict[str, bytes]:
        """Return what was put at each, or came with it."""
        return {port.ifname: self.present(port.ifname).ingress or b"" for port in ports}

    @look
    def port_names(self, bridge: Link) -> list[str]:
        """Look at who is its port."""
        own = self._links[bridge.ifname]
        return [link.ifname for link in self._links.values() if link.master is own]

    @look
    def dropped(self, device: str) -> int:
        """Return that nothing was: nobody sends anything here."""
        del device
        return 0

    @act
    def put(self, device: str, filters: BridgeFilters) -> bool:
        """Have these, but where one is None."""
        link = self._links.get(device)
        if link is None:
            raise KernelError(f"cannot set filters of {device}", "No such device", errno=ENODEV)
        if not self._host.filters_known and (filters.ingress or filters.egress):
            raise KernelError(f"cannot set filters of {device}", "no such thing", errno=ENOENT)
        before = link.filters
        link.filters = BridgeFilters(
            before.ingress if filters.ingress is None else filters.ingress,
            before.egress if filters.egress is None else filters.egress,
        )
        return link.filters != before

    @act
    def remove(self, device: str) -> None:
        """Have none."""
        if device in self._links:
            self._links[device].filters = BridgeFilters(b"", b"")


class FakeShaping(SeamOfHost):
    """See `seams.Shaping`."""

    seam = "shaping"

    @look
    def present(self, host_ifname: str) -> Bandwidth | None:
        """Return what was put, but for what is sent by a link that is gone."""
        link = self._links.get(host_ifname)
        limits = (link and link.bandwidth) or Bandwidth()
        if shaper_of(host_ifname) not in self._links:
            limits = limits.replace(outward=None)
        return limits if limits != Bandwidth() else None

    @act
    def put(self, host_ifname: str, bandwidth: Bandwidth | None, alias: str = "") -> bool:
        """Have these."""
        link, shaper = self._links.get(host_ifname), shaper_of(host_ifname)
        if link is None and bandwidth:
            raise KernelError(f"cannot limit {host_ifname}", "it is not there", errno=ENODEV)
        before = link.bandwidth if link else None
        was_there = shaper in self._links
        if link:
            link.bandwidth = bandwidth
        if bandwidth and bandwidth.outward and not was_there:
            made = self._host.namespace.add(shaper, "ifb")
            made.group, made.alias = LINK_GROUP, alias
            made.set_up()
        elif was_there and not (bandwidth and bandwidth.outward):
            self._host.namespace.remove(self._links[shaper])
        return before != bandwidth or was_there != (shaper in self._links)


class FakeSysctls(SeamOfHost):
    """See `seams.Sysctls`."""

    seam = "sysctls"

    @look
    def read(self, key: str) -> str | None:
        """Return a value."""
        return self._host.namespace.sysctls.get(key)

    @act
    def write(self, key: str, value: str) -> bool:
        """Set a value."""
        known = self._host.namespace.sysctls
        if key not in known:
            raise SystemFailure(f"cannot set {key} to {value}", "this kernel does not have it")
        if known[key] == value:
            return False
        if self._host.read_only and not key.endswith("/route_localnet"):
            raise SystemFailure(f"cannot set {key} to {value}", "Read-only file system")
        known[key] = value
        return True


class FakeNames(SeamOfHost):
    """See `seams.Names`."""

    seam = "names"

    @look
    def choose(self, name: str, container_id: str, process: Process) -> str:
        """Return the first that is free, or this process's already."""
        taken = self._host.names_taken
        for candidate in (name, f"oc-{container_id[:12]}"):
            if candidate not in taken or taken[candidate] == process:
                return candidate
        return ""

    @act
    def add(self, name: str, process: Process) -> bool:
        """Take a name, and give up the one that showed this process's id before."""
        taken = self._host.names_taken
        if name in taken:
            if taken[name] == process:
                return False
            raise SystemFailure(f"cannot name {name}", "something else has that name")
        for former, whose in list(taken.items()):
            if whose is not None and whose.pid == process.pid:
                del taken[former]
        taken[name] = process
        return True

    @look
    def shows(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Tell whose it is."""
        return self._host.names_taken.get(name) in processes

    @act
    def move(self, name: str, before: Process, after: Process) -> None:
        """Pass a name on."""
        if self._host.names_taken.get(name) == before:
            self._host.names_taken[name] = after

    @act
    def remove(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Give a name up."""
        if self._host.names_taken.get(name) not in processes:
            return False
        del self._host.names_taken[name]
        return True


def enter(sandbox: seams.Sandbox) -> FakeNamespace:
    if sandbox.fd < 0:
        raise SystemFailure("cannot enter the sandbox", "Bad file descriptor")
    return _namespace(sandbox)


def _add_route(space: FakeNamespace, link: FakeLink, route: Route) -> None:
    place = (route.destination, route.metric)
    for by, known in space.routes:
        if (known.destination, known.metric) == place and (by, known) != (link, route):
            raise KernelError(f"cannot route {route.destination} through {link.ifname}",
                              "the sandbox has another such route already",
                              errno=EEXIST)  # fmt: skip
    if (link, route) not in space.routes:
        space.routes.append((link, route))


def _namespace(sandbox: seams.Sandbox) -> FakeNamespace:
    assert isinstance(sandbox, FakeSandbox)
    return sandbox.namespace


def _is_unicast(interface: Interface) -> bool:
    if interface.address.family == 4:
        return 0 < interface.address.value >> 24 < 224
    return interface.address.value >> 120 != 0xFF

"""Links that share a parent, in memory; parts of one `FakeHost`, which see."""

from __future__ import annotations

from errno import EBUSY, EEXIST, ENODEV
from typing import TYPE_CHECKING

from fakes.kernel import SeamOfHost, enter
from fakes.trace import act, look
from ocinet.base.address import Interface, Subnet
from ocinet.base.errors import ConflictError, KernelError, SystemFailure
from ocinet.engine.model.lan import HostSide, Parent
from ocinet.engine.model.link import LINK_GROUP, is_link_local, is_our_group
from ocinet.engine.model.request import Route

if TYPE_CHECKING:
    from fakes.namespace import FakeLink, FakeNamespace
    from ocinet.base.address import Address
    from ocinet.engine.model.lan import Child
    from ocinet.engine.plan import seams


class FakeLan(SeamOfHost):
    """See `seams.Lan`."""

    seam = "lan"

    @look
    def parent(self, ifname: str) -> Parent | None:
        """Return a link; a port of a bridge is none to share."""
        link = self._links.get(ifname)
        if link is None:
            return None
        why = f"is a port of the bridge {link.master.ifname}" if link.master else ""
        why = "is the loopback" if ifname == "lo" else why
        return Parent(link.value(), tuple(link.addresses), why, "another one" if why else "")

    @look
    def host_side(self, ifname: str) -> HostSide | None:
        """Return a link of the host's."""
        link = self._links.get(ifname)
        if link is None:
            return None
        given = [route for by, route in self._host.namespace.routes if by is link]
        return HostSide(
            link.value(),
            tuple(held for held in link.addresses if not is_link_local(held.address)),
            tuple(route.destination.first for route in given),
        )

    @act
    def add_child(self, child: Child, sandbox: seams.Sandbox) -> int:
        """Make one in a sandbox."""
        if sandbox.fd < 0:
            raise SystemFailure(f"cannot connect {child.ifname}", "the sandbox was closed")
        return self._make(child, enter(sandbox)).ifindex

    def _make(self, child: Child, space: FakeNamespace) -> FakeLink:
        what = f"cannot connect {child.ifname} to {child.parent}"
        parent = self._links.get(child.parent)
        if parent is None:
            raise KernelError(what, f"there is no link {child.parent}", errno=ENODEV)
        if parent.master:
            raise KernelError(what, f"{child.parent} is a port", errno=EBUSY)
        if child.ifname in space.links:
            raise KernelError(what, f"there is {child.ifname} already", errno=EEXIST)
        link = space.add(child.ifname, child.kind, mtu=child.mtu, mac=child.mac or parent.mac)
        link.group = LINK_GROUP
        return link

    @act
    def make_shim(self, child: Child, addresses: tuple[Address, ...]) -> bool:
        """Make one, or finish it."""
        link = self._links.get(child.ifname)
        if link and (link.kind != child.kind or not is_our_group(link.group)):
            raise ConflictError(f"cannot make {child.ifname}", "it is not ours")
        wanted = [Interface(address, 32 if address.family == 4 else 128) for address in addresses]
        if link and link.up and set(wanted) <= set(link.addresses):
            return False
        link = link or self._make(child, self._host.namespace)
        for interface in wanted:
            link.add_address(interface)
        link.up = True
        return True

    @act
    def reach(self, ifname: str, addresses: tuple[Address, ...]) -> bool:
        """Keep the routes."""
        link = self._links.get(ifname)
        if link is None:
            raise KernelError(f"cannot reach containers by {ifname}", "it is not there",
                              errno=ENODEV)  # fmt: skip
        routes = self._host.namespace.routes
        new = [(link, _to(address)) for address in addresses if (link, _to(address)) not in routes]
        routes += new
        return bool(new)

    @act
    def reach_no_more(self, ifname: str, addresses: tuple[Address, ...]) -> None:
        """Forget them."""
        space, ended = self._host.namespace, [_to(address) for address in addresses]
        space.routes = [
            (link, route)
            for link, route in space.routes
            if link.ifname != ifname or route not in ended
        ]


def _to(address: Address) -> Route:
    return Route(Subnet(address.family, address.value, 32 if address.family == 4 else 128))

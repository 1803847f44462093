"""Links that share a parent of the host's: containers' interfaces, and the host's own beside them.

For networks on the LAN itself, and imported only for them.
"""

from __future__ import annotations

import posix
from errno import (
    EADDRINUSE,
    EADDRNOTAVAIL,
    EBADF,
    EBUSY,
    EEXIST,
    EINVAL,
    ENODEV,
    EOPNOTSUPP,
    EPERM,
    ESRCH,
)
from time import monotonic, sleep

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, KernelError, OcinetError, SystemFailure
from ocinet.engine.kernel import ip_messages, lan_messages, link_messages
from ocinet.engine.kernel.links import Act, Links, find_link, list_links, socket_in
from ocinet.engine.kernel.sandbox import check_privilege
from ocinet.engine.model.lan import HostSide, Parent
from ocinet.engine.model.link import is_link_local, is_our_group
from ocinet.engine.model.request import Route
from ocinet.engine.netlink.framing import with_last_ack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.lan import Child
    from ocinet.engine.model.link import Link

_LEAVING_S, _BETWEEN_S = 8.0, 0.005
_RESERVE_S = 2.0  # left of an operation's time for what follows
_ALONE_S = 20.0  # for who has no operation
_BUSY = (EBUSY, EINVAL)  # as who has a parent for itself is told of, by macvlan's versions
_GONE = (ESRCH, ENODEV, EADDRNOTAVAIL)


class LanLinks:
    """Links of the host that `links` are of. Not for several threads at once.

    Args:
        links: the host's; it is asked through their socket.
        deadline: of the operation.
    """

    def __init__(self, links: Links, deadline: Deadline | None = None) -> None:
        self._links = links
        self._deadline = deadline or Deadline(_ALONE_S)

    def parent(self, ifname: str) -> Parent | None:
        """Return a link of the host as a parent, with what keeps it from being one; or None.

        Raises:
            KernelError: the kernel would not say.
        """
        link = self._links.link(ifname)
        if link is None:
            return None
        why, hint = self._why_not(link)
        return Parent(link, self._links.addresses(link.ifindex), why, hint)

    def _why_not(self, link: Link) -> tuple[str, str]:
        """Return what keeps others from sharing a link, and what helps; "" if nothing does."""
        name = link.ifname
        if name == "lo":
            return "is the loopback, and leads to no LAN", "name the link that the LAN is on"
        if _is_wireless(name):
            return (
                "is wireless: an access point lets in no frames of a MAC that it does not know",
                "use a bridge network, with published ports; or connect the host by cable",
            )
        if link.master:
            master = self._links.link_at(link.master)
            kind = master.kind if master else ""
            if master and kind == "bridge":
                return (
                    f"is a port of the bridge {master.ifname}, which takes all that comes in by it",
                    f"say -o parent={master.ifname}, or adopt the bridge: --unmanaged --bridge"
                    f" {master.ifname}",
                )
            if master and kind in ("bond", "team"):
                return f"is part of {master.ifname}", f"say -o parent={master.ifname}"
        for other in list_links(self._links.socket):
            if other.peer == link.ifindex and other.kind.startswith("ipv"):
                return (
                    f"has the {other.kind} {other.ifname} on it, and no link has both",
                    f"ip link del {other.ifname}, or another parent",
                )
        return "", ""

    def host_side(self, ifname: str) -> HostSide | None:
        """Return the host's own interface of that name, or None.

        Raises:
            KernelError: the kernel would not say.
        """
        link = self._links.link(ifname)
        if link is None:
            return None
        borne = self._links.addresses(link.ifindex)
        return HostSide(
            link,
            tuple(held for held in borne if not is_link_local(held.address)),
            tuple(
                route.destination.first
                for at, route in self._routes()
                if at == link.ifindex and route.destination.size == 1 and not route.gateway
            ),
        )

    def _routes(self) -> list[tuple[int, Route]]:
        bodies = self._links.socket.dump(ip_messages.dump_routes(1))
        return [hop for body in bodies for hop in ip_messages.decode_routes(body)]

    def add_child(self, child: Child, sandbox: OpenNamespace) -> int:
        """Make an interface in a sandbox, down; see `seams.Lan`."""
        if sandbox.fd < 0:
            raise SystemFailure(f"cannot connect {child.ifname} to {child.parent}",
                                "the sandbox was closed")  # fmt: skip
        self._make(child, sandbox.fd)
        with socket_in(sandbox) as socket:
            made = find_link(socket, child.ifname)
        return made.ifindex if made else 0

    def _make(self, child: Child, netns_fd: int = -1) -> None:
        what = f"cannot connect {child.ifname} to {child.parent}"
        parent = self._links.link(child.parent)
        if parent is None:
            raise KernelError(what, f"there is no link {child.parent}", errno=ENODEV)
        message = lan_messages.new_child(1, child, parent.ifindex, netns_fd)

        def make() -> None:
            for refused in self._links.socket.ask(message, 1)[1]:
                raise refused.error(what)

        try:
            try:
                make()
            except KernelError as error:
                if error.errno not in _BUSY or not self._may_leave(child, parent):
                    raise
                once_free(make, _BUSY, self._deadline)
        except KernelError as error:
            raise self._explained(error, child, parent) from error

    def _may_leave(self, child: Child, parent: Link) -> bool:
        """Tell whether who has a parent for itself may be a container that ends just now."""
        may = child.mode == "passthru" and not child.again and child.mtu <= parent.mtu
        return may and not self._why_not(parent)[0]

    def _explained(self, error: KernelError, child: Child, there: Link) -> KernelError:
        """Say in words what was in the way."""
        why, hint, parent = error.why, "", child.parent
        if error.errno == EINVAL and child.mtu > there.mtu:
            why = f"{parent} has an MTU of {there.mtu}, which is less than {child.mtu}"
            hint = f"ip link set {parent} mtu {child.mtu}"
        elif error.errno == EEXIST:
            why = f"the sandbox has an interface {child.ifname} already"
            hint = "ask for another name with ifname="
        elif error.errno == EBADF:
            why = "the sandbox is gone"
        elif error.errno == EOPNOTSUPP:
            why, hint = f"this kernel has no {child.kind}", f"modprobe {child.kind}"
        elif error.errno in _BUSY:
            why_not, helps = self._why_not(there)
            taken = "has another driver on it: a bridge, ipvlan, or macvlan with mode=passthru"
            if child.mode == "passthru":
                taken = "has a macvlan on it already, and mode=passthru shares with none"
            why = f"{parent} {why_not or taken}"
            hint = helps or f"see: ip -d link show {parent}; or another parent"
        elif error.errno == EPERM:
            try:
                check_privilege()
            except SystemFailure as lack:
                why, hint = lack.why, lack.hint
        return KernelError(error.what, why, hint, errno=error.errno)

    def make_shim(self, child: Child, addresses: tuple[Address, ...]) -> bool:
        """Make the host's own interface, or finish it: up, with these addresses."""
        there = self.host_side(child.ifname)
        if there and not (there.link.kind == child.kind and is_our_group(there.link.group)):
            raise ConflictError(f"cannot make {child.ifname}", "there is a link of that name, and"
                                " it is not ours", f"ip link del {child.ifname}")  # fmt: skip
        borne = [held.address for held in there.addresses] if there else []
        lacking = [address for address in addresses if address not in borne]
        if there and there.link.up and not lacking:
            return False
        if there is None:
            self._make(child)
        link = self._links.link(child.ifname)
        try:
            self._finish(child, link, lacking)
        except OcinetError:
            if there is None:
                self._links.delete_links((child.ifname,))
            raise
        return True

    def _finish(self, child: Child, link: Link | None, lacking: list[Address]) -> None:
        what = f"cannot prepare {child.ifname}"
        if link is None:
            raise KernelError(what, "it is gone", errno=ENODEV)
        messages = [
            link_messages.set_no_link_local(0, link.ifindex),
            # The kernel answers for an address of the host at whichever link is asked, so the LAN
            # would be told two MACs for the parent's; before it is up, for then it is asked.
            lan_messages.set_arp_of_its_own(1, link.ifindex),
        ]
        messages += [
            ip_messages.new_address(place, link.ifindex, _alone(address))
            for place, address in enumerate(lacking, start=len(messages))
        ]
        messages.append(link_messages.set_up(len(messages), link.ifindex))
        for refused in self._links.socket.ask(with_last_ack(messages), 1)[1]:
            if refused.errno == EADDRINUSE:
                raise KernelError(what, f"an interface on {child.parent} has its MAC {child.mac}",
                                  errno=EADDRINUSE)  # fmt: skip
            if refused.sequence and refused.errno != EEXIST:
                raise refused.error(what)

    def reach(self, ifname: str, addresses: tuple[Address, ...]) -> bool:
        """Have the host send to these addresses by its own interface."""
        link = self._links.link(ifname)
        if link is None:
            raise KernelError(f"cannot reach containers by {ifname}", "it is not there",
                              "ocinet check --repair", errno=ENODEV)  # fmt: skip
        acts = [
            Act(f"route {address} through {ifname}",
                ip_messages.new_route(place, link.ifindex, _to(address)))
            for place, address in enumerate(addresses)
        ]  # fmt: skip
        refusals = self._links.socket.ask(with_last_ack([act.message for act in acts]), 1)[1]
        there = (
            {route.destination.first for at, route in self._routes() if at == link.ifindex}
            if refusals
            else set()
        )
        for refused in refusals:
            if refused.errno != EEXIST or addresses[refused.sequence] not in there:
                raise refused.error(f"cannot {acts[refused.sequence].what}")
        return len(refusals) < len(acts)

    def reach_no_more(self, ifname: str, addresses: tuple[Address, ...]) -> None:
        """Take that back; not there is fine."""
        link = self._links.link(ifname)
        if link is None:
            return  # its routes went with it
        messages = [
            ip_messages.delete_route(place, _to(address), ifindex=link.ifindex)
            for place, address in enumerate(addresses)
        ]
        for refused in self._links.socket.ask(with_last_ack(messages), 1)[1]:
            if refused.errno not in _GONE:
                raise refused.error(f"cannot delete the route to {addresses[refused.sequence]}")


def once_free(act: Callable[[], None], busy: tuple[int, ...], deadline: Deadline) -> None:
    """Do something as soon as a container that has ended has left its parent.

    The kernel takes a namespace down some time after its last process: 10 to 50 ms, and seconds
    where many end. Until then its interface has its MAC, and with passthru the whole parent.

    Args:
        act: it raises while it can't be done.
        busy: numbers of errors that say so.
        deadline: of the operation.

    Raises:
        KernelError: of the last try.
    """
    end = monotonic() + min(_LEAVING_S, deadline.left_s - _RESERVE_S)
    while True:
        try:
            return act()
        except KernelError as error:
            if error.errno not in busy or monotonic() > end:
                if error.errno == EADDRINUSE:
                    error.hint = "another interface of that parent has its MAC, and so its address"
                raise
            sleep(_BETWEEN_S)


def _alone(address: Address) -> Interface:
    return Interface(address, 32 if address.family == 4 else 128)


def _to(address: Address) -> Route:
    return Route(Subnet(address.family, address.value, 32 if address.family == 4 else 128))


def _is_wireless(ifname: str) -> bool:
    for file in ("phy80211", "wireless"):
        try:
            posix.stat(f"/sys/class/net/{ifname}/{file}")
        except OSError:
            continue
        return True
    return False

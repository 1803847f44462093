"""Inside of sandboxes: interfaces get their addresses and routes, by rtnetlink.

A sandbox is entered once, to open a socket that stays in it and to write sysctls;
all else is asked through that socket, from the host.
"""

from __future__ import annotations

from errno import EADDRINUSE, EEXIST, ENODEV
from time import sleep

from ocinet.base.clock import Deadline
from ocinet.base.errors import KernelError, SystemFailure
from ocinet.engine.kernel import ip_messages, link_messages, sysctl
from ocinet.engine.kernel.ip_messages import LOOPBACK
from ocinet.engine.kernel.links import (
    AT_ONCE,
    Act,
    find_link,
    find_link_at,
    list_addresses,
    list_links,
    list_routes,
    socket_in,
)
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.model.link import Inside, InsideLink, Pair
from ocinet.engine.netlink.framing import Refusal, with_last_ack
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.links import Links
    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.link import SourceWay
    from ocinet.engine.model.request import Route

_KEEP_ROUTE = "leave it as it is: attach --no-default-route, or gateway=none"
# The kernel tells of a carrier within a few of the first waits; on a slow machine, later.
_FIRST_WAIT_S, _LATER, _LONGEST_WAIT_S = 0.0002, 1.05, 0.02
_OURS = ("veth", "macvlan")  # that are made in sandboxes
_RESERVE_S = 2.0  # left of an operation's time for what follows
_ALONE_S = 20.0  # for who has no operation


class Insides:
    """What is inside of sandboxes. Not for several threads at once.

    Args:
        host: the host's links, where the other ends of the sandboxes' are.
        deadline: of the operation; a link's carrier is waited for until shortly before.
    """

    def __init__(self, host: Links, deadline: Deadline | None = None) -> None:
        self._host = host
        self._deadline = deadline

    def configure(
        self, sandbox: OpenNamespace, inside: Inside, pair: Pair | None = None
    ) -> tuple[str, ...]:
        """Give a sandbox's interface its addresses and routes; it and `lo` go up.

        Who starts after it finds the way open, and if the addresses are to be
        announced, neighbours that know of it (gratuitous ARP, unsolicited
        neighbour advertisement). It can be repeated: what is so already is fine.

        Args:
            sandbox: open.
            inside: what the interface is to have.
            pair: that it is an end of, if it was made just now: else it is looked up.

        Returns:
            What could not be set but is not needed, one line each.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: an address or route was refused, and which.
        """
        # /proc/sys shows the namespace that the thread is in; a socket stays in the one
        # that it was made in, so all else is asked from the host again.
        with entered(sandbox):
            socket = NetlinkSocket(NETLINK_ROUTE, strict=True)
            try:
                warnings = _write_sysctls(inside)
            except BaseException:
                socket.close()
                raise
        with socket:
            if pair is None or not pair.mac:
                pair = self._pair_of(socket, inside.ifname)
            if inside.mac:  # it is announced with that below
                pair = pair.replace(mac=inside.mac)
            if inside.strict:  # its other end is in a sandbox, whoever has that index here
                pair = Pair(0, pair.ifindex, 0, pair.mac)
            batch = _batch(pair.ifindex, inside)
            try:
                _send_batch(socket, batch, pair.ifindex)
            except KernelError as error:
                if error.errno != EADDRINUSE:
                    raise
                from functools import partial  # all of it on the LAN alone

                from ocinet.engine.kernel.lan_links import once_free

                again = partial(_send_batch, socket, batch, pair.ifindex)
                # What is mended had its MAC before: then nobody who ends has it.
                busy = () if inside.mac else (EADDRINUSE,)
                once_free(again, busy, self._deadline or Deadline(_ALONE_S))
            if pair.host_ifindex and inside.addresses:
                warnings += self._open_the_way(socket, pair, inside)
        return warnings

    def _pair_of(self, socket: NetlinkSocket, ifname: str) -> Pair:
        """Look up the pair that a sandbox's interface is an end of."""
        link = find_link(socket, ifname)
        if link is None:
            raise KernelError(f"cannot configure {ifname}", "it is not in the sandbox",
                              errno=ENODEV)  # fmt: skip
        if link.kind != "veth":
            return Pair(0, link.ifindex, 0, link.mac)
        host_end = self._host.link_at(link.peer)  # None: it is in a third namespace
        bridge_ifindex = host_end.master if host_end else 0
        return Pair(link.peer, link.ifindex, bridge_ifindex, link.mac)

    def _open_the_way(self, socket: NetlinkSocket, pair: Pair, inside: Inside) -> tuple[str, ...]:
        """Wait until the bridge passes frames on, then announce; return what failed.

        The kernel announces when the link goes up, but then the host's end has
        not seen its carrier yet (linkwatch does that a little later), and the
        bridge drops the frame, as it would drop the container's first ones. So
        the addresses are announced once more when it has.
        """
        what = f"cannot announce the addresses of {inside.ifname}"
        deadline = self._deadline or Deadline(_ALONE_S)
        if not self._await_carrier(pair.host_ifindex, deadline):
            return (f"{what}: no carrier",)
        if inside.announce:  # which it is wherever the bridge is not ours, and may have STP on
            held = self._await_stp(pair, inside.ifname, deadline)
            if held:
                return (held,)
        if not self._await_carrier(pair.bridge_ifindex, deadline):
            return (f"{what}: no carrier",)
        if not inside.announce:
            return ()
        refusals = socket.ask(link_messages.set_mac(1, pair.ifindex, pair.mac), 1)[1]
        return tuple(str(refused.error(what)) for refused in refusals)

    def _await_carrier(self, ifindex: int, deadline: Deadline) -> bool:
        """Wait until a link of the host's carries packets, or is known never to; False if late."""
        wait_s = _FIRST_WAIT_S
        # The bridge by a request of its own, after its port: asked for with it, it may
        # still tell of the time before.
        while ifindex:
            link = self._host.link_at(ifindex)
            if not link or link.running or not link.up:
                break
            if deadline.left_s < _RESERVE_S:
                return False
            sleep(wait_s)
            wait_s = min(_LATER * wait_s, _LONGEST_WAIT_S)
        return True

    def _await_stp(self, pair: Pair, ifname: str, deadline: Deadline) -> str:
        """Wait until the bridge's spanning tree lets a port pass frames on, if there is time.

        Returns:
            "" or, at once if it takes longer than there is time, what is so and what helps.
        """
        if self._host.forwards(pair.host_ifindex):
            return ""
        bridge = self._host.link_at(pair.bridge_ifindex)
        if not bridge or not bridge.up:
            return ""
        # Listening and learning take the forward delay each (IEEE 802.1D), 15 s by default.
        needed_s = 2 * self._host.forward_delay_s(pair.bridge_ifindex)
        end_s = deadline.left_s - needed_s - _RESERVE_S
        while end_s >= 0 and deadline.left_s >= _RESERVE_S:
            if self._host.forwards(pair.host_ifindex):
                return ""
            sleep(_LONGEST_WAIT_S)
        name = bridge.ifname
        return (
            f"{name} has STP on and passes nothing to or from {ifname} for {needed_s:.0f} s from "
            f"now, longer than an attach may wait; for the next ones: ip link set {name} type "
            "bridge stp_state 0, or forward_delay 200, which makes it 4 s"
        )

    def loopback_up(self, sandbox: OpenNamespace) -> None:
        """Set `lo` up in a sandbox.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel refused.
        """
        with socket_in(sandbox) as socket:
            refusals = socket.ask(link_messages.set_up(1, LOOPBACK), 1)[1]
        if refusals:
            raise refusals[0].error("cannot set lo up")

    def route_by_source(
        self, sandbox: OpenNamespace, ways: tuple[SourceWay, ...]
    ) -> tuple[str, ...]:
        """Have what is sent from each address take its own way; see `inside_ways`."""
        from ocinet.engine.kernel.inside_ways import route_by_source  # of several networks

        return route_by_source(sandbox, ways)

    def unroute_by_source(self, sandbox: OpenNamespace, ways: tuple[SourceWay, ...]) -> None:
        """Have none of these addresses take a way of its own; see `inside_ways`."""
        from ocinet.engine.kernel.inside_ways import unroute_by_source

        unroute_by_source(sandbox, ways)

    def unplug(self, sandbox: OpenNamespace, ifname: str, mac: str, ifindex: int = 0) -> bool:
        """Delete a veth of a sandbox if it has this MAC, and with it its other end, wherever it is.

        Or what shares a parent on the LAN.

        Args:
            sandbox: open.
            ifname: its name.
            mac: its MAC: another one of that name is the container's own.
            ifindex: by which it is known whatever its name and MAC are by now; 0: by these.

        Returns:
            False if there is no such one.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel refused.
        """
        with socket_in(sandbox) as socket:
            link = find_link_at(socket, ifindex) if ifindex else None
            if link is None or link.kind not in _OURS:
                link = find_link(socket, ifname)
                if link is None or link.kind not in _OURS or link.mac != mac:
                    return False
            refusals = socket.ask(link_messages.delete_link(1, link.ifindex), 1)[1]
        if refusals and refusals[0].errno != ENODEV:
            raise refusals[0].error(f"cannot delete {ifname} in the sandbox")
        return True

    def lay(self, near: OpenNamespace, far: OpenNamespace, cable: Cable) -> tuple[Pair, Pair]:
        """Make a veth pair with an end in each of two sandboxes; see `cables.lay_cable`."""
        from ocinet.engine.kernel.cables import lay_cable  # for the few that have one

        return lay_cable(self._host.socket, near, far, cable)

    def look_inside(self, sandbox: OpenNamespace) -> tuple[InsideLink, ...]:
        """Return all interfaces of a sandbox as they are, by their index.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel would not say.
        """
        with socket_in(sandbox) as socket:
            links = list_links(socket)
            addresses = list_addresses(socket, 0)
            hops = list_routes(socket)
        return tuple(
            InsideLink(
                link.ifname,
                link.up,
                link.mac,
                link.mtu,
                tuple(interface for ifindex, interface in addresses if ifindex == link.ifindex),
                tuple(route for ifindex, route in hops if ifindex == link.ifindex),
                link.ifindex,
            )
            for link in sorted(links, key=lambda link: link.ifindex)
        )


def _write_sysctls(inside: Inside) -> tuple[str, ...]:
    """Write an interface's IPv6 parameters, in its namespace; return what failed."""
    conf = "net/ipv6/conf"
    if not inside.ipv6:
        wanted = [(f"{conf}/{inside.ifname}/disable_ipv6", "1")]
    else:
        wanted = [
            # Docker turns IPv6 off in the sandboxes that it makes.
            (f"{conf}/lo/disable_ipv6", "0"),
            (f"{conf}/{inside.ifname}/disable_ipv6", "0"),
            (f"{conf}/{inside.ifname}/accept_dad", "0"),  # else link-local waits a second
            (f"{conf}/{inside.ifname}/accept_ra", "0"),  # else a sibling could give it routes
        ]
        if inside.announce:
            wanted.append((f"{conf}/{inside.ifname}/ndisc_notify", "1"))
    if inside.strict:
        wanted.append((f"net/ipv4/conf/{inside.ifname}/rp_filter", "1"))
    warnings = []
    for key, value in wanted:
        try:
            sysctl.write(key, value)
        except SystemFailure as error:
            # One that is not turned off is in nobody's way, or is not there at all.
            if inside.ipv6 or inside.strict:
                warnings.append(str(error))
    return tuple(warnings)


def _batch(ifindex: int, inside: Inside) -> list[Act]:
    """Return the messages that configure an interface; each one's sequence is its place."""
    ifname = inside.ifname
    # Going up is what announces, and it announces what is there by then: so the wish and
    # the addresses come before it. Routes come after: the kernel takes a gateway for one
    # that can't be reached while its link is down.
    acts = [Act("set lo up", link_messages.set_up(0, LOOPBACK))]
    if inside.announce:
        acts.append(Act(f"set arp_notify of {ifname}", link_messages.set_arp_notify(1, ifindex)))
    for address in inside.addresses:
        message = ip_messages.new_address(len(acts), ifindex, address)
        acts.append(Act(f"give {ifname} the address {address}", message))
    if inside.mac:
        message = link_messages.set_mac(len(acts), ifindex, inside.mac)
        acts.append(Act(f"set the MAC of {ifname} to {inside.mac}", message))
    if inside.mtu:
        message = link_messages.set_mtu(len(acts), ifindex, inside.mtu)
        acts.append(Act(f"set the MTU of {ifname} to {inside.mtu}", message))
    acts.append(Act(f"set {ifname} up", link_messages.set_up(len(acts), ifindex)))
    for route, onlink in inside.ordered_routes():
        message = ip_messages.new_route(len(acts), ifindex, route, onlink=onlink)
        acts.append(Act(f"route {route} through {ifname}", message, route))
    return acts


def _send_batch(socket: NetlinkSocket, acts: list[Act], ifindex: int) -> None:
    """Send a batch; a route that is there already, through the same link, is fine.

    Raises:
        KernelError: of the first act that was refused.
    """
    refusals: list[Refusal] = []
    for start in range(0, len(acts), AT_ONCE):
        some = acts[start : start + AT_ONCE]
        refusals += socket.ask(with_last_ack([act.message for act in some]), 1)[1]
    there: set[tuple[int, Route]] = set()
    if any(refused.errno == EEXIST for refused in refusals):
        there.update(list_routes(socket))
    for refused in refusals:
        act = acts[refused.sequence]
        if act.route is None or refused.errno != EEXIST:
            raise refused.error(f"cannot {act.what}")
        if (ifindex, act.route) not in there:
            hint = "" if act.route.destination.prefixlen else _KEEP_ROUTE
            raise KernelError(f"cannot {act.what}", "the sandbox has another such route already",
                              hint, errno=EEXIST)  # fmt: skip

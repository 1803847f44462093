"""Links, addresses and routes: what the hook asks of the kernel, by rtnetlink.

Each act is as few round trips as it can be, and says on failure what was in the
way. What is ours bears the link group `LINK_GROUP`; nothing else is deleted.
"""

from __future__ import annotations

import posix
from _socket import if_nametoindex
from errno import EAFNOSUPPORT, EBADF, EEXIST, ENODEV, EPERM, EXFULL
from time import sleep

from ocinet.base.address import Interface
from ocinet.base.errors import KernelError, OcinetError, SystemFailure, failures
from ocinet.base.value import Value
from ocinet.engine.kernel import rtnetlink, sysctl
from ocinet.engine.kernel.sandbox import Sandbox, check_privilege, entered
from ocinet.engine.model.link import (
    DOOMED,
    LINK_GROUP,
    Inside,
    InsideLink,
    Link,
    Pair,
    Veth,
    is_ours,
)
from ocinet.engine.model.request import Route
from ocinet.engine.netlink.framing import Refusal, with_last_ack
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

_LOOPBACK = 1  # the index of `lo` in every namespace: LOOPBACK_IFINDEX
_MOST_PORTS = 1023  # of a Linux bridge: BR_MAX_PORTS less port 0
_CARRIER_TRIES = 100
_CARRIER_WAIT_S = 0.0002
_AT_ONCE = 64  # messages in one request: all their answers must fit a socket's buffer


class Kernel:
    """Links, addresses and routes of the host and of sandboxes.

    The host is the namespace of the thread at the first use. Not for several
    threads at once. To be closed, or used in a `with` block.
    """

    def __init__(self) -> None:
        self._opened: NetlinkSocket | None = None

    @property
    def _socket(self) -> NetlinkSocket:
        if self._opened is None:
            self._opened = NetlinkSocket(NETLINK_ROUTE, strict=True)
        return self._opened

    def close(self) -> None:
        """Close the socket, if it was ever opened."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> Kernel:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the socket."""
        self.close()

    def link(self, ifname: str) -> Link | None:
        """Return the host's link of that name, or None if there is none.

        Raises:
            KernelError: the kernel would not say.
        """
        return _link(self._socket, ifname)

    def addresses(self, ifindex: int) -> tuple[Interface, ...]:
        """Return the addresses of one of the host's links, or with 0 of all of them.

        Raises:
            KernelError: the kernel would not say.
        """
        return tuple(interface for _, interface in _addresses(self._socket, ifindex))

    def links(self, group: int = LINK_GROUP) -> tuple[Link, ...]:
        """Return the host's links of a group; for ours, also half-deleted ones.

        Raises:
            KernelError: the kernel would not say.
        """
        ours = group == LINK_GROUP
        return tuple(
            one
            for one in _links(self._socket)
            if one.group == group or (ours and is_ours(one.group))
        )

    def ports(self, bridge: Link) -> tuple[Link, ...]:
        """Return the ports of a bridge of the host.

        Raises:
            KernelError: the kernel would not say.
        """
        return tuple(_links(self._socket, bridge.ifindex))

    def add_veth(self, veth: Veth, sandbox: Sandbox) -> Pair:
        """Make a veth pair: a port of the bridge here, an interface in the sandbox.

        The host's end is up, in our link group, and gets no IPv6 address of
        itself; the sandbox's end is down.

        Raises:
            KernelError: it could not be made, and nothing is left of it.
        """
        what = f"cannot connect {veth.host_ifname} to {veth.bridge}"
        try:
            bridge = if_nametoindex(veth.bridge)
        except OSError:
            raise KernelError(what, f"there is no bridge {veth.bridge}", errno=ENODEV) from None
        wanted = veth if veth.mtu else veth.replace(mtu=self._mtu(veth.bridge))
        create = rtnetlink.new_veth(1, wanted, netns_fd=sandbox.fd, master=bridge, group=LINK_GROUP)
        answers, refusals = self._socket.look_up(
            create + rtnetlink.get_link(2, veth.host_ifname), 2
        )
        found = rtnetlink.link(answers[0].body) if answers else None
        if refusals and refusals[0].sequence == 1:
            raise _veth_error(what, veth, refusals[0], host_end_exists=found is not None)
        if found is None:
            raise refusals[0].error(what)
        # Only now, and by index: had the name been another's, these would have changed that one.
        try:
            self._finish_host_end(veth, found.ifindex, what)
        except OcinetError:
            self._socket.ask(rtnetlink.delete_link(1, found.ifindex), 1)
            raise
        return Pair(found.ifindex, found.peer, bridge, veth.mac)

    def _mtu(self, bridge: str) -> int:
        link = self.link(bridge)
        return link.mtu if link else 0

    def _finish_host_end(self, veth: Veth, ifindex: int, what: str) -> None:
        messages = [rtnetlink.set_no_link_local(1, ifindex)]
        if veth.alias:
            messages.append(rtnetlink.set_alias(2, ifindex, veth.alias))
        for refused in self._socket.ask(with_last_ack(messages), 1)[1]:
            if refused.sequence != 1 or refused.errno != EAFNOSUPPORT:
                raise refused.error(what)

    def delete_links(self, ifnames: tuple[str, ...]) -> None:
        """Delete links of ours, by name; what is not there is fine.

        Each deletion would wait 17 to 38 ms, so several go as one group.

        Raises:
            SystemFailure: a link is not ours, and was left alone, or could not
                be deleted; the others have been deleted.
        """
        errors: list[OcinetError] = []
        ours: list[Link] = []
        for start in range(0, len(ifnames), _AT_ONCE):
            self._sort_links(ifnames[start : start + _AT_ONCE], ours, errors)
        if len(ours) == 1:
            refusals = self._socket.ask(rtnetlink.delete_link(1, ours[0].ifindex), 1)[1]
        else:
            refusals = self._delete_as_group(ours)
        errors += [
            one.error("cannot delete the links" if len(ours) > 1 else "cannot delete a link")
            for one in refusals
            if one.errno != ENODEV
        ]
        failures("cannot delete all links", errors)

    def _sort_links(
        self, ifnames: tuple[str, ...], ours: list[Link], errors: list[OcinetError]
    ) -> None:
        """Look the links up in one round trip, and add each to where it belongs."""
        questions = b"".join(rtnetlink.get_link(number, one) for number, one in enumerate(ifnames))
        answers, refusals = self._socket.look_up(questions, len(ifnames))
        for answer in answers:
            found = rtnetlink.link(answer.body)
            if is_ours(found.group):
                ours.append(found)
            else:
                errors.append(SystemFailure(f"cannot delete the link {found.ifname}",
                                            "it is not ours: its group is another"))  # fmt: skip
        errors += [
            one.error(f"cannot delete the link {ifnames[one.sequence]}")
            for one in refusals
            if one.errno != ENODEV
        ]

    def _delete_as_group(self, links: list[Link]) -> list[Refusal]:
        if not links:
            return []
        group = DOOMED | posix.getpid() & 0xFFFFFF
        refusals = []
        for start in range(0, len(links), _AT_ONCE):
            some = links[start : start + _AT_ONCE]
            moves = with_last_ack([rtnetlink.set_group(1, one.ifindex, group) for one in some])
            refusals += self._socket.ask(moves, 1)[1]
        return refusals + self._socket.ask(rtnetlink.delete_group(1, group), 1)[1]

    def set_hairpin(self, ifname: str) -> None:
        """Let a bridge port send frames back to where they came from.

        Raises:
            KernelError: there is no such link, or it is no bridge port.
        """
        refusals = self._socket.ask(rtnetlink.set_hairpin(1, ifname), 1)[1]
        if refusals:
            raise refusals[0].error(f"cannot set hairpin mode on {ifname}")

    def configure(
        self, sandbox: Sandbox, inside: Inside, pair: Pair | None = None
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
            _send_batch(socket, _batch(pair.ifindex, inside), pair.ifindex)
            if pair.host_ifindex and inside.addresses:
                warnings += self._open_the_way(socket, pair, inside)
        return warnings

    def _pair_of(self, socket: NetlinkSocket, ifname: str) -> Pair:
        """Look up the pair that a sandbox's interface is an end of."""
        link = _link(socket, ifname)
        if link is None:
            raise KernelError(f"cannot configure {ifname}", "it is not in the sandbox",
                              errno=ENODEV)  # fmt: skip
        if link.kind != "veth":
            return Pair(0, link.ifindex, 0, link.mac)
        answers, _refusals = self._socket.look_up(rtnetlink.get_link_at(1, link.peer), 1)
        # No answer: the other end is in a third namespace.
        bridge = rtnetlink.link(answers[0].body).master if answers else 0
        return Pair(link.peer, link.ifindex, bridge, link.mac)

    def _open_the_way(self, socket: NetlinkSocket, pair: Pair, inside: Inside) -> tuple[str, ...]:
        """Wait until the bridge passes frames on, then announce; return what failed.

        The kernel announces when the link goes up, but then the host's end has
        not seen its carrier yet (linkwatch does that a little later), and the
        bridge drops the frame, as it would drop the container's first ones. So
        the addresses are announced once more when it has.
        """
        what = f"cannot announce the addresses of {inside.ifname}"
        for _try in range(_CARRIER_TRIES):
            if self._is_settled(pair):
                break
            sleep(_CARRIER_WAIT_S)
        else:
            return (f"{what}: no carrier",)
        if not inside.announce:
            return ()
        refusals = socket.ask(rtnetlink.set_mac(1, pair.ifindex, pair.mac), 1)[1]
        return tuple(str(one.error(what)) for one in refusals)

    def _is_settled(self, pair: Pair) -> bool:
        """Tell whether a host's end, and its bridge, carry packets, or never will."""
        # The bridge by a request of its own, after its port: asked for with it, it may
        # still tell of the time before.
        for ifindex in (pair.host_ifindex, pair.bridge_ifindex):
            answers = (
                self._socket.look_up(rtnetlink.get_link_at(1, ifindex), 1)[0] if ifindex else []
            )
            link = rtnetlink.link(answers[0].body) if answers else None
            if link and not (link.up and link.running):
                return not link.up
        return True

    def loopback_up(self, sandbox: Sandbox) -> None:
        """Set `lo` up in a sandbox.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel refused.
        """
        with _socket_in(sandbox) as socket:
            refusals = socket.ask(rtnetlink.set_up(1, _LOOPBACK), 1)[1]
        if refusals:
            raise refusals[0].error("cannot set lo up")

    def look_inside(self, sandbox: Sandbox) -> tuple[InsideLink, ...]:
        """Return all interfaces of a sandbox as they are, by their index.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel would not say.
        """
        with _socket_in(sandbox) as socket:
            links = _links(socket)
            addresses = _addresses(socket, 0)
            hops = [
                hop
                for body in socket.dump(rtnetlink.dump_routes(1))
                for hop in rtnetlink.routes(body)
            ]
        return tuple(
            InsideLink(
                link.ifname,
                link.up,
                link.mac,
                link.mtu,
                tuple(interface for ifindex, interface in addresses if ifindex == link.ifindex),
                tuple(route for ifindex, route in hops if ifindex == link.ifindex),
            )
            for link in sorted(links, key=lambda one: one.ifindex)
        )


def _link(socket: NetlinkSocket, ifname: str) -> Link | None:
    answers, refusals = socket.look_up(rtnetlink.get_link(1, ifname), 1)
    if refusals and refusals[0].errno != ENODEV:
        raise refusals[0].error(f"cannot look up the link {ifname}")
    return rtnetlink.link(answers[0].body) if answers else None


def _links(socket: NetlinkSocket, master: int = 0) -> list[Link]:
    return [rtnetlink.link(body) for body in socket.dump(rtnetlink.dump_links(1, master))]


def _addresses(socket: NetlinkSocket, ifindex: int) -> list[tuple[int, Interface]]:
    # Before Linux 4.20 the kernel does not filter: so it is done here once more.
    found = [rtnetlink.address(body) for body in socket.dump(rtnetlink.dump_addresses(1, ifindex))]
    return [one for one in found if ifindex in (0, one[0])]


def _socket_in(sandbox: Sandbox) -> NetlinkSocket:
    with entered(sandbox):
        return NetlinkSocket(NETLINK_ROUTE, strict=True)


def _veth_error(what: str, veth: Veth, refused: Refusal, *, host_end_exists: bool) -> KernelError:
    """Say in words what was in the way of a veth pair."""
    why, hint = refused.why, ""
    if refused.errno == EEXIST and host_end_exists:
        why = f"the host has a link {veth.host_ifname} already"
        hint = f"ip link del {veth.host_ifname}"
    elif refused.errno == EEXIST:
        why = f"the sandbox has an interface {veth.ifname} already"
        hint = "ask for another name with ifname="
    elif refused.errno == EXFULL:
        why = f"the bridge has {_MOST_PORTS} ports, the most that Linux allows"
        hint = "use another network"
    elif refused.errno == EBADF:
        why = "the sandbox is gone"
    elif refused.errno == EPERM:
        try:
            check_privilege()
        except SystemFailure as lack:
            why, hint = lack.why, lack.hint
    return KernelError(what, why, hint, errno=refused.errno)


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
            (f"{conf}/{inside.ifname}/accept_ra", "0"),
        ]
        if inside.announce:
            wanted.append((f"{conf}/{inside.ifname}/ndisc_notify", "1"))
    warnings = []
    for key, value in wanted:
        try:
            sysctl.write(key, value)
        except SystemFailure as error:
            # Without IPv6 in the kernel, there is none to turn off: so much the better.
            if inside.ipv6 or sysctl.read(key) is not None:
                warnings.append(str(error))
    return tuple(warnings)


class _Act(Value):
    """One message of a batch: what it is to do, for an error, and the route it makes."""

    what: str
    message: bytes
    route: Route | None = None


def _batch(ifindex: int, inside: Inside) -> list[_Act]:
    """Return the messages that configure an interface; each one's sequence is its place."""
    ifname = inside.ifname
    acts = [_Act("set lo up", rtnetlink.set_up(0, _LOOPBACK))]
    if inside.announce:
        acts.append(_Act(f"set arp_notify of {ifname}", rtnetlink.set_arp_notify(1, ifindex)))
    for one in inside.addresses:
        message = rtnetlink.new_address(len(acts), ifindex, one)
        acts.append(_Act(f"give {ifname} the address {one}", message))
    acts.append(_Act(f"set {ifname} up", rtnetlink.set_up(len(acts), ifindex)))
    for route, onlink in inside.ordered_routes():
        message = rtnetlink.new_route(len(acts), ifindex, route, onlink=onlink)
        via = f" via {route.gateway}" if route.gateway else ""
        acts.append(_Act(f"route {route.destination}{via} through {ifname}", message, route))
    return acts


def _send_batch(socket: NetlinkSocket, acts: list[_Act], ifindex: int) -> None:
    """Send a batch; a route that is there already, through the same link, is fine.

    Raises:
        KernelError: of the first act that was refused.
    """
    refusals: list[Refusal] = []
    for start in range(0, len(acts), _AT_ONCE):
        some = acts[start : start + _AT_ONCE]
        refusals += socket.ask(with_last_ack([one.message for one in some]), 1)[1]
    there: set[tuple[int, Route]] = set()
    if any(one.errno == EEXIST for one in refusals):
        there.update(
            hop for body in socket.dump(rtnetlink.dump_routes(1)) for hop in rtnetlink.routes(body)
        )
    for refused in refusals:
        act = acts[refused.sequence]
        if act.route is None or refused.errno != EEXIST:
            raise refused.error(f"cannot {act.what}")
        if (ifindex, act.route) not in there:
            raise KernelError(f"cannot {act.what}", "the sandbox has another such route already",
                              errno=EEXIST)  # fmt: skip

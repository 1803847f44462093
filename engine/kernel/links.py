"""The host's links and their addresses: what the hook asks of the kernel, by rtnetlink.

Each act is as few round trips as it can be, and says on failure what was in the
way. What is ours bears the link group `LINK_GROUP`; nothing else is deleted.
"""

from __future__ import annotations

import posix
from _socket import if_nametoindex
from errno import (
    EAFNOSUPPORT,
    EBADF,
    EEXIST,
    ENODEV,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    EXFULL,
)

from ocinet.base.address import Interface, Subnet
from ocinet.base.errors import KernelError, OcinetError, SystemFailure, failures
from ocinet.base.value import Value
from ocinet.engine.kernel import filter_messages, ip_messages, link_messages, port_messages
from ocinet.engine.kernel.sandbox import check_privilege, entered
from ocinet.engine.model.link import DOOMED, LINK_GROUP, Link, Pair, Veth, is_our_group
from ocinet.engine.netlink.framing import Refusal, with_last_ack
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.request import Route

AT_ONCE = 64  # messages in one request: all their answers must fit a socket's buffer
_NO_FILTERS = (ENOENT, EOPNOTSUPP)  # how a kernel says that it has none such
_MOST_PORTS = 1023  # of a Linux bridge: BR_MAX_PORTS less port 0


class Act(Value):
    """One message of a batch: what it is to do, for an error, and the route it makes."""

    what: str
    message: bytes
    route: Route | None = None


class Links:
    """Links of the host, and their addresses.

    The host is the namespace of the thread at the first use. Not for several
    threads at once. To be closed, or used in a `with` block.
    """

    def __init__(self) -> None:
        self._opened: NetlinkSocket | None = None

    @property
    def socket(self) -> NetlinkSocket:
        """Its socket, for who asks the same namespace about something else."""
        if self._opened is None:
            self._opened = NetlinkSocket(NETLINK_ROUTE, strict=True)
        return self._opened

    def close(self) -> None:
        """Close the socket, if it was ever opened."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> Links:
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
        return find_link(self.socket, ifname)

    def link_at(self, ifindex: int) -> Link | None:
        """Return the host's link of that index, or None if there is none."""
        answers, _refusals = self.socket.look_up(link_messages.get_link_at(1, ifindex), 1)
        return link_messages.decode_link(answers[0].body) if answers else None

    def forwards(self, ifindex: int) -> bool:
        """Tell whether a link, if it is a bridge's port, is let pass frames on by STP."""
        answers, _refusals = self.socket.look_up(link_messages.get_link_at(1, ifindex), 1)
        return not answers or port_messages.decode_forwards(answers[0].body)

    def forward_delay_s(self, ifindex: int) -> float:
        """Return a bridge's forward delay in seconds; 0 of what is none."""
        answers, _refusals = self.socket.look_up(link_messages.get_link_at(1, ifindex), 1)
        return port_messages.decode_forward_delay_s(answers[0].body) if answers else 0.0

    def addresses(self, ifindex: int) -> tuple[Interface, ...]:
        """Return the addresses of one of the host's links, or with 0 of all of them.

        Raises:
            KernelError: the kernel would not say.
        """
        return tuple(interface for _, interface in list_addresses(self.socket, ifindex))

    def connected(self, family: int) -> tuple[tuple[int, Subnet], ...]:
        """Return the subnets that the host's links are in, each with a link's index.

        As the kernel's own routes say; link-local ones are left out.

        Args:
            family: 4 or 6.

        Raises:
            KernelError: the kernel would not say.
        """
        return tuple(
            (at, route.destination)
            for body in self.socket.dump(ip_messages.dump_connected(1, family))
            if not ip_messages.is_link_local(body)
            for at, route in ip_messages.decode_routes(body)
        )

    def links(self) -> tuple[Link, ...]:
        """Return the host's links that are ours, half-deleted ones as well.

        Raises:
            KernelError: the kernel would not say.
        """
        return tuple(link for link in list_links(self.socket) if is_our_group(link.group))

    def ports(self, bridge: Link) -> tuple[Link, ...]:
        """Return the ports of a bridge of the host.

        Raises:
            KernelError: the kernel would not say.
        """
        return tuple(list_links(self.socket, bridge.ifindex))

    def add_veth(self, veth: Veth, sandbox: OpenNamespace) -> Pair:
        """Make a veth pair: a port of the bridge here, an interface in the sandbox.

        The host's end is up, in our link group, guarded if that is wanted, and gets no
        IPv6 address of itself; the sandbox's end is down.

        Raises:
            KernelError: it could not be made, and nothing is left of it.
        """
        what = f"cannot connect {veth.host_ifname} to {veth.bridge}"
        try:
            bridge = if_nametoindex(veth.bridge)
        except OSError:
            raise KernelError(what, f"there is no bridge {veth.bridge}", errno=ENODEV) from None
        wanted = veth if veth.mtu else veth.replace(mtu=self._mtu(veth.bridge))
        create = link_messages.new_veth(
            1, wanted, netns_fd=sandbox.fd, master=bridge, group=LINK_GROUP
        )
        # The question goes along, as a later message is worked off whatever became of an
        # earlier one: it brings the indexes, or whether it is this name that was taken.
        answers, refusals = self.socket.look_up(
            create + link_messages.get_link(2, veth.host_ifname), 2
        )
        found = link_messages.decode_link(answers[0].body) if answers else None
        if refusals and refusals[0].sequence == 1:
            raise _veth_error(what, veth, refusals[0], host_end_exists=found is not None)
        if found is None:
            raise refusals[0].error(what)
        # Only now, and by index: had the name been another's, these would have changed that one.
        try:
            unguarded = self._finish_host_end(veth, found.ifindex, what)
        except OcinetError:
            self.socket.ask(link_messages.delete_link(1, found.ifindex), 1)
            raise
        return Pair(found.ifindex, found.peer, bridge, veth.mac, unguarded)

    def _mtu(self, bridge: str) -> int:
        link = self.link(bridge)
        return link.mtu if link else 0

    def _finish_host_end(self, veth: Veth, ifindex: int, what: str) -> str:
        """Say what could not be said of a link that was not there; return why it is unguarded."""
        messages = [link_messages.set_no_link_local(1, ifindex)]
        if veth.guard:
            messages.append(filter_messages.add_clsact(2, ifindex))
            messages.append(filter_messages.put_filter(3, ifindex, veth.guard))
        if veth.isolated:
            messages.append(link_messages.set_isolated(4, ifindex=ifindex))
        is_down = bool(veth.guard or veth.isolated)
        if veth.alias:
            messages.append(link_messages.set_alias(5, ifindex, veth.alias, up=is_down))
        elif is_down:
            messages.append(link_messages.set_up(5, ifindex))
        unguarded = ""
        for refused in self.socket.ask(with_last_ack(messages), 1)[1]:
            if refused.sequence in (2, 3) and refused.errno in _NO_FILTERS:
                unguarded = unguarded or refused.why
            # A link without IPv6, as below its least MTU, has no such address anyway.
            elif refused.sequence != 1 or refused.errno != EAFNOSUPPORT:
                raise refused.error(what)
        return unguarded

    def delete_links(self, ifnames: tuple[str, ...]) -> None:
        """Delete links of ours, by name; what is not there is fine.

        Each deletion would wait 17 to 38 ms, so several go as one group.

        Raises:
            SystemFailure: a link is not ours, and was left alone, or could not
                be deleted; the others have been deleted.
        """
        errors: list[OcinetError] = []
        ours: list[Link] = []
        for start in range(0, len(ifnames), AT_ONCE):
            self._sort_links(ifnames[start : start + AT_ONCE], ours, errors)
        if len(ours) == 1:
            refusals = self.socket.ask(link_messages.delete_link(1, ours[0].ifindex), 1)[1]
        else:
            refusals = self._delete_as_group(ours)
        errors += [
            refused.error("cannot delete the links" if len(ours) > 1 else "cannot delete a link")
            for refused in refusals
            if refused.errno != ENODEV
        ]
        failures("cannot delete all links", errors)

    def _sort_links(
        self, ifnames: tuple[str, ...], ours: list[Link], errors: list[OcinetError]
    ) -> None:
        """Look the links up in one round trip, and add each to where it belongs."""
        questions = b"".join(
            link_messages.get_link(number, ifname) for number, ifname in enumerate(ifnames)
        )
        answers, refusals = self.socket.look_up(questions, len(ifnames))
        for answer in answers:
            found = link_messages.decode_link(answer.body)
            if is_our_group(found.group):
                ours.append(found)
            else:
                errors.append(SystemFailure(f"cannot delete the link {found.ifname}",
                                            "it is not ours: its group is another"))  # fmt: skip
        errors += [
            refused.error(f"cannot delete the link {ifnames[refused.sequence]}")
            for refused in refusals
            if refused.errno != ENODEV
        ]

    def _delete_as_group(self, links: list[Link]) -> list[Refusal]:
        if not links:
            return []
        # The kernel waits once for all links of a group that is deleted: 30 ms for 50, which
        # take 1 s one by one. The pid keeps another process's group out of it.
        group = DOOMED | posix.getpid() & 0xFFFFFF
        refusals = []
        for start in range(0, len(links), AT_ONCE):
            some = links[start : start + AT_ONCE]
            moves = with_last_ack(
                [link_messages.set_group(1, link.ifindex, group) for link in some]
            )
            refusals += self.socket.ask(moves, 1)[1]
        return refusals + self.socket.ask(link_messages.delete_group(1, group), 1)[1]

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
        """Make a link an up port of a bridge, or set flags of a port, or both.

        Raises:
            KernelError: one of the two is not there, the one is no port, or the other takes none.
        """
        acts: list[tuple[str, bytes]] = []
        if bridge:
            what = f"cannot connect {ifname} to {bridge}"
            try:
                master = if_nametoindex(bridge)
            except OSError:
                raise KernelError(what, f"there is no bridge {bridge}", errno=ENODEV) from None
            acts.append((what, link_messages.join_bridge(len(acts), ifname, master, mtu)))
        if isolated:
            message = link_messages.set_isolated(len(acts), ifname)
            acts.append((f"cannot isolate {ifname}", message))
        # Not in the same message: the kernel looks for the port's parameters before it has one.
        if hairpin:
            message = link_messages.set_hairpin(len(acts), ifname)
            acts.append((f"cannot set hairpin mode on {ifname}", message))
        if lacks:
            message = link_messages.set_port_flags(len(acts), ifname, port_messages.flags(lacks))
            acts.append((f"cannot have {ifname} carry all frames", message))
        if acts:
            request = with_last_ack([message for _what, message in acts])
            for refused in self.socket.ask(request, 1)[1]:
                raise refused.error(acts[refused.sequence][0])


def find_link(socket: NetlinkSocket, ifname: str) -> Link | None:
    """Return the link of that name where a socket is, or None if there is none.

    Raises:
        KernelError: the kernel would not say.
    """
    answers, refusals = socket.look_up(link_messages.get_link(1, ifname), 1)
    if refusals and refusals[0].errno != ENODEV:
        raise refusals[0].error(f"cannot look up the link {ifname}")
    return link_messages.decode_link(answers[0].body) if answers else None


def find_link_at(socket: NetlinkSocket, ifindex: int) -> Link | None:
    """Return the link of that index where a socket is, or None if there is none."""
    answers, _refusals = socket.look_up(link_messages.get_link_at(1, ifindex), 1)
    return link_messages.decode_link(answers[0].body) if answers else None


def list_links(socket: NetlinkSocket, master: int = 0) -> list[Link]:
    """Return all links where a socket is, or the ports of a bridge, by its index."""
    return [
        link_messages.decode_link(body) for body in socket.dump(link_messages.dump_links(1, master))
    ]


def list_addresses(socket: NetlinkSocket, ifindex: int) -> list[tuple[int, Interface]]:
    """Return the addresses of a link where a socket is, or with 0 of all of them, each with its."""
    # Before Linux 4.20 the kernel does not filter: so it is done here once more.
    found = [
        ip_messages.decode_address(body)
        for body in socket.dump(ip_messages.dump_addresses(1, ifindex))
    ]
    return [(at, interface) for at, interface in found if ifindex in (0, at)]


def list_routes(socket: NetlinkSocket) -> list[tuple[int, Route]]:
    """Return the plain routes where a socket is, each with its link's index."""
    bodies = socket.dump(ip_messages.dump_routes(1))
    return [hop for body in bodies for hop in ip_messages.decode_routes(body)]


def socket_in(sandbox: OpenNamespace) -> NetlinkSocket:
    """Return a socket that stays in a sandbox; to be closed.

    Raises:
        SystemFailure: it could not be entered.
    """
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

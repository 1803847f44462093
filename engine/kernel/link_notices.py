"""What of links, filters, addresses and routes others may have touched, as the kernel tells.

One socket hears the host and all sandboxes: a namespace into which a veth of the host's
leads has an id there (`ip netns list-id`), and changes in it are told with that id.
"""

from __future__ import annotations

from struct import Struct

from ocinet.engine.kernel import link_messages
from ocinet.engine.kernel.link_messages import RTM_DELLINK, RTM_NEWLINK
from ocinet.engine.kernel.port_messages import decode_lacks
from ocinet.engine.model.link import is_our_group
from ocinet.engine.model.scope import EVERYTHING, HOST_ENDS, NETWORKS, NOTHING, of_container, united
from ocinet.engine.netlink.framing import attributes, number
from ocinet.engine.netlink.notices import HERE, Notices
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.scope import Scope

_RTM_DELADDR, _RTM_NEWROUTE, _RTM_DELROUTE, _RTM_NEWNETCONF = 21, 24, 25, 80
_RTM_NEWRULE, _RTM_DELRULE = 32, 33
_RTM_DELQDISC, _RTM_NEWTFILTER, _RTM_DELTFILTER = 37, 44, 45
# RTNLGRP_LINK, _TC, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE, _IPV6_ROUTE, _IPV4_RULE, _IPV6_RULE,
# _IPV4_NETCONF, _IPV6_NETCONF
_GROUPS = (1, 4, 5, 9, 7, 11, 8, 19, 24, 25)
_RULES = (_RTM_NEWRULE, _RTM_DELRULE)
_SHAPER = "ifb"  # what a container with a bandwidth has beside its host end
_ENDS = ("veth", _SHAPER)
_FILTERS = (_RTM_DELQDISC, _RTM_NEWTFILTER, _RTM_DELTFILTER)
_ROUTES = (_RTM_NEWROUTE, _RTM_DELROUTE)
_KINDS = (
    RTM_NEWLINK,
    RTM_DELLINK,
    _RTM_DELADDR,
    *_ROUTES,
    *_RULES,
    *_FILTERS,
    _RTM_NEWNETCONF,
)
_AF_UNSPEC, _AF_BRIDGE = 0, 7
_IFINFO, _IFADDR, _RTMSG = Struct("=BxHIII"), Struct("=BBBBI"), Struct("=BBBBBBBBI")
_TCMSG = Struct("=BxxxiIII")  # family, link, handle, parent, info
_LIMIT = 2  # the priority of a filter that leads to a shaper
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_PROTINFO, _IFLA_LINK_NETNSID = 1, 3, 4, 12, 37
_IFLA_BRPORT_MODE, _IFLA_BRPORT_ISOLATED = 4, 33
_IFLA_OPERSTATE, _IF_OPER_UP = 16, b"\6"
_RTA_OIF = 4
_RT_TABLE_MAIN = 254
_NETCONF_HEADER = 4  # struct netconfmsg, padded
_NETCONFA_IFINDEX, _NETCONFA_FORWARDING = 1, 2
_NETCONFA_IFINDEX_ALL = 0xFFFFFFFF
_OURS = "ocinet:"


class Known:
    """What is known of our links, and what a message about one of them may mean.

    Attributes:
        devices: names of the bridges that networks are on.
    """

    def __init__(self) -> None:
        self.devices: frozenset[str] = frozenset()
        self._bridges: dict[int, Link] = {}
        self._ends: dict[int, Link] = {}
        self._unguarded: set[int] = set()  # of these, those that were made since
        self._sandboxes: dict[int, str] = {}  # ids of containers, by those of namespaces
        # MTUs and MACs, by namespace and link.
        self._inside: dict[tuple[int, int], tuple[int, bytes]] = {}

    def learn(self, bodies: list[bytes], devices: frozenset[str]) -> None:
        """Begin anew with what is there.

        Args:
            bodies: of the answers to a dump of links.
            devices: the bridges of networks.
        """
        self.devices = devices
        for known in (self._bridges, self._ends, self._sandboxes, self._inside):
            known.clear()
        for body in bodies:
            self._keep(link_messages.decode_link(body), body)
        self._unguarded.clear()

    def judge(self, space: int, kind: int, body: bytes) -> Scope:
        """Return what a message says that somebody may have touched.

        Args:
            space: the id of the namespace that it is about; `HERE` for the host's.
            kind: RTM_*.
            body: without the header.
        """
        if space != HERE:
            return self._judge_inside(space, kind, body)
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            return self._judge_link(kind, body)
        if kind in _FILTERS:
            return self._judge_filters(kind, body)
        if kind in _RULES:  # where the host routes by source, answers are routed as its own
            touched = True
        elif kind == _RTM_DELADDR:
            touched = _IFADDR.unpack_from(body)[4] in self._bridges
        elif kind in _ROUTES:
            touched = _is_default(body) or (
                kind == _RTM_DELROUTE
                and number(attributes(body, _RTMSG.size).get(_RTA_OIF)) in self._bridges
            )
        else:
            touched = self._is_forwarding_off(body)
        return NETWORKS if touched else NOTHING

    def _judge_filters(self, kind: int, body: bytes) -> Scope:
        """Judge that a link has lost filters, or got others: they close a bridge, or guard a port.

        That a filter is replaced is told as a new one is. A port's first is the attach's own.
        """
        _family, ifindex, _handle, _parent, info = _TCMSG.unpack_from(body)
        if kind == _RTM_NEWTFILTER and info >> 16 == _LIMIT:
            return NOTHING
        if kind == _RTM_NEWTFILTER and ifindex in self._unguarded:
            self._unguarded.discard(ifindex)
            return NOTHING
        if ifindex in self._ends:
            return _of_end(self._ends[ifindex], None)
        return NETWORKS if ifindex in self._bridges else NOTHING

    def _is_forwarding_off(self, body: bytes) -> bool:
        found = attributes(body, _NETCONF_HEADER)
        ifindex = number(found.get(_NETCONFA_IFINDEX))
        is_ours = ifindex == _NETCONFA_IFINDEX_ALL or ifindex in self._bridges
        return is_ours and _NETCONFA_FORWARDING in found and not number(found[_NETCONFA_FORWARDING])

    def _judge_inside(self, space: int, kind: int, body: bytes) -> Scope:
        container = self._sandboxes.get(space)
        if container is None or kind in (*_RULES, *_FILTERS, _RTM_NEWROUTE, _RTM_NEWNETCONF):
            return NOTHING
        if kind == RTM_NEWLINK:
            # It is told of the link's making, too, and of all that an attach does to it.
            _family, _type, ifindex, flags, _changed = _IFINFO.unpack_from(body)
            told = attributes(body, _IFINFO.size)
            now = number(told.get(_IFLA_MTU)), told.get(_IFLA_ADDRESS, b"")
            known = self._inside.setdefault((space, ifindex), now)
            if flags & _IFF_UP and now == known:
                return NOTHING
            self._inside[space, ifindex] = now
        return of_container(container, inside=True)

    def _judge_link(self, kind: int, body: bytes) -> Scope:
        family, _type, ifindex, _flags, _changed = _IFINFO.unpack_from(body)
        if family == _AF_BRIDGE:
            return self._judge_port(ifindex, body) if kind == RTM_NEWLINK else NOTHING
        is_known = ifindex in self._ends or ifindex in self._bridges
        if family != _AF_UNSPEC or not (is_known or self._may_be_ours(body)):
            return NOTHING
        link = link_messages.decode_link(body)
        before = self._ends.get(ifindex) or self._bridges.get(ifindex)
        if kind == RTM_DELLINK:
            return self._forget(link, before)
        if not (is_known or is_our_group(link.group) or link.ifname in self.devices):
            return NOTHING
        self._keep(link, body)
        if link.ifname in self.devices or ifindex in self._bridges:
            # It is there, or set up, by now: those who were on the former one are to follow.
            if before is None or (link.up and not before.up):
                return NETWORKS | HOST_ENDS
            return NETWORKS if _is_worse(link, before) else NOTHING
        off = link.kind != _SHAPER and link.master not in self._bridges
        lost = off or not is_our_group(link.group)
        if not (lost or _is_worse(link, before)):
            return NOTHING
        return _of_end(link, before)

    def _judge_port(self, ifindex: int, body: bytes) -> Scope:
        """Judge what a bridge tells of its port: its flags are told in no other way."""
        end = self._ends.get(ifindex)
        found = attributes(body, _IFINFO.size)
        told = found.get(_IFLA_PROTINFO, b"")
        port = attributes(told)
        if end is None or _IFLA_BRPORT_MODE not in port:
            return NOTHING
        hairpin = port[_IFLA_BRPORT_MODE] == b"\1"
        isolated = port.get(_IFLA_BRPORT_ISOLATED) == b"\1"
        running = found.get(_IFLA_OPERSTATE) == _IF_OPER_UP
        lacks = decode_lacks(told, running=running)
        now = end.replace(hairpin=hairpin, isolated=isolated, lacks=lacks)
        self._ends[ifindex] = now
        return _of_end(end, None) if _is_worse_port(now, end) else NOTHING

    def _may_be_ours(self, body: bytes) -> bool:
        """Tell at little cost whether a link that is not known may be ours: most are not."""
        return link_messages.OUR_GROUP in body or any(
            name.encode() + b"\0" in body for name in self.devices
        )

    def _keep(self, link: Link, body: bytes) -> None:
        if link.ifname in self.devices:
            self._bridges[link.ifindex] = link
        elif link.kind in _ENDS and is_our_group(link.group):
            if link.ifindex not in self._ends:
                self._unguarded.add(link.ifindex)
            self._ends[link.ifindex] = link
            space = attributes(body, _IFINFO.size).get(_IFLA_LINK_NETNSID)
            container = _container_of(link)
            if space and container:
                self._sandboxes[number(space)] = container
        elif link.ifindex in self._ends:
            self._ends[link.ifindex] = link

    def _forget(self, link: Link, before: Link | None) -> Scope:
        if self._bridges.pop(link.ifindex, None):
            return NETWORKS
        self._unguarded.discard(link.ifindex)
        if self._ends.pop(link.ifindex, None) is None:
            return NOTHING
        container = _container_of(link) or (_container_of(before) if before else "")
        spaces = [space for space, known in self._sandboxes.items() if known == container]
        # One of several interfaces may be gone, and the others still tell.
        if not any(_container_of(end) == container for end in self._ends.values()):
            for space in spaces:
                del self._sandboxes[space]
            for key in [key for key in self._inside if key[0] in spaces]:
                del self._inside[key]
        return _of_end(link, before)


def _is_default(body: bytes) -> bool:
    """Tell whether a route is the main table's default one: what leaves may bear its `src`."""
    _family, destination_length, _, _, table, *_rest = _RTMSG.unpack_from(body)
    return not destination_length and table == _RT_TABLE_MAIN


def _is_worse(link: Link, before: Link | None) -> bool:
    if not link.up:
        return True
    if before is None:
        return False
    was, now = (before.mtu, before.ifname), (link.mtu, link.ifname)
    deaf = link.without_arp and not before.without_arp
    return was != now or deaf or _is_worse_port(link, before)


def _is_worse_port(link: Link, before: Link) -> bool:
    """Tell whether a port lets more or less pass, but for what its hairpin mode adds."""
    return (
        (before.hairpin and not link.hairpin)
        or before.isolated != link.isolated
        or not set(link.lacks) <= set(before.lacks)
    )


def _container_of(link: Link) -> str:
    """Return the id of the container whose host end a link is, as its alias tells."""
    return link.alias.removeprefix(_OURS).partition("/")[0] if link.alias[:7] == _OURS else ""


def _of_end(link: Link, before: Link | None) -> Scope:
    container = _container_of(link) or (_container_of(before) if before else "")
    return of_container(container, inside=False) if container else HOST_ENDS


class LinkNotices:
    """Tells what of our links, and in our sandboxes, others may have touched; to be closed.

    Not for several threads at once.

    Raises:
        KernelError: the kernel refused.
    """

    def __init__(self) -> None:
        self._known = Known()
        self._notices = Notices(NETLINK_ROUTE, _GROUPS, _KINDS, everywhere=True)

    @property
    def hears_sandboxes(self) -> bool:
        """Whether it is told of changes within sandboxes: that takes CAP_NET_BROADCAST."""
        return self._notices.hears_all

    def learn(self, devices: frozenset[str]) -> None:
        """Look at what is there.

        Args:
            devices: the bridges that networks are on.

        Raises:
            KernelError: the kernel would not say.
        """
        with NetlinkSocket(NETLINK_ROUTE, strict=True) as asked:
            self._known.learn(asked.dump(link_messages.dump_links(1)), devices)

    def fileno(self) -> int:
        """Return what to poll for."""
        return self._notices.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._notices.close()

    def read(self) -> Scope:
        """Return what was touched since the last time, without waiting.

        Raises:
            KernelError: the socket failed.
        """
        told, missed = self._notices.read()
        touched = united(
            self._known.judge(space, answer.kind, answer.body) for space, answer in told
        )
        return EVERYTHING if missed else touched

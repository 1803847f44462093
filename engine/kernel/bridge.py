"""Bridges: made, looked at and removed, by pyroute2; not on the hook's usual path.

A bridge of ours bears the link group `LINK_GROUP` from the message that makes
it. One of anybody else's can be looked at, and is never changed.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from errno import EBUSY, EEXIST, ENODEV
from typing import TYPE_CHECKING, Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import ConflictError, KernelError, SystemFailure
from ocinet.engine.kernel import sysctl
from ocinet.engine.model.link import LINK_GROUP, is_our_group

if TYPE_CHECKING:
    from collections.abc import Generator

DEFAULT_MTU = 1500

_AF_INET = 2
_AF_INET6 = 10
_IFF_UP, _IFF_NOARP = 1, 0x80
_IFA_F_NODAD = 2
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1
_RTPROT_KERNEL = 2
_RTPROT_RA = 9
_NOT_SUBNETS = frozenset({2, 3, 4, 5})  # RTN_LOCAL, _BROADCAST, _ANYCAST, _MULTICAST
_RT_SCOPE_LINK = 253
_LARGEST_MTU = 65535


def make_bridge(ifname: str, mac: str, mtu: int, addresses: tuple[Interface, ...]) -> bool:
    """Make a bridge of ours, or finish one: set up, with this MTU and these addresses at least.

    Of one that is set up already, the MAC is left as it is. One of ours that has the MAC under
    another name gets its own back, if nothing has that. On failure,
    a bridge that was made by this call is gone again.

    Args:
        ifname: its name.
        mac: its MAC; one that is given stays, when the lowest of the ports' would not.
        mtu: bytes; one that is set stays, when the smallest of the ports' would not.
        addresses: usable at once, before there is any port.

    Returns:
        Whether anything was changed.

    Raises:
        ConflictError: a link of that name is not ours, or no bridge.
        SystemFailure: the kernel refused.
    """
    with _netlink(f"cannot make the bridge {ifname}") as netlink:
        if _rename_back(netlink, ifname, mac):
            _finish(netlink, ifname, mac, mtu, addresses)
            return True
        created = _create(netlink, ifname, mac, mtu)
        try:
            return _finish(netlink, ifname, mac, mtu, addresses) or created
        except BaseException:
            if created:
                netlink.link("del", index=_find(netlink, ifname)["index"])
            raise


def _rename_back(netlink: Any, ifname: str, mac: str) -> bool:
    """Give a bridge of ours its name again if it bears another; known by its MAC, a network's own.

    Made anew beside it, the bridge would have a twin with its addresses and its ports.
    """
    there = [
        link
        for link in netlink.get_links()
        if link.get_attr("IFLA_IFNAME") == ifname
        or (
            link.get_attr("IFLA_ADDRESS") == mac
            and _kind(link) == "bridge"
            and is_our_group(link.get_attr("IFLA_GROUP"))
        )
    ]
    if len(there) != 1 or there[0].get_attr("IFLA_IFNAME") == ifname:
        return False
    index, up = there[0]["index"], bool(there[0]["flags"] & _IFF_UP)
    try:
        netlink.link("set", index=index, ifname=ifname)
    except NetlinkError as error:
        if error.code != EBUSY or not up:
            raise
        # Before Linux 6.2 while it is down alone: what goes with that comes back with `_finish`.
        netlink.link("set", index=index, state="down")
        netlink.link("set", index=index, ifname=ifname)
    return True


def _create(netlink: Any, ifname: str, mac: str, mtu: int) -> bool:
    # An MTU counts as set by the user, and stays, only if it changes after the
    # making (br_change_mtu): so it begins one off.
    try:
        netlink.link(
            "add",
            ifname=ifname,
            kind="bridge",
            address=mac,
            mtu=mtu + 1 if mtu < _LARGEST_MTU else mtu - 1,
            group=LINK_GROUP,
            # With STP, a new port passes nothing on for 30 s.
            br_stp_state=0,
            br_forward_delay=0,
        )
    except NetlinkError as error:
        if error.code != EEXIST:
            raise
        return False
    return True


def _finish(
    netlink: Any, ifname: str, mac: str, mtu: int, addresses: tuple[Interface, ...]
) -> bool:
    link = _find(netlink, ifname)
    if _kind(link) != "bridge" or not is_our_group(link.get_attr("IFLA_GROUP")):
        raise ConflictError(
            f"cannot make the bridge {ifname}",
            "there is a link of that name, and it is no bridge of ours",
            "name another with --bridge, or adopt that one with --unmanaged",
        )
    index, up = link["index"], bool(link["flags"] & _IFF_UP)
    if not up:
        netlink.link("set", index=index, address=mac, mtu=mtu)
        # A container must not be able to give the host a route (CVE-2020-13401).
        # And until duplicates of the link-local address are ruled out, a second
        # and more, the host could not ask for a container's MAC to forward to it.
        # Where /proc/sys is read-only, the first is kept by a rule of our table, and
        # the second waited for by who is in such a hurry.
        values = {"accept_ra": "0", "accept_dad": "0"}
        if not any(interface.address.family == 6 for interface in addresses):
            # With its link-local address, a container that gives itself one as well would
            # reach all that listens at [::].
            values["disable_ipv6"] = "1"
        for key, value in values.items():
            with suppress(SystemFailure):
                if sysctl.read(f"net/ipv6/conf/{ifname}/{key}") is not None:
                    sysctl.write(f"net/ipv6/conf/{ifname}/{key}", value)
    elif link.get_attr("IFLA_MTU") != mtu:
        netlink.link("set", index=index, mtu=mtu)
    if deaf := bool(link["flags"] & _IFF_NOARP):
        netlink.link("set", index=index, arp=True)
    present = _addresses(netlink, index)
    missing = [address for address in addresses if address not in present]
    for interface in missing:
        _add_address(netlink, ifname, index, interface)
    if not up:
        netlink.link("set", index=index, state="up")
    # In a VRF its routes are that one's: none of them belongs into the main table.
    routed = up and not link.get_attr("IFLA_MASTER") and _route(netlink, index, addresses)
    return bool(missing) or routed or not up or deaf or link.get_attr("IFLA_MTU") != mtu


def _route(netlink: Any, index: int, addresses: tuple[Interface, ...]) -> bool:
    """Put back the routes to a bridge's subnets, as the kernel made them with its addresses.

    It makes none for an address that is there, so who has deleted a route has to be answered
    with one. False if there are all.
    """
    there = {
        (route.get_attr("RTA_DST"), route["dst_len"])
        for family in {interface.address.family for interface in addresses}
        for route in netlink.get_routes(
            family=_AF_INET if family == 4 else _AF_INET6, table=_RT_TABLE_MAIN, oif=index
        )
    }
    lacking = [
        interface
        for interface in addresses
        if (str(interface.subnet.first), interface.prefixlen) not in there
    ]
    for interface in lacking:
        own = {"prefsrc": str(interface.address)} if interface.address.family == 4 else {}
        netlink.route(
            "replace",
            dst=str(interface.subnet),
            oif=index,
            proto=_RTPROT_KERNEL,
            scope=_RT_SCOPE_LINK if own else 0,
            **own,
        )
    return bool(lacking)


def _add_address(netlink: Any, ifname: str, index: int, interface: Interface) -> None:
    options: dict[str, Any] = {}
    if interface.address.family == 6:
        # Detection of duplicates would not even begin before the first port is up.
        options = {"flags": _IFA_F_NODAD}
        if sysctl.read(f"net/ipv6/conf/{ifname}/disable_ipv6") == "1":
            _enable_ipv6(ifname)
    elif interface.prefixlen < 31:
        options = {"broadcast": str(interface.subnet.last)}
    netlink.addr(
        "replace",
        index=index,
        address=str(interface.address),
        prefixlen=interface.prefixlen,
        **options,
    )


def _enable_ipv6(ifname: str) -> None:
    try:
        sysctl.write(f"net/ipv6/conf/{ifname}/disable_ipv6", "0")
    except SystemFailure as error:
        # The bridge is gone when this is read: the default is what its next life begins with.
        raise SystemFailure(
            error.what,
            f"{error.why}, and a network with IPv6 needs it",
            "sysctl -w net.ipv6.conf.default.disable_ipv6=0, where /proc/sys may be written",
        ) from error


def remove_bridge(ifname: str) -> bool:
    """Remove a bridge of ours that has no ports.

    Returns:
        Whether it was removed: False if it is not there, has ports or is not ours.

    Raises:
        KernelError: the kernel refused.
    """
    with _netlink(f"cannot remove the bridge {ifname}") as netlink:
        link = _find(netlink, ifname)
        removable = (
            link is not None
            and _kind(link) == "bridge"
            and is_our_group(link.get_attr("IFLA_GROUP"))
            and not list(netlink.get_links(master=link["index"]))
        )
        if removable:
            netlink.link("del", index=link["index"])
        return removable


def uplink_mtu() -> int:
    """Return the MTU of the link that the default route goes through.

    IPv4's before IPv6's, and of several the one with the least metric; 1500 if
    there is none.

    Raises:
        KernelError: the kernel would not say.
    """
    with _netlink("cannot find the uplink") as netlink:
        defaults = [
            (route["family"], route.get_attr("RTA_PRIORITY") or 0, ifindex)
            for route in netlink.get_routes(table=_RT_TABLE_MAIN)
            if route["type"] == _RTN_UNICAST
            and route["dst_len"] == 0
            and route["table"] == _RT_TABLE_MAIN
            and (ifindex := _first_hop(route))
        ]
        for _family, _metric, ifindex in sorted(defaults):
            for link in netlink.get_links(ifindex):
                return int(link.get_attr("IFLA_MTU"))
    return DEFAULT_MTU


def _first_hop(route: Any) -> int:
    ifindex = route.get_attr("RTA_OIF")
    if not ifindex:
        ifindex = next((hop["oif"] for hop in route.get_attr("RTA_MULTIPATH") or ()), 0)
    return int(ifindex)


def advertised_uplinks() -> tuple[str, ...]:
    """Return the links whose IPv6 default route a router advertised, by name, sorted.

    Raises:
        KernelError: the kernel would not say.
    """
    with _netlink("cannot find the uplinks") as netlink:
        indexes = {
            _first_hop(route)
            for route in netlink.get_routes(family=_AF_INET6, table=_RT_TABLE_MAIN)
            if route["dst_len"] == 0 and route["proto"] == _RTPROT_RA
        }
        links = [link for index in indexes - {0} for link in netlink.get_links(index)]
    return tuple(sorted(str(link.get_attr("IFLA_IFNAME")) for link in links))


def occupied_subnets() -> tuple[Subnet, ...]:
    """Return the subnets that the host has for itself, sorted.

    Those of its addresses, and of the routes that the kernel or a router made for them;
    and all of tables but main, for a rule sends packets there before main is looked up.
    Default routes do not count.

    Raises:
        KernelError: the kernel would not say.
    """
    with _netlink("cannot read the host's routes") as netlink:
        found = {subnet for subnet, elsewhere in _routes(netlink) if not elsewhere}
        found.update(_interface(address).subnet for address in netlink.get_addr())
    return _in_order(found)


def routed_subnets() -> tuple[Subnet, ...]:
    """Return the subnets that the main table sends elsewhere, or nowhere, sorted.

    As a VPN's client or a router does with `10.0.0.0/8`: by way of another host, into a
    tunnel, or as blackhole, unreachable, prohibit or throw. Default routes do not count.

    Raises:
        KernelError: the kernel would not say.
    """
    with _netlink("cannot read the host's routes") as netlink:
        found = _routes(netlink, table=_RT_TABLE_MAIN)
        return _in_order({subnet for subnet, elsewhere in found if elsewhere})


def _routes(netlink: Any, **wanted: int) -> Generator[tuple[Subnet, bool]]:
    """Yield each route's subnet, and whether it leads elsewhere than the host's own links.

    Args:
        netlink: that is asked.
        wanted: of which table; the local one has three routes of each link's.
    """
    for route in netlink.get_routes(**wanted):
        if (
            route["type"] not in _NOT_SUBNETS
            and route["dst_len"]
            and route["family"] in (_AF_INET, _AF_INET6)
        ):
            subnet = Subnet.parse(f"{route.get_attr('RTA_DST')}/{route['dst_len']}")
            # Of an address, or of a prefix that a router says is on this link.
            on_link = route["proto"] in (_RTPROT_KERNEL, _RTPROT_RA) and not (
                route.get_attr("RTA_GATEWAY") or route.get_attr("RTA_MULTIPATH")
            )
            yield subnet, route["table"] == _RT_TABLE_MAIN and not on_link


def _in_order(found: set[Subnet]) -> tuple[Subnet, ...]:
    return tuple(sorted(found, key=lambda subnet: (subnet.family, subnet.value, subnet.prefixlen)))


def _find(netlink: Any, ifname: str) -> Any:
    """Return pyroute2's message about a link, or None if there is none of that name."""
    try:
        return next(iter(netlink.link("get", ifname=ifname)), None)
    except NetlinkError as error:
        if error.code == ENODEV:
            return None
        raise


def _kind(link: Any) -> str:
    return str(link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") or "")


def _addresses(netlink: Any, index: int) -> tuple[Interface, ...]:
    return tuple(
        _interface(address)
        for address in netlink.get_addr(index=index)
        if address["scope"] < _RT_SCOPE_LINK
    )


def _interface(message: Any) -> Interface:
    # On a point-to-point link, IFA_ADDRESS is the other end's.
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return Interface(Address.parse(text), message["prefixlen"])


@contextmanager
def _netlink(what: str) -> Generator[Any]:
    """Open an `IPRoute` for one operation; its errors become ours.

    One each time: 0.9.7 keeps an ACK of every request for a single object.
    """
    try:
        with IPRoute(ext_ack=True, strict_check=True) as netlink:
            yield netlink
    except NetlinkError as error:
        why, usual = str(error.args[1]), os.strerror(error.code)
        told = why if why == usual else f"{why} ({usual})"
        raise KernelError(what, told, errno=error.code) from error
    except OSError as error:
        raise KernelError(what, error.strerror or str(error), errno=error.errno or 0) from error

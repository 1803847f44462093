"""pyroute2 is the judge of our encoder: it decodes every message that we make."""

from __future__ import annotations

import string
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ocinet.base.address import Address, Interface, Subnet
from ocinet.engine.kernel import ip_messages, link_messages, routing, routing_rules
from ocinet.engine.model.link import Link, Veth
from ocinet.engine.model.request import REFUSING, Route, metric_of
from ocinet.engine.model.routing import RoutingRule
from ocinet.engine.netlink.framing import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
)

REQUEST = 1
U32 = st.integers(0, 2**32 - 1)
SEQUENCES = U32
INDEXES = st.integers(1, 2**31 - 1)
IFNAMES = st.text(string.ascii_letters + string.digits + "_.-@ü", min_size=1, max_size=15).filter(
    lambda name: len(name.encode()) <= 15
)
MACS = st.binary(min_size=6, max_size=6).map(lambda packed: packed.hex(":"))
ALIASES = st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=255)
ADDRESSES = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda value: Address(4, value)),
    st.integers(0, 2**128 - 1).map(lambda value: Address(6, value)),
)


@st.composite
def interfaces(draw: st.DrawFn) -> Interface:
    address = draw(ADDRESSES)
    return Interface(address, draw(st.integers(0, 32 if address.family == 4 else 128)))


@st.composite
def some_routes(draw: st.DrawFn) -> Route:
    destination = draw(interfaces()).subnet
    same = ADDRESSES.filter(lambda address: address.family == destination.family)
    metric = metric_of(destination.family, draw(st.just(0) | U32))
    return Route(destination, draw(st.none() | same), metric)


@st.composite
def some_refusals(draw: st.DrawFn) -> Route:
    return draw(some_routes()).replace(gateway=None, kind=draw(st.sampled_from(REFUSING)))


@st.composite
def some_rules(draw: st.DrawFn) -> RoutingRule:
    source, destination = draw(st.none() | interfaces()), draw(st.none() | interfaces())
    # A prefix of no length is no condition at all, and the kernel does not show it.
    nets = [
        net.subnet if net and net.prefixlen and net.address.family == 4 else None
        for net in (source, destination)
    ]
    mask = draw(U32)
    action = draw(st.sampled_from(("lookup", "blackhole", "unreachable", "prohibit")))
    return RoutingRule(
        family=4,
        priority=draw(U32),
        table=draw(st.integers(1, 2**32 - 1)) if action == "lookup" else 0,
        action=action,
        source=nets[0],
        destination=nets[1],
        iif=draw(st.just("") | IFNAMES),
        mark=draw(U32) if mask else 0,
        mask=mask,
        suppress_prefixlen=draw(st.just(-1) | st.integers(0, 32)),
        protocol=draw(st.integers(0, 255)),
    )


def decoded(kind: Any, message: bytes) -> Any:
    """Return pyroute2's reading of a message, which must be all of it."""
    found = kind(message)
    found.decode()
    assert found["header"]["length"] == len(message)
    return found


def head(message: Any) -> tuple[int, int, int]:
    header = message["header"]
    return header["type"], header["flags"], header["sequence_number"]


def attributes(message: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in message["attrs"]]


def attribute_names(message: Any) -> list[str]:
    return [name for name, _value in attributes(message)]


def family_number(address: Address) -> int:
    return 2 if address.family == 4 else 10


@given(
    sequence=SEQUENCES,
    names=st.tuples(IFNAMES, IFNAMES),
    macs=st.tuples(st.just("") | MACS, st.just("") | MACS),
    numbers=st.tuples(U32, st.integers(0, 2**31 - 1), INDEXES, U32),
)
def test_new_veth_any_value_reads_back(
    sequence: int,
    names: tuple[str, str],
    macs: tuple[str, str],
    numbers: tuple[int, int, int, int],
) -> None:
    """Both ends of the pair, the nested one too, bear what the value says."""
    mtu, netns_fd, master, group = numbers
    veth = Veth(names[0], names[1], "br0", mac=macs[0], host_mac=macs[1], mtu=mtu)
    message = decoded(
        ifinfmsg,
        link_messages.new_veth(sequence, veth, netns_fd=netns_fd, master=master, group=group),
    )

    assert head(message) == (16, REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence)
    assert (message["index"], message["flags"], message["change"]) == (0, 1, 1)
    assert message.get_attr("IFLA_IFNAME") == names[0]
    assert message.get_attr("IFLA_ADDRESS") == (macs[1] or None)
    assert message.get_attr("IFLA_MTU") == (mtu or None)
    assert message.get_attr("IFLA_GROUP") == group
    assert message.get_attr("IFLA_MASTER") == master
    info = message.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    peer = info.get_nested("IFLA_INFO_DATA", "VETH_INFO_PEER")
    assert (peer["index"], peer["flags"], peer["change"]) == (0, 0, 0)
    assert peer.get_attr("IFLA_IFNAME") == names[1]
    assert peer.get_attr("IFLA_ADDRESS") == (macs[0] or None)
    assert peer.get_attr("IFLA_MTU") == (mtu or None)
    assert peer.get_attr("IFLA_NET_NS_FD") == netns_fd
    assert "IFLA_MASTER" not in attribute_names(peer)


@given(sequence=SEQUENCES, ifindex=INDEXES, alias=ALIASES, number=U32, mac=MACS)
def test_set_link_any_value_reads_back(
    sequence: int, ifindex: int, alias: str, number: int, mac: str
) -> None:
    """Each setting of a link touches the one link, and the one thing."""
    made = {
        "IFLA_IFALIAS": (link_messages.set_alias(sequence, ifindex, alias), alias),
        "IFLA_GROUP": (link_messages.set_group(sequence, ifindex, number), number),
        "IFLA_ADDRESS": (link_messages.set_mac(sequence, ifindex, mac), mac),
    }
    for name, (raw, value) in made.items():
        message = decoded(ifinfmsg, raw)
        assert head(message) == (19, REQUEST | NLM_F_ACK, sequence)
        assert (message["index"], message["flags"], message["change"]) == (ifindex, 0, 0)
        assert attribute_names(message) == [name]
        assert message.get_attr(name) == value

    up = decoded(ifinfmsg, link_messages.set_up(sequence, ifindex))
    assert head(up) == (19, REQUEST | NLM_F_ACK, sequence)
    assert (up["index"], up["flags"], up["change"], attributes(up)) == (ifindex, 1, 1, [])


@given(sequence=SEQUENCES, ifindex=INDEXES)
def test_set_family_parameters_reads_back(sequence: int, ifindex: int) -> None:
    """The parameters of IPv4 and IPv6 are nested in their family's own list."""
    notify = decoded(ifinfmsg, link_messages.set_arp_notify(sequence, ifindex))
    assert head(notify) == (19, REQUEST | NLM_F_ACK, sequence)
    assert (notify["index"], notify["change"], attribute_names(notify)) == (
        ifindex,
        0,
        ["IFLA_AF_SPEC"],
    )
    # Of IPv4, pyroute2 gives the bytes; of IPv6 the values.
    [(family, content)] = attributes(notify.get_attr("IFLA_AF_SPEC"))
    assert (family, content[4:]) == ("AF_INET", bytes.fromhex("0c00 0180 0800 1600 01000000"))

    silent = decoded(ifinfmsg, link_messages.set_no_link_local(sequence, ifindex))
    assert head(silent) == (19, REQUEST | NLM_F_ACK, sequence)
    assert (silent["index"], silent["change"]) == (ifindex, 0)
    inet6 = silent.get_nested("IFLA_AF_SPEC", "AF_INET6")
    assert attributes(inet6) == [("IFLA_INET6_ADDR_GEN_MODE", 1)]


@given(sequence=SEQUENCES, ifname=IFNAMES, ifindex=INDEXES)
def test_get_link_any_name_reads_back(sequence: int, ifname: str, ifindex: int) -> None:
    """One link is asked for by name or by index, never by both."""
    by_name = decoded(ifinfmsg, link_messages.get_link(sequence, ifname))
    assert head(by_name) == (18, REQUEST, sequence)
    without_counters = ("IFLA_EXT_MASK", 8)
    assert (by_name["index"], attributes(by_name)) == (
        0, [("IFLA_IFNAME", ifname), without_counters],
    )  # fmt: skip

    by_index = decoded(ifinfmsg, link_messages.get_link_at(sequence, ifindex))
    assert head(by_index) == (18, REQUEST, sequence)
    assert (by_index["index"], attributes(by_index)) == (ifindex, [without_counters])


@given(sequence=SEQUENCES, ifname=IFNAMES, master=INDEXES)
def test_join_bridge_any_name_reads_back(sequence: int, ifname: str, master: int) -> None:
    """As a link that must be there, and goes up as a port."""
    message = decoded(ifinfmsg, link_messages.join_bridge(sequence, ifname, master))
    assert head(message) == (16, REQUEST | NLM_F_ACK, sequence)
    assert (message["flags"], message["change"]) == (1, 1)
    assert attributes(message) == [("IFLA_IFNAME", ifname), ("IFLA_MASTER", master)]


@given(sequence=SEQUENCES, ifname=IFNAMES)
def test_set_hairpin_any_name_reads_back(sequence: int, ifname: str) -> None:
    """Hairpin mode is a parameter of the port, set on a link that must be there."""
    message = decoded(ifinfmsg, link_messages.set_hairpin(sequence, ifname))
    assert head(message) == (16, REQUEST | NLM_F_ACK, sequence)
    assert message.get_attr("IFLA_IFNAME") == ifname
    info = message.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge"
    data = info.get_attr("IFLA_INFO_SLAVE_DATA")
    assert data.get_attr("IFLA_BRPORT_MODE") == 1


@given(sequence=SEQUENCES, ifindex=INDEXES)
def test_set_isolated_any_index_reads_back(sequence: int, ifindex: int) -> None:
    """Likewise isolation, of a link that is known by its index."""
    message = decoded(ifinfmsg, link_messages.set_isolated(sequence, ifindex=ifindex))
    assert (message["index"], message.get_attr("IFLA_IFNAME")) == (ifindex, None)
    data = message.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_SLAVE_DATA")
    assert data.get_attr("IFLA_BRPORT_ISOLATED") == 1


@given(sequence=SEQUENCES, ifindex=INDEXES, group=st.integers(1, 2**32 - 1))
def test_delete_link_any_value_reads_back(sequence: int, ifindex: int, group: int) -> None:
    """A deletion names one link by index, or one group and no link."""
    one = decoded(ifinfmsg, link_messages.delete_link(sequence, ifindex))
    assert head(one) == (17, REQUEST | NLM_F_ACK, sequence)
    assert (one["index"], attributes(one)) == (ifindex, [])

    many = decoded(ifinfmsg, link_messages.delete_group(sequence, group))
    assert head(many) == (17, REQUEST | NLM_F_ACK, sequence)
    assert (many["index"], attributes(many)) == (0, [("IFLA_GROUP", group)])


@given(sequence=SEQUENCES, ifindex=INDEXES, interface=interfaces())
def test_new_address_any_value_reads_back(
    sequence: int, ifindex: int, interface: Interface
) -> None:
    """IPv4 comes with its broadcast address, IPv6 without duplicate detection."""
    message = decoded(ifaddrmsg, ip_messages.new_address(sequence, ifindex, interface))
    flags = REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
    assert head(message) == (20, flags, sequence)
    address = interface.address
    assert message["family"] == family_number(address)
    assert (message["prefixlen"], message["index"]) == (interface.prefixlen, ifindex)
    assert message["scope"] == 0
    assert Address.parse(message.get_attr("IFA_LOCAL")) == address
    assert Address.parse(message.get_attr("IFA_ADDRESS")) == address
    if address.family == 6:
        assert message.get_attr("IFA_FLAGS") == 2
        assert message["flags"] == 2
    else:
        assert message["flags"] == 0
    broadcast = message.get_attr("IFA_BROADCAST")
    if address.family == 4 and interface.prefixlen < 31:
        assert Address.parse(broadcast) == interface.subnet.last
    else:
        assert broadcast is None


@given(sequence=SEQUENCES, ifindex=INDEXES, route=some_routes(), onlink=st.booleans())
def test_new_route_any_value_reads_back(
    sequence: int, ifindex: int, route: Route, onlink: bool
) -> None:
    """Destination, gateway and link are those of the route."""
    message = decoded(rtmsg, ip_messages.new_route(sequence, ifindex, route, onlink=onlink))
    assert head(message) == (24, REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence)
    assert message["family"] == family_number(route.destination.first)
    assert (message["dst_len"], message["src_len"]) == (route.destination.prefixlen, 0)
    assert (message["table"], message["proto"], message["type"]) == (254, 3, 1)
    local = route.gateway is None and route.destination.family == 4
    assert message["scope"] == (253 if local else 0)
    assert message["flags"] == (4 if onlink else 0)
    assert message.get_attr("RTA_OIF") == ifindex
    destination = message.get_attr("RTA_DST")
    if route.destination.prefixlen:
        assert Address.parse(destination) == route.destination.first
    else:
        assert destination is None
    gateway = message.get_attr("RTA_GATEWAY")
    assert (Address.parse(gateway) if gateway else None) == route.gateway
    assert message.get_attr("RTA_PRIORITY") == (route.metric or None)


@given(sequence=SEQUENCES, route=some_refusals())
def test_refusal_any_value_reads_back(sequence: int, route: Route) -> None:
    """It is through no link, neither when it is added nor when it is deleted; told, it is lo's."""
    kind = {"blackhole": 6, "unreachable": 7, "prohibit": 8}[route.kind]
    for encoded, act, flags in (
        (ip_messages.new_route(sequence, 0, route), 24, NLM_F_CREATE | NLM_F_EXCL),
        (ip_messages.delete_route(sequence, route), 25, 0),
    ):
        message = decoded(rtmsg, encoded)
        assert head(message) == (act, REQUEST | NLM_F_ACK | flags, sequence)
        assert (message["table"], message["type"], message["scope"]) == (254, kind, 0)
        assert message.get_attr("RTA_OIF") is None
        assert message.get_attr("RTA_PRIORITY") == (route.metric or None)
        assert ip_messages.decode_routes(encoded[16:]) == ((1, route),)


@given(sequence=SEQUENCES, rule=some_rules())
def test_rule_any_value_reads_back(sequence: int, rule: RoutingRule) -> None:
    """By pyroute2, and by our own decoder."""
    encoded = routing_rules.new_rule(sequence, rule)
    message = decoded(fibmsg, encoded)
    assert head(message) == (32, REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sequence)
    assert message["family"] == 2
    assert message["src_len"] == (rule.source.prefixlen if rule.source else 0)
    assert message["dst_len"] == (rule.destination.prefixlen if rule.destination else 0)
    assert message.get_attr("FRA_PRIORITY") == rule.priority
    assert message.get_attr("FRA_SRC") == (str(rule.source.first) if rule.source else None)
    assert message.get_attr("FRA_IIFNAME") == (rule.iif or None)
    assert (message.get_attr("FRA_FWMASK") or 0) == rule.mask
    assert (message.get_attr("FRA_TABLE") or 0) == rule.table
    assert message.get_attr("FRA_PROTOCOL") == rule.protocol
    assert routing_rules.decode_rule(encoded[16:]) == rule
    assert routing.is_plain(encoded[16:]) == (not rule.source and not rule.mask)
    deletion = decoded(fibmsg, routing_rules.delete_rule(sequence, rule))
    assert head(deletion) == (33, REQUEST | NLM_F_ACK, sequence)
    assert attributes(deletion) == attributes(message)
    dump = decoded(fibmsg, routing.dump_rules(sequence))
    assert (*head(dump), dump["family"]) == (34, REQUEST | NLM_F_DUMP, sequence, 0)


@given(sequence=SEQUENCES, ifindex=st.just(0) | INDEXES)
def test_dumps_any_value_read_back(sequence: int, ifindex: int) -> None:
    """A dump asks for all; one for links can name a bridge, one for addresses a link."""
    flags = REQUEST | NLM_F_DUMP
    links = decoded(ifinfmsg, link_messages.dump_links(sequence, ifindex))
    of_bridge = [("IFLA_MASTER", ifindex)] if ifindex else []
    assert (*head(links), links["index"], attributes(links)) == (18, flags, sequence, 0, of_bridge)
    addresses = decoded(ifaddrmsg, ip_messages.dump_addresses(sequence, ifindex))
    assert (*head(addresses), addresses["index"]) == (22, flags, sequence, ifindex)
    routes = decoded(rtmsg, ip_messages.dump_routes(sequence))
    assert (*head(routes), routes["family"]) == (26, flags, sequence, 0)
    connected = decoded(rtmsg, ip_messages.dump_connected(sequence, 4))
    assert (*head(connected), connected["family"]) == (26, flags, sequence, 2)
    assert (connected["proto"], connected["type"]) == (2, 1)  # the kernel's own, unicast


@given(sequence=SEQUENCES, destination=ADDRESSES)
def test_get_route_any_address_reads_back(sequence: int, destination: Address) -> None:
    """One address, and the route as somebody added it."""
    message = decoded(rtmsg, ip_messages.get_route(sequence, destination))
    assert head(message) == (26, REQUEST, sequence)
    assert (message["family"], message["flags"]) == (family_number(destination), 0x2000)
    assert message["dst_len"] == (32 if destination.family == 4 else 128)
    assert Address.parse(message.get_attr("RTA_DST")) == destination


@given(source=st.none() | st.just("192.0.2.9"), hops=st.lists(INDEXES, max_size=3))
def test_source_of_a_route_any_message_of_pyroute2_reads_back(
    source: str | None, hops: list[int]
) -> None:
    """With each of its next hops, one or several."""
    message = rtmsg()
    message["family"] = 2
    message["attrs"] = [("RTA_PREFSRC", source)] if source else []
    if len(hops) == 1:
        message["attrs"] += [("RTA_OIF", hops[0]), ("RTA_GATEWAY", "192.0.2.1")]
    elif hops:
        several = [{"oif": oif, "attrs": [("RTA_GATEWAY", "192.0.2.1")]} for oif in hops]
        message["attrs"] += [("RTA_MULTIPATH", several)]
    message.encode()
    told, ways = ip_messages.decode_source(bytes(message.data[16:]))
    assert told == (Address.parse(source) if source else None)
    assert ways == tuple((oif, Address.parse("192.0.2.1")) for oif in hops)


@given(
    interface=interfaces(),
    ifindex=INDEXES,
    peer=st.none() | ADDRESSES,
)
def test_address_any_message_of_pyroute2_reads_back(
    interface: Interface, ifindex: int, peer: Address | None
) -> None:
    """What pyroute2 encodes, we decode; the own address, not that of the other end."""
    message = ifaddrmsg()
    message["family"] = family_number(interface.address)
    message["prefixlen"] = interface.prefixlen
    message["index"] = ifindex
    if peer is None or peer.family != interface.address.family:
        message["attrs"] = [("IFA_ADDRESS", str(interface.address))]
    else:
        message["attrs"] = [("IFA_ADDRESS", str(peer)), ("IFA_LOCAL", str(interface.address))]
    message.encode()
    assert ip_messages.decode_address(bytes(message.data[16:])) == (ifindex, interface)


@given(route=some_routes(), ifindex=INDEXES)
def test_routes_any_message_of_ours_reads_back(route: Route, ifindex: int) -> None:
    """The decoder reads what the encoder wrote."""
    assert ip_messages.decode_routes(ip_messages.new_route(1, ifindex, route)[16:]) == (
        (ifindex, route),
    )


@given(ifname=IFNAMES, mac=MACS, alias=ALIASES, numbers=st.tuples(INDEXES, U32, INDEXES, U32))
def test_link_any_message_of_pyroute2_reads_back(
    ifname: str, mac: str, alias: str, numbers: tuple[int, int, int, int]
) -> None:
    """What pyroute2 encodes, we decode."""
    ifindex, mtu, master, group = numbers
    message = ifinfmsg()
    message["index"] = ifindex
    message["flags"] = 0x1043
    message["attrs"] = [
        ("IFLA_IFNAME", ifname),
        ("IFLA_ADDRESS", mac),
        ("IFLA_MTU", mtu),
        ("IFLA_MASTER", master),
        ("IFLA_GROUP", group),
        ("IFLA_IFALIAS", alias),
        ("IFLA_LINK", 7),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge")]}),
    ]
    message.encode()
    expected = Link(
        ifindex,
        ifname,
        "bridge",
        mtu,
        mac,
        up=True,
        master=master,
        group=group,
        alias=alias,
        peer=7,
    )
    assert link_messages.decode_link(bytes(message.data[16:])) == expected


@given(filters=st.integers(0, 1), pvid=st.integers(0, 4094), priority=st.integers(0, 0xFFFF))
@example(filters=1, pvid=0, priority=0x8000)
def test_link_bridge_tells_whether_its_ports_get_a_vlan(
    filters: int, pvid: int, priority: int
) -> None:
    """A bridge that filters VLANs and has no default one, as pyroute2 encodes it."""
    data = [
        ("IFLA_BR_PRIORITY", priority),
        ("IFLA_BR_VLAN_FILTERING", filters),
        ("IFLA_BR_VLAN_DEFAULT_PVID", pvid),
    ]
    info = [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": data})]
    message = ifinfmsg()
    message["attrs"] = [("IFLA_LINKINFO", {"attrs": info})]
    message.encode()
    link = link_messages.decode_link(bytes(message.data[16:]))
    assert link.without_vlan == (filters == 1 and pvid == 0)
    assert link.filters_vlans == (filters == 1)


@given(body=st.binary(min_size=16, max_size=400))
def test_decoders_any_bytes_end(body: bytes) -> None:
    """Bytes that no kernel sends are read to an end, or refused with one of a few errors."""
    for decode in (
        link_messages.decode_link,
        ip_messages.decode_address,
        ip_messages.decode_routes,
    ):
        with suppress(KeyError, ValueError, OSError, struct.error):
            decode(body)


def test_next_hops_multipath_route_gives_one_each() -> None:
    """A route over two gateways is one route through each link."""
    message = rtmsg()
    message.update({"family": 2, "dst_len": 16, "table": 254, "type": 1})
    message["attrs"] = [
        ("RTA_DST", "10.7.0.0"),
        (
            "RTA_MULTIPATH",
            [
                {"oif": 3, "hops": 0, "attrs": [("RTA_GATEWAY", "10.9.0.2")]},
                {"oif": 4, "hops": 0, "attrs": [("RTA_GATEWAY", "10.9.0.3")]},
            ],
        ),
    ]
    message.encode()
    destination = Subnet.parse("10.7.0.0/16")
    assert ip_messages.decode_routes(bytes(message.data[16:])) == (
        (3, Route(destination, Address.parse("10.9.0.2"))),
        (4, Route(destination, Address.parse("10.9.0.3"))),
    )


@pytest.mark.parametrize(("table", "kind"), [(255, 2), (254, 9), (254, 5), (100, 1), (100, 6)])
def test_routes_what_is_no_plain_route_is_left_out(table: int, kind: int) -> None:
    """Local, throw and multicast routes and those of other tables are not a sandbox's."""
    message = rtmsg()
    message.update({"family": 2, "dst_len": 16, "table": table, "type": kind})
    message["attrs"] = [("RTA_DST", "10.7.0.0"), ("RTA_OIF", 2)]
    message.encode()
    assert ip_messages.decode_routes(bytes(message.data[16:])) == ()

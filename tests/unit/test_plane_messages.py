"""pyroute2 is the judge of what a data plane tells the kernel: it decodes every message."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ocinet.base.address import Address, Interface, Subnet
from ocinet.cluster.plane import messages
from ocinet.cluster.plane.desired import ROUTE_PROTOCOL, Forward, Neighbour, Way

INDEXES = st.integers(1, 2**31 - 1)
MACS = st.binary(min_size=6, max_size=6).map(lambda packed: packed.hex(":"))
V4 = st.integers(0, 2**32 - 1).map(lambda value: Address(4, value))
V6 = st.integers(0, 2**128 - 1).map(lambda value: Address(6, value))
ADDRESSES = st.one_of(V4, V6)


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    address = draw(ADDRESSES)
    return Interface(address, draw(st.integers(1, 32 if address.family == 4 else 128))).subnet


@st.composite
def ways(draw: st.DrawFn) -> Way:
    prefix = draw(subnets())
    same = V4 if prefix.family == 4 else V6
    return Way(prefix, draw(st.none() | same), draw(st.none() | same), draw(st.just(0) | INDEXES))


def decoded(kind: Any, message: bytes) -> Any:
    """Return pyroute2's reading of a message, which must be all of it."""
    found = kind(message)
    found.decode()
    assert found["header"]["length"] == len(message)
    return found


@given(index=INDEXES, address=ADDRESSES, mac=MACS)
def test_neighbour_is_decoded_and_read_back(index: int, address: Address, mac: str) -> None:
    """As a permanent entry of that link; what the kernel lists is what was put in."""
    entry = Neighbour(address, mac)
    message = messages.put_neighbour(index, entry)
    found = decoded(ndmsg, message)
    assert (found["ifindex"], found["state"], found["flags"]) == (index, 0x80, 0)
    assert (found.get_attr("NDA_DST"), found.get_attr("NDA_LLADDR")) == (str(address), mac)
    assert messages.decode_neighbour(message[16:]) == entry
    gone = decoded(ndmsg, messages.delete_neighbour(index, entry))
    assert (gone["header"]["type"], gone.get_attr("NDA_DST")) == (29, str(address))


@given(index=INDEXES, address=ADDRESSES, mac=MACS)
def test_forward_is_decoded_and_read_back(index: int, address: Address, mac: str) -> None:
    """As an entry of the device's own table."""
    entry = Forward(mac, address)
    message = messages.put_forward(index, entry)
    found = decoded(ndmsg, message)
    assert (found["family"], found["ifindex"], found["flags"]) == (7, index, 2)
    assert found.get_attr("NDA_LLADDR") == mac
    assert messages.decode_forward(message[16:]) == (index, entry)
    gone = decoded(ndmsg, messages.delete_forward(index, entry))
    assert (gone["header"]["type"], gone["flags"]) == (29, 2)


@given(index=INDEXES, way=ways(), instead=st.booleans())
def test_route_is_decoded_and_read_back(index: int, way: Way, *, instead: bool) -> None:
    """Of the main table, by our protocol; refused or replacing where one is there."""
    message = messages.put_route(index, way, instead=instead, onlink=True)
    found = decoded(rtmsg, message)
    assert (found["table"], found["proto"], found["type"]) == (254, ROUTE_PROTOCOL, 1)
    assert found["dst_len"] == way.prefix.prefixlen
    assert found.get_attr("RTA_DST") == str(way.prefix.first)
    assert found.get_attr("RTA_OIF") == (way.ifindex or index)
    via = found.get_attr("RTA_GATEWAY")
    assert via == (str(way.via) if way.via else None)
    assert bool(found["flags"] & 4) == bool(way.via)
    assert found["header"]["flags"] & 0x300 == (0x100 if instead else 0x200)
    told = messages.decode_route(message[16:])
    assert told is not None
    assert told == (way.replace(ifindex=way.ifindex or index), True)
    gone = decoded(rtmsg, messages.delete_route(index, way))
    assert gone["header"]["type"] == 25
    assert gone.get_attr("RTA_OIF") == (way.ifindex or index)


@given(mac=MACS, local=ADDRESSES, vni=st.integers(1, 2**24 - 1), port=st.integers(1, 65535))
def test_vxlan_device_is_decoded_and_read_back(
    mac: str, local: Address, vni: int, port: int
) -> None:
    """It learns nothing, and is what it is when the kernel tells of it."""
    wished = messages.Device(f"ocx-{vni}", "vxlan", mac, 1450, vni, port, local)
    message = messages.new_device(wished)
    found = decoded(ifinfmsg, message)
    assert (found.get_attr("IFLA_IFNAME"), found.get_attr("IFLA_MTU")) == (f"ocx-{vni}", 1450)
    data = found.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    assert (data.get_attr("IFLA_VXLAN_ID"), data.get_attr("IFLA_VXLAN_PORT")) == (vni, port)
    assert data.get_attr("IFLA_VXLAN_LEARNING") == 0
    name = "IFLA_VXLAN_LOCAL" if local.family == 4 else "IFLA_VXLAN_LOCAL6"
    assert data.get_attr(name) == str(local)
    assert messages.decode_device(message[16:]) == wished.replace(up=False)


@given(index=INDEXES, address=ADDRESSES)
def test_other_messages_are_decoded(index: int, address: Address) -> None:
    """What sets one thing of a device sets that one."""
    up = decoded(ifinfmsg, messages.set_up(index, alone=True))
    assert (up["index"], up["flags"], up["change"]) == (index, 1, 1)
    assert up.get_attr("IFLA_MASTER") == 0
    assert decoded(ifinfmsg, messages.set_mtu(index, 1450)).get_attr("IFLA_MTU") == 1450
    mac = "02:1f:00:00:00:01"
    assert decoded(ifinfmsg, messages.set_mac(index, mac)).get_attr("IFLA_ADDRESS") == mac
    assert decoded(ifinfmsg, messages.set_no_link_local(index))["index"] == index
    assert decoded(ifinfmsg, messages.delete_device(index))["header"]["type"] == 17
    gone = decoded(ifaddrmsg, messages.delete_address(index, Interface(address, 32)))
    assert (gone["prefixlen"], gone.get_attr("IFA_LOCAL")) == (32, str(address))
    new = decoded(ifaddrmsg, messages.put_address(index, Interface(address, 32)))
    assert (new["index"], new.get_attr("IFA_LOCAL")) == (index, str(address))
    for question in (messages.dump_neighbours(index), messages.dump_forwards(index)):
        assert decoded(ndmsg, question)["header"]["flags"] == 0x301
    routes = decoded(rtmsg, messages.dump_routes(4, ours=True))
    assert (routes["proto"], routes["table"]) == (ROUTE_PROTOCOL, 254)

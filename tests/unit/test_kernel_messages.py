"""What the encoder refuses: values that would not fit where they are put."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

import pytest

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import SystemFailure
from ocinet.engine.kernel import ip_messages, link_messages
from ocinet.engine.model.link import Link, Veth
from ocinet.engine.model.request import Route

if TYPE_CHECKING:
    from collections.abc import Callable

VETH = Veth("oc1", "eth0", "br0", mac="02:00:00:00:00:01", mtu=1500)


def new_veth(veth: Veth, *, netns_fd: int = 3, master: int = 2, group: int = 1) -> bytes:
    return link_messages.new_veth(1, veth, netns_fd=netns_fd, master=master, group=group)


@pytest.mark.parametrize(
    "make",
    [
        lambda: new_veth(VETH.replace(host_ifname="")),
        lambda: new_veth(VETH.replace(host_ifname="a" * 16)),
        lambda: new_veth(VETH.replace(ifname="ü" * 8)),
        lambda: new_veth(VETH.replace(ifname="eth\0")),
        lambda: new_veth(VETH.replace(mac="02:00:00:00:00")),
        lambda: new_veth(VETH.replace(mac="02:00:00:00:00:01:02")),
        lambda: new_veth(VETH.replace(host_mac="no mac")),
        lambda: new_veth(VETH.replace(mtu=2**32)),
        lambda: new_veth(VETH.replace(mtu=-1)),
        lambda: new_veth(VETH, netns_fd=-1),
        lambda: new_veth(VETH, group=2**32),
        lambda: link_messages.set_group(1, 2, -1),
        lambda: link_messages.get_link(1, "a" * 16),
        lambda: link_messages.set_hairpin(1, ""),
        lambda: link_messages.delete_link(1, 0),
        lambda: link_messages.delete_group(1, 0),
        lambda: ip_messages.new_route(
            1, 2, Route(Subnet.parse("10.0.0.0/8"), gateway=Address.parse("fd00::1"))
        ),
    ],
)
def test_encode_value_that_does_not_fit_is_refused(make: Callable[[], bytes]) -> None:
    """Nothing is cut, wrapped or sent half: the message is not made."""
    with pytest.raises(SystemFailure):
        make()


def test_set_alias_longer_than_the_kernel_takes_is_cut() -> None:
    """255 bytes are left, and no terminator is added."""
    message = link_messages.set_alias(1, 2, "ä" * 300)
    assert message[32:36] == (4 + 255).to_bytes(2, "little") + (20).to_bytes(2, "little")
    assert len(message) == 32 + 260


def test_new_veth_lengths_of_all_nested_parts_agree() -> None:
    """Each nested list ends where the one around it does: no byte is read twice."""
    message = new_veth(VETH)
    offset = 32
    while offset < len(message):
        length = int.from_bytes(message[offset : offset + 2], "little")
        assert length >= 4
        offset += length + 3 & ~3
    assert offset == len(message)
    assert len(message) % 4 == 0


def test_link_without_mac_or_kind_has_empty_ones() -> None:
    """A link such as a tunnel says neither."""
    assert link_messages.decode_link(bytes(16)) == Link(0, "", "", 0, "", up=False)


@pytest.mark.parametrize("veth", [VETH.replace(guard=b"program!"), VETH.replace(isolated=True)])
def test_host_end_that_is_to_be_closed_is_made_down(veth: Veth) -> None:
    """It is set up by the last message, when it has its guard and flag: nothing comes before."""
    flags_at = 16 + 8  # behind the header, its family, type and index
    plain, closed = (new_veth(each)[flags_at : flags_at + 8] for each in (VETH, veth))
    assert plain == pack("=II", 1, 1)  # IFF_UP
    assert closed == bytes(8)

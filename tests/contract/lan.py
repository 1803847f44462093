"""Of links that share a parent: in sandboxes, and the host's own beside them."""

from __future__ import annotations

from errno import EBUSY, EEXIST, ENODEV
from typing import TYPE_CHECKING

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, KernelError
from ocinet.engine.model.lan import Child
from ocinet.engine.model.link import LINK_GROUP

if TYPE_CHECKING:
    from contract.place import Place

MAC = "02:6f:c0:a8:07:64"
CHILD = Child("eth0", "lan0", "macvlan", "bridge", MAC, 1500)
SHIM = Child("ocsh-1", "lan0", "macvlan", "bridge", "02:62:00:00:00:01", 1500)
HOST = (Address.parse("192.168.7.250"),)
THEIRS = (Address.parse("192.168.7.100"), Address.parse("192.168.7.101"))


def add_child_makes_one_in_the_sandbox_alone(place: Place) -> None:
    """Down, with its MAC; the host has nothing more than before."""
    place.add_link("lan0", "veth", up=True)
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        ifindex = host.lan().add_child(CHILD, sandbox)
        (made,) = [link for link in host.insides.look_inside(sandbox) if link.ifname == "eth0"]
        assert (made.up, made.mac, made.mtu) == (False, MAC, 1500)
        assert made.ifindex == ifindex
        assert host.links.links() == ()
        with pytest.raises(KernelError) as raised:
            host.lan().add_child(CHILD, sandbox)
        assert raised.value.errno == EEXIST
        assert not host.insides.unplug(sandbox, "eth1", SHIM.mac, ifindex + 1)
        assert host.insides.unplug(sandbox, "eth1", SHIM.mac, ifindex)
        host.lan().add_child(CHILD, sandbox)
        assert host.insides.unplug(sandbox, "eth0", MAC)
        assert not host.insides.unplug(sandbox, "eth0", MAC)


def add_child_without_its_parent_tells_which(place: Place) -> None:
    """Or where that is a bridge's port."""
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        with pytest.raises(KernelError, match="lan0") as raised:
            host.lan().add_child(CHILD, sandbox)
        assert raised.value.errno == ENODEV
        place.add_link("lan0", "veth", up=True)
        place.add_bridge("br0")
        host.links.set_port("lan0", bridge="br0")
        with pytest.raises(KernelError, match="lan0") as raised:
            host.lan().add_child(CHILD, sandbox)
        assert raised.value.errno == EBUSY


def parent_tells_what_keeps_it_from_being_one(place: Place) -> None:
    """A port, and the loopback."""
    lan = place.seams().lan()
    assert lan.parent("lan0") is None
    place.add_link("lan0", "veth", up=True)
    place.add_address("lan0", "192.168.7.9/24")
    found = lan.parent("lan0")
    assert found
    assert (found.why_not, [str(held) for held in found.addresses]) == ("", ["192.168.7.9/24"])
    loopback = lan.parent("lo")
    assert loopback
    assert "loopback" in loopback.why_not
    place.add_bridge("br0")
    place.seams().links.set_port("lan0", bridge="br0")
    port = lan.parent("lan0")
    assert port
    assert "br0" in port.why_not


def make_shim_makes_the_hosts_own_once(place: Place) -> None:
    """Up, ours, with its addresses; what is missing of it comes back."""
    place.add_link("lan0", "veth", up=True)
    lan, links = place.seams().lan(), place.seams().links
    assert lan.host_side("ocsh-1") is None
    assert lan.make_shim(SHIM, HOST)
    assert not lan.make_shim(SHIM, HOST)
    side = lan.host_side("ocsh-1")
    assert side
    assert (side.link.up, side.link.group, side.reached) == (True, LINK_GROUP, ())
    assert [str(held) for held in side.addresses] == ["192.168.7.250/32"]
    place.set_down("ocsh-1")
    assert lan.make_shim(SHIM, HOST)
    links.delete_links(("ocsh-1",))
    assert lan.host_side("ocsh-1") is None


def make_shim_leaves_a_strangers_link_alone(place: Place) -> None:
    """Of that name."""
    place.add_link("lan0", "veth", up=True)
    place.add_link("ocsh-1", "bridge")
    with pytest.raises(ConflictError):
        place.seams().lan().make_shim(SHIM, HOST)
    assert place.seams().links.link("ocsh-1")


def reach_and_no_more_are_about_one_address_each(place: Place) -> None:
    """A second time is no change, and without the link there is nothing to take back."""
    place.add_link("lan0", "veth", up=True)
    lan = place.seams().lan()
    with pytest.raises(KernelError) as raised:
        lan.reach("ocsh-1", THEIRS)
    assert raised.value.errno == ENODEV
    lan.reach_no_more("ocsh-1", THEIRS)
    lan.make_shim(SHIM, HOST)
    assert lan.reach("ocsh-1", THEIRS)
    assert not lan.reach("ocsh-1", THEIRS)
    side = lan.host_side("ocsh-1")
    assert side
    assert set(side.reached) == set(THEIRS)
    lan.reach_no_more("ocsh-1", THEIRS[:1])
    lan.reach_no_more("ocsh-1", THEIRS[:1])
    side = lan.host_side("ocsh-1")
    assert side
    assert side.reached == THEIRS[1:]

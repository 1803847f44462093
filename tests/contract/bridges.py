"""Of bridges, and of what the host has routes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocinet.base.address import Interface, Subnet
from ocinet.base.errors import ConflictError, KernelError
from ocinet.engine.model.link import LINK_GROUP

if TYPE_CHECKING:
    from contract.place import Place

MAC = "02:62:00:00:00:01"
ADDRESSES = (Interface.parse("10.9.0.1/24"), Interface.parse("fd00:9::1/64"))
MULTICAST = Interface.parse("ff02::1/64")


def make_bridge_makes_one_that_is_ready(place: Place) -> None:
    """Set up, ours, with its MAC, MTU and addresses; a router's advertisements are refused."""
    host = place.seams()
    assert host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES)
    made = host.links.link("oc0")
    assert made is not None
    assert (made.kind, made.mac, made.mtu, made.up) == ("bridge", MAC, 1450, True)
    assert (made.group, made.running, made in host.links.links()) == (LINK_GROUP, False, True)
    assert set(ADDRESSES) <= set(host.links.addresses(made.ifindex))
    for key in ("accept_ra", "accept_dad"):
        assert host.sysctls.read(f"net/ipv6/conf/oc0/{key}") == "0"


def make_bridge_again_changes_nothing(place: Place) -> None:
    """The MAC of one that is up stays; what it bears besides stays too."""
    host = place.seams()
    host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES)
    before = host.links.link("oc0")
    assert not host.bridges.make_bridge("oc0", "02:62:00:00:00:02", 1450, ADDRESSES[:1])
    assert host.links.link("oc0") == before
    assert before is not None
    assert set(ADDRESSES) <= set(host.links.addresses(before.ifindex))


def make_bridge_mends_what_is_missing(place: Place) -> None:
    """An address, its MTU, or that it is up."""
    host = place.seams()
    host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES[:1])
    assert host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES)
    made = host.links.link("oc0")
    assert made is not None
    assert set(ADDRESSES) <= set(host.links.addresses(made.ifindex))
    assert host.bridges.make_bridge("oc0", MAC, 1300, ADDRESSES)
    smaller = host.links.link("oc0")
    assert smaller is not None
    assert (smaller.mtu, smaller.ifindex) == (1300, made.ifindex)
    place.set_down("oc0")
    assert host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES[:1])
    again = host.links.link("oc0")
    assert again is not None
    assert again.up


def make_bridge_gives_one_of_ours_its_name_back(place: Place) -> None:
    """It is known by its MAC, and stays the link that it is, with its ports."""
    host = place.seams()
    host.bridges.make_bridge("br-lan", MAC, 1400, ADDRESSES)
    before = host.links.link("br-lan")
    assert before
    place.rename("br-lan", "other")
    assert host.bridges.make_bridge("br-lan", MAC, 1400, ADDRESSES)
    after = host.links.link("br-lan")
    assert after
    assert (after.ifindex, host.links.link("other")) == (before.ifindex, None)
    assert set(host.links.addresses(after.ifindex)) >= set(ADDRESSES)
    assert not host.bridges.make_bridge("br-lan", MAC, 1400, ADDRESSES)


def make_bridge_with_anothers_name_is_a_conflict(place: Place) -> None:
    """Somebody else's bridge, and what bears our group but is none: not changed."""
    place.add_bridge("foreign")
    place.add_link("none", group=LINK_GROUP)
    host = place.seams()
    before = [host.links.link(ifname) for ifname in ("foreign", "none")]
    for ifname in ("foreign", "none"):
        with pytest.raises(ConflictError):
            host.bridges.make_bridge(ifname, MAC, 1450, ADDRESSES)
    assert [host.links.link(ifname) for ifname in ("foreign", "none")] == before


def make_bridge_that_fails_leaves_none_but_what_was(place: Place) -> None:
    """One that was there stays, with what it had."""
    host = place.seams()
    with pytest.raises(KernelError):
        host.bridges.make_bridge("oc0", MAC, 1450, (*ADDRESSES, MULTICAST))
    assert host.links.link("oc0") is None
    host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES)
    with pytest.raises(KernelError):
        host.bridges.make_bridge("oc0", MAC, 1450, (*ADDRESSES, MULTICAST))
    assert host.links.link("oc0") is not None


def remove_bridge_takes_ours_without_ports_alone(place: Place) -> None:
    """With a port, somebody else's, none or not there: left, and said so."""
    host = place.seams()
    host.bridges.make_bridge("oc0", MAC, 1450, ADDRESSES)
    place.fill_bridge("oc0", 1)
    assert not host.bridges.remove_bridge("oc0")
    place.delete_link("p0")
    assert host.bridges.remove_bridge("oc0")
    assert host.links.link("oc0") is None
    place.add_bridge("foreign")
    place.add_link("none", group=LINK_GROUP)
    for ifname in ("oc0", "foreign", "none"):
        assert not host.bridges.remove_bridge(ifname)
    assert host.links.link("foreign") is not None
    assert host.links.link("none") is not None


def others_are_the_bridges_that_are_not_ours(place: Place) -> None:
    """By name, in order; other links are none."""
    bridges = place.seams().bridges
    assert bridges.others() == ()
    bridges.make_bridge("oc0", MAC, 1450, ())
    place.add_link("eth9")
    for ifname in ("virbr0", "br0"):
        place.add_bridge(ifname)
    assert bridges.others() == ("br0", "virbr0")


def bridge_that_goes_takes_its_sysctls_along(place: Place) -> None:
    """So there is nothing to put back."""
    host = place.seams()
    key = "net/ipv4/conf/oc0/route_localnet"
    assert host.sysctls.read(key) is None
    host.bridges.make_bridge("oc0", MAC, 1450, ())
    assert host.sysctls.write(key, "2")
    host.bridges.remove_bridge("oc0")
    assert host.sysctls.read(key) is None


def uplink_is_that_of_the_best_default_route(place: Place) -> None:
    """1500 if there is none; IPv4's before IPv6's, and of several the one with the least metric."""
    bridges = place.seams().bridges
    assert bridges.uplink_mtu() == 1500
    for ifname, mtu, address, gateway, metric in (
        ("up6", 1600, "fd00:6::2/64", "fd00:6::1", 5),
        ("up1", 1700, "10.1.0.2/24", "10.1.0.1", 200),
        ("up2", 1800, "10.2.0.2/24", "10.2.0.1", 100),
    ):
        place.add_bridge(ifname, mtu=mtu)
        place.add_address(ifname, address)
        place.add_default_route(gateway, ifname, metric=metric)
        assert bridges.uplink_mtu() == mtu
        assert bridges.uplink() == (ifname if metric >= 100 else "")


def advertised_uplinks_are_those_of_a_routers_word(place: Place) -> None:
    """A default route that an admin set is none."""
    bridges = place.seams().bridges
    assert bridges.advertised_uplinks() == ()
    for ifname in ("up1", "up2"):
        place.add_bridge(ifname)
        place.add_address(ifname, f"fd00:{ifname[-1]}::2/64")
    place.add_default_route("fd00:1::1", "up1", metric=5)
    assert bridges.advertised_uplinks() == ()
    place.add_default_route("fd00:2::1", "up2", metric=7, advertised=True)
    assert bridges.advertised_uplinks() == ("up2",)


def occupied_subnets_are_those_of_addresses(place: Place) -> None:
    """In order; a default route takes none."""
    place.add_bridge("up1")
    place.add_address("up1", "10.1.0.2/24")
    place.add_address("up1", "fd00:1::2/64")
    place.add_default_route("10.1.0.1", "up1")
    found = place.seams().bridges.occupied_subnets()
    expected = [Subnet.parse(text) for text in ("10.1.0.0/24", "127.0.0.0/8", "fd00:1::/64")]
    assert [subnet for subnet in found if subnet in expected] == expected
    assert all(subnet.prefixlen for subnet in found)


def routed_subnets_are_those_that_lead_elsewhere(place: Place) -> None:
    """In order; what is an address's is occupied, a default route is neither."""
    bridges = place.seams().bridges
    place.add_bridge("up1")
    place.add_address("up1", "10.1.0.2/24")
    place.add_default_route("10.1.0.1", "up1")
    assert bridges.routed_subnets() == ()
    place.add_blackhole("10.64.0.0/10")
    place.add_blackhole("10.5.0.0/16")
    routed = (Subnet.parse("10.5.0.0/16"), Subnet.parse("10.64.0.0/10"))
    assert bridges.routed_subnets() == routed
    assert not set(routed) & set(bridges.occupied_subnets())

"""Of the host's links."""

from __future__ import annotations

from errno import EEXIST, ENODEV, EXFULL
from typing import TYPE_CHECKING

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import KernelError, SystemFailure
from ocinet.engine.model.link import LINK_GROUP, Veth
from ocinet.engine.ruleset.port_guard import guard_program

if TYPE_CHECKING:
    from contract.place import Place
    from ocinet.engine.model.link import Pair
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.plan.seams import Sandbox

MAC, HOST_MAC = "02:42:0a:09:00:05", "fe:00:00:00:00:05"
GUARD = guard_program(MAC, (Address.parse("10.9.0.5"), Address.parse("fd00:9::5")))
VETH = Veth("oc1", "eth0", "br0", mac=MAC, host_mac=HOST_MAC, mtu=1400, alias="ocinet:c1/eth0")


def _names(host: Host) -> set[str]:
    return {link.ifname for link in host.links.links()}


def _refusal(host: Host, veth: Veth, sandbox: Sandbox) -> int:
    """Return the errno that a pair is refused with, having seen that nothing changed."""
    before = _names(host), [link.ifname for link in host.insides.look_inside(sandbox)]
    with pytest.raises(KernelError) as caught:
        host.links.add_veth(veth, sandbox)
    assert before == (_names(host), [link.ifname for link in host.insides.look_inside(sandbox)])
    return caught.value.errno


def link_that_is_not_there_is_none(place: Place) -> None:
    """By name; `lo` is there."""
    links = place.seams().links
    assert links.link("none") is None
    loopback = links.link("lo")
    assert loopback is not None
    assert (loopback.ifindex, loopback.kind, loopback.up) == (1, "", True)


def links_are_ours_alone_also_half_deleted_ones(place: Place) -> None:
    """By their group, or that of a deletion that was killed half-way."""
    place.add_link("mine", group=LINK_GROUP)
    place.add_link("doomed", group=0x6F001234)
    place.add_link("other", group=7)
    assert _names(place.seams()) == {"mine", "doomed"}


def ports_are_those_of_the_one_bridge(place: Place) -> None:
    """Another bridge's are left out."""
    place.add_bridge("br0")
    place.add_bridge("br1")
    place.fill_bridge("br0", 2)
    links = place.seams().links
    bridge, other = links.link("br0"), links.link("br1")
    assert bridge is not None
    assert other is not None
    assert {port.ifname for port in links.ports(bridge)} == {"p0", "p1"}
    assert {port.kind for port in links.ports(bridge)} == {"veth"}
    assert links.ports(other) == ()


def connected_subnets_are_of_links_that_are_up_but_link_local_ones(place: Place) -> None:
    """Each with its link, of the family that is asked for; a default route is none."""
    links = place.seams().links
    assert links.connected(4) == links.connected(6) == ()
    place.add_bridge("br0")
    place.add_address("br0", "10.9.0.1/24")
    place.add_address("br0", "fd00:9::1/64")
    place.add_default_route("10.9.0.7", "br0")
    bridge = links.link("br0")
    assert bridge is not None
    found = [[(at, str(subnet)) for at, subnet in links.connected(family)] for family in (4, 6)]
    assert found == [[(bridge.ifindex, "10.9.0.0/24")], [(bridge.ifindex, "fd00:9::/64")]]
    place.set_down("br0")
    assert links.connected(4) == ()


def addresses_are_of_one_link_or_of_all(place: Place) -> None:
    """Both families; those of `lo` among all."""
    place.add_bridge("br0")
    place.add_address("br0", "10.9.0.1/24")
    place.add_address("br0", "fd00:9::1/64")
    links = place.seams().links
    bridge = links.link("br0")
    assert bridge is not None
    assert {"10.9.0.1/24", "fd00:9::1/64"} <= {str(at) for at in links.addresses(bridge.ifindex)}
    assert "127.0.0.1/8" not in {str(at) for at in links.addresses(bridge.ifindex)}
    assert {"10.9.0.1/24", "127.0.0.1/8"} <= {str(at) for at in links.addresses(0)}


def add_veth_makes_both_ends_as_asked(place: Place) -> None:
    """Here an up port of the bridge that is ours, there an interface that is down."""
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        pair = host.links.add_veth(VETH, sandbox)
        made, bridge = host.links.link("oc1"), host.links.link("br0")
        assert made is not None
        assert bridge is not None
        _check_pair(pair, made.ifindex, bridge.ifindex)
        assert (made.kind, made.mtu, made.mac, made.up) == ("veth", 1400, HOST_MAC, True)
        assert (made.master, made.group, made.alias) == (
            bridge.ifindex, LINK_GROUP, "ocinet:c1/eth0",
        )  # fmt: skip
        assert made.peer == pair.ifindex
        assert not made.running  # the other end is down
        assert host.links.addresses(made.ifindex) == ()
        assert made in host.links.links()
        _lo, eth0 = host.insides.look_inside(sandbox)
        assert (eth0.ifname, eth0.up, eth0.mac, eth0.mtu) == ("eth0", False, MAC, 1400)


def _check_pair(pair: Pair, host_ifindex: int, bridge_ifindex: int) -> None:
    assert (pair.host_ifindex, pair.bridge_ifindex) == (host_ifindex, bridge_ifindex)
    assert pair.mac == MAC
    assert pair.ifindex > 1


def add_veth_without_mtu_and_macs_takes_the_bridges_and_some(place: Place) -> None:
    """Both ends have the bridge's MTU, and MACs that differ."""
    place.add_bridge("br0", mtu=1300)
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        pair = host.links.add_veth(Veth("oc1", "eth0", "br0"), sandbox)
        made = host.links.link("oc1")
        assert made is not None
        assert pair.mac == ""
        _lo, eth0 = host.insides.look_inside(sandbox)
        assert made.mtu == eth0.mtu == 1300
        assert made.mac != eth0.mac != ""


def add_veth_without_the_bridge_is_enodev(place: Place) -> None:
    """And leaves nothing."""
    with place.open_sandbox(place.start()) as sandbox:
        assert _refusal(place.seams(), VETH, sandbox) == ENODEV


def add_veth_to_what_is_no_bridge_is_refused(place: Place) -> None:
    """And leaves nothing."""
    place.add_link("br0", up=True)
    with place.open_sandbox(place.start()) as sandbox:
        assert _refusal(place.seams(), VETH, sandbox)


def add_veth_with_a_name_that_is_taken_is_eexist(place: Place) -> None:
    """On the host, or in the sandbox."""
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        host.links.add_veth(VETH, sandbox)
        assert _refusal(host, VETH.replace(ifname="eth1"), sandbox) == EEXIST
        assert _refusal(host, VETH.replace(host_ifname="oc2"), sandbox) == EEXIST


def add_veth_to_a_sandbox_that_was_closed_is_refused(place: Place) -> None:
    """And leaves nothing."""
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        pass
    with pytest.raises(SystemFailure):
        host.links.add_veth(VETH, sandbox)
    assert host.links.link("oc1") is None


def add_veth_to_a_full_bridge_is_exfull(place: Place) -> None:
    """With 1023 ports, the most that Linux allows."""
    place.add_bridge("br0")
    place.fill_bridge("br0", 1023)
    with place.open_sandbox(place.start()) as sandbox:
        assert _refusal(place.seams(), VETH, sandbox) == EXFULL


def delete_links_takes_both_ends(place: Place) -> None:
    """And finds it fine that there is nothing to delete."""
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        host.links.add_veth(VETH, sandbox)
        host.links.add_veth(VETH.replace(host_ifname="oc2", ifname="eth1"), sandbox)
        host.links.delete_links(("none", "oc1", "oc2"))
        host.links.delete_links(("oc1",))
        host.links.delete_links(())
        assert _names(host) == set()
        assert [link.ifname for link in host.insides.look_inside(sandbox)] == ["lo"]


def delete_links_that_are_not_ours_leaves_them_and_goes_on(place: Place) -> None:
    """Those that are ours are gone."""
    place.add_link("other")
    place.add_link("mine", group=LINK_GROUP)
    links = place.seams().links
    with pytest.raises(SystemFailure, match="not ours"):
        links.delete_links(("other", "mine"))
    assert links.link("other") is not None
    assert links.link("mine") is None


def sandbox_that_ends_takes_its_links_along(place: Place) -> None:
    """Their ends on the host too, a little later."""
    place.add_bridge("br0")
    host, process = place.seams(), place.start()
    with place.open_sandbox(process) as sandbox:
        host.links.add_veth(VETH, sandbox)
    place.end(process)
    assert _names(host) == set()


def set_port_of_a_bridge_makes_an_up_port_of_a_link(place: Place) -> None:
    """Of one that is down and nobody's, and of another bridge's; it can be repeated."""
    place.add_bridge("br0")
    place.add_bridge("br1")
    host = place.seams()
    other = host.links.link("br1")
    assert other is not None
    with place.open_sandbox(place.start()) as sandbox:
        host.links.add_veth(VETH, sandbox)
        host.links.set_port("oc1", hairpin=True)
        place.set_down("oc1")
        for _time in range(2):
            host.links.set_port("oc1", bridge="br1")
            moved = host.links.link("oc1")
            assert moved is not None
            assert (moved.master, moved.up) == (other.ifindex, True)
        assert not place.is_hairpin("oc1")  # the flag was the former port's
        host.links.set_port("oc1", bridge="br1", mtu=1280)
        smaller = host.links.link("oc1")
        assert smaller is not None
        assert (smaller.mtu, smaller.master) == (1280, other.ifindex)


def set_port_of_a_bridge_without_either_is_refused(place: Place) -> None:
    """As to a link that is no bridge."""
    place.add_bridge("br0")
    place.add_link("other", up=True)
    links = place.seams().links
    for ifname, bridge in (("none", "br0"), ("other", "none"), ("br0", "other")):
        with pytest.raises(KernelError) as caught:
            links.set_port(ifname, bridge=bridge)
        assert caught.value.errno == ENODEV or bridge == "other"


def set_hairpin_of_a_port_is_seen(place: Place) -> None:
    """And can be repeated."""
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        host.links.add_veth(VETH, sandbox)
        assert not place.is_hairpin("oc1")
        before = host.links.link("oc1")
        host.links.set_port("oc1", hairpin=True)
        host.links.set_port("oc1", hairpin=True)
        assert place.is_hairpin("oc1")
        after = host.links.link("oc1")
        assert before is not None
        assert after == before.replace(hairpin=True)


def isolation_of_a_port_is_seen_and_goes_with_its_bridge(place: Place) -> None:
    """From its making on, or set later."""
    place.add_bridge("br0")
    place.add_bridge("br1")
    links = place.seams().links
    with place.open_sandbox(place.start()) as sandbox:
        links.add_veth(VETH.replace(isolated=True, guard=GUARD), sandbox)
        made = links.link("oc1")
        assert made is not None
        assert (made.isolated, made.up) == (True, True)
        assert place.seams().bridge_filters.present("oc1").ingress == GUARD
        links.set_port("oc1", bridge="br1")
        moved = links.link("oc1")
        assert moved is not None
        assert not moved.isolated
        links.set_port("oc1", bridge="br1", isolated=True)
        assert links.link("oc1") == moved.replace(isolated=True)


def what_somebody_took_from_a_port_is_seen_and_given_back(place: Place) -> None:
    """By which it carries frames; the rest stays as it is."""
    place.add_bridge("br0")
    links = place.seams().links
    with place.open_sandbox(place.start()) as sandbox:
        links.add_veth(VETH, sandbox)
        links.set_port("oc1", hairpin=True)
        before = links.link("oc1")
        assert before is not None
        assert before.lacks == ()
        flags = "learning off mcast_flood off bcast_flood off locked on isolated on"
        place.spoil_port("oc1", flags)
        spoiled = links.link("oc1")
        lacks = ("learning on", "mcast_flood on", "bcast_flood on", "locked off")
        assert spoiled == before.replace(lacks=lacks, isolated=True)
        links.set_port("oc1", lacks=(*lacks, "isolated off"))
        assert links.link("oc1") == before


def bridge_that_was_made_deaf_hears_again(place: Place) -> None:
    """Who has an address is asked and answered, or nothing on it reaches the host."""
    host = place.seams()
    make = ("br0", "02:6f:63:00:00:01", 1400, ())
    host.bridges.make_bridge(*make)
    assert not host.bridges.make_bridge(*make)
    place.deafen("br0")
    deaf = host.links.link("br0")
    assert deaf is not None
    assert deaf.without_arp
    assert host.bridges.make_bridge(*make)
    assert host.links.link("br0") == deaf.replace(without_arp=False)


def set_hairpin_of_what_is_no_port_is_refused(place: Place) -> None:
    """A bridge itself, or no link at all."""
    place.add_bridge("br0")
    links = place.seams().links
    for ifname in ("br0", "none"):
        with pytest.raises(KernelError):
            links.set_port(ifname, hairpin=True)
        with pytest.raises(KernelError):
            links.set_port(ifname, isolated=True)

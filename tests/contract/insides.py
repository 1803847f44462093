"""Of sandboxes, and the interfaces in them."""

from __future__ import annotations

from contextlib import contextmanager
from errno import EEXIST, ENODEV
from typing import TYPE_CHECKING

import pytest

from hosts.waiting import wait_until
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import KernelError, NotFoundError, SystemFailure
from ocinet.engine.model.cable import Cable, CableEnd
from ocinet.engine.model.link import Inside, SourceWay, Veth
from ocinet.engine.model.request import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.place import Place
    from ocinet.engine.model.link import InsideLink
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.plan.seams import Sandbox

VETH = Veth("oc1", "eth0", "br0", mac="02:42:0a:09:00:05")
DEFAULT4 = Route(Subnet.parse("0.0.0.0/0"), Address.parse("10.9.0.1"))
DEFAULT6 = Route(Subnet.parse("::/0"), Address.parse("fd00:9::1"))
NEAR4, NEAR6 = Route(Subnet.parse("10.9.0.0/24")), Route(Subnet.parse("fd00:9::/64"))
LINK_LOCAL = Interface.parse("fe80::42:aff:fe09:5/64")
IPV4 = Inside("eth0", (Interface.parse("10.9.0.5/24"),), (DEFAULT4,))
CABLE = Cable(
    "web-db",
    (
        CableEnd("web", "wire0", "02:6c:00:00:00:01", (Interface.parse("10.7.0.0/31"),)),
        CableEnd("db", "wire1", "02:6c:00:00:00:02", (Interface.parse("10.7.0.1/31"),)),
    ),
    1400,
)
DUAL = Inside(
    "eth0",
    (Interface.parse("10.9.0.5/24"), Interface.parse("fd00:9::5/64")),
    (DEFAULT6, DEFAULT4),
    ipv6=True,
)


@contextmanager
def _wired(place: Place) -> Iterator[tuple[Host, Sandbox]]:
    """Yield the host, and a sandbox that has a link on a bridge with two addresses."""
    place.add_bridge("br0")
    place.add_address("br0", "10.9.0.1/24")
    place.add_address("br0", "fd00:9::1/64")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        host.links.add_veth(VETH, sandbox)
        yield host, sandbox


def _eth0(host: Host, sandbox: Sandbox) -> InsideLink:
    return next(link for link in host.insides.look_inside(sandbox) if link.ifname == "eth0")


def _settled(host: Host, sandbox: Sandbox) -> InsideLink:
    """Return the interface once it has the link-local address of its MAC.

    The kernel gives it when it has seen the carrier, a little after the link went up.
    """
    wait_until(lambda: LINK_LOCAL in _eth0(host, sandbox).addresses, "the link-local address")
    wait_until(
        lambda: Route(LINK_LOCAL.subnet) in _eth0(host, sandbox).routes, "the route to its like"
    )
    return _eth0(host, sandbox)


def sandbox_is_told_by_its_identity(place: Place) -> None:
    """Opened twice it is the same; another one is another, and none is the host."""
    one, other = place.start(), place.start()
    with (
        place.open_sandbox(one) as first,
        place.open_sandbox(one) as again,
        place.open_sandbox(other) as second,
        place.open_host() as host,
    ):
        assert first.identity == again.identity
        assert len({first.identity, second.identity, host.identity}) == 3
        assert len({first.fd, again.fd, second.fd, host.fd}) == 4
        assert host.is_host
        assert not first.is_host
        assert first.path == f"/proc/{one.pid}/ns/net"


def check_of_who_is_not_in_the_sandbox_is_told(place: Place) -> None:
    """Somebody who lives elsewhere, or nowhere."""
    one, other = place.start(), place.start()
    with place.open_sandbox(one) as sandbox:
        sandbox.check(one)
        with pytest.raises(SystemFailure, match="another network namespace"):
            sandbox.check(other)
        place.end(one)
        with pytest.raises(NotFoundError, match="gone"):
            sandbox.check(one)
    with pytest.raises(NotFoundError, match="gone"):
        place.open_sandbox(one)


def look_into_a_new_sandbox_shows_lo_down(place: Place) -> None:
    """And nothing else."""
    with place.open_sandbox(place.start()) as sandbox:
        (loopback,) = place.seams().insides.look_inside(sandbox)
        assert (loopback.ifname, loopback.up, loopback.addresses) == ("lo", False, ())


def loopback_up_sets_lo_up_and_nothing_else(place: Place) -> None:
    """It can be repeated."""
    with _wired(place) as (host, sandbox):
        host.insides.loopback_up(sandbox)
        host.insides.loopback_up(sandbox)
        loopback, eth0 = host.insides.look_inside(sandbox)
        assert loopback.up
        assert Interface.parse("127.0.0.1/8") in loopback.addresses
        assert not eth0.up


def configure_gives_addresses_and_routes(place: Place) -> None:
    """Both are up, and the host's end carries packets; IPv6 is off, so there is none of it."""
    with _wired(place) as (host, sandbox):
        assert host.insides.configure(sandbox, IPV4) == ()
        loopback, eth0 = host.insides.look_inside(sandbox)
        assert loopback.up
        assert (eth0.up, eth0.mac, eth0.mtu) == (True, VETH.mac, 1500)
        assert eth0.addresses == IPV4.addresses
        assert set(eth0.routes) == {NEAR4, DEFAULT4}
        outer, bridge = host.links.link("oc1"), host.links.link("br0")
        assert outer is not None
        assert bridge is not None
        assert outer.running
        assert bridge.running


def configure_dual_stack_has_a_link_local_address_too(place: Place) -> None:
    """It is the one that goes with the MAC."""
    with _wired(place) as (host, sandbox):
        assert host.insides.configure(sandbox, DUAL) == ()
        eth0 = _settled(host, sandbox)
        assert set(eth0.addresses) == {*DUAL.addresses, LINK_LOCAL}
        assert set(eth0.routes) == {NEAR4, NEAR6, Route(LINK_LOCAL.subnet), DEFAULT4, DEFAULT6}


def configure_again_changes_nothing(place: Place) -> None:
    """With the pair that it is an end of, or without."""
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        pair = host.links.add_veth(VETH, sandbox)
        host.insides.configure(sandbox, DUAL, pair)
        before = _settled(host, sandbox)
        host.insides.configure(sandbox, DUAL)
        after = _eth0(host, sandbox)
        assert set(after.addresses) == set(before.addresses)
        assert set(after.routes) == set(before.routes)


def configure_with_a_gateway_that_is_far_is_fine(place: Place) -> None:
    """As with a /32: it is told to be on the link."""
    inside = Inside("eth0", (Interface.parse("10.9.0.5/32"),), (DEFAULT4,))
    with _wired(place) as (host, sandbox):
        host.insides.configure(sandbox, inside)
        assert _eth0(host, sandbox).routes == (DEFAULT4,)


def configure_what_is_not_there_is_enodev(place: Place) -> None:
    """By the interface's name."""
    with _wired(place) as (host, sandbox), pytest.raises(KernelError) as caught:
        host.insides.configure(sandbox, IPV4.replace(ifname="eth7"))
    assert caught.value.errno == ENODEV


def configure_with_a_second_default_route_is_eexist(place: Place) -> None:
    """Through another interface, or another gateway: the first one stays."""
    with _wired(place) as (host, sandbox):
        host.insides.configure(sandbox, IPV4)
        host.links.add_veth(VETH.replace(host_ifname="oc2", ifname="eth1", mac=""), sandbox)
        other = Route(DEFAULT4.destination, Address.parse("10.9.0.7"))
        for inside in (
            IPV4.replace(ifname="eth1", addresses=(Interface.parse("10.9.0.6/24"),)),
            IPV4.replace(routes=(other,)),
        ):
            with pytest.raises(KernelError) as caught:
                host.insides.configure(sandbox, inside)
            assert caught.value.errno == EEXIST
        assert DEFAULT4 in _eth0(host, sandbox).routes
        assert other not in _eth0(host, sandbox).routes


def configure_with_an_address_that_no_link_has_is_refused(place: Place) -> None:
    """A group's, of many."""
    inside = DUAL.replace(addresses=(Interface.parse("ff02::1/64"),), routes=())
    with _wired(place) as (host, sandbox), pytest.raises(KernelError):
        host.insides.configure(sandbox, inside)


def closed_sandbox_is_not_entered(place: Place) -> None:
    """Whatever is wanted of it."""
    insides = place.seams().insides
    with place.open_sandbox(place.start()) as sandbox:
        pass
    with pytest.raises(SystemFailure, match="cannot enter the sandbox"):
        insides.configure(sandbox, IPV4)
    with pytest.raises(SystemFailure, match="cannot enter the sandbox"):
        insides.loopback_up(sandbox)
    with pytest.raises(SystemFailure, match="cannot enter the sandbox"):
        insides.look_inside(sandbox)


def configure_with_metrics_has_several_routes_to_one_destination(place: Place) -> None:
    """A default route of each metric; what is said of IPv6's own, 1024, is as nothing said."""
    backup = DEFAULT4.replace(gateway=Address.parse("10.9.0.7"), metric=200)
    far = Route(Subnet.parse("fd01::/64"), Address.parse("fd00:9::7"), 4294967295)
    inside = DUAL.replace(routes=(*DUAL.routes, backup, far))
    with _wired(place) as (host, sandbox):
        for _time in range(2):
            host.insides.configure(sandbox, inside)
            assert set(_eth0(host, sandbox).routes) >= {DEFAULT4, DEFAULT6, backup, far}


def sysctls_are_read_and_set_in_the_sandbox_alone(place: Place) -> None:
    """What is not there is told as such, and can't be set."""
    key, gone = "net/ipv6/conf/eth0/accept_ra", "net/ipv6/conf/eth7/accept_ra"
    with _wired(place) as (host, sandbox):
        assert host.marks().sysctls(sandbox, ((key, None), (gone, None))) == {key: "1", gone: None}
        assert host.marks().sysctls(sandbox, ((key, "2"),)) == {key: "1"}
        assert host.marks().sysctls(sandbox, ((key, None),)) == {key: "2"}
        assert host.sysctls.read("net/ipv6/conf/br0/accept_ra") == "1"
        with pytest.raises(SystemFailure, match="eth7/accept_ra to 0: this kernel does not have"):
            host.marks().sysctls(sandbox, ((gone, "0"),))


def refuse_can_be_repeated_and_ended(place: Place) -> None:
    """Each kind and family: they are routes of `lo`, and no interface's."""
    routes = (
        Route(Subnet.parse("10.0.0.0/8"), kind="blackhole"),
        Route(Subnet.parse("10.1.0.0/16"), None, 7, "unreachable"),
        Route(Subnet.parse("10.1.0.0/16"), None, 8, "prohibit"),
        Route(Subnet.parse("fd01::/64"), kind="blackhole"),
        Route(Subnet.parse("fd02::/64"), None, 9, "unreachable"),
        Route(Subnet.parse("fd03::/64"), kind="prohibit"),
    )
    with _wired(place) as (host, sandbox):
        host.insides.configure(sandbox, DUAL)
        assert host.marks().refuse(sandbox, routes)
        assert not host.marks().refuse(sandbox, routes)
        loopback, eth0 = host.insides.look_inside(sandbox)
        assert set(loopback.routes) == set(routes)
        assert not set(eth0.routes) & set(routes)
        assert host.marks().refuse(sandbox, routes[1:], ended=True)
        assert not host.marks().refuse(sandbox, routes[1:], ended=True)
        assert host.insides.look_inside(sandbox)[0].routes == routes[:1]


def refuse_beside_another_route_is_eexist(place: Place) -> None:
    """Of the same metric; what is there stays."""
    known = Route(Subnet.parse("10.1.0.0/16"), Address.parse("10.9.0.7"))
    with _wired(place) as (host, sandbox):
        host.insides.configure(sandbox, IPV4.replace(routes=(known,)))
        with pytest.raises(KernelError) as caught:
            host.marks().refuse(sandbox, (Route(known.destination, kind="blackhole"),))
        assert caught.value.errno == EEXIST
        assert known in _eth0(host, sandbox).routes


def route_by_source_can_be_repeated(place: Place) -> None:
    """An interface that is not there is told, and the others get their ways."""
    ways = tuple(
        SourceWay("eth0", Interface.parse(address), Address.parse(gateway), 28516)
        for address, gateway in (("10.9.0.5/24", "10.9.0.1"), ("fd00:9::5/64", "fd00:9::1"))
    )
    with _wired(place) as (host, sandbox):
        host.insides.configure(sandbox, DUAL)
        for _time in range(2):
            assert host.insides.route_by_source(sandbox, ways) == ()
        gone = ways[0].replace(ifname="eth7", table=28517)
        (told,) = host.insides.route_by_source(sandbox, (*ways, gone))
        assert "eth7" in told
        assert set(_eth0(host, sandbox).routes) >= {DEFAULT4, DEFAULT6}


def unplug_takes_the_other_end_along(place: Place) -> None:
    """But not of another MAC, which is the container's own; nothing there is fine."""
    with _wired(place) as (host, sandbox):
        assert not host.insides.unplug(sandbox, "eth0", "02:42:0a:09:00:77")
        assert host.links.link("oc1")
        assert host.insides.unplug(sandbox, "eth0", VETH.mac)
        assert host.links.link("oc1") is None
        assert not host.insides.unplug(sandbox, "eth0", VETH.mac)


def lay_joins_two_sandboxes(place: Place) -> None:
    """Each has its own end, down and as it was said; it goes with the other."""
    host = place.seams()
    with place.open_sandbox(place.start()) as near, place.open_sandbox(place.start()) as far:
        pairs = host.insides.lay(near, far, CABLE)
        for sandbox, end, pair in zip((near, far), CABLE.ends, pairs, strict=True):
            (link,) = (at for at in host.insides.look_inside(sandbox) if at.ifname == end.ifname)
            assert (link.mac, link.mtu, link.up, link.addresses) == (end.mac, 1400, False, ())
            assert (pair.mac, pair.host_ifindex, pair.bridge_ifindex) == (end.mac, 0, 0)
            assert host.insides.configure(sandbox, end.inside(1400), pair) == ()
        (link,) = (at for at in host.insides.look_inside(far) if at.ifname == "wire1")
        assert link.up
        assert Interface.parse("10.7.0.1/31") in link.addresses
        assert host.insides.unplug(near, "wire0", CABLE.ends[0].mac)
        assert [link.ifname for link in host.insides.look_inside(far)] == ["lo"]


def lay_is_refused_where_a_name_is_taken(place: Place) -> None:
    """By either end; it says in whose sandbox, and nothing is left of it."""
    host = place.seams()
    with place.open_sandbox(place.start()) as near, place.open_sandbox(place.start()) as far:
        host.insides.lay(near, far, CABLE)
        one, other = CABLE.ends
        for ends, whose in (
            ((one, other.replace(ifname="wire2")), "web has an interface wire0"),
            ((one.replace(ifname="wire2"), other), "db has an interface wire1"),
        ):
            with pytest.raises(KernelError, match=whose) as refused:
                host.insides.lay(near, far, CABLE.replace(ends=ends))
            assert refused.value.errno == EEXIST
        assert len(host.insides.look_inside(near)) == len(host.insides.look_inside(far)) == 2


def unroute_by_source_can_be_repeated(place: Place) -> None:
    """Ways that are not there are as good as gone, also where there is no interface any more."""
    ways = (SourceWay("eth0", Interface.parse("10.9.0.5/24"), Address.parse("10.9.0.1"), 28516),)
    with _wired(place) as (host, sandbox):
        host.insides.configure(sandbox, DUAL)
        host.insides.unroute_by_source(sandbox, ways)
        assert host.insides.route_by_source(sandbox, ways) == ()
        for _time in range(2):
            host.insides.unroute_by_source(sandbox, ways)
        assert set(_eth0(host, sandbox).routes) >= {DEFAULT4, DEFAULT6}

"""What the host can't hold on the LAN, and what would harm others there: refused, and told."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import pytest

from builders import on, span
from hosts.namespace.frames import answers
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.lan import PARENT, ROUTER, define, lan
from hosts.namespace.looks import link_json, pings, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, OcinetError, RequestError
from ocinet.engine.model.access import Access
from ocinet.engine.model.bandwidth import Bandwidth, Limit
from ocinet.engine.model.lan import shim_of
from ocinet.engine.plan.new_network import NetworkOptions

if TYPE_CHECKING:
    from ocinet.engine.model.request import Request

LEAVING_S = 6.0  # less than who attaches waits for others that leave
HOME = {"gateways": (Address.parse(ROUTER),)}
NOWHERE = Access(egress=())


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        (on("lan").replace(access=NOWHERE), on("home"), "home.*who may talk to whom"),
        (on("home"), on("lan").replace(access=NOWHERE), "home.*who may talk to whom"),
        (on("home"), on("home").replace(access=NOWHERE), "home.*who may talk to whom"),
        (on("home"), on("home", bandwidth=Bandwidth(Limit(10_000_000, 40_000))), "bandwidth"),
    ],
    ids=["access first", "LAN first", "of who is there", "bandwidth"],
)
@in_namespaces
def test_attach_refuses_what_is_not_held_whichever_comes_first(
    first: Request, then: Request, why: str
) -> None:
    """Not only within one request; what there was stays as it was."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        web = host.start("web")
        host.attach(web, first)
        before = records()
        with pytest.raises(RequestError, match=why):
            host.attach(web, then)
        assert records() == before


@in_namespaces
def test_the_hosts_own_interface_answers_for_its_own_address_alone() -> None:
    """Without rp_filter the kernel would have it answer for all of the host's."""
    with lan() as router, WiredHost() as host:
        for conf in ("all", "default"):
            run(f"sysctl -qw net.ipv4.conf.{conf}.rp_filter=0")
        define(host, "home", "host_access=192.168.7.200", **HOME)
        host.up("web", on("home"))
        parent, shim, own = (
            link_json(PARENT), link_json(shim_of("home")), link_json("sw", router)
        )  # fmt: skip
        assert parent
        assert shim
        assert own
        sender = own["address"], ROUTER
        last = shim["address"], "192.168.7.200"
        told = answers(router, "sw", "192.168.7.9", sender=sender, last=last)
        assert told == [parent["address"]]
        assert pings("192.168.7.128")
        assert host.pings("web", "192.168.7.200")


@in_namespaces
def test_attach_passes_over_what_another_network_of_the_parent_has() -> None:
    """A static address in its range, and the host's own; who asks for one is told whose it is."""
    with lan(), WiredHost() as host:
        define(host, "home", ranges=(span("192.168.7.100", "192.168.7.107"),), **HOME)
        define(host, "more", "host_access=192.168.7.121",
               ranges=(span("192.168.7.120", "192.168.7.127"),), **HOME)  # fmt: skip
        define(host, "rest", "host_access=192.168.7.140",
               ranges=(span("192.168.7.128", "192.168.7.135"),), **HOME)  # fmt: skip
        host.up("web", on("more", addresses=(Address.parse("192.168.7.100"),)))
        host.up("db", on("home"))
        assert host.addresses("db") == ["192.168.7.101/24"]
        assert host.pings("db", "192.168.7.100")
        cache = host.start("cache")
        for address, whose in (
            ("192.168.7.100", "web's on network more"),
            ("192.168.7.140", "host's own on network rest"),
        ):
            with pytest.raises(ConflictError, match=whose):
                host.attach(cache, on("home", addresses=(Address.parse(address),)))


@in_namespaces
def test_attach_to_the_lan_of_who_is_kept_apart_elsewhere_goes_through() -> None:
    """Nobody said a word of who may talk to whom: that siblings do not, its bridge holds."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        with host.engine() as engine:
            engine.networks.create("apart", NetworkOptions(siblings=False))
        web = host.start("web")
        host.attach(web, on("apart"))
        host.attach(web, on("home"))
        assert host.pings("web", ROUTER)


@in_namespaces
def test_attach_tells_at_once_that_the_parent_passes_less_than_the_network() -> None:
    """Or that it can't be shared for good, and waits for no container that ends."""
    with lan(), WiredHost() as host:
        define(host, "home", "mode=passthru", mtu=1500, **HOME)
        web = host.start("web")
        run(f"ip link set {PARENT} mtu 1400")
        with pytest.raises(ConflictError, match=r"MTU of 1400.*1500"):
            host.attach(web, on("home"))
        run(f"ip link set {PARENT} mtu 1500")
        run("ip link add br7 type bridge")
        run(f"ip link set {PARENT} master br7")
        began_s = monotonic()
        with pytest.raises(OcinetError, match="port of the bridge br7"):
            host.attach(web, on("home"))
        assert monotonic() - began_s < LEAVING_S


@pytest.mark.parametrize("damage", ["", "ip link del eth0", "ip link set eth0 mtu 1300"])
@in_namespaces
def test_check_puts_right_what_it_can_where_the_parent_passes_less_by_now(damage: str) -> None:
    """And tells what that is, as the operator's to put right."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        host.up("web", on("home"), bounded=True)
        run(f"ip link set {PARENT} mtu 1400")
        pid = host.sleepers["web"].pid
        if damage:
            run(damage, pid=pid)
        with host.engine() as engine:
            found = engine.check(repair=True)
        assert [each.manual for each in found] == [True, *([False] if damage else [])]
        assert all(each.repaired for each in found if not each.manual), found
        assert "1400" in found[0].what
        there = link_json("eth0", pid)
        assert there
        assert there["mtu"] == 1400
        run(f"ip link set {PARENT} mtu 1500")
        with host.engine() as engine:
            assert all(each.repaired for each in engine.check(repair=True))
            assert engine.check() == ()
        assert host.pings("web", ROUTER)

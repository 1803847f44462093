"""What the host can't hold on the LAN, and what would harm others there: refused, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import on, span
from hosts.namespace.frames import answers
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.lan import PARENT, ROUTER, define, lan
from hosts.namespace.looks import link_json, pings, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, RequestError
from ocinet.engine.model.access import Access
from ocinet.engine.model.bandwidth import Bandwidth, Limit
from ocinet.engine.model.lan import shim_of
from ocinet.engine.plan.new_network import NetworkOptions

if TYPE_CHECKING:
    from ocinet.engine.model.request import Request

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

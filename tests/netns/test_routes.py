"""Routes of containers on a real host: their metrics, and those that lead nowhere."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from builders import network, on, udp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import KernelError
from ocinet.engine.model.flow import UNSENT
from ocinet.engine.model.request import EndpointRequest, Request, Route
from ocinet.engine.plan.removal_steps import ForgetFlows
from ocinet.engine.plan.steps import Step

REFUSED = (
    Route(Subnet.parse("10.7.0.0/16"), kind="blackhole"),
    Route(Subnet.parse("192.0.2.0/24"), None, 9, "unreachable"),
    Route(Subnet.parse("fd07::/64"), kind="prohibit"),
)
FAR = Route(Subnet.parse("10.6.0.0/16"), Address.parse("10.9.0.77"), 200)


def refused(host: WiredHost, name: str = "web") -> list[tuple[str, str, int]]:
    """Return what a sandbox refuses: kind, destination and metric, of both families."""
    found: list[dict[str, Any]] = []
    for family in (4, 6):
        found += ip_json(f"-{family} route show table main", host.sleepers[name].pid)
    return [
        (route["type"], route["dst"], route.get("metric", 0))
        for route in found
        if route.get("type", "unicast") != "unicast"
    ]


ALL = [
    ("blackhole", "10.7.0.0/16", 0),
    ("unreachable", "192.0.2.0/24", 9),
    ("prohibit", "fd07::/64", 1024),
]


@in_namespaces
def test_routes_that_refuse_are_there_and_go_with_the_attachment() -> None:
    """They are no interface's: a container that runs on has to be rid of them all the same."""
    with WiredHost() as host:
        web = host.up("web", on("lan", routes=(*REFUSED, FAR)), bounded=True)
        pid = host.sleepers["web"].pid
        assert refused(host) == ALL
        assert ip_json("route show 10.6.0.0/16", pid)[0]["metric"] == 200
        with host.engine() as engine:
            assert engine.check() == ()
            with engine.open_sandbox(web) as sandbox:
                again = engine.attach(web.container, on("lan", routes=REFUSED), sandbox)
            told = engine.explain("web", "10.7.1.2")
        assert again.endpoints[0].routes == web.endpoints[0].routes
        assert told.answer.kind == UNSENT
        assert "it has the route blackhole 10.7.0.0/16" in told.hops[0].what
        with host.engine() as engine:
            engine.detach(web.container.id)
        assert refused(host) == []


@in_namespaces
def test_check_puts_routes_that_refuse_back() -> None:
    """Each that is missing is named, and the others are left alone."""
    with WiredHost() as host:
        host.up("web", on("lan", routes=REFUSED), bounded=True)
        run("ip route del blackhole 10.7.0.0/16", pid=host.sleepers["web"].pid)
        with host.engine() as engine:
            (found,) = engine.check()
            assert found.what == "in the sandbox, it lacks the route blackhole 10.7.0.0/16"
            assert engine.check(repair=True)
            assert engine.check() == ()
        assert refused(host) == ALL


@in_namespaces
def test_disconnect_leaves_what_the_other_network_refuses() -> None:
    """Both may ask for the same."""
    with WiredHost() as host:
        container = host.start("web")
        host.attach(container, on("lan", routes=REFUSED))
        host.attach(container, on("dmz", routes=REFUSED[:1]))
        with host.engine() as engine:
            engine.disconnect("web", "lan")
        assert refused(host) == ALL[:1]
        with host.engine() as engine:
            engine.disconnect("web", "dmz")
        assert refused(host) == []


def leaves(host: WiredHost, source: str, name: str = "web") -> bool:
    """Tell whether what is sent from an address to a refused one is routed anywhere."""
    words = ("nsenter", "-n", "-t", str(host.sleepers[name].pid), "ip", "route", "get", "10.7.1.2")
    return not subprocess.run((*words, "from", source), capture_output=True, check=False).returncode


@in_namespaces
def test_what_is_refused_is_so_from_whichever_address() -> None:
    """A container on several networks looks tables up that come before the main one."""
    with WiredHost() as host:
        container = host.start("web", bounded=True)
        host.attach(container, on("lan", routes=REFUSED))
        host.attach(container, on("dmz"))
        own = [host.addresses("web", ifname)[0].partition("/")[0] for ifname in ("eth0", "eth1")]
        assert [leaves(host, address) for address in own] == [False, False]
        with host.engine() as engine:
            assert engine.check() == ()
            engine.disconnect("web", "lan")
        assert leaves(host, own[1])
        host.attach(container, on("lan"))
        own[0] = host.addresses("web", "eth0")[0].partition("/")[0]
        assert [leaves(host, address) for address in own] == [True, True]
        with host.engine() as engine:
            engine.disconnect("web", "dmz")
        host.attach(container, on("dmz", routes=REFUSED))
        own[1] = host.addresses("web", "eth1")[0].partition("/")[0]
        assert [leaves(host, address) for address in own] == [False, False]


@in_namespaces
def test_attach_that_fails_or_is_killed_leaves_no_route() -> None:
    """Undone with the rest; of a killed one, by whoever comes next."""

    def fail(step: Step) -> None:
        if isinstance(step, ForgetFlows):  # the last one
            raise KernelError("cannot forget", "as the test wants it")

    def die(step: Step) -> None:
        if isinstance(step, ForgetFlows):
            raise SystemExit

    with WiredHost() as host:
        container = host.start("web")
        request = on("lan", routes=REFUSED, publish=(udp(8080),))
        with pytest.raises(KernelError):
            host.attach(container, request, trace=fail)
        assert refused(host) == []
        assert records() == []
        with pytest.raises(SystemExit):
            host.attach(container, request, trace=die)
        assert refused(host) == ALL
        host.attach(container, on("lan"))
        assert refused(host) == []


@in_namespaces
def test_lower_metric_leads_outside_and_the_other_takes_over() -> None:
    """As `ip route` has it; who asks at one network is answered by it."""
    with WiredHost() as host:
        request = on("lan", "dmz")
        first, second = request.endpoints
        host.up("web", request.replace(endpoints=(first.replace(metric=200), second)))
        pid = host.sleepers["web"].pid
        assert "dev eth0" in run("ip route get 203.0.113.9", pid=pid)
        with host.engine() as engine:
            engine.disconnect("web", "dmz")
        host.attach(host.container("web", pid), on("dmz", metric=100))
        assert "dev eth1" in run("ip route get 203.0.113.9", pid=pid)
        assert len(ip_json("rule show priority 28515", pid)) == 2
        with host.engine() as engine:
            engine.disconnect("web", "dmz")
        (route,) = ip_json("route show default", pid)
        assert (route["dev"], route["metric"]) == ("eth0", 200)


@in_namespaces
def test_network_gives_its_routes_to_all_on_it() -> None:
    """No default route, but for who asks for a gateway; and a route of one's own instead of its."""
    far = FAR.replace(metric=0)
    own = far.replace(gateway=Address.parse("10.7.9.88"))
    asked = EndpointRequest("far", routes=(own,), gateway=Address.parse("10.7.9.1"))
    with WiredHost() as host:
        with host.engine() as engine:
            made = network("far", "10.7.9.0/24").replace(
                default_route=False,
                metric=300,
                routes=(far.replace(gateway=Address.parse("10.7.9.77")), *REFUSED[1:]),
            )
            engine.records.networks.add(made)
        host.up("web", on("far"), bounded=True)
        host.up("db", Request("bridge", endpoints=(asked,)), bounded=True)
        shown = {}
        for name in ("web", "db"):
            shown[name] = ip_json("route show table main", host.sleepers[name].pid)
            assert refused(host, name) == ALL[1:]
            (near,) = [route for route in shown[name] if route["dst"] == "10.6.0.0/16"]
            assert near["gateway"] == ("10.7.9.77" if name == "web" else "10.7.9.88")
        assert not [route for route in shown["web"] if route["dst"] == "default"]
        (default,) = [route for route in shown["db"] if route["dst"] == "default"]
        assert (default["gateway"], default["metric"]) == ("10.7.9.1", 300)
        host.attach(host.container("web", host.sleepers["web"].pid), on("lan"))
        with host.engine() as engine:
            assert engine.check() == ()
            engine.disconnect("web", "lan")
        assert not ip_json("route show default", host.sleepers["web"].pid)

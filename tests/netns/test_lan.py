"""Containers on the LAN itself, by macvlan: a router and neighbours, with real packets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import on, span, tcp
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.lan import PARENT, ROUTER, define, lan
from hosts.namespace.looks import ip_json, link_json, pings, run
from hosts.namespace.wired_host import PATHS, WiredHost, open_sandbox, records, snapshot
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError, OcinetError, RequestError
from ocinet.engine.model.bandwidth import Bandwidth, Limit
from ocinet.engine.model.lan import shim_of
from ocinet.engine.model.request import Route

if TYPE_CHECKING:
    from ocinet.engine.check import Finding
    from ocinet.engine.plan.steps import Step

RANGE = span("192.168.7.100", "192.168.7.107")
HOME = {"gateways": (Address.parse(ROUTER),), "ranges": (RANGE,)}


def mode_of(host: WiredHost, name: str, ifname: str = "eth0") -> str:
    """Return the mode of a container's interface, as the kernel has it; "" without one."""
    link = link_json(ifname, host.sleepers[name].pid)
    return str(link["linkinfo"]["info_data"]["mode"]) if link else ""


@in_namespaces
def test_attach_puts_a_container_on_the_lan() -> None:
    """It reaches the router, a sibling, and is reached; the host has nothing of it."""
    with lan() as router, WiredHost() as host:
        define(host, "home", **HOME)
        before = snapshot()
        host.up("web", on("home"))
        host.up("db", on("home"))
        assert (host.addresses("web"), mode_of(host, "web")) == (["192.168.7.100/24"], "bridge")
        assert host.pings("web", ROUTER)
        assert host.pings("web", "192.168.7.101")
        assert pings("192.168.7.100", router)
        assert not host.pings("web", "192.168.7.9")  # no macvlan reaches its parent
        (route,) = ip_json("route show default", host.sleepers["web"].pid)
        assert route["gateway"] == ROUTER
        after = snapshot()
        assert {key: after[key] for key in ("links", "addresses", "rules", "ip_forward")} == {
            key: before[key] for key in ("links", "addresses", "rules", "ip_forward")
        }


@in_namespaces
def test_stop_and_detach_leave_nothing() -> None:
    """Also of who is detached while it runs: its interface goes before its address is free."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        before = snapshot()
        host.up("web", on("home"))
        host.up("db", on("home"))
        assert host.stop("web")
        with host.engine() as engine:
            assert engine.detach("db-id", force=True)
        assert link_json("eth0", host.sleepers["db"].pid) is None
        assert snapshot() == before
        host.up("next", on("home", addresses=(Address.parse("192.168.7.101"),)))
        assert host.pings("next", ROUTER)


@in_namespaces
def test_attach_passes_over_what_somebody_on_the_lan_has() -> None:
    """The router itself says so here, of two addresses of the range."""
    taken = ("192.168.7.1/24", "192.168.7.100/24", "192.168.7.101/24")
    with lan(*taken), WiredHost() as host:
        define(host, "home", **HOME)
        host.up("web", on("home"))
        assert host.addresses("web") == ["192.168.7.102/24"]
        with pytest.raises(ConflictError, match="answers for it on lan0"):
            host.up("db", on("home", addresses=(Address.parse("192.168.7.100"),)))


@in_namespaces
def test_host_access_has_both_reach_each_other_until_the_last_is_gone() -> None:
    """By an interface of the host's own, with one route for each container."""
    with lan() as router, WiredHost() as host:
        define(host, "home", "host_access=192.168.7.200", **HOME)
        before = snapshot()
        host.up("web", on("home"))
        host.up("db", on("home"))
        for address in ("192.168.7.100", "192.168.7.101"):
            assert pings(address)
        assert host.pings("web", "192.168.7.200")
        assert host.pings("web", ROUTER)
        assert pings("192.168.7.9", router)  # the host's own way is as it was
        routes = ip_json(f"route show dev {shim_of('home')}")
        assert sorted(route["dst"] for route in routes) == ["192.168.7.100", "192.168.7.101"]
        host.stop("web")
        routes = ip_json(f"route show dev {shim_of('home')}")
        assert [route["dst"] for route in routes] == ["192.168.7.101"]
        assert pings("192.168.7.101")
        host.stop("db")
        assert snapshot() == before


@in_namespaces
def test_host_access_by_an_address_that_somebody_has_is_refused() -> None:
    """Before anything is made."""
    with lan("192.168.7.1/24", "192.168.7.107/24"), WiredHost() as host:
        define(host, "home", host_access=True, **HOME)
        before = snapshot()
        with pytest.raises(ConflictError, match=r"192\.168\.7\.107.*home"):
            host.up("web", on("home"))
        assert snapshot() == before


@pytest.mark.parametrize("option", ["mode=bridge", "host_access=192.168.7.200", "mode=passthru"])
@in_namespaces
def test_attach_that_fails_at_any_step_leaves_nothing(option: str) -> None:
    """Each step once; the next attach goes through."""
    with lan(), WiredHost() as host:
        define(host, "home", option, **HOME)
        container = host.start("web")
        before = snapshot()
        failed = 0
        while True:
            seen = 0

            def fail(step: Step, failed: int = failed) -> None:
                nonlocal seen
                seen += 1
                if seen > failed:
                    raise OcinetError("", f"at {step}")

            try:
                host.attach(container, on("home"), trace=fail)
            except OcinetError:
                assert snapshot() == before
                assert link_json("eth0", host.sleepers["web"].pid) is None
                failed += 1
            else:
                break
        assert failed > 1 + option.startswith("host")
        assert host.pings("web", ROUTER)


def found(host: WiredHost, *, repair: bool = False) -> list[tuple[str, str, bool]]:
    """Return what `check` finds, with whether it is put right."""
    with host.engine() as engine:
        findings: tuple[Finding, ...] = engine.check(repair=repair)
    return [(each.container, each.what, each.repaired) for each in findings]


@in_namespaces
def test_check_puts_back_what_others_have_taken() -> None:
    """The container's interface, the host's own, a route of it, and all of them at once."""
    with lan() as router, WiredHost() as host:
        define(host, "home", "host_access=192.168.7.200", **HOME)
        host.up("web", on("home"), bounded=True)
        assert found(host) == []
        pid, shim = host.sleepers["web"].pid, shim_of("home")
        for damage, where in (
            ("ip link del eth0", pid),
            ("ip route del default", pid),
            ("ip addr flush dev eth0", pid),
            (f"ip link del {shim}", None),
            (f"ip link set {shim} down", None),
            (f"ip addr flush dev {shim}", None),
            (f"ip route del 192.168.7.100 dev {shim}", None),
        ):
            run(damage, pid=where)
            told = found(host, repair=True)
            assert told, damage
            assert all(repaired for _name, _what, repaired in told), (damage, told)
            assert found(host) == [], damage
            assert host.pings("web", ROUTER), damage
            assert pings("192.168.7.100"), damage
            assert pings("192.168.7.100", router), damage


@in_namespaces
def test_check_tells_of_a_parent_that_is_down_or_gone() -> None:
    """With whose network it is; when it is back, so are the containers."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        host.up("web", on("home"), bounded=True)
        run(f"ip link set {PARENT} down")
        ((_name, what, _repaired),) = found(host)
        assert "home" in what
        run(f"ip link set {PARENT} up")
        assert found(host) == []


@in_namespaces
def test_a_container_on_two_networks_of_one_parent_answers_by_each() -> None:
    """And on a bridge besides; what it leaves is as it was."""
    with lan("192.168.7.1/24", "192.168.8.1/24") as router, WiredHost() as host:
        define(host, "home", **HOME)
        other = {"gateways": (Address.parse("192.168.8.1"),)}
        define(host, "lab", subnets=(Subnet.parse("192.168.8.0/24"),), **other)
        container = host.start("web", bounded=True)
        host.attach(container, on("home"))
        host.attach(container, on("lab"))
        host.attach(container, on("lan"))
        assert host.addresses("web", "eth1") == ["192.168.8.128/24"]
        for address in ("192.168.7.100", "192.168.8.128"):
            assert pings(address, router)
        assert host.pings("web", host.addresses("web", "eth2")[0].replace(".2/24", ".1"))
        assert found(host) == []
        with host.engine() as engine:
            engine.disconnect("web", "home")
        assert not pings("192.168.7.100", router)
        assert host.pings("web", "192.168.8.1")
        assert found(host) == []
        host.stop("web")
        assert records() == []


@in_namespaces
def test_networks_share_a_subnet_by_their_ranges_alone() -> None:
    """What both would give out is refused, with whose it is."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        with pytest.raises(ConflictError, match=r"home on lan0 gives out 192\.168\.7\.100"):
            define(host, "more", ranges=(span("192.168.7.104", "192.168.7.120"),))
        define(host, "more", ranges=(span("192.168.7.108", "192.168.7.120"),))
        host.up("web", on("home"))
        host.up("db", on("more"))
        assert host.pings("web", "192.168.7.108")


@in_namespaces
def test_modes_keep_siblings_apart_and_passthru_has_the_parents_mac() -> None:
    """As the kernel's macvlan has them."""
    with lan(), WiredHost() as host:
        define(host, "home", "mode=private", **HOME)
        host.up("web", on("home"))
        host.up("db", on("home"))
        assert mode_of(host, "web") == "private"
        assert host.pings("web", ROUTER)
        assert not host.pings("web", "192.168.7.101")
        host.stop("web")
        host.stop("db")
        with host.engine() as engine:
            engine.networks.remove("home")
        define(host, "home", "macvlan_mode=passthru", **HOME)
        host.up("web", on("home"), bounded=True)
        assert host.pings("web", ROUTER)
        (parent, own) = (link_json(PARENT), link_json("eth0", host.sleepers["web"].pid))
        assert parent
        assert own
        assert own["address"] == parent["address"]
        assert found(host) == []
        with pytest.raises(OcinetError, match=r"web has the MAC .*passthru"):
            host.up("db", on("home"))
        with host.engine() as engine:
            assert engine.detach("web-id", force=True)
        assert link_json("eth0", host.sleepers["web"].pid) is None


@in_namespaces
def test_what_the_host_could_not_hold_is_refused_with_the_reason() -> None:
    """Ports, bandwidth, a MAC of passthru's, an MTU past the parent's."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        web = host.start("web")
        for wish, why in (
            (on("home", publish=(tcp(8080),)), "on the LAN"),
            (on("home", bandwidth=Bandwidth(Limit(10_000_000, 40_000))), "bandwidth"),
            (on("home", mtu=9000), "lan0"),
        ):
            with pytest.raises(RequestError, match=why):
                host.attach(web, wish)
        # By a second network, what is published leads to that one.
        record = host.attach(web, on("home", "lan", publish=(tcp(8080),)))
        assert {str(port.address) for port in record.ports} == {
            str(held.address) for held in record.endpoints[1].addresses
        }


@in_namespaces
def test_parents_that_can_not_be_shared_are_named() -> None:
    """With what helps."""
    with lan(), WiredHost() as host:
        for parent, why in (("lo", "loopback"), ("nowhere", "no link nowhere")):
            with pytest.raises(OcinetError, match=why):
                define(host, "home", f"parent={parent}", **HOME)
        with Sleeper() as far:
            run(f"ip link add v0 type veth peer name v1 netns {far.pid}")
            run("ip link add br7 type bridge")
            run("ip link set v0 master br7 up")
            with pytest.raises(ConflictError, match="port of the bridge br7") as raised:
                define(host, "home", "parent=v0", **HOME)
            assert "-o parent=br7" in raised.value.hint
        define(host, "home", **HOME)
        run(f"ip link set {PARENT} down")
        with pytest.raises(OcinetError, match=r"lan0, .*home.* is down"):
            host.up("web", on("home"))


@in_namespaces
def test_gc_takes_what_a_kill_has_left() -> None:
    """The record, its lease and the host's own interface."""
    with lan(), WiredHost() as host:
        define(host, "home", "host_access=192.168.7.200", **HOME)
        before = snapshot()
        host.up("web", on("home"))
        host.sleepers.pop("web").end()
        assert ("attachment", "web-id") in host.gc()
        assert snapshot() == before
        host.up("web", on("home"))
        host.sleepers.pop("web").end()
        for file in Path(PATHS.run, "attachments").iterdir():
            file.unlink()
        kinds = {kind for kind, _name in host.gc()}
        assert {"lease", "link"} <= kinds
        assert (snapshot()["links"], snapshot()["records"]) == (before["links"], [])


@in_namespaces
def test_remove_network_takes_the_hosts_own_interface() -> None:
    """Though a kill has left it."""
    with lan(), WiredHost() as host:
        define(host, "home", "host_access=192.168.7.200", **HOME)
        host.up("web", on("home"))
        with host.engine() as engine, pytest.raises(ConflictError, match="web"):
            engine.networks.remove("home")
        host.stop("web")
        run(f"ip link add {shim_of('home')} group 0x6f63 link {PARENT} type macvlan mode bridge")
        with host.engine() as engine:
            engine.networks.remove("home")
        assert link_json(shim_of("home")) is None


@in_namespaces
def test_a_sandbox_by_its_path_counts_as_alive_while_the_path_leads_there() -> None:
    """Nothing on the host tells of it otherwise."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        run("ip netns add box")
        web = host.container("web", host.start("other").process.pid).replace(process=None)  # type: ignore[union-attr]
        from ocinet.engine.kernel.sandbox import Sandbox

        with host.engine() as engine, Sandbox.open_path("/run/netns/box") as sandbox:
            engine.attach(web, on("home"), sandbox)
        assert host.gc() == []
        with host.engine() as engine:
            assert engine.detach("web-id", force=True)
        assert run("ip -n box -o link").count("\n") == 1
        run("ip netns del box")


@in_namespaces
def test_dual_stack_has_both_families_of_the_lan() -> None:
    """Of the host's own interface, too."""
    with lan("192.168.7.1/24", "fd00:7::1/64") as router, WiredHost() as host:
        define(
            host,
            "home",
            host_access=True,
            subnets=(Subnet.parse("192.168.7.0/24"), Subnet.parse("fd00:7::/64")),
            gateways=(Address.parse(ROUTER), Address.parse("fd00:7::1")),
            ranges=(RANGE, span("fd00:7::100", "fd00:7::1ff")),
        )
        host.up(
            "web", on("home", routes=(Route(Subnet.parse("10.0.0.0/8"), Address.parse(ROUTER)),))
        )
        assert host.pings("web", "fd00:7::1")
        assert pings("fd00:7::100", router)
        assert pings("fd00:7::100")
        assert pings("192.168.7.100")


@in_namespaces
def test_containers_on_the_lan_find_each_other_by_etc_hosts() -> None:
    """And that the host serves no names there is told once."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        with host.engine() as engine, open_sandbox(host.start("web")) as sandbox:
            engine.attach(host.container("web", host.sleepers["web"].pid), on("home"), sandbox)
        host.up("db", on("home"))
        told = [line for line in Path(PATHS.run, "events.jsonl").read_text().splitlines()
                if "names not served" in line]  # fmt: skip
        assert len(told) <= 1


@in_namespaces
def test_a_container_that_comes_back_at_once_has_its_address_again() -> None:
    """Though the kernel has not taken the former one's interface, with its MAC, down yet."""
    with lan(), WiredHost() as host:
        define(host, "home", **HOME)
        wish = on("home", addresses=(Address.parse("192.168.7.105"),))
        for _time in range(20):
            host.up("web", wish)
            assert host.pings("web", ROUTER)
            host.stop("web")

"""Plans: what is wanted and what was observed, and the steps between."""

from __future__ import annotations

import pytest

from builders import container, link, network, port
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.engine.model.attachment import Attachment, Member
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.forward_guard import ForwardGuard
from ocinet.engine.model.forwarding import FORWARDED, LOOPBACK_ROUTED
from ocinet.engine.model.link import Link, SourceWay
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import DeviceState, FirewallState, Observed
from ocinet.engine.model.passage import ForwardDrop, Passage, Zoned
from ocinet.engine.model.request import EndpointRequest, Publish, Request, Route
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.attach import Wanted, plan_attach, source_ways
from ocinet.engine.plan.closing import CloseBridge
from ocinet.engine.plan.detach import addresses_of, plan_detach
from ocinet.engine.plan.endpoint import (
    Grant,
    assign_ifnames,
    check_mtu,
    check_request,
    derive_mac,
    host_ifname,
    make_endpoint,
)
from ocinet.engine.plan.guard import GuardForwarding, UnguardForwarding
from ocinet.engine.plan.own_steps import (
    ConfigureInside,
    Explain,
    NameSandbox,
    OpenFirewall,
    RaiseLoopback,
)
from ocinet.engine.plan.passage_steps import AcceptForward, JoinZone
from ocinet.engine.plan.port_steps import AddVeth, SetHairpin
from ocinet.engine.plan.ports import make_ports
from ocinet.engine.plan.refusal_steps import Refuse
from ocinet.engine.plan.removal_steps import CloseFirewall, DeleteLinks, ForgetFlows, UnnameSandbox
from ocinet.engine.plan.shared_steps import (
    EnterNetwork,
    MakeBridge,
    MakeTable,
    RouteLoopback,
    SetSysctl,
)
from ocinet.engine.plan.source_steps import RouteBySource
from ocinet.engine.plan.wiring import Granted, Missing

A = Address.parse
WEB = container()
SANDBOX = "4:4026532999"
TO_10 = Route(Subnet.parse("10.0.0.0/8"))
PORT = port(8080, 80, "10.9.0.2")


DUAL = network("lan", "10.9.0.0/24", "fd00:9::/64")


FORWARD_DROPS = ForwardDrop("ip filter FORWARD", "FORWARD", "ip filter DOCKER-USER")


def observed(*devices: DeviceState, **changes: object) -> Observed:
    """Return a host that is ready: the table is there, and it forwards."""
    firewall = FirewallState(table=True)
    return Observed(devices, firewall, ip_forward="1", ipv6_forward="1").replace(**changes)


def ready(device: str = "br-lan", **changes: object) -> DeviceState:
    """Return a bridge with its gateway address."""
    addresses = (Interface.parse("10.9.0.1/24"),)
    return DeviceState(device, link(device, mtu=1400), addresses, 1400, "1").replace(**changes)


def endpoint(**changes: object) -> Endpoint:
    """Return the endpoint that the first container of a network gets."""
    grant = Grant(WEB.id, SANDBOX, (A("10.9.0.2"),), 1400, default_for=(4, 6))
    made = make_endpoint(EndpointRequest("lan", ifname="eth0"), network(), grant)
    return made.replace(**changes)


def wanted(**changes: object) -> Wanted:
    """Return one container on one network."""
    return Wanted(
        WEB, "web", name_sandbox=True, networks=(network(),), endpoints=(endpoint(),)
    ).replace(**changes)


def kinds(steps: tuple[object, ...]) -> list[type]:
    """Return the types of steps, in order."""
    return [type(step) for step in steps]


def test_plan_attach_on_a_ready_host_is_four_steps() -> None:
    """A later container costs a name, one firewall transaction, a veth and a batch."""
    steps = plan_attach(wanted(), observed(ready()), Settings())

    assert kinds(steps) == [NameSandbox, OpenFirewall, AddVeth, ConfigureInside]


@pytest.mark.parametrize(
    ("network", "endpoint", "announced"),
    [
        pytest.param(network(), endpoint(), False, id="ours"),
        pytest.param(network(managed=False), endpoint(), True, id="adopted"),
        pytest.param(network(), endpoint(mac="02:00:00:00:00:01"), True, id="a-mac-of-its-own"),
        pytest.param(
            network(),
            endpoint(addresses=(Interface.parse("10.9.0.2/24"), Interface.parse("fd00:9::2/64"))),
            True,
            id="two-addresses-of-one-mac",
        ),
    ],
)
def test_plan_attach_announces_where_another_mac_may_be_known(
    network: Network, endpoint: Endpoint, announced: bool
) -> None:
    """On our own bridge an address comes with the same MAC each time."""
    asked = wanted(networks=(network,), endpoints=(endpoint,))

    [inside] = [
        step.inside
        for step in plan_attach(asked, observed(ready()), Settings())
        if isinstance(step, ConfigureInside)
    ]

    assert inside.announce is announced


def test_plan_attach_twice_gives_equal_plans() -> None:
    """The same arguments give the same plan."""
    first = plan_attach(wanted(ports=(PORT,)), observed(ready()), Settings())

    assert first == plan_attach(wanted(ports=(PORT,)), observed(ready()), Settings())


def test_plan_attach_where_the_subnet_is_anothers_by_now_is_refused() -> None:
    """Whoever has it is named."""
    state = ready(in_the_way=(Subnet.parse("10.9.0.128/25"),))

    with pytest.raises(
        ConflictError, match=r"10\.9\.0\.0/24 of network lan overlaps 10\.9\.0\.128"
    ):
        plan_attach(wanted(), observed(state), Settings())


def test_plan_attach_on_a_fresh_host_makes_the_shared_things_first() -> None:
    """Bridge, forwarding and table are there before the first packet can be."""
    state = DeviceState("br-lan", None, (), 1500)
    fresh = observed(state, firewall=FirewallState(table=False), ip_forward="0")

    steps = plan_attach(wanted(), fresh, Settings())

    assert kinds(steps) == [
        NameSandbox, MakeBridge, MakeTable, GuardForwarding, SetSysctl, EnterNetwork, CloseBridge,
        AddVeth, ConfigureInside,
    ]  # fmt: skip
    (bridge,) = (step for step in steps if isinstance(step, MakeBridge))
    assert bridge.addresses == (Interface.parse("10.9.0.1/24"),)
    assert bridge.mtu == 1500
    assert steps[3:5] == (GuardForwarding(4), SetSysctl("net/ipv4/ip_forward", "10", "0"))


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(ready(link=link(up=False)), id="down"),
        pytest.param(ready(addresses=()), id="without its address"),
    ],
)
def test_plan_attach_on_a_damaged_bridge_mends_it(state: DeviceState) -> None:
    """A bridge that is down or lost its address is made whole."""
    assert MakeBridge in kinds(plan_attach(wanted(), observed(state), Settings()))


def test_plan_attach_on_an_adopted_bridge_never_changes_it() -> None:
    """An unmanaged bridge keeps its state, its address, and its forwarding policy."""
    adopted = network(managed=False)
    host = observed(ready(addresses=()), ip_forward="0")

    steps = plan_attach(wanted(networks=(adopted,)), host, Settings())

    assert kinds(steps) == [NameSandbox, OpenFirewall, AddVeth, ConfigureInside]
    (firewall,) = (step for step in steps if isinstance(step, OpenFirewall))
    assert not firewall.networks[0].isolated
    assert not firewall.networks[0].masquerade


@pytest.mark.parametrize("gone", [None, link(up=False)])
def test_plan_attach_on_an_adopted_bridge_that_is_gone_is_refused(gone: Link | None) -> None:
    """We don't make or raise what is not ours."""
    host = observed(ready(link=gone))

    with pytest.raises(NotFoundError, match="br-lan"):
        plan_attach(wanted(networks=(network(managed=False),)), host, Settings())


def test_plan_attach_to_a_link_that_is_no_bridge_is_refused() -> None:
    """A dummy or a NIC with a bridge's name is left alone."""
    host = observed(ready(link=link(kind="vxlan")))

    with pytest.raises(ConflictError, match="vxlan"):
        plan_attach(wanted(), host, Settings())


def test_plan_attach_with_ports_opens_loopback_only_after_the_table() -> None:
    """route_localnet without the raw drop would open every 127.0.0.1 service."""
    host = observed(ready(route_localnet="0"), firewall=FirewallState(table=False))

    steps = plan_attach(wanted(ports=(PORT,), reached=(endpoint(),)), host, Settings())

    localnet = RouteLoopback("br-lan", LOOPBACK_ROUTED)
    assert steps.index(localnet) > kinds(steps).index(MakeTable)
    assert steps.index(localnet) > kinds(steps).index(OpenFirewall)
    assert steps[-1] == SetHairpin(endpoint().host_ifname)


@pytest.mark.parametrize(
    "port",
    [
        PORT.replace(host_address=A("192.0.2.7")),
        PORT.replace(address=A("fd00:9::2")),
    ],
)
def test_plan_attach_with_ports_off_loopback_leaves_route_localnet(port: PortRule) -> None:
    """A port that 127.0.0.1 does not lead to needs no route_localnet."""
    reached = (endpoint(addresses=(Interface(port.address, 24),)),)
    host = observed(ready(route_localnet="0"))

    steps = plan_attach(wanted(ports=(port,), reached=reached), host, Settings())

    assert RouteLoopback not in kinds(steps)


def test_plan_attach_with_udp_ports_forgets_old_flows_last() -> None:
    """A flow that was tracked before the port opened would keep its old end."""
    udp = PORT.replace(protocol="udp")

    steps = plan_attach(wanted(ports=(PORT, udp)), observed(ready()), Settings())

    assert steps[-1] == ForgetFlows((udp,))


def test_plan_attach_for_ipv6_keeps_advertised_routes() -> None:
    """accept_ra=2 comes before forwarding, which would drop the host's own route."""
    host = observed(ready(), ipv6_forward="0", ra_uplinks=(("wan", "1"),))

    steps = plan_attach(wanted(networks=(DUAL,)), host, Settings())

    writes = [(step.key, step.value) for step in steps if isinstance(step, SetSysctl)]
    assert writes == [("net/ipv6/conf/wan/accept_ra", "2"), ("net/ipv6/conf/all/forwarding", "10")]


@pytest.mark.parametrize("value", ["", "0", FORWARDED])
def test_plan_attach_leaves_a_guard_that_stands_as_it_is(value: str) -> None:
    """Each family by itself; one that was not looked at counts for nothing."""
    host = observed(ready(), ip_forward=FORWARDED, ipv6_forward=value)
    host = host.replace(guards=(ForwardGuard(4), ForwardGuard(6)))
    steps = plan_attach(wanted(), host, Settings())
    assert not {GuardForwarding, UnguardForwarding} & set(kinds(steps))


def test_plan_attach_after_somebody_else_switched_forwarding_on_ends_the_guard() -> None:
    """Of that family alone; and begins none where it was on before."""
    host = observed(ready(), ip_forward="1", ipv6_forward=FORWARDED)
    assert not {GuardForwarding, UnguardForwarding} & set(
        kinds(plan_attach(wanted(), host, Settings()))
    )
    host = host.replace(guards=(ForwardGuard(4), ForwardGuard(6)))
    steps = plan_attach(wanted(), host, Settings())
    guards = [step for step in steps if isinstance(step, UnguardForwarding | GuardForwarding)]
    assert guards == [UnguardForwarding(4)]


@pytest.mark.parametrize("setting", ["guard_forwarding", "manage_sysctls"])
def test_plan_attach_guards_nothing_by_these_settings(setting: str) -> None:
    """Who wants the host to route, and who switches it on himself."""
    settings = Settings().replace(**{setting: False})
    steps = plan_attach(wanted(), observed(ready(), ip_forward="0"), settings)
    assert GuardForwarding not in kinds(steps)


def test_plan_attach_without_manage_sysctls_writes_none() -> None:
    """An operator who sets sysctls himself is left to it."""
    host = observed(ready(route_localnet="0"), ip_forward="0")

    ports = wanted(ports=(PORT,), reached=(endpoint(),))

    steps = plan_attach(ports, host, Settings(manage_sysctls=False))

    assert not {SetSysctl, RouteLoopback} & set(kinds(steps))
    told = [step.text for step in steps if isinstance(step, Explain)]
    assert ["net.ipv4.ip_forward=1" in told[0], "route_localnet=2" in told[1]] == [True, True]


def test_plan_attach_behind_a_dropping_forward_chain_accepts_once() -> None:
    """The accept rule is added where it is missing and allowed, and nowhere else."""

    def accepts(state: DeviceState, settings: Settings) -> list[AcceptForward | Explain]:
        steps = plan_attach(wanted(), observed(state), settings)
        return [step for step in steps if isinstance(step, AcceptForward | Explain)]

    dropped = ready(drops=(FORWARD_DROPS,))
    assert accepts(dropped, Settings()) == [
        AcceptForward("br-lan", managed=True, chains=("ip filter DOCKER-USER",))
    ]
    assert accepts(ready(), Settings()) == []
    (told,) = accepts(dropped, Settings(forward_accept=False))
    assert isinstance(told, Explain)
    assert "ip filter FORWARD drops" in told.text


def test_plan_attach_tells_who_keeps_an_adopted_bridges_containers_apart() -> None:
    """With the command; no rule is put there, whatever the settings say."""
    drop = ForwardDrop("ip filter FORWARD", "FORWARD", "ip filter DOCKER-USER")
    for may in (True, False):
        steps = plan_attach(wanted(), observed(ready(apart=(drop,))), Settings(forward_accept=may))
        (told,) = (step for step in steps if isinstance(step, Explain))
        command = (
            """nft insert rule ip filter FORWARD iifname '"br-lan"' oifname '"br-lan"' accept"""
        )
        assert command in told.text
        assert not [step for step in steps if isinstance(step, AcceptForward)]


@pytest.mark.parametrize(
    ("zoned", "joins"),
    [
        (Zoned("public", joinable=True), True),
        (Zoned("public"), False),
        (Zoned("dmz", bound=True, joinable=True), False),
        (Zoned("public", policy="closed", joinable=True), False),
        (Zoned(published=True), False),
    ],
)
def test_plan_attach_beside_firewalld_joins_our_zone_or_tells_why_not(
    zoned: Zoned, joins: bool
) -> None:
    """A bridge that somebody has in a zone stays there; told not to, we join none."""
    drop = ForwardDrop("inet firewalld filter_FORWARD", "filter_FORWARD", zoned=zoned)
    passage = Passage("br-lan", 9, ())
    for may in (True, False):
        steps = plan_attach(
            wanted(), observed(ready(drops=(drop,), passage=passage)), Settings(forward_accept=may)
        )
        told = [step for step in steps if isinstance(step, Explain)]
        assert [step for step in steps if isinstance(step, JoinZone)] == (
            [JoinZone("br-lan", passage)] if joins and may else []
        )
        assert len(told) == (not (joins and may))


def test_plan_attach_on_a_new_network_tells_of_foreign_chains_that_drop() -> None:
    """A table that is not iptables' is never touched: what to add to it is told."""
    state = DeviceState("br-lan", None, (), 1500, drops=(ForwardDrop("inet admin forward", "end"),))
    host = observed(state)

    steps = plan_attach(wanted(), host, Settings())

    (told,) = [step.text for step in steps if isinstance(step, Explain)]
    assert "nft insert rule inet admin forward" in told


@pytest.mark.parametrize("without", [True, False])
def test_plan_attach_on_a_bridge_that_gives_its_ports_no_vlan_is_told(without: bool) -> None:
    """The bridge is not ours to change: the command that gives them one is told."""
    link = Link(9, "br-lan", "bridge", 1500, "02:00:00:00:00:01", up=True, without_vlan=without)
    host = observed(DeviceState("br-lan", link, (), 1500))
    steps = plan_attach(wanted(networks=(network(managed=False),)), host, Settings())
    told = [step.text for step in steps if isinstance(step, Explain)]
    assert ["vlan_default_pvid" in text for text in told] == [True] * without


def test_plan_attach_without_networks_raises_loopback_only() -> None:
    """Mode none is a sandbox with `lo` and a name."""
    steps = plan_attach(Wanted(WEB, "web", name_sandbox=True), observed(), Settings())

    assert steps == (NameSandbox("web", Process(42, 7)), RaiseLoopback("web"))


def test_plan_detach_takes_ports_before_links_before_the_name() -> None:
    """Nothing is led to a link that is gone, and the name stays until the end."""
    udp = PORT.replace(protocol="udp")
    record = Attachment(WEB, "bridge", "attached", SANDBOX, "boot", "now", (endpoint(),),
                        (PORT, udp), "web", (Member("m", "m", "", Process(43, 8)),))  # fmt: skip

    steps = plan_detach(record, record.ports)

    assert steps == (
        CloseFirewall((PORT, udp)),
        ForgetFlows((udp,)),
        DeleteLinks((endpoint().host_ifname,)),
        ForgetFlows(addresses=addresses_of((endpoint(),))),
        UnnameSandbox("web", (Process(42, 7), Process(43, 8))),
    )


def test_plan_detach_leaves_ports_that_another_holds() -> None:
    """A late detach never closes what somebody else opened since."""
    record = Attachment(WEB, "bridge", "attached", SANDBOX, "boot", "now", (endpoint(),), (PORT,))

    assert kinds(plan_detach(record, ())) == [DeleteLinks, ForgetFlows]


def test_assign_ifnames_fills_the_gaps() -> None:
    """Interfaces without a name get the first free of eth0, eth1, …."""
    wishes = (EndpointRequest("a"), EndpointRequest("b", ifname="eth1"), EndpointRequest("c"))

    named = assign_ifnames(wishes, ("eth0",))

    assert [request.ifname for request in named] == ["eth2", "eth1", "eth3"]


def test_assign_ifnames_that_are_used_is_refused() -> None:
    """A name that the sandbox has already can't be given twice."""
    with pytest.raises(ConflictError, match="eth0"):
        assign_ifnames((EndpointRequest("a", ifname="eth0"),), ("eth0",))


def test_host_ifname_differs_by_container_interface_and_sandbox() -> None:
    """A restart never wants the name that the dead sandbox still keeps taken."""
    names = {
        host_ifname(container, ifname, sandbox)
        for container in ("a", "b")
        for ifname in ("eth0", "eth1")
        for sandbox in ("4:1", "4:2")
    }

    assert len(names) == 8
    assert {len(name) for name in names} == {15}


def test_derive_mac_is_unicast_local_and_of_the_address() -> None:
    """The same address has the same MAC in whatever container."""
    assert derive_mac(A("10.9.0.2")) == "02:6f:0a:09:00:02"
    assert derive_mac(A("fd00::2")) == derive_mac(A("fd00::2")) != derive_mac(A("fd00::3"))


def test_make_endpoint_takes_prefix_and_gateway_of_its_pools() -> None:
    """Each address has its own pool's prefix, each family its own default route."""
    both = (A("10.9.0.2"), A("fd00:9::2"))
    grant = Grant("c", SANDBOX, both, 1400, default_for=(4, 6))

    made = make_endpoint(EndpointRequest("lan", ifname="eth0"), DUAL, grant)

    assert [str(address) for address in made.addresses] == ["10.9.0.2/24", "fd00:9::2/64"]
    assert made.routes == (
        Route(Subnet.parse("0.0.0.0/0"), A("10.9.0.1")),
        Route(Subnet.parse("::/0"), A("fd00:9::1")),
    )


@pytest.mark.parametrize(
    ("wish", "of", "default_for", "routes"),
    [
        pytest.param(EndpointRequest("lan", ifname="e"), network(internal=True), (4,), (),
                     id="internal"),
        pytest.param(EndpointRequest("lan", ifname="e"), network(), (), (), id="second network"),
        pytest.param(EndpointRequest("lan", ifname="e", gateway=A("10.9.0.9")), network(), (4,),
                     (Route(Subnet.parse("0.0.0.0/0"), A("10.9.0.9")),), id="own gateway"),
        pytest.param(EndpointRequest("lan", ifname="e", routes=(TO_10,)), network(), (), (TO_10,),
                     id="extra route"),
    ],
)  # fmt: skip
def test_make_endpoint_routes(
    wish: EndpointRequest, of: Network, default_for: tuple[int, ...], routes: tuple[Route, ...]
) -> None:
    """The default route is the first network's, through whatever gateway is asked for."""
    grant = Grant("c", SANDBOX, (A("10.9.0.2"),), 1400, default_for=default_for)

    made = make_endpoint(wish, of, grant)

    assert made.routes == routes


def test_plan_attach_refuses_behind_what_is_inside() -> None:
    """Routes that refuse are no interface's: they are printed, and taken back, by themselves."""
    routes = (
        *endpoint().routes,
        TO_10.replace(gateway=A("10.9.0.7"), metric=200),
        Route(Subnet.parse("10.7.0.0/16"), kind="blackhole"),
        Route(Subnet.parse("fd07::/64"), None, 9, "prohibit"),
    )
    asked = wanted(endpoints=(endpoint(routes=routes),))

    steps = plan_attach(asked, observed(ready()), Settings())

    assert kinds(steps)[-3:] == [AddVeth, ConfigureInside, Refuse]
    assert steps[-2].describe()[-2] == (
        "ip -n web route add 10.0.0.0/8 via 10.9.0.7 dev eth0 metric 200"
    )
    assert steps[-1].describe() == (
        "ip -n web -4 route add blackhole 10.7.0.0/16",
        "ip -n web -6 route add prohibit fd07::/64 metric 9",
    )
    inverse = steps[-1].inverse()
    assert inverse
    assert inverse.describe()[1] == "ip -n web -6 route del prohibit fd07::/64 metric 9"
    assert inverse.inverse() == steps[-1]


@pytest.mark.parametrize(
    ("first", "second", "gateways"),
    [
        (0, 0, [("10.9.0.1", 0)]),
        (0, 100, [("10.9.0.1", 0), ("10.8.0.1", 100)]),
        (200, 100, [("10.9.0.1", 200), ("10.8.0.1", 100)]),
        (100, 100, [("10.9.0.1", 100)]),
        (200, 0, [("10.9.0.1", 200)]),
    ],
)
def test_made_endpoints_of_several_metrics_have_a_default_route_each(
    first: int, second: int, gateways: list[tuple[str, int]]
) -> None:
    """Of one metric the first has it; and answers go by whichever network was asked."""
    networks = (network(), network("dmz", "10.8.0.0/24"))
    wishes = (
        EndpointRequest("lan", ifname="eth0", metric=first),
        EndpointRequest("dmz", ifname="eth1", metric=second),
    )
    grants = tuple(Grant(WEB.id, SANDBOX, (A(f"10.{number}.0.2"),), 1400) for number in (9, 8))
    before = Attachment(WEB, "none", "attached", SANDBOX, "b", "t")

    granted = Granted(WEB, "web", name_sandbox=True, before=before, missing=Missing(wishes))
    made = granted.replace(networks=networks, grants=grants).made

    found = [(str(route.gateway), route.metric) for end in made for route in end.routes]
    assert found == gateways
    assert len(source_ways(made, networks)) == 2
    assert all(end.serves(wish) for end, wish in zip(made, wishes, strict=True))
    assert not made[0].serves(wishes[0].replace(metric=7))


def test_check_request_that_refuses_its_own_network_is_refused() -> None:
    """A part of it is fine: the kernel goes by the longest prefix."""
    for subnet, why in (("10.9.0.0/24", "is network lan itself"), ("10.9.0.128/25", "")):
        route = Route(Subnet.parse(subnet), kind="blackhole")
        request = Request("bridge", "", (EndpointRequest("lan", routes=(route,)),))
        if why:
            with pytest.raises(RequestError, match=why):
                check_request(request, (DUAL,))
        else:
            check_request(request, (DUAL,))


def test_make_ports_without_host_address_covers_both_families() -> None:
    """As with Docker, a plain publish is for IPv4, and IPv6 where the container has it."""
    both = endpoint(addresses=(Interface.parse("10.9.0.2/24"), Interface.parse("fd00:9::2/64")))
    wish = Publish("tcp", None, 8080, 80)

    assert make_ports((wish,), (both,), ()) == (PORT, PORT.replace(address=A("fd00:9::2")))
    assert make_ports((wish,), (endpoint(),), ()) == (PORT,)


@pytest.mark.parametrize(
    ("wish", "internal"),
    [
        (Publish("tcp", A("fd00::1"), 8080, 80), ()),
        (Publish("tcp", None, 8080, 80), ("lan",)),
    ],
)
def test_make_ports_that_lead_nowhere_is_refused(wish: Publish, internal: tuple[str, ...]) -> None:
    """A port needs an address of its family on a network that can be reached."""
    with pytest.raises(RequestError, match="8080"):
        make_ports((wish,), (endpoint(),), internal)


def _by(destination: str, gateway: str) -> EndpointRequest:
    return EndpointRequest("lan", routes=(Route(Subnet.parse(destination), A(gateway)),))


@pytest.mark.parametrize(
    "wish",
    [
        EndpointRequest("lan", gateway=A("10.9.0.7")),
        _by("10.0.0.0/8", "10.9.0.7"),
        _by("2001:db8::/32", "fe80::1"),
        # Far away, and told to be on the link all the same.
        EndpointRequest(
            "lan", gateway=A("192.0.2.1"), routes=(Route(Subnet.parse("192.0.2.1/32")),)
        ),
    ],
)
def test_check_request_with_gateways_on_the_link_is_fine(wish: EndpointRequest) -> None:
    """Whoever is in the subnet, or is said to be there."""
    check_request(Request("bridge", "", (wish,)), (DUAL,))


@pytest.mark.parametrize(
    ("wished", "adopted", "words"),
    [
        (1500, False, ""), (1400, False, ""), (1501, False, "larger than that of br-lan"),
        (1500, True, ""), (0, True, ""), (1400, True, "would be that of all on br-lan"),
        (9000, True, "larger"),
    ],
)  # fmt: skip
def test_check_mtu_lets_no_container_shrink_an_adopted_bridge(
    wished: int, adopted: bool, words: str
) -> None:
    """Nor send what its bridge does not carry."""
    of, wish = network(managed=not adopted), EndpointRequest("lan", mtu=wished)
    if not words:
        check_mtu(wish, of, 1500)
        return
    with pytest.raises(RequestError, match=words):
        check_mtu(wish, of, 1500)


@pytest.mark.parametrize(
    ("wish", "publish", "of", "words"),
    [
        (EndpointRequest("lan", (A("10.8.0.1"),)), (), network(), "10.8.0.1 is not in"),
        (EndpointRequest("lan", gateway=A("fd00::1")), (), network(), "family"),
        (EndpointRequest("lan", mtu=600), (), DUAL, "too small for IPv6"),
        (EndpointRequest("lan", gateway=A("10.8.0.1")), (), network(), "is not on network lan"),
        (EndpointRequest("lan", gateway=A("10.9.0.0")), (), network(), "is no host's address"),
        (EndpointRequest("lan", gateway=A("10.9.0.255")), (), network(), "is no host's address"),
        (EndpointRequest("lan", (A("10.9.0.5"),), gateway=A("10.9.0.5")), (), network(), "own"),
        (_by("10.0.0.0/8", "10.8.0.1"), (), network(), "is not on network lan"),
        (_by("10.0.0.0/8", "10.9.0.255"), (), network(), "is no host's address"),
        (_by("127.0.0.0/8", "10.9.0.7"), (), network(), "own, by lo"),
        (_by("::1/128", "fd00:9::7"), (), DUAL, "own, by lo"),
        (EndpointRequest("lan"), (Publish("tcp", None, 1, 1),), network(internal=True), "internal"),
    ],
)
def test_check_request_that_does_not_fit_is_refused(
    wish: EndpointRequest, publish: tuple[Publish, ...], of: Network, words: str
) -> None:
    """What a network can't give is refused before anything is allocated."""
    with pytest.raises(RequestError, match=words):
        check_request(Request("bridge", "", (wish,), publish), (of,))


def test_inverse_of_every_attach_step_is_named_or_implied() -> None:
    """Undoing a whole plan leaves only what goes with a link or a sandbox."""
    host = observed(
        DeviceState("br-lan", None, (), 1500, drops=(FORWARD_DROPS,)),
        firewall=FirewallState(table=False),
        ip_forward="0",
    )
    steps = plan_attach(wanted(ports=(PORT,), reached=(endpoint(),)), host, Settings())

    without = {type(step) for step in steps if step.inverse() is None}

    assert without == {ConfigureInside, SetHairpin, CloseBridge}


def test_plan_attach_to_several_networks_routes_by_source_each_way() -> None:
    """By each network's gateway; an internal one has none, and one alone needs nothing."""
    second = endpoint(
        network="dmz", ifname="eth1", routes=(), addresses=(Interface.parse("10.8.0.2/24"),)
    )
    lan, dmz = network(), network("dmz", "10.8.0.0/24")
    both = wanted(networks=(lan, dmz), endpoints=(endpoint(), second))
    host = observed(ready(), ready("br-dmz", addresses=(Interface.parse("10.8.0.1/24"),)))

    def by_source(plan: Wanted) -> list[RouteBySource]:
        steps = plan_attach(plan, host, Settings())
        return [step for step in steps if isinstance(step, RouteBySource)]

    ways = (
        SourceWay("eth0", Interface.parse("10.9.0.2/24"), A("10.9.0.1"), 28516),
        SourceWay("eth1", Interface.parse("10.8.0.2/24"), A("10.8.0.1"), 28517),
    )
    (step,) = by_source(both)
    assert step == RouteBySource(ways, "web")
    assert step.describe()[:3] == (
        "ip -n web -4 rule add priority 28515 from 10.9.0.2 lookup 28516",
        "ip -n web -4 route add 10.9.0.0/24 dev eth0 table 28516",
        "ip -n web -4 route add default via 10.9.0.1 dev eth0 table 28516",
    )
    # The first one's gateway is told by its route, when the second comes later.
    later = wanted(networks=(dmz,), endpoints=(second,), beside=(endpoint(),))
    assert by_source(later) == [step]
    assert by_source(both.replace(networks=(lan, dmz.replace(internal=True)))) == []
    assert by_source(wanted()) == []


def test_forgetting_flows_is_no_failure_of_a_script() -> None:
    """conntrack exits with 1 where there is nothing to forget; `plan` is run by `sh -e`."""
    step = ForgetFlows((PORT.replace(protocol="udp"),), (A("10.9.0.2"),))
    assert all(command.endswith(" || true") for command in step.describe())

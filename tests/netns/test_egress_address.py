"""What one container sends leaves with an address of its own: asked of who receives it."""

from __future__ import annotations

import select
import socket

import pytest

from builders import network, on, tcp
from hosts.namespace.entered import entered
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UPLINK, UplinkedHost
from hosts.namespace.wired_host import records
from ocinet.base.address import Address
from ocinet.base.errors import KernelError, RequestError
from ocinet.engine.plan.port_steps import AddVeth
from ocinet.engine.plan.steps import Step

OWN, SAID, FAR = "192.0.2.9", "192.0.2.5", "203.0.113.7"
ASKED = on("lan", egress=(Address.parse(OWN),))


def seen(host: UplinkedHost, name: str, at: str = NEIGHBOUR) -> str:
    """Return the address that the neighbour sees a container at."""
    with entered(host.sleepers["neighbour"].pid):
        server = socket.create_server((at, 0))
    with entered(host.sleepers[name].pid):
        client = socket.socket()
    with server, client:
        server.settimeout(10)
        client.settimeout(10)
        client.connect(server.getsockname())
        peer, address = server.accept()
        peer.close()
    return str(address[0])


def elements() -> str:
    """Return what our table holds, if it is there."""
    return run("nft list ruleset")


def checked(host: UplinkedHost, *, repair: bool = False) -> list[str]:
    """Return what is not as it is recorded."""
    with host.engine() as engine:
        return [finding.what for finding in engine.check(repair=repair)]


@in_namespaces
def test_egress_address_is_one_containers_alone() -> None:
    """Also after a flush that was repaired; with the container it goes."""
    with UplinkedHost() as host:
        run(f"ip addr add {OWN}/24 dev up0")
        web = host.up("web", ASKED)
        host.up("db")
        assert (seen(host, "web"), seen(host, "db")) == (OWN, UPLINK)
        assert checked(host) == []
        assert host.warned() == []
        with host.engine() as engine, engine.open_sandbox(web) as sandbox:
            assert engine.attach(web.container, ASKED, sandbox) == web
        run("nft flush map inet ocinet source4")
        assert seen(host, "web") == UPLINK
        assert len(checked(host)) == 1
        checked(host, repair=True)
        assert seen(host, "web") == OWN
        run("nft flush ruleset")
        checked(host, repair=True)
        assert (seen(host, "web"), seen(host, "db")) == (OWN, UPLINK)
        with host.engine() as engine:
            engine.disconnect("web", "lan")
        assert OWN not in elements()
        host.attach(web.container, ASKED)
        assert seen(host, "web") == OWN
        assert host.stop("web")
        assert OWN not in elements()


@in_namespaces
def test_egress_address_goes_before_what_the_hosts_routes_say() -> None:
    """Whose table for that is the first to give packets an address otherwise."""
    with UplinkedHost() as host:
        run("ip addr add 203.0.113.7/32 dev lo", pid=host.sleepers["neighbour"].pid)
        for address in (OWN, SAID):
            run(f"ip addr add {address}/24 dev up0")
        run(f"ip route replace default via {NEIGHBOUR} src {SAID}")
        host.up("web", ASKED)
        host.up("db")
        assert (seen(host, "web", FAR), seen(host, "db", FAR)) == (OWN, SAID)


@in_namespaces
def test_egress_address_that_the_host_has_not_is_told() -> None:
    """By the attach, and by check where it is lost later; with what helps."""
    with UplinkedHost() as host:
        host.up("web", ASKED)
        (warning,) = host.warned()
        assert warning.startswith(f"what leaves the network bears {OWN}, which no link of this")
        assert checked(host) == [warning]
        run(f"ip addr add {OWN}/24 dev up0")
        assert checked(host) == []
        assert seen(host, "web") == OWN


SECOND, SECONDS_NEIGHBOUR, TABLE = "198.51.100.1", "198.51.100.2", "100"
BY_SECOND = on("lan", egress=(Address.parse(SECOND),))


class TwoUplinks(UplinkedHost):
    """A host with a second uplink that it routes by source; one far address is behind each."""

    def __init__(self, *condition: str) -> None:
        super().__init__()
        second = self.sleepers["second"] = Sleeper()
        run(f"ip link add up1 type veth peer name eth0 netns {second.pid}")
        run(f"ip addr add {SECOND}/24 dev up1")
        run("ip link set up1 up")
        run(f"ip route add default via {SECONDS_NEIGHBOUR} table {TABLE}")
        run(" ".join(("ip rule add from", SECOND, *condition, "lookup", TABLE)))
        run("ip link set lo up", pid=second.pid)
        run(f"ip addr add {SECONDS_NEIGHBOUR}/24 dev eth0", pid=second.pid)
        run("ip link set eth0 up", pid=second.pid)
        for name in ("neighbour", "second"):
            run(f"ip addr add {FAR}/32 dev lo", pid=self.sleepers[name].pid)

    def way(self, name: str) -> tuple[str, str]:
        """Return behind which uplink a container meets the far address, and as whom."""
        servers = {}
        for place in ("neighbour", "second"):
            with entered(self.sleepers[place].pid):
                servers[place] = socket.create_server((FAR, 8000))
        with entered(self.sleepers[name].pid):
            client = socket.socket()
        try:
            client.settimeout(10)
            client.connect((FAR, 8000))  # answered, so the way back is there as well
            met, _, _ = select.select(servers.values(), [], [], 10)
            peer, address = met[0].accept()
            peer.close()
            return next(place for place in servers if servers[place] is met[0]), address[0]
        finally:
            for each in (client, *servers.values()):
                each.close()


def ways_by_second() -> str:
    """Return whose packets are to leave by the second uplink."""
    return run("nft list ruleset").partition("chain departures {")[2].partition("}\n\t}")[0]


@in_namespaces
def test_egress_address_of_a_second_uplink_leaves_there() -> None:
    """As the host's own packets from it do, and answers come back; nobody else's go that way."""
    with TwoUplinks() as host:
        web = host.up("web", BY_SECOND)
        host.up("db")
        assert host.warned() == []
        assert host.way("web") == ("second", SECOND)
        assert host.way("db") == ("neighbour", UPLINK)
        assert host.pings("web", host.addresses("db")[0].partition("/")[0])
        assert host.pings("web", "10.9.0.1")
        assert checked(host) == []
        run("nft flush ruleset")
        assert checked(host, repair=True)
        assert checked(host) == []
        assert host.way("web") == ("second", SECOND)
        run("nft flush map inet ocinet source4")
        checked(host, repair=True)
        assert checked(host) == []
        assert host.way("web") == ("second", SECOND)
        other = host.up("other", BY_SECOND)
        assert host.way("other") == ("second", SECOND)
        assert host.stop("web")
        assert host.way("other") == ("second", SECOND)
        assert str(web.endpoints[0].addresses[0].address) not in ways_by_second()
        with host.engine() as engine:
            engine.disconnect("other-id", "lan")
        assert "10.9.0" not in run("nft list table inet ocinet-uplinks")
        host.attach(other.container, on("lan"))
        assert host.way("other") == ("neighbour", UPLINK)
        assert checked(host) == []


@in_namespaces
def test_egress_address_of_a_network_leaves_by_its_uplink() -> None:
    """All on it do; one with an address of the first uplink's goes by that."""
    with TwoUplinks() as host:
        with host.engine() as engine:
            shop = network("shop", "10.8.0.0/24").replace(egress=(Address.parse(SECOND),))
            engine.records.networks.add(shop)
        host.up("web", on("shop"))
        host.up("db", on("shop", egress=(Address.parse(UPLINK),)))
        host.up("other")
        assert host.way("web") == ("second", SECOND)
        assert host.way("db") == ("neighbour", UPLINK)
        assert host.way("other") == ("neighbour", UPLINK)
        assert host.pings("web", host.addresses("db")[0].partition("/")[0])
        assert checked(host) == []


@in_namespaces
def test_egress_address_whose_rule_comes_later_is_followed_by_repair() -> None:
    """And no more when it goes."""
    with TwoUplinks() as host:
        run(f"ip rule del from {SECOND} lookup {TABLE}")
        host.up("web", BY_SECOND)
        assert checked(host) == []
        run(f"ip rule add from {SECOND} lookup {TABLE}")
        assert len(checked(host, repair=True)) == 1
        assert host.way("web") == ("second", SECOND)
        run(f"ip rule del from {SECOND} lookup {TABLE}")
        checked(host, repair=True)
        assert "fwmark" not in run("ip rule")
        assert checked(host) == []


@in_namespaces
def test_egress_address_of_ipv6_leaves_by_its_uplink() -> None:
    """As one of IPv4 does."""
    here, there, far = "2001:db8:2::1", "2001:db8:2::2", "2001:db8:77::7"
    with TwoUplinks() as host:
        pid = host.sleepers["second"].pid
        run(f"ip addr add {here}/64 dev up1 nodad")
        run(f"ip addr add {there}/64 dev eth0 nodad", pid=pid)
        run(f"ip addr add {far}/128 dev lo nodad", pid=pid)
        run(f"ip -6 route add default via {there} table {TABLE}")
        run(f"ip -6 rule add from {here} lookup {TABLE}")
        with host.engine() as engine:
            engine.records.networks.add(network("six", "10.8.0.0/24", "fd00:8::/64"))
        host.up("web", on("six", egress=(Address.parse(here),)))
        host.up("db", on("six"))
        assert host.warned() == []
        assert host.pings("web", far)
        assert not host.pings("db", far)  # the first uplink has no way for IPv6
        assert host.pings("web", host.addresses("db")[1].partition("/")[0])
        assert checked(host) == []


@in_namespaces
def test_egress_address_and_ports_published_at_either_uplink() -> None:
    """Who asks at one is answered by that one, wherever the container's own packets leave."""
    with TwoUplinks() as host:
        host.up_serving("web", BY_SECOND.replace(publish=(tcp(8080, 80),)))
        for place, address in (("neighbour", UPLINK), ("second", SECOND)):
            run(
                "curl", "-sf", "-m", "5", "--interface", FAR, f"http://{address}:8080/",
                pid=host.sleepers[place].pid,
            )  # fmt: skip
        assert host.way("web") == ("second", SECOND)


@in_namespaces
def test_egress_address_whose_rule_can_not_be_followed_is_told() -> None:
    """As one with conditions besides: they leave by the way of all others."""
    with TwoUplinks("ipproto", "udp") as host:
        host.up("web", BY_SECOND)
        (warning,) = host.warned()
        assert warning.startswith(f"what leaves bears {SECOND} of up1, and goes by up0, for its")


@in_namespaces
def test_attach_that_fails_leaves_by_no_uplink() -> None:
    """And nobody's who came before is touched."""

    def fail(step: Step) -> None:
        if isinstance(step, AddVeth):
            raise KernelError("cannot connect", "as the test wants it")

    with TwoUplinks() as host:
        host.up("web", BY_SECOND)
        before = ways_by_second()
        with pytest.raises(KernelError):
            host.attach(host.start("db"), BY_SECOND, trace=fail)
        assert ways_by_second() == before
        assert host.way("web") == ("second", SECOND)


@in_namespaces
def test_attach_that_fails_or_is_killed_leaves_no_egress_address() -> None:
    """Taken back with the rest, or by whoever comes next."""

    def fail(step: Step) -> None:
        if isinstance(step, AddVeth) and step.veth.bridge == "br-dmz":
            raise KernelError("cannot connect", "as the test wants it")

    def die(step: Step) -> None:
        if isinstance(step, AddVeth) and step.veth.bridge == "br-dmz":
            raise SystemExit

    with UplinkedHost() as host:
        container = host.start("web")
        lan, dmz = on("lan", "dmz").endpoints
        both = on("lan").replace(endpoints=(lan.replace(egress=ASKED.endpoints[0].egress), dmz))
        with pytest.raises(KernelError):
            host.attach(container, both, trace=fail)
        assert OWN not in elements()
        assert records() == []
        with pytest.raises(SystemExit):
            host.attach(container, both, trace=die)
        assert OWN in elements()
        host.sleepers.pop("web").end()
        host.gc()
        assert OWN not in elements()
        with host.engine() as engine:
            engine.records.networks.add(network("vault", "10.7.0.0/24", internal=True))
        with pytest.raises(RequestError, match="nothing leaves an internal network"):
            host.attach(host.start("db"), on("vault", egress=ASKED.endpoints[0].egress))

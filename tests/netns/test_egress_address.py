"""What one container sends leaves with an address of its own: asked of who receives it."""

from __future__ import annotations

import socket

import pytest

from builders import network, on
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
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


@in_namespaces
def test_egress_address_of_an_uplink_that_packets_do_not_leave_by_is_told() -> None:
    """Where the host routes by source: they leave by the way of all others."""
    with UplinkedHost() as host:
        run("ip link add up1 type veth peer name far1")
        run(f"ip addr add {OWN}/32 dev up1")
        run("ip link set up1 up")
        run(f"ip rule add from {OWN} lookup 100")
        host.up("web", ASKED)
        (warning,) = host.warned()
        assert warning.startswith(f"what leaves bears {OWN} of up1, and goes by up0: ip rule add")


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

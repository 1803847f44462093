"""Networks of a container that runs: one more, one less, and the sandbox's own routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, link_json, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.errors import KernelError, NotFoundError
from ocinet.engine.plan.own_steps import ConfigureInside
from ocinet.engine.plan.steps import Step

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment


def disconnect(host: WiredHost, network: str, name: str = "web") -> Attachment:
    """Take a container off a network as a person does."""
    with host.engine() as engine:
        return engine.disconnect(name, network)


def defaults(host: WiredHost, name: str = "web") -> list[tuple[str, str]]:
    """Return interface and gateway of a container's default routes of IPv4."""
    routes = ip_json("route show default", host.sleepers[name].pid)
    return [(route["dev"], route["gateway"]) for route in routes]


def rules(host: WiredHost, name: str = "web") -> list[tuple[str, str]]:
    """Return source and table of the rules of ours in a container."""
    found = ip_json("rule show priority 28515", host.sleepers[name].pid)
    return [(rule["src"], rule["table"]) for rule in found]


def flaws(host: WiredHost) -> list[str]:
    """Return what is not as it is on record."""
    with host.engine() as engine:
        return [finding.what for finding in engine.check()]


@in_namespaces
def test_disconnect_moves_the_default_route_and_leaves_the_other_network() -> None:
    """Interface, address, rules and ports of the one go, and the other leads outside."""
    with WiredHost() as host:
        web = host.up("web", on("lan", "dmz", publish=(tcp(8080),)))
        dmz = host.addresses("web", "eth1")
        assert len(rules(host)) == 2

        left = disconnect(host, "lan")

        pid = host.sleepers["web"].pid
        assert link_json("eth0", pid) is None
        assert link_json(web.endpoints[0].host_ifname) is None
        assert host.addresses("web", "eth1") == dmz
        assert defaults(host) == [("eth1", "10.8.0.1")]
        assert rules(host) == []
        assert "8080" not in run("nft list table inet ocinet")
        assert [endpoint.network for endpoint in left.endpoints] == ["dmz"]
        assert not [name for name in records() if "ipam/lan/10" in name or "ports/8" in name]
        assert host.pings("web", "10.8.0.1")
        assert flaws(host) == []


@in_namespaces
def test_network_that_comes_again_is_routed_by_its_own_way() -> None:
    """A rule that was left would lead it by whoever has the interface's name by now."""
    with WiredHost() as host:
        container = host.start("web")
        host.attach(container, on("lan", "dmz"))
        disconnect(host, "lan")
        host.attach(container, on("lan"))

        lan = host.addresses("web", "eth0")[0].partition("/")[0]
        pid = host.sleepers["web"].pid
        assert defaults(host) == [("eth1", "10.8.0.1")]
        assert "dev eth0" in run(f"ip route get 192.0.2.9 from {lan}", pid=pid)
        dmz = host.addresses("web", "eth1")[0].partition("/")[0]
        assert "dev eth1" in run(f"ip route get 192.0.2.9 from {dmz}", pid=pid)
        assert flaws(host) == []


@in_namespaces
def test_disconnect_of_the_last_network_leaves_it_known() -> None:
    """So that no watcher wires it unasked; what it is not on, is said."""
    with WiredHost() as host:
        host.up("web")

        assert disconnect(host, "lan").mode == "none"

        assert list(ip_json("link", host.sleepers["web"].pid)[0]["ifname"]) == list("lo")
        with pytest.raises(NotFoundError, match="not on the network lan"):
            disconnect(host, "lan")
        with host.engine() as engine:
            assert engine.containers.find("web").endpoints == ()
        assert host.stop("web")
        assert records() == []


@in_namespaces
def test_disconnect_of_a_member_takes_the_sandboxes_network() -> None:
    """One sandbox, one record; and its members stay counted."""
    with WiredHost() as host:
        host.up("web", on("lan", "dmz"))
        host.join("log", "web")

        left = disconnect(host, "dmz", "log")

        assert [member.name for member in left.members] == ["log"]
        assert defaults(host) == [("eth0", "10.9.0.1")]


@in_namespaces
def test_disconnect_that_fails_is_finished_by_the_next_check() -> None:
    """What is done stays done, and the default route that is on record is put in."""

    def fail(step: Step) -> None:
        if isinstance(step, ConfigureInside):
            raise KernelError("cannot route", "as the test wants it")

    with WiredHost() as host:
        host.up("web", on("lan", "dmz"), bounded=True)  # else its inside is its own matter
        with host.engine(fail) as engine, pytest.raises(KernelError):
            engine.disconnect("web", "lan")
        assert defaults(host) == []
        with host.engine() as engine:
            assert engine.check(repair=True)
        assert defaults(host) == [("eth1", "10.8.0.1")]


@in_namespaces
def test_sandbox_with_a_default_route_of_its_own_keeps_it() -> None:
    """It is refused with what helps; so told, what comes by our network goes back by it."""
    with WiredHost() as host:
        container = host.start("web")
        pid = host.sleepers["web"].pid
        run("ip link add own type veth peer name far", pid=pid)
        run("ip addr add 192.0.2.2/24 dev own", pid=pid)
        run("ip link set own up", pid=pid)
        run("ip link set far up", pid=pid)
        run("ip route add default via 192.0.2.1 dev own", pid=pid)
        with pytest.raises(KernelError) as refused:
            host.attach(container, on("lan"))
        assert "--no-default-route" in refused.value.hint
        assert link_json("eth0", pid) is None

        host.attach(container, on("lan", default_route=False))

        assert defaults(host) == [("own", "192.0.2.1")]
        lan = host.addresses("web")[0].partition("/")[0]
        assert "dev eth0" in run(f"ip route get 198.51.100.9 from {lan}", pid=pid)
        assert "dev own" in run("ip route get 198.51.100.9", pid=pid)
        assert flaws(host) == []
        assert disconnect(host, "lan").mode == "none"
        assert rules(host) == []
        assert defaults(host) == [("own", "192.0.2.1")]

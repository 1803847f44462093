"""Addresses of IPv6 that somebody takes from a wired sandbox are told of, and put back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from builders import network, on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, link_json, run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.clock import Process
from ocinet.base.errors import SystemFailure
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.settings import Settings
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.engine_calls import EngineCalls
from ocinet.watcher.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Iterator

DUAL, GATEWAY = "dual", "fd00:7::1"
V4, V6 = "10.7.0.2/24", "fd00:7::2/64"
CALLS = EngineCalls(PATHS, lambda _network: {}, Settings)


@contextmanager
def wired(network_name: str = DUAL) -> Iterator[tuple[WiredHost, int, Sandbox]]:
    """Yield a host with a container that is wired, its process, and its sandbox."""
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network(DUAL, "10.7.0.0/24", "fd00:7::/64"))
        host.up("web", on(network_name))
        pid = host.sleepers["web"].pid
        process = Process.of(pid)
        assert process
        with Sandbox.open_process(process) as sandbox:
            yield host, pid, sandbox


def turn_off(pid: int) -> None:
    """Do as Docker 20.10 does in the sandboxes of its `none` containers."""
    run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", pid=pid)


def default_gateway(pid: int) -> list[str]:
    """Return the gateways of the default routes of IPv6 in a sandbox."""
    return [route["gateway"] for route in ip_json("-6 route show default", pid)]


@in_namespaces
def test_lost_addresses_of_two_networks_come_back_with_the_routes_of_each() -> None:
    """What is sent from each of them leaves by its own network, as before."""
    with WiredHost() as host:
        with host.engine() as engine:
            for number, name in ((7, DUAL), (6, "two")):
                engine.records.networks.add(
                    network(name, f"10.{number}.0.0/24", f"fd00:{number}::/64")
                )
        host.up("web", on(DUAL, "two"))
        pid = host.sleepers["web"].pid

        def ways() -> list[tuple[str, str]]:
            routes = ip_json("-6 route show table all default", pid)
            return sorted((route.get("table", ""), route["gateway"]) for route in routes)

        before = ways()
        assert before == [("", GATEWAY), ("28516", GATEWAY), ("28517", "fd00:6::1")]
        turn_off(pid)
        assert ways() == []
        assert CALLS.restore("web-id", started=True)
        assert ways() == before


@in_namespaces
def test_lost_address_is_told_and_comes_back_with_its_routes() -> None:
    """It answers again, and what was there is not touched."""
    with wired() as (host, pid, sandbox):
        losses = CALLS.guard("web-id", sandbox)
        assert losses
        assert not losses.read()
        turn_off(pid)
        assert losses.read()
        assert host.addresses("web") == [V4]

        assert CALLS.restore("web-id", started=True)

        assert host.addresses("web") == [V4, V6]
        assert default_gateway(pid) == [GATEWAY]
        assert host.pings("web", GATEWAY)
        assert host.pings("web", "::1")
        assert not losses.read()
        assert not CALLS.restore("web-id", started=True), "there was nothing to do"
        losses.close()


@in_namespaces
def test_address_lost_before_it_is_guarded_is_put_back() -> None:
    """Nobody tells of what was before."""
    with wired() as (host, pid, sandbox):
        turn_off(pid)
        losses = CALLS.guard("web-id", sandbox)
        assert losses
        losses.close()
        assert host.addresses("web") == [V4, V6]


@in_namespaces
def test_lost_address_comes_back_whether_its_container_can_be_named_or_not() -> None:
    """And it is named when the address can't be had."""

    def fail(*_: object) -> None:
        raise SystemFailure("cannot write", "the disk is full")

    with wired() as (host, pid, _sandbox):
        with host.engine() as engine:
            record = engine.records.attachments.get("web-id")
            assert record
            engine.records.attachments.put(record.replace(unnamed=True))
        assert CALLS.naming_of("web-id") == ("web", True)
        turn_off(pid)
        for act in ("tell_names", "restore_ipv6"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Engine, act, fail)
                with pytest.raises(SystemFailure):
                    CALLS.restore("web-id", started=True)
            assert host.addresses("web") == [V4, V6]
            assert CALLS.naming_of("web-id") == ("web", act == "tell_names")
    assert CALLS.naming_of("nobody") == ("", False)


@in_namespaces
def test_container_without_ipv6_is_not_guarded() -> None:
    """It costs those nothing."""
    with wired("lan") as (_host, _pid, sandbox):
        assert CALLS.guard("web-id", sandbox) is None
        assert not CALLS.restore("web-id", started=True)
        assert CALLS.guard("nobody", sandbox) is None


@in_namespaces
def test_another_sandbox_gets_nothing() -> None:
    """A later life of the same container is not what was recorded."""
    with wired() as (host, _pid, _sandbox):
        process = Process.of(host.start("other").process.pid)  # type: ignore[union-attr]  # it lives
        assert process
        with Sandbox.open_process(process) as other:
            losses = CALLS.guard("web-id", other)
            assert losses
            losses.close()
        assert link_json("eth0", process.pid) is None


@in_namespaces
def test_lookout_tells_of_losses_until_it_is_told_otherwise() -> None:
    """Each time; and no more after the container's start."""
    failures: list[BaseException] = []
    lost: list[str] = []
    lookout = Lookout(Cgroups(), lambda _container: None, failures.append)
    lookout.start()
    try:
        with wired() as (host, pid, sandbox):
            losses = CALLS.guard("web-id", sandbox)
            assert losses
            lookout.guard("web-id", losses, lambda: lost.append("web"))
            for times in (1, 2):
                turn_off(pid)
                wait_until(lambda times=times: len(lost) >= times, "word of the loss")  # type: ignore[misc]  # bound
                CALLS.restore("web-id", started=True)
                assert host.addresses("web") == [V4, V6]
            told = len(lost)
            lookout.release("web-id")
            turn_off(pid)
            run("sleep", "0.1")
            assert len(lost) == told
    finally:
        lookout.stop()
    assert failures == []

"""Limits of how fast containers send and are sent to: measured on a real host."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from builders import on
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, link_json, run
from hosts.namespace.wired_host import WiredHost, records
from ocinet.base.errors import KernelError
from ocinet.engine.model.bandwidth import Bandwidth, Limit, shaper_of
from ocinet.engine.plan.shaping_steps import Shape
from ocinet.engine.plan.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.model.attachment import Attachment

RATE = Limit(16_000_000, 65_536)
BOTH = Bandwidth(RATE, RATE)
_SOME_S = 0.7


@contextmanager
def connected(host: WiredHost, name: str = "web") -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield the host's end of a connection, and a container's."""
    with entered(host.sleepers[name].pid):
        inner = socket.socket()
    with inner, socket.create_server(("10.9.0.1", 0)) as server:
        inner.connect(server.getsockname())
        outer, _peer = server.accept()
        with outer:
            yield outer, inner


def passed(sender: socket.socket, receiver: socket.socket) -> tuple[int, float]:
    """Send as much as passes in a while; return the bytes that arrived, and in how many seconds."""
    ended = threading.Event()
    sender.settimeout(0.05)
    receiver.settimeout(0.05)

    def pump() -> None:
        while not ended.is_set():
            try:
                sender.send(bytes(65536))
            except TimeoutError:
                continue

    thread = threading.Thread(target=pump)
    began = time.monotonic()
    thread.start()
    count = 0
    while time.monotonic() < began + _SOME_S:
        try:
            count += len(receiver.recv(1 << 20))
        except TimeoutError:
            continue
    took = time.monotonic() - began
    ended.set()
    thread.join()
    return count, took


def is_held_to(limit: Limit, host: WiredHost, *, sends: bool) -> bool:
    """Tell whether a half of the rate passes at least; more than the limit never does.

    TCP may lose a second with what it has lost, and a busy machine as well: so whoever asks
    gets a few tries, each with a connection of its own.
    """
    for _try in range(5):
        with connected(host) as (outer, inner):
            count, took = passed(inner, outer) if sends else passed(outer, inner)
        assert count <= limit.rate / 8 * took + limit.burst, f"{count} bytes in {took:.2f} s"
        if count >= limit.rate / 8 * took / 2:
            return True
    return False


def present(host: WiredHost, record: Attachment) -> Bandwidth | None:
    """Return the limits that the kernel has."""
    with host.engine() as engine:
        return engine.host.shaping().present(record.endpoints[0].host_ifname)


def shapers() -> list[str]:
    """Return the host's links for what containers send."""
    return [link["ifname"] for link in ip_json("link") if link["ifname"].startswith("oi")]


@in_namespaces
def test_bandwidth_holds_in_both_directions() -> None:
    """And a container without any is not held."""
    with WiredHost() as host:
        web = host.up("web", on("lan", bandwidth=BOTH))
        host.up("db")
        assert present(host, web) == BOTH
        assert is_held_to(RATE, host, sends=False)
        assert is_held_to(RATE, host, sends=True)
        with connected(host, "db") as (outer, inner):
            assert passed(inner, outer)[0] > RATE.rate / 8 * _SOME_S * 2
        with host.engine() as engine:
            assert engine.check() == ()


@in_namespaces
def test_bandwidth_of_one_direction_leaves_the_other() -> None:
    """What is sent has a link of its own; what is received has none."""
    with WiredHost() as host:
        web = host.up("web", on("lan", bandwidth=Bandwidth(None, RATE)))
        assert shapers() == [shaper_of(web.endpoints[0].host_ifname)]
        assert is_held_to(RATE, host, sends=True)
        with connected(host) as (outer, inner):
            assert passed(outer, inner)[0] > RATE.rate / 8 * _SOME_S * 2


@in_namespaces
def test_attach_again_changes_the_bandwidth_of_who_runs() -> None:
    """A direction that is not said stays, `none` ends one, and connections live on."""
    half = Limit(RATE.rate // 2, RATE.burst)
    with WiredHost() as host:
        container = host.start("web")
        web = host.attach(container, on("lan"))
        assert present(host, web) is None
        with connected(host) as (outer, inner):
            for asked, limits in (
                (BOTH, BOTH),
                (Bandwidth(outward=half), Bandwidth(RATE, half)),
                (Bandwidth(Limit(0)), Bandwidth(None, half)),
            ):
                again = host.attach(container, on("lan", bandwidth=asked))
                assert again.endpoints == (web.endpoints[0].replace(bandwidth=limits),)
                assert present(host, web) == limits
            inner.sendall(b"x" * 10_000)
            outer.settimeout(10)
            assert outer.recv(10)
        assert host.attach(container, on("lan")) == again
        host.attach(container, on("lan", bandwidth=Bandwidth(Limit(0), Limit(0))))
        assert present(host, web) is None
        assert shapers() == []


@pytest.mark.parametrize(
    "fault",
    ["tc qdisc del dev END root", "tc qdisc del dev END clsact", "ip link del SHAPER",
     "tc qdisc del dev SHAPER root", "ip link set SHAPER down",
     "tc qdisc replace dev END root handle 6f63: tbf rate 1gbit burst 64k limit 1m"],
)  # fmt: skip
@in_namespaces
def test_check_puts_the_bandwidth_back(fault: str) -> None:
    """Whatever of it others have taken; the guard of the port is where it was."""
    with WiredHost() as host:
        web = host.up("web", on("lan", bandwidth=BOTH))
        end = web.endpoints[0].host_ifname
        run(fault.replace("END", end).replace("SHAPER", shaper_of(end)))
        with host.engine() as engine:
            told = [finding.what for finding in engine.check()]
            assert f"{end}, the host end of eth0, has not its bandwidth" in told
            assert engine.check(repair=True)
            assert engine.check() == ()
        assert present(host, web) == BOTH
        assert "pref 1 " in run(f"tc filter show dev {end} ingress")


@in_namespaces
def test_bandwidth_goes_with_the_container_however_it_ends() -> None:
    """By detach, by what fails in an attach, and by gc after a kill."""

    def fail(step: Step) -> None:
        if isinstance(step, Shape) and step.bandwidth == BOTH:
            raise KernelError("cannot limit", "as the test wants it")

    def die(step: Step) -> None:
        if isinstance(step, Shape) and step.bandwidth == BOTH:
            raise SystemExit

    with WiredHost() as host:
        host.up("web", on("lan", bandwidth=BOTH))
        assert len(shapers()) == 1
        assert host.stop("web")
        assert shapers() == []
        container = host.start("db")
        request = on("lan", "dmz", bandwidth=BOTH)
        first, second = request.endpoints
        request = request.replace(
            endpoints=(first.replace(bandwidth=Bandwidth(None, RATE)), second)
        )
        with pytest.raises(KernelError):
            host.attach(container, request, trace=fail)
        assert shapers() == records() == []
        with pytest.raises(SystemExit):
            host.attach(container, request, trace=die)
        assert len(shapers()) == 1
        host.sleepers.pop("db").end()
        host.gc()
        assert shapers() == records() == []
        # Nobody's at all: its link is gone, and so is its record.
        run("ip link add oi0123456789abc group 28515 type ifb")
        assert ("link", "oi0123456789abc") in host.gc()
        assert shapers() == []


@in_namespaces
def test_plan_prints_commands_that_limit_alike() -> None:
    """As a script, once and again, and its inverse."""
    with WiredHost() as host:
        web = host.up("web")
        end = web.endpoints[0].host_ifname
        step = Shape(end, BOTH, None, "ocinet:web-id/eth0")
        run("sh", "-ec", "\n".join(step.describe()))
        assert present(host, web) == BOTH
        shaper = link_json(shaper_of(end))
        assert shaper
        assert shaper["ifalias"] == "ocinet:web-id/eth0"
        other = step.replace(bandwidth=Bandwidth(RATE), before=BOTH)
        run("sh", "-ec", "\n".join(other.describe()))
        assert present(host, web) == Bandwidth(RATE)
        assert shapers() == []
        run(
            "sh", "-ec", "\n".join(other.replace(bandwidth=None, before=Bandwidth(RATE)).describe())
        )
        assert present(host, web) is None

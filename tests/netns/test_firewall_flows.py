"""UDP flows that are under way when a port is published or moves on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.bridged_host import EVERY, HOST, BridgedHost, address, network_rules
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.address import Address
from ocinet.engine.firewall import conntrack
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.model.endpoint import PortRule

if TYPE_CHECKING:
    from collections.abc import Callable


def _port(name: str, family: int, host: str = "") -> PortRule:
    at = Address.parse(host) if host else None
    return PortRule("udp", at, EVERY, Address.parse(address(name, family)), 80)


def _asking(client: socket.socket) -> str:
    client.send(b"?")
    try:
        return client.recv(100).decode().split()[0]
    except OSError:
        return ""


def _flush(firewall: Firewall, port: PortRule) -> None:
    firewall.flush_udp((port,))


def _flush_listed(firewall: Firewall, port: PortRule) -> None:
    with NetfilterSocket() as netfilter:
        conntrack.flush_udp_listed(
            netfilter, port.address.family, port.host_address, port.host_port
        )


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("flush", [_flush, _flush_listed])
@pytest.mark.parametrize("specific", [False, True])
@in_namespaces
def test_flow_goes_to_the_new_container_only_once_it_is_forgotten(
    family: int, flush: Callable[[Firewall, PortRule], None], specific: bool
) -> None:
    """A client that keeps talking is at the old container until its flow is flushed."""
    host = HOST[family] if specific else ""
    with BridgedHost(bridge_nf=True) as world, Firewall() as firewall:
        firewall.open(network_rules(), (_port("a", family, host),))
        for name in "ab":
            world.serve(name, 80)
        with world.open_socket("neighbour", "udp", family) as client:
            client.settimeout(0.3)
            client.connect((HOST[family], EVERY))
            assert _asking(client) == "a"
            firewall.close((_port("a", family, host),))
            firewall.open((), (_port("b", family, host),))
            assert _asking(client) == "a"
            flush(firewall, _port("b", family, host))
            assert _asking(client) == "b"


@pytest.mark.parametrize("flush", [_flush, _flush_listed])
@in_namespaces
def test_flow_to_a_port_that_was_not_open_meets_the_container_after_a_flush(
    flush: Callable[[Firewall, PortRule], None],
) -> None:
    """A client that has been talking to nobody meets who publishes the port."""
    with BridgedHost(bridge_nf=False) as world, Firewall() as firewall:
        firewall.open(network_rules(), ())
        world.serve("a", 80)
        with world.open_socket("neighbour", "udp", 4) as client:
            client.settimeout(0.3)
            client.connect((HOST[4], EVERY))
            assert _asking(client) == ""
            firewall.open((), (_port("a", 4),))
            assert _asking(client) == ""
            flush(firewall, _port("a", 4))
            assert _asking(client) == "a"


ASKED = ("udp", "192.0.2.1", EVERY)
ASKED6 = ("udp", "2001:db8::1", EVERY)
ELSEWHERE = ("udp", "192.0.2.9", EVERY)
ELSEWHERE6 = ("udp", "2001:db8::9", EVERY)
OTHERS = (
    ("tcp", "192.0.2.1", EVERY),
    ("udp", "192.0.2.1", 9999),
    ("tcp", "2001:db8::1", EVERY),
)


def _make_flows(flows: tuple[tuple[str, str, int], ...]) -> None:
    for protocol, to, port in flows:
        state = ["--state", "ESTABLISHED"] if protocol == "tcp" else []
        source = "2001:db8::2" if ":" in to else "192.0.2.2"
        run("conntrack", "-I", "-p", protocol, "-s", source, "-d", to,
           "--sport", "4000", "--dport", str(port), "--timeout", "60", *state)  # fmt: skip


def _flows() -> set[tuple[str, str, int]]:
    listed = run("conntrack", "-L", "-f", "ipv4") + run("conntrack", "-L", "-f", "ipv6")
    found = set()
    for line in listed.splitlines():
        said = dict(reversed([word.split("=") for word in line.split() if "=" in word]))
        found.add((line.split()[0], said["dst"], int(said["dport"])))
    return found


@pytest.mark.parametrize(
    ("flush", "port", "forgotten"),
    [
        (_flush, _port("a", 4, "192.0.2.1"), {ASKED}),
        (_flush_listed, _port("a", 4, "192.0.2.1"), {ASKED}),
        (_flush, _port("a", 4), {ASKED, ELSEWHERE}),
        (_flush_listed, _port("a", 4), {ASKED, ELSEWHERE}),
        (_flush, _port("a", 6), {ASKED6, ELSEWHERE6}),
        (_flush_listed, _port("a", 6), {ASKED6, ELSEWHERE6}),
        # the kernel can't tell IPv6 addresses apart here: see conntrack
        (_flush, _port("a", 6, "2001:db8::1"), {ASKED6, ELSEWHERE6}),
        (_flush_listed, _port("a", 6, "2001:db8::1"), {ASKED6}),
        (_flush, _port("a", 4).replace(protocol="tcp"), set()),
    ],
)
@pytest.mark.needs("conntrack")
@in_namespaces
def test_flush_forgets_what_was_asked_for_and_nothing_else(
    flush: Callable[[Firewall, PortRule], None],
    port: PortRule,
    forgotten: set[tuple[str, str, int]],
) -> None:
    """Flows of another port, protocol, address or family stay."""
    flows = (ASKED, ASKED6, ELSEWHERE, ELSEWHERE6, *OTHERS)
    _make_flows(flows)
    with Firewall() as firewall:
        flush(firewall, port)
    assert set(flows) - _flows() == forgotten


@in_namespaces
def test_flush_with_nothing_to_forget_is_fine() -> None:
    """No flow, no error."""
    with Firewall() as firewall:
        firewall.flush_udp((_port("a", 4), _port("a", 6)))

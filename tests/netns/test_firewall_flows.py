"""UDP flows that are under way when a port is published or moves on."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from sys import byteorder
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.bridged_host import EVERY, HOST, BridgedHost, address, network_rules
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UPLINK, UplinkedHost
from hosts.namespace.wired_host import PATHS
from ocinet.base.address import Address
from ocinet.engine.engine import Engine
from ocinet.engine.firewall import conntrack
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.nfnetlink import family_header, nested
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.request import EndpointRequest, Request
from ocinet.engine.netlink.framing import NLM_F_ACK, attribute, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    firewall.forget_flows((port,))


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
        firewall.forget_flows((_port("a", 4), _port("a", 6)))


# Who asks whom, and who answers, as the entry has it: out by NAT, in by a published port, in
# from the host; and some of others.
OUT = ("10.9.0.5", "192.0.2.9", "192.0.2.9")
IN = ("192.0.2.9", "192.0.2.1", "10.9.0.5")
DIRECT = ("10.9.0.1", "10.9.0.5", "10.9.0.5")
OTHER = ("10.9.0.50", "192.0.2.9", "192.0.2.9")
OTHER_IN = ("192.0.2.9", "192.0.2.1", "10.9.0.50")
OUT6 = ("fd00:9::5", "2001:db8::9", "2001:db8::9")
IN6 = ("2001:db8::9", "2001:db8::1", "fd00:9::5")
OTHER6 = ("fd00:9::50", "2001:db8::9", "2001:db8::9")


def _flush_of(address: str, *, listed: bool) -> None:
    wanted = Address.parse(address)
    with NetfilterSocket() as netfilter:
        if listed:
            conntrack.flush_addresses_listed(netfilter, wanted.family, (wanted,))
        else:
            conntrack.flush_addresses(netfilter, (wanted,))


def _ends() -> set[tuple[str, str, str]]:
    found = set()
    for family in ("ipv4", "ipv6"):
        for line in run("conntrack", "-L", "-f", family).splitlines():
            words = [word.partition("=") for word in line.split()]
            sources = [value for key, _, value in words if key == "src"]
            targets = [value for key, _, value in words if key == "dst"]
            found.add((sources[0], targets[0], sources[1]))
    return found


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.needs("conntrack")
@in_namespaces
def test_flush_of_an_address_forgets_its_flows_and_no_others(protocol: str, listed: bool) -> None:
    """What it began and what it answered, through NAT or not; of either family."""
    flows = (OUT, IN, DIRECT, OTHER, OTHER_IN, OUT6, IN6, OTHER6)
    for port, (source, target, answers) in enumerate(flows, 4000):
        state = ["--state", "ESTABLISHED"] if protocol == "tcp" else []
        run("conntrack", "-I", "-p", protocol, "-s", source, "-d", target,
            "--reply-src", answers, "--reply-dst", source,
            "--sport", str(port), "--dport", "53", "--reply-port-src", "53",
            "--reply-port-dst", str(port), "--timeout", "60", *state)  # fmt: skip
    assert _ends() == set(flows)
    _flush_of("10.9.0.5", listed=listed)
    assert _ends() == {OTHER, OTHER_IN, OUT6, IN6, OTHER6}
    _flush_of("fd00:9::5", listed=listed)
    assert _ends() == {OTHER, OTHER_IN, OTHER6}


@pytest.mark.needs("conntrack")
@in_namespaces
def test_request_by_address_of_ipv6_takes_all_others() -> None:
    """Why those are listed. Where this fails, the kernel has it right: one request will do."""
    for port, source in ((4000, "fd00:9::5"), (4001, "fd00:9::50")):
        run("conntrack", "-I", "-p", "udp", "-s", source, "-d", "2001:db8::9",
            "--sport", str(port), "--dport", "53", "--timeout", "60")  # fmt: skip
    chosen = attribute(1, (1).to_bytes(4, byteorder))  # CTA_FILTER_ORIG_FLAGS: by CTA_IP_SRC
    asked = nested(1, nested(1, attribute(3, Address.parse("fd00:9::5").packed)))
    body = family_header(socket.AF_INET6, 1) + asked + nested(25, chosen)
    with NetfilterSocket() as netfilter:
        netfilter.ask(message(0x102, NLM_F_ACK, 1, body), 1)  # IPCTNL_MSG_CT_DELETE
    assert {ends[0] for ends in _ends()} == {"fd00:9::5"}


@pytest.mark.parametrize("listed", [False, True])
@in_namespaces
def test_flush_of_an_address_without_flows_is_fine(listed: bool) -> None:
    """Also where nothing was ever tracked."""
    for text in ("10.9.0.5", "fd00:9::5"):
        _flush_of(text, listed=listed)


class _Unforgetting(Firewall):
    """A firewall that forgets no flows."""

    def forget_flows(self, *_what: object, **_more: object) -> None:
        """Forget nothing."""


@contextmanager
def _sockets(host: UplinkedHost, name: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Open a socket of a container's at a port, and one of the neighbour's."""
    with entered(host.sleepers[name].pid):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with entered(host.sleepers["neighbour"].pid):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with own, other:
        own.bind(("", 4444))
        other.bind((NEIGHBOUR, 9))
        for opened in (own, other):
            opened.settimeout(0.5)
        yield own, other


@pytest.mark.parametrize("forgets", [True, False])
@in_namespaces
def test_datagram_for_a_container_that_is_gone_meets_no_successor(forgets: bool) -> None:
    """What it sent out is answered to its address, and another one bears that by now."""
    wish = Request("bridge", endpoints=(EndpointRequest("lan", (Address.parse("10.9.0.50"),)),))
    with UplinkedHost() as host:
        host.up("first", wish)
        with _sockets(host, "first") as (own, other):
            own.sendto(b"hello", (NEIGHBOUR, 9))
            _data, seen_from = other.recvfrom(100)
        assert seen_from == (UPLINK, 4444)
        if forgets:
            host.stop("first")
        else:
            host.sleepers.pop("first").end()
            with host.engine() as engine:
                firewall = _Unforgetting()
                seams = engine.host.replace(firewall=firewall)
                closing = (*engine.to_close, firewall.disconnect)
                Engine(PATHS, engine.operation, seams, engine.records, closing).detach("first-id")
        host.up("second", wish)
        with _sockets(host, "second") as (own, other):
            other.sendto(b"for the first", seen_from)
            if forgets:
                with pytest.raises(TimeoutError):
                    own.recv(100)
            else:
                assert own.recv(100) == b"for the first"

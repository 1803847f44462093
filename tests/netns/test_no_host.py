"""A network without the host: what its containers get of it, and what each rule is for."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp
from hosts.namespace.bridged_host import chains_of_table
from hosts.namespace.entered import entered
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import UPLINK, UplinkedHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GATEWAY, GATEWAY_6 = "10.7.0.1", "fd00:7::1"
SERVICE, DHCP, DNS = 9001, 67, 53
CHAINS = ("services", "names")
_NAMED, _DNS = "iifname @named", "meta l4proto { tcp, udp } th dport 53 accept"
_PATIENCE_S = 0.5
_TCP, _UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


class Shut(UplinkedHost):
    """A host with a container on a network without it, and one on another network."""

    def __init__(self) -> None:
        super().__init__()
        with self.engine() as engine:
            shut = network("shut", "10.7.0.0/24", "fd00:7::/64", host=False)
            engine.records.networks.add(shut)
        self.up_serving("web", on("shut", publish=(tcp(8080),)))
        self.up("open", on("lan"))

    def gets(self, name: str, kind: int, address: str, port: int, *, within: str = "") -> bool:
        """Tell whether what one sends comes to a socket of the host's, or of another one."""
        with _listening(kind, address, port, self.sleepers[within].pid if within else 0) as server:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            place = entered(self.sleepers[name].pid) if name else entered(_own_pid())
            with place:
                client = socket.socket(family, kind)
            with client:
                client.settimeout(_PATIENCE_S)
                try:
                    client.connect((address, port))
                    client.send(b"?")
                    if kind == _TCP:
                        return True
                    server.recv(10)
                except OSError:
                    return False
                return True

    def connects(self, name: str, address: str, port: int) -> bool:
        """Tell whether a container gets a connection to whoever serves there already."""
        with entered(self.sleepers[name].pid):
            client = socket.socket(socket.AF_INET, _TCP)
        with client:
            client.settimeout(_PATIENCE_S)
            return client.connect_ex((address, port)) == 0


def _own_pid() -> int:
    import os

    return os.getpid()


@contextmanager
def _listening(kind: int, address: str, port: int, pid: int) -> Iterator[socket.socket]:
    with entered(pid or _own_pid()):
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    with server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.settimeout(_PATIENCE_S)
        server.bind((address, port))
        if kind == _TCP:
            server.listen()
        yield server


def _serves(host: Shut) -> bool:
    ways = [(kind, at) for kind in (_TCP, _UDP) for at in (GATEWAY, GATEWAY_6, UPLINK)]
    got = {host.gets("web", kind, at, SERVICE) for kind, at in ways}
    assert len(got) == 1, "one of the host's addresses is another than the others"
    return got.pop()


def _asks_elsewhere_by_ipv6(host: Shut) -> bool:
    if "six" not in host.sleepers:
        with host.engine() as engine:
            engine.records.networks.add(network("six", "10.5.0.0/24", "fd00:5::/64"))
        host.up("six", on("six"))
    assert host.gets("six", _TCP, "fd00:5::1", DNS)
    return host.gets("six", _TCP, GATEWAY_6, DNS)


# The rule, what is asked, and the answer with it: without the rule it is the other.
RULES: dict[str, tuple[Callable[[Shut], bool], bool]] = {
    "drop": (_serves, False),
    'meta l4proto { tcp, udp } th dport 53 iif != "lo" jump names': (
        lambda host: host.gets("open", _TCP, GATEWAY, DNS), False),
    "ip daddr @served4 ip daddr . iifname != @home4 drop": (
        lambda host: host.gets("open", _UDP, GATEWAY, DNS), False),
    "ip6 daddr @served6 ip6 daddr . iifname != @home6 drop": (
        _asks_elsewhere_by_ipv6, False),
    "iifname != @hostless accept": (
        lambda host: host.gets("open", _TCP, "10.9.0.1", SERVICE), True),
    "ct state established,related accept": (
        lambda host: host.gets("", _TCP, "10.7.0.2", SERVICE, within="web"), True),
    "meta l4proto { 1, 58 } accept": (
        lambda host: host.pings("web", GATEWAY) and host.pings("web", GATEWAY_6), True),
    "udp dport { 67, 547 } accept": (
        lambda host: host.gets("web", _UDP, GATEWAY, DHCP), True),
    f"{_NAMED} ip daddr . iifname @home4 {_DNS}": (
        lambda host: host.gets("web", _UDP, GATEWAY, DNS), True),
    f"{_NAMED} ip6 daddr . iifname @home6 {_DNS}": (
        lambda host: host.gets("web", _TCP, GATEWAY_6, DNS), True),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@in_namespaces
def test_network_without_the_host_gets_what_each_rule_says(rule: str) -> None:
    """With the rule it is so; with this one taken out it is the other way round."""
    ask, whole = RULES[rule]
    with Shut() as host:
        assert ask(host) is whole
        chain = next(name for name in CHAINS if rule in chains_of_table()[name])
        listed = json.loads(run(f"nft -j list chain inet ocinet {chain}"))["nftables"]
        handles = [what["rule"]["handle"] for what in listed if "rule" in what]
        handle = handles[chains_of_table()[chain].index(rule)]
        run(f"nft delete rule inet ocinet {chain} handle {handle}")
        assert ask(host) is not whole


@in_namespaces
def test_network_without_the_host_reaches_published_ports_and_the_outside() -> None:
    """They are no services of the host's."""
    with Shut() as host:
        assert host.connects("web", UPLINK, 8080)
        assert host.connects("open", UPLINK, 8080)
        assert host.pings("web", "192.0.2.2")


@in_namespaces
def test_published_port_53_is_open_to_all_and_to_other_networks() -> None:
    """It is no gateway's by the time that names are kept to their networks."""
    with Shut() as host:
        host.up_serving("resolver", on("lan", publish=(tcp(53),)))
        assert host.connects("open", UPLINK, DNS)
        assert host.connects("open", GATEWAY, DNS)


@in_namespaces
def test_network_without_the_host_asks_for_names_at_its_gateway_alone() -> None:
    """And nowhere, if no names are served on it."""
    with Shut() as host:
        assert not host.gets("web", _UDP, UPLINK, DNS)
        with host.engine() as engine:
            mute = network("mute", "10.6.0.0/24", host=False, dns=False)
            engine.records.networks.add(mute)
        host.up("quiet", on("mute"))
        assert not host.gets("quiet", _UDP, "10.6.0.1", DNS)


def test_every_rule_is_proven() -> None:
    """No rule is in the chains at input that the tests would not miss."""
    assert {rule for name in CHAINS for rule in chains_of_table()[name]} == set(RULES)

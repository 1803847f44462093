"""Free host ports, where the host has few of them."""

from __future__ import annotations

import socket

import pytest

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.clock import Deadline
from ocinet.base.errors import ExhaustedError
from ocinet.base.paths import Paths
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.model.request import Publish
from ocinet.engine.records.port_claims import PortClaims


def narrow() -> PortClaims:
    """Let the range be 20000 to 20002, with 20001 kept by the admin; returns no claims."""
    run("sysctl -qw net.ipv4.ip_local_reserved_ports=80,20001,30000-30009")
    for key, value in {"ip_local_port_range": "20000 20002"}.items():
        with open(f"/proc/sys/net/ipv4/{key}", "w", encoding="ascii") as parameter:
            parameter.write(value)
    return PortClaims(Paths(run="/run/ocinet"), ListeningSockets(), deadline=Deadline(5))


def free(claims: PortClaims, container: str, *ports: int) -> list[int]:
    """Claim ports, 0 for a free one, and return them."""
    wanted = tuple(Publish("tcp", None, port, 80) for port in ports)
    return [rule.host_port for rule in claims.claim(container, container, wanted)]


@in_namespaces
def test_claim_of_port_0_never_takes_what_is_in_use() -> None:
    """Claimed, reserved and listened-on ports are passed over; then there is none."""
    claims = narrow()
    got = free(claims, "c0", 0) + free(claims, "c1", 0)

    assert sorted(got) == [20000, 20002]
    with pytest.raises(ExhaustedError, match="no tcp port of 20000 to 20002 is free"):
        free(claims, "c2", 0)
    claims.release_all("c0")
    with socket.create_server(("127.0.0.1", got[0])), pytest.raises(ExhaustedError):
        free(claims, "c2", 0)
    assert free(claims, "c2", 0) == got[:1]


@in_namespaces
def test_claim_of_port_0_beside_a_fixed_one_takes_another() -> None:
    """The fixed ports of a request come first, wherever they stand in it."""
    for _turn in range(4):
        claims = narrow()
        assert free(claims, "c0", 0, 20000) == [20002, 20000]
        claims.release_all("c0")


@in_namespaces
def test_claim_sees_sockets_of_its_own_namespace_alone() -> None:
    """A port that is free here may be in use elsewhere."""
    claims = narrow()

    assert free(claims, "c0", 22) == [22]

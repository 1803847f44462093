"""What other kernels do not have: SCTP, and bridges that filter VLANs."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vm.guest.machine import (
    HOST,
    OUTSIDE,
    UNIT,
    Container,
    ask,
    bind_refusal,
    journal,
    remove,
    run,
    said,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
server.bind(("0.0.0.0", 9000))
server.listen()
while True:
    client, _ = server.accept()
    client.sendall(b"sctp")
    client.close()
"""
_CLIENT = f"""
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
client.settimeout(20)
client.connect(("{HOST}", 9000))
print(client.recv(10).decode())
"""


@contextmanager
def _serving(*where: str) -> Iterator[int]:
    """Serve SCTP at port 9000; gives the process."""
    server = subprocess.Popen([*where, "python3", "-c", _SERVER])
    try:
        wait_until(lambda: run(*where, "ss", "-HlnS", "sport", "=", "9000"), "it listens")
        yield server.pid
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def sctp() -> Iterator[Container]:
    """A container that has 9000/sctp published."""
    web = Container.start("docker", "sctp", "-p", "9000:9000/sctp")
    web.address()
    yield web
    web.remove()


def _is_held(kind: str, address: str = "0.0.0.0", port: int = 9000, *, reuse: bool = True) -> bool:
    return bind_refusal(kind, address, port, reuse=reuse) == "Address already in use"


def test_host_that_publishes_no_sctp_has_none_loaded(pair: tuple[Container, Container]) -> None:
    """Ports of TCP that are held, and a look for who listens, load no module of SCTP."""
    run("systemctl", "restart", UNIT)
    said("ocinet", "check")
    wait_until(lambda: bind_refusal("TCP", "0.0.0.0", 8080), "it is held")
    assert not Path("/sys/module/sctp").exists()


def test_sctp_port_is_held_and_reached_from_outside(sctp: Container) -> None:
    """A published SCTP port is held, and takes associations from the neighbour all the same."""
    wait_until(lambda: _is_held("SCTP"), "it is held")
    with _serving(*sctp.inside):
        assert said(*OUTSIDE, "python3", "-c", _CLIENT).strip() == "sctp"
    for kind in ("SCTP", "SCTP to many"):
        for address in ("0.0.0.0", HOST, "127.0.0.1"):
            for reuse in (False, True):
                assert _is_held(kind, address, reuse=reuse), (kind, address, reuse)
    assert not _is_held("SCTP", port=9001)
    # Of another protocol it is another port.
    assert not _is_held("TCP")
    # Nobody is shown a listener: the next attach would refuse the port.
    assert run("ss", "-HlnS", "sport", "=", "9000") == ""
    sctp.remove()
    wait_until(lambda: not _is_held("SCTP"), "it is free")


def test_sctp_port_without_a_table_is_refused(sctp: Container) -> None:
    """With the watcher's socket alone at a port, who connects gets an answer of nobody."""
    wait_until(lambda: _is_held("SCTP"), "it is held")
    # Stopped, it has its sockets still, and repairs nothing.
    run("systemctl", "kill", "--signal=STOP", UNIT)
    try:
        run("nft", "delete", "table", "inet", "ocinet")
        assert "ConnectionRefusedError" in said(*OUTSIDE, "python3", "-c", _CLIENT)
    finally:
        run("systemctl", "kill", "--signal=CONT", UNIT)
    with _serving(*sctp.inside):
        wait_until(
            lambda: said(*OUTSIDE, "python3", "-c", _CLIENT).strip() == "sctp", "it is repaired"
        )


def test_sctp_service_of_the_host_is_named() -> None:
    """An SCTP port that the host serves is refused to a container, as one of TCP would be."""
    with _serving() as server:
        late = Container.start("docker", "late", "-p", "9000:9000/sctp")
        wait_until(lambda: f"process {server}" in said("ocinet", "ps", "--all"), "it is refused")
        late.remove()


def test_sctp_service_behind_a_published_port_is_named(sctp: Container) -> None:
    """One that began without a watcher: `check` names it, the watcher does, and waits for it."""
    run("systemctl", "stop", UNIT)
    with _serving() as server:
        told = said("ocinet", "check")
        assert "the host listens at 0.0.0.0:9000 too" in told
        assert "ocinet unpublish sctp 9000:9000/sctp" in told
        run("systemctl", "start", UNIT)
        wait_until(lambda: f"process {server}" in journal(UNIT), "the watcher names it")
    wait_until(lambda: _is_held("SCTP"), "it is held")
    assert "the host listens" not in said("ocinet", "check")


def _vlan_bridge(name: str, subnet: str, *options: str) -> None:
    flags = ("type", "bridge", "vlan_filtering", "1", *options)
    run("ip", "link", "add", name, *flags)
    run("ip", "address", "add", f"{subnet}.1/24", "dev", name)
    run("ip", "link", "set", name, "up")
    run("ocinet", "network", "create", name, "--bridge", name, "--unmanaged")


def test_adopted_bridge_that_filters_vlans_carries_its_containers() -> None:
    """With the bridge's default VLAN containers and host meet; what Docker's rules drop is told."""
    # As Docker sets it at its start; `ufw disable` has left ACCEPT behind.
    run("iptables", "-P", "FORWARD", "DROP")
    _vlan_bridge("vlans", "10.98.0")
    web = Container.start("docker", "vlan1", "--label", "ocinet.net=vlans")
    other = Container.start("docker", "vlan2", "--label", "ocinet.net=vlans")
    address = web.address()
    other.address()  # its watcher may be as slow as all that is emulated
    assert ask((), address) == "vlan1"
    # Docker's FORWARD drops what is bridged as well: that bridge's owner may mean it.
    assert ask(other.inside, address) == ""
    assert "what containers on vlans send each other" in journal("ocinet-watcher")
    between = ("DOCKER-USER", "-i", "vlans", "-o", "vlans", "-j", "ACCEPT")
    run("iptables", "-I", *between)
    assert ask(other.inside, address) == "vlan1"
    run("iptables", "-D", *between)
    web.remove()
    other.remove()
    run("ocinet", "network", "rm", "vlans")
    run("ip", "link", "del", "vlans")


def test_adopted_bridge_without_a_default_vlan_is_told() -> None:
    """A port that belongs to no VLAN carries nothing: the attach says so, and what to do."""
    _vlan_bridge("novlan", "10.97.0", "vlan_default_pvid", "0")
    flags = ("-d", "--name", "vlan3", "--net=none", "--annotation", "ocinet.net=novlan")
    run("podman", "run", *flags, "lab/web:latest", "serve", "vlan3", check=False)
    told = said("ocinet", "events") + said("journalctl", "-b", "-o", "cat", "-u", "ocinet-watcher")
    remove("podman", "vlan3")
    run("ocinet", "network", "rm", "novlan", check=False)
    run("ip", "link", "del", "novlan")
    assert "VLAN" in told

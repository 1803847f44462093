"""Listening sockets, by netlink and by /proc."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import KernelError
from ocinet.engine.kernel.listeners import (
    listed_in_proc,
    listeners,
    name_process,
    sctp_endpoints,
)
from ocinet.engine.model.listener import Listener


@pytest.fixture
def server() -> socket.socket:
    """Return a socket that listens on the loopback address."""
    return socket.create_server(("127.0.0.1", 0))


def test_listeners_finds_a_socket_by_port(server: socket.socket) -> None:
    """One port alone, and all of them; the inode is the descriptor's."""
    with server:
        port = server.getsockname()[1]
        found = listeners("tcp", port)
        inode = os.fstat(server.fileno()).st_ino

        assert found == (
            Listener("tcp", Address.parse("127.0.0.1"), port, dual=False, inode=inode),
        )
        assert found[0] in listeners("tcp")
        assert str(found[0]) == f"127.0.0.1:{port}/tcp"
    assert listeners("tcp", port) == ()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_listeners_agree_with_proc(protocol: str, server: socket.socket) -> None:
    """The two ways to ask give the same, but for what /proc can't tell."""
    with (
        server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two,
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True),
    ):
        one.bind(("127.0.0.1", 0))
        two.bind(("::1", 0))
        mine = {os.fstat(each.fileno()).st_ino for each in (server, one, two)}

        by_netlink = {each for each in listeners(protocol) if each.inode in mine}  # type: ignore[arg-type]  # of that literal

        assert by_netlink
        assert by_netlink == {each for each in listed_in_proc(protocol) if each.inode in mine}  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("errno", [2, 93])
def test_listeners_without_the_kernels_module_reads_proc(server: socket.socket, errno: int) -> None:
    """After a kernel's update its modules can't be loaded before the reboot."""

    def refuse(_protocol: object, _port: int) -> list[Listener]:
        raise KernelError("", "no", errno=errno)

    with server:
        port = server.getsockname()[1]
        assert [each.port for each in listeners("tcp", port, listed=refuse)] == [port]


def test_listeners_that_the_kernel_refuses_is_an_error() -> None:
    """Any other failure is told: not knowing is not the same as none."""

    def refuse(_protocol: object, _port: int) -> list[Listener]:
        raise KernelError("", "no", errno=1)

    with pytest.raises(KernelError):
        listeners("tcp", listed=refuse)


# As Linux 6.12 wrote it.
_EPS = """\
 ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
8ef47ba7 54f85414 2   10  42   9000      0 19866 0.0.0.0
69229f52 375fff04 0   10  43   9001      0 19867 0000:0000:0000:0000:0000:0000:0000:0000
3b9a3055 f71fe59d 2   10  44   9002      0 19868 192.0.2.1 fd00:0000:0000:0000:0000:0000:0000:0001
"""


def test_sctp_endpoints_are_listeners_by_address() -> None:
    """One that is bound to two addresses is two."""
    assert sctp_endpoints(_EPS) == [
        Listener("sctp", Address.parse("0.0.0.0"), 9000, dual=False, inode=19866),
        Listener("sctp", Address.parse("::"), 9001, dual=True, inode=19867),
        Listener("sctp", Address.parse("192.0.2.1"), 9002, dual=False, inode=19868),
        Listener("sctp", Address.parse("fd00::1"), 9002, dual=False, inode=19868),
    ]


def test_listeners_of_sctp_are_none_where_nobody_listens() -> None:
    """Also where the kernel has no SCTP, which nothing loads for that."""
    had = Path("/proc/net/sctp").exists()
    assert listeners("sctp", 9) == ()
    assert Path("/proc/net/sctp").exists() == had


def test_owner_of_names_the_process(server: socket.socket) -> None:
    """By its descriptors; nobody's inode is nobody's."""
    with server:
        inode = os.fstat(server.fileno()).st_ino
        assert name_process(inode).startswith(f"process {os.getpid()} (")
    assert name_process(0) == "a process that can't be seen from here"


def test_listener_of_v6_renders_in_brackets() -> None:
    """As a URL has it."""
    assert (
        str(Listener("udp", Address.parse("fd00::1"), 53, dual=False, inode=0))
        == "[fd00::1]:53/udp"
    )

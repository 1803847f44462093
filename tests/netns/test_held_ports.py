"""Published ports are held by the watcher, and reach their containers all the same."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import struct
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import network, on, port, record, tcp, udp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import Keeping
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import UplinkedHost
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Address
from ocinet.base.errors import KernelError
from ocinet.engine.held_ports import HeldPorts
from ocinet.engine.kernel.listeners import listeners
from ocinet.engine.kernel.port_sockets import hold
from ocinet.engine.model.listener import Place
from ocinet.engine.model.request import Publish
from ocinet.engine.records.attachments import AttachmentStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model.endpoint import PortRule

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_SCTP = Place("sctp", Address.parse("0.0.0.0"), 9000)
_IN_TIME_S = 1.0
BOTH = (tcp(8080), udp(8080))


def bind(kind: str, address: str, number: int, *, reuse: bool = True) -> socket.socket:
    """Bind a socket as a service of the host would; most of them with SO_REUSEADDR."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, _KINDS[kind])
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, number))
        if kind == "tcp":
            opened.listen()
    except BaseException:
        opened.close()
        raise
    return opened


def is_held(kind: str, address: str, number: int, *, reuse: bool = True) -> bool:
    """Tell whether a service of the host is told that the port is in use."""
    try:
        bind(kind, address, number, reuse=reuse).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return True
    return False


def await_held(
    number: int = 8080, *, held: bool = True, kind: str = "tcp", timeout_s: float = _IN_TIME_S
) -> None:
    """Wait until a port is held, or is not any more."""
    wait_until(
        lambda: is_held(kind, "0.0.0.0", number) == held,
        f"{number}/{kind} is {'held' if held else 'free'}",
        timeout_s=timeout_s,
    )


@contextmanager
def holding(
    most: int | None = None, take: Callable[[Place], socket.socket] = hold
) -> Iterator[HeldPorts]:
    """Hold in this process, as the watcher's thread does."""
    held = HeldPorts(PATHS, most, take)
    try:
        yield held
    finally:
        held.close()


@in_namespaces
def test_service_that_binds_a_published_port_is_refused_until_it_is_free() -> None:
    """TCP and UDP of both families, whatever the service's options; at once free after detach."""
    with WiredHost() as host, Keeping() as keeping:
        with host.engine() as engine:
            engine.records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        host.up("web", on("six", publish=BOTH))
        await_held(kind="udp")
        for kind in _KINDS:
            for address in ("0.0.0.0", "127.0.0.1", "::", "::1"):
                for reuse in (False, True):
                    assert is_held(kind, address, 8080, reuse=reuse), (kind, address, reuse)
        assert not is_held("tcp", "0.0.0.0", 8081)
        # Nobody takes it for a listener.
        assert not [listener for kind in _KINDS for listener in listeners(kind, 8080)]  # type: ignore[arg-type]  # of that literal

        host.stop("web")
        began = time.monotonic()
        await_held(held=False)
        await_held(held=False, kind="udp")
        assert time.monotonic() - began < _IN_TIME_S
        assert keeping.told("port not held") == []


@in_namespaces
def test_port_that_is_published_anew_at_once_is_nobodys_conflict() -> None:
    """Detach and attach of the same ports, over and over, with the watcher in between."""
    with WiredHost() as host, Keeping():
        for turn in range(15):
            host.up(f"web{turn}", on("lan", publish=BOTH))
            if turn % 3 == 0:
                await_held(kind="udp")
            host.stop(f"web{turn}")
        await_held(held=False, kind="udp")
        # And a free port that is asked for is none that is held.
        held = host.up("any", on("lan", publish=(Publish("udp", None, 0, 80),)))
        await_held(held.ports[0].host_port, kind="udp")


@in_namespaces
def test_held_port_reaches_its_container_from_everywhere() -> None:
    """From the neighbour, by 127.0.0.1, from a sibling, and from the container itself."""
    with UplinkedHost() as host, Keeping():
        host.up("db", on("lan"))
        host.up_serving(
            "web",
            on("lan", publish=(tcp(8080), Publish("tcp", Address.parse("127.0.0.1"), 81, 80))),
        )
        await_held()
        assert is_held("tcp", "127.0.0.1", 81)
        assert not is_held("tcp", "192.0.2.1", 81)
        assert host.unreached("web", "db") == []
        for target in (("127.0.0.1", 81), ("127.0.0.1", 8080)):
            with socket.create_connection(target, 5):
                pass
        for name in ("db", "web"):
            asks = f"import socket; socket.create_connection(({'192.0.2.1'!r}, 8080), 5)"
            run(sys.executable, "-c", asks, pid=host.sleepers[name].pid)


@in_namespaces
def test_held_udp_port_takes_nothing_in_while_the_table_is_gone() -> None:
    """What comes to it then is dropped: nobody reads, and nothing piles up."""
    with (
        hold(Place("udp", Address.parse("0.0.0.0"), 8080)) as opened,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        for _turn in range(10):
            client.sendto(b"?" * 1000, ("127.0.0.1", 8080))
        with pytest.raises(BlockingIOError):
            opened.recv(2000, socket.MSG_DONTWAIT)


@in_namespaces
def test_port_that_somebody_has_is_told_once_and_held_when_it_is_free() -> None:
    """By log and event, with who has it and what to do; others are held meanwhile."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(tcp(8080), tcp(8081))))
        service = bind("tcp", "0.0.0.0", 8080)
        with service, Keeping() as keeping:
            await_held(8081)
            [told] = wait_until(lambda: keeping.told("port not held"), "it is told")
            assert told["what"] == "0.0.0.0:8080/tcp"
            assert f"process {os.getpid()}" in told["why"]
            assert "ocinet unpublish" in told["hint"]
            # Another container's record comes, and all is tried again.
            host.up("db", on("lan", publish=(tcp(8082),)))
            await_held(8082)
            service.close()
            await_held(timeout_s=3)
            assert len(keeping.told("port not held")) == 1
        lines = Path(PATHS.run, "events.jsonl").read_text().splitlines()
        [event] = [line for line in map(json.loads, lines) if line["event"] == "port not held"]
        assert event["what"] == "0.0.0.0:8080/tcp"


@in_namespaces
def test_setting_and_stop_let_all_ports_go_and_a_start_takes_them_again() -> None:
    """`hold_ports = false` with a SIGHUP; the watcher's end; its next start."""
    settings = Path(PATHS.config, "ocinet.toml")
    with WiredHost() as host:
        host.up("web", on("lan", publish=BOTH))
        with Keeping() as keeping:
            await_held()
            settings.write_text("hold_ports = false\n")
            os.kill(keeping.pid, signal.SIGHUP)
            await_held(held=False)
            settings.unlink()
            os.kill(keeping.pid, signal.SIGHUP)
            await_held()
        assert not is_held("tcp", "0.0.0.0", 8080)
        with Keeping():
            await_held()


@in_namespaces
def test_unpublished_port_is_let_go_and_the_others_stay_held() -> None:
    """A port that is published later is held as well."""
    with WiredHost() as host, Keeping():
        web = host.start("web")
        host.attach(web, on("lan", publish=(tcp(8080), tcp(8081))))
        await_held(8081)
        with host.engine() as engine:
            engine.unpublish("web", (tcp(8080),))
        await_held(8080, held=False)
        assert is_held("tcp", "0.0.0.0", 8081)
        host.attach(web, on("lan", publish=(tcp(8082),)))
        await_held(8082)


def publish(container_id: str, *ports: PortRule) -> None:
    """Put a record of a container on file, or take it away, as whoever attaches does."""
    store = AttachmentStore(PATHS)
    if ports:
        store.put(record(container_id, ports=ports))
    else:
        store.remove(container_id)


@in_namespaces
def test_address_that_the_host_has_not_is_held_by_itself() -> None:
    """As one of a pair of routers: it may come back."""
    publish("web", port(80, at="198.51.100.7"), port(80, at="2001:db8:7::7", to="fd00:9::5"))
    with holding() as held:
        assert held.follow(everything=True) == ()
        assert not is_held("tcp", "127.0.0.1", 80)
        run("ip addr add 198.51.100.7/32 dev lo")
        run("ip addr add 2001:db8:7::7/128 dev lo nodad")
        assert is_held("tcp", "198.51.100.7", 80)
        assert is_held("tcp", "2001:db8:7::7", 80)


@in_namespaces
def test_ports_beyond_the_limit_are_told_in_one_line_and_held_when_there_is_room() -> None:
    """A thousand of them, with descriptors for fewer."""
    publish("web", port(9999))
    with holding(600) as held:
        assert held.follow(everything=True) == ()
        publish("many", *(port(number) for number in range(2000, 3000)))
        [told] = held.follow()
        assert told.what == "0.0.0.0:2599/tcp and 400 more"
        assert told.why == "600 others are held already"
        assert "LimitNOFILE" in told.hint
        assert not held.is_waiting  # nobody but a detach makes room, and of that we are told
        assert (is_held("tcp", "0.0.0.0", 2598), is_held("tcp", "0.0.0.0", 2599)) == (True, False)
        publish("web")
        assert held.follow() == ()
        assert is_held("tcp", "0.0.0.0", 2599)
        assert not is_held("tcp", "0.0.0.0", 9999)


@in_namespaces
def test_record_that_can_not_be_read_changes_nothing_of_what_is_held() -> None:
    """What it had published is held on: nobody can say that it is not."""
    publish("web", port(8080))
    with holding() as held:
        held.follow(everything=True)
        path = Path(PATHS.run, "attachments/web.json")
        path.with_suffix(".new").write_text("{")
        path.with_suffix(".new").rename(path)
        assert held.follow() == ()
        assert is_held("tcp", "0.0.0.0", 8080)


@in_namespaces
def test_run_directory_that_is_removed_is_watched_again() -> None:
    """All is let go with its records, and what comes later is held."""
    publish("web", port(8080))
    with holding() as held:
        held.follow(everything=True)
        shutil.rmtree(PATHS.run)
        held.follow()
        assert not is_held("tcp", "0.0.0.0", 8080)
        publish("web", port(8081))
        held.follow()
        assert is_held("tcp", "0.0.0.0", 8081)


@in_namespaces
def test_connection_that_has_the_port_is_waited_for_in_silence() -> None:
    """Nobody could listen there meanwhile, so there is nothing to tell."""
    with (
        socket.create_server(("127.0.0.1", 9999)) as server,
        socket.create_connection(("127.0.0.1", 9999), 5, ("127.0.0.1", 8080)) as client,
        holding() as held,
    ):
        server.accept()[0].close()
        publish("web", port(8080))
        assert (held.follow(everything=True), held.is_waiting) == ((), True)
        # Without a rest of it: this end is the one that closes last.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert (held.follow(), held.is_waiting) == ((), False)
        assert is_held("tcp", "0.0.0.0", 8080)


@in_namespaces
def test_protocol_that_the_kernel_does_not_know_is_passed_over_in_silence() -> None:
    """No service of the host can have it, and each try would look for a module once more."""
    tried = []

    def take(place: Place) -> socket.socket:
        if place.protocol == "sctp":
            tried.append(place.port)
            raise KernelError(f"cannot hold {place}", "no", errno=errno.EPROTONOSUPPORT)
        return hold(place)

    publish("web", port(9000, protocol="sctp"), port(9001, protocol="sctp"), port(8080))
    with holding(take=take) as held:
        assert (held.follow(everything=True), held.is_waiting) == ((), False)
        assert is_held("tcp", "0.0.0.0", 8080)
        publish("db", port(8081))
        assert held.follow() == ()
        assert is_held("tcp", "0.0.0.0", 8081)
        assert tried == [9000]
        # As after `modprobe sctp` and a SIGHUP.
        held.follow(everything=True)
        assert tried == [9000, 9000]


@in_namespaces
def test_sctp_port_is_held_where_the_kernel_has_sctp() -> None:
    """Elsewhere that is an error that nobody is told of; `make vm-test` has one that has it."""
    publish("web", port(9000, protocol="sctp"))
    with holding() as held:
        assert held.follow(everything=True) == ()
        if Path("/proc/net/sctp").exists():
            with pytest.raises(KernelError, match="in use"):
                hold(_SCTP)
        else:
            with pytest.raises(KernelError) as refused:
                hold(_SCTP)
            assert refused.value.errno == errno.EPROTONOSUPPORT


_CONFINED = """
from ocinet.base.paths import Paths
from ocinet.engine.held_ports import HeldPorts

held = HeldPorts(Paths(run="/run/ocinet"))
for told in held.follow(everything=True):
    print(told.what, told.why, told.hint, sep=": ")
held.close()
"""


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        ("net_bind_service", "Permission denied: give the watcher CAP_NET_BIND_SERVICE"),
        ("net_admin", "this kernel does not tell its socket from a listener's: "),
    ],
)
@in_namespaces
def test_capability_that_is_lacking_is_told(lacking: str, told: str) -> None:
    """Ports below 1024 take one; and who is shown no marks takes a holder for a listener."""
    publish("web", port(53, protocol="udp"))
    words = ("setpriv", "--inh-caps=-all", f"--bounding-set=-{lacking}", sys.executable)
    found = run(*words, "-c", _CONFINED)
    assert found == f"0.0.0.0:53/udp: {told}\n"

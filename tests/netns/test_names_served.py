"""Containers of one network find each other by name: the real server, real queries."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

import hosts.lab.resolver
from builders import network, on, udp
from hosts.engine.versions import version_of
from hosts.name_server import (
    AAAA,
    NO_ERROR,
    NO_SUCH_NAME,
    PTR,
    SERVED,
    Answer,
    ask,
    ask_soon,
    names_served,
    program,
    servers,
    the_server,
)
from hosts.namespace.isolation import in_namespaces, own_etc
from hosts.namespace.keeping import Keeping
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import UPLINK, UplinkedHost
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError
from ocinet.base.lock import Lock
from ocinet.engine.changes import Changes
from ocinet.engine.kernel import listeners
from ocinet.engine.kernel.name_server import NameServer
from ocinet.engine.model.access import Access
from ocinet.engine.model.resolution import Alias, Resolution
from ocinet.engine.model.scope import NETWORKS, NOTHING
from ocinet.request.access import parse_access

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("aardvark-dns")

LAN, DMZ = "10.9.0.1", "10.8.0.1"
# It asks the host's resolvers for what it does not know; 1.4 says at once that there is none.
_ASKS_OTHERS = version_of("aardvark-dns") >= (1, 11)
_needs_no_resolver = pytest.mark.skipif(_ASKS_OTHERS, reason="no resolver answers for it here")


def _binds(taking: socket.socket, address: str) -> bool:
    try:
        taking.bind((address, 53))
    except OSError:
        return False
    return True


def _events(event: str) -> list[dict[str, object]]:
    lines = Path(PATHS.run, "events.jsonl").read_text().splitlines()
    return [told for told in map(json.loads, lines) if told["event"] == event]


def _first(host: WiredHost, name: str, network: str = "lan") -> None:
    """Have a first container, and wait for the server that starts with it."""
    host.up(name, on(network))
    server = {"lan": LAN, "dmz": DMZ}.get(network, LAN)
    wait_until(lambda: ask(name, server, pid=host.sleepers[name].pid), "the server's start")


@_needs_no_resolver
@in_namespaces
def test_names_are_there_at_once_and_no_more_after() -> None:
    """By name and short id, whatever the case; of the network alone, and at once."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        web = host.sleepers["web"].pid
        db = host.up("db", on("lan")).endpoints[0].addresses[0].address
        assert ask_soon("db", LAN, pid=web, wanted=(str(db),)) == Answer(NO_ERROR, (str(db),))
        assert ask("DB", LAN, pid=web) == Answer(NO_ERROR, (str(db),))
        assert ask("db-id", LAN, pid=web) == Answer(NO_ERROR, (str(db),))
        assert ask("db", LAN, kind=AAAA, pid=web) == Answer(NO_ERROR)
        assert ask("cache", LAN, pid=web) == Answer(NO_SUCH_NAME)
        host.up("other", on("dmz"))
        assert ask("other", LAN, pid=web) == Answer(NO_SUCH_NAME)
        host.stop("db")
        assert ask_soon("db", LAN, pid=web) == Answer(NO_SUCH_NAME)
        assert ask("host.ocinet.internal", LAN, pid=web) == Answer(NO_ERROR, (LAN,))


@in_namespaces
def test_name_of_whose_ids_start_is_another_ones_is_taken_by_nobody() -> None:
    """The server reads what ends its own names in its line, and goes on answering."""
    with names_served(), WiredHost() as host:
        _first(host, "webserver-prod-1")
        asker = host.sleepers["webserver-prod-1"].pid
        second = host.up("webserver-prod-2", on("lan")).endpoints[0].addresses[0].address
        another = host.start("third").replace(name="webserver-prod-2")
        third = host.attach(another, on("lan")).endpoints[0].addresses[0].address
        ask_soon("third-id", LAN, pid=asker, wanted=(str(third),))
        found = Answer(NO_ERROR, (str(second),))
        assert ask("webserver-prod-2", LAN, pid=asker) == found
        reverse = ".".join([*reversed(str(second).split(".")), "in-addr.arpa"])
        told = ask(reverse, LAN, kind=PTR, pid=asker)
        assert told == Answer(NO_ERROR, ("webserver-prod-2",))


@in_namespaces
def test_last_container_ends_the_server_and_the_next_one_starts_another() -> None:
    """At once one after the other: the port may be bound by the former still."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        first = the_server()
        for _round in range(3):
            host.stop("web")
            assert os.listdir(SERVED) == []
            _first(host, "web")
        last = the_server()
        assert last != first
        host.stop("web")
        wait_until(lambda: not servers(), "the server's end")
        assert _events("names not served") == []


@in_namespaces
def test_killed_server_is_started_by_the_next_attach() -> None:
    """It finds all who are there, from the files."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        pid = the_server()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not servers(), "its end")
        _first(host, "db")
        assert ask("web", LAN, pid=host.sleepers["db"].pid) == Answer(NO_ERROR, ("10.9.0.2",))


@in_namespaces
def test_server_that_can_not_be_started_holds_up_no_detach() -> None:
    """The record goes as ever, and why nobody is served is told."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        host.up("db", on("lan"))
        pid = the_server()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not servers(), "its end")
        with mock.patch("ocinet.engine.kernel.name_program.executable", "/nowhere"):
            host.stop("db")
        with host.engine() as engine:
            assert engine.records.attachments.get("db-id") is None
        (told,) = _events("names not served")
        assert "/nowhere" in str(told["why"])


@in_namespaces
def test_many_at_once_are_all_found_by_one_server() -> None:
    """Twenty first attaches side by side start it once."""
    with names_served(), WiredHost() as host:
        containers = [host.start(f"c{number}") for number in range(20)]
        assert host.attach_at_once(containers, on("lan")) == {0}
        asking = host.sleepers["c0"].pid
        wait_until(lambda: ask("c0", LAN, pid=asking), "the server's start")
        found = [ask(f"c{number}", LAN, pid=asking) for number in range(20)]
        assert all(answer and answer.code == NO_ERROR for answer in found)
        assert len({answer.records for answer in found if answer}) == 20
        assert the_server()


@in_namespaces
def test_dual_stack_and_no_host_network() -> None:
    """Addresses of both families, by a gateway of each; no name of the host's."""
    with names_served(), WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("both", "10.7.0.0/24", "fd00:7::/64", host=False))
        host.up("web", on("both"))
        pid = host.sleepers["web"].pid
        wait_until(lambda: ask("web", "10.7.0.1", pid=pid), "the server's start")
        v6 = Answer(NO_ERROR, ("fd00:7::2",))
        assert ask("web", "10.7.0.1", kind=AAAA, pid=pid) == v6
        assert ask("web", "fd00:7::1", kind=AAAA, pid=pid) == v6
        answer = ask("host.ocinet.internal", "10.7.0.1", pid=pid, timeout_s=0.3)
        assert answer is None or not answer.records


@in_namespaces
def test_own_server_is_nobodys_child() -> None:
    """A session of its own, no descriptor but its own, and nothing of its starter's."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003  # its form
    try:
        with names_served(), WiredHost() as host:
            _first(host, "web")
            pid = the_server()
            assert os.getsid(pid) != os.getsid(0)
            held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            assert os.readlink(f"/proc/self/fd/{writing}") not in held
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            assert int(parent) != os.getpid()
    finally:
        os.close(reading)
        os.close(writing)


@in_namespaces
def test_port_53_is_published_at_an_address_of_its_own_beside_names() -> None:
    """At all of them it would be the name server's too; the refusal says what helps."""
    with names_served(), UplinkedHost() as host:
        _first(host, "web")
        everywhere = udp(53, 53)
        with pytest.raises(ConflictError) as refused:
            host.up("dns", on("lan", publish=(everywhere,)))
        assert "-p ADDRESS:53:53/udp" in refused.value.hint
        assert "--no-dns" in refused.value.hint
        alone = everywhere.replace(host_address=Address.parse(UPLINK))
        host.attach(host.container("dns", host.sleepers["dns"].pid), on("lan", publish=(alone,)))
        assert ask_soon("web", LAN, pid=host.sleepers["web"].pid, wanted=("10.9.0.2",))


@in_namespaces
def test_taken_port_is_told_once_and_the_network_works() -> None:
    """Who has it is named; the container asks whom the host asks."""
    with names_served(), WiredHost() as host, socket.socket(type=socket.SOCK_DGRAM) as taking:
        taking.bind(("0.0.0.0", 53))
        with mock.patch.object(listeners, "process_with", wraps=listeners.process_with) as search:
            host.up("web", on("lan"))
            host.up("db", on("lan"))
        assert search.call_count == 1
        (told,) = _events("names not served")
        assert f"process {os.getpid()}" in str(told["why"])
        assert servers() == []
        assert host.pings("web", "10.9.0.3")


@in_namespaces
def test_hook_waits_for_no_server() -> None:
    """The first attach starts it, and does not see it ready."""
    with names_served(), WiredHost() as host:
        host.up("other", on("dmz"))
        began = time.monotonic()
        host.up("web", on("lan"))
        assert time.monotonic() - began < 2


def _found(host: WiredHost) -> list[str]:
    with host.engine() as engine:
        return [finding.what for finding in engine.check()]


def _repaired(host: WiredHost) -> list[str]:
    with host.engine() as engine:
        return [finding.what for finding in engine.check(repair=True) if finding.repaired]


@in_namespaces
def test_who_is_stopped_with_the_names_in_hand_keeps_nobody_from_coming_or_going() -> None:
    """It is told; who came is found by hosts files, and served once that is possible again."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        host.up("gone")
        ready, tell = os.pipe()
        holder = os.fork()
        if not holder:
            with Lock(f"{PATHS.run}/names/lock", "it", None):
                os.write(tell, b"x")
                os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        assert os.read(ready, 1) == b"x"
        os.waitpid(holder, os.WUNTRACED)
        began_s = time.monotonic()
        host.up("db")
        assert host.stop("gone")
        assert time.monotonic() - began_s < 5  # and not the 20 s of an operation each
        (warning,) = [told["warning"] for told in _events("attached with a warning")]
        assert "on lan it is not found by name: cannot lock the names" in str(warning)
        assert f"process {holder} " in str(warning)
        assert "ocinet gc" in str(_events("names not told")[-1]["error"])
        os.kill(holder, signal.SIGCONT)
        os.waitpid(holder, 0)
        os.close(ready)
        os.close(tell)
        with host.engine() as engine:
            (found,) = [each.what for each in engine.check() if "hosts files alone" in each.what]
            assert found.startswith("on lan, db is found by hosts files alone")
            engine.check(repair=True)
            assert engine.check() == ()
        host.gc()
        web = host.sleepers["web"].pid
        assert ask_soon("db", LAN, pid=web, wanted=("10.9.0.4",))
        answer = ask("gone", LAN, pid=web, timeout_s=0.3)  # 1.14 asks the host's resolvers
        assert answer in (None, Answer(NO_SUCH_NAME))


@in_namespaces
def test_check_names_what_is_not_served_and_puts_it_back() -> None:
    """A file that is gone, a line that is another, a server that was killed."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        host.up("db", on("lan"))
        assert _found(host) == []
        Path(SERVED, "net-lan").unlink()
        lost = "on lan, db, web can't be found by name as on record"
        assert _found(host) == [lost]
        assert _repaired(host) == [lost]
        assert _found(host) == []
        file = Path(SERVED, "net-lan")
        file.write_text(file.read_text().replace("10.9.0.3", "10.9.0.99"))
        assert _repaired(host) == ["on lan, db can't be found by name as on record"]
        web = host.sleepers["web"].pid
        assert ask_soon("db", LAN, pid=web, wanted=("10.9.0.3",))
        pid = the_server()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not servers(), "its end")
        ended = "the name server has ended, so nobody is found by name"
        assert _found(host) == [ended]
        assert _repaired(host) == [ended]
        wait_until(lambda: ask("db", LAN, pid=web), "the server's start")
        assert _found(host) == []


@in_namespaces
def test_stopped_server_is_told_and_goes_on_by_check_and_by_whoever_comes_or_goes() -> None:
    """SIGSTOP: it has its port, and answers nobody; the last who goes ends it all the same."""
    with names_served(), WiredHost() as host:
        own_etc()
        _first(host, "web")
        web = host.sleepers["web"].pid
        (pid,) = servers()
        changes = Changes(PATHS)
        try:
            assert changes.look() == NOTHING
            os.kill(pid, signal.SIGSTOP)
            stopped = f"the name server, process {pid}, is stopped, so nobody is found by name"
            wait_until(lambda: _found(host) == [stopped], "its stop")
            assert changes.look() == NETWORKS
        finally:
            changes.close()
        assert _repaired(host) == [stopped]
        assert ask_soon("web", LAN, pid=web, wanted=("10.9.0.2",))
        os.kill(pid, signal.SIGSTOP)
        host.up("db", on("lan"))
        assert ask_soon("db", LAN, pid=web, wanted=("10.9.0.3",))
        os.kill(pid, signal.SIGSTOP)
        for name in ("db", "web"):
            host.stop(name)
        wait_until(lambda: not servers(), "the server's end")


@_needs_no_resolver
@in_namespaces
def test_gc_has_the_server_forget_whom_nobody_has() -> None:
    """Of an attach that was killed, or whose record was removed by hand; the living stay."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        file = Path(SERVED, "net-lan")
        file.write_text(file.read_text() + "ghost 10.9.0.77  ghost\n")
        with host.engine() as engine:
            found = [(each.kind, each.name, each.removed) for each in engine.gc()]
        assert found == [("name", "lan/ghost", True)]
        web = host.sleepers["web"].pid
        assert ask_soon("ghost", LAN, pid=web) == Answer(NO_SUCH_NAME)
        host.sleepers["web"].end()
        host.gc()
        assert os.listdir(SERVED) == []
        wait_until(lambda: not servers(), "the server's end")


@in_namespaces
def test_check_tells_who_has_taken_the_port_and_that_the_program_is_gone() -> None:
    """What a person has to do is told, with the command; nothing is tried in vain."""
    with names_served(), WiredHost() as host:
        _first(host, "web")
        pid = the_server()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not servers(), "its end")
        with socket.socket(type=socket.SOCK_DGRAM) as taking:
            wait_until(lambda: _binds(taking, LAN), "the port of who was killed is free")
            # With the server gone, and beside one that was started all the same and gets no port.
            for woken in (False, True):
                if woken:
                    NameServer(PATHS, None).wake()
                    wait_until(
                        lambda: any("is taken by" in what for what in _found(host)), "who has it"
                    )
                (told,) = _found(host)
                taken = f"names are not served at {LAN}: {LAN}:53/udp is taken by proc"
                assert told.startswith(taken)
                assert _repaired(host) == []
        run(f"mount --bind /dev/null {program()}")
        (told,) = _found(host)
        assert "apt-get install aardvark-dns" in told


@in_namespaces
def test_change_of_the_hosts_resolvers_is_seen_and_passed_on() -> None:
    """Versions before 1.17 read them with their files alone."""
    with names_served(), WiredHost() as host:
        own_etc()
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
        _first(host, "web")
        assert _found(host) == []
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\nnameserver 192.0.2.3\n")
        (told,) = _repaired(host)
        assert "before /etc/resolv.conf was changed" in told
        assert _found(host) == []


@in_namespaces
def test_watcher_starts_a_server_that_was_killed_and_passes_resolvers_on() -> None:
    """Within seconds, and says so."""
    with names_served(), WiredHost() as host, Keeping() as keeping:
        own_etc()
        _first(host, "web")
        pid = the_server()
        os.kill(pid, signal.SIGKILL)
        web = host.sleepers["web"].pid

        def is_back() -> bool:
            return servers() not in ([], [pid]) and ask("web", LAN, pid=web) is not None

        wait_until(is_back, "another server", timeout_s=20)
        # A look amid the attach may miss its line, and start the server with that.
        words = {
            "the name server has ended, so nobody is found by name",
            "on lan, web can't be found by name as on record",
        }
        wait_until(
            lambda: words & {told["what"] for told in keeping.told("repaired")},
            "its word",
            timeout_s=20,
        )
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\n")
        wait_until(
            lambda: any(
                "/etc/resolv.conf was changed" in told["what"] for told in keeping.told("repaired")
            ),
            "the change",
            timeout_s=20,
        )


@in_namespaces
def test_watcher_is_told_of_each_ailment_of_the_server_between_two_looks() -> None:
    """Of one that was put right and ails again before it looks again, and of each one once."""
    with names_served(), WiredHost() as host:
        own_etc()
        _first(host, "web")
        changes = Changes(PATHS)
        server = NameServer(PATHS, None)

        def end() -> None:
            pid = the_server()
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not servers(), "its end")

        def put_right() -> None:
            server.wake()
            wait_until(lambda: server.state().pid, "another server")

        try:
            assert changes.look() == NOTHING
            end()
            assert changes.look() == NETWORKS
            assert changes.look() == NOTHING
            put_right()
            Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\n")
            assert changes.look() == NETWORKS
            put_right()
            Path("/etc/resolv.conf").write_text("nameserver 192.0.2.3\n")
            assert changes.look() == NETWORKS
            assert changes.look() == NOTHING
            end()
            assert changes.look() == NETWORKS
            put_right()
            end()
            assert changes.look() == NETWORKS
            put_right()
            assert changes.look() == NOTHING
        finally:
            changes.close()


@in_namespaces
def test_attach_that_is_killed_at_any_step_leaves_nobody_to_be_found() -> None:
    """Before the name is served, and behind it; gc has the server forget it, and end."""
    with names_served(), WiredHost() as host:
        for number in range(2, 40):
            container, seen = host.start("web"), 0
            child = os.fork()
            if not child:

                def killed(_step: object, number: int = number) -> None:
                    nonlocal seen
                    seen += 1
                    if seen == number:
                        os._exit(9)

                host.attach(container, on("lan"), killed)
                os._exit(0)
            _pid, status = os.waitpid(child, 0)
            host.sleepers.pop("web").end()
            host.gc()
            assert os.listdir(SERVED) == [], number
            if not status:
                break
        else:
            raise AssertionError("it never came to its end")
        wait_until(lambda: not servers(), "the server's end")


@in_namespaces
def test_question_of_who_may_send_nothing_out_is_passed_on_to_nobody() -> None:
    """What is asked for is data: of one that is kept in, it stays here, from then on."""
    with names_served(), WiredHost() as host:
        own_etc()
        run("ip addr add 192.0.2.1/32 dev lo")
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
        _first(host, "web")
        web = host.container("web", host.sleepers["web"].pid)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
            upstream.bind(("192.0.2.1", 53))
            upstream.settimeout(0.3)
            kept, free = Access(egress=()), parse_access({"ocinet.egress": "any"})
            for access, wanted in ((None, True), (kept, False), (free, True)):
                host.attach(web, on("lan").replace(access=access))
                wait_until(
                    lambda wanted=wanted: _is_asked(upstream, host) is wanted,  # type: ignore[misc]
                    f"questions are passed on: {wanted}",
                )
            assert ask("web", LAN, pid=host.sleepers["web"].pid).code == NO_ERROR  # type: ignore[union-attr]


def _is_asked(upstream: socket.socket, host: WiredHost) -> bool:
    """Tell whether a question of a container's comes to the host's own resolver."""
    ask("secret.example.com", LAN, pid=host.sleepers["web"].pid, timeout_s=0.1)
    try:
        while b"secret" not in upstream.recv(4096):
            pass
    except TimeoutError:
        return False
    return True


@contextmanager
def _resolver(pid: int) -> Iterator[subprocess.Popen[str]]:
    """Have a process's namespace answer all queries, and print what it is asked."""
    words = ("nsenter", "-t", str(pid), "-n", sys.executable, hosts.lab.resolver.__file__,
             '{"*": ["192.0.2.99"]}')  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        try:
            yield child
        finally:
            child.kill()


def _sent_to_53() -> int:
    """Return how many packets have left for port 53 of others, as a rule counts them."""
    return int(run("nft list chain inet probe out").split("packets ")[1].split()[0])


@in_namespaces
def test_all_else_goes_to_whom_the_host_asks_and_from_internal_networks_to_nobody() -> None:
    """Counted at the host's way out: of the internal one, not one packet."""
    with names_served(), UplinkedHost() as host:
        own_etc()
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\n")
        with host.engine() as engine:
            engine.records.networks.add(network("vault", "10.7.0.0/24", internal=True))
        host.up("shut", on("vault"))
        _first(host, "web")
        host.up("both", on("vault", "lan"))
        pids = {name: host.sleepers[name].pid for name in ("shut", "web", "both")}
        wait_until(lambda: ask("shut", "10.7.0.1", pid=pids["shut"]), "vault's names")
        run("nft", "-f", "-", given=(
            "table inet probe { chain out { type filter hook output priority 0;"
            " oifname != lo ip daddr != 10.0.0.0/8 udp dport 53 counter; }; }"))  # fmt: skip
        with _resolver(host.sleepers["neighbour"].pid) as resolver:
            assert resolver.stdout
            public = Answer(NO_ERROR, ("192.0.2.99",))
            assert ask("www.example.org", LAN, pid=pids["web"]) == public
            assert "www" in resolver.stdout.readline()
            assert ask("www.example.org", LAN, pid=pids["both"]) == public
            assert ask("www.example.org", "10.7.0.1", pid=pids["both"]) == public
            before = _sent_to_53()
            assert before >= 3
            answer = ask("www.example.org", "10.7.0.1", pid=pids["shut"], timeout_s=0.5)
            assert answer in (None, Answer(NO_SUCH_NAME))
            assert _sent_to_53() == before
            assert ask("both", "10.7.0.1", pid=pids["shut"]).code == NO_ERROR  # type: ignore[union-attr]  # it is asserted
            assert ask("shut", LAN, pid=pids["both"]).code == NO_ERROR  # type: ignore[union-attr]


@in_namespaces
def test_server_that_the_host_itself_asks_does_not_ask_itself() -> None:
    """For its names: the others that the host asks are asked for all else, as they are now."""
    with names_served(), UplinkedHost() as host:
        own_etc()
        Path("/etc/resolv.conf").write_text(f"nameserver {LAN}\nnameserver 192.0.2.2\n")
        _first(host, "web")
        web = host.sleepers["web"].pid
        with _resolver(host.sleepers["neighbour"].pid):
            assert ask("www.example.org", LAN, pid=web) == Answer(NO_ERROR, ("192.0.2.99",))
            assert ask("www.example.org", LAN) == Answer(NO_ERROR, ("192.0.2.99",))
        Path("/etc/resolv.conf").write_text(f"nameserver {LAN}\n")
        assert "on lan, web can't be found by name as on record" in _repaired(host)
        (pid,) = servers()
        answer = ask("www.example.org", LAN, pid=web, timeout_s=0.5)
        assert answer in (None, Answer(NO_SUCH_NAME))
        assert len(os.listdir(f"/proc/{pid}/fd")) < 100
        assert ask_soon("web", LAN, wanted=("10.9.0.2",))


@in_namespaces
def test_attach_waits_for_no_resolv_conf_of_the_hosts_that_never_ends() -> None:
    """A FIFO, as some admin's script has left it."""
    with names_served(), WiredHost() as host:
        own_etc()
        Path("/etc/resolv.conf").unlink(missing_ok=True)
        os.mkfifo("/etc/resolv.conf")
        assert host.up("web", on("lan")).served == ("lan",)


@in_namespaces
def test_who_has_no_name_that_can_be_served_finds_others_all_the_same() -> None:
    """As a bundle whose id has a dot: it is told that nobody finds it; and asks as it may."""
    with names_served(), UplinkedHost() as host:
        own_etc()
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.2\n")
        _first(host, "web")
        assert host.up("my.app", on("lan")).served == ("lan",)
        shut = on("lan").replace(access=Access(egress=()))
        host.up("my.shut", shut)
        assert any("nobody finds it by its name my.app" in line for line in host.warned())
        with _resolver(host.sleepers["neighbour"].pid):
            asked = host.sleepers["my.app"].pid
            assert ask_soon("web", LAN, pid=asked, wanted=("10.9.0.2",))
            assert ask("www.example.org", LAN, pid=asked) == Answer(NO_ERROR, ("192.0.2.99",))
            kept = ask("www.example.org", LAN, pid=host.sleepers["my.shut"].pid, timeout_s=0.5)
            assert kept in (None, Answer(NO_SUCH_NAME))
        assert _found(host) == []
        host.up("db.two", on("lan").replace(resolution=Resolution(aliases=(Alias("db"),))))
        host.up("db", on("lan"))
        assert _found(host) == []


@in_namespaces
def test_who_came_before_names_were_served_is_served_by_check() -> None:
    """As after an upgrade, or a change of the settings; who ended meanwhile is not."""
    with WiredHost() as host:
        host.up("web", on("lan"))
        host.up("gone", on("lan"))
        assert _found(host) == []
        host.sleepers.pop("gone").end()
        with names_served():
            told = "on lan, web is found by nobody by its names: it was not served when it came,"
            assert _found(host) == [f"{told} and can be"]
            assert _repaired(host) == [f"{told} and can be"]
            host.up("db", on("lan"))
            db = host.sleepers["db"].pid
            assert ask_soon("web", LAN, pid=db, wanted=("10.9.0.2",))
            assert _found(host) == []


@in_namespaces
def test_names_are_told_to_nobody_on_another_network_nor_beside_the_host() -> None:
    """At a gateway's address, by way of the host; the host itself is told, and who is on it."""
    with names_served(), UplinkedHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(
                network("vault", "10.7.0.0/24", "fd00:7::/64", internal=True)
            )
            engine.records.networks.add(network("six", "10.5.0.0/24", "fd00:5::/64"))
        for name, on_network in (("shut", "vault"), ("web", "lan"), ("other", "six")):
            host.up(name, on(on_network))
        neighbour = host.sleepers["neighbour"].pid
        run("ip route add default via 192.0.2.1", pid=neighbour)
        for name, gateway, own, strangers in (
            ("shut", "10.7.0.1", "shut", ("web", "other", "neighbour")),
            ("shut", "fd00:7::1", "shut", ("other",)),
            ("web", LAN, "web", ("shut", "other", "neighbour")),
        ):
            pid = host.sleepers[own].pid
            wait_until(lambda n=name, g=gateway, p=pid: ask(n, g, pid=p), f"{name} at {gateway}")  # type: ignore[misc]
            assert ask(name, gateway) == ask(name, gateway, pid=pid)
            for stranger in strangers:
                asking = host.sleepers[stranger].pid
                assert ask(name, gateway, pid=asking, timeout_s=0.3) is None, (stranger, gateway)


@in_namespaces
def test_network_asks_whom_it_names_and_a_container_its_own() -> None:
    """`network create --dns`, and `ocinet.dns` of one on it."""
    with names_served(), UplinkedHost() as host:
        own_etc()
        Path("/etc/resolv.conf").write_text("nameserver 192.0.2.7\n")
        asked = Address.parse("192.0.2.2")
        with host.engine() as engine:
            engine.records.networks.add(network("asking", "10.7.0.0/24", dns_servers=(asked,)))
        host.up("web", on("asking"))
        host.up("own", on("lan").replace(resolution=Resolution(servers=(asked,))))
        with _resolver(host.sleepers["neighbour"].pid):
            for name, server in (("web", "10.7.0.1"), ("own", LAN)):
                pid = host.sleepers[name].pid
                wait_until(lambda s=server, p=pid: ask("www.example.org", s, pid=p), name)  # type: ignore[misc]
            assert ask("www.example.org", LAN, pid=host.sleepers["own"].pid) == Answer(
                NO_ERROR, ("192.0.2.99",)
            )

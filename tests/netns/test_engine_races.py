"""What happens between the steps of two at once, and after a kill half-way."""

from __future__ import annotations

import os
import signal
import threading
from _blake2 import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builders import network, on, tcp, udp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, run
from hosts.namespace.wired_host import (
    PATHS,
    WiredHost,
    exchanged,
    open_sandbox,
    records,
)
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, SystemFailure
from ocinet.base.lock import Lock
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.request import Publish, Request
from ocinet.engine.plan.own_steps import ConfigureInside, OpenFirewall
from ocinet.engine.plan.port_steps import AddVeth
from ocinet.engine.plan.removal_steps import ForgetFlows
from ocinet.engine.plan.shared_steps import MakeTable
from ocinet.engine.plan.steps import Step
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.networks import NetworkStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.network import Network
    from ocinet.engine.storage import Networks

PORT = tcp(8080)
TWO = on("lan", addresses=(Address.parse("10.9.0.2"),))


def kill_before(host: WiredHost, container: Container, request: Request, kind: type[Step]) -> None:
    """Attach in a child that is killed before its first step of a kind."""
    child = os.fork()
    if not child:

        def kill(step: Step) -> None:
            if isinstance(step, kind):
                os.kill(os.getpid(), signal.SIGKILL)

        host.attach(container, request, kill)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def published() -> str:
    """Return the ports that the kernel leads to containers."""
    return run("nft list map inet ocinet publish4")


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        (Request("bridge", publish=(tcp(8081),)), OpenFirewall),
        (on("dmz"), ConfigureInside),
    ],
)
@in_namespaces
def test_attach_more_killed_half_way_leaves_what_was_there(more: Request, kind: type[Step]) -> None:
    """The next try takes back what was begun, and the running container keeps the rest."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        web = host.container("web", host.sleepers["web"].pid)
        kill_before(host, web, more, kind)
        run("nft flush ruleset")
        host.up("other")
        assert "tcp . 8080 : 10.9.0.2 . 80" in published()

        host.attach(web, more)

        assert host.pings("web", "10.9.0.1")
        assert host.addresses("web") == ["10.9.0.2/24"]
        assert "tcp . 8080 : 10.9.0.2 . 80" in published()
        host.stop("web")
        host.stop("other")
        assert records() == []


@pytest.mark.parametrize("everywhere", [None, Address.parse("0.0.0.0")])
@in_namespaces
def test_attach_twice_with_a_port_on_every_address_changes_nothing(
    everywhere: Address | None,
) -> None:
    """0.0.0.0 is how people write it, and it is the port that is there."""
    request = on("lan", publish=(Publish("tcp", everywhere, 8080, 80),))
    with WiredHost() as host:
        first = host.up("web", request)
        web = host.container("web", host.sleepers["web"].pid)

        assert host.attach(web, request) == first
        assert "ports/tcp-8064-8191" in records()
        with host.engine() as engine:
            engine.unpublish("web", request.publish)
        assert "8080" not in published()


@pytest.mark.parametrize(
    "other",
    [
        on("lan", addresses=(Address.parse("10.9.0.99"),)),
        on("lan", mac="02:00:00:00:00:09"),
        on("lan", ifname="foo"),
        on("lan", mtu=1300),
        on("lan", gateway=Address.parse("10.9.0.9")),
        Request("bridge", publish=(tcp(8080, 81),)),
    ],
)
@in_namespaces
def test_attach_otherwise_than_it_is_wired_is_refused(other: Request) -> None:
    """What is there is not changed, and that is said; its ports stay claimed."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        web = host.container("web", host.sleepers["web"].pid)

        with pytest.raises(ConflictError, match="already"):
            host.attach(web, other)
        assert "ports/tcp-8064-8191" in records()


@in_namespaces
def test_detach_beside_an_overlapping_claim_closes_its_own_port() -> None:
    """127.0.0.1:8080 is another element than 8080, whoever has it."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        Path(f"{PATHS.run}/ports/tcp-8064-8191").unlink()
        local = Publish("tcp", Address.parse("127.0.0.1"), 8080, 80)
        host.up("other", on("lan", publish=(local,)))

        host.stop("web")

        assert "8080" not in published()


@in_namespaces
def test_attach_that_takes_a_dead_ones_address_takes_its_ports_down() -> None:
    """A port never leads to whoever has the address next."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        host.sleepers.pop("web").end()
        with host.engine() as engine:
            while len(engine.host.links.links()) > 1:  # until the bridge alone is left
                continue

        host.up("new", TWO)

        assert host.addresses("new") == ["10.9.0.2/24"]
        assert "8080" not in published()


@in_namespaces
def test_attach_by_path_keeps_its_address_while_it_is_made() -> None:
    """No process tells that it lives, but its lock is held."""
    with WiredHost() as host:
        first = host.start("first").replace(process=None)
        refused: list[str] = []

        def overtake(step: Step) -> None:
            if isinstance(step, AddVeth):
                with pytest.raises(ConflictError) as told:
                    host.up("second", TWO)
                refused.append(str(told.value))

        path = f"/proc/{host.sleepers['first'].pid}/ns/net"
        with host.engine(overtake) as engine, Sandbox.open_path(path) as sandbox:
            engine.attach(first, on("lan"), sandbox)

        assert len(refused) == 1
        assert host.addresses("first") == ["10.9.0.2/24"]


@in_namespaces
def test_attach_takes_a_dead_ones_port_under_the_same_lock() -> None:
    """256 locks for all containers: two that share one don't stand in each other's way."""

    def number(name: str) -> bytes:
        return blake2s(f"{name}-id".encode(), digest_size=1).digest()

    other = next(f"c{at}" for at in range(10_000) if number(f"c{at}") == number("web"))
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        host.sleepers.pop("web").end()

        host.up(other, on("lan", publish=(PORT,)))

        assert "attachments/web-id.json" not in records()


class Pausing:
    """Names of sandboxes, where an attach stops between looking and recording."""

    def __init__(self, names: Any, pause: Callable[[], object]) -> None:
        self._names = names
        self._pause = pause

    def choose(self, *arguments: Any) -> str:
        """Choose, once the pause is over."""
        self._pause()
        return str(self._names.choose(*arguments))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names, name)


@pytest.mark.parametrize("network", ["lan", "dmz"])
@in_namespaces
def test_attach_that_saw_what_another_undid_makes_it_itself(network: str) -> None:
    """A bridge or a sysctl that was there, and went with somebody's failed attach."""
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    forward.write_text("0")
    with WiredHost() as host:
        failing, other = host.start("failing"), host.start("other")
        observed, undone = threading.Event(), threading.Event()

        def pause() -> None:
            observed.set()
            undone.wait(10)

        def attach_other() -> None:
            engine = host.engine()
            names = Pausing(engine.host.names, pause)
            with exchanged(engine, names=names) as paused, open_sandbox(other) as sandbox:
                paused.attach(other, on(network), sandbox)

        thread = threading.Thread(target=attach_other)

        def fail(step: Step) -> None:
            if isinstance(step, AddVeth):
                thread.start()
                observed.wait(10)
                raise SystemFailure("", "a fault")

        with pytest.raises(SystemFailure, match="a fault"):
            host.attach(failing, on("lan"), fail)
        undone.set()
        thread.join()

        assert len(host.addresses("other")) == 1
        assert forward.read_text() != "0\n"


@in_namespaces
def test_gc_without_a_record_closes_the_ports_too() -> None:
    """What a lost record leaves in the firewall would lead to the address's next holder."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT, udp(53, 53))))
        host.sleepers.pop("web").end()
        Path(f"{PATHS.run}/attachments/web-id.json").unlink()

        host.gc()

        assert "8080" not in published()
        host.up("new", on("lan", publish=(PORT,)))


@in_namespaces
def test_attach_making_the_table_leaves_out_who_has_just_gone() -> None:
    """The table is filled from the records as they are, not as they were when planned."""
    with WiredHost() as host:
        host.up("going", on("lan", publish=(PORT,)))
        run("nft flush ruleset")

        def stop(step: Step) -> None:
            if isinstance(step, MakeTable):
                host.stop("going")

        host.attach(host.start("web"), on("lan"), stop)

        assert "8080" not in published()


class Killing(NetworkStore):
    """A store that is killed as soon as a definition has gone."""

    def remove(self, name: str) -> bool:
        """Remove, and die."""
        super().remove(name)
        os.kill(os.getpid(), signal.SIGKILL)
        return True


@in_namespaces
def test_remove_network_in_use_never_takes_the_definition_away() -> None:
    """Not even for a moment, in which a kill would lose it."""
    with WiredHost() as host:
        host.up("web")
        child = os.fork()
        if not child:
            with host.engine() as engine:
                racing = exchanged(engine, networks=Killing(PATHS))
                with pytest.raises(ConflictError):
                    racing.networks.remove("lan")
            os._exit(0)

        assert os.waitpid(child, 0)[1] == 0
        host.up("other")


class Reborn(AttachmentStore):
    """Who looks for users behind the end of `lan` finds it made anew, and used."""

    machine: WiredHost

    def all(self) -> tuple[Attachment, ...]:
        """Let others define it again, and return all records."""
        networks = NetworkStore(PATHS)
        if networks.find("lan") is None:
            networks.add(network())
            self.machine.up("web")
        return super().all()


@in_namespaces
def test_remove_network_that_was_made_anew_leaves_the_new_one() -> None:
    """The leases of the new network's containers are not the old one's."""
    with WiredHost() as host, host.engine() as engine:
        store = Reborn(PATHS)
        store.machine = host
        racing = exchanged(engine, attachments=store)
        with pytest.raises(ConflictError):
            racing.networks.remove("lan")

        host.up("other")
        assert host.addresses("web") != host.addresses("other")


@in_namespaces
def test_attach_out_of_time_still_undoes_everything() -> None:
    """Undoing has a few seconds of its own, in which it gets a lock that is held."""
    with WiredHost() as host:
        web = host.start("web")
        engine = Engine.open(PATHS)
        deadline, over = engine.operation.deadline, threading.Event()
        busy = Lock(f"{PATHS.run}/ipam/lan/lock", "network lan", None)

        def let_go() -> None:
            while not deadline.left_s and not over.wait(0.001):
                pass
            busy.__exit__()

        other = threading.Thread(target=let_go)

        def run_out(step: Step) -> None:
            if isinstance(step, AddVeth):
                busy.__enter__()
                deadline._end = 0.0
                other.start()

        late = exchanged(engine, trace=run_out)
        with late, open_sandbox(web) as sandbox:
            with pytest.raises(OcinetError, match="longer than"):
                late.attach(web, on("lan", publish=(PORT,)), sandbox)
            over.set()
            other.join()

        assert records() == []
        assert ip_json("link show type veth") == []
        with busy, late.operation.locks.container(web.id, wait=False):
            pass


@in_namespaces
def test_join_of_a_half_made_owner_is_refused() -> None:
    """A member of a sandbox without its network would start without a word."""
    with WiredHost() as host:
        web = host.start("web")
        kill_before(host, web, on("lan"), ConfigureInside)
        member = host.container("side", host.sleepers["web"].pid)

        with pytest.raises(NotFoundError, match="not attached yet"):
            host.attach(member, Request("container", "web"))


@in_namespaces
def test_unpublish_of_a_udp_port_forgets_its_flows() -> None:
    """A flow that goes on would still lead to the container."""
    done: list[type[Step]] = []
    with WiredHost() as host:
        host.up("web", on("lan", publish=(udp(53, 53),)))
        with host.engine(lambda step: done.append(type(step))) as engine:
            engine.unpublish("web", (Publish("udp", None, 53, 53),))

    assert ForgetFlows in done


class _Late:
    """The networks, during whose reading, after the leases', a container is attached."""

    def __init__(self, store: Networks, meanwhile: Callable[[], None]) -> None:
        self._store = store
        self._meanwhile = [meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def readable(self) -> tuple[Network, ...]:
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._store.readable()


@in_namespaces
def test_collect_while_a_link_is_made_leaves_it_alone() -> None:
    """It is there before its alias is, and so tells nobody yet whose it is."""
    with WiredHost() as host:

        def attach() -> None:
            record = host.up("web")
            run(f"ip link set dev {record.endpoints[0].host_ifname} alias x")  # as not yet named

        engine = host.engine()
        with engine:
            late = _Late(engine.records.networks, attach)
            findings = exchanged(engine, networks=late).gc()
        assert findings == ()
        assert len(host.addresses("web")) == 1


class BetweenReadAndCommit:
    """Our table, before whose making anew something happens once the records have been read."""

    def __init__(self, firewall: object, act: Callable[[], object]) -> None:
        self._firewall = firewall
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._firewall, name)

    def rebuild(self, *entered: object) -> None:
        """Do what happens, then make the table of what was read before."""
        self._act()
        self._firewall.rebuild(*entered)  # type: ignore[attr-defined]


@in_namespaces
def test_flush_beside_an_attach_and_a_detach_leaves_no_dead_port() -> None:
    """The port of who was detached while the table was made anew is closed, and can be had."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        other = host.start("other")
        run("nft flush ruleset")
        with host.engine() as opened, open_sandbox(other) as sandbox:
            between = BetweenReadAndCommit(opened.host.firewall, lambda: host.stop("web"))
            changed = opened.host.replace(firewall=between)
            engine = Engine(PATHS, opened.operation, changed, opened.records)
            engine.attach(other, on("lan"), sandbox)

        assert "web" not in host.sleepers
        assert "8080" not in published()
        host.up("new", on("lan", publish=(PORT,)))
        assert "tcp . 8080 : " in published()


class _LateLinks:
    """The host's links, but for a bridge that is made anew after the subnets were listed."""

    def __init__(self, links: Any) -> None:
        self._links = links
        self._is_late = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)

    def connected(self, family: int) -> tuple[tuple[int, Subnet], ...]:
        found: tuple[tuple[int, Subnet], ...] = self._links.connected(family)
        if self._is_late and family == 4:
            self._is_late = False
            return tuple((at + 1000, subnet) for at, subnet in found)
        return found


@in_namespaces
def test_attach_while_its_bridge_is_made_anew_finds_nobody_in_its_way() -> None:
    """The subnet that was listed was its own bridge's of before."""
    with WiredHost() as host:
        host.up("first", on("lan"))
        web = host.start("web")
        engine = Engine.open(PATHS)
        late = engine.host.replace(links=_LateLinks(engine.host.links))
        with (
            Engine(PATHS, engine.operation, late, engine.records, engine.to_close) as engine,
            open_sandbox(web) as sandbox,
        ):
            engine.attach(web, on("lan"), sandbox)
        assert host.pings("web", "10.9.0.1")

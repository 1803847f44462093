"""Attach on a bridge where others hand out addresses, too: none of theirs is ever given."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import make_pool, network, on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.segment import MAC, make_bridge, neighbour
from hosts.namespace.wired_host import (
    PATHS,
    WiredHost,
    exchanged,
    open_sandbox,
    snapshot,
)
from ocinet.base.address import Address
from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, ExhaustedError, SystemFailure
from ocinet.engine.engine import Engine
from ocinet.engine.model.network import Network
from ocinet.engine.plan.port_steps import AddVeth
from ocinet.engine.plan.steps import Step
from ocinet.ipam.pool import Pool
from ocinet.ipam.reservation import Reservation, ReservationStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request


SMALL = make_pool("10.1.0.0/24", "10.1.0.1", "10.1.0.8-10.1.0.11")
WIDE = make_pool("10.1.0.0/24", "10.1.0.1", "10.1.0.100-10.1.0.199")
SIX = make_pool("fd00:1::/64", "fd00:1::1", "fd00:1::8-fd00:1::b")


class Shared(WiredHost):
    """A host with the network `dock`, on the bridge br0 that somebody else made.

    Attributes:
        known: what the other allocator says that it gave out.
        asked: the networks that it was asked for.
    """

    def __init__(self, *pools: Pool) -> None:
        super().__init__()
        self.known: dict[Address, str] = {}
        self.asked: list[str] = []
        with self.engine() as engine:
            engine.records.networks.add(network("dock", device="br0", pools=pools, managed=False))

    def _neighbours(self, network: Network) -> Mapping[Address, str]:
        self.asked.append(network.name)
        return self.known

    def engine(self, trace: Callable[[Step], None] | None = None) -> Engine:
        """Return an engine that knows whom to ask."""
        return exchanged(Engine.open(PATHS, neighbours=self._neighbours), trace=trace)

    def events(self, event: str) -> list[dict[str, str]]:
        """Return what the log has of one event."""
        lines = Path(f"{PATHS.run}/events.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [{key: line[key] for key in line if key not in ("event", "time")}
                for line in found if line["event"] == event]  # fmt: skip


@contextmanager
def shared(*pools: Pool) -> Iterator[Shared]:
    """Yield a host with br0, which bears the first address of each pool's subnet."""
    make_bridge()
    for pool in pools:
        run(f"ip addr add {pool.gateway}/{pool.subnet.prefixlen} dev br0 nodad")
    host = Shared(*pools)
    with host:
        yield host


def static(address: str) -> Request:
    """Return the request for one address on `dock`."""
    return on("dock", addresses=(Address.parse(address),))


def addresses(record: Attachment) -> list[str]:
    """Return a record's addresses."""
    return [str(address.address) for end in record.endpoints for address in end.addresses]


@in_namespaces
def test_attach_passes_over_what_somebody_answers_for() -> None:
    """The next free address is given, the answer is told, and both reach each other."""
    with shared(SMALL) as host, neighbour("10.1.0.8/24", "10.1.0.9/24"):
        record = host.up("web", on("dock"))

        assert host.addresses("web") == ["10.1.0.10/24"]
        assert host.pings("web", "10.1.0.8")
        assert host.events("address in use by another") == [
            {"network": "dock", "address": "10.1.0.8", "mac": MAC},
            {"network": "dock", "address": "10.1.0.9", "mac": MAC},
        ]
        with host.engine() as engine:
            held = [str(lease.address) for lease in engine.records.leases.leases("dock")]
        assert held == addresses(record) == ["10.1.0.10"]


_ANSWER_ALL = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("eth0", 0))
me = s.getsockname()[4]
print("ready", flush=True)
while True:
    frame, told = s.recvfrom(100)
    if frame[20:22] == b"\\0\\1" and told[2] != socket.PACKET_OUTGOING:
        asker, wanted = frame[22:32], frame[38:42]
        s.send(asker[:6] + me + frame[12:20] + b"\\0\\2" + me + wanted + asker)
"""


@contextmanager
def _answers_all(host: Shared, name: str) -> Iterator[None]:
    """Have a container answer whoever asks for any address."""
    entering = ("nsenter", "-n", "-t", str(host.sleepers[name].pid))
    words = (*entering, sys.executable, "-c", _ANSWER_ALL)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as liar:
        try:
            assert liar.stdout
            assert liar.stdout.readline() == b"ready\n"
            yield
        finally:
            liar.kill()


@pytest.mark.parametrize("guarded", [True, False])
@in_namespaces
def test_container_that_answers_for_all_addresses_stops_nobody(guarded: bool) -> None:
    """The guard drops its lies; without one they are known by its MAC, told, and passed over."""
    with shared(SMALL) as host, neighbour("10.1.0.9/24"):
        (end,) = host.up("evil", on("dock")).endpoints
        if not guarded:
            run(f"tc filter del dev {end.host_ifname} ingress")
        with _answers_all(host, "evil"):
            host.up("web", on("dock"))
        assert host.addresses("web") == ["10.1.0.10/24"]  # .9 is the neighbour's, who is heard
        told = host.events("answers for others' addresses")
        assert {line["container"] for line in told} == (set() if guarded else {"evil"})


@in_namespaces
def test_container_of_a_network_without_guards_may_have_any_address() -> None:
    """So what it answers for is in use: the attack, where nothing guards."""
    with shared(SMALL) as host, neighbour("10.1.0.9/24"):
        with host.engine() as engine:
            (dock,) = [net for net in engine.records.networks.all() if net.name == "dock"]
            engine.records.networks.remove("dock")
            engine.records.networks.add(dock.replace(guard=False))
        host.up("evil", on("dock"))
        with _answers_all(host, "evil"), pytest.raises(ExhaustedError, match="others answered"):
            host.up("web", on("dock"))


@in_namespaces
def test_attach_with_an_address_that_somebody_answers_for_is_refused() -> None:
    """The error names who answers, and everything is as before."""
    with shared(SMALL) as host, neighbour("10.1.0.50/24"):
        web = host.start("web")
        before = snapshot()

        with pytest.raises(ConflictError) as raised:
            host.attach(web, static("10.1.0.50"))

        assert str(raised.value) == (
            f"cannot attach web: 10.1.0.50 is in use already: {MAC} answers for it on br0"
            " (hint: choose another address)"
        )
        assert snapshot() == before
        host.attach(web, static("10.1.0.51"))
        assert host.addresses("web") == ["10.1.0.51/24"]


@in_namespaces
def test_attach_with_a_reserved_address_that_somebody_answers_for_is_refused() -> None:
    """A reservation is a promise: another address would break it in silence."""
    with shared(SMALL) as host, neighbour("10.1.0.9/24"):
        reservation = Reservation("dock", "web", Address.parse("10.1.0.9"))
        ReservationStore(PATHS, deadline=Deadline(5)).add(reservation)

        with pytest.raises(ConflictError, match=f"10.1.0.9 is in use already: {MAC} answers"):
            host.up("web", on("dock"))


@in_namespaces
def test_attach_passes_over_what_the_other_allocator_knows_of() -> None:
    """Its addresses are nobody's to answer for yet; one that is asked for is refused by name."""
    with shared(SMALL) as host, neighbour("10.1.0.2/24"):
        host.known = {
            Address.parse(address): "Docker's container db" for address in ("10.1.0.8", "10.1.0.10")
        }

        host.up("web", on("dock"))
        host.up("next", on("dock"))

        assert (host.addresses("web"), host.addresses("next")) == (
            ["10.1.0.9/24"],
            ["10.1.0.11/24"],
        )
        with pytest.raises(ConflictError, match=r"10\.1\.0\.8 is held by Docker's container db"):
            host.up("static", static("10.1.0.8"))


@in_namespaces
def test_attach_that_finds_one_family_in_use_keeps_the_other() -> None:
    """Each family is moved on for itself."""
    with shared(SMALL, SIX) as host, neighbour("10.1.0.2/24", "fd00:1::8/64"):
        assert addresses(host.up("web", on("dock"))) == ["10.1.0.8", "fd00:1::9"]


@in_namespaces
def test_attach_where_all_is_in_use_tells_how_much_by_whom() -> None:
    """Held, another allocator's, and answered for: the error has it all, with what to do."""
    with shared(SMALL) as host, neighbour("10.1.0.9/24", "10.1.0.11/24"):
        host.known = {Address.parse("10.1.0.10"): "Docker's container db"}
        host.up("web", on("dock"))

        with pytest.raises(ExhaustedError) as raised:
            host.up("late", on("dock"))

        assert str(raised.value) == (
            "cannot attach late: no address is free on dock: 10.1.0.0/24 has 4 to give, 1 are held"
            " and 3 reserved, the host's own or others'; others answered for 2 of these (hint:"
            " keep the ranges apart: ocinet network create --ip-range, and dockerd's --fixed-cidr)"
        )
        host.stop("web")
        assert addresses(host.up("late2", on("dock"))) == ["10.1.0.8"]


@in_namespaces
def test_attach_among_too_many_strangers_gives_up() -> None:
    """A range that is somebody else's altogether holds no container up for long."""
    theirs = [f"10.1.0.{number}/24" for number in range(100, 180)]
    with shared(WIDE) as host, neighbour(*theirs):
        before = snapshot()
        web = host.start("web")

        with pytest.raises(ExhaustedError, match="the first 64 addresses that dock had to give"):
            host.attach(web, on("dock"))

        assert snapshot() == before


@in_namespaces
def test_attach_that_fails_later_gives_back_every_address_it_tried() -> None:
    """The next one begins where this one began, and asks anew."""
    with shared(SMALL) as host, neighbour("10.1.0.8/24"):
        web = host.start("web")
        before = snapshot()
        with pytest.raises(SystemFailure, match="made to fail"):
            host.attach(web, on("dock"), fail_at_veth)
        assert snapshot() == before

        host.attach(web, on("dock"))

        assert host.addresses("web") == ["10.1.0.9/24"]


def fail_at_veth(step: Step) -> None:
    """Fail where the pair is to be made."""
    if isinstance(step, AddVeth):
        raise SystemFailure("", "made to fail")


@in_namespaces
def test_attach_to_a_managed_network_asks_no_other_allocator() -> None:
    """There is none on our own bridge; the segment is asked, for somebody is plugged in."""
    with shared(SMALL) as host:
        host.up("web")
        with neighbour("10.9.0.3/24", bridge="br-lan"):
            host.up("next")

        assert host.addresses("next") == ["10.9.0.4/24"]
        assert host.asked == []


@in_namespaces
def test_plan_shows_the_address_that_attach_gives() -> None:
    """A plan asks around as well, and leaves nothing."""
    with shared(SMALL) as host, neighbour("10.1.0.8/24"):
        web = host.start("web")
        before = snapshot()
        with host.engine() as engine, open_sandbox(web) as sandbox:
            planned = [line for step in engine.plan(web, on("dock"), sandbox)
                       for line in step.describe()]  # fmt: skip
        assert snapshot() == before

        assert any("10.1.0.9/24" in line for line in planned)
        assert not any("10.1.0.8/24" in line for line in planned)


@in_namespaces
def test_attach_of_many_at_once_gives_distinct_addresses_of_nobodys() -> None:
    """Twenty that start together, on a bridge where every other address is taken."""
    theirs = {f"10.1.0.{number}" for number in range(100, 140, 2)}
    with shared(WIDE) as host, neighbour(*(f"{address}/24" for address in sorted(theirs))):
        containers = [host.start(f"c{number}") for number in range(20)]
        assert host.attach_at_once(containers, on("dock")) == {0}

        given = {host.addresses(container.name)[0].partition("/")[0] for container in containers}
        assert len(given) == 20
        assert not given & theirs


@in_namespaces
def test_restart_after_a_silent_death_gets_its_static_address_back() -> None:
    """The former life's own link, which may be up for a moment still, is no stranger."""
    with shared(SMALL) as host, neighbour("10.1.0.2/24"):
        for _life in range(10):
            host.up("web", static("10.1.0.8"))
            host.sleepers.pop("web").end()

        host.up("web", static("10.1.0.8"))
        assert host.addresses("web") == ["10.1.0.8/24"]


@pytest.mark.parametrize(("before", "during"), [("0", "2"), ("1", "1")])
@in_namespaces
def test_remove_network_leaves_the_adopted_bridge_as_it_was(before: str, during: str) -> None:
    """What a published port needed of it is taken back, unless its owner had set it so."""
    key = Path("/proc/sys/net/ipv4/conf/br0/route_localnet")
    with shared(SMALL) as host:
        key.write_text(before)
        host.up("web", on("dock", publish=(tcp(8080),)))
        assert key.read_text().strip() == during
        host.stop("web")

        with host.engine() as engine:
            engine.networks.remove("dock")

        assert key.read_text().strip() == before
        assert run("ip -j link show br0")

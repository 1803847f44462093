"""What the records promise to transactions: asked of the files, and of the fakes in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fakes.records import (
    FakeAttachments,
    FakeLeases,
    FakeNetworks,
    FakePortClaims,
    NoSockets,
)
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Deadline, Process, boot_id
from ocinet.base.errors import ConflictError, ExhaustedError, NotFoundError, RequestError
from ocinet.base.paths import Paths
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import Publish
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.networks import NetworkStore
from ocinet.engine.records.port_claims import PortClaims
from ocinet.ipam.lease import Holder
from ocinet.ipam.pool import Pool
from ocinet.ipam.store import AddressStore

if TYPE_CHECKING:
    from pathlib import Path

    from ocinet.engine import storage
    from ocinet.engine.records.port_claim import PortClaim
    from ocinet.ipam.lease import Lease

SUBNET = Subnet.parse("10.9.0.0/29")
POOL = Pool(SUBNET, SUBNET.first + 1)
LAN = Network("lan", "br-lan", (POOL,), created="2025-01-31T12:00:00.000Z")


class World:
    """The four stores of one kind, and who is dead.

    Attributes:
        dead: containers whose leases and claims nobody needs.
    """

    def __init__(self, kind: str, root: Path) -> None:
        self.dead: set[str] = set()
        paths = Paths(config=f"{root}/etc", state=f"{root}/var", run=f"{root}/run")
        files = kind == "files"
        deadline = Deadline(5)

        def lives(lease: Lease) -> bool:
            return lease.holder.container not in self.dead

        def stands(claim: PortClaim) -> bool:
            return claim.container not in self.dead

        def tell(_event: str, **_fields: object) -> None:
            """Tell nobody."""

        self.attachments: storage.Attachments = (
            AttachmentStore(paths) if files else FakeAttachments()
        )
        self.networks: storage.Networks = NetworkStore(paths) if files else FakeNetworks()
        self.leases: storage.Leases = (
            AddressStore(paths, deadline=deadline, holder_lives=lives, report=tell)
            if files
            else FakeLeases(lives)
        )
        self.ports: storage.PortClaims = (
            PortClaims(paths, NoSockets(), deadline=deadline, holder_lives=stands)
            if files
            else FakePortClaims(stands)
        )

    def allocate(self, container: str, *wanted: str, taken: str = "") -> list[str]:
        """Allocate on `lan`; returns the addresses."""
        addresses = tuple(Address.parse(text) for text in wanted)
        busy = {Address.parse(taken): "the host's own address"} if taken else {}
        leases = self.leases.allocate("lan", (POOL,), addresses, holder(container), container, busy)
        return [str(lease.address) for lease in leases]

    def claim(self, container: str, *ports: int) -> list[int]:
        """Claim TCP ports on every address; returns them."""
        wishes = tuple(Publish("tcp", None, port, 80) for port in ports)
        return [publish.host_port for publish in self.ports.claim(container, container, wishes)]


@pytest.fixture(params=["files", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return empty stores, of files and of memory in turn."""
    return World(request.param, tmp_path)


def holder(container: str) -> Holder:
    """Return a container's first interface as a holder."""
    process = Process.of(os.getpid())
    return Holder(container, "eth0", f"4:{container}", f"oc{container}", process, boot_id())


def record(container_id: str, time: str = "2025-01-31T12:00:00.000Z") -> Attachment:
    """Return a record with an endpoint and a port."""
    address = Interface.parse("10.9.0.2/29")
    endpoint = Endpoint("lan", "br-lan", "eth0", "oc0123456789abc", "02:6f:0a:09:00:02", 1500,
                        (address,))  # fmt: skip
    return Attachment(
        container=Container(container_id, container_id, process=Process.of(os.getpid())),
        mode="bridge",
        state="attached",
        sandbox="4:4026532281",
        boot_id=boot_id(),
        time=time,
        endpoints=(endpoint,),
        ports=(rule(8080),),
    )


def rule(host_port: int) -> PortRule:
    """Return a published port of 10.9.0.2."""
    return PortRule("tcp", None, host_port, Address.parse("10.9.0.2"), 80)


def test_record_comes_back_as_it_was_put(world: World) -> None:
    """And a second one replaces it."""
    world.attachments.put(record("web"))
    assert world.attachments.get("web") == record("web")
    changed = record("web").replace(ports=())
    world.attachments.put(changed)
    assert world.attachments.get("web") == changed
    assert world.attachments.ids() == ("web",)


def test_records_are_listed_by_time(world: World) -> None:
    """Ids are sorted, records by when they were made."""
    for container_id, time in (("b", "2025-01-01"), ("a", "2025-01-02"), ("c", "2025-01-03")):
        world.attachments.put(record(container_id, time))
    assert world.attachments.ids() == ("a", "b", "c")
    assert [known.container.id for known in world.attachments.all()] == ["b", "a", "c"]


def test_removed_record_is_gone_and_a_missing_one_is_fine(world: World) -> None:
    """Removing can be repeated."""
    world.attachments.put(record("web"))
    world.attachments.remove("web")
    world.attachments.remove("web")
    assert world.attachments.get("web") is None
    assert (world.attachments.all(), world.attachments.unreadable()) == ((), ())


def test_illegal_id_is_refused(world: World) -> None:
    """An id becomes a file's name."""
    with pytest.raises(RequestError):
        world.attachments.get("../web")


def test_network_is_found_by_name_once_it_was_added(world: World) -> None:
    """And twice it can't be."""
    assert world.networks.find("lan") is None
    world.networks.add(LAN)
    assert world.networks.find("lan") == world.networks.get("lan") == LAN
    assert (world.networks.all(), world.networks.readable()) == ((LAN,), (LAN,))
    assert world.networks.unreadable() == ()
    with pytest.raises(ConflictError, match="there is a network lan already"):
        world.networks.add(LAN.replace(device="br0"))
    assert world.networks.get("lan") == LAN


@pytest.mark.parametrize("name", ["lan", "bridge"])
def test_get_of_a_network_that_is_not_defined_defines_nothing(world: World, name: str) -> None:
    """Reading a name, the default one too, is no act."""
    with pytest.raises(NotFoundError):
        world.networks.get(name)
    assert world.networks.names() == ()


def test_removed_network_is_gone(world: World) -> None:
    """It tells whether there was one."""
    world.networks.add(LAN)
    assert world.networks.remove("lan")
    assert not world.networks.remove("lan")
    assert world.networks.names() == ()


def test_addresses_are_given_in_turn_without_gateway_and_broadcast(world: World) -> None:
    """A /29 has five; the sixth container gets none."""
    given = [world.allocate(f"c{number}") for number in range(5)]
    assert given == [[f"10.9.0.{number}"] for number in range(2, 7)]
    with pytest.raises(ExhaustedError):
        world.allocate("c5")


def test_freed_address_is_not_given_at_once(world: World) -> None:
    """The next one is, for somebody may still know who had it."""
    world.allocate("web")
    assert world.leases.release("lan", Address.parse("10.9.0.2"), "web")
    assert world.allocate("db") == ["10.9.0.3"]


def test_address_that_nobody_used_is_next_again(world: World) -> None:
    """An allocation that is given back leaves nothing."""
    leases = world.leases.allocate("lan", (POOL,), (), holder("web"), "web", {})
    world.leases.give_back("lan", (POOL,), leases)
    assert world.leases.leases("lan") == ()
    assert world.allocate("db") == ["10.9.0.2"]


def test_same_endpoint_gets_its_address_again(world: World) -> None:
    """An attach can be repeated."""
    assert world.allocate("web") == world.allocate("web") == ["10.9.0.2"]
    assert [lease.holder.container for lease in world.leases.leases("lan")] == ["web"]


def test_static_address_is_given_unless_it_is_held_or_taken(world: World) -> None:
    """Who has it is another container, or somebody else on the bridge."""
    assert world.allocate("web", "10.9.0.5") == ["10.9.0.5"]
    with pytest.raises(ConflictError):
        world.allocate("db", "10.9.0.5")
    with pytest.raises(ConflictError, match="the host's own address"):
        world.allocate("db", "10.9.0.6", taken="10.9.0.6")
    with pytest.raises(RequestError):
        world.allocate("db", "10.8.0.5")
    assert [str(lease.address) for lease in world.leases.leases("lan")] == ["10.9.0.5"]


def test_taken_address_is_passed_over(world: World) -> None:
    """What others use is not given."""
    assert world.allocate("web", taken="10.9.0.2") == ["10.9.0.3"]


def test_address_of_the_dead_is_given_on(world: World) -> None:
    """Once nobody lives who holds it."""
    world.allocate("web", "10.9.0.5")
    world.dead.add("web")
    assert world.allocate("db", "10.9.0.5") == ["10.9.0.5"]


def test_address_is_released_by_its_holder_alone(world: World) -> None:
    """A late release of the former holder changes nothing."""
    world.allocate("web", "10.9.0.5")
    assert not world.leases.release("lan", Address.parse("10.9.0.5"), "db")
    assert world.leases.networks() == ("lan",)
    assert world.leases.release("lan", Address.parse("10.9.0.5"), "web")
    assert not world.leases.release("lan", Address.parse("10.9.0.5"), "web")
    assert world.leases.networks() == ()


def test_removed_networks_leases_are_forgotten(world: World) -> None:
    """Nothing of it is left; not there is fine."""
    world.allocate("web")
    world.leases.remove_network("lan")
    world.leases.remove_network("lan")
    assert (world.leases.networks(), world.leases.leases("lan")) == ((), ())
    assert world.leases.reserved_mac("lan", "web") == ""
    assert world.leases.sweep("lan") == 0


def test_port_is_claimed_by_one_container(world: World) -> None:
    """Whose it is may claim it again; another may not."""
    assert world.claim("web", 8080) == world.claim("web", 8080) == [8080]
    with pytest.raises(ConflictError):
        world.claim("db", 8080)
    assert world.ports.holders() == ("web",)
    assert [(claim.container, claim.host_port) for claim in world.ports.all()] == [("web", 8080)]


def test_ports_are_claimed_together_or_not_at_all(world: World) -> None:
    """One that is taken costs the others, too."""
    world.claim("web", 8080)
    with pytest.raises(ConflictError):
        world.claim("db", 8081, 8080)
    assert world.ports.holders() == ("web",)
    with pytest.raises(RequestError, match="twice"):
        world.claim("db", 8082, 8082)
    assert world.ports.holders() == ("web",)


def test_ports_of_two_protocols_are_two(world: World) -> None:
    """One container may have one, and another one the other."""
    wishes = tuple(Publish(protocol, None, 8080, 80) for protocol in ("tcp", "udp"))
    assert world.ports.claim("web", "web", wishes) == wishes
    world.ports.release("web", wishes[1:])
    assert world.ports.claim("db", "db", wishes[1:]) == wishes[1:]
    assert world.ports.held("web", (rule(8080),)) == (rule(8080),)
    assert world.ports.holders() == ("db", "web")


def test_while_unclaimed_is_about_what_nobody_claims(world: World) -> None:
    """Of several ports the others; with none of them it is not called at all."""
    called: list[tuple[PortRule, ...]] = []
    world.claim("web", 8080)
    assert world.ports.while_unclaimed((rule(8080),), called.append) == ()
    assert world.ports.while_unclaimed((), called.append) == ()
    assert not called
    assert world.ports.while_unclaimed((rule(8080), rule(8081)), called.append) == (rule(8081),)
    assert called == [(rule(8081),)]


def test_free_port_is_chosen_where_none_is_given(world: World) -> None:
    """And each container gets another one."""
    (first,), (second,) = world.claim("web", 0), world.claim("db", 0)
    assert first
    assert second
    assert first != second


def test_port_of_the_dead_is_claimed(world: World) -> None:
    """And its former holder holds it no more."""
    world.claim("web", 8080)
    assert world.ports.held("web", (rule(8080),)) == (rule(8080),)
    world.dead.add("web")
    world.claim("db", 8080)
    assert world.ports.held("web", (rule(8080),)) == ()
    assert world.ports.holders() == ("db",)


def test_released_ports_are_free(world: World) -> None:
    """Of one container, some or all."""
    world.claim("web", 8080, 8081, 8082)
    world.ports.release("web", (rule(8080),))
    assert {port for claim in world.ports.all() for port in claim.ports} == {8081, 8082}
    assert world.claim("db", 8080) == [8080]
    world.ports.release("db", (rule(8082),))  # not its own
    world.ports.release_all("web")
    assert world.ports.holders() == ("db",)

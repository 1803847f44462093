"""Addresses on a bridge where somebody else hands them out, too: what others use is passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import make_holder, network
from fakes.world import World
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, ExhaustedError
from ocinet.engine.adopted import Adopted, segment_of
from ocinet.engine.assembly import machine_on
from ocinet.engine.kernel.probe import FAR, NEAR
from ocinet.engine.model.observed import DeviceState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocinet.ipam.lease import Lease

DOCK = network("dock", "10.7.0.0/28", managed=False, device="br0")
MAC = "02:00:00:00:00:07"


class Neighbourhood:
    """A segment on which some addresses are answered for."""

    def __init__(self, *used: str) -> None:
        self._used = {Address.parse(text): MAC for text in used}
        self.asked: list[str] = []
        self.closed = 0

    def users(
        self,
        addresses: tuple[Address, ...],
        _waits_s: tuple[float, ...],
        *,
        deaf_to: frozenset[str] = frozenset(),
    ) -> dict[Address, str]:
        """Return who answers."""
        self.asked += map(str, addresses)
        return {
            address: mac
            for address, mac in self._used.items()
            if address in addresses and mac not in deaf_to
        }

    def close(self) -> None:
        """Count it."""
        self.closed += 1


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host with somebody's bridge."""
    with World(DOCK) as made:
        made.host.add_bridge("br0")
        made.host.fill_bridge("br0", 1)
        made.host.namespace.links["p0"].set_up()  # somebody who could answer
        yield made


def allocate(
    world: World, segment: Neighbourhood, *static: str, known: Mapping[str, str] | None = None
) -> list[str]:
    """Allocate for `web`, as an attach does; returns the addresses."""
    theirs = {Address.parse(text): who for text, who in (known or {}).items()}
    operation = world.operation(neighbours=lambda _network: theirs)
    adopted = Adopted(operation, world.records, DOCK, segment, NEAR)
    wanted = tuple(Address.parse(text) for text in static)

    def give(taken: Mapping[Address, str]) -> tuple[Lease, ...]:
        return world.leases.allocate("dock", DOCK.pools, wanted, make_holder("web"), "web", taken)

    try:
        return [str(lease.address) for lease in adopted.allocate({}, give)]
    finally:
        adopted.close()
        assert segment.closed == 1


def held(world: World) -> list[str]:
    """Return the addresses that the store has given."""
    return [str(lease.address) for lease in world.leases.leases("dock")]


def test_address_that_nobody_answers_for_is_given(world: World) -> None:
    """The first one that is free, once it was asked for."""
    segment = Neighbourhood()
    assert allocate(world, segment) == segment.asked == ["10.7.0.2"]


def test_addresses_that_somebody_answers_for_are_given_back(world: World) -> None:
    """And the next one is tried; who uses it is told."""
    assert allocate(world, Neighbourhood("10.7.0.2", "10.7.0.3")) == ["10.7.0.4"]
    assert held(world) == ["10.7.0.4"]
    told = world.told("address in use by another")
    assert [(fields["address"], fields["mac"]) for fields in told] == [
        ("10.7.0.2", MAC),
        ("10.7.0.3", MAC),
    ]


def test_what_the_other_allocator_has_given_is_not_even_asked_for(world: World) -> None:
    """Its word is enough."""
    segment = Neighbourhood()
    assert allocate(world, segment, known={"10.7.0.2": "Docker's container db"}) == ["10.7.0.3"]
    assert segment.asked == ["10.7.0.3"]


def test_static_address_that_somebody_answers_for_is_refused(world: World) -> None:
    """Nothing is held then; the error names who has it."""
    with pytest.raises(ConflictError, match=MAC):
        allocate(world, Neighbourhood("10.7.0.9"), "10.7.0.9")
    assert held(world) == []


def test_segment_full_of_others_is_told_as_that(world: World) -> None:
    """How many answered is in the error."""
    everyone = [f"10.7.0.{number}" for number in range(2, 15)]
    with pytest.raises(ExhaustedError, match="others answered for 13"):
        allocate(world, Neighbourhood(*everyone))
    assert held(world) == []


def test_bridge_that_is_down_is_not_asked(world: World) -> None:
    """Nobody could answer."""
    world.host.set_down("br0")
    operation = world.operation()
    machine = machine_on(world.host.seams(), world.records, operation)
    state = DeviceState("br0", world.host.links.link("br0"), (), 1500)
    adopted = Adopted(operation, world.records, DOCK, *segment_of(machine, DOCK, state, ()))
    give = world.leases.allocate("dock", DOCK.pools, (), make_holder("web"), "web")
    assert adopted.allocate({}, lambda _taken: give) == give
    adopted.close()


def test_ports_of_ours_that_others_may_be_behind_are_asked_one_by_one(world: World) -> None:
    """As long as the bridge sends no tags that it alone knows of."""
    machine = machine_on(world.host.seams(), world.records, world.operation())
    world.host.namespace.add("tap0", "tun").set_up()
    bridge = world.host.links.link("br0")
    assert bridge
    state = DeviceState("br0", bridge, (), 1500)
    segment, waits_s = segment_of(machine, DOCK, state, ("oc0123456789abc", "tap0"))
    assert segment
    assert (segment.asked, waits_s) == (("oc0123456789abc", "tap0"), FAR)
    for veths in (("oc0123456789abc",), ("p0",), (*["oc0123456789abc"] * 20, "p0")):
        assert segment_of(machine, DOCK, state, veths)[1] == NEAR
    assert segment_of(machine, DOCK, state, ("gone",))[1] == ()
    filtering = state.replace(link=bridge.replace(filters_vlans=True))
    segment, waits_s = segment_of(machine, DOCK, filtering, ("oc0123456789abc", "tap0"))
    assert segment
    assert (segment.asked, waits_s) == (("br0",), NEAR)  # of those that are its ports


def test_bridge_with_many_ports_has_each_veth_asked_besides(world: World) -> None:
    """A frame to all of them may not come to the last."""
    bridge = world.host.namespace.links["br0"]
    for number in range(300):
        port = world.host.namespace.add(f"v{number}", "veth")
        port.master = bridge
        port.set_up()
    machine = machine_on(world.host.seams(), world.records, world.operation())
    state = DeviceState("br0", world.host.links.link("br0"), (), 1500)
    segment, _waits_s = segment_of(machine, DOCK, state, ())
    assert segment
    assert segment.asked[0] == "br0"
    assert sorted(segment.asked[1:]) == sorted(["p0", *(f"v{number}" for number in range(300))])

"""Bridges that stay closed while our table is not there: set when they are made, and kept so."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp
from fakes.world import World, check
from ocinet.base.errors import KernelError
from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.closing import nowhere
from ocinet.engine.ruleset.filters import NO_LOOPBACK, filters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LAN = network()
NONE = BridgeFilters(b"", b"")


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host with `lan`, `vault`, which is internal, and somebody's `br0`."""
    adopted = network("dock", "172.17.0.0/16", device="br0", managed=False)
    with World(LAN, network("vault", "10.7.0.0/24", internal=True), adopted) as made:
        made.host.add_bridge("br0")
        yield made


def _filters(world: World, device: str = "br-lan") -> BridgeFilters:
    return world.host.bridge_filters.present(device)


def _check(world: World, *, repair: bool = False) -> list[str]:
    """Return what is found of what all share; sandboxes can't be opened here."""
    with world.engine() as engine:
        return [finding.what for finding in engine.check(repair=repair) if not finding.container]


def _remove(world: World, name: str) -> None:
    for record in world.attachments.all():
        with world.engine() as engine:
            engine.detach(record.container.id)
    with world.engine() as engine:
        engine.networks.remove(name)


def test_bridge_that_is_made_is_closed_and_the_next_attach_looks_no_more(world: World) -> None:
    """It costs who comes second nothing."""
    world.up("web", on("lan"))
    assert _filters(world) == filters_of(LAN)
    assert world.host.routing_rules.all() == ()
    done = len(world.trace.acts), len(world.trace.looks)
    world.up("other", on("lan"))
    later = [*world.trace.acts[done[0] :], *world.trace.looks[done[1] :]]
    of_filters = [name for name in later if "filters" in name or "unmarked" in name]
    assert of_filters == ["bridge_filters.port_names"]  # which is no look at a filter


def test_bridge_that_is_made_again_is_closed_again(world: World) -> None:
    """By whoever finds it gone."""
    world.up("web", on("lan"))
    world.host.delete_link("br-lan")
    world.up("other", on("lan"))
    assert _filters(world) == filters_of(LAN)


def test_internal_network_is_forwarded_nowhere_until_it_is_removed(world: World) -> None:
    """Of both families, also where it has one."""
    world.up("web", on("vault"))
    device = network("vault").device
    assert world.host.routing_rules.all() == nowhere(device)
    assert _filters(world, device).ingress == NO_LOOPBACK
    _remove(world, "vault")
    assert world.host.routing_rules.all() == ()


def test_gc_takes_the_rules_of_a_bridge_that_no_network_has(world: World) -> None:
    """As after a removal that was killed."""
    world.up("web", on("vault"))
    with world.engine() as engine:
        engine.detach("web-id")
    world.networks.remove("vault")
    world.gc()
    assert world.host.routing_rules.all() == ()


def test_adopted_bridge_gets_what_our_own_sysctl_calls_for_alone(world: World) -> None:
    """Nothing without published ports; with them nobody may use 127.0.0.1; and it goes again."""
    world.up("web", on("dock"))
    assert _filters(world, "br0") == NONE
    world.up("other", on("dock", publish=(tcp(8080),)))
    assert _filters(world, "br0") == BridgeFilters(NO_LOOPBACK, b"")
    assert _check(world) == []
    world.host.bridge_filters.remove("br0")
    assert _check(world, repair=True) == ["br0 is open to 127.0.0.1 while our table is not there"]
    assert _check(world) == []
    _remove(world, "dock")
    assert _filters(world, "br0") == NONE


@pytest.mark.parametrize("way", ["ingress", "egress", "rules"])
def test_check_names_and_closes_what_others_opened(world: World, way: str) -> None:
    """A filter of one direction, or a rule."""
    device = network("vault").device
    world.up("web", on("vault"))
    assert _check(world) == []
    if way == "rules":
        world.host.routing_rules.take(nowhere(device)[0])
    else:
        world.host.bridge_filters.put(device, BridgeFilters(**{way: b""}))
    expected = [f"{device} is open to what our table has not let pass"]
    assert _check(world) == expected
    assert _check(world, repair=True) == expected
    assert _check(world) == []


def test_repeated_attach_closes_it_too(world: World) -> None:
    """Of that container's networks."""
    web = world.up("web", on("lan"))
    world.host.bridge_filters.remove("br-lan")
    world.attach(web, on("lan"))
    assert _filters(world) == filters_of(LAN)


def test_kernel_without_filters_is_told_and_the_network_works(world: World) -> None:
    """Once, when the bridge is made; what `check` can't put right, it says so."""
    world.host.filters_known = False
    web = world.start("web")
    with world.engine() as engine, world.host.open_sandbox(web.process) as sandbox:  # type: ignore[arg-type]
        engine.attach(web, on("lan"), sandbox)
        assert any("br-lan has no filters of its own" in line for line in engine.warnings)
    check(world)
    with world.engine() as engine:
        (finding,) = (found for found in engine.check(repair=True) if not found.container)
    assert (finding.repaired, "no such thing" in finding.why_not) == (False, True)
    world.attach(web, on("lan"))  # it works, and more is not to be had


def test_flowtable_of_others_keeps_a_bridge_open_to_what_comes_by_it(world: World) -> None:
    """It would stop what is let pass; that is told, and `check` follows when it comes and goes."""
    world.host.foreign.flowtables.append("inet home fast")
    world.up("web", on("lan"))
    assert _filters(world) == BridgeFilters(NO_LOOPBACK, b"")
    assert _check(world) == []
    world.host.foreign.flowtables.clear()
    _check(world, repair=True)
    assert _filters(world) == filters_of(LAN)
    world.host.foreign.flowtables.append("inet home fast")
    _check(world, repair=True)
    assert _filters(world) == BridgeFilters(NO_LOOPBACK, b"")


def test_settings_may_leave_bridges_open() -> None:
    """But for the host's own 127.0.0.1."""
    with World(settings=Settings(close_bridges=False)) as world:
        world.up("web", on("lan"))
        assert _filters(world) == BridgeFilters(NO_LOOPBACK, b"")
        assert _check(world) == []


def test_attach_that_fails_leaves_no_rule(world: World) -> None:
    """Wherever it fails."""
    web = world.start("web")
    before = world.state()
    for number in itertools.count():
        world.trace.fail_at(number)
        try:
            world.attach(web, on("vault"))
        except KernelError:
            assert world.state()["rules"] == before["rules"]
            continue
        break
    assert number > 5

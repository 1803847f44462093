"""Forwarding that we switched on: guarded while it is ours, given back with the last network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp
from fakes.records import FakeGuards
from fakes.world import World
from ocinet.base.errors import SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.model.forward_guard import ForwardGuard
from ocinet.engine.model.settings import Settings
from ocinet.engine.records.forward_guards import ForwardGuards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocinet.engine.plan.machine import Guards

V4, V6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host that forwards nothing, with a bridge of somebody's."""
    with World() as made:
        made.host.add_bridge("br0")
        yield made


def _guarded(world: World) -> dict[str, object]:
    """Return what is in the table of it."""
    table = world.table or {}
    return {name: sorted(table[name]) for name in ("guarded", "apart") if name in table}


def _values(world: World) -> tuple[str, str]:
    sysctls = world.host.namespace.sysctls
    return sysctls[V4], sysctls[V6]


def _remove(world: World, *names: str) -> None:
    with world.engine() as engine:
        for name in names:
            engine.networks.remove(name)


def _check(world: World, *, repair: bool = False) -> list[str]:
    """Return what is found of what all share; sandboxes can't be opened here."""
    with world.engine() as engine:
        return [finding.what for finding in engine.check(repair=repair) if not finding.container]


def test_first_attach_guards_its_family_before_it_forwards(world: World) -> None:
    """With the bridges that were there; the other family is as it was."""
    world.up("web", on("lan"))
    acts = list(world.trace.acts)
    assert acts.index("firewall.open") < acts.index("sysctls.write")
    assert _values(world) == ("10", "0")
    assert _guarded(world) == {"guarded": [("ipv4",)], "apart": [("ipv4", "br0")]}
    told = [str(event["command"]) for event in world.told("host changed")]
    assert any("guard_forwarding" in command for command in told)


def test_next_attach_does_nothing_about_it(world: World) -> None:
    """Nor does it look for what is on record."""
    world.up("web", on("lan"))
    before = world.state()["guards"]
    world.host.add_bridge("docker0")
    world.up("other", on("dmz"))
    assert world.state()["guards"] == before
    assert _guarded(world)["apart"] == [("ipv4", "br0")]


def test_second_family_is_guarded_when_it_comes(world: World) -> None:
    """With the bridges of that time: nothing was forwarded from them of this family."""
    world.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
    world.up("web", on("lan"))
    world.host.add_bridge("br1")
    world.up("other", on("six"))
    assert _values(world) == ("10", "10")
    assert world.guards.all() == (ForwardGuard(4, ("br0",)), ForwardGuard(6, ("br0", "br1")))


@pytest.mark.parametrize("value", ["1", "2"])
def test_forwarding_of_before_is_never_guarded(world: World, value: str) -> None:
    """Whoever switched it on relies on it."""
    world.host.namespace.sysctls[V4] = value
    world.up("web", on("lan"))
    assert _guarded(world) == {}
    _remove_all(world)
    assert _values(world)[0] == value


def _remove_all(world: World) -> None:
    for record in world.attachments.all():
        with world.engine() as engine:
            engine.detach(record.container.id)
    _remove(world, *world.networks.names())


def test_table_that_is_made_anew_has_the_guard(world: World) -> None:
    """With the bridges of the first time, whatever came since."""
    world.up("web", on("lan"))
    before = _guarded(world)
    world.host.add_bridge("docker0")
    world.host.drop_table()
    world.up("other", on("lan"))
    assert _guarded(world) == before


def test_forwarding_switched_off_and_mended_keeps_who_was_apart(world: World) -> None:
    """Docker's bridge that came since is none of them."""
    web = world.up("web", on("lan"))
    before = _guarded(world)
    world.host.add_bridge("docker0")
    world.host.namespace.sysctls[V4] = "0"
    world.attach(web, on("lan"))
    assert _values(world)[0] == "10"
    assert _guarded(world) == before


@pytest.mark.parametrize("how", ["attach", "again", "check"])
def test_somebody_else_who_wants_it_ends_the_guard(world: World, how: str) -> None:
    """netavark, CNI, libvirt and sysctl.d write 1 over ours; ports stay published."""
    web = world.up("web", on("lan", publish=(tcp(8080),)))
    world.host.namespace.sysctls[V4] = "1"
    if how == "check":
        assert len(_check(world)) == 1
        assert _guarded(world) != {}
        _check(world, repair=True)
    elif how == "again":
        world.attach(web, on("lan"))
    else:
        world.up("other", on("lan"))
    assert (_guarded(world), world.guards.all()) == ({}, ())
    assert (4, "tcp", 8080) in world.published()
    assert _check(world) == []
    _remove_all(world)
    assert _values(world)[0] == "1"


def test_settings_may_leave_all_of_it_open() -> None:
    """And then it stays on: who wants the host to route needs it."""
    with World(settings=Settings(guard_forwarding=False)) as world:
        world.up("web", on("lan"))
        assert (_guarded(world), _values(world)[0]) == ({}, "10")
        assert _check(world) == []
        _remove_all(world)
        assert _values(world)[0] == "10"


def test_check_follows_the_settings(world: World) -> None:
    """Both ways; others' bridges of now may count on forwarding, so they are let be."""
    world.up("web", on("lan"))
    world._settings = Settings(guard_forwarding=False)
    assert len(_check(world)) == 1
    _check(world, repair=True)
    assert _guarded(world) == {}
    world._settings = Settings()
    assert len(_check(world)) == 1
    _check(world, repair=True)
    assert _guarded(world) == {"guarded": [("ipv4",)]}
    assert _check(world) == []


def test_last_network_gives_it_back(world: World) -> None:
    """Not the last but one, nor a detach."""
    world.up("web", on("lan"))
    world.up("db", on("dmz"))
    with world.engine() as engine:
        engine.detach("web-id")
        engine.detach("db-id")
    _remove(world, "lan")
    assert (_values(world)[0], world.guards.all()) == ("10", (ForwardGuard(4, ("br0",)),))
    _remove(world, "dmz")
    assert (_values(world)[0], world.guards.all(), _guarded(world)) == ("0", (), {})


def test_network_that_never_had_a_bridge_holds_nothing(world: World) -> None:
    """It is defined, and its first attach switches it on again."""
    world.up("web", on("lan"))
    with world.engine() as engine:
        engine.detach("web-id")
    _remove(world, "lan")
    assert world.networks.names() == ("dmz",)
    assert _values(world)[0] == "0"


def test_family_that_the_rest_does_without_is_given_back_alone(world: World) -> None:
    """The other one goes on."""
    world.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
    world.up("web", on("lan"))
    world.up("other", on("six"))
    with world.engine() as engine:
        engine.detach("other-id")
    _remove(world, "six")
    assert _values(world) == ("10", "0")
    assert [guard.family for guard in world.guards.all()] == [4]


def test_bridge_of_others_that_came_since_keeps_it_on(world: World) -> None:
    """dockerd writes nothing where it finds forwarding on; who was apart still is."""
    world.up("web", on("lan"))
    world.host.add_bridge("docker0")
    _remove_all(world)
    assert _values(world)[0] == "10"
    assert _guarded(world)["apart"] == [("ipv4", "br0")]
    assert "docker0" in str(world.told("forwarding stays on"))
    world.host.delete_link("docker0")
    world.gc()
    assert (_values(world)[0], _guarded(world)) == ("0", {})


def test_gc_that_can_not_look_at_it_says_so(world: World) -> None:
    """Where another one holds the lock, and where it can't be switched off."""
    world.up("web", on("lan"))
    with world.engine() as engine:
        engine.detach("web-id")
    world.networks.remove("lan")
    world.networks.remove("dmz")
    kept = world.host.namespace.sysctls

    class ReadOnly(dict[str, str]):
        def __setitem__(self, key: str, value: str) -> None:
            raise SystemFailure(f"cannot set {key}", "Read-only file system")

    world.host.namespace.sysctls = ReadOnly(kept)
    with world.engine() as engine:
        [left] = [each for each in engine.gc() if each.kind == "forwarding"]
    assert not left.removed
    assert left.why.startswith("not looked at: cannot ")
    world.host.namespace.sysctls = kept
    with world.engine() as engine:
        assert all(each.removed for each in engine.gc())
    assert _values(world)[0] == "0"


def test_port_on_an_adopted_bridge_holds_it(world: World) -> None:
    """It is what switched it on, and nothing else needs it."""
    world.networks.add(network("dock", "172.17.0.0/16", device="br0", managed=False))
    world.up("web", on("dock", publish=(tcp(8080),)))
    assert _values(world)[0] == "10"
    world.gc()
    assert _values(world)[0] == "10"
    with world.engine() as engine:
        engine.detach("web-id")
    world.gc()
    assert _values(world)[0] == "0"


def test_network_that_cannot_be_read_holds_it(world: World) -> None:
    """Nobody knows what it needs."""
    world.up("web", on("lan"))
    with world.engine() as engine:
        engine.detach("web-id")
    world.networks.unreadable = lambda: (("odd", "no JSON"),)  # type: ignore[method-assign]
    _remove(world, "lan")
    assert _values(world)[0] == "10"


def test_attach_that_fails_undoes_both(world: World) -> None:
    """Nobody is guarded, and nothing is forwarded."""
    web = world.start("web")
    before = world.state()
    for number in range(40):
        world.trace.fail_at(number)
        try:
            world.attach(web, on("lan"))
        except Exception:  # noqa: BLE001  whatever it fails with
            state = world.state()
            assert (state["guards"], _values(world)) == (before["guards"], ("0", "0"))
            continue
        break
    assert number > 5


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_guards_are_those_that_were_put_last(kind: str, tmp_path: Path) -> None:
    """The empty ones, too; and the real ones are those of this boot."""
    paths = Paths(run=str(tmp_path))
    guards: Guards = ForwardGuards(paths, "boot") if kind == "files" else FakeGuards()
    assert guards.all() == ()
    both = (ForwardGuard(4, ("br0", "br1")), ForwardGuard(6))
    for wanted in (both, both[1:], ()):
        guards.put(wanted)
        assert guards.all() == wanted
    guards.put(both)
    assert ForwardGuards(paths, "another").all() == ()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"boot_id": "boot"}', b'{"boot_id": "boot", "guards": [4]}']
)
def test_damaged_record_of_guards_is_none(content: bytes, tmp_path: Path) -> None:
    """And is written anew."""
    (tmp_path / "forwarding.json").write_bytes(content)
    guards = ForwardGuards(Paths(run=str(tmp_path)), "boot")
    assert guards.all() == ()
    guards.put((ForwardGuard(6),))
    assert guards.all() == (ForwardGuard(6),)

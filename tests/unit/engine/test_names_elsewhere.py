"""Names across hosts: what is told of here, who of elsewhere is found, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network, on
from fakes.world import World, check, check_nothing_left
from ocinet.base.address import Address
from ocinet.engine.model.access import Access, Allowance
from ocinet.engine.model.elsewhere import Elsewhere
from ocinet.engine.model.name_holders import OWN_END
from ocinet.engine.model.naming import FoundFile, FoundFiles
from ocinet.engine.model.resolution import Alias, Resolution
from ocinet.engine.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_AGO, _LATE = "2001-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(settings=Settings()) as made:
        yield made


def _far(name: str, since: str = _LONG_AGO, at: str = "10.42.1.2") -> Elsewhere:
    return Elsewhere("h2", f"{name}-far", (Address.parse(at),), (name,), (), since)


def _tell(world: World, *there: Elsewhere) -> bool:
    with world.engine() as engine:
        return engine.names.tell("lan", there, "h1")


def _here(world: World) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    with world.engine() as engine:
        return [(each.id, each.own, each.aliases) for each in engine.names.here("lan", "h1")]


def _warned(world: World) -> list[str]:
    return [str(event["warning"]) for event in world.told("attached with a warning")]


def test_others_hear_of_the_names_that_containers_here_have(world: World) -> None:
    """Own names and aliases apart; what another one here has, is not its."""
    world.attach(world.start("db").replace(id="one"), on("lan"))
    aliased = on("lan").replace(resolution=Resolution(aliases=(Alias("www"),)))
    world.attach(world.start("db").replace(id="two"), aliased)
    assert _here(world) == [("one", ("db", "one"), ()), ("two", ("two",), ("www",))]
    with world.engine() as engine:
        assert engine.names.here("nowhere", "h1") == ()


def test_others_hear_of_them_where_no_name_server_is_here(world: World) -> None:
    """Who is on other hosts may have one."""
    world.host.name_server.missing = "aardvark-dns is not installed"
    world.attach(world.start("db").replace(id="one"), on("lan"))
    assert _here(world) == [("one", ("db", "one"), ())]


def test_who_comes_when_its_name_is_had_elsewhere_waits_for_it(world: World) -> None:
    """Told once, with where it is; it gets the name when that one goes."""
    assert _tell(world, _far("db")) is True
    world.attach(world.start("db").replace(id="one"), on("lan"))
    (why,) = _warned(world)
    assert why == (
        "nobody finds it on lan by db, which is the name of a container on another host,"
        " db-far on h2: it gets it when that one goes"
    )
    assert _here(world) == [("one", ("one",), ())]
    assert _tell(world, _far("db")) is False
    check(world)
    assert _tell(world) is True
    assert _here(world) == [("one", ("db", "one"), ())]
    assert len(_warned(world)) == 1


def test_who_loses_a_name_to_one_that_came_first_elsewhere_is_told_once(world: World) -> None:
    """As when both hosts were cut off from each other; a later one takes nothing."""
    world.attach(world.start("db").replace(id="one"), on("lan"))
    _tell(world, _far("db", _LATE))
    assert _here(world) == [("one", ("db", "one"), ())]
    assert _warned(world) == []
    _tell(world, _far("db"))
    assert _here(world) == [("one", ("one",), ())]
    _tell(world, _far("db"), _far("x"))
    assert len(_warned(world)) == 1


def test_who_is_elsewhere_is_left_out_where_it_can_not_be(world: World) -> None:
    """An address of this host's own, a name that is none: another host's word."""
    broken = (_far("a", at="10.9.0.7"), _far("B"), _far("c\n10.9.0.1"), _far("localhost"))
    _tell(world, *broken, _far("db"))
    with world.engine() as engine:
        assert [each.own for each in engine.names.there("lan")] == [("db",)]
        assert engine.names.networks() == ("lan",)


def test_check_puts_back_who_is_elsewhere_and_gc_leaves_it(world: World) -> None:
    """No record has it, and none has to."""
    web = world.up("web", on("lan"))
    _tell(world, _far("db"))
    assert world.gc() == []
    served = world.host.name_server.served["lan"]
    assert served.pop("~h2/db-far").names == ("db", OWN_END)
    with world.engine() as engine:
        (found,) = engine.check(repair=True)
    assert "containers on other hosts can't be found by name as they told" in found.what
    assert "~h2/db-far" in world.host.name_server.served["lan"]
    world.end(web)
    world.poststop(web)
    assert world.host.name_server.served == {}
    _tell(world)
    check_nothing_left(world)


def test_removed_network_has_nobody_elsewhere(world: World) -> None:
    """The next of that name may be another one."""
    _tell(world, _far("db"))
    with world.engine() as engine:
        engine.networks.remove("lan")
        assert engine.names.networks() == ()


def test_hosts_files_have_who_is_elsewhere_where_no_name_server_is(world: World) -> None:
    """As others here, and as they come and go."""
    world.host.name_server.missing = "aardvark-dns is not installed"
    web = world.start("web")
    assert web.process
    free = FoundFile("free")
    world.host.name_files.found[web.process] = FoundFiles(free, free, "nameserver 192.0.2.53\n")
    world.attach(web, on("lan"))
    _tell(world, _far("db"), _far("web", _LATE, "10.42.1.3"))
    text = world.host.name_files.found[web.process].hosts.text
    assert "10.42.1.2\tdb\n" in text
    assert "10.42.1.3" not in text  # it has no name left
    _tell(world)
    assert "10.42.1.2" not in world.host.name_files.found[web.process].hosts.text


def _apart_world() -> World:
    return World(network("apart", "10.7.0.0/24", siblings=False), settings=Settings())


def _pairs(world: World) -> list[tuple[object, ...]]:
    table = world.table or {}
    return sorted((*table.get("pair4", ()), *table.get("pair4_all", ())), key=str)


def test_containers_that_are_kept_apart_connect_across_hosts_as_either_user_says() -> None:
    """By names, whoever of the two is here; from then on and no longer; others stay closed."""
    far = Elsewhere(
        "h2", "shop-far", (Address.parse("10.42.1.2"),), ("shop",), (), _LONG_AGO,
        allow=(Allowance("db", None, "tcp", 5432, 5432), Allowance("nobody")),
        expose=(Allowance("web", None, "tcp", 80, 80),),
    )  # fmt: skip
    with _apart_world() as world, world.engine() as engine:
        world.attach(world.start("db"), on("apart"))
        ssh = Access(allow=(Allowance("shop", None, "tcp", 22, 22),))
        world.attach(world.start("web"), on("apart").replace(access=ssh))
        closed = _pairs(world)
        assert any("nobody on apart is called shop yet" in why for why in _warned(world))
        engine.names.tell("apart", (far,), "h1")
        assert _pairs(world) != closed
        opened = _pairs(world)
        assert len(opened) == 3
        late = world.start("late")
        world.attach(late.replace(name="nobody"), on("apart").replace(access=ssh))
        assert len(_pairs(world)) == 5
        assert not any("nobody on apart" in why for why in _warned(world)[1:])
        check(world)
        (said,) = [each for each in engine.names.here("apart", "h1") if each.own[0] == "web"]
        assert said.allow == (Allowance("shop", None, "tcp", 22, 22),)
        engine.names.tell("apart", (), "h1")
        assert _pairs(world) == closed


def test_container_that_hangs_keeps_nobody_else_from_being_followed() -> None:
    """It is told, with what helps."""
    wish = (Allowance("db", None, "tcp", 1, 1), Allowance("web", None, "tcp", 1, 1))
    with _apart_world() as world, world.engine() as engine:
        world.attach(world.start("db"), on("apart"))
        world.attach(world.start("web"), on("apart"))
        with world.operation().locks.container("db-id"):
            engine.names.tell("apart", (_far("shop").replace(allow=wish),), "h1")
        assert len(_pairs(world)) == 1
        (why,) = _warned(world)
        assert "who may connect to it from other hosts is as before" in why
        assert "ocinet reload" in why


def test_users_of_one_other_host_open_so_many_ports_and_no_more() -> None:
    """Each would be an element of our table."""
    wish = Allowance("db", None, "tcp", 1, 4096)
    there = [
        _far(name, since).replace(allow=(wish,)) for name, since in (("a", _LONG_AGO), ("b", _LATE))
    ]
    with _apart_world() as world, world.engine() as engine:
        engine.names.tell("apart", there, "h1")
        assert [each.allow for each in engine.names.there("apart")] == [(wish,), ()]

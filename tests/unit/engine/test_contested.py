"""Names that two containers want: who is found by them, who is told, and who gets them later."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING

import pytest

from builders import on
from fakes.world import World, check, check_nothing_left
from ocinet.base.errors import KernelError
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.resolution import Alias, Resolution
from ocinet.engine.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.model.request import Request


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(settings=Settings()) as made:
        yield made


def _called(world: World, container_id: str, name: str, request: Request) -> Container:
    """Attach a container whose id tells nothing of its name, as another engine's."""
    container = world.start(name).replace(id=container_id)
    world.attach(container, request)
    return container


def _aliased(*names: str) -> Request:
    aliases = tuple(Alias(name) for name in names)
    return on("lan").replace(resolution=Resolution(aliases=aliases))


def _found(world: World, name: str, network: str = "lan") -> list[str]:
    """Return who is found by a name."""
    served = world.host.name_server.served.get(network, {})
    return [container.id for container in served.values() if name in container.names]


def _warned(world: World) -> list[tuple[str, str]]:
    told = world.told("attached with a warning")
    return [(str(event["container"]), str(event["warning"])) for event in told]


def test_first_keeps_its_name_and_the_next_gets_it_when_that_goes(world: World) -> None:
    """Docker's db and podman's db; the second is found by its id meanwhile, and told so."""
    first = _called(world, "first-id", "db", on("lan"))
    second = _called(world, "second-id", "db", on("lan"))
    assert _found(world, "db") == ["first-id"]
    assert _found(world, "second-id") == ["second-id"]
    ((who, why),) = _warned(world)
    assert who == "second-id"
    assert "which is the name of another container there, db (first-id)" in why
    world.end(first)
    world.poststop(first)
    assert _found(world, "db") == ["second-id"]
    world.end(second)
    world.poststop(second)
    assert world.linked.is_empty()
    check_nothing_left(world)


def test_name_goes_before_an_alias_and_comes_back(world: World) -> None:
    """Whoever had the alias is told, and has it again when the other one goes."""
    _called(world, "front-id", "front", _aliased("db", "www"))
    assert _found(world, "db") == ["front-id"]
    db = _called(world, "db-id", "db", on("lan"))
    assert _found(world, "db") == ["db-id"]
    assert _found(world, "www") == ["front-id"]
    ((who, why),) = _warned(world)
    assert (who, "its alias db is another one's name on lan" in why) == ("front-id", True)
    with world.engine() as engine:
        assert engine.rename("db-id", "store")
    assert _found(world, "db") == ["front-id"]
    with world.engine() as engine:
        assert engine.rename("db-id", "db")
    assert _found(world, "db") == ["db-id"]
    world.end(db)
    world.poststop(db)
    assert _found(world, "db") == ["front-id"]
    check(world)


@pytest.mark.parametrize(
    ("first", "second"),
    [("webserver-prod-1", "webserver-prod-2"), ("4f0c91d1f1aa", "4f0c91d1f1aa0001"),
     ("shop.db", "mail.db")],
    ids=["starts that are the same", "a name that is a start", "starts that are no label"],
)  # fmt: skip
def test_own_name_of_whose_ids_start_is_not_its_own_is_taken_by_nobody(
    world: World, first: str, second: str
) -> None:
    """Else whoever comes next and is called so is found instead of it; by its alias it may be."""
    _called(world, first, "a" if "." in first else first, on("lan"))
    _called(world, second, "web", _aliased("db"))
    for name in ("web", "db"):
        _called(world, f"third-id-of-{name}", name, on("lan"))
    assert _found(world, "web") == [second]
    assert _found(world, "db") == ["third-id-of-db"]
    with world.engine() as engine:
        assert not [found.what for found in engine.check() if "by name" in found.what]


def test_several_have_an_alias_and_each_its_name(world: World) -> None:
    """All of them answer; nobody is told anything."""
    _called(world, "a-id", "a", _aliased("www"))
    _called(world, "b-id", "b", _aliased("www"))
    assert _found(world, "www") == ["a-id", "b-id"]
    assert not _warned(world)


def test_name_of_a_dead_container_is_free(world: World) -> None:
    """Nobody told of its end: as `docker kill` of a dockerd, and a runc whose hook did not run."""
    first = _called(world, "first-id", "db", on("lan"))
    world.end(first)
    _called(world, "second-id", "db", on("lan"))
    assert _found(world, "db") == ["second-id"]
    assert _found(world, "first-id") == []
    assert not _warned(world)
    assert world.linked.is_empty()


def test_names_that_can_not_be_served_keep_nobody_from_starting(world: World) -> None:
    """Neither where nobody can tell whether they can, nor where what a dead one had is not got."""
    world.trace.fail_on("name_server.flaw")
    first = _called(world, "first-id", "db", on("lan"))
    assert _found(world, "db") == []
    (told,) = world.told("names not served")
    assert "name_server.flaw" in str(told["why"])
    world.attach(first, on("lan", "dmz"))
    world.end(first)
    world.trace.before = lambda name: (
        world.trace.fail_on("name_server.enter") if name == "name_server.leave" else None
    )
    _called(world, "second-id", "db", on("dmz"))
    assert "on dmz it is not found by all its names" in _warned(world)[-2][1]
    assert "second-id" in world.attachments.ids()


def test_name_of_the_host_is_nobodys(world: World) -> None:
    """Whatever this machine is called: it is asked for by that."""
    rock = platform.node().lower().partition(".")[0]
    _called(world, "rock-id", rock, on("lan"))
    assert _found(world, rock) == []
    ((_, why),) = _warned(world)
    assert "which is the host's own name" in why
    assert world.linked.is_empty()


def test_rename_to_a_name_that_another_has_is_told(world: World) -> None:
    """It is not found by it, nor by its former one."""
    _called(world, "first-id", "db", on("lan"))
    _called(world, "second-id", "web", on("lan"))
    with world.engine() as engine:
        assert engine.rename("second-id", "db")
    assert (_found(world, "db"), _found(world, "web")) == (["first-id"], [])
    ((who, _),) = _warned(world)
    assert who == "second-id"


def test_name_that_an_attach_is_the_first_to_tell_is_served(world: World) -> None:
    """And its former one no more; a name that another has is told as by a rename."""
    first = _called(world, "first-id", "db", on("lan"))
    second = _called(world, "second-id", "web", on("lan"))
    world.attach(first.replace(name="store"), on("lan"))
    assert (_found(world, "store"), _found(world, "db")) == (["first-id"], [])
    world.attach(second.replace(name="store"), on("lan"))
    assert (_found(world, "store"), _found(world, "web")) == (["first-id"], [])
    ((who, _),) = _warned(world)
    assert who == "second-id"


def test_attach_that_fails_gives_an_alias_back(world: World) -> None:
    """Who had it is found by it again."""
    _called(world, "front-id", "front", _aliased("db"))
    name_server = world.host.name_server
    before = dict(name_server.served["lan"])
    db = world.start("db").replace(id="db-id")

    def fail() -> None:
        raise KernelError("cannot go on", "no memory")

    world.between("attachments.put", lambda: world.between("attachments.put", fail))
    with pytest.raises(KernelError):
        world.attach(db, on("lan"))
    assert name_server.served["lan"] == before


def test_check_looks_at_nobody_whom_somebody_is_at_work_on(world: World) -> None:
    """Nor tells of who has gone while it looked: an attach writes its record before its line."""
    first = _called(world, "first-id", "db", on("lan"))
    second = _called(world, "second-id", "web", on("lan"))
    check(world)
    world.host.name_server.leave("lan", "first-id")
    with world.engine() as engine:
        told = [found.what for found in engine.check()]
        assert told == ["on lan, db can't be found by name as on record"]
        with world.operation().locks.container("first-id"):
            assert engine.check() == ()
    world.attach(first.replace(name="store"), on("lan"))  # mends it
    world.end(second)
    # Behind the look for strays, when it is known who is to be found.
    again = partial(world.between, "name_server.texts", lambda: world.poststop(second))
    world.between("name_server.texts", again)
    with world.engine() as engine:
        assert engine.check() == ()


def test_check_takes_what_two_want_for_what_it_is(world: World) -> None:
    """No damage; a line that lacks what is its container's is one, and is entered again."""
    _called(world, "first-id", "db", on("lan"))
    _called(world, "front-id", "front", _aliased("db", "www"))
    _called(world, "second-id", "db", on("lan"))
    served = world.host.name_server.served["lan"]
    with world.engine() as engine:
        assert not [found.what for found in engine.check() if "by name" in found.what]
        served["front-id"] = served["front-id"].replace(names=("front", "front-id"))
        served["first-id"] = served["first-id"].replace(names=("first-id",))
        assert [found.what for found in engine.check() if "by name" in found.what]
        engine.check(repair=True)
        assert not [found.what for found in engine.check() if "by name" in found.what]
    assert _found(world, "www") == ["front-id"]
    assert len(_found(world, "db")) == 1

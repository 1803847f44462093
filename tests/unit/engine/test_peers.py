"""Who is on a network that no name server serves, in each other's hosts files."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from builders import on
from fakes.world import World, check_nothing_left
from hosts.waiting import wait_until
from ocinet.base.clock import now
from ocinet.engine.assembly import machine_on
from ocinet.engine.disconnect import Disconnect
from ocinet.engine.model.naming import FoundFile, FoundFiles
from ocinet.engine.model.resolution import Alias, LinkedName, Resolution
from ocinet.engine.model.settings import Settings
from ocinet.engine.peers import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.request import Request

_HOST = "10.9.0.1\thost.ocinet.internal"
_TITLE = "# Others on lan, as ocinet finds them by now.\n"


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(settings=Settings()) as made:
        made.host.name_server.missing = "aardvark-dns is not installed"
        yield made


def _up(world: World, name: str, request: Request | None = None) -> Container:
    container = world.start(name)
    assert container.process
    free = FoundFile("free")
    found = FoundFiles(free, free, "nameserver 192.0.2.53\n")
    world.host.name_files.found[container.process] = found
    _later(world, container, request or on("lan"))
    return container


def _later(world: World, container: Container, request: Request) -> None:
    """Attach one that comes later by the records, whose time has milliseconds."""
    came = now()
    wait_until(lambda: now() != came, "the next millisecond")
    world.attach(container, request)


def _found(world: World, container: Container) -> list[str]:
    """Return whom a container finds on lan, as `ADDRESS NAME…`."""
    assert container.process
    text = world.host.name_files.found[container.process].hosts.text
    assert text.count(_TITLE) <= 1
    lines = text.partition(_TITLE)[2].partition("# Others")[0].splitlines()
    return [line.replace("\t", " ") for line in lines if line != _HOST]


def _end(world: World, container: Container) -> None:
    world.end(container)
    world.poststop(container)


def test_peers_find_each_other_as_they_come_go_and_are_renamed(world: World) -> None:
    """By name, the id's start, and aliases."""
    web = _up(world, "web")
    assert _found(world, web) == []
    wished = Resolution(aliases=(Alias("store"),))
    db = _up(world, "db", on("lan").replace(resolution=wished))
    assert _found(world, web) == ["10.9.0.3 db db-id", "10.9.0.3 store"]
    assert _found(world, db) == ["10.9.0.2 web web-id"]
    elsewhere = _up(world, "elsewhere", on("dmz"))
    assert _found(world, elsewhere) == []
    with world.engine() as engine:
        assert engine.rename("web-id", "shop")
    assert _found(world, db) == ["10.9.0.2 shop web-id"]
    _end(world, web)
    assert _found(world, db) == []
    _end(world, db)
    _end(world, elsewhere)
    check_nothing_left(world)


def test_peers_find_the_host_where_it_is_reached(world: World) -> None:
    """By the gateway of the first network; not where nothing of the host is to be reached."""
    lan = world.networks.find("lan")
    assert lan
    web = _up(world, "web", on("dmz", "lan"))
    db = _up(world, "db")
    for container, times in ((web, 0), (db, 1)):
        assert container.process
        text = world.host.name_files.found[container.process].hosts.text
        assert text.count(_HOST) == times
    world.networks.remove("lan")
    world.networks.add(lan.replace(host=False))
    _up(world, "third")
    assert db.process
    assert _HOST not in world.host.name_files.found[db.process].hosts.text


def test_peers_that_a_server_knows_find_those_that_it_does_not(world: World) -> None:
    """And these all; once all are known to it, no file has anybody."""
    name_server = world.host.name_server
    name_server.missing = ""
    web = _up(world, "web")
    side = _up(world, "side")
    del name_server.served["lan"]  # the fake takes a network that it has for one it can serve
    name_server.missing = "port 53 is taken"
    db = _up(world, "db")
    assert _found(world, web) == _found(world, side) == ["10.9.0.4 db db-id"]
    assert _found(world, db) == ["10.9.0.2 web web-id", "10.9.0.3 side side-id"]
    _end(world, db)
    assert _found(world, web) == []
    assert world.linked.is_empty()


def test_peers_of_a_network_that_was_left_are_not_found(world: World) -> None:
    """Nor does who has left it find them."""
    web, db = _up(world, "web", on("dmz", "lan")), _up(world, "db")
    assert _found(world, db) == ["10.9.0.2 web web-id"]
    assert web.process
    with world.engine() as engine, world.host.open_sandbox(web.process) as sandbox:
        machine = machine_on(engine.host, engine.records, engine.operation, sandbox)
        Disconnect(engine.operation, machine, engine.records).disconnect("web-id", "lan")
    assert _found(world, db) == []
    assert _found(world, web) == []


def test_peers_beside_links_are_lines_of_their_own(world: World) -> None:
    """Each is written without the other's."""
    links = Resolution(links=(LinkedName("db", "store"),))
    web = _up(world, "web", on("lan").replace(resolution=links))
    db = _up(world, "db")
    assert web.process
    text = world.host.name_files.found[web.process].hosts.text
    assert "10.9.0.3\tstore\n" in text
    assert "10.9.0.3\tdb db-id\n" in text
    _end(world, db)
    text = world.host.name_files.found[web.process].hosts.text
    assert "# Others by links" not in text
    assert "10.9.0.3" not in text


def test_peer_of_another_engine_with_the_same_name_is_found_by_its_id(world: World) -> None:
    """The first keeps the name."""
    first = _up(world, "db")
    second = world.start("db").replace(id="second-id")
    _later(world, second, on("lan"))
    assert _found(world, first) == ["10.9.0.3 second-id"]
    (told,) = world.told("attached with a warning")
    assert told["container"] == "second-id"
    assert "which is the name of another container there, db (db-id)" in str(told["warning"])


def test_peer_takes_no_name_of_the_hosts(world: World) -> None:
    """As where a server answers: it is told."""
    web = _up(world, "web")
    rock = platform.node().lower().partition(".")[0]
    db = world.start(rock).replace(id="rock-id")
    _later(world, db, on("lan"))
    assert _found(world, web) == ["10.9.0.3 rock-id"]
    (told,) = world.told("attached with a warning")
    assert "which is the host's own name" in str(told["warning"])


def test_peer_that_loses_its_only_name_is_found_by_none_and_stops_nobody(world: World) -> None:
    """One whose id is no label, as a kubelet's may be, has an alias alone."""
    web = _up(world, "web")
    aliased = world.start("no.name").replace(id="a+b")
    wished = Resolution(aliases=(Alias("db"),))
    _later(world, aliased, on("lan").replace(resolution=wished))
    assert _found(world, web) == ["10.9.0.3 db"]
    _up(world, "db")
    assert _found(world, web) == ["10.9.0.4 db db-id"]
    told = {str(event["container"]): str(event["warning"])
            for event in world.told("attached with a warning")}  # fmt: skip
    assert "its alias db is another one's name on lan by now, db's" in told["a+b"]


def test_peer_whose_ids_start_is_another_ones_keeps_its_name(world: World) -> None:
    """As runc's webserver-prod-1 and -2; what tells its own names in a line is in no file."""
    first = _up(world, "webserver-prod-1")
    second = world.start("webserver-prod-2").replace(id="webserver-pr-2")
    wished = Resolution(aliases=(Alias("store"),))
    _later(world, second, on("lan").replace(resolution=wished))
    third = world.start("webserver-prod-2").replace(id="other-id")
    _later(world, third, on("lan"))
    assert _found(world, first) == [
        "10.9.0.3 webserver-prod-2", "10.9.0.3 store", "10.9.0.4 other-id"
    ]  # fmt: skip


def test_no_more_than_some_know_each_other(world: World) -> None:
    """Each that comes writes the files of all; the next is told, and comes in when one goes."""
    first, *others = [_up(world, f"c{number}") for number in range(MOST + 1)]
    last = others[-1]
    assert len(_found(world, first)) == MOST - 1
    assert _found(world, last) == []
    (told,) = world.told("attached with a warning")
    assert told["container"] == last.id
    assert "apt-get install aardvark-dns" in str(told["warning"])
    _end(world, first)
    assert len(_found(world, last)) == MOST - 1
    assert f"10.9.0.{MOST + 2} {last.name} {last.id}" in _found(world, others[0])


def test_network_without_names_has_none_in_files(world: World) -> None:
    """It is said of the network, or of the machine."""
    lan = world.networks.find("lan")
    assert lan
    world.networks.remove("lan")
    world.networks.add(lan.replace(dns=False))
    web, _db = _up(world, "web"), _up(world, "db")
    assert _found(world, web) == []
    assert world.linked.is_empty()


def test_names_that_are_too_long_for_a_file_are_told_and_leave_it_as_it_was(world: World) -> None:
    """A file of 64 KiB is nobody's to read, and so to write, any more."""
    web = _up(world, "web")
    long = tuple(Alias(".".join([f"{number:060}"] * 4) + ".x") for number in range(256))
    wished = Resolution(aliases=(*long, *(Alias(f"a{each.name[1:]}") for each in long)))
    db = _up(world, "db", on("lan").replace(resolution=wished))
    assert _found(world, web) == []
    assert any("would be longer" in str(event["warning"])
               for event in world.told("attached with a warning"))  # fmt: skip
    _end(world, db)
    _up(world, "side")
    assert _found(world, web) == ["10.9.0.4 side side-id"]

"""Links by name: what stands in the linker's hosts file as the others come and go."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from builders import DB_ID, on
from fakes.records import FakeLinked
from fakes.world import World, check, check_nothing_left
from ocinet.base.errors import KernelError
from ocinet.base.paths import Paths
from ocinet.engine.assembly import machine_on
from ocinet.engine.disconnect import Disconnect
from ocinet.engine.model.naming import FoundFile, FoundFiles
from ocinet.engine.model.request import Request
from ocinet.engine.model.resolution import LinkedName, Resolution
from ocinet.engine.model.settings import Settings
from ocinet.engine.records.linked import Linked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocinet.engine.model.attachment import Container
    from ocinet.engine.storage import Linked as LinkedSeam

_OTHERS = "# Others by links, as ocinet finds them by now.\n"


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World() as made:
        yield made


def _linking(request: Request, *links: tuple[str, str]) -> Request:
    return request.replace(resolution=Resolution(links=tuple(itertools.starmap(LinkedName, links))))


def _with_files(world: World, name: str, hosts: FoundFile | None = None) -> Container:
    container = world.start(name)
    assert container.process
    found = FoundFiles(hosts or FoundFile("free"), FoundFile("free"), "nameserver 192.0.2.53\n")
    world.host.name_files.found[container.process] = found
    return container


def _others(world: World, container: Container) -> str:
    """Return what a container's hosts file says of others."""
    assert container.process
    return world.host.name_files.found[container.process].hosts.text.partition(_OTHERS)[2]


def _warned(world: World) -> list[str]:
    return [str(event["warning"]) for event in world.told("attached with a warning")]


def test_link_follows_who_comes_goes_and_comes_again(world: World) -> None:
    """In any order; the second time with another address."""
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("db", "store")))
    assert _others(world, web) == ""
    assert "no container db is there yet: store is found once it comes" in _warned(world)

    db = world.up("db", on("lan"))
    assert _others(world, web) == "10.9.0.3\tstore\n"
    world.end(db)
    world.poststop(db)
    assert _others(world, web) == ""
    world.up("other", on("lan"))
    db = world.up("db", on("lan"))
    assert _others(world, web) == "10.9.0.5\tstore\n"
    check(world)
    world.end(web)
    world.poststop(web)
    assert world.linked.is_empty()
    check_nothing_left(world)


@pytest.mark.parametrize("target", ["db", DB_ID, DB_ID[:12]])
def test_link_to_who_is_there_is_in_the_file_at_once(world: World, target: str) -> None:
    """By name, id, or what is shown of one; what a plan prints has it as well."""
    world.attach(world.start("db").replace(id=DB_ID), on("lan"))
    web = _with_files(world, "web")
    assert web.process
    request = _linking(on("lan"), (target, "db"))
    with world.engine() as engine, world.host.open_sandbox(web.process) as sandbox:
        steps = engine.plan(web, request, sandbox)
    assert any("10.9.0.2\tdb" in line for step in steps for line in step.describe())
    assert world.linked.is_empty()
    world.attach(web, request)
    assert _others(world, web) == "10.9.0.2\tdb\n"
    assert not _warned(world)


def test_link_to_a_name_is_none_to_whose_id_begins_so(world: World) -> None:
    """One in 256 begins with db: nobody means it, and who is called so comes later."""
    web = _with_files(world, "web")
    world.attach(world.start("other").replace(id="db" + DB_ID[2:]), on("lan"))
    world.attach(web, _linking(on("lan"), ("db", "db")))
    assert _others(world, web) == ""
    world.up("db", on("lan"))
    assert _others(world, web) == "10.9.0.4\tdb\n"


def test_link_leads_where_both_are(world: World) -> None:
    """On the first network of its own that both are on; told where that is none, as it changes."""
    db = world.up("db", on("dmz"))
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("db", "db")))
    assert _others(world, web) == ""
    assert any("ocinet network connect lan db" in warning for warning in _warned(world))
    world.attach(db, on("dmz", "lan"))
    assert _others(world, web) == "10.9.0.3\tdb\n"
    assert db.process
    with world.engine() as engine, world.host.open_sandbox(db.process) as sandbox:
        machine = machine_on(engine.host, engine.records, engine.operation, sandbox)
        Disconnect(engine.operation, machine, engine.records).disconnect("db-id", "lan")
    assert _others(world, web) == ""
    assert len([warning for warning in _warned(world) if "connect lan db" in warning]) == 2


def test_link_follows_a_name(world: World) -> None:
    """Whoever is called so by now; of two with one name the first."""
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("db", "db")))
    world.up("one", on("lan"))
    world.up("two", on("lan"))
    with world.engine() as engine:
        assert engine.rename("one-id", "db")
        assert _others(world, web) == "10.9.0.3\tdb\n"
        assert engine.rename("two-id", "db")
        assert _others(world, web) == "10.9.0.3\tdb\n"
        assert engine.rename("one-id", "gone")
        assert _others(world, web) == ""
        assert engine.rename("two-id", "x")
        assert engine.rename("two-id", "db")
    assert _others(world, web) == "10.9.0.4\tdb\n"


def test_name_that_an_attach_is_the_first_to_tell_is_followed(world: World) -> None:
    """As by a rename, which finds nothing left to do when it comes."""
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("store", "db")))
    db = world.up("db", on("lan"))
    world.attach(db.replace(name="store"), on("lan"))
    assert _others(world, web) == "10.9.0.3\tdb\n"
    world.attach(db, on("lan"))
    assert _others(world, web) == ""
    with world.engine() as engine:
        assert not engine.rename("db-id", "db")
    assert [event["name"] for event in world.told("renamed")] == ["store", "db"]


def test_link_to_a_member_leads_to_its_sandbox(world: World) -> None:
    """Until that one goes."""
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("side", "side")))
    pod = world.up("pod", on("lan"))
    assert pod.process
    world.attach(world.again("side", pod.process), Request("container", "pod"))
    assert _others(world, web) == "10.9.0.3\tside\n"
    with world.engine() as engine:
        engine.detach("side-id")
    assert _others(world, web) == ""


def test_link_changes_with_what_is_asked_for_later(world: World) -> None:
    """Those of before are forgotten; what is not said of stays."""
    world.up("db", on("lan"))
    world.up("cache", on("lan"))
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("db", "db")))
    world.attach(web, _linking(on("lan"), ("cache", "kv")))
    assert _others(world, web) == "10.9.0.3\tkv\n"
    assert world.linked.targets() == ("cache",)
    world.attach(web, on("lan").replace(resolution=Resolution(search=("a.example",))))
    assert _others(world, web) == "10.9.0.3\tkv\n"
    with world.engine() as engine:
        engine.detach("web-id")
    assert world.linked.is_empty()
    assert _others(world, web) == ""


def test_link_of_who_has_a_hosts_file_of_its_users_is_told(world: World) -> None:
    """It is left as it is, whoever comes."""
    own = FoundFile("left", "192.0.2.1 mine\n")
    web = _with_files(world, "web", own)
    world.up("db", on("lan"))
    world.attach(web, _linking(on("lan"), ("db", "db")))
    assert web.process
    assert world.host.name_files.found[web.process].hosts == own
    assert any("what link says is not in it" in warning for warning in _warned(world))


def test_attach_with_a_link_that_fails_leaves_index_and_file_as_they_were() -> None:
    """Wherever it fails."""
    for number in itertools.count():
        with World() as world:
            world.up("db", on("lan"))
            web = _with_files(world, "web")
            world.attach(web, on("lan"))
            assert web.process
            before, files = world.state(), world.host.name_files.found[web.process]
            world.trace.fail_at(number)
            try:
                world.attach(web, _linking(on("lan", "dmz"), ("db", "db")))
            except KernelError:
                assert world.state() == before
                assert world.host.name_files.found[web.process] == files
                assert world.linked.is_empty()
                check(world)
            else:
                assert _others(world, web) == "10.9.0.2\tdb\n"
                break
    assert number > 6, "it hardly ever failed"


@pytest.mark.parametrize(
    ("links", "missing", "why"),
    [
        ([("db", "db")], "", "its links stay as they are when who they lead to comes or goes: "),
        ([], "aardvark-dns is not installed", "nobody on lan finds it by name: cannot do linked"),
    ],
    ids=["links", "names that no server knows"],
)
def test_index_that_cannot_be_written_keeps_nobody_from_starting(
    links: list[tuple[str, str]], missing: str, why: str
) -> None:
    """As on a full /run; it is told."""
    with World(settings=Settings()) as world:
        world.host.name_server.missing = missing
        web = _with_files(world, "web")
        world.trace.fail_on("linked.add")
        world.attach(web, _linking(on("lan"), *links))
        assert any(warning.startswith(why) for warning in _warned(world))
        world.end(web)
        world.poststop(web)
        check_nothing_left(world)


def test_change_tells_nobody_who_has_gone_untold(world: World) -> None:
    """What a kill has left in the index goes, and the next is told."""
    world.linked.add("db", "killed-id")
    world.up("db", on("lan"))
    assert world.linked.is_empty()


def test_another_file_that_cannot_be_written_keeps_nobody_from_starting(world: World) -> None:
    """It is an event of whose file it is."""
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("db", "db")))
    world.host.name_files.failure = KernelError("cannot write", "no room")
    world.up("db", on("lan"))
    assert any("no room" in warning for warning in _warned(world))


def test_who_hangs_with_a_file_in_hand_keeps_nobody_from_starting(world: World) -> None:
    """Neither whose file it is nor who is to be told of in it: both are told after two seconds."""
    world.timeout_s = 6
    web = _with_files(world, "web")
    with world.operation().locks.hosts("web-id"):
        world.attach(web, _linking(on("lan"), ("db", "db")))
        assert any("its links are as they were planned" in warning for warning in _warned(world))
        world.up("db", on("lan"))
        assert any("its links are as before" in warning for warning in _warned(world))
    world.up("other", on("lan"))
    assert set(world.attachments.ids()) == {"web-id", "db-id", "other-id"}


@pytest.mark.parametrize("real", [False, True])
def test_index_keeps_links_and_who_they_lead_to(real: bool, tmp_path: Path) -> None:
    """The real one and that of tests alike; with the last link there is nothing left of it."""
    linked: LinkedSeam = Linked(Paths(run=str(tmp_path))) if real else FakeLinked()
    assert linked.is_empty()
    linked.note("db", "1")
    assert (linked.noted("db"), linked.targets(), linked.linkers(("db",))) == ("", (), ())
    linked.add("db", "b")
    linked.add("db", "a")
    linked.add("db", "a")
    linked.add("kv", "b")
    assert not linked.is_empty()
    assert linked.linkers(("kv", "db", "x")) == ("b", "a")
    assert linked.targets() == ("db", "kv")
    linked.note("db", "1")
    linked.note("db", "2")
    assert linked.noted("db") == "2"
    linked.note("db", "")
    assert linked.noted("db") == ""
    linked.note("db", "3")
    linked.remove("db", "a")
    linked.remove("db", "nobody")
    assert linked.noted("db") == "3"
    linked.remove("db", "b")
    assert (linked.noted("db"), linked.targets()) == ("", ("kv",))
    linked.remove("kv", "b")
    assert linked.is_empty()
    assert list(tmp_path.iterdir()) == []


def test_gc_forgets_links_of_who_has_no_record(world: World) -> None:
    """A kill may come between; nobody else's."""
    web = _with_files(world, "web")
    world.attach(web, _linking(on("lan"), ("db", "db")))
    world.linked.add("db", "killed-id")
    with world.engine() as engine:
        assert [leftover.removed for leftover in engine.gc(dry_run=True)] == [False]
    assert world.gc() == [("name", "db, for killed-id")]
    assert world.linked.linkers(("db",)) == ("web-id",)


@pytest.mark.parametrize("damage", ["file", "index", "target"])
def test_check_sees_a_link_that_leads_astray_and_repair_mends_it(world: World, damage: str) -> None:
    """Somebody has written into the file, emptied /run, or a kill came between."""
    web = _with_files(world, "web")
    assert web.process
    world.attach(web, _linking(on("lan"), ("db", "db")))
    db = world.up("db", on("lan"))
    with world.engine() as engine:
        assert not [found for found in engine.check() if "links of" in found.what]
    files = world.host.name_files.found
    if damage == "file":
        wrong = files[web.process].hosts.text.replace("10.9.0.3", "10.9.0.9")
        files[web.process] = files[web.process].replace(hosts=FoundFile("ours", wrong))
    elif damage == "index":
        world.linked.remove("db", "web-id")
    else:
        world.linked.note("db", "")
        world.attachments.remove("db-id")
    with world.engine() as engine:
        (what,) = [found.what for found in engine.check() if "links of" in found.what]
        assert what.startswith("links of web")
        engine.check(repair=True)
        assert not [found for found in engine.check() if "links of" in found.what]
    assert _others(world, web) == ("" if damage == "target" else "10.9.0.3\tdb\n")
    assert world.linked.linkers(("db",)) == ("web-id",)
    assert db.process


def test_link_of_a_member_is_told_to_be_its_owners(world: World) -> None:
    """One sandbox has one network, and one set of links."""
    pod = _with_files(world, "pod")
    world.attach(pod, on("lan"))
    assert pod.process
    side = world.again("side", pod.process)
    world.attach(side, Request("container", "pod"))
    world.attach(side, _linking(on("lan"), ("db", "db")))
    assert any("its sandbox's owner, pod" in warning for warning in _warned(world))
    assert world.linked.is_empty()

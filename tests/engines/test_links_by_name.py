"""Links by name, at every door: the others come, go, come again elsewhere and are renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of
from hosts.engine.wrapped_runtime import UNDER, docker_under_wrapper, labels
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.bundle import Bundle
    from hosts.engine.container import EngineContainer
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab

_OTHERS = "# Others by links, as ocinet finds them by now.\n"


def _bundle(lab: Lab, name: str, *words: str) -> Bundle:
    bundle = lab.bundle(name)
    lab.ocinet("hooks", "add", str(bundle.path), *words)
    return bundle


def _address(container: Container) -> str:
    return container.namespace.addresses("eth0")[0].partition("/")[0]


def _reached(container: Container | EngineContainer, name: str) -> str:
    """Return at which address a container reaches another by a name; "" if it finds none.

    Who is not in its file is not asked for: nobody would answer, and a resolver waits long.
    """
    if name not in container.exec("cat", "/etc/hosts").stdout.split():
        return ""
    said = container.exec("ping", "-c1", "-W5", name)
    return said.stdout.partition("(")[2].partition(")")[0]


def _wait_for(container: EngineContainer, name: str, address: str) -> None:
    wait_until(lambda: _reached(container, name) == address, f"{name} at {address or 'nowhere'}")


@each_runtime
def test_run_bundles_by_hooks_alone_find_who_they_have_links_to(lab: Lab, runtime: str) -> None:
    """Whoever starts first, and before its own first instruction; in one file on two doors."""
    engine = lab.runtime(runtime)
    web = engine.create(_bundle(lab, "web", "--link", "postgres:db", "--link=cache"))
    db_bundle = _bundle(lab, "postgres")
    db = engine.run(db_bundle)  # web has not entered its files yet
    web.start()
    assert _reached(web, "db") == _address(db) == "10.72.0.3"
    assert _reached(web, "cache") == ""
    db.end()
    assert _reached(web, "db") == ""
    cache = install(lab, runtime).run("--name=cache", *keys(net="bridge"))
    db = engine.run(db_bundle)
    assert _reached(web, "db") == _address(db) == "10.72.0.5"
    assert _reached(web, "cache") == cache.address()
    assert _reached(db, "cache") == ""
    assert web.read("/etc/hosts").count(_OTHERS) == 1
    (warned,) = [
        event["warning"] for event in lab.events("attached with a warning")
        if "cache" in event["warning"]
    ]  # fmt: skip
    assert "no container cache is there yet" in warned
    cache.remove()
    assert web.read("/etc/hosts").endswith(f"{_OTHERS}10.72.0.5\tdb\n")
    db.end()
    web.end()
    assert not lab.path("/run/ocinet/linked").exists()


@each_runtime
def test_run_in_podman_by_a_hook_finds_who_it_has_a_link_to(lab: Lab, runtime: str) -> None:
    """Also after both have been started again.

    podman 5 fills the file of who starts after its hooks, so there it is the other's attach
    that has it right, as docs/names.md says: without a watcher, who is linked starts last.
    """
    podman = install(lab, runtime)
    web = podman.run("--name=web", "--cap-add=net_raw", *keys(net="bridge", link="db:store"))
    db = podman.run("--name=db", *keys(net="bridge"))
    assert _reached(web, "store") == db.address()
    for each in (web, db) if version_of("podman") >= (5, 0) else (db, web):
        podman("restart", "--time=0", each.id)
    assert _reached(web.current, "store") == db.current.address()
    web.remove()
    db.remove()


def test_run_in_docker_beside_the_watcher_finds_who_it_has_a_link_to(lab: Lab) -> None:
    """After restarts of either, a rename, and an end; an image's label gives none."""
    with lab.docker() as docker, lab.watch():
        web = docker.run("--name=web", *labels(link="postgres:db"))
        db = docker.run("--name=postgres")
        _wait_for(web, "db", db.address())
        docker("restart", "--time=0", db.id)
        _wait_for(web, "db", db.current.address())
        docker("restart", "--time=0", web.id)
        _wait_for(web.current, "db", db.current.address())
        docker("rename", "postgres", "old")
        _wait_for(web.current, "db", "")
        docker("rename", "old", "postgres")
        _wait_for(web.current, "db", db.current.address())
        db.remove()
        _wait_for(web.current, "db", "")
        shown = lab.ocinet("inspect", "-f", "{{.HostConfig.Links}}", "web").stdout
        assert "postgres:db" in shown


def test_run_in_docker_under_the_wrapper_finds_who_it_has_a_link_to(lab: Lab) -> None:
    """No watcher: whoever comes writes it, by whatever door; here runc by hand."""
    with docker_under_wrapper(lab) as docker:
        db = lab.runc.run(_bundle(lab, "postgres"))
        web = docker.run(UNDER, "--name=web", *labels(link="postgres:db"))
        assert _reached(web, "db") == _address(db)
        db.end()
        assert _reached(web, "db") == ""
        db = lab.runc.run(_bundle(lab, "postgres"))
        assert _reached(web, "db") == _address(db)
        docker("restart", "--time=0", web.id)
        assert _reached(web.current, "db") == _address(db)
        db.end()

"""Aliases, names that two want, and what is left where no name server runs; by several doors."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_podman import install, keys
from hosts.engine.wrapped_runtime import labels
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.bundle import Bundle
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background

_PAGE = Path(__file__).parents[2] / "docs/names.md"
_TAG = "docker.io/library/busybox:1.36"
_COMPOSE_START_S = 120
# What a reboot leaves of ours: settings, networks and reservations, and nothing in the kernel.
_REBOOT = """
kill $(cat /run/ocinet/names/served/aardvark.pid)
rm -r /run/ocinet /run/netns/shop[-_]*
nft list tables | grep ocinet | while read -r table; do nft delete $table; done
for link in $(ip -o link | cut -d: -f2 | cut -d@ -f1 | grep ' oc'); do
    ip link del $link || :  # the kernel may be about to: its container has just ended
done
"""


def _serve_names(lab: Lab) -> None:
    lab.path("/etc/ocinet/ocinet.toml.d/50-lab.toml").unlink()


def _taken(lab: Lab) -> Background:
    """Have a resolver of the host's listen on every address."""
    script = (
        "import socket,time;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
        "s.bind(('',53));print('ready',flush=True);time.sleep(1000)"
    )
    taken = lab.start("/usr/bin/python3", "-I", "-S", "-c", script)
    assert taken.line() == "ready"
    return taken


def _bundle(lab: Lab, container_id: str, *words: str) -> Bundle:
    bundle = lab.bundle(container_id)
    lab.ocinet("hooks", "add", str(bundle.path), *words)
    return bundle


def _address(container: Container) -> str:
    return container.namespace.addresses("eth0")[0].partition("/")[0]


def _answers(container: Container | EngineContainer, name: str) -> set[str]:
    """Return the addresses that a name has for a container, as its own resolver finds them."""
    said = container.exec("nslookup", f"{name}.", check=False).stdout
    return set(re.findall(r"^Address: (10\.\S+)$", said, re.MULTILINE))


def _wait_for(container: Container | EngineContainer, name: str, *addresses: str) -> None:
    what = f"{name} at {addresses}"
    # A question that 1.4 does not hear while it reads its files is asked again after 5 s.
    wait_until(lambda: _answers(container, name) == set(addresses), what, timeout_s=30)


def _pinged(container: Container | EngineContainer, name: str) -> str:
    """Return where a container takes a name of its file to be; "" if it has none of it."""
    if name not in container.exec("cat", "/etc/hosts").stdout.split():
        return ""
    said = container.exec("ping", "-c1", "-W5", name).stdout
    return said.partition("(")[2].partition(")")[0]


def _finds(asking: EngineContainer, name: str, asked: EngineContainer) -> bool:
    return _pinged(asking, name) == asked.address()


@pytest.mark.needs("aardvark-dns")
def test_aliases_and_names_that_two_want_across_doors(lab: Lab) -> None:
    """The first is found by its name, all by an alias; a name goes on when its holder goes."""
    _serve_names(lab)
    podman = install(lab, "crun")
    first = lab.runc.run(_bundle(lab, "one", "--name=db", "--alias=www.example,STORE"))
    second = podman.run("--name=db", *keys(net="bridge", alias="store"))
    web = lab.crun.run(_bundle(lab, "web", "--alias=db", "--hostname=front"))
    _wait_for(web, "db", _address(first))
    _wait_for(web, "www.example", _address(first))
    _wait_for(web, "store", _address(first), second.address())
    _wait_for(web, second.id[:12], second.address())
    _wait_for(web, "front", _address(web))
    warned = [str(event["warning"]) for event in lab.events("attached with a warning")]
    assert sum("which is the name of another container there, db (one)" in each
               for each in warned) == 2  # fmt: skip
    first.end()
    _wait_for(web, "db", second.address())
    _wait_for(web, "store", second.address())
    second.remove()
    _wait_for(web, "db", _address(web))  # nobody is called so now, so its alias counts
    web.end()
    lab.assert_no_container_left(settle_s=5)
    assert not lab.path("/run/ocinet/linked").exists()


@pytest.mark.needs("aardvark-dns")
def test_rename_in_docker_is_one_of_the_name_that_is_found(lab: Lab) -> None:
    """By the watcher; the former name is nobody's at once."""
    _serve_names(lab)
    with lab.docker() as docker, lab.watch():
        web = docker.run("--name=web", *labels(net="bridge"))
        db = docker.run("--name=db", *labels(net="bridge"))
        _wait_for(web, "db", db.address())
        docker("rename", "db", "store")
        _wait_for(web, "store", db.address())
        assert _answers(web, "db") == set()


def test_names_without_a_server_are_in_each_others_files(lab: Lab) -> None:
    """Port 53 is a resolver's of the host's; by hooks alone, kept as containers come and go."""
    require("aardvark-dns")
    _serve_names(lab)
    with _taken(lab):
        web = lab.runc.create(_bundle(lab, "web"))
        db = lab.crun.run(_bundle(lab, "db", "--alias=store"))
        web.start()
        assert _pinged(web, "db") == _pinged(web, "store") == _address(db)
        assert _pinged(db, "web") == _address(web)
        shop = install(lab, "runc").run("--name=shop", *keys(net="bridge"))
        assert _pinged(web, "shop") == shop.address()
        assert _pinged(web, "host.ocinet.internal") == "10.72.0.1"
        db.end()
        assert _pinged(web, "store") == ""
        assert len(lab.events("names not served")) == 1
        shop.remove()
        web.end()
    assert not lab.path("/run/ocinet/linked").exists()


def test_names_without_a_server_beside_the_watcher(lab: Lab) -> None:
    """In Docker's own files, also of who was attached before it had one; and its hostname."""
    require("aardvark-dns")
    _serve_names(lab)
    with _taken(lab), lab.docker() as docker, lab.watch():
        web = docker.run("--name=web", *labels(net="bridge", hostname="front"))
        db = docker.run("--name=db", "--read-only", *labels(net="bridge"))
        for asking, name, asked in ((web, "db", db), (db, "front", web), (db, "web", web)):
            wait_until(partial(_finds, asking, name, asked), f"{name} at {asked.address()}")
        wait_until(lambda: web.exec("hostname").stdout == "front\n", "its hostname")
        docker("rename", "db", "store")
        wait_until(partial(_finds, web, "store", db), "its new name")
        assert _pinged(web, "db") == ""
        docker("restart", "--time=0", db.id)
        wait_until(partial(_finds, web, "store", db.current), "its new address")


@pytest.mark.needs("aardvark-dns")
def test_compose_services_talk_by_name_through_restart_and_rename(lab: Lab) -> None:
    """As docs/names.md shows it: of dockerd, and of the machine, as far as it is to be had here."""
    require("docker-compose")
    _serve_names(lab)
    (text,) = re.findall(r"```yaml\n# compose.yaml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    with lab.docker() as docker, lab.watch() as watcher:
        docker("tag", IMAGE, _TAG)
        lab.make_network("lan", "10.9.0.0/24")
        lab.run("mkdir", "-p", "/run/lab/shop")
        lab.run("tee", "/run/lab/shop/compose.yaml", stdin=text)
        compose = ("docker-compose", "--file", "/run/lab/shop/compose.yaml")
        host = {"DOCKER_HOST": f"unix://{docker.socket}"}
        lab.run(*compose, "up", "--detach", env=host, timeout_s=_COMPOSE_START_S)

        def services() -> dict[str, EngineContainer]:
            listed = lab.run(*compose, "ps", "--quiet", env=host).stdout.split()
            found = (EngineContainer(each, docker) for each in listed)
            return {each.exec("hostname").stdout.strip(): each for each in found}

        def talk() -> None:
            there = services()
            web, api, db = (there[name] for name in ("web", "api", "db"))
            for asking, name, asked in ((web, "api", api), (api, "db", db), (db, "web", web)):
                _wait_for(asking, name, asked.address())

        talk()
        docker.stop()
        docker.start()
        talk()
        watcher.stop()
        docker.stop()
        lab.run("sh", "-c", _REBOOT)
        docker.start()
        watcher.start()
        talk()
        db = services()["db"]
        docker("rename", db.id, "store")
        _wait_for(services()["web"], "store", db.current.address())
        talk()
        lab.run(*compose, "down", "--timeout=0", env=host, timeout_s=_COMPOSE_START_S)
        lab.assert_no_container_left(settle_s=10)

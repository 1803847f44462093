"""Free host ports that are kept for containers' names, by each door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.hooked_podman import install, keys
from hosts.engine.hooked_runtime import refused, register, start, stop
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import UNDER, docker_under_wrapper, labels
from hosts.lab.machine import LAB_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab


def _port(lab: Lab, name: str) -> int:
    """Return the host port that the kernel's table leads to a container's 80."""
    text = lab.ocinet("port", name, "80").stdout
    return int(text.split()[0].rpartition(":")[2])


def _answers(lab: Lab, container: Container | EngineContainer, port: int) -> bool:
    with container.namespace.serve("tcp", 80):
        return lab.outside.ask("tcp", LAB_V4, port).local[1] == 80


@each_runtime
def test_port_that_is_kept_is_had_again_after_each_end(lab: Lab, runtime: str) -> None:
    """Under another id, and after a reboot; nobody else gets it, until it is given up."""
    web = start(lab, runtime, "one", "-p", "80", "--keep-ports", "--name", "web")
    port = _port(lab, "web")
    assert _answers(lab, web, port)
    stop(web)
    thief = register(lab, "thief", "-p", f"{port}:80")
    assert f"the host's port {port}/tcp is kept for web" in refused(lab, runtime, thief)

    lab.run("rm", "-r", "/run/ocinet")  # what a reboot leaves of it
    again = start(lab, runtime, "two", "-p", "80", "--name", "web")

    assert _port(lab, "web") == port
    assert _answers(lab, again, port)
    (shown,) = lab.ocinet("ps", "--json").json()
    assert [kept["host_port"] for kept in shown["kept_ports"]] == [port]
    stop(again)
    lab.ocinet("reservation", "rm-port", "web")
    assert lab.ocinet("reservation", "ports", "--json").json() == []
    lab.runtime(runtime).run(thief)
    assert _port(lab, "thief") == port


@each_runtime
def test_kept_port_where_a_service_listens_gives_way(lab: Lab, runtime: str) -> None:
    """The container starts with another one, an event says why, and the next start has its own."""
    web = start(lab, runtime, "web", "-p", "80")
    port = _port(lab, "web")
    assert lab.ocinet("reservation", "add-port", "web").stdout.strip() == f"{port}->80/tcp"
    stop(web)

    with lab.serve("tcp", port):
        web = lab.runtime(runtime).run(register(lab, "web", "-p", "80"))
        assert _port(lab, "web") != port
        assert _answers(lab, web, _port(lab, "web"))
    (told,) = lab.events("kept port passed over")
    assert (told["port"], told["name"]) == (f"{port}/tcp", "web")
    stop(web)
    web = lab.runtime(runtime).run(register(lab, "web", "-p", "80"))
    assert _port(lab, "web") == port


@each_runtime
def test_podman_has_the_port_again(lab: Lab, runtime: str) -> None:
    """A hook's container, restarted, and made anew under its name."""
    podman = install(lab, runtime)
    asked = keys(publish="80", **{"keep-ports": "true"})
    web = podman.run("--name=web", *asked)
    port = _port(lab, "web")
    podman("restart", "--time=0", "web")
    assert _port(lab, "web") == port
    assert _answers(lab, web.current, port)
    podman("rm", "--force", "--time=0", "web")
    again = podman.run("--name=web", *asked)
    assert _port(lab, "web") == port
    assert _answers(lab, again, port)
    podman("rm", "--force", "--time=0", "web")


def test_docker_has_the_port_again(lab: Lab) -> None:
    """A watched container with docker's own -p 80, made anew; one attached by hand as well."""
    with lab.docker() as docker, lab.watch():
        words = ("--name=web", "--publish=80", "--label=ocinet.keep-ports=true")
        docker.run(*words)
        wait_until(lambda: "web" in lab.records(), "its record")
        port = _port(lab, "web")
        docker("rm", "--force", "web")
        web = docker.run(*words)
        wait_until(lambda: "web" in lab.records(), "its second record")
        assert _port(lab, "web") == port
        assert _answers(lab, web, port)
        lab.ocinet("detach", "web")
        lab.ocinet("attach", "web", "-p", "80")
        assert _port(lab, "web") == port


@each_runtime
def test_range_before_one_port_opens_its_first_free_one(lab: Lab, runtime: str) -> None:
    """By the hook, and for docker's spelling of an address of IPv6."""
    with lab.serve("tcp", 8000):
        web = start(lab, runtime, "web", "-p", "8000-8002:80")
        db = start(lab, runtime, "db", "-p", f"{LAB_V4}:8000-8002:80", "-p", ":53:53/udp")

        assert (_port(lab, "web"), _port(lab, "db")) == (8001, 8002)
        assert _answers(lab, web, 8001)
        assert _answers(lab, db, 8002)
        third = register(lab, "third", "-p", "8000-8002:80")
        assert "no tcp port of 8000 to 8002 is free" in refused(lab, runtime, third)
    assert lab.runtime(runtime).run(third).id == "third"
    assert _port(lab, "third") == 8000


def test_docker_with_a_range_before_one_port_is_wired(lab: Lab) -> None:
    """docker's own -p 8000-8010:80 of a watched container."""
    with lab.docker() as docker, lab.watch():
        web = docker.run("--name=web", "--publish=8000-8010:80")
        wait_until(lambda: "web" in lab.records(), "its record")

        assert _port(lab, "web") == 8000
        assert _answers(lab, web, 8000)


def test_wrapper_has_the_port_again(lab: Lab) -> None:
    """docker's own -p 80 under our runtime: restarted, and made anew."""
    with docker_under_wrapper(lab) as docker:
        words = (UNDER, "--name=web", "-p", "80", *labels(**{"keep-ports": "true"}))
        docker.run(*words)
        port = _port(lab, "web")
        docker("restart", "--time=0", "web")
        assert _port(lab, "web") == port
        docker("rm", "--force", "web")
        web = docker.run(*words)
        assert _port(lab, "web") == port
        assert _answers(lab, web, port)

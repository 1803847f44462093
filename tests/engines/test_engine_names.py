"""Containers that ocinet did not start, by the names that their engines have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4

if TYPE_CHECKING:
    from hosts.lab.machine import Lab


@each_runtime
def test_attach_by_a_runtimes_id_wires_its_container(lab: Lab, runtime: str) -> None:
    """No hook, no process id: the id that `runc list` shows is enough, and its process is found."""
    container = lab.runtime(runtime).run(lab.bundle("web"))

    lab.ocinet("attach", "web", "--net", "bridge", "-p", "8080:80")

    container.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert "eth0" in lab.ocinet("exec", f"{runtime}:web", "--", "ip", "link").stdout
    lab.ocinet("detach", "web", "web")


def test_attach_by_dockers_name_is_undone_by_dockers_end(lab: Lab) -> None:
    """Its record has Docker's id, so `docker rm` under a watcher leaves nothing."""
    with lab.docker() as docker:
        docker("run", "-d", "--net=none", "--name=web", IMAGE, "sleep", "1000")
        container = docker.container("web")
        told = lab.ocinet("attach", "web", "--json").json()
        assert told["id"] == container.id
        assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
        with lab.watch() as watcher:
            docker("rm", "-f", "web")
            watcher.wait_until_said("container detached")
        assert lab.records() == {}


def test_name_of_dockers_and_podmans_container_says_both(lab: Lab) -> None:
    """`web` alone is refused, and `podman:web` is podman's."""
    podman = lab.podman()
    with lab.docker() as docker:
        docker("run", "-d", "--net=none", "--name=web", IMAGE, "sleep", "1000")
        theirs = podman.run("--name=web")

        refused = lab.ocinet("attach", "web", check=False)
        lab.ocinet("attach", "podman:web")

        assert refused.status == 2
        assert "docker:web" in refused.stderr
        assert "podman:web" in refused.stderr
        assert theirs.namespace.addresses("eth0") == ["10.72.0.2/24"]
        assert list(docker.container("web").namespace.links()) == ["lo"]
        lab.ocinet("detach", "podman:web", "podman:web")
        podman.remove_all()


def test_network_connect_gives_dockers_own_container_a_second_interface(lab: Lab) -> None:
    """What Docker has networked keeps its eth0 and default route, and has eth1 besides."""
    lab.make_network("lan", "10.9.0.0/24")
    with lab.docker() as docker:
        docker("run", "-d", "--name=web", IMAGE, "sleep", "1000")
        inside = docker.container("web").namespace

        lab.ocinet("network", "connect", "lan", "web", "--ip", "10.9.0.7")

        assert inside.addresses("eth1") == ["10.9.0.7/24"]
        assert "dev eth0" in inside.run("ip", "route", "show", "default").stdout
        inside.serve("tcp", 80)
        assert lab.ask("tcp", "10.9.0.7", 80).server
        lab.ocinet("network", "disconnect", "lan", "web")
        assert sorted(inside.links()) == ["eth0", "lo"]
        lab.ocinet("detach", "web")


def test_watcher_wires_nobody_again_who_was_disconnected(lab: Lab) -> None:
    """Nor when it starts anew, and compares the whole list; a restart is another life."""
    with lab.docker() as docker, lab.watch() as watcher:
        web = docker.run("--name=web")
        web.address()
        lab.ocinet("network", "disconnect", "bridge", "web")
        watcher.stop()
        watcher.start()

        docker.run("--name=other").address()  # so it has come by
        assert list(web.namespace.links()) == ["lo"]
        docker("restart", "--time=0", "web")
        assert web.current.address().startswith("10.72.0.")


def test_publish_all_of_dockers_and_podmans_containers_opens_what_they_expose(lab: Lab) -> None:
    """By each one's API, and podman's also by its files, where nobody listens at its socket."""
    podman = lab.podman()
    made = podman("create", IMAGE, "true").stdout.strip()
    podman("commit", "--change=EXPOSE 80", "--change=EXPOSE 53/udp", made, "exposing")
    podman("rm", made)
    with lab.docker() as docker:
        docker("run", "-d", "--net=none", "--name=web", "--expose=80", IMAGE, "sleep", "1000")
        podman("run", "-d", "--network=none", "--name=shop", "exposing", "sleep", "1000")
        podman("run", "-d", "--network=none", "--name=more", "exposing", "sleep", "1000")

        lab.ocinet("attach", "web", "-P")
        lab.ocinet("attach", "shop", "-P", "-p", "8080:80")
        with podman.serve():
            lab.ocinet("attach", "more", "-P")

        assert _published(lab, "web") == {"80/tcp"}
        assert _published(lab, "shop") == {"53/udp", "80/tcp"}
        assert _published(lab, "more") == {"53/udp", "80/tcp"}
        assert lab.ocinet("port", "shop", "80").stdout.strip() == "0.0.0.0:8080"
        docker.container("web").namespace.serve("tcp", 80)
        port = int(lab.ocinet("port", "web", "80").stdout.rpartition(":")[2])
        assert lab.outside.reaches("tcp", LAB_V4, port)
        lab.ocinet("detach", "web", "web", "shop", "shop", "more", "more")
        podman.remove_all()


def _published(lab: Lab, name: str) -> set[str]:
    return {line.partition(" ")[0] for line in lab.ocinet("port", name).stdout.splitlines()}

"""Links between two containers of different engines: packets both ways, through each restart."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from hosts.engine.hooked_podman import install, keys
from hosts.engine.hooked_runtime import start, stop
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

A, B = "10.7.0.0", "10.7.0.1"
LINK = ("--subnet", "10.7.0.0/31")


def state(lab: Lab, name: str) -> str:
    """Return in a word how a link is."""
    return lab.ocinet("link", "inspect", "--format", "{{.State}}", name).stdout.strip()


def wait_until_up(lab: Lab, name: str) -> None:
    """Wait until a link is there, which whoever comes back has made."""
    wait_until(lambda: state(lab, name) == "up", f"the link {name}")


def assert_joined(near: Namespace, far: Namespace) -> None:
    """Make sure that packets go both ways, and that nothing of it is on the host."""
    wait_until(lambda: near.pings(B) and far.pings(A), "both are reached")
    for server, client, address in ((near, far, A), (far, near, B)):
        with server.serve("tcp", 7070):
            assert client.ask("tcp", address, 7070).local == (address, 7070)


def test_runc_and_podman_are_linked_through_the_restart_of_either(lab: Lab) -> None:
    """By their hooks alone: whoever starts in a new sandbox is linked before its first process."""
    podman = install(lab, "runc")
    before = lab.links().keys()
    web = start(lab, "runc", "web", "--net", "none")
    shop = podman.run("--name=shop", *keys(net="none"))
    name = lab.ocinet("link", "add", "web", "podman:shop", *LINK).stdout.strip()
    assert_joined(web.namespace, shop.namespace)
    assert lab.links().keys() == before

    podman("restart", "--time=0", "shop")
    assert state(lab, name) == "up"
    assert_joined(web.namespace, shop.current.namespace)

    stop(web)
    assert state(lab, name) == "waiting"
    assert list(shop.current.namespace.links()) == ["lo"]
    web = start(lab, "runc", "web", "--net", "none")
    assert_joined(web.namespace, shop.current.namespace)

    os.kill(web.pid, signal.SIGKILL)  # nobody is told; its poststop comes with the delete
    web.delete()
    web = start(lab, "runc", "web", "--net", "none")
    assert_joined(web.namespace, shop.current.namespace)

    lab.ocinet("link", "rm", name)
    assert list(web.namespace.links()) == list(shop.current.namespace.links()) == ["lo"]
    shop.current.remove()
    stop(web)
    lab.assert_no_container_left()


def test_runc_and_docker_are_linked_beside_their_networks(lab: Lab) -> None:
    """By the watcher, by the name that Docker has; a new container of that name is linked, too."""
    with lab.docker() as docker, lab.watch():
        web = start(lab, "runc", "web")
        name = lab.ocinet("link", "add", "web", "shop", *LINK, "--ipv6").stdout.strip()
        assert state(lab, name) == "waiting"
        shop = docker.run("--name=shop")
        wait_until_up(lab, name)
        assert_joined(web.namespace, shop.namespace)

        docker("restart", "--time=0", "shop")
        wait_until_up(lab, name)
        assert_joined(web.namespace, shop.current.namespace)
        assert lab.pings(shop.current.address())

        docker.remove("shop")
        wait_until(lambda: state(lab, name) == "waiting", "the end of the container")
        shop = docker.run("--name=shop")
        wait_until_up(lab, name)
        assert_joined(web.namespace, shop.namespace)
        stop(web)

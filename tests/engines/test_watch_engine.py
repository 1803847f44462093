"""dockerd comes, goes, hangs and is killed beside the watcher: in the end all is right."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from hosts.lab.machine import LAB_V4, OUTSIDE_V4
from hosts.waiting import has_ended, wait_until

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

SETTLE_S = 10
GONE_WITHIN_S = 5  # of the reconnection


def kill(container: EngineContainer) -> None:
    """Kill a container's process behind its engine's back, and wait for its end."""
    pid = container.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: has_ended(pid), "its end")


def running(docker: Docker) -> set[str]:
    """Return the names of those that run, by Docker's word."""
    return set(docker("ps", "--format", "{{.Names}}").stdout.split())


def test_engine_that_comes_later_is_found_and_what_it_started_itself(lab: Lab) -> None:
    """No socket at the watcher's start; then dockerd starts containers before its API answers."""
    with lab.docker() as docker:
        docker.run("--name=always", "--restart=always", "--publish=8080:80")
        docker.run("--name=once")
        docker.stop()
        lab.run("rm", "-f", docker.socket)

        with lab.watch() as watcher:
            assert {entry["engine"] for entry in watcher.said("engine is not there yet")} == {
                "/run/docker.sock", "/run/podman/podman.sock",
            }  # fmt: skip
            docker.start()

            wait_until(lambda: list(lab.records()) == ["always"], "its network", timeout_s=SETTLE_S)
            again = docker.container("always")
            address = again.address()
            with again.namespace.serve("tcp", 80):
                assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
            docker("start", "once")
            assert docker.container("once").address() != address
            assert watcher.complaints() == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_engine_that_restarts_its_containers_has_them_wired_anew(lab: Lab, end: str) -> None:
    """Without live-restore all die with dockerd or at its next start; some come back."""
    with lab.docker() as docker, lab.watch() as watcher:
        always = docker.run("--name=always", "--restart=always", "--publish=8080:80")
        once = docker.run("--name=once")
        addresses = {always.address(), once.address()}
        assert len(addresses) == 2
        first = always.pid

        docker.stop() if end == "stop" else docker.kill()
        docker.start()

        wait_until(lambda: running(docker) == {"always"}, "what dockerd starts", timeout_s=SETTLE_S)
        again = always.current
        assert again.pid != first
        address = again.address()
        wait_until(lambda: list(lab.records()) == ["always"], "the end of the other")
        with again.namespace.serve("tcp", 80):
            wait_until(lambda: lab.outside.reaches("tcp", LAB_V4, 8080), "the port")
            assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        docker("start", "once")
        assert once.current.address() != address
        assert [entry for entry in watcher.complaints() if entry["level"] == "error"] == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_live_restore_keeps_the_living_and_the_dead_are_gone_soon(lab: Lab, end: str) -> None:
    """Traffic goes on; who died meanwhile is gone 5 s after dockerd is back."""
    with lab.docker("--live-restore") as docker, lab.watch() as watcher:
        shop = docker.run("--name=shop", "--publish=8080:80")
        killed = docker.run("--name=killed", "--publish=9090:80")
        removed = docker.run("--name=removed", "--rm")
        owner = docker.run("--name=owner")
        member = docker.run("--name=member", network="container:owner")
        address, dead = shop.address(), {killed.address(), removed.address()}
        owned = owner.address()
        wait_until(lambda: "member" in lab.records(), "the member's record")
        before = shop.namespace.links()["eth0"]
        lab.outside.serve("tcp", 80)
        shop.namespace.serve("tcp", 80)
        listening = len(watcher.said("listening"))

        docker.stop() if end == "stop" else docker.kill()
        for container in (killed, removed, owner):
            kill(container)
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        docker.start()
        wait_until(
            lambda: len(watcher.said("listening")) > listening,
            "the reconnection",
            timeout_s=SETTLE_S,
        )

        back = time.monotonic()
        wait_until(
            lambda: sorted(lab.records()) == ["member", "owner", "shop"],
            "the end of the dead", timeout_s=GONE_WITHIN_S,
        )  # fmt: skip
        wait_until(lambda: host_ends(lab) == 2, "the end of their links", timeout_s=1)
        assert time.monotonic() - back < GONE_WITHIN_S
        assert not any(lab.pings(address) for address in dead)
        assert not lab.outside.reaches("tcp", LAB_V4, 9090, timeout_s=0.2)
        assert shop.namespace.links()["eth0"]["ifindex"] == before["ifindex"]
        assert shop.namespace.addresses("eth0") == [f"{address}/24"]
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        assert shop.namespace.ask("tcp", OUTSIDE_V4, 80).peer[0] == LAB_V4
        assert lab.records()["owner"]["left"]
        assert lab.pings(owned)
        member.remove()
        shop.namespace.close()


def host_ends(lab: Lab) -> int:
    """Return how many links of containers the lab has."""
    return len([name for name in lab.links() if name.startswith("oc") and len(name) == 15])


def test_engine_that_hangs_stops_nobody(lab: Lab) -> None:
    """A stopped dockerd: traffic goes on, the watcher can end and start; then it catches up."""
    with lab.docker() as docker, lab.watch() as watcher:
        shop, killed = docker.run("--name=shop"), docker.run("--name=killed")
        address = shop.address()
        gone = killed.address()

        docker.signal(signal.SIGSTOP)
        kill(killed)
        assert shop.namespace.pings("10.72.0.1")
        began = time.monotonic()
        assert watcher.stop() == 0
        watcher.launch()
        wait_until(lambda: len(watcher.said("watcher started")) == 2, "its start")
        assert watcher.stop() == 0
        assert time.monotonic() - began < 15
        docker.signal(signal.SIGCONT)
        watcher.start()

        wait_until(lambda: list(lab.records()) == ["shop"], "the end of the dead")
        assert lab.pings(address)
        assert not lab.pings(gone)
        assert docker.run().address() != address


def test_engine_that_hangs_for_a_while_has_its_events_heard(lab: Lab) -> None:
    """What happened meanwhile is done when it goes on, without a new connection."""
    with lab.docker() as docker, lab.watch() as watcher:
        killed = docker.run()
        gone = killed.address()
        docker.signal(signal.SIGSTOP)
        kill(killed)
        docker.signal(signal.SIGCONT)

        wait_until(lambda: lab.records() == {}, "the end of the dead")
        assert not lab.pings(gone)
        assert len(watcher.said("listening")) == 1


def test_forward_policy_drop_of_docker_lets_us_through(lab: Lab) -> None:
    """dockerd found ip_forward=0, so it drops what is forwarded: but not what is ours."""
    assert lab.sysctl("net/ipv4/ip_forward") == "0"
    with lab.docker() as docker, lab.watch():
        assert lab.run("iptables", "-S", "FORWARD").stdout.startswith("-P FORWARD DROP")
        assert lab.sysctl("net/ipv4/ip_forward") == "1"
        shop, log = docker.run("--publish=8080:80"), docker.run()
        address, neighbour = shop.address(), log.address()
        lab.outside.serve("tcp", 80)
        shop.namespace.serve("tcp", 80)
        log.namespace.serve("udp", 53)

        assert shop.namespace.pings(neighbour)
        assert shop.namespace.ask("udp", neighbour, 53).peer[0] == address
        assert shop.namespace.pings(OUTSIDE_V4)
        assert log.namespace.ask("tcp", OUTSIDE_V4, 80).peer[0] == LAB_V4
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        shop.namespace.close()
        log.namespace.close()

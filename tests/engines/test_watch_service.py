"""The watcher itself comes, goes and is killed; what runs meanwhile is none the worse for it."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE
from hosts.lab.machine import LAB_V4
from hosts.lab.watcher import write_settings
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.lab.machine import Lab

SETTLE_S = 10
BURST = 50
AT_ONCE = 8
FIRST, SECOND = "/run/docker.sock", "/run/docker-second.sock"


def test_stop_leaves_networks_and_the_next_start_adopts_them(lab: Lab) -> None:
    """SIGTERM takes nothing down; started again, it wires nobody twice and detaches who ends."""
    with lab.docker() as docker, lab.watch() as watcher:
        shop, log = docker.run("--name=shop", "--publish=8080:80"), docker.run("--name=log")
        address, neighbour = shop.address(), log.address()
        before = shop.namespace.links()["eth0"]
        shop.namespace.serve("tcp", 80)

        assert watcher.stop() == 0

        assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        assert log.namespace.pings(address)
        told = len(watcher.said("container attached"))
        watcher.start()
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        assert shop.namespace.links()["eth0"]["ifindex"] == before["ifindex"]
        assert log.namespace.addresses("eth0") == [f"{neighbour}/24"]
        assert len(watcher.said("container attached")) == told
        shop.namespace.close()
        docker.remove("shop", "log")
        lab.assert_no_container_left(settle_s=SETTLE_S)


def test_killed_watcher_finds_out_what_happened_meanwhile(lab: Lab) -> None:
    """Started, ended, removed, restarted, renamed while nobody watched: all is right in the end."""
    with lab.docker() as docker, lab.watch() as watcher:
        docker.run("--name=stays", "--publish=8080:80").address()
        stays = docker.container("stays").address()
        for name in ("ends", "removed", "restarted", "named"):
            docker.run(f"--name={name}").address()
        wait_until(lambda: len(lab.records()) == 5, "their records")

        watcher.kill()
        docker("kill", "ends")
        docker.remove("removed")
        docker("restart", "restarted")
        docker("rename", "named", "renamed")
        fresh = docker.run("--name=fresh", "--publish=9090:80")
        docker.run("--rm", "--name=passing", command=("true",))
        assert list(fresh.namespace.links()) == ["lo"]
        watcher.start()

        assert sorted(lab.records()) == ["fresh", "renamed", "restarted", "stays"]
        addresses = [docker.container(name).address() for name in lab.records()]
        assert len(set(addresses)) == 4
        assert stays in addresses
        assert all(lab.pings(address) for address in addresses)
        fresh.namespace.serve("tcp", 80)
        assert lab.outside.ask("tcp", LAB_V4, 9090).local == (fresh.address(), 80)
        fresh.namespace.close()


def test_watcher_that_was_suspended_goes_on(lab: Lab) -> None:
    """As with the machine, past the time at which it had something to do."""
    with lab.docker() as docker, lab.watch(env={"WATCHDOG_USEC": "100000"}) as watcher:
        for _ in range(3):
            watcher.signal(signal.SIGSTOP)
            docker("run", "--rm", "--net=none", IMAGE, "true")  # takes longer than it had to wait
            watcher.signal(signal.SIGCONT)
            assert docker.run().address()

        assert watcher.runs
        assert [entry["event"] for entry in watcher.complaints()] == []
        assert watcher.said("settings read") == []


def test_second_watcher_is_refused(lab: Lab) -> None:
    """One serves all engines; the refusal says who holds the place."""
    with lab.watch() as watcher:
        refused = lab.ocinet("watch", check=False)

        assert refused.status == 6
        assert refused.stderr == (
            f"ocinet: cannot watch: process {watcher.pid} (ocinet) holds it: "
            "one watcher serves all engines\nhint: stop that one first\n"
        )
        assert watcher.runs


def test_engine_of_another_machine_is_refused(lab: Lab) -> None:
    """DOCKER_HOST=tcp://… names containers that are not here."""
    refused = lab.ocinet("watch", env={"DOCKER_HOST": "tcp://192.0.2.1:2375"}, check=False)

    assert refused.status == 2
    assert "cannot use DOCKER_HOST: 'tcp://192.0.2.1:2375' is no absolute path" in refused.stderr


def test_two_engines_are_watched_and_reload_changes_which(lab: Lab) -> None:
    """Both serve one network; one that the settings drop keeps what it has, and gets no more."""
    write_settings(lab, f'engines = ["{FIRST}"]\n')
    with (
        lab.docker() as docker,
        lab.docker("--bridge=none", "--iptables=false", name="second") as second,
        lab.watch() as watcher,
    ):
        one, other = docker.run("--name=one"), second.run("--name=other")
        first = one.address()
        assert list(other.namespace.links()) == ["lo"]

        watcher.configure(f'engines = ["{FIRST}", "{SECOND}"]\n')
        watcher.reload()

        address = other.address()
        assert other.namespace.pings(first)
        third, fourth = docker.run(), second.run("--publish=8080:80")
        assert len({first, address, third.address(), fourth.address()}) == 4
        with fourth.namespace.serve("tcp", 80):
            assert lab.outside.ask("tcp", LAB_V4, 8080).local == (fourth.address(), 80)

        watcher.configure(f'engines = ["{FIRST}"')
        watcher.reload()

        (told,) = watcher.complaints()
        assert told["event"] == "settings not read, the former ones hold"
        assert "ocinet.toml: it is not TOML" in told["error"]
        assert second.run("--name=still").address() not in (first, address)

        watcher.configure(f'engines = ["{FIRST}"]\n')
        watcher.reload()

        unseen = second.run("--name=unseen")
        seen = docker.run("--name=seen").address()
        assert list(unseen.namespace.links()) == ["lo"]
        assert lab.pings(address)
        assert other.namespace.pings(seen)
        watcher.configure(f'engines = ["{SECOND}", "{FIRST}"]\n')
        watcher.reload()
        assert unseen.address()
        second.stop()
        wait_until(lambda: not {"other", "unseen"} & lab.records().keys(), "its containers' end")
        assert lab.pings(first)
        second.start()


def test_docker_host_takes_the_place_of_dockers_socket(lab: Lab) -> None:
    """The engine that the user's docker command talks to is the one that is watched."""
    with (
        lab.docker("--bridge=none", "--iptables=false", name="second") as second,
        lab.watch(env={"DOCKER_HOST": f"unix://{SECOND}"}) as watcher,
    ):
        assert watcher.said("watcher ready")[0]["engines"] == [SECOND, "/run/podman/podman.sock"]
        assert lab.pings(second.run().address())


@pytest.mark.timeout(180)
def test_burst_survives_the_watchers_deaths(lab: Lab) -> None:
    """50 started and removed at once, the watcher killed twice: each is wired, none is left."""
    with lab.docker() as docker, lab.watch() as watcher, ThreadPoolExecutor(AT_ONCE) as pool:
        starts = [pool.submit(docker.run, f"--name=c{number}") for number in range(BURST)]
        for number in (BURST // 3, 2 * BURST // 3):
            starts[number].result()
            watcher.kill()
            starts[number + 3].result()
            watcher.start()
        containers: list[EngineContainer] = [start.result() for start in starts]

        addresses = [container.address(timeout_s=30) for container in containers]

        assert len(set(addresses)) == BURST
        assert all(pool.map(lab.pings, addresses))
        wait_until(lambda: len(lab.records()) == BURST, "their records")
        removals = [pool.submit(container.remove) for container in containers]
        for number in (BURST // 3, 2 * BURST // 3):
            removals[number].result()
            watcher.kill()
            removals[number + 3].result()
            watcher.start()
        for removal in removals:
            removal.result()
        lab.assert_no_container_left(settle_s=30)
        assert lab.records() == {}
        assert lab.run("find", "/run/ocinet/ipam", "-name", "10.*").stdout == ""

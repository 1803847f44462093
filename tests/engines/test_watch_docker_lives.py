"""The lives of Docker's containers beside the watcher: each has its network and leaves none."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE
from hosts.lab.machine import LAB_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

SETTLE_S = 10
# Each life goes on until it has its network, says so, and fails.
SEEN_AND_GONE = (
    "sh", "-c", "until ip -4 addr show eth0 2>/dev/null | grep inet; do sleep 0.05; done; exit 1",
)  # fmt: skip
OUT_OF_MEMORY = (
    "sh", "-c",
    "until ip -4 addr show eth0 2>/dev/null | grep -q inet; do sleep 0.05; done; tail /dev/zero",
)  # fmt: skip


def state(docker: Docker, container: str, field: str) -> str:
    """Return one field of what Docker tells of a container."""
    return docker("inspect", "--format", f"{{{{.{field}}}}}", container).stdout.strip()


def test_each_life_has_its_network_and_port(lab: Lab) -> None:
    """restart, stop and start, kill: one network for each life, and nothing left between them."""
    with lab.docker() as docker, lab.watch():
        shop = docker.run("--name=shop", "--publish=8080:80")

        def serves() -> bool:
            now = shop.current
            address = now.address()
            with now.namespace.serve("tcp", 80):
                wait_until(lambda: lab.outside.reaches("tcp", LAB_V4, 8080), "the port")
                return lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)

        assert serves()
        docker("restart", "--time=0", "shop")
        assert serves()
        ends: tuple[Callable[[], object], ...] = (
            lambda: docker("stop", "--time=0", "shop"),
            lambda: docker("kill", "shop"),
            lambda: os.kill(shop.current.pid, signal.SIGKILL),  # behind Docker's back
        )
        for end in ends:
            end()
            lab.assert_no_container_left(settle_s=SETTLE_S)
            assert lab.records() == {}
            wait_until(lambda: state(docker, "shop", "State.Running") == "false", "Docker's word")
            docker("start", "shop")
            assert serves()


def test_rename_is_followed(lab: Lab) -> None:
    """`ocinet ps` has the new name at once; the sandbox's name follows with the next start."""
    with lab.docker() as docker, lab.watch():
        shop = docker.run("--name=shop")
        address = shop.address()
        wait_until(lambda: "shop" in lab.records(), "its record")

        docker("rename", "shop", "store")

        wait_until(lambda: list(lab.records()) == ["store"], "the new name in ocinet ps")
        assert lab.records()["store"]["id"] == shop.id
        assert lab.pings(address)
        docker("restart", "--time=0", "store")
        again = shop.current.address()
        wait_until(lambda: "store" in lab.run("ip", "netns", "list").stdout, "its name")
        inside = lab.run("ip", "netns", "exec", "store", "ip", "-o", "-4", "address").stdout
        assert again in inside
        assert "shop" not in lab.run("ip", "netns", "list").stdout


def test_pause_changes_nothing_and_a_paused_one_is_wired(lab: Lab) -> None:
    """A paused container keeps what it has; one that was paused unseen gets it all the same."""
    with lab.docker() as docker, lab.watch() as watcher:
        shop = docker.run()
        address = shop.address()
        watcher.wait_until_said("container looked at", shop.id)
        told = len(watcher.log())

        docker("pause", shop.id)
        assert lab.pings(address)
        docker("unpause", shop.id)

        assert shop.namespace.addresses("eth0") == [f"{address}/24"]
        assert [entry for entry in watcher.log()[told:] if entry.get("container") == shop.id] == []
        watcher.stop()
        watcher.configure("early_attach = false\n")  # the last second's events are heard again
        unseen = docker.run()
        docker("pause", unseen.id)
        watcher.start()
        assert unseen.address() != address
        docker("unpause", unseen.id)
        assert unseen.namespace.pings(address)


def test_death_by_lack_of_memory_leaves_nothing(lab: Lab) -> None:
    """oom is an end like any other."""
    with lab.docker() as docker, lab.watch() as watcher:
        shop = docker.run("--memory=16m", "--memory-swap=16m", command=OUT_OF_MEMORY)

        watcher.wait_until_said("container detached", shop.id, timeout_s=20)

        lab.assert_no_container_left(settle_s=SETTLE_S)
        assert state(docker, shop.id, "State.OOMKilled") == "true"
        assert len(watcher.said("container attached", shop.id)) == 1


def test_restart_policy_gives_each_life_its_network(lab: Lab) -> None:
    """Four lives in a row have one each; a crash loop without end leaves nothing when removed."""
    with lab.docker() as docker, lab.watch() as watcher:
        crashing = docker.run("--restart=always", command=("false",))
        shop = docker.run("--restart=on-failure:3", command=SEEN_AND_GONE)

        wait_until(
            lambda: (
                state(docker, shop.id, "RestartCount") == "3"
                and state(docker, shop.id, "State.Running") == "false"
            ),
            "the last life", timeout_s=30,
        )  # fmt: skip

        lives = docker("logs", shop.id).stdout.splitlines()
        assert len(lives) == 4
        assert all("inet 10.72.0." in life for life in lives)
        wait_until(
            lambda: int(state(docker, crashing.id, "RestartCount")) >= 3, "the crash loop",
            timeout_s=20,
        )  # fmt: skip
        crashing.remove()
        lab.assert_no_container_left(settle_s=SETTLE_S)
        assert watcher.complaints() == []


def test_short_lives_and_failed_starts_leave_nothing(lab: Lab) -> None:
    """--rm in a row, an entrypoint that is not there, one that was never started, rm -f."""
    with lab.docker() as docker, lab.watch() as watcher:
        for _ in range(8):
            docker("run", "--rm", "--net=none", IMAGE, "true")
        lab.assert_no_container_left(settle_s=SETTLE_S)

        failed = docker("run", "--net=none", "--name=failed", IMAGE, "/no/such/file", check=False)
        assert failed.status == 127
        lab.assert_no_container_left(settle_s=SETTLE_S)
        assert docker("start", "failed", check=False).status == 1
        lab.assert_no_container_left(settle_s=SETTLE_S)
        docker.create("--name=never")
        docker.remove("never", "failed")

        shop = docker.run("--publish=8080:80")
        shop.address()
        shop.remove()
        lab.assert_no_container_left(settle_s=SETTLE_S)
        assert lab.records() == {}
        assert watcher.complaints() == []

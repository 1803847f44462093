"""The watcher beside Podman's API: its late word is enough, and hooks that were first count."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hosts.engine.bundle import SLEEP
from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_podman import build, copied_over, install, keys, run_image
from hosts.engine.podman import PODMAN_SOCKET
from hosts.lab.machine import LAB_V4, OUTSIDE_V4
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab
    from hosts.lab.watcher import Watcher

SETTLE_S = 10
LATEST_S = 5  # what is told late is told within a second; the rest is for a busy machine
UPTIME = "cut -d' ' -f1 /proc/uptime"
# Tells when it began and when it had its network.
TELLING = (
    "sh", "-c",
    f"{UPTIME}; until ip -4 addr show eth0 2>/dev/null | grep -q inet; do :; done; {UPTIME}; "
    "exec sleep 1000",
)  # fmt: skip


@contextmanager
def watched(lab: Lab, *, hooks: bool = False) -> Iterator[tuple[Podman, Watcher]]:
    """Run podman's service and the watcher."""
    podman = install(lab, "crun") if hooks else lab.podman("crun")
    with podman.serve(), lab.watch() as watcher:
        yield podman, watcher


def test_run_is_wired_soon_after_its_start(lab: Lab) -> None:
    """The entrypoint runs before podman tells; then it has address, neighbours and the world."""
    with watched(lab) as (podman, watcher):
        shop = podman.run("--name=shop", command=TELLING)
        log = podman.run("--name=log")
        address, neighbour = shop.address(), log.address()

        assert address != neighbour
        assert shop.namespace.pings(neighbour)
        lab.outside.serve("tcp", 80)
        assert shop.namespace.ask("tcp", OUTSIDE_V4, 80).peer[0] == LAB_V4
        assert lab.records().keys() == {"shop", "log"}
        wait_until(lambda: len(podman("logs", "shop").stdout.split()) == 2, "its own word")
        began, wired = map(float, podman("logs", "shop").stdout.split())
        assert wired - began < LATEST_S
        assert {entry["door"] for entry in watcher.said("container attached")} == {"start"}


def test_run_with_labels_or_annotations_has_what_they_ask_for(lab: Lab) -> None:
    """Both are the user's; an image's, of either kind, count for nothing."""
    lab.make_network("lan", "10.9.0.0/24")
    with watched(lab) as (podman, watcher):
        labelled = podman.run(
            "--label=ocinet.net=lan", "--label=ocinet.ip=10.9.0.5", "--label=ocinet.name=shop",
            "--label=ocinet.publish=8080:80",
        )  # fmt: skip
        annotated = podman.run("--name=log", *keys(net="lan", ip="10.9.0.6", publish="9090:80"))
        quiet = podman.run("--name=quiet", *keys(net="none"))
        wishes = {"ocinet.mtu": "1280", "ocinet.publish": "22:22", "ocinet.tpyo": "1"}
        hostile = run_image(podman, build(podman, "hostile", wishes), "--name=hostile")
        changes = [f"--change=LABEL {key}={wishes[key]}" for key in wishes]
        podman("import", *changes, str(lab.rootfs.with_suffix(".tar")), "worse")
        worse = run_image(podman, "worse", "--name=worse")

        assert labelled.address() == "10.9.0.5"
        assert annotated.address() == "10.9.0.6"
        labelled.namespace.serve("tcp", 80)
        annotated.namespace.serve("tcp", 80)
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.9.0.5", 80)
        assert lab.outside.ask("tcp", LAB_V4, 9090).local == ("10.9.0.6", 80)
        for container, copied in ((hostile, copied_over(*wishes)), (worse, list(wishes))):
            assert container.address().startswith("10.72.0.")
            container.namespace.serve("tcp", 22)
            told = [complaint["why"] for complaint in watcher.complaints(container.id)]
            assert len(told) == bool(copied)
            assert all(key in why for key in copied for why in told)
        assert not lab.outside.reaches("tcp", LAB_V4, 22, timeout_s=0.2)
        watcher.wait_until_said("container attached", quiet.id)
        assert list(quiet.namespace.links()) == ["lo"]
        assert lab.records()["quiet"]["mode"] == "none"
        assert lab.records().keys() == {"shop", "log", "quiet", "hostile", "worse"}
        for container in (labelled, annotated, hostile, worse):
            container.namespace.close()


def test_run_with_a_key_that_its_image_carries_too_is_told_and_gives_nothing(lab: Lab) -> None:
    """Refused as with Docker; and an image's annotation hides no label of the user's."""
    lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
    with watched(lab) as (podman, watcher):
        layer = str(lab.rootfs.with_suffix(".tar"))
        for net in ("vault", "none"):
            podman("import", f"--change=LABEL ocinet.net={net}", layer, f"says-{net}")
        annotated = build(podman, "annotated", {"ocinet.net": "bridge"})

        lost = run_image(podman, "says-vault", "--name=lost", "--label=ocinet.net=vault")
        mute = run_image(podman, "says-none", "--name=mute", "--label=ocinet.net=none")
        mine = run_image(podman, annotated, "--name=mine", "--label=ocinet.net=none")

        watcher.wait_until_said("container not served", lost.id)
        assert "the image carries 'vault' too" in lab.ocinet("ps", "--all").stderr
        for container in (mute, mine):
            watcher.wait_until_said("container attached", container.id)
        for container in (lost, mute, mine):
            assert list(container.namespace.links()) == ["lo"]


def test_run_with_a_bad_key_is_told_and_others_are_left_alone(lab: Lab) -> None:
    """One clear error for the one; host and podman's own network are none of ours."""
    with watched(lab) as (podman, watcher):
        bad = podman.run("--name=bad", "--label=ocinet.nett=lan")
        host = podman.run("--name=host", network="host")
        own = podman.run("--name=own", network="bridge")
        own_address = own.address()

        told = watcher.wait_until_said("container not served", bad.id)
        for container in (host, own):
            watcher.wait_until_said("container looked at", container.id)
        watcher.reload()
        last = podman.run("--name=last")
        assert last.address().startswith("10.72.0.")
        assert (told["name"], told["level"]) == ("bad", "error")
        assert "there is no such key (hint: did you mean net?)" in told["why"]
        assert list(bad.namespace.links()) == ["lo"]
        assert host.namespace.sandbox == lab.sandbox
        assert own.namespace.addresses("eth0")[0].startswith(f"{own_address}/")
        assert lab.records().keys() == {"last"}
        assert len(watcher.complaints()) == 1
        lab.ignored += ("podman0", "NETAVARK", "netavark", '"nat"', '"filter"', "10.88.")


def test_each_life_has_its_network(lab: Lab) -> None:
    """restart, stop and start, kill, behind podman's back; rename; removal: as with Docker."""
    with watched(lab) as (podman, _):
        shop = podman.run("--name=shop", "--label=ocinet.publish=8080:80")
        for start in ("run", "restart", "stop", "kill", "SIGKILL"):
            if start == "restart":
                podman("restart", "--time=0", "shop")
            elif start != "run":
                pid = shop.current.pid
                if start == "stop":
                    podman("stop", "--time=0", "shop")
                elif start == "kill":
                    podman("kill", "shop")
                else:
                    os.kill(pid, signal.SIGKILL)
                lab.assert_no_container_left(settle_s=SETTLE_S)
                podman("start", "shop")
            now = shop.current
            address = now.address()
            with now.namespace.serve("tcp", 80):
                wait_until(lambda: lab.outside.reaches("tcp", LAB_V4, 8080), "the port")
                assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        podman("rename", "shop", "store")
        wait_until(lambda: list(lab.records()) == ["store"], "the new name", timeout_s=SETTLE_S)
        podman.remove("store")
        lab.assert_no_container_left(settle_s=SETTLE_S)


def test_restart_policy_and_short_lives_leave_nothing(lab: Lab) -> None:
    """Faster than podman tells of them."""
    with watched(lab) as (podman, watcher):
        looping = podman.run("--restart=always", command=("sh", "-c", "sleep 0.1; exit 1"))
        failing = podman.run("--restart=on-failure:2", command=("false",))
        for _ in range(5):
            podman("run", "--rm", "--network=none", IMAGE, "true")
        failed = podman(
            "run", "--network=none", "--name=failed", IMAGE, "/no/such/file", check=False
        )
        assert failed.status == 127

        wait_until(
            lambda: "false" in podman("inspect", "--format={{.State.Running}}", failing.id).stdout,
            "the last life",
        )  # fmt: skip
        looping.remove()
        podman.remove("failed")
        lab.assert_no_container_left(settle_s=SETTLE_S)
        assert [entry for entry in watcher.complaints() if entry["level"] == "error"] == []


def test_docker_command_on_podmans_socket_is_served(lab: Lab) -> None:
    """Podman's compatible API: run, restart, stop, start, kill, rm -f."""
    with watched(lab) as (podman, _):

        def docker(*words: str) -> str:
            host = f"--host=unix://{PODMAN_SOCKET}"
            return lab.run("docker", host, *words).stdout.strip()

        told = docker(
            "run", "--detach", "--network=none", f"--cgroup-parent={lab.cgroup}", "--name=shop",
            "--label=ocinet.publish=8080:80", IMAGE, "sleep", "1000",
        )  # fmt: skip
        shop = EngineContainer(told, podman)
        shop.address()
        for act in ("restart", "stop", "kill"):
            if act == "restart":
                docker("restart", "--time=0", "shop")
            else:
                docker(act, *(["--time=0"] if act == "stop" else []), "shop")
                lab.assert_no_container_left(settle_s=SETTLE_S)
                docker("start", "shop")
            address = shop.current.address()
            with shop.current.namespace.serve("tcp", 80):
                assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        docker("rm", "--force", "shop")
        lab.assert_no_container_left(settle_s=SETTLE_S)


def test_members_are_counted_in_pods_and_beside_owners(lab: Lab) -> None:
    """A pod's infra container is wired for all; an owner's end leaves the network to its member."""
    with watched(lab) as (podman, _):
        pod = podman(
            "pod", "create", "--network=none", "--name=pod", f"--cgroup-parent={lab.cgroup}",
            f"--infra-image={IMAGE}", "--infra-command=sleep 1000",
        ).stdout.strip()  # fmt: skip
        lab.ignored += (pod,)  # podman forgets one of a pod's own cgroups
        told = podman("run", "--detach", "--pod=pod", "--name=web", IMAGE, "sleep", "1000")
        web = EngineContainer(told.stdout.strip(), podman)
        owner = podman.run("--name=owner")
        log = podman.run("--name=log", network="container:owner")
        address, owned = web.address(), owner.address()
        wait_until(lambda: {"web", "log"} <= lab.records().keys(), "their records",
                   timeout_s=SETTLE_S)  # fmt: skip

        shown = lab.records()
        infra = podman("pod", "inspect", "--format={{.InfraContainerID}}", "pod").stdout.strip()
        assert shown["web"]["member_of"] == infra
        assert shown["log"]["member_of"] == owner.id
        assert lab.pings(address)
        os.kill(owner.pid, signal.SIGKILL)
        wait_until(lambda: lab.records()["owner"]["left"], "the owner's end", timeout_s=SETTLE_S)
        assert log.namespace.addresses("eth0") == [f"{owned}/24"]
        assert lab.pings(owned)
        podman("pod", "rm", "--force", "--time=0", "pod")
        podman("rm", "--force", "--time=0", "--depend", "owner")
        lab.assert_no_container_left(settle_s=SETTLE_S)


def test_pod_is_left_to_its_members_where_podmans_hook_is_registered(lab: Lab) -> None:
    """One network, the one that a member asks for, though the infra container came first."""
    require("catatonit")
    with watched(lab, hooks=True) as (podman, watcher):
        lab.make_network("lan", "10.9.0.0/24")
        podman("pod", "create", "--network=none", "--name=pod")
        podman("pod", "start", "pod")
        infra = podman("pod", "inspect", "--format={{.InfraContainerID}}", "pod").stdout.strip()
        watcher.wait_until_said("container looked at", infra)
        told = podman("run", "--detach", "--pod=pod", "--name=web", *keys(net="lan"), IMAGE, *SLEEP)
        web = EngineContainer(told.stdout.strip(), podman)
        watcher.wait_until_said("container looked at", web.id)

        assert list(web.namespace.links()) == ["lo", "eth0"]
        assert web.namespace.addresses("eth0") == ["10.9.0.2/24"]
        assert [event["door"] for event in lab.events("attached")] == ["hook"]
        podman("pod", "rm", "--force", "--time=0", "pod")
        lab.assert_no_container_left(settle_s=SETTLE_S)


def test_hooks_and_watcher_wire_a_container_once(lab: Lab) -> None:
    """What a hook has wired is known; what none was asked for is wired by the watcher."""
    with watched(lab, hooks=True) as (podman, watcher):
        hooked = podman.run("--name=hooked", *keys(net="bridge", publish="8080:80"))
        plain = podman.run("--name=plain")
        address = hooked.namespace.addresses("eth0")
        assert address, "by the hook, before podman returned"
        assert plain.address()
        for container in (hooked, plain):
            watcher.wait_until_said("container looked at", container.id)

        doors = [(event["name"], event["door"]) for event in lab.events("attached")]
        assert sorted(doors) == [("hooked", "hook"), ("plain", "watcher")]
        assert hooked.namespace.addresses("eth0") == address
        hooked.namespace.serve("tcp", 80)
        assert lab.outside.reaches("tcp", LAB_V4, 8080)
        hooked.namespace.close()
        podman("restart", "--time=0", "hooked")
        assert hooked.current.address()
        hooked.current.remove()
        plain.remove()
        lab.assert_no_container_left(settle_s=SETTLE_S)
        assert watcher.complaints() == []


def test_service_that_comes_and_goes_misses_nothing_in_the_end(lab: Lab) -> None:
    """Started, stopped and removed while there was no socket; then it is back."""
    podman = lab.podman("crun")
    with lab.watch() as watcher:
        with podman.serve():
            stays = podman.run("--name=stays")
            gone = podman.run("--name=gone")
            stops = podman.run("--name=stops")
            address = stays.address()
            for container in (gone, stops):
                container.address()
        podman.remove("gone")
        podman("stop", "--time=0", "stops")
        fresh = podman.run("--name=fresh")
        assert lab.pings(address)
        assert "fresh" not in lab.records()

        with podman.serve():
            assert fresh.address() != address
            wait_until(lambda: sorted(lab.records()) == ["fresh", "stays"], "the end of the others")
            assert stays.namespace.addresses("eth0") == [f"{address}/24"]
            assert [entry for entry in watcher.complaints() if entry["level"] == "error"] == []
            podman.remove_all()
            lab.assert_no_container_left(settle_s=SETTLE_S)


def test_build_steps_are_never_wired(lab: Lab) -> None:
    """A build without network stays so."""
    with watched(lab) as (podman, watcher):
        lab.run("mkdir", "-p", "/run/lab/build")
        lab.run(
            "tee", "/run/lab/build/Containerfile",
            stdin=f"FROM {IMAGE}\nRUN sleep 1; ip -o link; ip -o -4 address\n",
        )  # fmt: skip

        built = podman("build", "--network=none", "--tag=built", "/run/lab/build")

        assert "eth0" not in built.stdout
        assert watcher.said("container attached") == []


def test_member_that_says_so_is_restarted_when_its_owner_is_back(lab: Lab) -> None:
    """By podman itself, also where its hook has wired the owner; who does not say so is told of."""
    with watched(lab, hooks=True) as (podman, _):
        owner = podman.run("--name=owner", *keys(net="bridge"))
        asks = ("--label=ocinet.rejoin=true",)
        log = podman.run("--name=log", *asks, network="container:owner")
        old = podman.run("--name=old", network="container:owner")
        wait_until(lambda: len(lab.records()) == 3, "their records", timeout_s=SETTLE_S)

        podman("restart", "--time=0", "owner")

        wait_until(lambda: lab.events("rejoined"), "the restart", timeout_s=2 * SETTLE_S)
        sandbox = owner.current.namespace.sandbox
        wait_until(lambda: log.current.namespace.sandbox == sandbox, "it is with its owner",
                   timeout_s=SETTLE_S)  # fmt: skip
        found = lab.ocinet("check", check=False).stdout
        (stranded,) = (each for each in lab.records().values() if each["status"] == "stranded")
        assert stranded["id"] == old.id
        assert f"podman restart {stranded['name']}" in found
        podman("rm", "--force", "--time=0", "--depend", "owner")

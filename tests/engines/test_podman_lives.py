"""A podman container's life: each start has its network, each end gives it back."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_podman import (
    DROP_IN,
    HOOKS_DIR,
    install,
    keys,
    wait_for_events,
)
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of
from hosts.lab.machine import LAB_V4
from hosts.waiting import has_ended, wait_until

if TYPE_CHECKING:
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

ASK = keys(net="bridge", publish="8080:80")
# Ends with a failure, so that podman's policy starts it again.
FAILING = ("sh", "-c", "ip -o -4 address; exit 3")


def _conmon(podman: Podman, container: EngineContainer) -> int:
    path = podman("inspect", "--format={{.ConmonPidFile}}", container.id).stdout.strip()
    return int(podman.lab.run("cat", path).stdout)


def _kill_with_conmon(podman: Podman, container: EngineContainer) -> None:
    """Kill the container and its monitor, so that podman does not notice."""
    pid = container.pid
    os.kill(_conmon(podman, container), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: has_ended(pid), f"the end of {container.id}")


def _remove_unmonitored(podman: Podman, container: EngineContainer) -> None:
    """Remove a container whose conmon is dead: podman's first try only notices that."""
    for _ in range(2):
        podman("rm", "--force", "--time=0", "--ignore", container.id, check=False)
    assert podman("container", "exists", container.id, check=False).status == 1
    # podman leaves that container's cgroups behind, on runc.
    podman.lab.ignored += (f"libpod-{container.id}",)


@each_runtime
def test_stop_gives_everything_back_and_start_wires_anew(lab: Lab, runtime: str) -> None:
    """Between stop and start nothing is held; the new sandbox has the port again."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *ASK)
    first = container.pid

    podman("stop", "--time=0", "shop")
    lab.assert_no_container_left()
    podman("start", "shop")

    again = container.current
    assert again.pid != first
    assert len(again.namespace.addresses("eth0")) == 1
    again.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).local[1] == 80
    again.namespace.close()
    container.remove()


@each_runtime
def test_restart_wires_the_new_process(lab: Lab, runtime: str) -> None:
    """restart is a stop and a start: one record, of the new process."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *ASK)
    before = container.pid

    podman("restart", "--time=0", "shop")

    again = container.current
    assert again.pid != before
    assert lab.records()["shop"]["process"]["pid"] == again.pid
    assert len(lab.events("attached")) == 2
    assert len(lab.events("detached")) == 1
    container.remove()
    assert len(lab.events("detached")) == 2


@each_runtime
def test_kill_of_the_first_process_gives_everything_back(lab: Lab, runtime: str) -> None:
    """kill -9 from the host: conmon sees it, and podman's cleanup runs poststop."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *ASK)

    os.kill(container.pid, signal.SIGKILL)

    wait_until(lambda: lab.records() == {}, "the record's end", interval_s=0.1)
    lab.assert_no_container_left()
    podman("start", "shop")
    assert len(container.current.namespace.addresses("eth0")) == 1
    container.remove()


@each_runtime
def test_kill_of_conmon_keeps_the_network_while_the_container_runs(lab: Lab, runtime: str) -> None:
    """Without its monitor the container runs on, wired; podman skips poststop then, gc does not."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *ASK)

    os.kill(_conmon(podman, container), signal.SIGKILL)

    assert lab.ocinet("gc", "--json").json() == []
    assert lab.pings("10.72.0.2")
    _remove_unmonitored(podman, container)
    lab.ocinet("gc")
    assert lab.records() == {}


@each_runtime
def test_kill_of_both_is_put_right_by_gc(lab: Lab, runtime: str) -> None:
    """With conmon dead nobody runs poststop; gc finds what is left, and only that."""
    podman = install(lab, runtime)
    dead = podman.run("--name=dead", *ASK)
    alive = podman.run("--name=alive", *keys(net="bridge"))
    _kill_with_conmon(podman, dead)

    found = lab.ocinet("gc", "--json").json()

    assert [(finding["kind"], finding["name"], finding["removed"]) for finding in found] == [
        ("attachment", dead.id, True)
    ]
    assert lab.records().keys() == {"alive"}
    assert lab.pings("10.72.0.3")
    _remove_unmonitored(podman, dead)
    alive.remove()


@each_runtime
def test_run_after_kill_of_both_takes_address_and_port_over(lab: Lab, runtime: str) -> None:
    """What a dead container holds is free for the next one that asks, before any gc."""
    podman = install(lab, runtime)
    dead = podman.run("--name=dead", *ASK, *keys(ip="10.72.0.9"))
    _kill_with_conmon(podman, dead)

    heir = podman.run("--name=heir", *ASK, *keys(ip="10.72.0.9"))

    heir.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.72.0.9", 80)
    heir.namespace.close()
    lab.ocinet("gc")
    heir.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.72.0.9", 80)
    heir.namespace.close()
    _remove_unmonitored(podman, dead)
    heir.remove()


@each_runtime
def test_restart_by_policy_has_its_network_each_time(lab: Lab, runtime: str) -> None:
    """podman restarts by itself, without the first command's flags: it reads the drop-in again."""
    podman = install(lab, runtime)

    container = podman.run("--restart=on-failure:3", *keys(net="bridge"), command=FAILING)

    wait_for_events(lab, "detached", 4)
    shown = podman("logs", container.id).stdout
    assert shown.count("eth0    inet 10.72.0.") == 4
    assert len(lab.events("attached")) == 4
    container.remove()


def _run_by_flag(podman: Podman, *words: str) -> str:
    """Run a container with the hooks directory named on the command line alone; return its id."""
    lab = podman.lab
    lab.run("rm", DROP_IN)
    started = podman(
        "--hooks-dir", HOOKS_DIR, "run", f"--cgroup-parent={lab.cgroup}", "--detach",
        "--network=none", *keys(net="bridge"), *words,
    )  # fmt: skip
    return started.stdout.strip()


def test_restart_by_policy_with_hooks_dir_flag_alone_has_its_network_since_podman_5_6(
    lab: Lab,
) -> None:
    """podman's own restarts are commands that conmon runs: 5.6 gives those the flag, too."""
    podman = install(lab, "crun")
    runs = 2 if version_of("podman") >= (5, 6) else 1

    container = _run_by_flag(podman, "--restart=on-failure:1", IMAGE, *FAILING)

    wait_until(
        lambda: podman("logs", container).stdout.count("127.0.0.1/8") == 2,
        "the second run", timeout_s=15, interval_s=0.1,
    )  # fmt: skip
    podman("wait", container)
    assert podman("logs", container).stdout.count("eth0    inet") == runs
    assert len(lab.events("attached")) == runs
    # The end needs no flag: its hook stands in the config.json of the run that had the others.
    wait_for_events(lab, "detached", runs)
    podman.remove(container)


def test_restart_by_command_without_the_hooks_dir_flag_has_no_network(lab: Lab) -> None:
    """Why the drop-in exists: `--hooks-dir` is of one command, and the next one has none."""
    podman = install(lab, "crun")
    container = EngineContainer(_run_by_flag(podman, IMAGE, "sleep", "1000"), podman)
    shown = container.exec("ip", "-o", "-4", "address").stdout

    podman("restart", "--time=0", container.id)

    assert "eth0    inet 10.72.0.2/24" in shown
    assert "eth0" not in container.exec("ip", "-o", "address").stdout
    assert len(lab.events("attached")) == len(lab.events("detached")) == 1
    container.remove()


@each_runtime
def test_exec_and_pause_touch_nothing(lab: Lab, runtime: str) -> None:
    """Commands inside a running container run no hook."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *ASK)
    before, told = lab.snapshot(), lab.all_events()

    shown = container.exec("ip", "-o", "-4", "address", "show", "dev", "eth0").stdout
    for verb in ("pause", "unpause"):
        podman(verb, "shop")

    assert "10.72.0.2/24" in shown
    assert lab.all_events() == told
    lab.assert_unchanged(before)
    container.remove()


@each_runtime
def test_remove_of_running_container_beside_another_takes_its_own_alone(
    lab: Lab, runtime: str
) -> None:
    """rm -f of one leaves the other's address, port and traffic."""
    podman = install(lab, runtime)
    going = podman.run("--name=going", *keys(net="bridge", publish="9090:90"))
    staying = podman.run("--name=staying", *ASK)
    staying.namespace.serve("tcp", 80)

    going.remove()

    assert lab.records().keys() == {"staying"}
    assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.72.0.3", 80)
    staying.namespace.close()
    staying.remove()

"""ocinet-wait in containers that get their network late, and `ocinet wait` beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.lab.machine import OUTSIDE_V4, OUTSIDE_V6
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.bundle import Bundle, Config
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background

SCRIPT = Path(__file__).parents[2] / "packaging/ocinet-wait"
INSIDE = "/tmp/ocinet-wait"
SHELLS = (("busybox", "ash"), ("dash",))


def make_networks(lab: Lab) -> None:
    """Define a network of each kind."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    lab.ocinet("network", "create", "--subnet", "fd00:9::/64", "six")
    lab.ocinet("network", "create", "--subnet", "10.8.0.0/24", "--internal", "inner")
    lab.ocinet("network", "create", "--subnet", "fd00:8::/64", "--internal", "inner6")


def waiting_bundle(lab: Lab, *command: str, limit: str = "") -> Bundle:
    """Make a bundle whose entrypoint is the script, mounted into busybox, before a command."""
    bundle = lab.bundle("web", args=(INSIDE, *command))

    def change(config: Config) -> None:
        mount = {"destination": INSIDE, "type": "bind", "source": str(SCRIPT),
                 "options": ["bind", "ro"]}  # fmt: skip
        config["mounts"].append(mount)
        if limit:
            config["process"]["env"].append(f"OCINET_WAIT_TIMEOUT={limit}")

    bundle.edit(change)
    return bundle


def command_of(pid: int) -> str:
    """Return what a process runs now; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_in_container(lab: Lab, net: str) -> Container:
    """Start a waiting container, see that it waits, and wire it."""
    container = lab.runc.run(
        waiting_bundle(lab, "sh", "-c", "ip route; ip -6 route; echo seen; sleep 1000")
    )
    assert list(container.namespace.links()) == ["lo"]
    assert INSIDE in command_of(container.pid)
    assert container.output() == ""
    lab.ocinet("attach", f"pid:{container.pid}", "--id", "web", "--net", net)
    wait_until(lambda: INSIDE not in command_of(container.pid), "the end of waiting")
    wait_until(lambda: "seen" in container.output(), "the command's output")
    return container


@pytest.mark.parametrize(
    ("net", "first_seen", "reached"),
    [
        ("lan", "default via 10.9.0.1", OUTSIDE_V4),
        ("six", "default via fd00:9::1", OUTSIDE_V6),
        ("inner", "10.8.0.0/24 dev eth0", "10.8.0.1"),
        ("inner6", "fd00:8::/64 dev eth0", "fd00:8::1"),
    ],
)
def test_command_starts_once_the_container_is_wired(
    lab: Lab, net: str, first_seen: str, reached: str
) -> None:
    """IPv4, IPv6 alone, and networks without a default route: its first look finds it."""
    make_networks(lab)

    container = wait_in_container(lab, net)

    assert first_seen in container.output()
    assert container.namespace.pings(reached)
    lab.ocinet("detach", "--force", "web")
    container.delete()


def test_command_of_a_container_that_is_wired_starts_at_once(lab: Lab) -> None:
    """With the hook there is nothing to wait for; words and exit status pass through."""
    bundle = waiting_bundle(lab, "sh", "-c", 'echo "$#:$1:$2"; exit 7', "sh", "a  b", "", limit="0")
    lab.ocinet("hooks", "add", str(bundle.path))

    done = lab.runc.run_to_end(bundle, check=False)

    assert (done.status, done.stdout.strip()) == (7, "2:a  b:")


def test_script_without_a_command_ends_well_when_there_is_a_network(lab: Lab) -> None:
    """For entrypoints that call it as their first line."""
    bundle = waiting_bundle(lab)
    lab.ocinet("hooks", "add", str(bundle.path))
    assert lab.runc.run_to_end(bundle).stdout == ""


def test_script_gives_up_with_one_line(lab: Lab) -> None:
    """The time is up: the command does not start, and the line says what to look at."""
    done = lab.runc.run_to_end(waiting_bundle(lab, "echo", "started", limit="1"), check=False)

    assert done.status == 1
    assert done.stdout == ""
    assert done.stderr.strip() == (
        "ocinet-wait: no network after 1 s: no interface but lo has a route; "
        "see 'ocinet ps' and 'ocinet events' on the host"
    )
    assert done.duration_s > 1


def test_script_as_first_process_can_be_stopped(lab: Lab) -> None:
    """`docker stop` need not wait for its own time limit."""
    container = lab.runc.run(waiting_bundle(lab, "sleep", "1000"))
    assert INSIDE in command_of(container.pid)
    container.kill("TERM")  # it waits for the end
    container.delete()


def start_script(lab: Lab, shell: tuple[str, ...], container: Container) -> Background:
    """Start the script with a shell of the host's in a container's network."""
    require(shell[0])
    return container.namespace.start(*shell, str(SCRIPT), "echo", "started")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: str(words[0]))
def test_script_passes_over_what_is_no_network(lab: Lab, shell: tuple[str, ...]) -> None:
    """An interface that is up has link-local addresses, a blackhole is a route: no network yet."""
    container = lab.runc.run(lab.bundle("web"))
    space = container.namespace
    space.run("ip", "link", "add", "dummy", "type", "veth", "peer", "name", "other")
    for ifname in ("dummy", "other"):
        space.run("ip", "link", "set", ifname, "up")
    space.run("ip", "route", "add", "blackhole", "10.0.0.0/8")
    space.run("ip", "-6", "route", "add", "unreachable", "fd00::/8")
    wait_until(lambda: "fe80::" in str(space.routes(v6=True)), "link-local routes")
    waiting = start_script(lab, shell, container)
    sleeps: set[int] = set()

    def has_looked_often() -> bool:
        assert waiting.process.poll() is None, "it took that for a network"
        sleeps.update(children(waiting.pid))
        return len(sleeps) > 3

    wait_until(has_looked_often, "three more looks")

    space.run("ip", "address", "add", "10.7.0.2/24", "dev", "dummy")

    assert waiting.line() == "started"
    container.delete()


def children(pid: int) -> list[int]:
    """Return the ids of the children of a process."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def test_wait_on_the_host_ends_with_the_attach(lab: Lab) -> None:
    """`ocinet wait` returns when the last one has its network, whoever wired it."""
    make_networks(lab)
    containers = [lab.runc.run(lab.bundle(name)) for name in ("web", "db")]
    early = lab.ocinet("wait", "web", "--timeout", "0", check=False)
    waiting = lab.start(lab.command, "wait", "web", "db")

    for container in containers:
        assert waiting.process.poll() is None
        words = ("--id", container.id, "--net", "lan")
        lab.ocinet("attach", f"pid:{container.pid}", *words)

    assert waiting.process.wait(20) == 0
    assert early.status == 6
    assert "web is not wired after 0 s" in early.stderr
    for container in containers:
        lab.ocinet("detach", "--force", container.id)
        container.delete()
    assert lab.ocinet("wait", "web", "--timeout", "0", check=False).status == 6

"""The lab does what the engine tests trust it to do."""

from __future__ import annotations

import os
import time

import pytest

from hosts.command import CommandFailed
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4, LAB_V6, OUTSIDE_V4, OUTSIDE_V6, Lab
from hosts.lab.namespace import Unreachable
from hosts.requirements import require
from hosts.waiting import wait_until


@each_runtime
def test_run_runtime_container_has_only_loopback(lab: Lab, runtime: str) -> None:
    """A container of the default bundle runs, with lo up and nothing else."""
    container = lab.runtime(runtime).run(lab.bundle("web"))

    shown = container.exec("ip", "-o", "link").stdout

    assert list(container.namespace.links()) == ["lo"]
    assert "LOOPBACK,UP" in shown
    container.kill()
    container.delete(force=False)


@each_runtime
def test_run_to_end_returns_output_and_status(lab: Lab, runtime: str) -> None:
    """A foreground container's output and exit status come back."""
    bundle = lab.bundle(args=("sh", "-c", "id -u; exit 3"))

    result = lab.runtime(runtime).run_to_end(bundle, check=False)

    assert (result.stdout, result.status) == ("0\n", 3)


def test_output_detached_container_is_readable_while_it_runs(lab: Lab) -> None:
    """What an entrypoint prints can be read before it ends."""
    container = lab.runc.create(lab.bundle(args=("sh", "-c", "echo started; sleep 1000")))
    assert container.output() == ""

    container.start()

    wait_until(lambda: container.output() == "started\n", "the entrypoint's output")


@each_runtime
def test_run_podman_container_has_only_loopback(lab: Lab, runtime: str) -> None:
    """podman on each runtime starts and removes a container without a network."""
    podman = lab.podman(runtime)

    container = podman.run("--name=web")

    assert list(container.namespace.links()) == ["lo"]
    assert container.exec("id", "-u").stdout == "0\n"
    container.remove()
    assert podman("ps", "--all", "--quiet").stdout == ""


def test_run_docker_container_on_docker0_reaches_outside(lab: Lab) -> None:
    """dockerd runs in the lab, both without a network and with its own."""
    with lab.docker() as docker:
        alone = docker.run("--name=alone")
        wired = docker.run("--name=wired", network="bridge")

        assert list(alone.namespace.links()) == ["lo"]
        assert "docker0" in lab.links()
        lab.outside.serve("tcp", 80)
        assert wired.namespace.ask("tcp", OUTSIDE_V4, 80).peer[0] == LAB_V4


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(("address", "seen"), [(OUTSIDE_V4, LAB_V4), (OUTSIDE_V6, LAB_V6)])
def test_ask_outside_sees_uplink_address(lab: Lab, protocol: str, address: str, seen: str) -> None:
    """The outside answers the lab, in both families, and tells whom it saw."""
    server = lab.outside.serve(protocol, 80)  # type: ignore[arg-type]  # parametrize gives str

    reply = lab.ask(protocol, address, 80)  # type: ignore[arg-type]  # parametrize gives str

    assert (reply.server, reply.peer[0], reply.local) == ("outside", seen, (address, 80))
    assert server.seen() == [reply]


def test_ask_nobody_there_says_refused(lab: Lab) -> None:
    """A closed port is told from silence."""
    with pytest.raises(Unreachable, match="ECONNREFUSED"):
        lab.ask("tcp", OUTSIDE_V4, 81)


def test_ask_silence_times_out(lab: Lab) -> None:
    """A dropped packet is told from a refusal, in the time given."""
    rules = """
        table inet t {
            chain c {
                type filter hook output priority 0;
                tcp dport 81 drop
            }
        }"""
    lab.run("nft", "-f", "-", stdin=rules)
    with pytest.raises(Unreachable, match="ETIMEDOUT"):
        lab.ask("tcp", OUTSIDE_V4, 81, timeout_s=0.2)
    lab.run("nft", "delete table inet t")


def test_pings_outside_answers_both_families(lab: Lab) -> None:
    """ICMP goes through the uplink."""
    assert lab.pings(OUTSIDE_V4)
    assert lab.pings(OUTSIDE_V6)
    assert not lab.pings("198.51.100.77")


def test_add_neighbour_reaches_outside_only_through_the_lab(lab: Lab) -> None:
    """A second neighbour makes the lab a router between two networks."""
    beyond = lab.add_neighbour(
        "beyond", "downlink", ("203.0.113.1", "203.0.113.2"), ("2001:db8:200::1", "2001:db8:200::2")
    )
    for place, gateway in ((beyond, "203.0.113.1"), (lab.outside, LAB_V4)):
        place.run("ip", "route", "add", "default", "via", gateway)
    lab.outside.serve("tcp", 80)
    assert not beyond.reaches("tcp", OUTSIDE_V4, 80, timeout_s=0.2)

    lab.set_sysctl("net/ipv4/ip_forward", "1")

    assert beyond.ask("tcp", OUTSIDE_V4, 80).peer[0] == "203.0.113.2"
    lab.run("ip", "link", "delete", "downlink")


def test_make_netns_is_named_and_entered(lab: Lab) -> None:
    """A namespace made by name is a sandbox of its own."""
    box = lab.make_netns("box")

    assert list(box.links()) == ["lo"]
    assert box.sandbox != lab.sandbox
    lab.run("ip", "netns", "delete", "box")


def test_write_settings_stays_in_the_lab(lab: Lab) -> None:
    """What is written under /etc, /var/lib and /run is the lab's alone."""
    for place in ("/etc", "/var/lib", "/run", "/usr/share/containers"):
        name = f"{place}/written-in-the-lab"
        lab.run("touch", name)
        assert lab.path(name).exists()
        assert not os.path.exists(name)


def test_run_fails_shows_command_and_output(lab: Lab) -> None:
    """A failed command fails the test with what it printed."""
    with pytest.raises(CommandFailed, match=r"\$ sh -c 'echo why >&2; false'.*\n.*why"):
        lab.run("sh", "-c", "echo why >&2; false")
    assert "echo why" in str(lab.transcript)


def test_run_too_long_is_killed(lab: Lab) -> None:
    """A command that hangs is killed with its children."""
    with pytest.raises(CommandFailed, match=r"not done after 0\.2 s"):
        lab.run("sh", "-c", "sleep 1000; true", timeout_s=0.2)
    wait_until(lambda: not lab.processes(), "the end of the killed command")


PLANTS = {
    "links": ("ip", "link", "add", "oc0123456789abc", "type", "veth", "peer", "name", "stray"),
    "rules": ("nft", "add", "table", "inet", "stray"),
    "netns": ("ip", "netns", "add", "stray"),
    "files": ("sh", "-c", "mkdir -p /run/ocinet/ipam/n && echo 1 > /run/ocinet/ipam/n/10.0.0.2"),
    "mounts": ("sh", "-c", "mkdir /run/stray && mount -t tmpfs stray /run/stray"),
    "processes": ("sh", "-c", "sleep 1000 & exit 0"),
    "routes": ("ip", "route", "add", "192.0.2.0/24", "via", OUTSIDE_V4),
    "addresses": ("ip", "address", "add", "192.0.2.1/32", "dev", "lo"),
}


@pytest.mark.parametrize("facet", PLANTS)
def test_assert_no_container_left_finds_planted_leak(lab: Lab, facet: str) -> None:
    """Each kind of leftover is found, and told by name."""
    lab.run(*PLANTS[facet])

    with pytest.raises(AssertionError, match=rf"\+ {facet}: "):
        lab.assert_no_container_left(settle_s=0)
    lab.baseline = lab.snapshot()


def test_assert_no_container_left_finds_cgroup(lab: Lab) -> None:
    """A cgroup that a killed runtime leaves is found."""
    stray = f"/sys/fs/cgroup/pids{lab.cgroup}/stray"
    if not os.path.isdir("/sys/fs/cgroup/pids"):
        stray = f"/sys/fs/cgroup{lab.cgroup}/stray"
    os.makedirs(stray)

    with pytest.raises(AssertionError, match=r"\+ cgroups: .*stray"):
        lab.assert_no_container_left(settle_s=0)
    os.rmdir(stray)


def test_assert_no_container_left_lets_networks_stay(lab: Lab) -> None:
    """A network's bridge and elements are no leftover; a port's element is."""
    lab.run("ip", "link", "add", "ocinet0", "group", "0x6f63", "type", "bridge")
    lab.run("ip", "address", "add", "10.88.0.1/24", "dev", "ocinet0")
    lab.run("ip", "link", "set", "ocinet0", "up")
    rules = """
        table inet ocinet {
            set bridges { type ifname; elements = { ocinet0 } }
            map tcp4 { type inet_service : ipv4_addr . inet_service; }
        }"""
    lab.run("nft", "-f", "-", stdin=rules)
    lab.assert_no_container_left()
    lab.run("nft", "add element inet ocinet tcp4 { 80 : 10.88.0.2 . 80 }")

    with pytest.raises(AssertionError, match=r"port-element inet ocinet tcp4"):
        lab.assert_no_container_left(settle_s=0)
    with pytest.raises(AssertionError, match=r"\+ links: ocinet0"):
        lab.assert_unchanged(settle_s=0)
    lab.run("nft", "delete table inet ocinet")


def test_close_kills_running_containers(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A lab that ends in the middle of a test takes everything with it."""
    inner = Lab(tmp_path_factory.mktemp("inner"), lab.rootfs, lab._config)
    container = inner.runc.run(inner.bundle("web"))
    pid = container.pid
    inner.add_neighbour("n", "n0", ("192.0.2.1", "192.0.2.2"), ("2001:db8:9::1", "2001:db8:9::2"))

    inner.close()

    assert not os.path.exists(f"/proc/{pid}/root/")


def test_make_lab_takes_little_time(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A lab is cheap enough for one per test; the bound leaves room for a busy machine."""
    started = time.monotonic()

    with Lab(tmp_path_factory.mktemp("inner"), lab.rootfs, lab._config):
        made_s = time.monotonic() - started

    assert made_s < 2


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_require_missing_program_fails_in_ci_only(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """A missing engine can't go unnoticed in CI; elsewhere the test skips."""
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="no-such-engine is not installed"):
        require("no-such-engine")

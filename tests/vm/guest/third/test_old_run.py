"""After a reboot with a /run of before it: records, leases, claims and locks of another boot."""

from __future__ import annotations

import json
from pathlib import Path

from vm.guest.machine import (
    HOST,
    OLD_RUN,
    OUTSIDE,
    UNIT,
    Container,
    active,
    ask,
    run,
    unanswered,
    wait_until,
)


def test_old_run_was_there_before_the_watcher() -> None:
    """The watcher is ready, and begins with records of another boot."""
    wait_until(lambda: active(UNIT), "the unit is active")
    assert run("systemctl", "show", "-P", "ExecMainStatus", "lab-old-run").strip() == "0"
    records = [json.loads(path.read_text()) for path in Path(OLD_RUN, "attachments").iterdir()]
    [boot] = {record["boot_id"] for record in records}
    assert boot != Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_containers_are_reached_beside_an_old_run() -> None:
    """restart=always and the quadlet answer, the latter at the first try of its unit."""
    wait_until(lambda: ask(OUTSIDE, HOST, 8090) == "always", "restart=always answers")
    wait_until(lambda: ask(OUTSIDE, HOST, 8091) == "quadlet", "the quadlet answers")
    assert run("systemctl", "show", "-P", "NRestarts", "quadlet").strip() == "0"


def test_records_of_an_old_run_are_gone() -> None:
    """`ps --all` shows what runs, each has its own address, and nothing is left to collect."""
    running = run("docker", "ps", "-q", "--no-trunc") + run("podman", "ps", "-q", "--no-trunc")
    recorded = run("ocinet", "ps", "--all", "-q", "--no-trunc")
    assert sorted(recorded.split()) == sorted(running.split())
    containers = Container("docker", "always"), Container("podman", "quadlet")
    addresses = {container.address() for container in containers}
    assert len(addresses) == len(containers)
    leases = {path.name for path in Path("/run/ocinet/ipam/bridge").iterdir()}
    assert {name for name in leases if name[0].isdigit()} == addresses
    assert json.loads(run("ocinet", "check", "--format", "json")) == []
    assert json.loads(run("ocinet", "gc", "--dry-run", "--format", "json")) == []


def test_port_of_an_old_run_is_free() -> None:
    """A container that did not come back holds neither its port nor its address."""
    assert ask(OUTSIDE, HOST, 8092) == ""
    web = Container.start("docker", "heir", "-p", "8092:80")
    other = Container.start("docker", "other")
    assert unanswered(web, other, 8092) == []
    web.remove()
    other.remove()

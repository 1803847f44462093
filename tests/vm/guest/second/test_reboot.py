"""After a reboot: /run is empty, and all that is to restart comes up by itself."""

from __future__ import annotations

from vm.guest.machine import HOST, OUTSIDE, active, ask, journal, run, wait_until


def test_unit_is_active_after_a_reboot() -> None:
    """The watcher's unit comes up by itself, and is ready."""
    wait_until(lambda: active("ocinet-watcher"), "the unit is active")
    assert '"watcher ready"' in journal("ocinet-watcher")


def test_restarting_container_is_reached_after_a_reboot() -> None:
    """A Docker container with restart=always answers at its published port."""
    wait_until(lambda: ask(OUTSIDE, HOST, 8090) == "always", "it answers")


def test_quadlet_container_is_reached_after_a_reboot() -> None:
    """A podman quadlet container answers at its published port, at the first try of its unit."""
    wait_until(lambda: ask(OUTSIDE, HOST, 8091) == "quadlet", "it answers")
    assert run("systemctl", "show", "-P", "NRestarts", "quadlet").strip() == "0", journal("quadlet")


def test_records_after_a_reboot_are_of_what_runs() -> None:
    """`ocinet ps --all` shows the containers that run, and none of before the reboot."""
    running = run("docker", "ps", "-q", "--no-trunc") + run("podman", "ps", "-q", "--no-trunc")
    recorded = run("ocinet", "ps", "--all", "-q", "--no-trunc")
    assert sorted(recorded.split()) == sorted(running.split())

"""The watcher beside a real dockerd."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab import Lab


def test_run_of_a_none_container_has_its_network_at_once(lab: Lab) -> None:
    """`docker run --net=none` shows eth0 with address and default route as its first word."""
    with lab.docker() as docker, lab.watch():
        docker("run", "--rm", "--net=none", "busybox", "true")  # makes the bridge
        shown = docker(
            "run", "--rm", "--net=none", "busybox", "sh", "-c", "ip addr show dev eth0; ip route"
        ).stdout
        assert "inet 10.72.0." in shown
        assert "default via 10.72.0.1 dev eth0" in shown

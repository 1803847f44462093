"""What the second boot looks for is put there."""

from __future__ import annotations

from pathlib import Path

from vm.guest.machine import HOST, OUTSIDE, Container, ask, run, wait_until

_QUADLET = """
[Container]
Image=localhost/lab/web:latest
ContainerName=quadlet
Network=none
Annotation=ocinet.publish=8091:80
Exec=serve quadlet
[Service]
Restart=always
[Install]
WantedBy=multi-user.target
"""


def test_restarting_container_is_reached() -> None:
    """A Docker container with restart=always answers at its published port."""
    Container.start("docker", "always", "--restart=always", "-p", "8090:80").address()
    assert ask(OUTSIDE, HOST, 8090) == "always"


def test_quadlet_container_is_reached() -> None:
    """A podman quadlet container with Network=none answers at its published port."""
    directory = Path("/etc/containers/systemd")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "quadlet.container").write_text(_QUADLET)
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "quadlet")
    wait_until(lambda: ask(OUTSIDE, HOST, 8091) == "quadlet", "it answers")
